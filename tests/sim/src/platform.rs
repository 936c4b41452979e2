//! What the simulated platforms do about orders, and people about everything else that is decided: they read the log, and answer
//! or do not.

use std::collections::BTreeMap;

use kit::facts::{self, Teller};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::log::Log;
use runtime::log::memory::MemoryLog;
use wire::{Body, Class, Event, NoteAction, Offset, Partition, RollbackAccepted, RollbackOrdered, SessionId, Timestamp};

/// Records read from the log at once.
const PAGE_RECORDS: usize = 1_000;

/// All platforms and people of a seed.
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
                if stored.raw.kind().is_some_and(|kind| kind.class() == Class::Decision) {
                    let decision = Event::from_raw(&stored.raw).expect("rooms write what can be read");
                    self.hear(log.clock(), &decision);
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

    /// What is done about a decision follows from the decision, not from when it is read.
    fn hear(&mut self, now: Timestamp, decision: &Event) {
        let mut rng = self.chance_of(decision);
        let id = decision.id.as_str();
        match &decision.body {
            Body::RollbackOrdered(ordered) => self.obey(now, decision, ordered, &mut rng),
            Body::RollbackProposed(_) if rng.random_bool(0.7) => {
                let (author, reason) = ("ann".to_owned(), "as proposed".to_owned());
                let accepted = RollbackAccepted { proposal_id: id.to_owned(), author, reason };
                self.say_later(now, rng.random_range(1..120), decision, None, accepted);
            }
            Body::RollbackVerified(verified) if rng.random_bool(0.3) => {
                let Some(version) = &verified.from_version else { return };
                self.say_later(now, rng.random_range(60..3_600), decision, None, facts::lifted(version.as_str()));
            }
            Body::IncidentOpened(opened) if rng.random_bool(0.5) => {
                let incident = opened.incident_id.as_str();
                let after_s = rng.random_range(1..600);
                self.say_later(now, after_s, decision, None, facts::noted(incident, NoteAction::Ack));
                if rng.random_bool(0.4) {
                    self.say_later(now, 2 * after_s, decision, None, facts::noted(incident, NoteAction::Resolve));
                }
            }
            Body::EscalationRaised(raised) if rng.random_bool(0.6) => {
                let after_s = rng.random_range(1..1_800);
                self.say_later(now, after_s, decision, Some(&raised.session_id), facts::claimed(&raised.escalation_id, "ann"));
                if rng.random_bool(0.7) {
                    self.say_later(now, 2 * after_s, decision, Some(&raised.session_id), facts::returned(&raised.escalation_id, "ann"));
                }
            }
            _ => {}
        }
    }

    /// A person says something about it, so many seconds later.
    fn say_later(&mut self, now: Timestamp, after_s: i64, about: &Event, session: Option<&SessionId>, body: impl Into<Body>) {
        let at = now.plus_s(after_s);
        let event = self.told_by(Teller::person("ann", &format!("{}-words", about.key)), at, about, body.into());
        self.answers.insert((at, self.said), Event { subject: session.cloned(), ..event });
    }

    /// The next that this teller says of the same agent, by the ids that it has come to.
    fn told_by(&mut self, teller: Teller, at: Timestamp, about: &Event, body: Body) -> Event {
        self.said += 1;
        let teller = self.tellers.entry(teller.name().to_owned()).or_insert(teller);
        Event { key: about.key.clone(), ..teller.tell(at, None, body) }
    }

    /// Obeys and serves the old version, refuses, comes too late, or says nothing.
    fn obey(&mut self, now: Timestamp, order: &Event, ordered: &RollbackOrdered, rng: &mut ChaCha8Rng) {
        let (accepted, after_s) = match rng.random_range(0..10) {
            0 => return,
            1 => (false, rng.random_range(0..30)),
            2 => (true, rng.random_range(61..400)),
            _ => (true, rng.random_range(0..10)),
        };
        let mut at = now.plus_s(after_s);
        let mut events = vec![Body::from(facts::acknowledged(order.id.as_str(), accepted, Some(ordered.to_version.as_str())))];
        events.extend((0..rng.random_range(0..5)).map(|_| Body::from(facts::heartbeat(3_600, Some(ordered.to_version.as_str())))));
        for body in events {
            let event = self.told_by(Teller::new(&format!("{}-answers", order.key)), at, order, body);
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
