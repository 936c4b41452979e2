//! Appends on their way to the brokers: of each partition one batch at a time, with the records of all callers together.
//!
//! Kafka's client would take whatever comes, at once. But while five records of a partition or more are on their way and others wait
//! behind them, it asks itself without a pause whether those may go (librdkafka 2.12, `rd_kafka_toppar_producer_serve`: the number
//! of requests that may be on their way is compared with that of records, and the time to wait has passed). Where brokers do not
//! acknowledge, because one of them is gone, that keeps a processor busy for each partition. So what comes while a batch is on its
//! way waits here, and the client has nothing to ask itself. It makes fewer and larger requests as well.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::ThreadedProducer;
use wire::Partition;

use super::native::Authenticated;
use super::publisher::{Deliveries, Receipt, Reports, send};
use super::unavailable;
use crate::log::{Addressed, LogError, locked};

/// Of one batch: so few that the client has all of them before it sends the first (`linger.ms`).
const BATCH_RECORDS_MAX: usize = 500;
/// And so much that it sends them in one request, which is 1 MB at most (`batch.size`).
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The lanes of a topic, one for each of its partitions.
pub(super) struct Lanes {
    road: Arc<Road>,
    thread: Option<JoinHandle<()>>,
}

struct Road {
    producer: Authenticated<ThreadedProducer<Reports>>,
    topic: String,
    lanes: Arc<Table>,
}

/// Not the producer's owner: it is held by whatever is on its way.
struct Table {
    lanes: Vec<Mutex<Lane>>,
    /// Lanes whose batch was answered and where others wait, each of them once at most; none is the end.
    freed: Sender<Option<Partition>>,
}

#[derive(Default)]
struct Lane {
    is_taken: bool,
    waiting: VecDeque<Waiting>,
}

/// One record of an append.
pub(super) struct Waiting {
    /// All of them.
    pub(super) append: Arc<Vec<Addressed>>,
    /// Which one.
    pub(super) place: usize,
    pub(super) receipt: Box<Receipt>,
}

/// What is on its way on one lane. The receipt of each of its records holds it, and the lane is free when the last one is gone.
pub(super) struct Batch {
    lanes: Arc<Table>,
    partition: Partition,
}

// === impl Lanes ===

impl Lanes {
    pub(super) fn new(producer: Authenticated<ThreadedProducer<Reports>>, topic: &str, partitions: u32) -> Result<Self, LogError> {
        let (freed, heard) = channel();
        let lanes = Arc::new(Table { lanes: (0..partitions).map(|_| Mutex::default()).collect(), freed });
        let road = Arc::new(Road { producer, topic: topic.to_owned(), lanes });
        let of_thread = Arc::clone(&road);
        let thread = std::thread::Builder::new().name("kafka lanes".to_owned()).spawn(move || of_thread.hand_on(&heard));
        Ok(Self { road, thread: Some(thread.map_err(unavailable)?) })
    }

    /// Sends each of these when its lane is free. What becomes of it its receipt is told.
    pub(super) fn put(&self, records: impl IntoIterator<Item = Waiting>) {
        let mut touched = BTreeSet::new();
        for waiting in records {
            let partition = waiting.addressed().partition;
            locked(self.road.lanes.of(partition)).waiting.push_back(waiting);
            touched.insert(partition);
        }
        touched.into_iter().for_each(|partition| self.road.send_next(partition));
    }

    /// Whoever waits for these deliveries has given up: what of theirs was not sent yet is not sent any more.
    pub(super) fn withdraw(&self, deliveries: &Deliveries) {
        self.road.lanes.withdraw(deliveries);
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // It hears this as long as it runs.
        self.road.lanes.freed.send(None).ok();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic of it was told by the hook.
            thread.join().ok();
        }
    }
}

// === impl Road ===

impl Road {
    fn hand_on(&self, freed: &Receiver<Option<Partition>>) {
        while let Ok(Some(partition)) = freed.recv() {
            locked(self.lanes.of(partition)).is_taken = false;
            self.send_next(partition);
        }
    }

    fn send_next(&self, partition: Partition) {
        // Whoever takes the lane sends alone on it, without its lock.
        let taken = locked(self.lanes.of(partition)).take();
        if taken.is_empty() {
            return;
        }
        let batch = Arc::new(Batch { lanes: Arc::clone(&self.lanes), partition });
        for Waiting { append, place, receipt } in taken {
            let sent = send(&self.producer, &self.topic, &append[place], None, receipt.in_batch(&batch));
            if let Err((error, receipt)) = sent {
                receipt.tell(Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)));
            }
        }
    }
}

// === impl Table ===

impl Table {
    fn of(&self, partition: Partition) -> &Mutex<Lane> {
        &self.lanes[partition.0 as usize]
    }

    fn withdraw(&self, deliveries: &Deliveries) {
        for lane in &self.lanes {
            locked(lane).waiting.retain(|waiting| !waiting.receipt.is_told_to(deliveries));
        }
    }
}

// === impl Lane ===

