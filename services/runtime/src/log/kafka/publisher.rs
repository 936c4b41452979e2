//! A transactional producer: decisions and the offsets that they were made at, all or none.
//!
//! Records first, then offsets: librdkafka delivers the former while it asks for the latter (PITFALLS P5). Whatever goes
//! wrong costs the producer, never an abort: an abort may overtake what it aborts (P3), while the next producer of the same
//! id fences all of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::Offset as At;
use wire::{Offset, Partition, Timestamp};

use super::heard::Heard;
use super::lanes::Batch;
use super::member::kafka_partition;
use super::native::{self, Authenticated, TransactionError};
use super::settings::TRANSACTION_TIMEOUT;
use super::statistics::Measured;
use super::{Inner, US_PER_MS, not_made, unavailable};
use crate::failpoints::{self, Failpoint};
use crate::log::{Addressed, CommitError, LogError, Producer, Transaction, locked, no_partition};

/// How long delivery reports may stay away once everything was flushed.
const REPORTS_WITHIN: Duration = Duration::from_secs(1);

/// A producer of one epoch.
pub(super) struct Publisher {
    inner: Arc<Inner>,
    producer: Authenticated<ThreadedProducer<Reports>>,
    /// Whether a commit failed: a producer after that is good for nothing.
    failed: bool,
}

/// Takes delivery reports to whoever waits for them.
#[derive(Default)]
pub(super) struct Reports {
    heard: Heard,
    measured: Measured,
}

/// Where the report on one record goes.
pub(super) struct Receipt {
    place: usize,
    to: Arc<Deliveries>,
    /// Ends with its last receipt.
    batch: Option<Arc<Batch>>,
}

/// What became of the records of one transaction or append, in their order.
pub(super) struct Deliveries {
    told: Mutex<Vec<Option<Result<Offset, RDKafkaErrorCode>>>>,
    changed: Condvar,
    /// Whether the broker dated any of them, and not whoever sent it.
    dated_by_broker: AtomicBool,
}

// === impl Publisher ===

impl Publisher {
    /// Registers it: an older one of the same id is fenced, and what it left is decided, before this returns.
    pub(super) fn register(inner: Arc<Inner>, transactional_id: &str) -> Result<Self, LogError> {
        let config = inner.options.transactional(transactional_id);
        let producer = ThreadedProducer::from_config_and_context(&config, Reports::default()).map_err(not_made)?;
        let producer = inner.tokens.authenticate(producer)?;
        let registered = producer.init_transactions(TRANSACTION_TIMEOUT);
        registered.map_err(|error| unavailable(producer.context().heard.explain(&error)))?;
        Ok(Self { inner, producer, failed: false })
    }

    fn try_commit(&self, transaction: &Transaction) -> Result<Vec<Offset>, CommitError> {
        let membership = transaction.membership.as_ref().ok_or(CommitError::NoMembership)?;
        let offsets = self.offsets(&transaction.offsets)?;
        // Nothing below says `Unknown` before the commit itself was sent: without it the brokers commit nothing.
        failpoints::pass(Failpoint::BeginBefore);
        self.producer.begin_transaction().map_err(|error| CommitError::Aborted { reason: error.to_string() })?;
        failpoints::pass(Failpoint::BeginAfter);
        let deliveries = Deliveries::of(transaction.records.len());
        for (place, addressed) in transaction.records.iter().enumerate() {
            failpoints::pass(Failpoint::ProduceBefore);
            send(&self.producer, &self.inner.options.topic, addressed, None, deliveries.receipt(place))
                .map_err(|(error, _)| CommitError::Aborted { reason: error.to_string() })?;
            failpoints::pass(Failpoint::ProduceAfter);
        }
        failpoints::pass(Failpoint::OffsetsBefore);
        native::send_offsets(&self.producer, &offsets, membership, TRANSACTION_TIMEOUT)
            .map_err(|error| not_committed(&error, &deliveries))?;
        failpoints::pass(Failpoint::CommitBefore);
        native::commit(&self.producer, TRANSACTION_TIMEOUT).map_err(|error| perhaps_committed(&error, &deliveries))?;
        failpoints::pass(Failpoint::CommitAfter);
        let told = deliveries.wait(REPORTS_WITHIN);
        let delivered: Result<Vec<Offset>, _> =
            told.into_iter().map(|told| told.unwrap_or(Err(RDKafkaErrorCode::OperationTimedOut))).collect();
        delivered.map_err(|code| CommitError::Unknown { reason: format!("committed, and a record of it is not: {code}") })
    }

    fn offsets(&self, offsets: &[(Partition, Offset)]) -> Result<TopicPartitionList, CommitError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.inner.options.topic, kafka_partition(*partition), At::Offset(offset.0))
                .map_err(|error| CommitError::Aborted { reason: error.to_string() })?;
        }
        Ok(list)
    }
}

impl Producer for Publisher {
    fn commit(&mut self, transaction: Transaction) -> Result<Vec<Offset>, CommitError> {
        if self.failed {
            return Err(CommitError::Fenced { reason: "a commit of this producer failed before".to_owned() });
        }
        let named = transaction.records.iter().map(|addressed| addressed.partition);
        let mut named = named.chain(transaction.offsets.iter().map(|(partition, _)| *partition));
        if let Some(stray) = named.find(|partition| partition.0 >= self.inner.partitions) {
            return Err(CommitError::Aborted { reason: no_partition(stray).to_string() });
        }
        let outcome = self.try_commit(&transaction);
        self.failed = outcome.is_err();
        outcome
    }
}

