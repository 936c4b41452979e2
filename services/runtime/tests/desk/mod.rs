//! A small room and a world around it, for the tests of pump and room.
//!
//! The desk opens an incident at every harm, at once, and at every session that is silent for a minute.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use machine::{Agenda, Debt, Ledger, Machine, Standing};
use runtime::Coded;
use runtime::errors::Fate;
use runtime::log::memory::{CommitFault, FaultPlan, MemoryLog, MemoryOptions};
use runtime::log::{Addressed, CommitError, Log, Polled, Transaction};
use runtime::pump::{Pump, PumpOptions, Step};
use serde::{Deserialize, Serialize};
use wire::partitioner::partition_of;
use wire::record::decision_id;
use wire::{
    AgentId, Basis, Body, Event, HarmReported, IncidentOpened, Kind, Level, Numbers, Offset, Partition, Record, RecordId, SessionEnded,
    SessionId, SessionStarted, Timestamp,
};

/// A session that says nothing for longer is silent.
pub(crate) const SILENCE_S: i64 = 60;
/// Steps after which a world that does not come to rest is broken.
const STEPS_MAX: usize = 20_000;

/// The room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Desk {
    agents: BTreeSet<AgentId>,
    silent_at: Agenda<Open>,
    debts: Ledger,
}

/// A session that is open: ordered by the decision that its silence would be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Open {
    id: RecordId,
    agent: AgentId,
    session: SessionId,
}

// === impl Desk ===

impl Machine for Desk {
    const SERVICE: &'static str = "desk";
    const VERSION: u32 = 1;
    const READS: &'static [Kind] =
        &[Kind::SessionStarted, Kind::SessionEnded, Kind::HarmReported, Kind::IncidentOpened, Kind::RoomWatermark];
    const DECISIONS_PER_RECORD_MAX: usize = 1;
    const BYTES_PER_AGENT_MAX: usize = 1 << 20;

    fn apply(&mut self, record: &Record) {
        let session = record.subject.clone().unwrap_or_else(|| "none".into());
        let open = |name: &str, opener: &str| Open {
            id: decision_id("desk", record.key.as_str(), opener, name, 0),
            agent: record.key.clone(),
            session: session.clone(),
        };
        match &record.body {
            Body::SessionStarted(_) => {
                self.agents.insert(record.key.clone());
                self.silent_at.set(&open("silence", session.as_str()), Some(record.appended.plus_s(SILENCE_S)));
            }
            Body::SessionEnded(_) => {
                let known = open("silence", session.as_str());
                if self.silent_at.get(&known).is_some_and(|due| record.appended <= due) {
                    self.silent_at.set(&known, None);
                }
            }
            Body::HarmReported(harm) => {
                assert!(harm.category != "panic", "the desk was told to panic");
                self.agents.insert(record.key.clone());
                let owed = open("harm", &record.opener());
                self.debts.owe(debt(&owed, Some(record.id.clone())));
            }
            Body::IncidentOpened(_) => {
                self.debts.settle(&record.id);
                let due = self.silent_at.due(Timestamp::MAX).find(|(_, open)| open.id == record.id).map(|(_, open)| open.clone());
                if let Some(open) = due {
                    self.silent_at.set(&open, None);
                }
            }
            _ => {}
        }
    }

    fn debts(&self, now: Timestamp) -> Vec<Cow<'_, Debt>> {
        let silent = self.silent_at.due(now).map(|(_, open)| debt(open, None));
        self.debts.debts().map(Cow::Borrowed).chain(silent.map(Cow::Owned)).collect()
    }

    fn next_deadline(&self, time: Timestamp) -> Option<Timestamp> {
        self.silent_at.first_after(time)
    }

    fn next_due(&self) -> Option<Timestamp> {
        if self.debts.is_empty() { self.silent_at.first() } else { Some(Timestamp::MIN) }
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        let n = self.silent_at.due(Timestamp::MAX).filter(|(_, open)| open.agent == *agent).count();
        let (room, matter) = ("desk".to_owned(), "sessions".to_owned());
        vec![Standing { room, matter, n: Some(n as u64), detail: Some(now.to_string()), ..Standing::default() }]
    }

    fn agents(&self) -> Vec<AgentId> {
        self.agents.iter().cloned().collect()
    }
}

fn debt(open: &Open, causation: Option<RecordId>) -> Debt {
    let basis = Basis {
        asof: Offset::BEFORE_ALL,
        now: Timestamp(0),
        rule: "desk".to_owned(),
        policy: "none".to_owned(),
        causes: Vec::new(),
        accountable: "tests".to_owned(),
    };
    let body = IncidentOpened {
        agent_id: open.agent.clone(),
        incident_id: open.id.as_str().into(),
        level: Level::P1,
        provisional: false,
        version: None,
        against: None,
        session_id: Some(open.session.clone()),
        harms: 1,
        numbers: Numbers::default(),
        summary: "a test".to_owned(),
        basis,
    };
    Debt { id: open.id.clone(), key: open.agent.clone(), subject: Some(open.session.clone()), causation, hops: 1, body: body.into() }
}

/// Somebody was harmed.
pub(crate) fn harm(category: &str) -> Body {
    HarmReported { category: category.to_owned(), confirmed: true, description: None, reporter: None, version: None }.into()
}

/// The one agent of a partition: the first whose key belongs there.
pub(crate) fn agent(partition: Partition, partitions: u32) -> AgentId {
    let names = (0..).map(|number| format!("agent-{number}"));
    let mut at_home = names.filter(|name| partition_of(name.as_bytes(), partitions) == partition);
    at_home.next().expect("there is no end of names").into()
}

