//! The pump of a room: poll, fold, ask what is owed, publish it with the offsets it rests on, remember it as in flight.
//!
//! It is synchronous and has no thread, clock or randomness of its own: production steps it from a thread
//! ([`crate::room`]), the simulator steps it by hand, and both run the same lines.

mod error;
mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::mutants::{Mutant, broken};
use machine::{Decision, Fold, Machine, Standing};
use serde::Serialize;
use wire::partitioner::partition_of;
use wire::{AgentId, Event, Offset, Partition, Timestamp};

pub use self::error::PumpError;
pub use self::held::PartitionStatus;
use self::held::{Held, Restoring};
use crate::check;
use crate::driver::{Driver, Topic};
use crate::facts::{DecisionPublished, Fact, LagMeasured, PartitionMoved, TransactionEnded};
use crate::laws::Law;
use crate::log::{Addressed, CommitError, Consumer, Log, LogError, Polled, Producer, Transaction};
use crate::snapshots::{self, SnapshotStore};

/// Decisions of one transaction.
pub const DECISIONS_PER_TRANSACTION_MAX: usize = 500;
/// Records of one poll, and records folded in one step and partition.
pub const RECORDS_PER_POLL_MAX: usize = 500;
/// How long decisions may wait for others while a room has more to fold, at least: a transaction takes a broker some 2 ms, and
/// one for each of the few decisions of a poll would make a room that is behind four times as slow (PITFALLS, commit rule).
pub const DECISIONS_WAIT_US: i64 = 50_000;
/// And where a transaction takes longer, so many times as long as the last one took: a room that is behind gives transactions a
/// twentieth of its time, on whatever broker.
const DECISIONS_WAIT_TRANSACTIONS: i64 = 20;
/// However long that is, decisions wait no longer for it.
const DECISIONS_WAIT_US_MAX: i64 = 500_000;
/// With nothing owed, offsets are committed at most once in this much of the log's time.
pub const OFFSETS_EVERY_US: i64 = 500_000;

/// How a pump is set up.
#[derive(Clone)]
pub struct PumpOptions {
    /// Stable number of this instance among those of its room: part of its transactional id.
    pub ordinal: u32,
    /// Microseconds of the log's time since the last transaction within which decisions wait for others while there is more
    /// to fold; longer where transactions are slow. Who is at the log's end waits for nobody.
    pub decisions_wait_us: i64,
    /// Where snapshots are kept; absent: none are taken, and every restore folds from the start.
    pub snapshots: Option<Arc<dyn SnapshotStore>>,
    /// Records folded after which a snapshot is due.
    pub snapshot_every_records: u64,
    /// Microseconds of the log's time after which a snapshot is due if anything was folded.
    pub snapshot_every_us: i64,
}

/// The only loop of a room, turned by hand.
pub struct Pump<M: Machine> {
    log: Arc<dyn Log>,
    options: PumpOptions,
    /// Absent before joining, and after the group fenced this member.
    consumer: Option<Box<dyn Consumer>>,
    /// Absent before the first transaction, and after one that did not end in a successful commit.
    producer: Option<Box<dyn Producer>>,
    /// Assigned, and waiting until no transaction is pending on their offsets. With the time of the assignment.
    arriving: BTreeMap<Partition, Timestamp>,
    held: BTreeMap<Partition, Held<M>>,
    /// When the last transaction was committed.
    offsets_at: Timestamp,
    /// How long that took, in microseconds of the log's time.
    commit_us: i64,
    /// Whether more was owed than one transaction takes: what is left waits for nothing.
    owes_more: bool,
    /// Decisions published by this process: what [`Mutant::CountedIds`] counts.
    published: u64,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Records folded or passed.
    pub folded: usize,
    /// Decisions committed.
    pub published: usize,
    /// Whatever is owed waits for what is folded next.
    pub waits: bool,
    /// Nothing happened, and nothing will before the log changes or `next_due` comes.
    pub idle: bool,
    /// When something falls due if no record arrives before.
    pub next_due: Option<Timestamp>,
    /// Whether this member knows its partitions and each has been at the log's end since it was assigned.
    pub restored: bool,
}

