//! What an agent takes in a snapshot: little when it is quiet, and never more than its bound.

use machine::Machine;
use wire::{AgentId, Body, Event, Offset, Partition, Record, RecordId, Role, SessionEnded, SessionStarted, Timestamp, ToolReturned};

use super::life::{model, outcome};
use crate::Incident;

/// A quiet agent's bytes in a snapshot, on average.
const QUIET_BYTES_MAX: usize = 1 << 10;

#[test]
fn a_quiet_agent_takes_at_most_a_kibibyte() {
    const AGENTS: i64 = 10_000;
    const SESSIONS: i64 = 20;
    let mut log = Log::new();
    for session in 0..SESSIONS {
        for agent in 0..AGENTS {
            log.now = Timestamp(log.begun.0 + (session * AGENTS + agent) * 60_000);
            log.session(&format!("agent-{agent:05}"), session, session % 10 != 3);
        }
    }
    let bytes = log.bytes();
    println!("{} bytes per agent, of {AGENTS} with {SESSIONS} finished sessions each", bytes / AGENTS as usize);
    assert!(bytes <= AGENTS as usize * QUIET_BYTES_MAX, "{} bytes per agent", bytes / AGENTS as usize);
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
    fn session(&mut self, agent: &str, number: i64, success: bool) {
        let session = format!("{agent}-session-{number}");
        let version = if number < 10 { "v1" } else { "v2" };
        let started = SessionStarted { version: Some(version.into()), segment: None, channel: None, environment: None };
        self.fact(agent, &session, started);
        for _ in 0..2 {
            self.fact(agent, &session, wire::ModelCalled { version: None, ..model(Some(false)) });
            self.fact(agent, &session, tool(Some(!success)));
        }
        self.fact(agent, &session, outcome(Some(success)));
        self.fact(agent, &session, SessionEnded { reason: None, version: None });
    }

    fn fact(&mut self, agent: &str, session: &str, body: impl Into<Body>) {
        let id = RecordId::from(format!("01926f6e-7b3a-7c41-8f10-{:012x}", self.next));
        self.fact_as(agent, id, session, body);
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
