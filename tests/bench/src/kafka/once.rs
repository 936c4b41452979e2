//! What exactly once costs: the incident room as it is, against the same room whose decisions are only sent and acknowledged,
//! and whose offsets are stored beside them. After a crash that one repeats itself. B9 of the proofs.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use kit::{Teller, facts};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, AppendError, Appended, CommitError, Consumer, Log, LogError, Producer, Transaction};
use wire::{Offset, Partition, StoredRecord, Timestamp};

use super::turned::Turned;
use super::{Kafka, PART, PATIENCE, dated, headers, new_topic, publish, reader};
use crate::Failure;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;

/// What a room took for the same facts.
struct Taken {
    facts: usize,
    decided: usize,
    transactions: usize,
    wall: Duration,
    cpu_s: f64,
}

/// A log like another, but for its producers: what those commit may be seen in part, and again.
struct AtLeastOnce {
    log: Arc<KafkaLog>,
    options: KafkaOptions,
}

/// An idempotent producer, and somebody who stores offsets for it.
struct Sender {
    producer: ThreadedProducer<Acknowledged>,
    offsets: BaseConsumer,
    topic: String,
}

/// Where each record of a commit came to stand, by its place in it.
#[derive(Default)]
struct Acknowledged {
    told: Mutex<Vec<(usize, Result<Offset, String>)>>,
    changed: Condvar,
}

// === impl Kafka ===

impl Kafka {
    /// A room that is ready is given the whole fleet at once, first exactly once, then at least once.
    pub(super) fn once(&self, lines: &mut Lines) -> Result<(), Failure> {
        let exactly = self.taken(|log, _| log)?;
        let at_least = self.taken(|log, options| Arc::new(AtLeastOnce { log, options }))?;
        if exactly.decided == 0 || exactly.decided != at_least.decided {
            return Err(Failure(format!("{} decisions exactly once, and {} at least once", exactly.decided, at_least.decided)));
        }
        let ratio = Sample { cpu_s: exactly.cpu_s + at_least.cpu_s, value: exactly.pace().value / at_least.pace().value };
        lines.note(PART, "incident, exactly once", "events per second", None, exactly.pace());
        lines.note(PART, "incident, at least once by an idempotent producer", "events per second", None, at_least.pace());
        let count = |count: usize| Sample { cpu_s: exactly.cpu_s, value: count as f64 };
        lines.note(PART, "incident, exactly once: decisions", "decisions", None, count(exactly.decided));
        lines.note(PART, "incident, exactly once: transactions for them", "transactions", None, count(exactly.transactions));
        lines.note(PART, "exactly once over at least once", "x", Some(Goal::AtLeast(0.9)), ratio);
        Ok(())
    }

    fn taken(&self, log_of: impl Fn(Arc<KafkaLog>, KafkaOptions) -> Arc<dyn Log>) -> Result<Taken, Failure> {
        let options = self.options(&new_topic()?);
        let publisher = KafkaLog::open(options.clone())?;
        let mut room = Turned::ready_on(log_of(KafkaLog::open(options.clone())?, options))?;
        // What a producer does once only is no price of an event.
        let first = [Teller::new("first").tell(publisher.now(), None, facts::harm(true))];
        publish(&publisher, &first, |fact, _| fact.clone())?;
        room.until_settled(first.len())?;
        publish(&publisher, &self.fleet, dated)?;
        drop(publisher);
        let watch = Watch::begin();
        room.until_settled(first.len() + self.fleet.len())?;
        let (wall, cpu_s) = (watch.wall(), watch.cpu_s());
        Ok(Taken { facts: self.fleet.len(), decided: room.decided, transactions: room.transactions, wall, cpu_s })
    }
}

// === impl Taken ===

impl Taken {
    fn pace(&self) -> Sample {
        Sample { cpu_s: self.cpu_s, value: self.facts as f64 / self.wall.as_secs_f64() }
    }
}

// === impl AtLeastOnce ===

impl Log for AtLeastOnce {
    fn topic(&self) -> &str {
        self.log.topic()
    }

    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn now(&self) -> Timestamp {
        self.log.now()
    }

    fn clock_skew_us(&self) -> i64 {
        self.log.clock_skew_us()
    }

    fn consumer(&self, group: &str, member: &str) -> Result<Box<dyn Consumer>, LogError> {
        self.log.consumer(group, member)
    }

    fn producer(&self, _transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        let made = Sender::make(&self.options);
        Ok(Box::new(made.map_err(|Failure(reason)| LogError::BadSettings { reason })?))
    }

    fn append(&self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        self.log.append(records)
    }

    fn read(&self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        self.log.read(partition, from, max)
    }

    fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.log.end(partition)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.log.wait(seen, timeout)
    }
}

// === impl Sender ===

impl Sender {
    fn make(options: &KafkaOptions) -> Result<Self, Failure> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.brokers).set("enable.idempotence", "true").set("linger.ms", "0");
        let producer = config.create_with_context(Acknowledged::default())?;
        Ok(Self { producer, offsets: reader(options, "at-least-once")?, topic: options.topic.clone() })
    }

    fn send(&self, nth: usize, Addressed { partition, record }: &Addressed) -> Result<(), CommitError> {
        let told = BaseRecord::with_opaque_to(&self.topic, Box::new(nth))
            .partition(partition.0 as i32)
            .key(record.key.as_deref().unwrap_or_default())
            .payload(&record.value[..])
            .headers(headers(record));
        self.producer.send(told).map_err(|(error, _)| unknown(&error))
    }
}

impl Producer for Sender {
    fn commit(&mut self, transaction: Transaction) -> Result<Vec<Offset>, CommitError> {
        transaction.records.iter().enumerate().try_for_each(|(nth, record)| self.send(nth, record))?;
        let offsets = self.producer.context().wait_for(transaction.records.len())?;
        let mut places = TopicPartitionList::new();
        for (partition, next) in transaction.offsets {
            places.add_partition_offset(&self.topic, partition.0 as i32, At::Offset(next.0)).map_err(|error| unknown(&error))?;
        }
        self.offsets.commit(&places, CommitMode::Async).map_err(|error| unknown(&error))?;
        Ok(offsets)
    }
}

fn unknown(error: &dyn std::error::Error) -> CommitError {
    CommitError::Unknown { reason: error.to_string() }
}

// === impl Acknowledged ===

impl Acknowledged {
    /// Waits until all records of a commit are acknowledged. (The client's own `flush` looks every 100 ms.)
    fn wait_for(&self, records: usize) -> Result<Vec<Offset>, CommitError> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.changed.wait_timeout_while(told, PATIENCE, |told| told.len() < records);
        let mut told = std::mem::take(&mut *all.unwrap_or_else(PoisonError::into_inner).0);
        if told.len() < records {
            return Err(CommitError::Unknown { reason: format!("{} of {records} records were acknowledged", told.len()) });
        }
        told.sort_by_key(|(nth, _)| *nth);
        told.into_iter().map(|(_, told)| told.map_err(|reason| CommitError::Unknown { reason })).collect()
    }
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, nth: Box<usize>) {
        let told = match delivered {
            Ok(record) => Ok(Offset(record.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push((*nth, told));
        self.changed.notify_all();
    }
}
