//! An embedded log as a destination: whoever owns its clock may date what it appends.

use std::sync::Arc;

use wire::{Offset, Timestamp};

use super::{Dated, Destination, MigrationError, ends};
use crate::log::embedded::{EmbeddedLog, OwnedClock};
use crate::log::{Addressed, Log, LogError};

/// A log in a folder, and its clock.
pub struct EmbeddedDestination {
    log: Arc<EmbeddedLog>,
    clock: Arc<OwnedClock>,
}

// === impl EmbeddedDestination ===

impl EmbeddedDestination {
    /// A log that was opened with this clock, which starts before the first date.
    pub fn new(log: Arc<EmbeddedLog>, clock: Arc<OwnedClock>) -> Self {
        Self { log, clock }
    }
}

impl Destination for EmbeddedDestination {
    fn log(&self) -> &dyn Log {
        &*self.log
    }

    fn next(&self) -> Result<Vec<Offset>, LogError> {
        ends(&*self.log)
    }

    fn marks(&self) -> i64 {
        0
    }

    fn write(&mut self, records: Vec<Dated>) -> Result<(), MigrationError> {
        let last = records.iter().map(|dated| dated.date).max().unwrap_or(Timestamp::MIN);
        let offsets: Vec<Offset> = records.iter().map(|dated| dated.offset).collect();
        let dated: Vec<(Timestamp, Addressed)> = records.into_iter().map(|dated| (dated.date, dated.addressed)).collect();
        let appended = self.log.append_dated(dated).map_err(|error| MigrationError::NotWritten { reason: error.to_string() })?;
        if let Some(place) = appended.iter().zip(&offsets).position(|(appended, offset)| appended.offset != *offset) {
            let (found, expected) = (appended[place].offset, offsets[place]);
            return Err(MigrationError::NotWritten { reason: format!("a record got offset {found} instead of {expected}") });
        }
        self.clock.set(last);
        Ok(())
    }
}
