//! A log of one partition, written fact by fact, with the room reading it: what it owes is published at once.

use machine::{Decision, Frontier, Machine};
use wire::{
    AgentId, BaselineDeclared, Body, Event, HarmReported, ModelCalled, Offset, OutcomeReported, Partition, PlatformHeartbeat,
    PolicyAdopted, Record, RecordId, Role, SessionEnded, SessionStarted, Timestamp, ToolReturned,
};

use crate::Incident;

pub(crate) const AGENT: &str = "support";

/// The log, the room that reads it, and what the room has said so far.
pub(crate) struct Life {
    pub(crate) room: Incident,
    pub(crate) now: Timestamp,
    pub(crate) said: Vec<Decision>,
    pub(crate) log: Vec<Record>,
    offset: i64,
    /// Whether facts say when they happened.
    pub(crate) timed: bool,
}

// === impl Life ===

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            room: Incident::default(),
            now: Timestamp::parse("2026-03-02T09:00:00Z").expect("a time"),
            said: Vec::new(),
            log: Vec::new(),
            offset: 0,
            timed: true,
        }
    }

    pub(crate) fn with_baseline(version: &str) -> Self {
        let mut life = Self::new();
        life.declare(version);
        life
    }

    /// Lets time pass, deadline by deadline, and publishes what it brings about.
    pub(crate) fn wait_s(&mut self, seconds: i64) {
        let until = self.now.plus_s(seconds);
        while let Some(due) = self.room.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            assert!(self.publish_owed() > 0, "a deadline that owes nothing would be asked for ever");
        }
        self.now = until;
    }

    /// Lets time pass while nobody publishes anything.
    pub(crate) fn wait_silently_s(&mut self, seconds: i64) {
        self.now = self.now.plus_s(seconds);
    }

    /// Appends a fact and publishes what it brings about.
    pub(crate) fn fact(&mut self, session: Option<&str>, body: impl Into<Body>) -> Record {
        let record = self.append(session, body, 0);
        self.publish_owed();
        record
    }

    /// Appends a fact and publishes nothing.
    pub(crate) fn append(&mut self, session: Option<&str>, body: impl Into<Body>, hops: u8) -> Record {
        let body: Body = body.into();
        let event = Event {
            key: AgentId::from(AGENT),
            source: "/platforms/test/agents/support".into(),
            id: RecordId::from(format!("fact-{}", self.offset)),
            time: self.timed.then_some(self.now),
            subject: session.map(Into::into),
            causation: None,
            hops,
            tenant: None,
            traceparent: None,
            body,
        };
        self.apply(event)
    }

    pub(crate) fn apply(&mut self, event: Event) -> Record {
        let record = Record { partition: Partition(0), offset: Offset(self.offset), appended: self.now, event };
        self.offset += 1;
        self.room.apply(&record);
        self.log.push(record.clone());
        record
    }

    pub(crate) fn frontier(&self) -> Frontier {
        Frontier { asof: Offset(self.offset - 1), now: self.now }
    }

    /// Publishes everything that is owed, echoes included, and says how much it was.
    pub(crate) fn publish_owed(&mut self) -> usize {
        let before = self.said.len();
        loop {
            let owed = self.room.owed(self.frontier());
            if owed.is_empty() {
                return self.said.len() - before;
            }
            for decision in owed {
                self.apply(decision.to_event(Incident::SERVICE));
                self.said.push(decision);
            }
        }
    }

    /// Kind, level and rule of everything said.
    pub(crate) fn words(&self) -> Vec<String> {
        self.said.iter().map(|decision| word(&decision.body)).collect()
    }

    // Facts.

    pub(crate) fn start(&mut self, session: &str, version: &str, segment: Option<&str>) {
        let started = SessionStarted { version: Some(version.into()), segment: segment.map(Into::into), channel: None, environment: None };
        self.fact(Some(session), started);
    }

    pub(crate) fn outcome(&mut self, session: &str, success: bool) {
        self.fact(Some(session), outcome(Some(success)));
    }

    pub(crate) fn end(&mut self, session: &str) {
        self.fact(Some(session), SessionEnded { reason: None, version: None });
    }

    /// A whole session, ten seconds long.
    pub(crate) fn session(&mut self, session: &str, version: &str, segment: Option<&str>, success: bool) {
        self.start(session, version, segment);
        self.wait_s(10);
        self.outcome(session, success);
        self.end(session);
    }

    pub(crate) fn harm(&mut self, confirmed: bool) {
        self.fact(None, harm(confirmed));
    }

    pub(crate) fn beat(&mut self, interval_s: i64) {
        self.fact(None, PlatformHeartbeat { interval_s, serving_version: None });
    }

    pub(crate) fn tool(&mut self, by: Role, failed: Option<bool>) {
        let returned = ToolReturned {
            tool: Some("lookup".to_owned()),
            by,
            call_id: None,
            result: None,
            failed,
            error: None,
            latency_ms: None,
            turn: None,
            version: Some("v1".into()),
        };
        self.fact(None, returned);
    }

    pub(crate) fn declare(&mut self, version: &str) {
        self.fact(None, BaselineDeclared { version: version.into(), author: "ann".to_owned(), reason: "it works".to_owned() });
    }

    pub(crate) fn adopt(&mut self, version: &str, document: &str) {
        let adopted = PolicyAdopted {
            room: "incident".to_owned(),
            version: version.to_owned(),
            document: document.to_owned(),
            author: "ann".to_owned(),
            reason: "we know better".to_owned(),
        };
        self.fact(None, adopted);
    }
}

pub(crate) fn outcome(success: Option<bool>) -> OutcomeReported {
    OutcomeReported { success, csat: None, handled_by: None, handling_s: None, version: None }
}

pub(crate) fn harm(confirmed: bool) -> HarmReported {
    HarmReported { category: "wrong_refund".to_owned(), confirmed, description: None, reporter: None, version: None }
}

pub(crate) fn model(failed: Option<bool>) -> ModelCalled {
    ModelCalled {
        model: None,
        served_model: None,
        by: Role::Agent,
        tokens_in: None,
        tokens_out: None,
        cost_usd: None,
        latency_ms: None,
        finish_reason: None,
        failed,
        error: None,
        turn: None,
        version: Some("v1".into()),
    }
}

fn word(body: &Body) -> String {
    let rule = body.basis().map_or("", |basis| basis.rule.as_str());
    match body {
        Body::IncidentOpened(opened) => format!("opened {} {rule}{}", opened.level, if opened.provisional { " provisional" } else { "" }),
        Body::IncidentAggravated(said) => format!("aggravated {} {rule}", said.level),
        Body::IncidentEased(said) => format!("eased {}", said.level),
        Body::IncidentResolved(said) => format!("resolved {rule} {}", said.harms),
        other => format!("{:?}", other.kind()),
    }
}
