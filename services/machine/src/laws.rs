//! The eight laws that every machine obeys, written once.
//!
//! `machine_laws!(Incident, strategies::agent_life())` gives a room one property test per law. A life is what
//! platforms and people say, in the order of its times; the laws live it through on a log of one partition, with
//! the room's decisions coming home at once, late, or in batches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wire::{AgentId, Body, Class, Event, Kind, Offset, Partition, Record, RecordId, StoredRecord, Timestamp, limits};

use crate::{Decision, Fold, Machine, Unreadable};

/// What is said about some agents, dated by the log, in order of time. What breaks a limit is heard as what nobody can
/// read.
pub type Life = Vec<(Timestamp, Event)>;

/// A life broke a law: which, and how.
pub type Verdict = Result<(), String>;

/// The topic of every life.
const TOPIC: &str = "lives";
/// Between two facts, deadlines are asked at most this often: a room that owes for ever breaks the law of settling.
const ASKS_MAX: usize = 10_000;

/// An echo crosses facts, not minutes: a transaction lives at most this long, then what it holds is on the log or owed anew.
const UNDER_WAY_S_MAX: i64 = 5;

/// How decisions come home.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The room is asked after this many facts.
    pub batch: usize,
    /// A decision comes home after this many further facts, and after [`UNDER_WAY_S_MAX`] at the latest.
    pub echo_delay: usize,
}

impl Schedule {
    /// Asked after every fact, home at once.
    pub const PROMPT: Self = Self { batch: 1, echo_delay: 0 };
}

/// A life lived through: the log that came of it, and the room at its end.
#[derive(Debug)]
pub struct Lived<M: Machine> {
    /// Facts and decisions, as they stand on the log.
    pub log: Vec<Record>,
    /// The room, having folded all of it.
    pub fold: Fold<M>,
}

/// Lives `life` through under `schedule`, to the end of every deadline.
///
/// # Errors
/// When the room still owes something after [`ASKS_MAX`] asks.
pub fn live<M: Machine>(life: &Life, schedule: Schedule) -> Result<Lived<M>, String> {
    let mut desk = Desk::<M>::new(schedule);
    for (time, event) in life {
        desk.run_deadlines(Some(*time))?;
        desk.append(*time, event.clone());
        desk.heard += 1;
        if desk.heard.is_multiple_of(schedule.batch) {
            desk.ask(*time);
        }
        desk.bring_home(*time);
    }
    desk.run_deadlines(None)?;
    Ok(Lived { log: desk.log, fold: desk.fold })
}

/// *Replay*: the same log gives the same state, and every decision on it is one that the state at its `asof` owed.
pub fn replay<M: Machine>(life: &Life) -> Verdict {
    let lived = live::<M>(life, Schedule::PROMPT)?;
    let mut again = Fold::<M>::new(Partition(0));
    let mut next = 0;
    for decision in lived.log.iter().filter(|record| is_own::<M>(record)) {
        let basis = decision.body.basis().ok_or("a decision without a basis")?;
        while next < lived.log.len() && lived.log[next].offset <= basis.asof {
            take(&mut again, &lived.log[next]);
            next += 1;
        }
        let owed = again.owed(basis.now).iter().any(|owed| owed.to_event(M::SERVICE) == decision.event);
        ensure(owed, || format!("{} at {} was not owed as of {} at {}", decision.body.kind(), decision.offset, basis.asof, basis.now))?;
    }
    lived.log[next..].iter().for_each(|record| take(&mut again, record));
    ensure(again == lived.fold, || "folding the log again gave another state".to_owned())
}

/// *Snapshot*: cut anywhere, written and read back, the end is the same.
pub fn snapshot<M: Machine>(life: &Life) -> Verdict {
    let lived = live::<M>(life, Schedule::PROMPT)?;
    let cuts = [0, 1, lived.log.len() / 3, lived.log.len() / 2, lived.log.len().saturating_sub(1)];
    for cut in cuts.into_iter().filter(|cut| *cut <= lived.log.len()) {
        let mut fold = Fold::<M>::new(Partition(0));
        lived.log[..cut].iter().for_each(|record| take(&mut fold, record));
        let mut fold: Fold<M> = ciborium::from_reader(written(&fold)?.as_slice())
            .map_err(|error| format!("a snapshot after {cut} records cannot be read: {error}"))?;
        lived.log[cut..].iter().for_each(|record| take(&mut fold, record));
        ensure(fold == lived.fold, || format!("a snapshot after {cut} records led elsewhere"))?;
    }
    Ok(())
}

