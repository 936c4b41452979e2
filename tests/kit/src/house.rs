//! Several rooms on one log of one partition, in lockstep: every decision comes home before the next fact is told.

use std::collections::BTreeSet;

use machine::Unreadable;
use wire::{Event, Kind, Offset, Partition, Record, StoredRecord, Timestamp, limits};

use crate::room::{AnyRoom, Rooms, TOPIC};

/// Between two facts, rooms answer each other at most this often.
const ROUNDS_MAX: usize = 10_000;

/// A house: its log, its rooms, its clock.
pub struct House {
    log: Vec<Record>,
    rooms: Vec<Box<dyn AnyRoom>>,
    now: Timestamp,
    /// Decisions on their way while they are held back, so that facts cross them.
    held: Option<Vec<Event>>,
}

// === impl House ===

impl House {
    /// A house with an empty log.
    pub fn new(rooms: &Rooms) -> Self {
        Self { log: Vec::new(), rooms: rooms.iter().map(|make| make(Partition(0))).collect(), now: Timestamp(0), held: None }
    }

    /// Lets time pass to `time`, deadline by deadline, then tells `event`; the rooms answer until nothing is owed. An
    /// event that breaks a limit is heard as a record that nobody can read.
    pub fn tell(&mut self, time: Timestamp, event: Event) {
        self.pass_to(time);
        self.append(event);
        self.settle();
    }

    /// Lets time pass to `time`, deadline by deadline.
    pub fn pass_to(&mut self, time: Timestamp) {
        for _ in 0..ROUNDS_MAX {
            match self.next_due().filter(|due| *due <= time) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
            if !self.settle() {
                break;
            }
        }
        self.now = self.now.max(time);
    }

    /// Lets time pass until no room has a deadline left.
    pub fn pass_to_the_end(&mut self) {
        while let Some(due) = self.next_due() {
            let said = self.log.len();
            self.pass_to(due.max(self.now));
            assert!(self.log.len() > said, "a room is due at {due} and says nothing");
        }
    }

    /// The house was shut from now to `time`: nobody asked, nobody could be heard. It tells so and opens.
    pub fn reopen(&mut self, time: Timestamp, opened: Event) {
        self.now = self.now.max(time);
        self.append(opened);
        self.settle();
    }

    /// From now on decisions stay on their way, and facts cross them.
    pub fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// What was held comes home.
    pub fn release(&mut self) {
        self.held.take().into_iter().flatten().for_each(|event| self.append(event));
        self.settle();
    }

    /// Everything on the log.
    pub fn log(&self) -> &[Record] {
        &self.log
    }

    /// Decisions of one kind, in order.
    pub fn said(&self, kind: Kind) -> Vec<&Record> {
        self.log.iter().filter(|record| record.body.kind() == kind).collect()
    }

    /// The log's time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.rooms.iter().filter_map(|room| room.next_due()).min()
    }

    fn append(&mut self, event: Event) {
        let record = Record { partition: Partition(0), offset: Offset(self.log.len() as i64), appended: self.now, event };
        match limits::check(&record).first() {
            None => self.rooms.iter_mut().for_each(|room| room.take(&record)),
            Some(refusal) => {
                let (partition, offset, appended) = (record.partition, record.offset, record.appended);
                let stored = StoredRecord { partition, offset, appended, raw: record.to_raw() };
                self.rooms.iter_mut().for_each(|room| room.refuse(&Unreadable { topic: TOPIC, stored: &stored, refusal }));
            }
        }
        self.log.push(record);
    }

    /// Whether anything was said.
    fn settle(&mut self) -> bool {
        let before = self.log.len();
        let mut home = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let mut owed = self.owed();
            if let Some(held) = &mut self.held {
                owed.retain(|event| held.iter().all(|known| known.id != event.id));
                held.append(&mut owed);
            }
            if owed.is_empty() {
                return self.log.len() > before;
            }
            for event in owed {
                assert!(home.insert(event.id.clone()), "{} {} is owed again although it came home", event.body.kind(), event.id);
                self.append(event);
            }
        }
        panic!("the rooms answer each other for ever");
    }

    fn owed(&self) -> Vec<Event> {
        let of = |room: &dyn AnyRoom| -> Vec<Event> {
            room.owed(self.now).into_iter().map(|decision| decision.to_event(room.service())).collect()
        };
        self.rooms.iter().flat_map(|room| of(room.as_ref())).collect()
    }
}
