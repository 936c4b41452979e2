//! A house of rooms on a log whose time the test tells, into which rooms of a later build may move.

use std::sync::Arc;

use machine::Machine;
use runtime::log::memory::{MemoryLog, MemoryOptions};
use runtime::log::{Addressed, Log};
use runtime::pump::{Pump, PumpOptions, Step};
use runtime::snapshots::MemorySnapshots;
use wire::{Event, Kind, Offset, Partition, RawRecord, Record, Timestamp};

use crate::proof::Read;

/// Events to one record that nobody can read.
const UNREADABLE_EVERY: usize = 60;
/// Steps after which a house that does not come to rest is broken.
const STEPS_MAX: usize = 100_000;

/// A pump of any room.
trait AnyPump {
    fn step(&mut self) -> Step;
    fn drain(&mut self);
}

/// Rooms on one partition in memory.
pub struct House {
    log: Arc<MemoryLog>,
    pumps: Vec<Box<dyn AnyPump>>,
    snapshots: Arc<MemorySnapshots>,
}

// === impl House ===

impl House {
    /// An empty log without rooms.
    pub fn new(start: Timestamp) -> Self {
        let log = MemoryLog::new(MemoryOptions { start, ..MemoryOptions::default() });
        Self { log, pumps: Vec::new(), snapshots: Arc::default() }
    }

    /// The room of `M` lives here from now on.
    pub fn move_in<M: Machine>(&mut self) {
        let options = PumpOptions { snapshots: Some(self.snapshots.clone()), snapshot_every_records: 100, ..PumpOptions::default() };
        self.pumps.push(Box::new(Pump::<M>::new(self.log.clone(), options)));
    }

    /// Everybody leaves in good order.
    pub fn move_out(&mut self) {
        std::mem::take(&mut self.pumps).iter_mut().for_each(|pump| pump.drain());
    }

    /// Lets time pass to `time`, then tells `event`; the rooms answer until nothing is owed.
    pub fn tell(&mut self, time: Timestamp, event: &Event) {
        self.pass_to(time);
        self.log.append(vec![Addressed { partition: Partition(0), record: event.to_raw() }]).expect("memory takes every record");
        self.rest();
    }

    /// The same, and before every so many-th event something that nobody can read: what the audit room decides on.
    pub fn tell_of(&mut self, number: usize, time: Timestamp, event: &Event) {
        if number.is_multiple_of(UNREADABLE_EVERY) {
            self.pass_to(time);
            let record = RawRecord { value: "no record".into(), ..RawRecord::default() };
            self.log.append(vec![Addressed { partition: Partition(0), record }]).expect("memory takes every record");
        }
        self.tell(time, event);
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass_to(&mut self, time: Timestamp) {
        while let Some(due) = self.rest().filter(|due| *due <= time && *due > self.log.now()) {
            self.log.set_now(due);
        }
        self.log.set_now(time.max(self.log.now()));
        self.rest();
    }

    /// Steps every room until none has anything to do; when something falls due.
    pub fn rest(&mut self) -> Option<Timestamp> {
        for _ in 0..STEPS_MAX {
            let steps: Vec<Step> = self.pumps.iter_mut().map(|pump| pump.step()).collect();
            if steps.iter().all(|step| step.idle && step.restored) {
                return steps.iter().filter_map(|step| step.next_due).min();
            }
        }
        panic!("the rooms do not come to rest");
    }

    /// The log's time.
    pub fn now(&self) -> Timestamp {
        self.log.now()
    }

    /// Snapshots that were taken.
    pub fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    /// Everything on the log.
    pub fn read(&self) -> Read {
        Read(vec![self.log.read(Partition(0), Offset(0), usize::MAX).expect("memory can be read")])
    }

    /// What `service` has decided from `from` on, its watermarks aside.
    pub fn decided(&self, service: &str, from: Offset) -> Vec<Record> {
        let source = format!("/reeve/{service}");
        let is_its =
            |record: &Record| record.offset >= from && record.source.as_str() == source && record.body.kind() != Kind::RoomWatermark;
        self.read().records().filter(is_its).collect()
    }
}

impl<M: Machine> AnyPump for Pump<M> {
    fn step(&mut self) -> Step {
        Self::step(self).expect("the weather is calm")
    }

    fn drain(&mut self) {
        Self::drain(self).expect("the weather is calm");
    }
}
