//! A log that no longer has its first records, as one with retention: the embedded log keeps everything.

use std::sync::Arc;
use std::time::Duration;

use runtime::log::{Addressed, AppendError, Appended, Consumer, Extent, Log, LogError, Membership, Polled, Producer};
use wire::{Offset, Partition, StoredRecord, Timestamp};

/// A log that starts at an offset of its own.
pub struct Late {
    log: Arc<dyn Log>,
    start: Offset,
}

struct LateConsumer {
    consumer: Box<dyn Consumer>,
    start: Offset,
}

// === impl Late ===

impl Late {
    /// What is left of `log` from `start` on, in every partition.
    pub fn new(log: Arc<dyn Log>, start: Offset) -> Arc<Self> {
        Arc::new(Self { log, start })
    }
}

fn from(start: Offset, partition: Partition, asked: Offset) -> Result<(), LogError> {
    if asked < start { Err(LogError::OffsetGone { partition, start, asked }) } else { Ok(()) }
}

impl Log for Late {
    fn topic(&self) -> &str {
        self.log.topic()
    }

    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn now(&self) -> Timestamp {
        self.log.now()
    }

    fn consumer(&self, group: &str, member: &str) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(LateConsumer { consumer: self.log.consumer(group, member)?, start: self.start }))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer(transactional_id)
    }

    fn append(&self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        self.log.append(records)
    }

    fn read(&self, partition: Partition, from_offset: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        from(self.start, partition, from_offset)?;
        self.log.read(partition, from_offset, max)
    }

    fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.log.end(partition)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.log.wait(seen, timeout)
    }
}

impl Consumer for LateConsumer {
    fn poll(&mut self, max: usize) -> Result<Polled, LogError> {
        self.consumer.poll(max)
    }

    fn seek(&mut self, partition: Partition, to: Offset) -> Result<(), LogError> {
        from(self.start, partition, to)?;
        self.consumer.seek(partition, to)
    }

    fn committed(&mut self, partition: Partition) -> Result<Option<Offset>, LogError> {
        self.consumer.committed(partition)
    }

    fn extent(&mut self, partition: Partition) -> Result<Extent, LogError> {
        Ok(Extent { start: self.start, ..self.consumer.extent(partition)? })
    }

    fn membership(&self) -> Option<Membership> {
        self.consumer.membership()
    }
}