/// How a pump stands, for people and for `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PumpStatus {
    /// Whether this member knows its partitions and all are restored.
    pub restored: bool,
    /// Partitions that wait until no transaction is pending on their offsets.
    pub arriving: Vec<Partition>,
    /// Partitions that it drives.
    pub partitions: Vec<PartitionStatus>,
}

// === impl PumpOptions ===

impl Default for PumpOptions {
    /// Without snapshots.
    fn default() -> Self {
        Self {
            ordinal: 0,
            decisions_wait_us: DECISIONS_WAIT_US,
            snapshots: None,
            snapshot_every_records: 50_000,
            snapshot_every_us: 15 * 60 * 1_000_000,
        }
    }
}

// === impl Pump ===

impl<M: Machine> Pump<M> {
    /// A pump that has not joined its group yet.
    pub fn new(log: Arc<dyn Log>, options: PumpOptions) -> Self {
        Self {
            log,
            options,
            consumer: None,
            producer: None,
            arriving: BTreeMap::new(),
            held: BTreeMap::new(),
            offsets_at: Timestamp::MIN,
            commit_us: 0,
            owes_more: false,
            published: 0,
        }
    }

    /// Turns the pump once.
    ///
    /// The order cannot starve anything, because every step does every part once and every part is bounded:
    /// - *join* comes first: without it there is nothing to do.
    /// - *poll* takes one answer, and records only when nothing polled before is left over: what a deadline stopped is folded
    ///   and published before more is taken, and since each step either folds some of it or publishes what it waits
    ///   for, it runs dry and the poll, with its revocations, comes round.
    /// - *recover* follows, so that a member that was just told of its end fences nobody. When it fails, the parts that
    ///   need no producer still run: a broken coordinator stops no folding.
    /// - *restore* tries every partition that waits, without waiting itself.
    /// - *fold* gives every partition the same bound, so that none with a backlog keeps another from its share.
    /// - *publish* comes last and asks every partition for an equal share of one transaction: what did not fit is owed
    ///   still, and asked for in the next step. Shortly after a transaction, a step that folded something asks for nothing: the
    ///   next one finds more to fold, whose decisions go out with these, or nothing, and asks.
    /// - *snapshots* are taken only in a step that did nothing else, or when they are overdue twice.
    ///
    /// # Errors
    /// [`PumpError`]. Everything that the step did stands; the next step goes on from there.
    pub fn step(&mut self) -> Result<Step, PumpError> {
        self.join()?;
        let polled = self.poll()?;
        let recovered = self.recover();
        let arrived = self.restore()?;
        let folded = self.fold();
        recovered?;
        let waits = self.waits_for_more(folded);
        let published = if waits { 0 } else { self.publish()? };
        let quiet = !polled && !arrived && folded == 0 && published == 0;
        let snapshot = self.snapshot_due(quiet);
        let idle = quiet && !snapshot && !self.held.values().any(|held| held.driver.has_pending());
        Ok(Step { folded, published, waits, idle, next_due: self.next_due(), restored: self.restored() })
    }

    /// Commits what was folded and hands every state to the snapshots: the last thing before a room ends.
    ///
    /// # Errors
    /// [`PumpError::Commit`]; the offsets are only a barrier for the next restore, so nothing is lost by it.
    pub fn drain(&mut self) -> Result<(), PumpError> {
        if let Some(store) = &self.options.snapshots {
            for (partition, held) in self.held.iter_mut().filter(|(_, held)| held.is_ahead()) {
                held.last_snapshot(&**store, *partition, self.log.now());
            }
            store.flush();
        }
        if self.producer.is_some() && self.offsets_moved() {
            self.commit(Vec::new())?;
        }
        Ok(())
    }

