//! The life of one simulated agent: sessions, heartbeats, what the scenario does to it, and the orders it obeys.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use wire::{
    BaselineDeclared, Body, CommandAcknowledged, Event, HarmReported, Kind, Layers, OutcomeReported, PlatformHeartbeat, PolicyAdopted,
    Role, SessionId, Source, VersionDeployed, VersionId, cloudevents,
};

use crate::fact;
use crate::fleet::Size;
use crate::fleet::acts;
use crate::fleet::known::Known;
use crate::fleet::orders::{Order, Ordered};
use crate::fleet::scenario::{Scenario, Stroke};
use crate::fleet::sessions::{Course, SUCCESS_OF_GOOD, Session};
use crate::output;

/// How often the platform says that it is alive, and how long it asks to be waited for.
const BEAT_EVERY: Duration = Duration::from_secs(4);
const BEAT_PROMISED_S: i64 = 10;
/// How long a platform that is shut down in order asks to be waited for: a day.
const PAUSE_PROMISED_S: i64 = 86_400;

/// One agent of the fleet.
pub(super) struct Agent {
    name: String,
    source: Source,
    run: String,
    known: Known,
    scenario: Scenario,
    size: Size,
    rng: ChaCha8Rng,
    /// When sessions began to go as the scenario wants it, and how many have begun since.
    turned: Option<(Instant, usize)>,
    serving: VersionId,
    suspect: Option<VersionId>,
    human_only: bool,
    silent: bool,
    sessions: BTreeMap<Option<VersionId>, usize>,
    started: usize,
    agenda: BTreeMap<(Instant, u64), Act>,
    acts: u64,
    outbox: mpsc::Sender<Event>,
    tells: bool,
}

/// Something that an agent does at its time.
enum Act {
    Start,
    Say(SessionId, Box<Body>),
    Beat,
    Strike(Stroke),
    Obey(Order),
}

/// What comes before an agent's next act.
enum Heard {
    Nothing,
    Order(Order),
    Returned(SessionId),
}

// === impl Agent ===

impl Agent {
    /// An agent that goes on from what is `known` of it.
    #[expect(clippy::too_many_arguments, reason = "an agent is made in one place, from what only that place knows")]
    pub(super) fn new(
        name: &str,
        known: Known,
        scenario: Scenario,
        size: &Size,
        index: u64,
        run: &str,
        outbox: mpsc::Sender<Event>,
        tells: bool,
    ) -> Self {
        let baseline = known.baseline.clone().unwrap_or_else(|| known.new_version(name));
        Self {
            name: name.to_owned(),
            source: cloudevents::platform_source("simulation", name),
            run: run.to_owned(),
            scenario,
            size: size.clone(),
            rng: ChaCha8Rng::seed_from_u64(size.seed.wrapping_mul(1_000_003).wrapping_add(index)),
            turned: None,
            serving: baseline,
            suspect: None,
            human_only: known.mode.as_deref() == Some("human_only"),
            silent: false,
            sessions: BTreeMap::new(),
            started: 0,
            agenda: BTreeMap::new(),
            acts: 0,
            outbox,
            tells,
            known,
        }
    }

    /// Lives until stopped; then ends what is open and announces the pause.
    ///
    /// `returned` are sessions that a human took over and is done with.
    pub(super) async fn live(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut returned: mpsc::Receiver<SessionId>,
        mut stopped: watch::Receiver<bool>,
    ) {
        self.begin().await;
        loop {
            let due = self.agenda.first_key_value().map(|((due, _), _)| *due).expect("the next session is always due");
            let next = tokio::select! {
                // Whoever stops the fleet waits for it, and an order is heard before the next session starts.
                biased;
                _ = stopped.changed() => None,
                Some(order) = orders.recv() => Some(Heard::Order(order)),
                Some(session) = returned.recv() => Some(Heard::Returned(session)),
                () = sleep_until(due) => Some(Heard::Nothing),
            };
            match next {
                None => break,
                Some(Heard::Order(order)) => self.hear(order),
                Some(Heard::Returned(session)) => self.end_after_human(session).await,
                Some(Heard::Nothing) => self.act().await,
            }
        }
        self.pause().await;
    }

