//! The fold around a machine: position, repeated facts, and the room's watermark, the same for every room.

use serde::{Deserialize, Serialize};
use wire::record::decision_id;
use wire::{AgentId, Basis, Body, Class, DedupeKey, Kind, Offset, Partition, Record, RecordId, RoomWatermark, Timestamp};

use crate::mutants::{self, Mutant};
use crate::window::Window;
use crate::{Decision, Frontier, Machine, Unreadable};

/// A room says how far it has folded at most once in this many seconds per partition.
pub const WATERMARK_EVERY_S: i64 = 10;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// The machine folded it.
    Applied,
    /// The machine had folded the same event already.
    Repeated,
    /// It lies before the position: the log handed it out twice.
    Behind,
}

/// A machine at its place in a partition. This, whole, is what a snapshot holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "M: Machine"))]
pub struct Fold<M: Machine> {
    partition: Partition,
    machine: M,
    asof: Offset,
    appended: Timestamp,
    /// The latest `now` that a decision of the room's own was asked at.
    #[serde(default = "never")]
    asked: Timestamp,
    window: Window,
    watermark: Watermark,
}

/// What the room still has to say about how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Watermark {
    /// The fact that the next watermark is for: the first that no watermark has covered.
    uncovered: Option<Seen>,
    /// The last fact folded.
    last: Option<Seen>,
    /// `now` of the last watermark that came home.
    said_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    offset: Offset,
    key: DedupeKey,
    appended: Timestamp,
}

// === impl Fold ===

impl<M: Machine> Fold<M> {
    /// A machine that has folded nothing yet.
    pub fn new(partition: Partition) -> Self {
        Self {
            partition,
            machine: M::default(),
            asof: Offset::BEFORE_ALL,
            appended: Timestamp(0),
            asked: never(),
            window: Window::default(),
            watermark: Watermark::default(),
        }
    }

    /// Whether records of `kind` are to be folded; all others are passed unread. A room hears its own watermarks
    /// whether its machine reads them or not.
    pub fn reads(kind: Kind) -> bool {
        kind == Kind::RoomWatermark || M::READS.contains(&kind)
    }

    /// Folds a record of a kind that it reads.
    pub fn fold(&mut self, record: &Record) -> Folded {
        if record.offset <= self.asof {
            return Folded::Behind;
        }
        self.skip(record.offset, record.appended);
        let key = record.dedupe_key();
        if record.body.kind().class() != Class::Decision {
            if !self.window.admit(record.offset, key) {
                return Folded::Repeated;
            }
            self.watermark.saw(Seen { offset: record.offset, key, appended: record.appended });
        } else if record.source.as_str().strip_prefix("/reeve/") == Some(M::SERVICE) {
            self.asked = self.asked.max(record.body.basis().map_or(never(), |basis| basis.now));
        }
        match &record.body {
            Body::RoomWatermark(said) if said.room == M::SERVICE => self.watermark.came_home(&said.basis),
            _ => {}
        }
        self.machine.apply_known(record, key);
        Folded::Applied
    }

    /// Tells the machine of a record that nobody can read. It has no id to be known again by, only its place.
    pub fn refuse(&mut self, record: &Unreadable<'_>) -> Folded {
        if record.stored.offset <= self.asof {
            return Folded::Behind;
        }
        self.skip(record.stored.offset, record.stored.appended);
        self.machine.unreadable(record);
        Folded::Applied
    }

    /// Passes a record that the machine does not read.
    pub fn skip(&mut self, offset: Offset, appended: Timestamp) {
        self.asof = self.asof.max(offset);
        self.appended = self.appended.max(appended);
    }

    /// Every decision that is owed at `now`, the machine's first, then the room's watermark.
    pub fn owed(&self, now: Timestamp) -> Vec<Decision> {
        self.owed_of(now, |_| true)
    }

