//! One partition of a room: the fold, the decisions in flight, and the partition's frontier.
//!
//! A driver is made when its partition is assigned and dropped when it is revoked; nothing of it outlives either.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use machine::mutants::{Mutant, broken};
use machine::{Decision, Fold, Machine, Unreadable};
use wire::{Names, Offset, Partition, Record, RecordId, StoredRecord, Timestamp};

use crate::check;
use crate::facts::{Counts, Fact, RecordUnreadable, RecordsFolded};
use crate::laws::Law;
use crate::log::Extent;

/// Decisions of one partition that may be in flight at once. Beyond it, nothing is asked until some have come home.
pub const IN_FLIGHT_MAX: usize = 4_000;

/// What a record is held against beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions a key may choose from.
    pub partitions: u32,
    /// How far before a record another one behind it may be dated, in microseconds.
    pub clock_skew_us: i64,
}

/// One partition of a room.
#[derive(Debug)]
pub struct Driver<M: Machine> {
    topic: Topic,
    fold: Fold<M>,
    names: Names,
    /// Records handed out and not yet folded; at most one poll's worth.
    pending: VecDeque<StoredRecord>,
    /// The position once `pending` is folded: markers and aborted records behind its last record count.
    after: Offset,
    asking: Asking,
    in_flight: BTreeMap<RecordId, InFlight>,
    /// The smallest offset that a delivery in flight reported, so that a record costs no look at all of them.
    first_reported: Option<Offset>,
    /// The frontier of the last asking. It never falls.
    now: Timestamp,
    /// Set when folding stopped before a record: the deadline to ask at before it goes on.
    stopped_at: Option<Timestamp>,
    /// Whether something was folded since the last asking, or more was owed than was taken.
    stale: bool,
    restored: bool,
    folded_since_snapshot: u64,
    counts: Counts,
}

/// When this driver may be asked what it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// Now.
    Open,
    /// Once its position has reached this offset: the high watermark at restore, or after a lost transaction.
    From(Offset),
    /// Not before a producer stands again and says how far the log reaches.
    Suspended,
}

/// A decision that was handed to the log and is not folded yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct InFlight {
    /// Where its delivery says that it stands; absent while nobody can say whether it was delivered.
    reported: Option<Offset>,
    /// Whether its echo was folded.
    home: bool,
}

// === impl Topic ===

impl Topic {
    /// Nothing behind a record of this date is dated before this.
    fn behind(&self, appended: Timestamp) -> Timestamp {
        Timestamp(appended.0 - self.clock_skew_us)
    }

    /// Up to when all was folded that there is. A member that decided before may have known more of it: it stood at the end.
    fn settled<M: Machine>(&self, fold: &Fold<M>) -> Timestamp {
        self.behind(fold.appended()).max(fold.asked())
    }
}

// === impl Driver ===

impl<M: Machine> Driver<M> {
    /// A driver for `fold`, which stands at `position`, that is not asked before it reaches `end`.
    pub fn new(topic: Topic, fold: Fold<M>, position: Offset, end: Offset) -> Self {
        Self {
            now: topic.settled(&fold),
            topic,
            fold,
            names: Names::default(),
            pending: VecDeque::new(),
            after: position,
            asking: Asking::From(end),
            in_flight: BTreeMap::new(),
            first_reported: None,
            stopped_at: None,
            stale: true,
            restored: false,
            folded_since_snapshot: 0,
            counts: Counts::default(),
        }
    }

    /// Takes what a poll handed out: records in order, and the position after them.
    pub fn take(&mut self, records: Vec<StoredRecord>, after: Offset) {
        self.pending.extend(records);
        self.after = self.after.max(after);
    }

    /// Folds pending records, at most `max`, and stops before a record that would make a deadline late: rule 7, every
    /// deadline up to a record's append time is asked before the record is folded. Returns how many were folded.
    pub fn fold(&mut self, max: usize) -> usize {
        let mut folded = 0;
        self.advance();
        while folded < max {
            let Some(next) = self.pending.front() else { break };
            self.stopped_at = self.deadline_before(self.topic.behind(next.appended));
            if self.stopped_at.is_some() {
                break;
            }
            let next = self.pending.pop_front().expect("its front was just seen");
            self.fold_one(&next);
            folded += 1;
            self.advance();
        }
        self.tell(folded);
        folded
    }

