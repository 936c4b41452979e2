//! Writes records with the dates that they had elsewhere, in transactions, to a topic that lets itself be told dates
//! (`message.timestamp.type=CreateTime`) for as long as it is filled by a replay.
//!
//! A transaction makes a write all or none, and its id fences an older writer that was killed and whose requests may still be
//! on their way. Brokers count whole milliseconds, so that dates that a broker gave are kept exactly.

use std::sync::Arc;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{Producer as _, ThreadedProducer};
use wire::{Offset, Partition};

use super::native::{self, Authenticated};
use super::publisher::{Deliveries, Reports, send};
use super::settings::TRANSACTION_TIMEOUT;
use super::{KafkaLog, not_made, unavailable};
use crate::failpoints::{self, Failpoint};
use crate::log::migration::{Dated, Destination, MigrationError};
use crate::log::{Log, LogError};

/// The marker of a transaction.
const MARKS: i64 = 1;

/// A topic that is filled by a replay.
pub struct KafkaDestination {
    log: Arc<KafkaLog>,
    producer: Authenticated<ThreadedProducer<Reports>>,
    /// The offset that the next record of each partition gets: nobody else writes.
    next: Vec<Offset>,
    /// Whether a write failed: a producer after that is good for nothing.
    failed: bool,
}

// === impl KafkaDestination ===

impl KafkaDestination {
    /// Takes the place of whoever filled it before: what that one left is decided when this returns.
    ///
    /// # Errors
    /// [`LogError`] when the brokers do not answer.
    pub fn register(log: Arc<KafkaLog>) -> Result<Self, LogError> {
        let config = log.inner.options.transactional(&format!("reeve.migrate.{}", log.topic()));
        let producer = ThreadedProducer::from_config_and_context(&config, Reports::default()).map_err(not_made)?;
        let producer = log.inner.tokens.authenticate(producer)?;
        producer.init_transactions(TRANSACTION_TIMEOUT).map_err(unavailable)?;
        let partitions: Vec<Partition> = (0..log.partitions()).map(Partition).collect();
        let mut ends = log.inner.high_watermarks(&partitions)?;
        ends.sort_unstable_by_key(|(partition, _)| *partition);
        if ends.len() != partitions.len() {
            return Err(unavailable("the brokers did not say where each partition ends"));
        }
        Ok(Self { next: ends.into_iter().map(|(_, end)| end).collect(), log, producer, failed: false })
    }

    fn try_write(&self, records: &[Dated]) -> Result<(), MigrationError> {
        failpoints::pass(Failpoint::BeginBefore);
        self.producer.begin_transaction().map_err(not_written)?;
        failpoints::pass(Failpoint::BeginAfter);
        let deliveries = Deliveries::of(records.len());
        for (place, dated) in records.iter().enumerate() {
            send(&self.producer, self.log.topic(), &dated.addressed, Some(dated.date), deliveries.receipt(place))
                .map_err(|(error, _)| not_written(error))?;
            failpoints::pass(Failpoint::ProduceAfter);
        }
        for (dated, told) in records.iter().zip(deliveries.wait(TRANSACTION_TIMEOUT)) {
            let offset = told.ok_or_else(|| not_written("a record was not answered in time"))?.map_err(not_written)?;
            if offset != dated.offset {
                let (partition, expected) = (dated.addressed.partition, dated.offset);
                return Err(not_written(format!("a record got {partition}/{offset} instead of {expected}: somebody else writes there")));
            }
        }
        if deliveries.dated_by_broker() {
            return Err(not_written("a broker dated records by itself: it has not heard yet that this topic lets itself be told dates"));
        }
        failpoints::pass(Failpoint::CommitBefore);
        native::commit(&self.producer, TRANSACTION_TIMEOUT).map_err(not_written)?;
        failpoints::pass(Failpoint::CommitAfter);
        Ok(())
    }
}

impl Destination for KafkaDestination {
    fn log(&self) -> &dyn Log {
        &*self.log
    }

    fn next(&self) -> Result<Vec<Offset>, LogError> {
        Ok(self.next.clone())
    }

    fn marks(&self) -> i64 {
        MARKS
    }

    fn write(&mut self, records: Vec<Dated>) -> Result<(), MigrationError> {
        if self.failed {
            return Err(not_written("a write of this producer failed before"));
        }
        let outcome = self.try_write(&records);
        self.failed = outcome.is_err();
        for dated in &records {
            // Behind the last record of each partition stands the marker of the transaction.
            self.next[dated.addressed.partition.0 as usize] = Offset(dated.offset.0 + 1 + MARKS);
        }
        outcome
    }
}

fn not_written(reason: impl std::fmt::Display) -> MigrationError {
    MigrationError::NotWritten { reason: reason.to_string() }
}
