//! What the simulated platforms do about orders: they read the log, and answer or do not.

use std::collections::BTreeMap;

use kit::facts::{self, Teller};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::log::Log;
use runtime::log::memory::MemoryLog;
use wire::{Body, Event, Kind, Offset, Partition, Timestamp};

/// Records read from the log at once.
const PAGE_RECORDS: usize = 1_000;

/// All platforms of a seed.
pub(crate) struct Platform {
    seed: u64,
    seen: Vec<Offset>,
    tellers: BTreeMap<String, Teller>,
    /// What will be said, by time and in order of decision.
    answers: BTreeMap<(Timestamp, u64), Event>,
    said: u64,
}

// === impl Platform ===

impl Platform {
    /// Platforms that have read nothing of a topic of so many partitions.
    pub(crate) fn new(seed: u64, partitions: u32) -> Self {
        Self { seed, seen: vec![Offset(0); partitions as usize], tellers: BTreeMap::new(), answers: BTreeMap::new(), said: 0 }
    }

    /// Reads what is new on the log.
    pub(crate) fn read(&mut self, log: &MemoryLog) {
        for index in 0..self.seen.len() {
            let records = log.read(Partition(index as u32), self.seen[index], PAGE_RECORDS).expect("the memory log can always be read");
            for stored in &records {
                self.seen[index] = stored.offset.next();
                if stored.raw.kind() == Some(Kind::RollbackOrdered) {
                    let order = Event::from_raw(&stored.raw).expect("rooms write what can be read");
                    self.decide(log.now(), &order);
                }
            }
        }
    }

    /// The next answer that is due at `now`.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Event> {
        let first = self.answers.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    /// When the next answer falls due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.answers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Obeys and serves the old version, refuses, comes too late, or says nothing. What it does follows from the order,
    /// not from when it is read.
    fn decide(&mut self, now: Timestamp, order: &Event) {
        let Body::RollbackOrdered(ordered) = &order.body else { return };
        let mut rng = self.chance_of(order);
        let (accepted, after_s) = match rng.random_range(0..10) {
            0 => return,
            1 => (false, rng.random_range(0..30)),
            2 => (true, rng.random_range(61..400)),
            _ => (true, rng.random_range(0..10)),
        };
        let mut at = now.plus_s(after_s);
        let agent = order.key.as_str().to_owned();
        let mut events = vec![Body::from(facts::acknowledged(order.id.as_str(), accepted, Some(ordered.to_version.as_str())))];
        events.extend((0..rng.random_range(0..5)).map(|_| Body::from(facts::heartbeat(3_600, Some(ordered.to_version.as_str())))));
        for body in events {
            self.said += 1;
            let teller = self.tellers.entry(agent.clone()).or_insert_with(|| Teller::new(&format!("{agent}-answers")));
            let mut event = teller.tell(at, None, body);
            event.key = order.key.clone();
            self.answers.insert((at, self.said), event);
            at = at.plus_s(5);
        }
    }

    fn chance_of(&self, order: &Event) -> ChaCha8Rng {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&order.dedupe_key().0[..8]);
        ChaCha8Rng::seed_from_u64(u64::from_le_bytes(bytes) ^ self.seed)
    }
}