    /// Whether asking may find something at the log's time `clock`: something was folded, or a deadline has come.
    pub fn may_owe(&self, clock: Timestamp) -> bool {
        let stopped = self.stopped_at.is_some();
        self.may_be_asked() && (self.stale || stopped || self.fold.next_deadline(self.now).is_some_and(|due| due <= clock))
    }

    /// What it owes and is not in flight, at most `max`, at its frontier; `extent` is how far the partition reaches.
    pub fn ask(&mut self, extent: Extent, max: usize) -> Vec<Decision> {
        self.now = self.now.max(self.frontier(extent));
        let mut owed = self.fold.owed_of(self.now, |id| !self.in_flight.contains_key(id));
        self.stale = owed.len() > max;
        owed.truncate(max);
        owed
    }

    /// Whether records were handed out that it has not folded.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A decision of this driver was committed at `offset`: it is in flight until the fold has passed that offset.
    pub fn published(&mut self, id: RecordId, offset: Offset) {
        self.in_flight.insert(id, InFlight { reported: Some(offset), home: false });
        self.first_reported = Some(self.first_reported.map_or(offset, |first| first.min(offset)));
    }

    /// Nobody can say whether this decision was committed: it is in flight until the log has been read to its end.
    pub fn doubtful(&mut self, id: RecordId) {
        self.in_flight.insert(id, InFlight::default());
    }

    /// A transaction was lost: folding goes on, asking does not.
    pub fn suspend(&mut self) {
        self.asking = Asking::Suspended;
    }

    /// A producer stands again and the partition reaches to `end`: once there, what is in flight is known.
    pub fn recover(&mut self, end: Offset) {
        self.asking = Asking::From(end);
        self.advance();
    }

    /// The next offset to fold. This is what a transaction commits, and what a snapshot stands at.
    pub fn position(&self) -> Offset {
        self.pending.front().map_or(self.after, |next| next.offset)
    }

    /// Whether it has been at the log's end since it was assigned.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// When to ask again if no record arrives before. Absent while everything that is due is already in flight: then
    /// the next word is the log's.
    pub fn next_due(&self) -> Option<Timestamp> {
        match self.may_be_asked() {
            true if self.stale => self.fold.next_due(),
            true => self.fold.next_deadline(self.now),
            false => None,
        }
    }

    /// Its fold.
    pub fn state(&self) -> &Fold<M> {
        &self.fold
    }

    /// The frontier of the last asking.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is now for people who ask, when the log's clock shows `clock`: nobody asks the room while nothing is due, but
    /// time goes on for it too. Only a reader with a backlog speaks of an earlier time.
    pub fn told_at(&self, clock: Timestamp) -> Timestamp {
        let reached = self.now.max(self.topic.settled(&self.fold));
        if self.asking == Asking::Open && self.pending.is_empty() { reached.max(clock) } else { reached }
    }

    /// Decisions in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Records folded since the last snapshot was taken.
    pub fn folded_since_snapshot(&self) -> u64 {
        self.folded_since_snapshot
    }

    /// A snapshot was taken of this state.
    pub fn snapshot_taken(&mut self) {
        self.folded_since_snapshot = 0;
    }

    fn may_be_asked(&self) -> bool {
        (self.asking == Asking::Open || broken(Mutant::AskBeforeRestored)) && self.in_flight.len() < IN_FLIGHT_MAX
    }

