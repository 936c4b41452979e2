//! What an event costs a deciding room: through decode and fold as the driver does them, and in memory.

use cpu_time::ThreadTime;
use machine::{Fold, Machine};
use runtime::driver::{Driver, Topic};
use wire::{Event, Offset, Partition, Record, StoredRecord, Timestamp};

use crate::Failure;
use crate::counting::counted;
use crate::recorded::Recorded;
use crate::table::{Goal, Lines, Sample};

/// The name of this part.
pub(crate) const PART: &str = "rooms";

/// Passes over the log in a round: one alone is over in the blink of a clock.
const PASSES: usize = 3;
/// Records of one poll.
const POLL_RECORDS: usize = 500;
/// Agents of the steady state.
const AGENTS: usize = 100_000;
/// Sessions that each of them has lived through.
const SESSIONS_PER_AGENT: usize = 2;
/// Facts of the longest session that is lived through again: the steady state is measured in minutes, not in hours.
const SESSION_FACTS_MAX: usize = 60;
/// Sessions of the fleet after which what is owed comes home.
const HOME_EVERY_SESSIONS: usize = 100;
/// Between two sessions of the fleet.
const SESSION_EVERY_US: i64 = 400_000;

/// A room that is measured.
pub(crate) struct Room {
    name: &'static str,
    /// Events per second that it shall reach.
    pace: f64,
    fold: fn(&Recorded) -> (u64, f64),
    settled: fn(&Recorded) -> (u64, u64),
    lived: fn(&[Vec<&Event>]) -> Lived,
}

/// What a fleet left in a room.
struct Lived {
    heap_bytes: i64,
    snapshot_bytes: usize,
}

/// Every deciding room.
pub(crate) fn all() -> Vec<Room> {
    vec![
        Room::of::<incident::Incident>(1e6),
        Room::of::<rollback::Rollback>(1e6),
        Room::of::<capacity::Capacity>(1e6),
        Room::of::<escalation::Escalation>(2e5),
    ]
}

// === impl Room ===

impl Room {
    fn of<M: Machine>(pace: f64) -> Self {
        Self { name: M::SERVICE, pace, fold: fold::<M>, settled: settled::<M>, lived: lived::<M> }
    }

    /// One round: so many passes over the log.
    pub(crate) fn round(&self, recorded: &Recorded, lines: &mut Lines) {
        let (events, cpu_s) = (0..PASSES).map(|_| (self.fold)(recorded)).fold((0, 0.0), |sum, pass| (sum.0 + pass.0, sum.1 + pass.1));
        let sample = Sample { cpu_s, value: events as f64 / cpu_s };
        lines.note(PART, &format!("{}: decode and fold", self.name), "events per CPU second", Some(Goal::AtLeast(self.pace)), sample);
    }

    /// Allocations in the second half of every partition.
    pub(crate) fn allocations(&self, recorded: &Recorded, lines: &mut Lines) {
        let began = ThreadTime::now();
        let (events, allocations) = (self.settled)(recorded);
        let sample = Sample { cpu_s: began.elapsed().as_secs_f64(), value: allocations as f64 / events as f64 };
        lines.note(PART, &format!("{}: allocations", self.name), "per event", Some(Goal::AtMost(0.0)), sample);
    }

    /// Bytes of a fleet of [`AGENTS`] that live through recorded sessions.
    pub(crate) fn memory(&self, facts: &[Event], lines: &mut Lines) -> Result<(), Failure> {
        let sessions = sessions(facts);
        if sessions.is_empty() {
            return Err(Failure(format!("no session of the log has {SESSION_FACTS_MAX} facts at most")));
        }
        let began = ThreadTime::now();
        let lived = (self.lived)(&sessions);
        let cpu_s = began.elapsed().as_secs_f64();
        let per_agent = |bytes: f64| Sample { cpu_s, value: bytes / AGENTS as f64 };
        lines.note(
            PART,
            &format!("{}: heap", self.name),
            "bytes per agent",
            Some(Goal::AtMost(1024.0)),
            per_agent(lived.heap_bytes as f64),
        );
        lines.note(PART, &format!("{}: snapshot", self.name), "bytes per agent", None, per_agent(lived.snapshot_bytes as f64));
        Ok(())
    }
}

/// Reads and folds the whole log as a driver does that restores: records passed, and CPU seconds for them. What is handed
/// out is made ready before.
fn fold<M: Machine>(recorded: &Recorded) -> (u64, f64) {
    let (mut folded, mut cpu_s) = (0, 0.0);
    for records in &recorded.partitions {
        let mut driver = driver::<M>(recorded, records);
        let polls: Vec<_> = records.chunks(POLL_RECORDS).map(<[StoredRecord]>::to_vec).collect();
        let began = ThreadTime::now();
        folded += polls.into_iter().map(|poll| take(&mut driver, poll)).sum::<u64>();
        cpu_s += began.elapsed().as_secs_f64();
    }
    (folded, cpu_s)
}