/// The fact number `nth`, about the one agent of `partition`, if that is the only one.
pub(crate) fn fact(nth: u64, partition: u32, session: &str, body: Body) -> Event {
    Event {
        key: format!("agent-{partition}").as_str().into(),
        source: "/platforms/tests".into(),
        id: format!("fact-{nth}").as_str().into(),
        time: None,
        subject: Some(session.into()),
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body,
    }
}

/// Every decision on a log, by partition and offset, watermarks too.
pub(crate) fn decisions(log: &dyn Log) -> Vec<Record> {
    let mut decisions = Vec::new();
    for partition in (0..log.partitions()).map(Partition) {
        let stored = log.read(partition, Offset(0), usize::MAX).expect("the log can be read");
        let read = stored.iter().filter_map(|stored| Record::read(stored).ok());
        decisions.extend(read.filter(|record| record.body.kind().is_decision()));
    }
    decisions
}

/// A log in memory and what is said on it.
pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    said: u64,
}

// === impl World ===

impl World {
    pub(crate) fn new(partitions: u32) -> Self {
        Self::with_faults(partitions, 0, FaultPlan::default())
    }

    pub(crate) fn with_faults(partitions: u32, seed: u64, faults: FaultPlan) -> Self {
        Self::with(MemoryOptions { partitions, seed, faults, ..MemoryOptions::default() })
    }

    pub(crate) fn with(options: MemoryOptions) -> Self {
        Self { log: MemoryLog::new(options), said: 0 }
    }

    pub(crate) fn pump(&self) -> Pump<Desk> {
        self.pump_with(PumpOptions::default())
    }

    pub(crate) fn pump_with(&self, options: PumpOptions) -> Pump<Desk> {
        Pump::new(self.log.clone(), options)
    }

    /// Says at second `at_s` that a session started.
    pub(crate) fn started(&mut self, at_s: i64, partition: u32, session: &str) {
        self.say(at_s, partition, session, SessionStarted { version: None, segment: None, channel: None, environment: None }.into());
    }

    /// Says at second `at_s` that a session ended.
    pub(crate) fn ended(&mut self, at_s: i64, partition: u32, session: &str) {
        self.say(at_s, partition, session, SessionEnded { reason: None, version: None }.into());
    }

    /// Says at second `at_s` that an agent did harm.
    pub(crate) fn harm(&mut self, at_s: i64, partition: u32) {
        self.harm_of(at_s, partition, "tests");
    }

    pub(crate) fn harm_of(&mut self, at_s: i64, partition: u32, category: &str) {
        self.say(at_s, partition, "none", harm(category));
    }

    /// Says at this very moment that an agent did harm.
    pub(crate) fn harm_now(&mut self, partition: u32) {
        self.say_now(partition, "none", harm("tests"));
    }

    fn say(&mut self, at_s: i64, partition: u32, session: &str, body: Body) {
        self.log.set_now(Timestamp(0).plus_s(at_s));
        self.say_now(partition, session, body);
    }

    fn say_now(&mut self, partition: u32, session: &str, body: Body) {
        self.said += 1;
        let key = agent(Partition(partition), self.log.partitions());
        let event = Event { key, ..fact(self.said, partition, session, body) };
        self.log
            .publish_unchecked(vec![Addressed { partition: Partition(partition), record: event.to_raw() }])
            .expect("the partition exists");
    }

    /// Somebody of another group begins a transaction on the first partition and is gone.
    pub(crate) fn leave_a_transaction_open(&mut self, who: &str) {
        let mut consumer = self.log.consumer("others", who).expect("the log is there");
        while !matches!(consumer.poll(1), Ok(Polled::Assigned(_))) {}
        let mut producer = self.log.producer(who).expect("the log is there");
        self.log.fail_next_commit(who, CommitFault::CrashBeforeCommit);
        self.said += 1;
        let record = Event { key: agent(Partition(0), self.log.partitions()), ..fact(self.said, 0, "none", harm("tests")) }.to_raw();
        let records = vec![Addressed { partition: Partition(0), record }];
        let left = producer.commit(Transaction { records, offsets: Vec::new(), membership: consumer.membership() });
        assert!(matches!(left, Err(CommitError::Unknown { .. })), "{left:?}");
    }

    /// Lets so many seconds pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.log.set_now(self.log.now().plus_s(seconds));
    }

    /// Every incident on the log, by partition and offset.
    pub(crate) fn incidents(&self) -> Vec<Record> {
        self.decisions().into_iter().filter(|record| record.body.kind() == Kind::IncidentOpened).collect()
    }

    /// Every decision on the log, watermarks too.
    pub(crate) fn decisions(&self) -> Vec<Record> {
        decisions(&*self.log)
    }
}

/// Steps until nothing happens any more. What is worth another try is tried again.
pub(crate) fn settle(pump: &mut Pump<Desk>) -> Step {
    let mut idle = 0;
    for _ in 0..STEPS_MAX {
        match pump.step() {
            Ok(step) if step.idle => idle += 1,
            Ok(_) => idle = 0,
            Err(error) => {
                assert_eq!(error.fate(), Fate::Retry, "{error:?}");
                idle = 0;
            }
        }
        // Two in a row: a poll that lagged may be followed by one that does not.
        if idle == 2 {
            return pump.step().expect("it was idle");
        }
    }
    panic!("the pump did not come to rest in {STEPS_MAX} steps");
}
