//! What an agent takes in a snapshot: little when it is quiet, and never more than its bound.

use machine::Machine;
use wire::{AgentId, Body, Event, Offset, Partition, Record, RecordId, Role, SessionEnded, SessionStarted, Timestamp, ToolReturned};

use super::life::{model, outcome};
use crate::Incident;

/// A quiet agent's bytes in a snapshot, on average.
const QUIET_BYTES_MAX: usize = 1 << 10;

#[test]
fn a_quiet_agent_takes_at_most_a_kibibyte() {
    let bytes = quiet_bytes(10_000, false);
    println!("{bytes} bytes per agent that tells whether its calls fail");
    assert!(bytes <= QUIET_BYTES_MAX, "{bytes} bytes per agent");
}

#[test]
fn a_quiet_agent_that_tells_what_its_calls_took_takes_little_more() {
    let bytes = quiet_bytes(1_000, true);
    println!("{bytes} bytes per agent that tells times, tokens and arguments too");
    assert!(bytes <= QUIET_BYTES_MAX + QUIET_BYTES_MAX / 4, "{bytes} bytes per agent");
}

/// Bytes of an agent with 20 finished sessions, on average over so many. `tells`: what its calls took, and with what.
fn quiet_bytes(agents: i64, tells: bool) -> usize {
    const SESSIONS: i64 = 20;
    let mut log = Log::new();
    for session in 0..SESSIONS {
        for agent in 0..agents {
            log.now = Timestamp(log.begun.0 + (session * agents + agent) * 600_000_000 / agents);
            log.session(&format!("agent-{agent:05}"), session, session % 10 != 3, tells);
        }
    }
    log.bytes() / agents as usize
}

/// The worst that a platform can do to one agent: every cap reached with the longest names that the door lets in.
#[test]
fn a_hostile_agent_stays_within_its_bound() {
    let mut log = Log::new();
    let document = r#"{"criteria": ["error_free", "not_escalated", "in_time"], "in_time_s": 1, "slow_ms": 1,
        "session_timeout_s": 604800, "objectives": {"success": 0.95, "slowness": 0.95}}"#;
    log.fact("hostile", "s", policy(document));
    log.fact("hostile", "s", wire::BaselineDeclared { version: version(0), author: "ann".to_owned(), reason: "hm".to_owned() });
    for minute in 0..60 {
        log.now = log.now.plus_s(60);
        for number in 17..80 {
            let called = wire::ModelCalled { version: Some(version(number)), latency_ms: Some(9.0), ..model(Some(true)) };
            log.long_fact("hostile", "s", called);
            let error = Some(format!("{number:0>1000}"));
            log.long_fact("hostile", "s", ToolReturned { version: Some(version(number)), error, ..tool(Some(true)) });
            if minute % 4 == 0 {
                log.whole_session(&format!("{number}-{minute}"), number);
            }
        }
        log.long_fact("hostile", "s", wire::HarmReported { version: Some(version(17 + minute)), ..super::life::harm(true) });
    }
    for session in 0..crate::sessions::SESSIONS_MAX + 1_000 {
        log.long_start(&format!("open-{session}"), 17 + session % 63);
        log.long_fact("hostile", &format!("open-{session}"), tool(Some(true)));
    }
    for session in 0..130 {
        for call in 0..8 * 13 {
            log.long_fact("hostile", &format!("loop-{session}"), called_with(&format!("{}", call % 8)));
        }
    }
    let (bytes, bound) = (log.bytes(), Incident::BYTES_PER_AGENT_MAX);
    println!("{bytes} bytes of one hostile agent, of at most {bound}");
    assert!(bytes > 1 << 20, "this is not hostile: {bytes} bytes");
    assert!(bytes <= bound, "{bytes} of {bound} bytes");
    assert!(log.room.next_due().is_some(), "it is still followed");
}

/// A log of one partition with many agents on it.
struct Log {
    room: Incident,
    begun: Timestamp,
    now: Timestamp,
    next: i64,
}

// === impl Log ===

