//! A room's mind led along the recorded log once more, without what it decided then: its decisions come home at once.
//!
//! A branch makes room between two records of the log for whatever the room decides there now: offsets of the recorded
//! span are spread ([`Places`]), and what other rooms knew is spread with them, so that every comparison between offsets
//! comes out as it did.

use std::collections::BTreeSet;

use machine::Frontier;
use wire::{Event, Offset, Partition, PolicyAdopted, Record, Timestamp};

use crate::failure::Failure;
use crate::rooms::AnyMachine;

/// Places between two records of the log: more than any room decides at one record.
const STRIDE: i64 = 1 << 20;
/// Deadlines that may pass between two records. A room that had more would never come to rest.
const DEADLINES_MAX: usize = 1_000_000;

/// Where records of the log stand on a branch that left it before the record at `first`.
#[derive(Clone, Copy, Debug)]
struct Places {
    first: Offset,
}

/// A mind on its own way.
pub(super) struct Branch {
    service: &'static str,
    partition: Partition,
    machine: Box<dyn AnyMachine>,
    places: Places,
    /// Place of the last record of the log that was folded.
    last: Offset,
    asof: Offset,
    now: Timestamp,
}

// === impl Branch ===

impl Branch {
    /// Leaves the log before the record at `first`, when `now` was reached, with the state that the log led to.
    pub(super) fn new(service: &'static str, partition: Partition, machine: Box<dyn AnyMachine>, first: Offset, now: Timestamp) -> Self {
        Self { service, partition, machine, places: Places { first }, last: first.previous(), asof: first.previous(), now }
    }

    /// A policy is adopted at `at`, where the log holds none.
    pub(super) fn adopt(&mut self, policy: PolicyAdopted, at: Timestamp) -> Result<Vec<Event>, Failure> {
        let mut said = self.pass_to(at)?;
        let event = crate::fact::event("/people/trial", &policy.room.clone(), policy);
        self.take(event);
        said.extend(self.ask()?);
        Ok(said)
    }

    /// Folds a record of the log, after every deadline before it. What is decided on the way.
    pub(super) fn fold(&mut self, record: &Record) -> Result<Vec<Event>, Failure> {
        let mut said = self.pass_to(record.appended)?;
        let mut event = record.event.clone();
        if let Some(basis) = event.body.basis_mut() {
            basis.asof = self.places.of(basis.asof);
        }
        self.last = self.places.of(record.offset);
        self.asof = self.last.previous();
        self.take(event);
        said.extend(self.ask()?);
        Ok(said)
    }

    /// Lets time pass, deadline by deadline. What is decided on the way.
    pub(super) fn pass_to(&mut self, time: Timestamp) -> Result<Vec<Event>, Failure> {
        let mut said = Vec::new();
        for _ in 0..DEADLINES_MAX {
            let Some(due) = self.machine.next_due().filter(|due| *due <= time) else {
                self.now = self.now.max(time);
                return Ok(said);
            };
            self.now = self.now.max(due);
            let at_deadline = self.ask()?;
            if at_deadline.is_empty() {
                // Nothing came of it, and it may hide a later one: all that is due by then is asked at once.
                self.now = self.now.max(time);
                said.extend(self.ask()?);
                return Ok(said);
            }
            said.extend(at_deadline);
        }
        Err(self.never_rests())
    }

    /// Asks what is owed until nothing is; each decision comes home at once.
    fn ask(&mut self) -> Result<Vec<Event>, Failure> {
        let mut said = Vec::new();
        let mut home = BTreeSet::new();
        loop {
            let owed = self.machine.owed(Frontier { asof: self.asof, now: self.now });
            if owed.is_empty() {
                return Ok(said);
            }
            for decision in owed {
                if !home.insert(decision.id.clone()) || self.asof.0 >= self.last.0 + STRIDE - 1 {
                    return Err(self.never_rests());
                }
                let event = decision.to_event(self.service);
                self.take(event.clone());
                said.push(event);
            }
        }
    }

    fn take(&mut self, event: Event) {
        self.asof = self.asof.next();
        self.machine.apply(&Record { partition: self.partition, offset: self.asof, appended: self.now, event });
    }

    fn never_rests(&self) -> Failure {
        Failure::internal(format!("the {} room does not come to rest on partition {} at {}", self.service, self.partition, self.now))
    }
}

// === impl Places ===

impl Places {
    fn of(self, offset: Offset) -> Offset {
        if offset < self.first { offset } else { Offset(self.first.0 + (offset.0 - self.first.0 + 1) * STRIDE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_the_order_of_the_log_and_leave_room_before_every_record() {
        let places = Places { first: Offset(7) };
        assert_eq!((places.of(Offset(-1)), places.of(Offset(6))), (Offset(-1), Offset(6)));
        for offset in 7..10 {
            assert!(places.of(Offset(offset)).0 - places.of(Offset(offset - 1)).0 >= STRIDE, "{offset}");
        }
    }
}
