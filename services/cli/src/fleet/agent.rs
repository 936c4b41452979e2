//! The life of one simulated agent: sessions, heartbeats, what the scenario does to it, and the orders it obeys.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use wire::{
    BaselineDeclared, Body, CommandAcknowledged, Event, HarmReported, Kind, Layers, OutcomeReported, PlatformHeartbeat, SessionEnded,
    SessionId, Source, VersionDeployed, VersionId, cloudevents,
};

use crate::fact;
use crate::fleet::Size;
use crate::fleet::known::Known;
use crate::fleet::orders::{Order, Ordered};
use crate::fleet::scenario::{Scenario, Stroke};
use crate::fleet::sessions::{SUCCESS_OF_GOOD, Session};
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
    rng: ChaCha8Rng,
    session_every: Duration,
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
            rng: ChaCha8Rng::seed_from_u64(size.seed.wrapping_mul(1_000_003).wrapping_add(index)),
            session_every: Duration::from_secs_f64(1.0 / size.rate),
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
    pub(super) async fn live(mut self, mut orders: mpsc::Receiver<Order>, mut stopped: watch::Receiver<bool>) {
        self.begin().await;
        loop {
            let due = self.agenda.first_key_value().map(|((due, _), _)| *due).expect("the next session is always due");
            let next = tokio::select! {
                // Whoever stops the fleet waits for it, and an order is heard before the next session starts.
                biased;
                _ = stopped.changed() => None,
                Some(order) = orders.recv() => Some(Some(order)),
                () = sleep_until(due) => Some(None),
            };
            match next {
                None => break,
                Some(Some(order)) => self.hear(order),
                Some(None) => self.act().await,
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
                let pause = self.session_every.mul_f64(self.rng.random_range(0.7..1.3));
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
        let session = Session { version: version.as_ref(), ordinal, success };
        for (after, body) in session.facts(&mut self.rng) {
            self.plan(at + after, Act::Say(id.clone(), Box::new(body)));
        }
    }

    async fn strike(&mut self, stroke: Stroke) {
        match stroke {
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
            self.say(Some(session), SessionEnded { reason: Some("platform went down".to_owned()), version: None }.into()).await;
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