impl Lane {
    /// The next batch, and with it the lane. Nothing where somebody has it, or nothing waits.
    fn take(&mut self) -> Vec<Waiting> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while !self.is_taken
            && batch.len() < BATCH_RECORDS_MAX
            && let Some(next) = self.waiting.pop_front_if(|next| batch.is_empty() || bytes + next.bytes() <= BATCH_BYTES_MAX)
        {
            bytes += next.bytes();
            batch.push(next);
        }
        self.is_taken |= !batch.is_empty();
        batch
    }
}

// === impl Waiting ===

impl Waiting {
    fn addressed(&self) -> &Addressed {
        &self.append[self.place]
    }

    fn bytes(&self) -> usize {
        let record = &self.addressed().record;
        record.value.len() + record.key.as_ref().map_or(0, |key| key.len())
    }
}

// === impl Batch ===

impl Drop for Batch {
    fn drop(&mut self) {
        let mut lane = locked(self.lanes.of(self.partition));
        if lane.waiting.is_empty() {
            lane.is_taken = false;
        } else {
            // Nobody hears it when the appender is gone, and then nobody waits.
            self.lanes.freed.send(Some(self.partition)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::contract::fixtures::{fact, to};

    fn waiting(values: impl IntoIterator<Item = String>) -> VecDeque<Waiting> {
        let append = Arc::new(values.into_iter().map(|value| to(0, fact("a", &value))).collect::<Vec<_>>());
        let deliveries = Deliveries::of(append.len());
        (0..append.len()).map(|place| Waiting { append: Arc::clone(&append), place, receipt: deliveries.receipt(place) }).collect()
    }

    fn small(records: usize) -> VecDeque<Waiting> {
        waiting((0..records).map(|nth| nth.to_string()))
    }

    #[test]
    fn all_that_waits_goes_out_as_one_batch_and_the_next_when_the_lane_is_free_again() {
        let mut lane = Lane { is_taken: false, waiting: small(3) };
        assert_eq!(lane.take().iter().map(|waiting| waiting.place).collect::<Vec<_>>(), [0, 1, 2]);
        lane.waiting = small(2);
        assert!(lane.take().is_empty(), "what is on its way was not answered");
        lane.is_taken = false;
        assert_eq!(lane.take().len(), 2);
        lane.is_taken = false;
        assert!(lane.take().is_empty() && !lane.is_taken, "a lane on which nothing waits is free");
    }

    #[test]
    fn a_batch_has_so_many_records_and_so_many_bytes_at_most_and_one_record_however_large() {
        let mut lane = Lane { is_taken: false, waiting: small(BATCH_RECORDS_MAX + 1) };
        assert_eq!((lane.take().len(), lane.waiting.len()), (BATCH_RECORDS_MAX, 1));
        let large = || "x".repeat(BATCH_BYTES_MAX / 2);
        let mut lane = Lane { is_taken: false, waiting: waiting([large(), large(), "x".repeat(2 * BATCH_BYTES_MAX)]) };
        for left in [2, 1, 0] {
            assert_eq!((lane.take().len(), lane.waiting.len()), (1, left));
            lane.is_taken = false;
        }
    }

    #[test]
    fn a_lane_is_free_when_the_last_of_its_batch_was_answered_and_calls_where_others_wait() {
        let (freed, heard) = channel();
        let lanes = Arc::new(Table { lanes: vec![Mutex::default()], freed });
        let batch = || {
            *locked(lanes.of(Partition(0))) = Lane { is_taken: false, waiting: small(2) };
            let taken = locked(lanes.of(Partition(0))).take();
            let batch = Arc::new(Batch { lanes: Arc::clone(&lanes), partition: Partition(0) });
            taken.into_iter().map(|waiting| waiting.receipt.in_batch(&batch)).collect::<Vec<_>>()
        };
        let is_taken = || locked(lanes.of(Partition(0))).is_taken;
        let mut receipts = batch();
        receipts.pop();
        assert!(is_taken(), "one of two was answered");
        receipts.pop();
        assert!(!is_taken() && heard.try_recv().is_err(), "nobody waits");
        let receipts = batch();
        locked(lanes.of(Partition(0))).waiting = small(1);
        drop(receipts);
        assert_eq!(heard.try_recv(), Ok(Some(Partition(0))));
        assert!(is_taken(), "it is kept for those who wait");
    }

    #[test]
    fn whoever_gives_up_takes_along_what_was_not_sent_and_nothing_of_anybody_else() {
        let (freed, _heard) = channel();
        let lanes = Table { lanes: vec![Mutex::default()], freed };
        let append = Arc::new(vec![to(0, fact("a", "a"))]);
        let [one, another] = [Deliveries::of(1), Deliveries::of(1)];
        for deliveries in [&one, &another, &one] {
            let waiting = Waiting { append: Arc::clone(&append), place: 0, receipt: deliveries.receipt(0) };
            locked(lanes.of(Partition(0))).waiting.push_back(waiting);
        }
        lanes.withdraw(&one);
        let left = locked(lanes.of(Partition(0))).take();
        assert_eq!(left.iter().map(|waiting| waiting.receipt.is_told_to(&another)).collect::<Vec<_>>(), [true]);
    }
}
