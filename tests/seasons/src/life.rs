//! The life of one agent, fact by fact, in the order in which it happens.
//!
//! Two streams of chance: one says when sessions come, how long they take and how they turn out, the other what is
//! called in them. So a life without calls has the same sessions with the same outcomes as the same life with them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kit::facts;
use kit::lives::BIRTH;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Poisson, StandardNormal};
use wire::{
    AgentId, Basis, Body, EscalationRaised, Event, ModelCalled, Offset, RecordId, RoomWatermark, SessionId, Timestamp, ToolReturned,
    VersionId,
};

use crate::nature::{BUSIEST, Nature, Traffic};

const SECOND_US: i64 = 1_000_000;
const DAY_S: f64 = 86_400.0;
/// Heartbeats come so often; one in a thousand is lost.
const BEAT_S: i64 = 900;
const BEATS_LOST: f64 = 0.001;
/// Between deployments at least, and beyond that on average.
const DEPLOY_AFTER_DAYS_MIN: f64 = 2.0;
const DEPLOY_AFTER_DAYS: f64 = 19.0;
/// A person declares the version that serves once in so many days, if it has served for a week.
const DECLARE_EVERY_DAYS: f64 = 90.0;
const DECLARE_AFTER_S: f64 = 7.0 * DAY_S;
/// The escalation room says how far it has looked.
const LOOK_EVERY_S: i64 = 600;
/// A platform acknowledges an order after so many seconds.
const ACKNOWLEDGE_S: i64 = 5;
/// Then it beats so often for a while, as most platforms always do: a quiet agent has few sessions to show its version by.
const SIGHTED_EVERY_S: i64 = 30;
const SIGHTINGS: i64 = 4;
/// A version that was taken back is looked at for a day, and found healthy.
const LIFT_AFTER_S: i64 = 86_400;
/// Classes of errors and how often each is the one: the first half of all failures, the next a quarter, and so on.
const ERRORS: [&str; 8] = ["Timeout", "RateLimited", "NotFound", "Conflict", "BadGateway", "Refused", "TooLarge", "Unreadable"];

/// What a life tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Everything.
    Whole,
    /// Starts, outcomes and ends of sessions, and what the platform and people do about versions.
    Sessions,
}

/// By how much a life's sessions succeed less than they did, and which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drop {
    /// Taken from the chance of success: 0.2 is 20 points.
    pub points: f64,
    /// Sessions of this version and later ones.
    pub from_version: u32,
}

/// A life under way.
pub struct Life {
    /// What the agent is like.
    pub nature: Nature,
    /// What goes wrong, if anything does.
    pub drop: Option<Drop>,
    /// Sessions that started since something went wrong.
    pub bad_sessions: u64,
    /// When the first of them did.
    pub bad_since: Option<Timestamp>,
    /// Deployments so far, the first included.
    pub deployments: u32,
    /// Sessions so far.
    pub sessions: u64,
    told: Told,
    deploys: bool,
    agent: AgentId,
    chance: ChaCha8Rng,
    talk: ChaCha8Rng,
    coming: BinaryHeap<Reverse<Due>>,
    order: u64,
    ids: u64,
    /// The version that serves, and since when.
    serving: u32,
    serving_since: Timestamp,
    /// The hour and how much more than usual fails in it.
    weather: (i64, f64),
}

/// Something that will happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    order: u64,
    /// What.
    pub what: What,
}

/// What happens. Sessions by their number.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is the fact of its name")]
pub enum What {
    Arrive,
    Started { session: u64, version: u32, task: usize },
    Model { session: u64, latency_ms: f64, tokens: (i64, i64), failed: bool },
    ToolCalled { session: u64, tool: usize, argument: u32 },
    ToolReturned { session: u64, tool: usize, error: Option<usize> },
    Raised { session: u64 },
    Outcome { session: u64, version: u32, success: bool },
    Ended { session: u64 },
    Beat,
    Deploy,
    Declare { again: bool },
    Acknowledge { order: RecordId, to: u32 },
    Sighted,
    Lift { version: u32 },
    Looked,
}

const TOOLS: [&str; 3] = ["lookup", "refund", "search"];

// === impl Life ===