/// *Repeat*: a record delivered twice changes nothing.
pub fn repeat<M: Machine>(life: &Life) -> Verdict {
    let lived = live::<M>(life, Schedule::PROMPT)?;
    let (mut once, mut twice) = (Fold::<M>::new(Partition(0)), Fold::<M>::new(Partition(0)));
    for record in &lived.log {
        take(&mut once, record);
        take(&mut twice, record);
        // Desk leaves every second offset free for this. What nobody can read has no id to be known again by: it is
        // another record there.
        if limits::check(record).is_empty() {
            take(&mut twice, &Record { offset: record.offset.next(), ..record.clone() });
        }
        ensure(once.machine() == twice.machine(), || {
            format!("{} at {}, delivered twice, counted twice", record.body.kind(), record.offset)
        })?;
    }
    Ok(())
}

/// *Settle*: feeding back what is owed ends with nothing owed and no deadline left, and on the way nothing falls due
/// between deadlines.
pub fn settle<M: Machine>(life: &Life) -> Verdict {
    let lived = live::<M>(life, Schedule::PROMPT)?;
    let mut fold = Fold::<M>::new(Partition(0));
    for record in &lived.log {
        nothing_before_a_deadline(&fold, record.appended)?;
        take(&mut fold, record);
    }
    let ids: BTreeSet<&RecordId> = lived.log.iter().filter(|record| is_own::<M>(record)).map(|record| &record.id).collect();
    let said = lived.log.iter().filter(|record| is_own::<M>(record)).count();
    ensure(ids.len() == said, || "a decision was repeated".to_owned())?;
    ensure(lived.fold.owed(Timestamp::MAX).is_empty(), || format!("still owed: {:?}", lived.fold.owed(Timestamp::MAX)))?;
    ensure(lived.fold.next_due().is_none(), || format!("still due at {:?}", lived.fold.next_due()))?;
    let deadline = lived.fold.next_deadline(Timestamp::MIN);
    ensure(deadline.is_none(), || format!("a deadline is left at {deadline:?}"))
}

/// *Strangers*: what happens to other agents never matters.
pub fn strangers<M: Machine>(life: &Life) -> Verdict {
    let all = live::<M>(life, Schedule::PROMPT)?;
    let agents: BTreeSet<AgentId> =
        life.iter().filter(|(_, event)| !event.body.kind().is_broadcast()).map(|(_, event)| event.key.clone()).collect();
    for agent in agents {
        let concerns = |event: &Event| event.key == agent || event.body.kind().is_broadcast() || event.body.kind() == Kind::RoomWatermark;
        let alone: Life = life.iter().filter(|(_, event)| concerns(event)).cloned().collect();
        let alone = live::<M>(&alone, Schedule::PROMPT)?;
        same_decisions(&said_of(&all, Some(&agent)), &said_of(&alone, Some(&agent)), &format!("{agent} among strangers and alone"))?;
    }
    Ok(())
}

/// *Bounds*: one record adds at most so many decisions, and one agent takes at most so many bytes.
pub fn bounds<M: Machine>(life: &Life) -> Verdict {
    let lived = live::<M>(life, Schedule::PROMPT)?;
    let mut fold = Fold::<M>::new(Partition(0));
    let mut latched: BTreeSet<RecordId> = BTreeSet::new();
    for record in &lived.log {
        take(&mut fold, record);
        let owed: BTreeSet<RecordId> = fold.owed(Timestamp::MIN).into_iter().map(|decision| decision.id).collect();
        let added = owed.difference(&latched).count();
        ensure(added <= M::DECISIONS_PER_RECORD_MAX, || format!("{} at {} added {added} decisions", record.body.kind(), record.offset))?;
        latched = owed;
    }
    let agents = fold.machine().agents().len().max(1);
    let mut bytes = Vec::new();
    ciborium::into_writer(fold.machine(), &mut bytes).map_err(|error| format!("the machine cannot be written: {error}"))?;
    ensure(bytes.len() <= agents * M::BYTES_PER_AGENT_MAX, || format!("{agents} agents take {} bytes", bytes.len()))
}

