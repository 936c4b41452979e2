//! A consumer and a producer of the embedded log.

use std::sync::Arc;

use wire::{Offset, Partition};

use super::Inner;
use super::writer::{Failure, Job, Written};
use crate::log::seat::Seat;
use crate::log::{CommitError, Consumer, Extent, LogError, Membership, Polled, Producer, Transaction, no_partition};

/// One member of a group.
pub(super) struct Reader {
    pub(super) inner: Arc<Inner>,
    pub(super) seat: Seat,
}

/// One producer, of one epoch.
pub(super) struct Publisher {
    pub(super) inner: Arc<Inner>,
    pub(super) transactional_id: String,
    pub(super) epoch: u64,
}

// === impl Reader ===

impl Consumer for Reader {
    fn poll(&mut self, max: usize) -> Result<Polled, LogError> {
        if let Some(news) = self.seat.news() {
            return Ok(news);
        }
        // A room at the end reads nothing, and still has to hear that it can decide nothing any more.
        self.inner.storage.stands()?;
        let ahead = self.seat.reading().find_map(|(partition, from)| {
            let end = self.inner.heads.end(partition).filter(|end| from < *end)?;
            Some((partition, from, end))
        });
        let Some((partition, from, end)) = ahead else { return Ok(Polled::Nothing) };
        let records = self.inner.read(partition, from, end, max)?;
        let next = records.last().map_or(from, |record| record.offset.next());
        self.seat.served(partition, next);
        Ok(Polled::Records(partition, records, next))
    }

    fn seek(&mut self, partition: Partition, to: Offset) -> Result<(), LogError> {
        if to < Offset(0) {
            return Err(LogError::OffsetGone { partition, start: Offset(0), asked: to });
        }
        self.seat.seek(partition, to);
        Ok(())
    }

    fn committed(&mut self, partition: Partition) -> Result<Option<Offset>, LogError> {
        if self.inner.coordinator.is_pending(self.seat.group(), partition) {
            return Err(LogError::OffsetPending { partition });
        }
        self.inner.storage.committed(self.seat.group(), partition)
    }

    fn extent(&mut self, partition: Partition) -> Result<Extent, LogError> {
        self.inner.heads.extent(partition).ok_or_else(|| no_partition(partition))
    }

    fn membership(&self) -> Option<Membership> {
        self.seat.membership()
    }
}

// === impl Publisher ===

impl Producer for Publisher {
    fn commit(&mut self, transaction: Transaction) -> Result<Vec<Offset>, CommitError> {
        let addressed = transaction.records.iter().map(|addressed| addressed.partition);
        let carried = transaction.offsets.iter().map(|(partition, _)| *partition);
        if let Some(stray) = addressed.chain(carried.clone()).find(|partition| partition.0 >= self.inner.storage.partitions()) {
            return Err(CommitError::Aborted { reason: no_partition(stray).to_string() });
        }
        let _under_way = self.inner.coordinator.admit(transaction.membership.as_ref(), carried.collect())?;
        let job = Job::Commit { producer: self.transactional_id.clone(), epoch: self.epoch, transaction };
        match self.inner.submit(job) {
            Ok(Written::Committed(offsets)) => Ok(offsets),
            Ok(Written::Fenced { current }) => Err(CommitError::Fenced {
                reason: format!("{} is at epoch {current}, this producer at {}", self.transactional_id, self.epoch),
            }),
            Ok(_) => Err(CommitError::Unknown { reason: "the writer answered another question".to_owned() }),
            Err(Failure::Busy) => Err(CommitError::Aborted { reason: "too many writes wait".to_owned() }),
            Err(Failure::NotWritten(error)) => Err(CommitError::Aborted { reason: error.to_string() }),
            Err(Failure::Unsure(error)) => Err(CommitError::Unknown { reason: error.to_string() }),
        }
    }
}
