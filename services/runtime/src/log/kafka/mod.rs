//! The log on Apache Kafka, and the one door to its client.
//!
//! One topic whose time is the broker's (`message.timestamp.type=LogAppendTime`). Rooms read committed records only, and
//! commit their decisions and offsets in one transaction with the generation of their group.

mod appender;
mod browser;
mod dated;
pub mod demands;
mod heard;
mod lanes;
mod member;
mod native;
mod oauth;
mod patience;
mod publisher;
mod registry;
mod settings;
mod statistics;
mod tail;
pub mod topics;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset as At;
use wire::{Offset, Partition, StoredRecord, Timestamp};

use self::appender::Appender;
use self::browser::Browser;
use self::heard::Quiet;
use self::member::{Reader, kafka_partition};
use self::native::Authenticated;
use self::oauth::Tokens;
use self::publisher::Publisher;
use self::registry::Registry;
use self::tail::Tail;
use super::embedded::Clock;
use super::{Addressed, AppendError, Appended, Consumer, Extent, Log, LogError, Producer, locked, no_partition};

pub use self::dated::KafkaDestination;
pub use self::registry::{Credentials, FRAMED_AS, RegistryOptions};
pub use self::settings::{Assignment, GroupProtocol, KafkaOptions, OWNED, Owned};
pub use self::tail::IDS_MAX;

/// How long a question to the brokers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a broker may stand still between dating a record and showing it, where no copy is waited for. Nothing bounds that;
/// on processors that were busy 130 ms were seen.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);
const US_PER_MS: i64 = 1_000;

/// A topic of a Kafka cluster.
pub struct KafkaLog {
    /// Made when something is appended first, in this order: the thread of the tail ends before the rest.
    writing: Mutex<Option<Arc<Writing>>>,
    browser: Mutex<Option<Browser>>,
    inner: Arc<Inner>,
}

struct Inner {
    options: KafkaOptions,
    partitions: u32,
    /// How long a record may stand above the high watermark, dated and unseen: while a copy that is gone is still waited for, or
    /// while the broker itself stands still.
    replication_lag_us: i64,
    /// Asked for the schemas of values that name one by its id.
    registry: Option<Registry>,
    /// Sees transactions in flight, and reads nothing.
    onlooker: Authenticated<BaseConsumer<Quiet>>,
    tokens: Tokens,
    changed: Arc<Changed>,
}

/// What appending needs.
struct Writing {
    tail: Tail,
    appender: Appender,
    /// Where the partitions ended when the tail was begun: up to there it has to read before it is believed.
    ends: Vec<(Partition, Offset)>,
}

/// Counts whatever arrives, for those who wait.
#[derive(Default)]
struct Changed {
    count: Mutex<u64>,
    told: Condvar,
}

// === impl KafkaLog ===

impl KafkaLog {
    /// Opens a topic that exists.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when no broker answers or lets us in, or the topic is not there; [`LogError::BadSettings`] when
    /// a setting is refused.
    pub fn open(options: KafkaOptions) -> Result<Arc<Self>, LogError> {
        if let Some(reason) = options.faults().into_iter().next() {
            return Err(LogError::BadSettings { reason });
        }
        let tokens = Tokens::of(&options);
        let onlooker = BaseConsumer::from_config_and_context(&options.onlooker(), Quiet::default()).map_err(not_made)?;
        let onlooker = tokens.authenticate(onlooker)?;
        let metadata = onlooker.fetch_metadata(Some(&options.topic), ANSWER_WITHIN);
        let metadata = metadata.map_err(|error| unavailable(Quiet::explain(&onlooker, &error)))?;
        let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        let has_copies = metadata.topics().iter().flat_map(|topic| topic.partitions()).any(|partition| partition.replicas().len() > 1);
        let lag_max = if has_copies { options.replication_lag_max } else { options.replication_lag_max.min(SHOWN_WITHIN) };
        if partitions == 0 {
            return Err(unavailable(format!("there is no topic {}", options.topic)));
        }
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        let registry = options.registry.as_ref().map(Registry::begin).transpose()?;
        let replication_lag_us = us(lag_max);
        let inner = Arc::new(Inner { options, partitions, replication_lag_us, registry, onlooker, tokens, changed: Arc::default() });
        Ok(Arc::new(Self { writing: Mutex::default(), browser: Mutex::default(), inner }))
    }

    fn writing(&self) -> Result<Arc<Writing>, LogError> {
        let mut writing = locked(&self.writing);
        if let Some(writing) = &*writing {
            return Ok(Arc::clone(writing));
        }
        let partitions: Vec<Partition> = (0..self.inner.partitions).map(Partition).collect();
        let ends = self.inner.high_watermarks(&partitions)?;
        let begun = Writing { tail: Tail::begin(&self.inner)?, appender: Appender::new(&self.inner)?, ends };
        Ok(Arc::clone(writing.insert(Arc::new(begun))))
    }