/// *Batch*: however the facts are batched, the same decisions are owed.
pub fn batch<M: Machine>(life: &Life) -> Verdict {
    let prompt = said_of(&live::<M>(life, Schedule::PROMPT)?, None);
    for batch in [2, 7, life.len().max(1)] {
        let batched = said_of(&live::<M>(life, Schedule { batch, echo_delay: 0 })?, None);
        same_decisions(&prompt, &batched, &format!("asked after every fact and after {batch}"))?;
    }
    Ok(())
}

/// *Crossing*: an echo that facts cross on its way neither loses, repeats nor counts them twice.
pub fn crossing<M: Machine>(life: &Life) -> Verdict {
    let prompt = said_of(&live::<M>(life, Schedule::PROMPT)?, None);
    for echo_delay in [1, 4, 11] {
        let crossed = said_of(&live::<M>(life, Schedule { batch: 1, echo_delay })?, None);
        same_decisions(&prompt, &crossed, &format!("home at once and after {echo_delay} facts"))?;
    }
    Ok(())
}

/// One property test per law, for a machine and a strategy of lives.
#[macro_export]
macro_rules! machine_laws {
    ($machine:ty, $life:expr, $cases:expr) => {
        $crate::machine_laws!(@each $machine, $life, $cases, replay snapshot repeat settle strangers bounds batch crossing);
    };
    (@each $machine:ty, $life:expr, $cases:expr, $($law:ident)+) => {$(
        #[test]
        fn $law() {
            let config = proptest::test_runner::Config { cases: $cases, failure_persistence: None, ..Default::default() };
            let mut runner = proptest::test_runner::TestRunner::new_with_rng(
                config,
                proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
            );
            let outcome = runner.run(&$life, |life| {
                $crate::laws::$law::<$machine>(&life).map_err(proptest::test_runner::TestCaseError::fail)
            });
            if let Err(broken) = outcome {
                panic!("the law `{}` is broken: {broken}", stringify!($law));
            }
        }
    )+};
}

/// A log of one partition with one room at it.
struct Desk<M: Machine> {
    schedule: Schedule,
    log: Vec<Record>,
    fold: Fold<M>,
    heard: usize,
    under_way: VecDeque<(usize, Timestamp, Decision)>,
    in_flight: BTreeSet<RecordId>,
}

// === impl Desk ===

impl<M: Machine> Desk<M> {
    fn new(schedule: Schedule) -> Self {
        let fold = Fold::new(Partition(0));
        Self { schedule, log: Vec::new(), fold, heard: 0, under_way: VecDeque::new(), in_flight: BTreeSet::new() }
    }

    fn append(&mut self, appended: Timestamp, event: Event) {
        let record = Record { partition: Partition(0), offset: Offset(2 * self.log.len() as i64), appended, event };
        take(&mut self.fold, &record);
        self.log.push(record);
    }

    fn ask(&mut self, now: Timestamp) {
        for decision in self.fold.owed(now) {
            if self.in_flight.insert(decision.id.clone()) {
                self.under_way.push_back((self.heard + self.schedule.echo_delay, now, decision));
            }
        }
    }

    fn bring_home(&mut self, now: Timestamp) {
        while self.under_way.front().is_some_and(|(home_at, _, _)| *home_at <= self.heard) {
            self.bring_first_home(now);
        }
    }

    /// Whether anything had to be home by `time`.
    fn bring_late_home(&mut self, time: Timestamp) -> bool {
        let said = self.log.len();
        while let Some(at) = self.under_way.front().map(|(_, asked, _)| asked.plus_s(UNDER_WAY_S_MAX)).filter(|at| *at <= time) {
            self.bring_first_home(at.max(self.fold.appended()));
        }
        self.log.len() > said
    }

    fn bring_first_home(&mut self, now: Timestamp) {
        if let Some((_, _, decision)) = self.under_way.pop_front() {
            self.append(now, decision.to_event(M::SERVICE));
            self.in_flight.remove(&decision.id);
        }
    }

