//! Reads anywhere on the topic without joining a group: for those who ask, replay and verify.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::Offset as At;
use wire::{Offset, Partition, StoredRecord};

use super::heard::Quiet;
use super::member::kafka_partition;
use super::native::{Authenticated, FetchQueue, Fetched};
use super::patience::Patience;
use super::{Inner, not_made, unavailable};
use crate::log::LogError;

/// How long one read may take.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// How long a broker may wait for more than there is.
const FETCH_WAIT_MS: &str = "1";
const WAIT: Duration = Duration::from_millis(100);
const BATCH_MAX: usize = 512;
/// How far back the last record is looked for at first; each time that there are only markers, four times as far.
const LOOK_BACK: i64 = 64;

/// A reader that is sent from place to place.
pub(super) struct Browser {
    topic: String,
    queue: FetchQueue,
    reader: Authenticated<BaseConsumer<Quiet>>,
    /// By partition: its stable end when it was looked at, and the offset after its last record then.
    ends: BTreeMap<Partition, (Offset, Offset)>,
}

// === impl Browser ===

impl Browser {
    pub(super) fn new(inner: &Inner) -> Result<Self, LogError> {
        let mut config = inner.options.reader("reeve.browser", "reeve.browser");
        // It asks for what is there. A request that waited for more would hold up the next question, for brokers answer those of one
        // connection in turn.
        config.set("fetch.wait.max.ms", FETCH_WAIT_MS);
        let reader = BaseConsumer::from_config_and_context(&config, Quiet::default()).map_err(not_made)?;
        let reader = inner.tokens.authenticate(reader)?;
        let queue = FetchQueue::of(&reader).ok_or_else(|| unavailable("a consumer without a queue"))?;
        Ok(Self { topic: inner.options.topic.clone(), queue, reader, ends: BTreeMap::new() })
    }

    /// Committed records from `from` on, at most `max`.
    pub(super) fn read(&mut self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let (start, end) = self.stable(partition)?;
        if from < start {
            return Err(LogError::OffsetGone { partition, start, asked: from });
        }
        self.read_until(partition, from, end, max)
    }

    /// The offset after the last committed record. What lies behind it is markers and records of aborted transactions.
    pub(super) fn end(&mut self, partition: Partition) -> Result<Offset, LogError> {
        let (start, stable) = self.stable(partition)?;
        if let Some((_, end)) = self.ends.get(&partition).filter(|(known, _)| *known == stable) {
            return Ok(*end);
        }
        let (mut back, mut from) = (LOOK_BACK, Offset((stable.0 - LOOK_BACK).max(start.0)));
        let end = loop {
            let records = self.read_until(partition, from, stable, usize::MAX)?;
            if let Some(last) = records.last() {
                break last.offset.next();
            }
            if from <= start {
                break start;
            }
            back *= 4;
            from = Offset((stable.0 - back).max(start.0));
        };
        self.ends.insert(partition, (stable, end));
        Ok(end)
    }

    fn read_until(&mut self, partition: Partition, from: Offset, end: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let mut records = Vec::new();
        if from >= end || max == 0 {
            return Ok(records);
        }
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, kafka_partition(partition), At::Offset(from.0)).map_err(unavailable)?;
        self.reader.assign(&place).map_err(unavailable)?;
        let until = Patience::of(READ_WITHIN);
        let mut reached = from;
        while reached < end && records.len() < max {
            if until.is_over() {
                return Err(unavailable("records that stand on the log were not handed out in time"));
            }
            let mut fetched = self.queue.fetch(BATCH_MAX, Duration::ZERO);
            if fetched.is_empty() {
                fetched = self.queue.fetch(1, WAIT);
            }
            for piece in fetched {
                match piece {
                    Fetched::Record(record) if record.partition == partition && record.offset >= reached => {
                        reached = record.offset.next();
                        if record.offset < end && records.len() < max {
                            records.push(record);
                        }
                    }
                    Fetched::End(of, offset) if of == partition => reached = reached.max(offset),
                    Fetched::Record(_) | Fetched::End(..) | Fetched::Failed(..) => {}
                }
            }
        }
        self.reader.unassign().map_err(unavailable)?;
        Ok(records)
    }

    /// The first offset, and the one up to which everything is decided.
    pub(super) fn stable(&self, partition: Partition) -> Result<(Offset, Offset), LogError> {
        let (start, end) =
            self.reader.fetch_watermarks(&self.topic, kafka_partition(partition), super::ANSWER_WITHIN).map_err(unavailable)?;
        Ok((Offset(start), Offset(end)))
    }
}
