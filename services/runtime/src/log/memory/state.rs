//! All that the log holds, and how transactions move it.

use std::collections::{BTreeMap, BTreeSet};

use machine::mutants::{Mutant, broken};
use wire::{Offset, Partition, Timestamp};

use super::MemoryOptions;
use super::faults::{CommitFault, DELAY_QUESTIONS_MAX, Dice};
use super::shelf::Shelf;
use crate::log::coordinator::Coordinator;
use crate::log::dedupe::{Known, Planned, UniqueKey, plan, unique_key};
use crate::log::{Addressed, AppendError, Appended, CommitError, LogError, Membership, Transaction, no_partition};

/// How long a broker keeps a transaction open that nobody ends.
const TRANSACTION_TIMEOUT_S: i64 = 5;

/// Everything behind the log's one lock.
pub(super) struct State {
    pub(super) now: Timestamp,
    /// How far an append may be dated back.
    pub(super) skew_us: i64,
    /// How long an append may wait for its copies before anybody can see it.
    replication_lag_us: i64,
    /// How long a commit takes.
    commit_us: i64,
    pub(super) shelves: Vec<Shelf>,
    pub(super) dice: Dice,
    /// Changes so far, for whoever waits.
    pub(super) changes: u64,
    offsets: BTreeMap<(String, Partition), Offset>,
    epochs: BTreeMap<String, u64>,
    pending: BTreeMap<String, Pending>,
    keys: BTreeMap<UniqueKey, Known>,
}

/// A transaction that its producer heard nothing more of.
struct Pending {
    /// Records that did not arrive yet.
    on_the_way: Vec<Addressed>,
    /// Records that stand open on the log.
    landed: Vec<(Partition, Offset)>,
    /// Offsets that the log accepted with it.
    offsets: Vec<((String, Partition), Offset)>,
    arrives: Arrives,
    since: Timestamp,
}

/// What still arrives of a pending transaction, after so many questions of readers.
#[derive(Clone, Copy)]
enum Arrives {
    /// Its records, and later its commit.
    Produce(u32),
    /// Its commit.
    Commit(u32),
    /// Nothing: its producer is gone.
    Nothing,
}

// === impl State: appends ===