    async fn begin(&mut self) {
        let open = std::mem::take(&mut self.known.broken_off);
        self.break_off(open).await;
        if self.known.baseline.is_none() {
            let (author, reason) = ("fleet".to_owned(), "the version that has served since the beginning".to_owned());
            let word = BaselineDeclared { version: self.serving.clone(), author, reason };
            self.publish(fact::event("/people/fleet", &self.name, word)).await;
        }
        if self.known.serving.as_ref() != Some(&self.serving) {
            self.deploy(self.serving.clone()).await;
        }
        let now = Instant::now();
        self.plan(now, Act::Beat);
        self.plan(now, Act::Start);
        for (after, stroke) in self.scenario.script() {
            self.plan(now + after, Act::Strike(stroke));
        }
        for order in std::mem::take(&mut self.known.open_orders) {
            self.hear(order);
        }
    }

    fn plan(&mut self, at: Instant, act: Act) {
        self.acts += 1;
        self.agenda.insert((at, self.acts), act);
    }

    fn hear(&mut self, order: Order) {
        let after = match &order.what {
            Ordered::Mode(_) => Scenario::Healthy.obeys_after(0),
            Ordered::Version(_, seconds) => self.scenario.obeys_after(*seconds),
        };
        self.plan(Instant::now() + after, Act::Obey(order));
    }

    async fn act(&mut self) {
        let Some(((due, _), act)) = self.agenda.pop_first() else { return };
        match act {
            Act::Start => {
                let rate = self.size.rate * self.scenario.busier(self.turned.is_some());
                let pause = Duration::from_secs_f64(self.rng.random_range(0.7..1.3) / rate);
                self.plan(due + pause, Act::Start);
                self.start_session(due);
            }
            Act::Say(session, body) => self.say(Some(session), *body).await,
            Act::Beat => {
                self.plan(due + BEAT_EVERY, Act::Beat);
                self.beat(BEAT_PROMISED_S).await;
            }
            Act::Strike(stroke) => self.strike(stroke).await,
            Act::Obey(order) => self.obey(order).await,
        }
    }

    fn start_session(&mut self, at: Instant) {
        if self.silent {
            return;
        }
        let version = (!self.human_only).then(|| self.serving.clone());
        let count = self.sessions.entry(version.clone()).or_default();
        let ordinal = *count;
        *count += 1;
        self.started += 1;
        let success = if version == self.suspect && version.is_some() { self.scenario.success_of_new() } else { SUCCESS_OF_GOOD };
        let id = SessionId::from(format!("{}-{}-{}", self.name, self.run, self.started));
        let course = self.course(at);
        let success = self.scenario.success(course, success);
        let session = Session { version: version.as_ref(), ordinal, success, course };
        for (after, body) in session.facts(&mut self.rng) {
            self.plan(at + after, Act::Say(id.clone(), Box::new(body)));
        }
    }

    /// How the next session goes that begins `at`.
    fn course(&mut self, at: Instant) -> Course {
        let Some((since, begun)) = &mut self.turned else { return Course::Plain };
        *begun += 1;
        self.scenario.course(*begun - 1, at.saturating_duration_since(*since))
    }

    /// A human took the session over and is done: it did what it was for, and nothing more is said in it.
    async fn end_after_human(&mut self, session: SessionId) {
        let before = self.agenda.len();
        self.agenda.retain(|_, act| !matches!(act, Act::Say(of, _) if *of == session));
        if self.agenda.len() < before {
            let outcome = acts::outcome(true, Role::Human, &mut self.rng);
            self.say(Some(session.clone()), outcome).await;
            self.say(Some(session), acts::ended("completed by a human")).await;
        }
    }

    async fn strike(&mut self, stroke: Stroke) {
        match stroke {
            Stroke::Adopt => self.adopt().await,
            Stroke::Turn => {
                self.tell("the trouble begins");
                self.turned = Some((Instant::now(), 0));
            }
            Stroke::Deploy => {
                let version = self.known.new_version(&self.name);
                self.suspect = Some(version.clone());
                self.deploy(version).await;
            }
            Stroke::Harm => {
                let session = SessionId::from(format!("{}-{}-{}", self.name, self.run, self.started));
                let description = Some("a refund was paid to the wrong customer".to_owned());
                let reporter = Some("fleet".to_owned());
                let version = Some(self.serving.clone());
                self.tell("a confirmed harm is reported");
                let harm = HarmReported { category: "financial".to_owned(), confirmed: true, description, reporter, version };
                self.say(Some(session), harm.into()).await;
            }
            Stroke::FallSilent => {
                self.tell("falls silent");
                self.silent = true;
            }
        }
    }

