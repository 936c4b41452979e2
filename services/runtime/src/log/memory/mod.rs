//! A deterministic log in memory that fails as Kafka fails, for simulation and tests.
//!
//! What is imitated: markers and aborted records take offsets; a transaction in flight counts for the high watermark
//! and holds back everything after it from whoever reads committed; offsets of a transaction in flight are pending; a
//! producer's produce and commit may arrive late, after its caller was told that nobody knows, and are refused once a
//! successor came; a broker undoes what stays open too long. All chance comes from the seed, all time from the test.

mod faults;
mod member;
mod shelf;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wire::{Offset, Partition, StoredRecord, Timestamp};

use self::member::{Publisher, Reader};
use self::state::State;
use super::coordinator::Coordinator;
use super::seat::Seat;
use super::{Addressed, AppendError, Appended, Consumer, Log, LogError, Producer, locked};

pub use self::faults::{CommitFault, FaultCounts, FaultPlan};

/// How a memory log is made.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// Name of the topic.
    pub topic: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Where all chance comes from.
    pub seed: u64,
    /// How likely each fault is.
    pub faults: FaultPlan,
    /// The time at the start.
    pub start: Timestamp,
    /// How far the clocks of brokers lie behind the log's, at most, in microseconds: each append is dated by another one, so that
    /// dates step back.
    pub skew_us: i64,
    /// How long an append may wait for its copies before anybody can see it, at most, in microseconds: it is dated when it comes.
    pub replication_lag_us: i64,
    /// How long a commit takes, in microseconds.
    pub commit_us: i64,
}

/// A log that lives as long as it is held.
pub struct MemoryLog {
    topic: String,
    partitions: u32,
    inner: Arc<Inner>,
}

/// What the log shares with its consumers and producers.
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    coordinator: Arc<Coordinator>,
}

// === impl MemoryOptions ===

impl Default for MemoryOptions {
    /// One partition of `agent-events` in calm weather, at the beginning of 1970, where all clocks agree, no copy is waited for, and
    /// a commit takes no time.
    fn default() -> Self {
        let (topic, start) = ("agent-events".to_owned(), Timestamp(0));
        Self { topic, partitions: 1, seed: 0, faults: FaultPlan::default(), start, skew_us: 0, replication_lag_us: 0, commit_us: 0 }
    }
}

// === impl MemoryLog ===

impl MemoryLog {
    /// An empty log.
    pub fn new(options: MemoryOptions) -> Arc<Self> {
        let state = State::new(&options);
        let coordinator = Arc::new(Coordinator::new(options.partitions));
        let inner = Inner { state: Mutex::new(state), changed: Condvar::new(), coordinator };
        Arc::new(Self { topic: options.topic, partitions: options.partitions, inner: Arc::new(inner) })
    }

    /// The clock by which appends are dated at the latest.
    pub fn clock(&self) -> Timestamp {
        locked(&self.inner.state).now
    }

    /// Moves the clock forward to `now`; it never goes back. A transaction that has been open for 5 s is undone.
    pub fn set_now(&self, now: Timestamp) {
        self.change(|state| state.set_now(now));
    }

    /// Appends as a platform does that publishes by itself: nothing is compared with what stands, and a record may come
    /// twice. Offsets of the records, in order.
    ///
    /// # Errors
    /// [`LogError::Storage`] when a partition does not exist; nothing is appended then.
    pub fn publish_unchecked(&self, records: Vec<Addressed>) -> Result<Vec<Offset>, LogError> {
        self.change(|state| state.publish_unchecked(records))
    }

    /// From now on faults strike as this plan says.
    pub fn set_faults(&self, faults: FaultPlan) {
        self.change(|state| state.dice.plan = faults);
    }

    /// The next commit under this transactional id meets this fault; told again, the one after it. What it delays stays
    /// on its way until [`Self::arrive`], a successor, or the broker's patience ends it.
    pub fn fail_next_commit(&self, transactional_id: &str, fault: CommitFault) {
        self.change(|state| state.dice.order(transactional_id, fault));
    }

    /// The transactional ids whose transactions are undecided.
    pub fn pending(&self) -> Vec<String> {
        locked(&self.inner.state).pending().cloned().collect()
    }

