//! The newest records of every partition, from the first append of a process on: by which an append knows what stands on the
//! log, and by which who waits there hears that something was appended.
//!
//! It reads uncommitted: a record in flight takes its place already, whatever becomes of it. And it reads what lies there: an
//! append waits for no registry, so that the same fact in two framings says two things here. An id is remembered for the
//! last [`IDS_MAX`] records of the topic, shared evenly by its partitions, and over restarts, for it is read from the log.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::Offset as At;
use wire::{Offset, Partition, StoredRecord};

use super::heard::Quiet;
use super::member::kafka_partition;
use super::native::{FetchQueue, Fetched};
use super::{Changed, Inner, not_made, unavailable};
use crate::log::dedupe::{Known, UniqueKey, unique_key};
use crate::log::{LogError, locked};

/// Ids that are remembered, of all partitions together.
pub const IDS_MAX: usize = 1_000_000;
const BATCH_MAX: usize = 1_000;
/// How long the thread waits for records before it looks whether it is to end.
const LOOK_UP_EVERY: Duration = Duration::from_millis(50);

/// A thread that follows the topic.
pub(super) struct Tail {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    newest: Mutex<Newest>,
    moved: Condvar,
    changed: Arc<Changed>,
    ends: AtomicBool,
}

/// What stands at the end of the log.
struct Newest {
    /// The next offset of each partition.
    next: BTreeMap<Partition, Offset>,
    /// By partition, in order: what is forgotten first.
    order: BTreeMap<Partition, VecDeque<(Offset, UniqueKey)>>,
    first: BTreeMap<UniqueKey, Known>,
    per_partition: usize,
}

// === impl Tail ===

impl Tail {
    /// Follows the topic from as far back as ids are remembered.
    pub(super) fn begin(inner: &Inner) -> Result<Self, LogError> {
        let per_partition = (IDS_MAX / inner.partitions.max(1) as usize).max(1);
        let mut places = TopicPartitionList::new();
        let mut next = BTreeMap::new();
        for partition in (0..inner.partitions).map(Partition) {
            let extent = inner.extent(partition)?;
            let from = Offset((extent.high_watermark.0 - per_partition as i64).max(extent.start.0));
            places.add_partition_offset(&inner.options.topic, kafka_partition(partition), At::Offset(from.0)).map_err(unavailable)?;
            next.insert(partition, from);
        }
        let mut config = inner.options.reader("reeve.tail", "reeve.tail");
        config.set("isolation.level", "read_uncommitted");
        let reader = BaseConsumer::from_config_and_context(&config, Quiet::default()).map_err(not_made)?;
        let reader = inner.tokens.authenticate(reader)?;
        reader.assign(&places).map_err(unavailable)?;
        let queue = FetchQueue::of(&reader).ok_or_else(|| unavailable("a consumer without a queue"))?;
        let newest = Newest { next, order: BTreeMap::new(), first: BTreeMap::new(), per_partition };
        let shared = Arc::new(Shared {
            newest: Mutex::new(newest),
            moved: Condvar::new(),
            changed: Arc::clone(&inner.changed),
            ends: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("kafka tail".to_owned()).spawn(move || follow(&of_thread, &reader, queue));
        Ok(Self { shared, thread: Some(thread.map_err(unavailable)?) })
    }

    /// The record that stands under `key`, as far as it is remembered.
    pub(super) fn lookup(&self, key: &UniqueKey) -> Option<Known> {
        locked(&self.shared.newest).first.get(key).copied()
    }

    /// Waits until everything before each of `ends` was read. Whether it was within `wait`.
    pub(super) fn reach(&self, ends: &[(Partition, Offset)], wait: Duration) -> bool {
        let newest = locked(&self.shared.newest);
        let waits = |newest: &mut Newest| ends.iter().any(|(partition, end)| newest.next.get(partition).is_some_and(|next| next < end));
        !self.shared.moved.wait_timeout_while(newest, wait, waits).unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic of it was told by the hook.
            thread.join().ok();
        }
    }
}

fn follow(shared: &Shared, reader: &BaseConsumer<Quiet>, mut queue: FetchQueue) {
    while !shared.ends.load(Ordering::SeqCst) {
        let fetched = queue.fetch(BATCH_MAX, Duration::ZERO);
        if fetched.is_empty() {
            // One at a time, for a batch would wait for its last.
            let waited = queue.fetch(1, LOOK_UP_EVERY);
            if waited.is_empty() {
                continue;
            }
            shared.take(waited);
            continue;
        }
        shared.take(fetched);
    }
    // The queue goes before the client that it belongs to.
    drop(queue);
    reader.unassign().ok();
}

// === impl Shared ===

impl Shared {
    fn take(&self, fetched: Vec<Fetched>) {
        let mut newest = locked(&self.newest);
        for piece in fetched {
            match piece {
                Fetched::Record(record) => newest.pass(&record),
                Fetched::End(partition, offset) => newest.move_to(partition, offset),
                Fetched::Failed(..) => {}
            }
        }
        drop(newest);
        self.moved.notify_all();
        self.changed.happened();
    }
}

// === impl Newest ===

impl Newest {
    fn pass(&mut self, record: &StoredRecord) {
        self.move_to(record.partition, record.offset.next());
        let Some(key) = unique_key(record.partition, &record.raw) else { return };
        let known = Known { offset: record.offset, digest: record.raw.body_digest() };
        // The first one stands; a repeat changes nothing of it.
        if let Entry::Vacant(vacant) = self.first.entry(key) {
            vacant.insert(known);
            self.order.entry(record.partition).or_default().push_back((record.offset, key));
        }
    }

    fn move_to(&mut self, partition: Partition, next: Offset) {
        let place = self.next.entry(partition).or_default();
        *place = next.max(*place);
        let oldest = Offset(place.0 - self.per_partition as i64);
        let Some(order) = self.order.get_mut(&partition) else { return };
        while let Some((_, key)) = order.pop_front_if(|(offset, _)| *offset < oldest) {
            self.first.remove(&key);
        }
    }
}