    /// What the room knows about an agent, if this member drives its partition.
    pub fn standing(&self, agent: &AgentId) -> Vec<Standing> {
        let partition = partition_of(agent.as_str().as_bytes(), self.log.partitions());
        self.held
            .get(&partition)
            .map_or_else(Vec::new, |held| held.driver.state().machine().standing(agent, held.driver.told_at(self.log.now())))
    }

    /// The agents that the room knows on the partitions of this member, in order.
    pub fn agents(&self) -> Vec<AgentId> {
        let agents: BTreeSet<AgentId> = self.held.values().flat_map(|held| held.driver.state().machine().agents()).collect();
        agents.into_iter().collect()
    }

    /// The state of a partition that this member drives.
    pub fn state(&self, partition: Partition) -> Option<&Fold<M>> {
        self.held.get(&partition).map(|held| held.driver.state())
    }

    /// How it stands. Asks the log how far each partition reaches; one that does not answer is told as far as known.
    pub fn status(&mut self) -> PumpStatus {
        let mut partitions = Vec::with_capacity(self.held.len());
        let clock = self.log.now();
        for (partition, held) in &mut self.held {
            let extent = self.consumer.as_mut().and_then(|consumer| consumer.extent(*partition).ok());
            let high_watermark = extent.map_or(held.driver.position(), |extent| extent.high_watermark);
            let status = held.status(*partition, high_watermark, clock);
            LagMeasured { room: M::SERVICE, partition: *partition, lag: status.lag, stalled_s: status.stalled_s }.emit();
            partitions.push(status);
        }
        PumpStatus { restored: self.restored(), arriving: self.arriving.keys().copied().collect(), partitions }
    }

    fn join(&mut self) -> Result<(), PumpError> {
        if self.consumer.is_none() {
            let group = format!("reeve.{}", M::SERVICE);
            let member = self.transactional_id();
            let mut consumer = self.log.consumer(&group, &member).map_err(PumpError::Join)?;
            consumer.pass_over(|kind| !Fold::<M>::reads(kind));
            self.consumer = Some(consumer);
        }
        Ok(())
    }

    /// Makes a producer where there is none: before the first transaction, and after every one that was lost. Whatever an
    /// older one with this id left pending is decided by then, so the high watermark that is read next covers it: once
    /// folded up to there, everything in flight is known.
    fn recover(&mut self) -> Result<(), PumpError> {
        if self.producer.is_some() || !self.may_commit() {
            return Ok(());
        }
        let producer = match self.log.producer(&self.transactional_id()) {
            Ok(producer) => producer,
            // Not an error: the predecessor's transaction is decided soon, and nothing may be published before.
            Err(LogError::OffsetPending { .. }) => return Ok(()),
            Err(error) => return Err(PumpError::Producer(error)),
        };
        let consumer = self.consumer.as_mut().expect("a step joins before it recovers");
        for (partition, held) in &mut self.held {
            let extent = consumer.extent(*partition).map_err(PumpError::Producer)?;
            held.driver.recover(extent.high_watermark);
        }
        self.producer = Some(producer);
        Ok(())
    }

    fn poll(&mut self) -> Result<bool, PumpError> {
        let full = self.held.values().any(|held| held.driver.has_pending());
        if full && self.producer.is_some() {
            return Ok(false);
        }
        let Some(consumer) = &mut self.consumer else { return Ok(false) };
        // Without a producer the group is heard even with hands full, but for its records: a member that was fenced must
        // learn that before it makes a producer anew, for its successor may use the same id.
        let max = if full { 0 } else { RECORDS_PER_POLL_MAX };
        match consumer.poll(max).map_err(PumpError::Poll)? {
            Polled::Nothing => return Ok(false),
            Polled::Assigned(partitions) => self.assign(&partitions),
            Polled::Revoked(partitions) => self.revoke(&partitions),
            Polled::Records(partition, records, after) => {
                // A partition that is not driven yet has no seek behind it: what is handed out of it is not for us.
                if let Some(held) = self.held.get_mut(&partition) {
                    held.driver.take(records, after);
                }
            }
        }
        Ok(true)
    }