    /// Adopts the scenario's policy, under a version of its own in every run.
    async fn adopt(&mut self) {
        let Some(adoption) = self.scenario.adoption(&self.name, &self.size) else { return };
        self.tell(&format!("adopts a policy of the {} room", adoption.room));
        let word = PolicyAdopted {
            room: adoption.room.to_owned(),
            version: format!("fleet-{}", self.run),
            document: adoption.document,
            author: "fleet".to_owned(),
            reason: adoption.reason.to_owned(),
        };
        self.publish(fact::event("/people/fleet", adoption.room, word)).await;
    }

    async fn deploy(&mut self, version: VersionId) {
        self.tell(&format!("deploys {version}"));
        let previous = self.known.serving.replace(version.clone()).filter(|previous| *previous != version);
        self.known.versions.insert(version.clone());
        self.serving = version.clone();
        let layers = Layers {
            prompt: Some(format!("{version}/prompt")),
            knowledge_base: Some("kb-7".to_owned()),
            workflow: Some("wf-3".to_owned()),
            integration: Some("int-2".to_owned()),
            model: Some("simulated".to_owned()),
        };
        let author = Some("fleet".to_owned());
        self.say(None, VersionDeployed { version, layers, previous, author, reason: None }.into()).await;
        // A heartbeat says at once what serves now.
        self.beat(BEAT_PROMISED_S).await;
    }

    async fn obey(&mut self, order: Order) {
        match order.what {
            Ordered::Mode(mode) => {
                self.tell(&format!("obeys: mode {mode}"));
                self.human_only = mode == "human_only";
            }
            Ordered::Version(version, _) => {
                self.tell(&format!("obeys: serves {version}"));
                self.serving = version.into();
            }
        }
        let serving_version = Some(self.serving.clone());
        self.say(None, CommandAcknowledged { order_id: order.id, accepted: true, reason: None, serving_version }.into()).await;
        self.beat(BEAT_PROMISED_S).await;
    }

    async fn beat(&mut self, interval_s: i64) {
        self.say(None, PlatformHeartbeat { interval_s, serving_version: Some(self.serving.clone()) }.into()).await;
    }

    /// Ends what is open, and says when to expect the platform again.
    async fn pause(&mut self) {
        let mut open = BTreeMap::new();
        for act in std::mem::take(&mut self.agenda).into_values() {
            if let Act::Say(session, body) = act {
                let told = open.entry(session).or_insert(true);
                *told &= body.kind() != Kind::OutcomeReported;
            }
        }
        self.break_off(open).await;
        self.beat(PAUSE_PROMISED_S).await;
    }

    /// Ends sessions that the platform left in the middle, with whether their outcome was told. They did not do what they
    /// were for; left open, whoever compares versions would wait for them.
    async fn break_off(&mut self, open: BTreeMap<SessionId, bool>) {
        for (session, outcome_told) in open {
            if !outcome_told {
                let outcome = OutcomeReported { success: Some(false), csat: None, handled_by: None, handling_s: None, version: None };
                self.say(Some(session.clone()), outcome.into()).await;
            }
            self.say(Some(session), acts::ended("platform went down")).await;
        }
    }

    async fn say(&mut self, session: Option<SessionId>, body: Body) {
        if self.silent {
            return;
        }
        let mut event = fact::event(self.source.as_str(), &self.name, body);
        event.subject = session;
        self.publish(event).await;
    }

    async fn publish(&mut self, event: Event) {
        if self.outbox.send(event).await.is_err() {
            tracing::warn!("{} cannot report: the way to the gateway is closed", self.name);
        }
    }

    fn tell(&self, what: &str) {
        if self.tells {
            // A terminal that went away does not stop the fleet.
            let _ = output::line(format!("{}  {:<10} {what}", jiff::Timestamp::now().strftime("%H:%M:%S"), self.name));
        }
    }
}