/// Records and allocations of the second half of every partition, whose first half was folded uncounted.
fn settled<M: Machine>(recorded: &Recorded) -> (u64, u64) {
    let (mut folded, mut allocations) = (0, 0);
    for records in &recorded.partitions {
        let mut driver = driver::<M>(recorded, records);
        let (first, second) = records.split_at(records.len() / 2);
        for poll in first.chunks(POLL_RECORDS) {
            take(&mut driver, poll.to_vec());
        }
        for poll in second.chunks(POLL_RECORDS).map(<[StoredRecord]>::to_vec) {
            let (passed, counted) = counted(|| take(&mut driver, poll));
            folded += passed;
            allocations += counted.allocations;
        }
    }
    (folded, allocations)
}

fn driver<M: Machine>(recorded: &Recorded, records: &[StoredRecord]) -> Driver<M> {
    let partition = records.first().map_or(Partition(0), |record| record.partition);
    let topic = Topic { name: "agent-events".into(), partitions: recorded.partitions.len() as u32, clock_skew_us: 0 };
    Driver::new(topic, Fold::new(partition), Offset(0), Offset(i64::MAX))
}

fn take<M: Machine>(driver: &mut Driver<M>, poll: Vec<StoredRecord>) -> u64 {
    let (count, after) = (poll.len(), poll.last().map_or(Offset(0), |last| last.offset.next()));
    driver.take(poll, after);
    driver.fold(count) as u64
}

/// Lets a fleet live in a fold, whose decisions come home as they do on a log, and weighs what it left.
fn lived<M: Machine>(sessions: &[Vec<&Event>]) -> Lived {
    let (fold, counted) = counted(|| {
        let (mut fold, mut next, mut home_at) = (Fold::<M>::new(Partition(0)), Offset(0), 0);
        let mut take = |fold: &mut Fold<M>, appended: Timestamp, event: Event| {
            let record = Record { partition: Partition(0), offset: next, appended, event };
            next = next.next();
            match Fold::<M>::reads(record.body.kind()) {
                true => drop(fold.fold(&record)),
                false => fold.skip(record.offset, record.appended),
            }
        };
        fleet(sessions, &mut |nth, appended, event| {
            take(&mut fold, appended, event);
            if nth >= home_at {
                home_at = nth + HOME_EVERY_SESSIONS;
                fold.owed(appended).iter().for_each(|decision| take(&mut fold, appended, decision.to_event(M::SERVICE)));
            }
        });
        fold
    });
    let mut snapshot = Vec::new();
    ciborium::into_writer(&fold, &mut snapshot).expect("a vector takes every write");
    Lived { heap_bytes: counted.bytes, snapshot_bytes: snapshot.len() }
}

/// The facts of the log by session, those that are not too long.
pub(crate) fn sessions(facts: &[Event]) -> Vec<Vec<&Event>> {
    let mut by_session = std::collections::BTreeMap::<_, Vec<&Event>>::new();
    for fact in facts.iter().filter(|fact| fact.subject.is_some()) {
        by_session.entry((&fact.key, &fact.subject)).or_default().push(fact);
    }
    by_session.into_values().filter(|session| session.len() <= SESSION_FACTS_MAX).collect()
}

/// Every agent lives through one recorded session after the other, in turn with all others.
fn fleet(sessions: &[Vec<&Event>], tell: &mut dyn FnMut(usize, Timestamp, Event)) {
    for nth in 0..AGENTS * SESSIONS_PER_AGENT {
        let (agent, session) = (nth % AGENTS, &sessions[nth % sessions.len()]);
        let key = format!("agent-{agent:06}").into();
        let began = Timestamp(1_750_000_000_000_000 + nth as i64 * SESSION_EVERY_US);
        let first = session.first().and_then(|fact| fact.time).unwrap_or(began);
        for (place, fact) in session.iter().enumerate() {
            let after_us = fact.time.map_or(0, |time| time.since_us(first)).max(0);
            let event = Event {
                key: wire::AgentId::clone(&key),
                source: format!("/platforms/bench/agents/agent-{agent:06}").into(),
                id: format!("{nth}-{place}").into(),
                time: Some(Timestamp(began.0 + after_us)),
                subject: Some(format!("session-{nth}").into()),
                ..(*fact).clone()
            };
            tell(nth, began, event);
        }
    }
}
