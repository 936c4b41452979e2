//! The incident room and the rollback room on the log of one agent, in lockstep on the log's time.
//!
//! Every decision comes home before the next fact, and every deadline is asked before the record that comes after it, as
//! a driver does that stands at the end of its log. Nothing is written: records go from hand to hand.

use incident::Incident;
use machine::{Decision, Fold, Frontier, Machine};
use rollback::Rollback;
use wire::{Body, Event, Offset, Partition, PolicyAdopted, Record, Timestamp};

/// A room may say how far it has folded every ten seconds; here it is asked every ten minutes. Its word carries proofs
/// alone, which take a day.
const WATERMARK_EVERY_S: i64 = 600;

/// Between two facts, rooms answer each other at most this often.
const ROUNDS_MAX: usize = 1_000;

/// Two rooms on one log.
pub struct House {
    incident: Fold<Incident>,
    rollback: Fold<Rollback>,
    next: i64,
    now: Timestamp,
    watermark_at: Timestamp,
    /// Records on the log.
    pub records: u64,
    /// What was decided since somebody took it, but for watermarks.
    said: Vec<Record>,
}

// === impl House ===

impl Default for House {
    fn default() -> Self {
        Self {
            incident: Fold::new(Partition(0)),
            rollback: Fold::new(Partition(0)),
            next: 0,
            now: Timestamp(0),
            watermark_at: Timestamp(0),
            records: 0,
            said: Vec::new(),
        }
    }
}

impl House {
    /// Somebody adopts a policy for the incident room.
    pub fn adopt(&mut self, at: Timestamp, agent: &str, document: &str) {
        let body = PolicyAdopted {
            room: Incident::SERVICE.to_owned(),
            version: "objective".to_owned(),
            document: document.to_owned(),
            author: "ann".to_owned(),
            reason: "its sessions succeed so often".to_owned(),
        };
        let told = kit::Teller::person("ann", agent).tell(at, None, body);
        self.tell(at, told);
    }

    /// Lets time pass to `at`, deadline by deadline, then folds `event`; the rooms answer until nothing is owed.
    pub fn tell(&mut self, at: Timestamp, event: Event) {
        self.pass_to(at);
        self.append(event);
        self.settle();
    }

    /// What was decided since this was asked last.
    pub fn take_said(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.said)
    }

    /// The log's time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Offset of the last record.
    pub fn asof(&self) -> Offset {
        Offset(self.next - 1)
    }

    fn pass_to(&mut self, at: Timestamp) {
        for _ in 0..ROUNDS_MAX {
            let Some(due) = self.next_due().filter(|due| *due <= at) else { break };
            self.now = self.now.max(due);
            if self.now >= self.watermark_at {
                self.watermark_at = self.now.plus_s(WATERMARK_EVERY_S);
                let owed = self.incident.owed(self.now);
                owed.iter().for_each(|decision| self.append(decision.to_event(Incident::SERVICE)));
            }
            self.settle();
        }
        self.now = self.now.max(at);
    }

    fn next_due(&self) -> Option<Timestamp> {
        [self.incident.machine().next_due(), self.rollback.machine().next_due(), Some(self.watermark_at)].into_iter().flatten().min()
    }

    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let owed = self.owed();
            if owed.is_empty() {
                return;
            }
            for (service, decision) in owed {
                self.append(decision.to_event(service));
            }
        }
        panic!("the rooms answer each other for ever");
    }

    fn owed(&self) -> Vec<(&'static str, Decision)> {
        let mut owed = Vec::new();
        due(&self.incident, self.now, &mut owed);
        due(&self.rollback, self.now, &mut owed);
        owed
    }

    fn append(&mut self, event: Event) {
        let record = Record { partition: Partition(0), offset: Offset(self.next), appended: self.now, event };
        self.next += 1;
        self.records += 1;
        take(&mut self.incident, &record);
        take(&mut self.rollback, &record);
        let service = record.source.as_str().strip_prefix("/reeve/");
        let is_ours = service.is_some_and(|service| service == Incident::SERVICE || service == Rollback::SERVICE);
        if is_ours && !matches!(record.body, Body::RoomWatermark(_)) {
            self.said.push(record);
        }
    }
}

fn take<M: Machine>(fold: &mut Fold<M>, record: &Record) {
    if Fold::<M>::reads(record.body.kind()) {
        fold.fold(record);
    } else {
        fold.skip(record.offset, record.appended);
    }
}

/// What a machine owes, where it is due at all.
fn due<M: Machine>(fold: &Fold<M>, now: Timestamp, owed: &mut Vec<(&'static str, Decision)>) {
    if fold.machine().next_due().is_some_and(|due| due <= now) {
        let at = Frontier { asof: fold.asof(), now };
        owed.extend(fold.machine().owed(at).into_iter().map(|decision| (M::SERVICE, decision)));
    }
}