    /// Those of the decisions that are owed at `now` which are `wanted`. The others are not even made.
    pub fn owed_of(&self, now: Timestamp, wanted: impl Fn(&RecordId) -> bool) -> Vec<Decision> {
        let at = Frontier { asof: self.asof, now };
        let debts = self.machine.debts(now);
        let mut owed: Vec<Decision> = debts.iter().filter(|debt| wanted(&debt.id)).map(|debt| self.machine.decide(debt, at)).collect();
        owed.extend(self.watermark.owed::<M>(self.partition, at).filter(|decision| wanted(&decision.id)));
        owed
    }

    /// Whether the machine owes a decision at `now` that is `wanted`.
    pub fn owes_any(&self, now: Timestamp, wanted: impl Fn(&RecordId) -> bool) -> bool {
        self.machine.debts(now).iter().any(|debt| wanted(&debt.id))
    }

    /// When to ask again if no record arrives before.
    pub fn next_due(&self) -> Option<Timestamp> {
        [self.machine.next_due(), self.watermark.due()].into_iter().flatten().min()
    }

    /// The first time after `time` at which something falls due by time alone.
    pub fn next_deadline(&self, time: Timestamp) -> Option<Timestamp> {
        [self.machine.next_deadline(time), self.watermark.due().filter(|due| *due > time)].into_iter().flatten().min()
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Its partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Offset of the last record that was folded or passed.
    pub fn asof(&self) -> Offset {
        self.asof
    }

    /// Append time of that record; the epoch before the first.
    pub fn appended(&self) -> Timestamp {
        self.appended
    }

    /// The latest `now` at which any member of the room decided something that was folded: time has come at least so far, whatever
    /// the dates of records say.
    pub fn asked(&self) -> Timestamp {
        self.asked
    }
}

fn never() -> Timestamp {
    Timestamp::MIN
}

// === impl Watermark ===

impl Watermark {
    fn saw(&mut self, fact: Seen) {
        self.uncovered.get_or_insert_with(|| fact.clone());
        self.last = Some(fact);
    }

    /// Settles only facts at or before the watermark's `asof`: one that crossed it on the way is still uncovered.
    fn came_home(&mut self, basis: &Basis) {
        self.said_at = self.said_at.max(Some(basis.now));
        let crossed = self.last.take_if(|last| last.offset <= basis.asof || mutants::broken(Mutant::EchoSettlesAll));
        if crossed.is_some() {
            self.uncovered = None;
        } else if self.uncovered.as_ref().is_some_and(|first| first.offset <= basis.asof) {
            self.uncovered = self.last.clone();
        }
    }

    fn due(&self) -> Option<Timestamp> {
        let first = self.uncovered.as_ref()?;
        Some(self.said_at.unwrap_or(Timestamp::MIN).max(first.appended).plus_s(WATERMARK_EVERY_S))
    }