/// The commit was not sent. Where a record failed before, the client says of all that follows only that the transaction is no
/// longer one: then the record's own reason is told with it.
fn not_committed(error: &TransactionError, deliveries: &Deliveries) -> CommitError {
    let record = deliveries.failure().map(|code| format!("; a record was not delivered: {code}")).unwrap_or_default();
    let reason = format!("{error}{record}");
    if error.is_fenced() { CommitError::Fenced { reason } } else { CommitError::Aborted { reason } }
}

/// The commit may have been sent, and is flushed before it is: a record that was not delivered tells that it was not.
fn perhaps_committed(error: &TransactionError, deliveries: &Deliveries) -> CommitError {
    match deliveries.failure() {
        Some(_) => not_committed(error, deliveries),
        None => CommitError::Unknown { reason: error.to_string() },
    }
}

// === impl TransactionError ===

impl TransactionError {
    fn is_fenced(&self) -> bool {
        use RDKafkaErrorCode as Kafka;
        self.is_fatal
            || matches!(
                self.code,
                Kafka::Fenced
                    | Kafka::ProducerFenced
                    | Kafka::InvalidProducerEpoch
                    | Kafka::IllegalGeneration
                    | Kafka::UnknownMemberId
                    | Kafka::FencedInstanceId
                    | Kafka::FencedMemberEpoch
                    | Kafka::RebalanceInProgress
            )
    }
}

impl std::fmt::Display for TransactionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?}{})", self.reason, self.code, if self.requires_abort { ", to be aborted" } else { "" })
    }
}

// === impl Reports ===

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.note(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.measured.tell(&statistics);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Self::DeliveryOpaque) {
        if matches!(result.as_ref().map(Message::timestamp), Ok(rdkafka::Timestamp::LogAppendTime(_))) {
            receipt.to.dated_by_broker.store(true, Ordering::SeqCst);
        }
        receipt.tell(match result {
            Ok(message) => Ok(Offset(message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        });
    }
}

// === impl Receipt ===

impl Receipt {
    pub(super) fn tell(&self, told: Result<Offset, RDKafkaErrorCode>) {
        self.to.tell(self.place, told);
    }

    pub(super) fn is_told_to(&self, deliveries: &Deliveries) -> bool {
        std::ptr::eq(&raw const *self.to, deliveries)
    }

    pub(super) fn in_batch(mut self: Box<Self>, batch: &Arc<Batch>) -> Box<Self> {
        self.batch = Some(Arc::clone(batch));
        self
    }
}

// === impl Deliveries ===

impl Deliveries {
    pub(super) fn of(records: usize) -> Arc<Self> {
        Arc::new(Self { told: Mutex::new(vec![None; records]), changed: Condvar::new(), dated_by_broker: AtomicBool::new(false) })
    }

    pub(super) fn receipt(self: &Arc<Self>, place: usize) -> Box<Receipt> {
        Box::new(Receipt { place, to: Arc::clone(self), batch: None })
    }

    /// What became of each record, once all is told or `wait` has passed.
    pub(super) fn wait(&self, wait: Duration) -> Vec<Option<Result<Offset, RDKafkaErrorCode>>> {
        let told = locked(&self.told);
        let all = self.changed.wait_timeout_while(told, wait, |told| told.iter().any(Option::is_none));
        all.unwrap_or_else(std::sync::PoisonError::into_inner).0.clone()
    }

    /// Whether the broker dated any record that was delivered by now.
    pub(super) fn dated_by_broker(&self) -> bool {
        self.dated_by_broker.load(Ordering::SeqCst)
    }

    /// Why the first record that was not delivered was not, as far as that is known by now.
    fn failure(&self) -> Option<RDKafkaErrorCode> {
        locked(&self.told).iter().find_map(|told| told.and_then(Result::err))
    }

    fn tell(&self, place: usize, told: Result<Offset, RDKafkaErrorCode>) {
        locked(&self.told)[place] = Some(told);
        self.changed.notify_all();
    }
}

/// Hands a record to librdkafka, which copies it. A `date` counts where the topic lets whoever writes say one. Of one that is not taken
/// the receipt comes back.
pub(super) fn send(
    producer: &ThreadedProducer<Reports>,
    topic: &str,
    addressed: &Addressed,
    date: Option<Timestamp>,
    receipt: Box<Receipt>,
) -> Result<(), (KafkaError, Box<Receipt>)> {
    let Addressed { partition, record } = addressed;
    let headers = record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (name, value)| {
        headers.insert(Header { key: name, value: Some(value) })
    });
    let mut told =
        BaseRecord::with_opaque_to(topic, receipt).partition(kafka_partition(*partition)).payload(&record.value[..]).headers(headers);
    if let Some(key) = &record.key {
        told = told.key(&key[..]);
    }
    if let Some(date) = date {
        told = told.timestamp(date.0.div_euclid(US_PER_MS));
    }
    producer.send::<[u8], [u8]>(told).map_err(|(error, told)| (error, told.delivery_opaque))
}