impl Life {
    /// The life of an agent from its birth: version 1 serves and is declared.
    pub fn new(seed: u64, number: u64, traffic: Traffic, told: Told) -> Self {
        let stream = |stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(3 * number + stream);
            rng
        };
        let nature = Nature::draw(&mut stream(0), traffic);
        let mut life = Self {
            nature,
            drop: None,
            bad_sessions: 0,
            bad_since: None,
            deployments: 0,
            sessions: 0,
            told,
            deploys: false,
            agent: format!("agent-{number}").as_str().into(),
            chance: stream(1),
            talk: stream(2),
            coming: BinaryHeap::new(),
            order: 0,
            ids: 0,
            serving: 0,
            serving_since: BIRTH,
            weather: (i64::MIN, 1.0),
        };
        // No two lives begin at the same hour of the week.
        let birth = Timestamp(BIRTH.0 + (life.chance.random::<f64>() * 7.0 * DAY_S * SECOND_US as f64) as i64);
        life.put(birth, What::Deploy);
        life.put(birth, What::Declare { again: false });
        life.put(birth, What::Arrive);
        if told == Told::Whole {
            life.put(birth, What::Beat);
            life.put(birth, What::Looked);
        }
        life
    }

    /// Deploys new versions, none worse than the one before, and declares one now and then.
    pub fn with_deployments(mut self) -> Self {
        self.deploys = true;
        let birth = self.born();
        let at = self.next_deployment(birth);
        self.put(at, What::Deploy);
        self.put(after(birth, DECLARE_EVERY_DAYS * DAY_S), What::Declare { again: true });
        self
    }

    /// When it began, as long as nothing was asked of it.
    pub fn born(&self) -> Timestamp {
        self.coming.peek().map_or(BIRTH, |Reverse(due)| due.at)
    }

    /// What happens next. What it brings about later is put down.
    pub fn next_due(&mut self) -> Due {
        loop {
            let Reverse(due) = self.coming.pop().expect("sessions never cease to come");
            match &due.what {
                What::Arrive => self.arrive(due.at),
                What::Beat => {
                    let late_s: f64 = Exp1.sample(&mut self.talk);
                    let lost = self.talk.random_bool(BEATS_LOST);
                    self.put(due.at.plus_s(BEAT_S), What::Beat);
                    if !lost {
                        return Due { at: after(due.at, late_s), ..due };
                    }
                }
                What::Looked => {
                    self.put(due.at.plus_s(LOOK_EVERY_S), What::Looked);
                    return due;
                }
                What::Declare { again: true } => {
                    self.put(after(due.at, DECLARE_EVERY_DAYS * DAY_S), What::Declare { again: true });
                    if due.at.since_s(self.serving_since) >= DECLARE_AFTER_S {
                        return due;
                    }
                }
                What::Deploy => {
                    self.deploy(due.at);
                    if self.deploys && self.deployments > 1 {
                        let at = self.next_deployment(due.at);
                        self.put(at, What::Deploy);
                    }
                    return due;
                }
                What::Acknowledge { to, .. } => {
                    (self.serving, self.serving_since) = (*to, due.at);
                    (1..=SIGHTINGS).for_each(|beat| self.put(due.at.plus_s(beat * SIGHTED_EVERY_S), What::Sighted));
                    return due;
                }
                _ => return due,
            }
        }
    }

    /// The record of what happens, where the log has been read up to `asof`.
    pub fn event(&mut self, due: &Due, asof: Offset) -> Event {
        let (session, body): (Option<u64>, Body) = match &due.what {
            What::Arrive => unreachable!("an arrival is told by the start of its session"),
            What::Started { session, version, task } => {
                let segment = &self.nature.tasks[*task].segment;
                (Some(*session), facts::started(&name(*version), Some(segment)).into())
            }
            What::Model { session, latency_ms, tokens, failed } => {
                let used = facts::model_used(tokens.0, tokens.1, Some(*latency_ms));
                let error = failed.then(|| ERRORS[0].to_owned());
                (Some(*session), ModelCalled { failed: Some(*failed), error, ..used }.into())
            }
            What::ToolCalled { session, tool, argument } => {
                (Some(*session), facts::tool_called(TOOLS[*tool], Some(&format!(r#"{{"id":{argument}}}"#))).into())
            }
            What::ToolReturned { session, tool, error } => {
                let returned = facts::tool_returned(Some(error.is_some()));
                let error = error.map(|error| ERRORS[error].to_owned());
                (Some(*session), ToolReturned { tool: Some(TOOLS[*tool].to_owned()), error, ..returned }.into())
            }
            What::Raised { session } => return self.raised(due.at, *session, asof),
            What::Outcome { session, success, .. } => (Some(*session), facts::outcome(Some(*success)).into()),
            What::Ended { session } => (Some(*session), facts::ended().into()),
            What::Beat | What::Sighted => (None, facts::heartbeat(BEAT_S, Some(&name(self.serving))).into()),
            What::Deploy => (None, facts::deployed(&name(self.serving)).into()),
            What::Declare { .. } => (None, facts::baseline(&name(self.serving)).into()),
            What::Acknowledge { order, to } => (None, facts::acknowledged(order.as_str(), true, Some(&name(*to))).into()),
            What::Lift { version } => (None, facts::lifted(&name(*version)).into()),
            What::Looked => {
                let basis = basis(asof, due.at);
                let body = RoomWatermark { room: "escalation".to_owned(), partition: 0, basis };
                return self.record("/reeve/escalation", due.at, None, body.into());
            }
        };
        let session = session.map(session_id);
        self.record("/platforms/seasons", due.at, session, body)
    }

    /// Deploys one more version.
    pub fn deploy_at(&mut self, at: Timestamp) {
        self.put(at, What::Deploy);
    }

    /// The platform is ordered to go back.
    pub fn go_back(&mut self, at: Timestamp, order: RecordId, from: Option<&VersionId>, to: &VersionId) {
        self.put(at.plus_s(ACKNOWLEDGE_S), What::Acknowledge { order, to: number(to) });
        if let Some(from) = from {
            self.put(at.plus_s(LIFT_AFTER_S), What::Lift { version: number(from) });
        }
    }

    fn deploy(&mut self, at: Timestamp) {
        self.deployments += 1;
        (self.serving, self.serving_since) = (self.deployments, at);
    }

    fn next_deployment(&mut self, at: Timestamp) -> Timestamp {
        let days: f64 = Exp1.sample(&mut self.chance);
        after(at, (DEPLOY_AFTER_DAYS_MIN + DEPLOY_AFTER_DAYS * days) * DAY_S)
    }

    /// Somebody may come, more likely where it is busy (thinned from the busiest rate, Lewis and Shedler 1979).
    fn arrive(&mut self, at: Timestamp) {
        let wait: f64 = Exp1.sample(&mut self.chance);
        self.put(after(at, wait * DAY_S / (self.nature.sessions_per_day * BUSIEST)), What::Arrive);
        if self.chance.random::<f64>() < Nature::season(at) / BUSIEST {
            self.serve(at);
        }
    }

    fn serve(&mut self, at: Timestamp) {
        let (session, version) = (self.sessions, self.serving);
        self.sessions += 1;
        let place: f64 = self.chance.random();
        let task = self.nature.tasks.iter().position(|task| place < task.up_to).unwrap_or(0);
        let healthy = self.nature.succeeds(&self.nature.tasks[task], at);
        let drop = self.drop.filter(|drop| version >= drop.from_version);
        if drop.is_some() {
            self.bad_sessions += 1;
            self.bad_since.get_or_insert(at);
        }
        let success = self.chance.random::<f64>() < healthy - drop.map_or(0.0, |drop| drop.points);
        let spread: f64 = StandardNormal.sample(&mut self.chance);
        // Who fails gives up sooner.
        let haste = if success { 1.0 } else { 0.7 };
        let length_s = haste * (self.nature.session_ln_s + 0.6 * spread).exp();
        let (told, ends) = (self.chance.random::<f64>() >= self.nature.untold, self.chance.random::<f64>() >= self.nature.endless);
        self.put(at, What::Started { session, version, task });
        if self.told == Told::Whole {
            self.talk(at, session, length_s);
        }
        if told {
            self.put(after(at, length_s), What::Outcome { session, version, success });
        }
        if ends {
            self.put(after(at, length_s + 1.0), What::Ended { session });
        }
    }

    /// One turn and as many more as chance will have; in each the model is called, in every second a tool too.
    fn talk(&mut self, at: Timestamp, session: u64, length_s: f64) {
        let more: f64 = Poisson::new(1.0).expect("a rate").sample(&mut self.talk);
        let turns = 1 + (more as u64).min(9);
        let tool_fails = self.nature.tool_fails * self.weather(at);
        for turn in 0..turns {
            let begins = after(at, length_s * turn as f64 / turns as f64);
            let (slower, longer): (f64, f64) = (StandardNormal.sample(&mut self.talk), StandardNormal.sample(&mut self.talk));
            let latency_ms = (self.nature.latency_ln_ms + 0.1 * Nature::season(at) + 0.5 * slower).exp();
            let tokens = (self.nature.tokens_ln + 0.5 * longer).exp();
            let failed = self.talk.random::<f64>() < self.nature.model_fails;
            self.put(begins, What::Model { session, latency_ms, tokens: (tokens as i64, tokens as i64 / 4), failed });
            if self.talk.random_bool(0.5) {
                let (tool, argument) = (self.talk.random_range(0..TOOLS.len()), self.talk.random_range(0..1_000));
                self.put(begins, What::ToolCalled { session, tool, argument });
                let error = (self.talk.random::<f64>() < tool_fails).then(|| self.error());
                self.put(after(begins, 0.5), What::ToolReturned { session, tool, error });
            }
        }
        if self.talk.random::<f64>() < self.nature.escalates {
            self.put(after(at, length_s * 0.9), What::Raised { session });
        }
    }

    /// How much more than usual fails in this hour: tools have better and worse hours.
    fn weather(&mut self, at: Timestamp) -> f64 {
        const SPREAD: f64 = 0.4;
        let hour = at.0.div_euclid(3_600 * SECOND_US);
        if self.weather.0 != hour {
            let now: f64 = StandardNormal.sample(&mut self.talk);
            self.weather = (hour, (SPREAD * now - SPREAD * SPREAD / 2.0).exp());
        }
        self.weather.1
    }

    fn error(&mut self) -> usize {
        (0..ERRORS.len() - 1).find(|_| self.talk.random_bool(0.5)).unwrap_or(ERRORS.len() - 1)
    }

    fn raised(&mut self, at: Timestamp, session: u64, asof: Offset) -> Event {
        let body = EscalationRaised {
            agent_id: self.agent.clone(),
            escalation_id: format!("e{session}"),
            session_id: session_id(session),
            priority: 3,
            trigger: "asked".to_owned(),
            route: "team".to_owned(),
            due_at: at.plus_s(900),
            summary: "the customer asks for a human".to_owned(),
            basis: basis(asof, at),
            sla_s: None,
            from_priority: None,
            target_kind: None,
            target: None,
            topic: None,
            sentiment: None,
            confidence: None,
            steps: None,
            systems: None,
            retries: None,
            failures: None,
            threshold: None,
        };
        self.record("/reeve/escalation", at, Some(session_id(session)), body.into())
    }

    fn record(&mut self, source: &str, time: Timestamp, subject: Option<SessionId>, body: Body) -> Event {
        self.ids += 1;
        Event {
            key: self.agent.clone(),
            source: source.into(),
            id: self.ids.to_string().into(),
            time: Some(time),
            subject,
            causation: None,
            hops: 0,
            tenant: None,
            traceparent: None,
            body,
        }
    }

    fn put(&mut self, at: Timestamp, what: What) {
        self.order += 1;
        self.coming.push(Reverse(Due { at, order: self.order, what }));
    }
}

// === impl Due ===

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl Eq for Due {}

fn after(at: Timestamp, seconds: f64) -> Timestamp {
    Timestamp(at.0 + (seconds * SECOND_US as f64) as i64)
}

fn session_id(session: u64) -> SessionId {
    format!("s{session}").into()
}

/// The name of a version, and the version of a name.
fn name(version: u32) -> String {
    format!("v{version}")
}

fn number(version: &VersionId) -> u32 {
    version.as_str().trim_start_matches('v').parse().unwrap_or(0)
}

fn basis(asof: Offset, now: Timestamp) -> Basis {
    Basis { asof, now, rule: "seasons".to_owned(), policy: "none".to_owned(), causes: Vec::new(), accountable: "operations".to_owned() }
}