    fn owed<M: Machine>(&self, partition: Partition, at: Frontier) -> Option<Decision> {
        let first = self.uncovered.as_ref().filter(|_| self.due().is_some_and(|due| due <= at.now))?;
        let room = M::SERVICE.to_owned();
        let basis = Basis {
            asof: at.asof,
            now: at.now,
            rule: "watermark".to_owned(),
            policy: "none".to_owned(),
            causes: Vec::new(),
            accountable: "operations".to_owned(),
        };
        Some(Decision {
            id: decision_id(M::SERVICE, &partition.to_string(), &first.key.to_string(), "watermark", first.offset.0.unsigned_abs()),
            key: AgentId::from(M::SERVICE),
            subject: None,
            causation: None,
            hops: 1,
            body: RoomWatermark { room, partition: i64::from(partition.0), basis }.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde::{Deserialize, Serialize};
    use wire::{Event, SessionEnded};

    use super::*;
    use crate::window::WINDOW_OFFSETS;
    use crate::{Debt, Standing};

    /// Counts what it is given.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Counter(u64);

    impl Machine for Counter {
        const SERVICE: &'static str = "counter";
        const VERSION: u32 = 1;
        const READS: &'static [Kind] = &[Kind::SessionEnded];
        const DECISIONS_PER_RECORD_MAX: usize = 0;
        const BYTES_PER_AGENT_MAX: usize = 64;

        fn apply(&mut self, record: &Record) {
            self.0 += u64::from(record.body.kind() == Kind::SessionEnded);
        }

        fn debts(&self, _: Timestamp) -> Vec<Cow<'_, Debt>> {
            Vec::new()
        }

        fn next_deadline(&self, _: Timestamp) -> Option<Timestamp> {
            None
        }

        fn next_due(&self) -> Option<Timestamp> {
            None
        }

        fn standing(&self, _: &AgentId, _: Timestamp) -> Vec<Standing> {
            Vec::new()
        }

        fn agents(&self) -> Vec<AgentId> {
            Vec::new()
        }
    }

    #[test]
    fn a_fact_is_known_as_repeated_within_the_window_and_is_new_beyond_it() {
        let mut fold = new();
        assert_eq!(fold.fold(&fact(0, 0, "a")), Folded::Applied);
        assert_eq!(fold.fold(&fact(WINDOW_OFFSETS - 1, 1, "a")), Folded::Repeated);
        assert_eq!(fold.fold(&fact(WINDOW_OFFSETS, 2, "a")), Folded::Applied);
        assert_eq!(fold.fold(&fact(WINDOW_OFFSETS, 2, "a")), Folded::Behind);
        assert_eq!(fold.machine(), &Counter(2));
    }

    #[test]
    fn the_window_keeps_no_more_than_its_offsets() {
        let mut fold = new();
        (0..3 * WINDOW_OFFSETS).for_each(|offset| assert_eq!(fold.fold(&fact(offset, 0, &offset.to_string())), Folded::Applied));
        assert_eq!(fold.window.len(), WINDOW_OFFSETS as usize);
    }

    #[test]
    fn a_watermark_is_owed_ten_seconds_after_the_first_fact_it_covers_and_its_echo_owes_none() {
        let mut fold = new();
        assert_eq!(fold.next_due(), None);
        fold.fold(&fact(0, 5, "a"));
        fold.fold(&fact(1, 9, "b"));
        assert_eq!(fold.owed(at(14)), []);
        let owed = fold.owed(at(15));
        assert_eq!((owed.len(), owed[0].body.kind()), (1, Kind::RoomWatermark));
        fold.fold(&echo(2, 15, &owed[0]));
        assert_eq!((fold.owed(Timestamp::MAX), fold.next_due()), (Vec::new(), None));
    }

    #[test]
    fn a_fact_that_crossed_a_watermark_is_covered_by_the_next_one() {
        let mut fold = new();
        fold.fold(&fact(0, 0, "a"));
        let first = fold.owed(at(10));
        fold.fold(&fact(1, 10, "b"));
        fold.fold(&echo(2, 11, &first[0]));
        assert_eq!(fold.owed(at(19)), []);
        let second = fold.owed(at(20));
        assert_eq!(second.len(), 1);
        assert_ne!(second[0].id, first[0].id);
        assert_eq!(second[0].body.basis().map(|basis| basis.asof), Some(Offset(2)));
    }

    #[test]
    fn what_is_passed_moves_the_place_and_owes_nothing() {
        let mut fold = new();
        fold.skip(Offset(7), at(3));
        assert_eq!((fold.asof(), fold.appended(), fold.next_due()), (Offset(7), at(3), None));
    }

    fn new() -> Fold<Counter> {
        Fold::new(Partition(0))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(0).plus_s(seconds)
    }

    fn fact(offset: i64, seconds: i64, id: &str) -> Record {
        let event = Event {
            key: "agent".into(),
            source: "/platforms/tests".into(),
            id: id.into(),
            time: None,
            subject: Some("s".into()),
            causation: None,
            hops: 0,
            tenant: None,
            traceparent: None,
            body: SessionEnded { reason: None, version: None }.into(),
        };
        Record { partition: Partition(0), offset: Offset(offset), appended: at(seconds), event }
    }

    fn echo(offset: i64, seconds: i64, decision: &Decision) -> Record {
        Record { event: decision.to_event("counter"), ..fact(offset, seconds, "none") }
    }
}