impl Log {
    fn new() -> Self {
        let begun = Timestamp::parse("2026-03-02T09:00:00Z").expect("a time");
        Self { room: Incident::default(), begun, now: begun, next: 0 }
    }

    fn bytes(&self) -> usize {
        let mut written = Vec::new();
        ciborium::into_writer(&self.room, &mut written).expect("a vector takes every write");
        written.len()
    }

    /// A whole session with a few calls, ids as platforms give them.
    fn session(&mut self, agent: &str, number: i64, success: bool, tells: bool) {
        let session = format!("{agent}-session-{number}");
        let version = if number < 10 { "v1" } else { "v2" };
        let started = SessionStarted { version: Some(version.into()), segment: None, channel: None, environment: None };
        self.fact(agent, &session, started);
        for _ in 0..2 {
            let took = tells.then_some(700 + 90 * (number % 7));
            let called =
                wire::ModelCalled { tokens_in: took, tokens_out: took, latency_ms: took.map(|took| took as f64), ..model(Some(false)) };
            self.fact(agent, &session, wire::ModelCalled { version: None, ..called });
            if tells {
                self.fact(agent, &session, called_with("{}"));
            }
            self.fact(agent, &session, tool(Some(!success)));
        }
        self.fact(agent, &session, outcome(Some(success)));
        self.fact(agent, &session, SessionEnded { reason: None, version: None });
    }

    fn fact(&mut self, agent: &str, session: &str, body: impl Into<Body>) {
        let id = RecordId::from(format!("01926f6e-7b3a-7c41-8f10-{:012x}", self.next));
        self.fact_as(agent, id, session, body);
    }

    /// A fact whose id is as long as ids may be.
    fn long_fact(&mut self, agent: &str, session: &str, body: impl Into<Body>) {
        let id = RecordId::from(format!("{:0>256}", self.next));
        self.fact_as(agent, id, session, body);
    }

    fn long_start(&mut self, session: &str, number: usize) {
        let segment = Some(session.into());
        let started = SessionStarted { version: Some(version(number)), segment, channel: None, environment: None };
        self.long_fact("hostile", session, started);
    }

    fn whole_session(&mut self, session: &str, number: usize) {
        self.long_start(session, number);
        self.long_fact("hostile", session, tool(Some(true)));
        let failed = wire::OutcomeReported { handled_by: Some(Role::Human), ..outcome(Some(false)) };
        self.long_fact("hostile", session, failed);
        self.now = self.now.plus_s(2);
        self.long_fact("hostile", session, SessionEnded { reason: None, version: None });
    }

    fn fact_as(&mut self, agent: &str, id: RecordId, session: &str, body: impl Into<Body>) {
        let event = Event {
            key: AgentId::from(agent),
            source: format!("/platforms/test/agents/{agent}").into(),
            id,
            time: Some(self.now),
            subject: Some(session.into()),
            causation: None,
            hops: 0,
            tenant: None,
            traceparent: None,
            body: body.into(),
        };
        self.room.apply(&Record { partition: Partition(0), offset: Offset(self.next), appended: self.now, event });
        self.next += 1;
    }
}

fn called_with(arguments: &str) -> wire::ToolCalled {
    let (tool, arguments) = ("lookup".to_owned(), Some(arguments.to_owned()));
    wire::ToolCalled { tool, by: Role::Agent, call_id: None, arguments, turn: None, version: None }
}

fn tool(failed: Option<bool>) -> ToolReturned {
    ToolReturned {
        tool: Some("lookup".to_owned()),
        by: Role::Agent,
        call_id: None,
        result: None,
        failed,
        error: None,
        latency_ms: None,
        turn: None,
        version: None,
    }
}

/// A version with a name as long as names may be.
fn version(number: usize) -> wire::VersionId {
    format!("{number:0>256}").into()
}

fn policy(document: &str) -> wire::PolicyAdopted {
    wire::PolicyAdopted {
        room: "incident".to_owned(),
        version: "hostile".to_owned(),
        document: document.to_owned(),
        author: "ann".to_owned(),
        reason: "hm".to_owned(),
    }
}