    fn browse<T>(&self, partition: Partition, look: impl FnOnce(&mut Browser) -> Result<T, LogError>) -> Result<T, LogError> {
        if partition.0 >= self.inner.partitions {
            return Err(no_partition(partition));
        }
        let mut browser = locked(&self.browser);
        if browser.is_none() {
            *browser = Some(Browser::new(&self.inner)?);
        }
        look(browser.as_mut().expect("it was just made"))
    }
}

impl Log for KafkaLog {
    fn topic(&self) -> &str {
        &self.inner.options.topic
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn clock_skew_us(&self) -> i64 {
        // Where all clocks agree, they still date each partition by itself.
        self.inner.skew_us().max(US_PER_MS)
    }

    fn consumer(&self, group: &str, member: &str) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(Reader::join(Arc::clone(&self.inner), group, member)?))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(Publisher::register(Arc::clone(&self.inner), transactional_id)?))
    }

    fn append(&self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        let writing = self.writing()?;
        writing.appender.append(&writing.tail, &writing.ends, records)
    }

    fn read(&self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let mut records = self.browse(partition, |browser| browser.read(partition, from, max))?;
        if let Some(registry) = &self.inner.registry {
            let translated = records.iter_mut().map(|record| registry.translate(&mut record.raw));
            if let Some((place, silent)) = translated.enumerate().find_map(|(place, told)| told.err().map(|error| (place, error))) {
                // Fewer, as long as there are any.
                records.truncate(place);
                return if records.is_empty() { Err(silent) } else { Ok(records) };
            }
        }
        Ok(records)
    }

    fn dated(&self, partition: Partition, from: Offset) -> Result<Option<(Offset, Timestamp)>, LogError> {
        // It depends on no registry.
        let records = self.browse(partition, |browser| browser.read(partition, from, 1))?;
        Ok(records.first().map(|record| (record.offset, record.appended)))
    }

    fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.browse(partition, |browser| browser.end(partition))
    }

    fn is_undecided(&self, partition: Partition) -> Result<bool, LogError> {
        let high_watermark = self.inner.extent(partition)?.high_watermark;
        self.browse(partition, |browser| Ok(browser.stable(partition)?.1 < high_watermark))
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.changed.wait(seen, timeout)
    }
}

// === impl Inner ===

impl Inner {
    /// What the broker that is furthest behind would date an append at the earliest: its clock may lie behind ours, and it
    /// counts whole milliseconds.
    fn now(&self) -> Timestamp {
        let earliest = Clock::Wall.now().0.saturating_sub(self.skew_us());
        Timestamp(earliest - earliest.rem_euclid(US_PER_MS))
    }

    fn skew_us(&self) -> i64 {
        us(self.options.clock_skew_max)
    }

    /// Up to when nothing more can be appended, or has been and cannot be read yet: a leader dates a record when it comes, and shows it
    /// when all copies that are in sync have it. One that has just died is waited for, and where there is none the leader may still
    /// stand still between the two.
    fn quiet_until(&self) -> Timestamp {
        Timestamp(self.now().0 - self.replication_lag_us)
    }

    fn extent(&self, partition: Partition) -> Result<Extent, LogError> {
        // Hears what the client has to say of itself, which nobody else would.
        self.onlooker.poll(Duration::ZERO);
        let quiet_until = self.quiet_until();
        let place = kafka_partition(partition);
        let (start, end) = self.onlooker.fetch_watermarks(&self.options.topic, place, ANSWER_WITHIN).map_err(unavailable)?;
        Ok(Extent { start: Offset(start), high_watermark: Offset(end), quiet_until })
    }

    fn high_watermarks(&self, partitions: &[Partition]) -> Result<Vec<(Partition, Offset)>, LogError> {
        let mut ends = TopicPartitionList::new();
        for partition in partitions {
            ends.add_partition_offset(&self.options.topic, kafka_partition(*partition), At::End).map_err(unavailable)?;
        }
        native::high_watermarks(&self.onlooker, &ends, ANSWER_WITHIN).map_err(unavailable)
    }
}

// === impl Changed ===

impl Changed {
    fn happened(&self) {
        *locked(&self.count) += 1;
        self.told.notify_all();
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let count = locked(&self.count);
        let waited = self.told.wait_timeout_while(count, timeout, |count| *count <= seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn us(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A client that cannot be made has settings that contradict each other, or that name what is not there. Its value is not told:
/// what has a wrong name may be a password.
fn not_made(error: KafkaError) -> LogError {
    let reason = match error {
        KafkaError::ClientConfig(_, told, name, _) => format!("`{name}`: {told}"),
        KafkaError::ClientCreation(told) => told,
        other => other.to_string(),
    };
    LogError::BadSettings { reason }
}

fn unavailable(reason: impl std::fmt::Display) -> LogError {
    LogError::Unavailable { reason: reason.to_string() }
}
