//! What an agent takes in a snapshot: little when it is quiet, and never more than its bound.

use machine::{Fold, Frontier, Machine};
use wire::{AgentId, Event, RecordId};

use super::*;

/// A quiet agent's bytes in a snapshot, on average.
const QUIET_BYTES_MAX: usize = 1 << 10;

#[test]
fn a_quiet_agent_takes_at_most_a_kibibyte() {
    const AGENTS: i64 = 500;
    const SESSIONS: i64 = 20;
    let mut log = Log::new();
    for session in 0..SESSIONS {
        for agent in 0..AGENTS {
            log.now = at((session * AGENTS + agent) * 600 / AGENTS);
            log.session(&format!("agent-{agent:05}"), session);
        }
        log.settle();
    }
    let bytes = log.bytes() / AGENTS as usize;
    println!("{bytes} bytes per agent, of {AGENTS} with {SESSIONS} finished sessions each");
    assert!(bytes <= QUIET_BYTES_MAX, "{bytes} bytes per agent");
}

/// Facts of the highest cost that the door lets in, which together cost more than a window can tell.
const PRICELESS: i64 = 18_500;

/// The worst that a platform can do to one agent: every window open and every bin of its sketch filled, more sessions than
/// are followed, every budget under watch, the longest names, two minutes that each cost more than can be told, and what
/// the last minute owes has not come home.
#[test]
fn a_hostile_agent_stays_within_its_bound() {
    let mut log = Log::new();
    let document = r#"{"budgets": {"tokens_per_minute": 1, "cost_usd_per_day": 1, "concurrent_sessions": 1}, "session_timeout_s": 604800}"#;
    let adopted = PolicyAdopted {
        room: "capacity".to_owned(),
        version: "v".repeat(256),
        document: document.to_owned(),
        author: "ann".to_owned(),
        reason: "hm".to_owned(),
    };
    log.fact("hostile", "s", adopted);
    log.now = at(86_400 - 3_600);
    for minute in 0..63 {
        log.now = log.now.plus_s(60);
        for bin in 0..1_380 {
            let latency_ms = 1e-3 * (1.01_f64 / 0.99).powi(bin);
            let most = ModelCalled { latency_ms: Some(latency_ms), cost_usd: Some(1e6), ..tokens(1_000_000_000) };
            if minute % 20 == 0 || minute > 58 {
                log.fact("hostile", "s", most);
            }
        }
        if minute > 60 {
            (0..PRICELESS).for_each(|_| log.fact("hostile", "s", costs(1e6)));
        }
        log.settle();
        log.fact("hostile", "s", tokens(minute));
    }
    for session in 0..crate::sessions::SESSIONS_MAX + 100 {
        log.fact("hostile", &format!("{session:0>256}"), started("v1", None));
    }
    let (bytes, bound) = (log.bytes(), Capacity::BYTES_PER_AGENT_MAX);
    println!("{bytes} bytes of one hostile agent, of at most {bound}");
    assert!(bytes > 100_000, "this is not hostile: {bytes} bytes");
    assert!(bytes <= bound, "{bytes} of {bound} bytes");
}

/// A room that is behind owes every window that has closed meanwhile, until its decisions come home. Nothing but their
/// number limits what they take.
#[test]
fn a_window_that_waits_for_the_log_takes_at_most_a_kibibyte() {
    const MINUTES: i64 = 1_440;
    let mut log = Log::new();
    for minute in 0..MINUTES {
        log.now = at(60 * minute);
        log.session("busy", minute);
    }
    let owed = log.fold.machine().owed(Frontier { asof: Offset(log.next - 1), now: Timestamp::MIN }).len();
    assert!(owed as i64 >= MINUTES - 3, "{owed}");
    let bytes = log.bytes() / owed;
    println!("{bytes} bytes per window owed, of {owed}");
    assert!(bytes <= 1 << 10, "{bytes} bytes per window");
}

/// A log of one partition with many agents on it.
struct Log {
    fold: Fold<Capacity>,
    now: Timestamp,
    next: i64,
}

// === impl Log ===

impl Log {
    fn new() -> Self {
        Self { fold: Fold::new(Partition(0)), now: at(0), next: 0 }
    }

    /// What the machine takes: the window of repeated facts is the fold's, per partition.
    fn bytes(&self) -> usize {
        let mut written = Vec::new();
        ciborium::into_writer(self.fold.machine(), &mut written).expect("a vector takes every write");
        written.len()
    }

    fn session(&mut self, agent: &str, number: i64) {
        let session = format!("{agent}-session-{number}");
        self.fact(agent, &session, started("v1", None));
        for _ in 0..2 {
            let called =
                ModelCalled { latency_ms: Some(700.0 + number as f64 * 90.0), cost_usd: Some(0.01), failed: Some(false), ..tokens(900) };
            self.fact(agent, &session, called);
            self.fact(agent, &session, tool_returned(Some(false)));
        }
        self.fact(agent, &session, outcome(Some(true)));
        self.fact(agent, &session, ended());
    }

    /// A fact whose id is as long as platforms make them, or as ids may be.
    fn fact(&mut self, agent: &str, session: &str, body: impl Into<Body>) {
        let id = if agent == "hostile" { format!("{:0>256}", self.next) } else { format!("01926f6e-7b3a-7c41-8f10-{:012x}", self.next) };
        let event = Event {
            key: AgentId::from(agent),
            source: format!("/platforms/test/agents/{agent}").into(),
            id: RecordId::from(id),
            time: Some(self.now),
            subject: Some(session.into()),
            causation: None,
            hops: 0,
            tenant: None,
            traceparent: None,
            body: body.into(),
        };
        self.append(event);
    }

    fn append(&mut self, event: Event) {
        self.fold.fold(&record(self.next, self.now, event));
        self.next += 1;
    }

    fn settle(&mut self) {
        let owed = self.fold.machine().owed(Frontier { asof: Offset(self.next - 1), now: self.now });
        owed.iter().for_each(|decision| self.append(decision.to_event("capacity")));
    }
}
