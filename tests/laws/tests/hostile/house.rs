//! Rooms on one log of one partition that takes records as bytes, whatever they say.

use std::collections::BTreeSet;

use kit::Rooms;
use kit::room::{AnyRoom, TOPIC};
use machine::{Unreadable, WINDOW_OFFSETS};
use wire::{Event, Offset, Partition, Record, RecordId, StoredRecord, Timestamp, limits};

use super::PARTITIONS;

/// How often rooms answer each other before they would do so for ever.
const ROUNDS_MAX: usize = 1_000;
/// Bytes that the fold around a machine takes for each offset of its window.
const WINDOW_BYTES: usize = 128;

pub(super) struct House {
    rooms: Vec<Box<dyn AnyRoom>>,
    /// What each room owes whatever the time is.
    latched: Vec<BTreeSet<RecordId>>,
    next: Offset,
    now: Timestamp,
    pub(super) read: u64,
    pub(super) refused: u64,
    pub(super) decisions: u64,
}

// === impl House ===

impl House {
    pub(super) fn new(rooms: &Rooms, now: Timestamp) -> Self {
        let rooms: Vec<_> = rooms.iter().map(|make| make(Partition(0))).collect();
        let latched = vec![BTreeSet::new(); rooms.len()];
        Self { rooms, latched, next: Offset(0), now, read: 0, refused: 0, decisions: 0 }
    }

    /// A second later, a record comes. Read as a driver reads it.
    pub(super) fn hear(&mut self, stored: &StoredRecord) {
        self.now = self.now.plus_s(1);
        let stored = StoredRecord { offset: self.next, appended: self.now, ..stored.clone() };
        self.next = self.next.next();
        match Record::read_placed(&stored, PARTITIONS) {
            Ok(record) => {
                self.read += 1;
                assert_eq!(limits::check(&record), []);
                self.rooms.iter_mut().for_each(|room| room.take(&record));
            }
            Err(refusal) if refusal.blames_the_record() => {
                self.refused += 1;
                self.rooms.iter_mut().for_each(|room| room.refuse(&Unreadable { topic: TOPIC, stored: &stored, refusal: &refusal }));
            }
            Err(_) => self.rooms.iter_mut().for_each(|room| room.skip(stored.offset, stored.appended)),
        }
        self.hold_to_decisions_per_record();
    }

    /// What is owed comes home until nothing is owed, through its bytes as everything else.
    pub(super) fn settle(&mut self) {
        let mut home = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let owed = self.owed();
            if owed.is_empty() {
                return;
            }
            for event in owed {
                assert!(home.insert(event.id.clone()), "{} {} is owed again although it came home", event.body.kind(), event.id);
                assert_eq!(Event::from_raw(&event.to_raw()).as_ref(), Ok(&event), "a room says what nobody can read");
                let partition = Partition(0);
                self.decisions += 1;
                self.hear(&StoredRecord { partition, offset: self.next, appended: self.now, raw: event.to_raw() });
            }
        }
        panic!("the rooms answer each other for ever");
    }

    /// Time passes until no room has a deadline left.
    pub(super) fn pass_to_the_end(&mut self) {
        while let Some(due) = self.rooms.iter().filter_map(|room| room.next_due()).min() {
            let said = self.decisions;
            self.now = self.now.max(due);
            self.settle();
            assert!(self.decisions > said, "a room is due at {due} and says nothing");
        }
        assert!(self.owed().is_empty());
    }

    /// Whoever asks gets an answer, whatever was heard.
    pub(super) fn is_asked_how_agents_stand(&self) {
        for room in &self.rooms {
            for agent in room.agents() {
                assert!(!room.standing(&agent, self.now).is_empty(), "{} knows {agent} and says nothing", room.service());
            }
        }
    }

    /// No room takes more memory than it says.
    pub(super) fn is_within_its_bounds(&self) {
        for room in &self.rooms {
            let (agents, bytes) = (room.agents().len().max(1), room.written().len());
            let bytes_max = agents * room.bytes_per_agent_max() + WINDOW_OFFSETS as usize * WINDOW_BYTES;
            assert!(bytes <= bytes_max, "{}: {agents} agents take {bytes} bytes", room.service());
        }
    }

    fn hold_to_decisions_per_record(&mut self) {
        for (room, latched) in self.rooms.iter().zip(&mut self.latched) {
            let owed: BTreeSet<RecordId> = room.owed(Timestamp::MIN).into_iter().map(|decision| decision.id).collect();
            let added = owed.difference(latched).count();
            assert!(added <= room.decisions_per_record_max(), "{} owes {added} decisions more after one record", room.service());
            *latched = owed;
        }
    }

    fn owed(&self) -> Vec<Event> {
        let of = |room: &dyn AnyRoom| -> Vec<Event> {
            room.owed(self.now).into_iter().map(|decision| decision.to_event(room.service())).collect()
        };
        self.rooms.iter().flat_map(|room| of(room.as_ref())).collect()
    }
}