    fn assign(&mut self, partitions: &[Partition]) {
        let now = self.log.now();
        for partition in partitions {
            PartitionMoved { room: M::SERVICE, partition: *partition, kind: "assigned" }.emit();
            // Assigned anew, whatever was driven before: the state is restored, never carried over an assignment.
            self.held.remove(partition);
            self.arriving.insert(*partition, now);
        }
    }

    /// What was folded since the last snapshot is handed to the store before the state goes: the next owner, on whatever
    /// machine, begins there. In this order:
    /// - Revocations are heard in *poll*, before anything of a step is published, and a commit has ended when it returns: so no
    ///   transaction is open here, and none is opened for the partition any more.
    /// - The group waits for whoever gives a partition up. So nothing is uploaded here: the store's own thread makes the bytes
    ///   and writes them, and where it has too much to do already, that is told and the snapshot before this one must do.
    /// - The upload may end when the next owner has long begun, or has written newer ones. It does not remove those, and its
    ///   own is judged by the log like any other.
    fn revoke(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            PartitionMoved { room: M::SERVICE, partition: *partition, kind: "revoked" }.emit();
            self.take_snapshot(*partition);
            self.held.remove(partition);
            self.arriving.remove(partition);
        }
    }

    /// Rule 1, in order: the group is joined; its committed offset is stable; the high watermark is read; the newest
    /// snapshot, or the log's start, gives the position. From there on the driver folds, and is not asked before it
    /// has reached that high watermark.
    fn restore(&mut self) -> Result<bool, PumpError> {
        let arriving: Vec<(Partition, Timestamp)> = self.arriving.iter().map(|(partition, since)| (*partition, *since)).collect();
        let mut arrived = false;
        for (partition, since) in arriving {
            match self.restore_one(partition, since) {
                Ok(held) => {
                    self.arriving.remove(&partition);
                    self.held.insert(partition, held);
                    arrived = true;
                }
                // A predecessor's transaction may still commit a decision: restored now, this room would repeat it.
                Err(LogError::OffsetPending { .. }) => {}
                Err(source) => return Err(PumpError::Restore { partition, source }),
            }
        }
        Ok(arrived)
    }

    fn restore_one(&mut self, partition: Partition, since: Timestamp) -> Result<Held<M>, LogError> {
        let consumer = self.consumer.as_mut().expect("a step joins before it restores");
        let committed = match consumer.committed(partition) {
            Err(LogError::OffsetPending { .. }) if broken(Mutant::AskBeforeRestored) => None,
            committed => committed?,
        };
        let extent = consumer.extent(partition)?;
        let snapshot = self.options.snapshots.as_ref().and_then(|store| snapshots::newest::<M>(&**store, &*self.log, partition, extent));
        let (fold, from) = match snapshot {
            Some(restored) => (restored.fold, restored.position),
            // Without a snapshot a state is everything since the first record: a log that starts later lacks some of it.
            None if extent.start > Offset(0) => {
                return Err(LogError::OffsetGone { partition, start: extent.start, asked: Offset(0) });
            }
            None => (Fold::new(partition), Offset(0)),
        };
        consumer.seek(partition, from)?;
        let to = extent.high_watermark;
        let restoring = Some(Restoring { since, from, to, committed });
        let committed = committed.unwrap_or(Offset(0));
        let log = &*self.log;
        let topic = Topic { name: log.topic().into(), partitions: log.partitions(), clock_skew_us: log.clock_skew_us() };
        let (driver, now) = (Driver::new(topic, fold, from, to), self.log.now());
        Ok(Held { driver, restoring, committed, snapshot_at: now, turned_away: false, moved: (from, now) })
    }

    fn fold(&mut self) -> usize {
        let now = self.log.now();
        let mut folded = 0;
        for (partition, held) in &mut self.held {
            folded += held.driver.fold(RECORDS_PER_POLL_MAX);
            if held.driver.is_restored()
                && let Some(done) = held.restoring.take()
            {
                done.tell::<M>(*partition, held.driver.position(), now);
            }
        }
        folded
    }

    /// Whether what is owed may wait for what is folded next: some was folded, so that more may be there; the last transaction
    /// took all that was owed, and is so young that another would cost more than the wait. A fold that stopped to be asked
    /// folds nothing in the next step, and is asked then.
    fn waits_for_more(&self, folded: usize) -> bool {
        let since_us = self.log.now().since_us(self.offsets_at);
        let slow_us = self.commit_us.saturating_mul(DECISIONS_WAIT_TRANSACTIONS).min(DECISIONS_WAIT_US_MAX);
        folded > 0 && !self.owes_more && (0..self.options.decisions_wait_us.max(slow_us)).contains(&since_us)
    }

    /// Asks every partition what it owes and commits it, or the offsets alone when it is time for that.
    fn publish(&mut self) -> Result<usize, PumpError> {
        if self.producer.is_none() || !self.may_commit() {
            return Ok(0);
        }
        let owed = self.ask()?;
        if owed.is_empty() && !(self.offsets_moved() && self.offsets_due()) {
            return Ok(0);
        }
        self.commit(owed)
    }

    fn ask(&mut self) -> Result<Vec<(Partition, Decision)>, PumpError> {
        let clock = self.log.now();
        let share = (DECISIONS_PER_TRANSACTION_MAX / self.held.len().max(1)).max(1);
        let consumer = self.consumer.as_mut().expect("a step joins before it publishes");
        let mut owed = Vec::new();
        self.owes_more = false;
        for (partition, held) in &mut self.held {
            if held.driver.may_owe(clock) {
                let extent = consumer.recent_extent(*partition).map_err(PumpError::Poll)?;
                let decisions = held.driver.ask(extent, share);
                self.owes_more |= decisions.len() == share;
                owed.extend(decisions.into_iter().map(|decision| (*partition, decision)));
            }
        }
        Ok(owed)
    }

    /// One transaction: decisions to the partitions that owed them, offsets of every driven partition, membership.
    /// Whatever it ends with but success costs the producer, and nothing else.
    fn commit(&mut self, owed: Vec<(Partition, Decision)>) -> Result<usize, PumpError> {
        let addressed: Vec<(Partition, Event)> =
            owed.iter().zip(1..).map(|((partition, decision), nth)| (*partition, self.event(decision, nth))).collect();
        let transaction = Transaction {
            records: addressed.iter().map(|(partition, event)| address(*partition, event)).collect(),
            offsets: self.offsets(),
            membership: self.consumer.as_ref().filter(|_| !broken(Mutant::NoGroupMetadata)).and_then(|consumer| consumer.membership()),
        };
        let offsets = transaction.offsets.clone();
        let begun = self.log.now();
        let producer = self.producer.as_mut().expect("publishing and draining look before they commit");
        match producer.commit(transaction) {
            Ok(delivered) => {
                self.offsets_at = self.log.now();
                self.commit_us = self.offsets_at.since_us(begun);
                self.committed(&owed, &addressed, &delivered, &offsets);
                Ok(owed.len())
            }
            Err(error) => {
                self.lost(&owed, &error);
                Err(PumpError::Commit(error))
            }
        }
    }

    fn committed(
        &mut self,
        owed: &[(Partition, Decision)],
        addressed: &[(Partition, Event)],
        delivered: &[Offset],
        offsets: &[(Partition, Offset)],
    ) {
        let outcome = if owed.is_empty() { "offsets" } else { "committed" };
        TransactionEnded { room: M::SERVICE, outcome, decisions: owed.len(), reason: None }.emit();
        check!(Law::EveryDecisionIsDelivered, delivered.len() == owed.len(), "{} of {}", delivered.len(), owed.len());
        for (((partition, decision), (_, event)), offset) in owed.iter().zip(addressed).zip(delivered) {
            DecisionPublished { room: M::SERVICE, partition: *partition, offset: *offset, event }.emit();
            if let Some(held) = self.held.get_mut(partition) {
                held.driver.published(decision.id.clone(), *offset);
            }
        }
        for (partition, offset) in offsets {
            if let Some(held) = self.held.get_mut(partition) {
                held.committed = *offset;
            }
        }
        self.published += owed.len() as u64;
    }

    /// Any transaction that does not end in a successful commit: the producer is discarded, what it held is in doubt
    /// until the log has been read to its end. Nothing is rewound, for the state moves only by records.
    ///
    /// A member that the group fenced hears of it in its next poll, which revokes its partitions: their drivers are
    /// dropped there, and restored when it is assigned some again. Until then they are suspended and publish nothing.
    /// Joining anew from here would take the place of whoever has rightly taken ours.
    fn lost(&mut self, owed: &[(Partition, Decision)], error: &CommitError) {
        let (outcome, reason) = (error::outcome_of(error), error.to_string());
        TransactionEnded { room: M::SERVICE, outcome, decisions: owed.len(), reason: Some(&reason) }.emit();
        self.producer = None;
        for (partition, decision) in owed {
            if let Some(held) = self.held.get_mut(partition) {
                held.driver.doubtful(decision.id.clone());
            }
        }
        self.held.values_mut().for_each(|held| held.driver.suspend());
    }

    fn event(&self, decision: &Decision, nth: u64) -> Event {
        let mut event = decision.to_event(M::SERVICE);
        if broken(Mutant::CountedIds) {
            event.id = format!("{}-{}-{}", M::SERVICE, self.options.ordinal, self.published + nth).into();
        }
        event
    }

    /// Positions of the partitions that may be asked: one that is still restoring is behind what is committed.
    fn offsets(&self) -> Vec<(Partition, Offset)> {
        let restored = self.held.iter().filter(|(_, held)| held.driver.is_restored());
        restored.map(|(partition, held)| (*partition, held.driver.position())).collect()
    }

    fn offsets_moved(&self) -> bool {
        self.held.values().any(|held| held.driver.is_restored() && held.driver.position() > held.committed)
    }

    fn offsets_due(&self) -> bool {
        self.log.now().since_us(self.offsets_at) >= OFFSETS_EVERY_US
    }

    /// Rule 2: without a live membership nothing is committed, because a log would accept it without fencing.
    fn may_commit(&self) -> bool {
        self.is_member() || broken(Mutant::NoGroupMetadata)
    }

    /// Whether the group has told this member its partitions, even if there are none for it.
    fn is_member(&self) -> bool {
        self.consumer.as_ref().is_some_and(|consumer| consumer.is_member())
    }

    fn restored(&self) -> bool {
        self.is_member() && self.arriving.is_empty() && self.held.values().all(|held| held.driver.is_restored())
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.held.values().filter_map(|held| held.driver.next_due()).min()
    }

    fn transactional_id(&self) -> String {
        format!("reeve.{}.{}", M::SERVICE, self.options.ordinal)
    }

    /// Takes at most one snapshot, if one is due. A busy room takes none until it is overdue twice, so that it does
    /// not stop for one while it is needed.
    fn snapshot_due(&mut self, quiet: bool) -> bool {
        if self.options.snapshots.is_none() {
            return false;
        }
        let (now, patience) = (self.log.now(), if quiet { 1 } else { 2 });
        let due = self.held.iter().find(|(_, held)| held.snapshot_overdue(&self.options, now, patience)).map(|(partition, _)| *partition);
        due.map(|partition| self.take_snapshot(partition)).is_some()
    }

    fn take_snapshot(&mut self, partition: Partition) {
        let (Some(store), Some(held)) = (&self.options.snapshots, self.held.get_mut(&partition)) else { return };
        if !held.is_ahead() {
            return;
        }
        // Busy: the next one comes soon enough, and waiting here would stop the room.
        held.snapshot(&**store, partition, self.log.now());
    }
}

/// Rule 4: a decision goes to the partition that owed it, whatever its key would choose.
fn address(partition: Partition, event: &Event) -> Addressed {
    let partition = if broken(Mutant::WrongPartition) { Partition(0) } else { partition };
    Addressed { partition, record: event.to_raw() }
}