    /// Rule 7: the log's clock where the reader stands at the high watermark, else the append time of the last record
    /// folded, so that a reader who lags never takes unread acknowledgements for silence. Where brokers' clocks differ, that
    /// is as far back as what is unread may be dated.
    fn frontier(&mut self, extent: Extent) -> Timestamp {
        let at_end = self.position() >= extent.high_watermark;
        match self.stopped_at.take() {
            _ if broken(Mutant::WallClockAlways) => extent.quiet_until,
            Some(deadline) => deadline,
            // Where records may be hidden for a while, the last one tells more than the clock.
            None if at_end => extent.quiet_until.max(self.topic.settled(&self.fold)),
            None => self.topic.settled(&self.fold),
        }
    }

    /// The first deadline after the last asking and up to `settled`, at which anything is owed that is not in flight.
    ///
    /// Only what time alone brings about stops the fold. What is written down stays as it is until it is asked for after
    /// the batch, and so does what falls due for an agent one of whose deadlines has passed already: its next record
    /// writes it down. The room's watermark is evidence that may come late: stopping for it would cost a reader that
    /// catches up a transaction per 10 s of log.
    fn deadline_before(&mut self, settled: Timestamp) -> Option<Timestamp> {
        if !self.may_be_asked() || broken(Mutant::WallClockAlways) {
            return None;
        }
        while let Some(due) = self.fold.machine().next_deadline(self.now).filter(|due| *due <= settled) {
            if self.fold.owes_any(due, |id| !self.in_flight.contains_key(id)) {
                return Some(due);
            }
            // Asked, and nothing new was owed there.
            self.now = due;
        }
        None
    }

    fn fold_one(&mut self, stored: &StoredRecord) {
        let kind = stored.raw.kind();
        self.counts.count(kind);
        // A kind that is not read is passed by its framing alone; an unknown framing is looked at, to say what is wrong.
        if kind.is_some_and(|kind| !Fold::<M>::reads(kind)) {
            return self.fold.skip(stored.offset, stored.appended);
        }
        match Record::read_placed_among(stored, self.topic.partitions, &mut self.names) {
            Ok(record) => self.fold_readable(&record),
            Err(refusal) if refusal.blames_the_record() => {
                self.fold.refuse(&Unreadable { topic: &self.topic.name, stored, refusal: &refusal });
                let (partition, offset) = (stored.partition, stored.offset);
                RecordUnreadable { room: M::SERVICE, partition, offset, refusal: &refusal }.emit();
            }
            // It was counted above as unknown.
            Err(_) => self.fold.skip(stored.offset, stored.appended),
        }
    }

    fn fold_readable(&mut self, record: &Record) {
        if record.body.kind().is_decision()
            && let Some(in_flight) = self.in_flight.get_mut(&record.id)
        {
            in_flight.home = true;
        }
        self.fold.fold(record);
    }

    /// Draws the consequences of a new position: rule 4, what is in flight ends when the fold has passed the offset
    /// that its delivery reported; and at the end that was waited for, nothing is in flight and asking begins.
    fn advance(&mut self) {
        let position = self.position();
        if let Asking::From(end) = self.asking
            && position >= end
        {
            self.asking = Asking::Open;
            self.restored = true;
            self.stale = true;
            self.in_flight.clear();
            self.first_reported = None;
        }
        if self.first_reported.is_some_and(|first| first < position) {
            self.end_flights(position);
        }
    }

    fn end_flights(&mut self, position: Offset) {
        let passed = |decision: &InFlight| decision.reported.is_some_and(|offset| offset < position);
        let lost: BTreeSet<&RecordId> =
            self.in_flight.iter().filter(|(_, decision)| passed(decision) && !decision.home).map(|(id, _)| id).collect();
        check!(Law::EchoComesHome, lost.is_empty(), "partition {} at {position}: {lost:?}", self.fold.partition());
        self.in_flight.retain(|_, decision| !passed(decision));
        self.first_reported = self.in_flight.values().filter_map(|decision| decision.reported).min();
    }

    fn tell(&mut self, folded: usize) {
        if folded == 0 {
            return;
        }
        self.stale = true;
        self.folded_since_snapshot += folded as u64;
        let partition: Partition = self.fold.partition();
        RecordsFolded { room: M::SERVICE, partition, counts: &self.counts, appended: self.fold.appended() }.emit();
        self.counts = Counts::default();
    }
}