impl State {
    pub(super) fn new(options: &MemoryOptions) -> Self {
        Self {
            now: options.start,
            skew_us: options.skew_us,
            replication_lag_us: options.replication_lag_us,
            commit_us: options.commit_us,
            shelves: (0..options.partitions).map(|_| Shelf::default()).collect(),
            dice: Dice::new(options.seed, options.faults),
            changes: 0,
            offsets: BTreeMap::new(),
            epochs: BTreeMap::new(),
            pending: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    /// No append is dated before this from now on.
    pub(super) fn earliest(&self) -> Timestamp {
        Timestamp(self.now.0 - self.skew_us)
    }

    /// Nothing that cannot be seen yet is dated before this.
    pub(super) fn quiet_until(&self) -> Timestamp {
        let lag_us = if broken(Mutant::SeenEndIsTheEnd) { 0 } else { self.replication_lag_us };
        Timestamp(self.earliest().0 - lag_us)
    }

    /// What comes to this partition next may have to wait for its copies.
    fn perhaps_hide(&mut self, partition: Partition) {
        if self.replication_lag_us > 0 && self.dice.strikes(self.dice.plan.unreplicated) {
            let now = self.now;
            let begins = self.shelves.get_mut(partition.0 as usize).is_some_and(|shelf| shelf.hide(now));
            self.dice.counts.unreplicated += u64::from(begins);
        }
    }

    /// The date of the next append to this partition, by whichever broker's clock.
    fn date(&mut self, partition: Partition) -> Timestamp {
        let date = Timestamp(self.now.0 - self.dice.up_to_us(self.skew_us));
        let last = self.shelves.get(partition.0 as usize).and_then(Shelf::last_dated);
        self.dice.counts.dated_back += u64::from(last.is_some_and(|last| date < last));
        date
    }

    pub(super) fn shelf(&self, partition: Partition) -> Result<&Shelf, LogError> {
        self.shelves.get(partition.0 as usize).ok_or_else(|| no_partition(partition))
    }

    pub(super) fn shelf_mut(&mut self, partition: Partition) -> Result<&mut Shelf, LogError> {
        self.shelves.get_mut(partition.0 as usize).ok_or_else(|| no_partition(partition))
    }

    /// Appends as the gateway does: repeats add nothing, taken ids are refused.
    pub(super) fn append(&mut self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        self.check_partitions(&records)?;
        let planned = plan(&records, |key| Ok::<_, LogError>(self.keys.get(key).copied()))?.map_err(AppendError::IdTaken)?;
        let mut appended: Vec<Appended> = Vec::with_capacity(records.len());
        for (fate, Addressed { partition, record }) in planned.into_iter().zip(records) {
            appended.push(match fate {
                Planned::Stands(offset) => Appended { offset, repeated: true },
                Planned::SameAs(place) => Appended { offset: appended[place].offset, repeated: true },
                Planned::New(unique) => {
                    self.perhaps_hide(partition);
                    let date = self.date(partition);
                    let offset = self.shelf_mut(partition)?.append(date, record);
                    self.keys.extend(unique.map(|(key, digest)| (key, Known { offset, digest })));
                    self.changes += 1;
                    Appended { offset, repeated: false }
                }
            });
        }
        Ok(appended)
    }

    /// Appends as a platform does that publishes by itself: nothing is compared with what stands.
    pub(super) fn publish_unchecked(&mut self, records: Vec<Addressed>) -> Result<Vec<Offset>, LogError> {
        self.check_partitions(&records)?;
        let mut again = Vec::new();
        let mut offsets = Vec::with_capacity(records.len());
        for Addressed { partition, record } in records {
            if self.dice.strikes(self.dice.plan.duplicated) {
                again.push(Addressed { partition, record: record.clone() });
            }
            self.perhaps_hide(partition);
            let date = self.date(partition);
            offsets.push(self.shelf_mut(partition)?.append(date, record));
        }
        self.dice.counts.duplicated += again.len() as u64;
        for Addressed { partition, record } in again {
            let date = self.date(partition);
            self.shelf_mut(partition)?.append(date, record);
        }
        self.changes += 1;
        Ok(offsets)
    }

    fn check_partitions(&self, records: &[Addressed]) -> Result<(), LogError> {
        records.iter().try_for_each(|addressed| self.shelf(addressed.partition).map(drop))
    }
}

// === impl State: transactions ===

impl State {
    /// The next epoch of a transactional id. What its predecessor left is decided first: its produce and its commit
    /// arrived just before, or are refused from now on.
    pub(super) fn register(&mut self, transactional_id: &str) -> u64 {
        if let Some(left) = self.pending.get(transactional_id) {
            let arrives = left.arrives;
            let just_before = self.dice.either();
            match arrives {
                Arrives::Commit(_) if just_before => self.land(transactional_id),
                Arrives::Produce(_) if just_before => {
                    self.land_produce(transactional_id);
                    self.undo(transactional_id);
                }
                _ => self.undo(transactional_id),
            }
            self.dice.counts.undone_by_successor += u64::from(!(just_before && matches!(arrives, Arrives::Commit(_))));
        }
        // A successor stands only when what its predecessor left is decided on all copies.
        self.shelves.iter_mut().for_each(Shelf::replicate);
        self.bump(transactional_id)
    }

    /// Ends the epoch of a transactional id, as another producer of it does.
    pub(super) fn bump(&mut self, transactional_id: &str) -> u64 {
        let epoch = self.epochs.entry(transactional_id.to_owned()).or_default();
        *epoch += 1;
        *epoch
    }

    /// Commits, or meets the fault that its turn brings.
    pub(super) fn commit(
        &mut self,
        id: &str,
        epoch: u64,
        coordinator: &std::sync::Arc<Coordinator>,
        transaction: Transaction,
    ) -> Result<Vec<Offset>, CommitError> {
        let transaction = if broken(Mutant::NoGroupMetadata) { unfenced(id, transaction) } else { transaction };
        let carried: Vec<Partition> = transaction.offsets.iter().map(|(partition, _)| *partition).collect();
        let admitted = match broken(Mutant::NoGroupMetadata) {
            true => Ok(None),
            false => coordinator.admit(transaction.membership.as_ref(), Vec::new()).map(Some),
        };
        let membership = transaction.membership.clone().ok_or(CommitError::NoMembership)?;
        self.dice.counts.zombie_refused += u64::from(admitted.is_err());
        admitted?;
        let current = self.epochs.get(id).copied().unwrap_or(0);
        if current != epoch {
            self.dice.counts.zombie_refused += 1;
            return Err(CommitError::Fenced { reason: format!("{id} is at epoch {current}, this producer at {epoch}") });
        }
        self.check_partitions(&transaction.records).map_err(|error| CommitError::Aborted { reason: error.to_string() })?;
        for partition in carried {
            self.shelf(partition).map_err(|error| CommitError::Aborted { reason: error.to_string() })?;
        }
        let offsets = transaction.offsets.into_iter().map(|(partition, next)| ((membership.group.clone(), partition), next)).collect();
        let pending = Pending { on_the_way: transaction.records, landed: Vec::new(), offsets, arrives: Arrives::Nothing, since: self.now };
        self.pending.insert(id.to_owned(), pending);
        let met = self.meet(id, coordinator, &membership);
        self.now = Timestamp(self.now.0 + self.commit_us);
        met
    }

    fn meet(&mut self, id: &str, coordinator: &Coordinator, membership: &Membership) -> Result<Vec<Offset>, CommitError> {
        let (fault, questions) = self.dice.commit_fault(id).unzip();
        let questions = questions.unwrap_or(0);
        if fault != Some(CommitFault::DelayedProduce) {
            self.land_produce(id);
        }
        match fault {
            None => {
                let offsets = self.pending.get(id).map(|pending| pending.landed.iter().map(|(_, offset)| *offset).collect());
                self.land_commit(id);
                Ok(offsets.unwrap_or_default())
            }
            Some(CommitFault::Aborted) => {
                self.undo(id);
                Err(CommitError::Aborted { reason: "the log ended the transaction".to_owned() })
            }
            Some(CommitFault::Fenced) => {
                self.undo(id);
                coordinator.expire(&membership.group, &membership.member);
                Err(CommitError::Fenced { reason: format!("the session of {} ended", membership.member) })
            }
            Some(CommitFault::CrashAfterCommit) => {
                self.land_commit(id);
                Err(CommitError::Unknown { reason: "the answer to the commit was lost".to_owned() })
            }
            Some(CommitFault::CrashBeforeCommit) => Err(CommitError::Unknown { reason: "the commit was lost".to_owned() }),
            Some(CommitFault::DelayedProduce) => {
                self.delay(id, Arrives::Produce(questions));
                Err(CommitError::Unknown { reason: "the records were not acknowledged in time".to_owned() })
            }
            Some(CommitFault::DelayedCommit) => {
                self.delay(id, Arrives::Commit(questions));
                Err(CommitError::Unknown { reason: "the commit was not acknowledged in time".to_owned() })
            }
        }
    }

    /// A group's offset, unless a transaction is pending on it.
    pub(super) fn committed(&mut self, group: &str, partition: Partition) -> Result<Option<Offset>, LogError> {
        let key = (group.to_owned(), partition);
        if self.pending.values().any(|pending| pending.offsets.iter().any(|(held, _)| *held == key)) {
            self.dice.counts.offset_pending += 1;
            return Err(LogError::OffsetPending { partition });
        }
        Ok(self.offsets.get(&key).copied())
    }

    /// The transactional ids whose transactions are undecided.
    pub(super) fn pending(&self) -> impl Iterator<Item = &String> {
        self.pending.keys()
    }

    /// A reader asked something: what is on its way comes nearer.
    pub(super) fn tick(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let ids: Vec<String> = self.pending.keys().cloned().collect();
        for id in ids {
            match self.pending.get(&id).map(|pending| pending.arrives) {
                Some(Arrives::Produce(1)) => {
                    self.land_produce(&id);
                    let questions = self.dice.up_to(DELAY_QUESTIONS_MAX);
                    self.delay(&id, Arrives::Commit(questions));
                }
                Some(Arrives::Produce(left)) => self.delay(&id, Arrives::Produce(left.saturating_sub(1))),
                Some(Arrives::Commit(1)) => self.land(&id),
                Some(Arrives::Commit(left)) => self.delay(&id, Arrives::Commit(left.saturating_sub(1))),
                Some(Arrives::Nothing) | None => {}
            }
        }
    }

    /// Lets all that is on its way for `id` arrive; a transaction of which nothing arrives any more is undone.
    pub(super) fn arrive(&mut self, id: &str) {
        match self.pending.get(id).map(|pending| pending.arrives) {
            Some(Arrives::Nothing) => self.undo(id),
            Some(_) => self.land(id),
            None => {}
        }
    }

    /// Moves the clock. A transaction that stayed open too long is undone and its producer fenced, as a broker does.
    pub(super) fn set_now(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let (now, lag_us) = (self.now, self.replication_lag_us);
        self.shelves.iter_mut().for_each(|shelf| shelf.replicate_by(now, lag_us));
        let late = |pending: &Pending| pending.since.plus_s(TRANSACTION_TIMEOUT_S) <= self.now;
        let timed_out: Vec<String> = self.pending.iter().filter(|(_, pending)| late(pending)).map(|(id, _)| id.clone()).collect();
        for id in timed_out {
            self.undo(&id);
            self.bump(&id);
            self.dice.counts.timed_out += 1;
        }
    }

    fn delay(&mut self, id: &str, arrives: Arrives) {
        if let Some(pending) = self.pending.get_mut(id) {
            pending.arrives = arrives;
        }
    }

    fn land(&mut self, id: &str) {
        self.land_produce(id);
        self.land_commit(id);
        self.dice.counts.landed_late += 1;
    }

    /// The records of a pending transaction arrive and stand open.
    fn land_produce(&mut self, id: &str) {
        let Some(pending) = self.pending.get_mut(id) else { return };
        let mut landed = Vec::new();
        for Addressed { partition, record } in std::mem::take(&mut pending.on_the_way) {
            let date = self.date(partition);
            // Whoever commits addressed partitions that exist: that was checked before.
            let Some(shelf) = self.shelves.get_mut(partition.0 as usize) else { continue };
            if let Some(key) = unique_key(partition, &record) {
                let known = Known { offset: shelf.next(), digest: record.body_digest() };
                self.keys.entry(key).or_insert(known);
            }
            landed.push((partition, shelf.append_open(date, record)));
        }
        if let Some(pending) = self.pending.get_mut(id) {
            pending.landed.extend(landed);
        }
        self.changes += 1;
    }

    /// The commit of a pending transaction arrives: markers, and its offsets count.
    fn land_commit(&mut self, id: &str) {
        if let Some(pending) = self.pending.remove(id) {
            self.end(&pending.landed, true);
            // Records are acknowledged by all copies before their transaction is committed.
            for (partition, _) in &pending.landed {
                self.shelves.get_mut(partition.0 as usize).into_iter().for_each(Shelf::replicate);
            }
            self.offsets.extend(pending.offsets);
        }
    }

    /// A pending transaction is aborted. What is still on its way is refused when it comes.
    fn undo(&mut self, id: &str) {
        if let Some(pending) = self.pending.remove(id) {
            self.end(&pending.landed, false);
            self.dice.counts.late_produce_fenced += pending.on_the_way.len() as u64;
        }
    }

    fn end(&mut self, landed: &[(Partition, Offset)], committed: bool) {
        let touched: BTreeSet<Partition> = landed.iter().map(|(partition, _)| *partition).collect();
        for (partition, offset) in landed {
            if let Some(shelf) = self.shelves.get_mut(partition.0 as usize) {
                shelf.decide(*offset, committed);
            }
        }
        for partition in touched {
            if let Some(shelf) = self.shelves.get_mut(partition.0 as usize) {
                shelf.mark(self.now);
            }
        }
        self.changes += 1;
    }
}

/// What a broker makes of a transaction without group metadata: its offsets belong to nobody, and nobody is fenced.
fn unfenced(id: &str, transaction: Transaction) -> Transaction {
    let membership = Membership { group: String::new(), member: id.to_owned(), generation: 0 };
    Transaction { offsets: Vec::new(), membership: Some(membership), ..transaction }
}
