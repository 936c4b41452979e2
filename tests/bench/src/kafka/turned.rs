//! A room whose pump is turned by hand: nothing else of it runs, so that what it takes is what it took.

use std::sync::Arc;

use incident::Incident;
use runtime::errors::{Coded, Fate};
use runtime::log::Log;
use runtime::pump::{Pump, PumpOptions, Step};

use super::{PATIENCE, WAIT_MAX};
use crate::Failure;
use crate::watch::Watch;

/// The incident room on a log.
pub(super) struct Turned {
    log: Arc<dyn Log>,
    pump: Pump<Incident>,
    /// Records that it passed.
    pub(super) passed: usize,
    /// Decisions that it committed.
    pub(super) decided: usize,
    /// Transactions with decisions.
    pub(super) transactions: usize,
    seen: u64,
}

// === impl Turned ===

impl Turned {
    /// A room that has not begun.
    pub(super) fn on(log: Arc<dyn Log>) -> Self {
        let pump = Pump::new(Arc::clone(&log), PumpOptions::default());
        Self { log, pump, passed: 0, decided: 0, transactions: 0, seen: 0 }
    }

    /// A room that has come to the end of its log.
    pub(super) fn ready_on(log: Arc<dyn Log>) -> Result<Self, Failure> {
        let mut room = Self::on(log);
        room.until_restored()?;
        Ok(room)
    }

    /// Until it has come to the end of its log and has said what it owes there.
    pub(super) fn until_restored(&mut self) -> Result<(), Failure> {
        self.until(|_, step| step.restored && step.idle)
    }

    /// Until it has passed so many records.
    pub(super) fn until_passed(&mut self, records: usize) -> Result<(), Failure> {
        self.until(|room, _| room.passed >= records)
    }

    /// Until it has passed so many records and all that it said about them.
    pub(super) fn until_settled(&mut self, records: usize) -> Result<(), Failure> {
        self.until(|room, step| room.passed >= records + room.decided && step.idle)
    }

    fn until(&mut self, is_done: impl Fn(&Self, Step) -> bool) -> Result<(), Failure> {
        let begun = Watch::begin();
        while begun.wall() < PATIENCE {
            match self.pump.step() {
                Ok(step) => {
                    self.passed += step.folded;
                    self.decided += step.published;
                    self.transactions += usize::from(step.published > 0);
                    if is_done(self, step) {
                        return Ok(());
                    }
                    if step.idle {
                        self.seen = self.log.wait(self.seen, WAIT_MAX);
                    }
                }
                Err(error) if error.fate() == Fate::Retry => self.seen = self.log.wait(self.seen, WAIT_MAX),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure(format!("the room passed {} records and came no further", self.passed)))
    }
}