    /// Lives from deadline to deadline up to `until`, or to the last one; then everything under way comes home.
    fn run_deadlines(&mut self, until: Option<Timestamp>) -> Verdict {
        let mut now = self.fold.appended();
        for _ in 0..ASKS_MAX {
            now = now.max(self.fold.next_due().filter(|due| until.is_none_or(|until| *due <= until)).unwrap_or(now));
            self.ask(now);
            if until.is_none() {
                self.heard = self.under_way.back().map_or(self.heard, |(home_at, _, _)| self.heard.max(*home_at));
            }
            let said = self.log.len();
            self.bring_home(now);
            let due = self.fold.next_due().is_some_and(|due| until.is_none_or(|until| due <= until));
            if self.log.len() == said && (!due || !self.under_way.is_empty()) {
                if !until.is_some_and(|until| self.bring_late_home(until)) {
                    return Ok(());
                }
                now = now.max(self.fold.appended());
            }
        }
        Err(format!("after {ASKS_MAX} asks the room still owes {:?}", self.fold.owed(now)))
    }
}

fn take<M: Machine>(fold: &mut Fold<M>, record: &Record) {
    if let Some(refusal) = limits::check(record).first() {
        let (partition, offset, appended) = (record.partition, record.offset, record.appended);
        let stored = StoredRecord { partition, offset, appended, raw: record.to_raw() };
        fold.refuse(&Unreadable { topic: TOPIC, stored: &stored, refusal });
    } else if Fold::<M>::reads(record.body.kind()) {
        fold.fold(record);
    } else {
        fold.skip(record.offset, record.appended);
    }
}

/// Time alone brings nothing about before the next deadline, or `until`: a driver asks at no other time.
fn nothing_before_a_deadline<M: Machine>(fold: &Fold<M>, until: Timestamp) -> Verdict {
    let from = fold.appended();
    let end = fold.next_deadline(from).map_or(until, |due| due.min(until));
    let last = Timestamp(end.0 - 1).max(from);
    let ids = |now| -> Vec<RecordId> { fold.owed(now).into_iter().map(|decision| decision.id).collect() };
    ensure(ids(from) == ids(last), || format!("owed at {from}: {:?}; at {last}, before any deadline: {:?}", ids(from), ids(last)))
}

fn is_own<M: Machine>(record: &Record) -> bool {
    record.body.kind().class() == Class::Decision && record.source.as_str().strip_prefix("/reeve/") == Some(M::SERVICE)
}

/// Kinds and ids that the room said, about one agent or about all; how far it has read is no decision about an agent.
fn said_of<M: Machine>(lived: &Lived<M>, agent: Option<&AgentId>) -> BTreeMap<RecordId, Kind> {
    let concerns = |record: &&Record| {
        is_own::<M>(record) && record.body.kind() != Kind::RoomWatermark && agent.is_none_or(|agent| record.key == *agent)
    };
    lived.log.iter().filter(concerns).map(|record| (known_by(lived, record), record.body.kind())).collect()
}

/// Its id; where that is derived from coordinates, which other decisions before it shift, the fact that lies there.
fn known_by<M: Machine>(lived: &Lived<M>, record: &Record) -> RecordId {
    let Body::RecordRefused(refused) = &record.body else { return record.id.clone() };
    let about = lived.log.iter().find(|known| known.offset.0 == refused.offset);
    about.map_or_else(|| record.id.clone(), |known| known.id.clone())
}

fn same_decisions(left: &BTreeMap<RecordId, Kind>, right: &BTreeMap<RecordId, Kind>, between: &str) -> Verdict {
    let only = |one: &BTreeMap<RecordId, Kind>, other: &BTreeMap<RecordId, Kind>| -> Vec<String> {
        one.iter().filter(|(id, _)| !other.contains_key(*id)).map(|(id, kind)| format!("{kind} {id}")).collect()
    };
    ensure(left == right, || format!("{between}: only the first said {:?}, only the second {:?}", only(left, right), only(right, left)))
}

fn written<M: Machine>(fold: &Fold<M>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    ciborium::into_writer(fold, &mut bytes).map_err(|error| format!("a snapshot cannot be written: {error}"))?;
    Ok(bytes)
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}