    /// Lets what is on its way under this transactional id arrive now. Of a crashed producer nothing arrives: its
    /// transaction is undone.
    pub fn arrive(&self, transactional_id: &str) {
        self.change(|state| state.arrive(transactional_id));
    }

    /// Fences the present producer of a transactional id, as another one elsewhere does; what it left is undone.
    pub fn fence_producer(&self, transactional_id: &str) {
        self.change(|state| state.register(transactional_id));
    }

    /// Ends a member's session: it is fenced, and its partitions go to the others of its group.
    pub fn expire(&self, group: &str, member: &str) -> bool {
        self.inner.coordinator.expire(group, member)
    }

    /// Makes every member of the group let go and join anew.
    pub fn rebalance(&self, group: &str) {
        self.inner.coordinator.rebalance(group);
    }

    /// Keeps the read-committed end of a partition where it is, for so many polls of it.
    ///
    /// # Errors
    /// [`LogError::Storage`] when the partition does not exist.
    pub fn stall(&self, partition: Partition, polls: u32) -> Result<(), LogError> {
        self.change(|state| state.shelf_mut(partition).map(|shelf| shelf.stall(polls)))
    }

    /// The weather turns: from now on all chance comes from `seed`, and each fault is as likely as `faults` says. Who
    /// turns it before every action gives each action a chance of its own, which no other action changes.
    pub fn turn_weather(&self, seed: u64, faults: FaultPlan) {
        self.change(|state| state.dice.turn(seed, faults));
    }

    /// Calm weather from now on: no new faults, nothing stalled, everything on its way arrives. A reader that lags
    /// catches up within its next few polls.
    pub fn heal(&self) {
        self.change(|state| {
            state.dice.plan = FaultPlan::default();
            for shelf in &mut state.shelves {
                shelf.end_stall();
                shelf.replicate();
            }
            let pending: Vec<String> = state.pending().cloned().collect();
            pending.iter().for_each(|id| state.arrive(id));
        });
    }

    /// How often each fault struck so far.
    pub fn fault_counts(&self) -> FaultCounts {
        locked(&self.inner.state).dice.counts
    }

    /// The offset after everything appended that can be seen, transactions in flight and markers included.
    ///
    /// # Errors
    /// [`LogError::Storage`] when the partition does not exist.
    pub fn high_watermark(&self, partition: Partition) -> Result<Offset, LogError> {
        locked(&self.inner.state).shelf(partition).map(shelf::Shelf::high_watermark)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut locked(&self.inner.state));
        self.inner.changed.notify_all();
        changed
    }
}

impl Log for MemoryLog {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn now(&self) -> Timestamp {
        locked(&self.inner.state).earliest()
    }

    fn clock_skew_us(&self) -> i64 {
        locked(&self.inner.state).skew_us
    }

    fn consumer(&self, group: &str, member: &str) -> Result<Box<dyn Consumer>, LogError> {
        let seat = Seat::take(Arc::clone(&self.inner.coordinator), group, member);
        Ok(Box::new(Reader { inner: Arc::clone(&self.inner), seat, behind: BTreeMap::new() }))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        let epoch = self.change(|state| state.register(transactional_id));
        let inner = Arc::clone(&self.inner);
        Ok(Box::new(Publisher { inner, transactional_id: transactional_id.to_owned(), epoch, failed: false }))
    }

    fn append(&self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        self.change(|state| state.append(records))
    }

    fn read(&self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let state = locked(&self.inner.state);
        let shelf = state.shelf(partition)?;
        Ok(shelf.read(partition, from, shelf.stable_end(), max).0)
    }

    fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        locked(&self.inner.state).shelf(partition).map(shelf::Shelf::readable_end)
    }

    fn is_undecided(&self, partition: Partition) -> Result<bool, LogError> {
        locked(&self.inner.state).shelf(partition).map(|shelf| shelf.stable_end() < shelf.next())
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let state = locked(&self.inner.state);
        let waiting = self.inner.changed.wait_timeout_while(state, timeout, |state| state.changes <= seen);
        waiting.unwrap_or_else(PoisonError::into_inner).0.changes
    }
}
