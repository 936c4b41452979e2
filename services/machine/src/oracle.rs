//! The oracle: folds a log as it stands, decisions included, single-threaded, and judges every decision on it.
//!
//! For each decision at offset o of a partition: its `asof` is below o; its bytes are those of a decision that the
//! room owed after folding up to `asof`, at its `now`; its id is unique on the log; per partition and room `asof` and
//! `now` never fall, and `now` is not after the first record that the room had not read. At the end nothing is owed.
//! This finds lost, repeated and different decisions; it cannot see a fact that `apply` itself swallows, which is what
//! laws and stories are for.

mod objection;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wire::{Class, Kind, Offset, Partition, Record, RecordId, Refusal, StoredRecord, Timestamp};

pub use self::objection::{Breach, Objection, Said};
use crate::room::{AnyRoom, Rooms};
use crate::{Frontier, Unreadable};

/// What the oracle saw, and what it objects to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Records read.
    pub records: usize,
    /// Decisions judged.
    pub decisions: usize,
    /// Decisions by kind.
    pub by_kind: BTreeMap<Kind, usize>,
    /// Largest distance of a decision from the last record that it knew: how prompt the rooms were.
    pub lag_records_max: i64,
    /// Everything that is wrong.
    pub objections: Vec<Objection>,
}

/// A record with what could be read of it.
#[derive(Debug)]
pub struct Read {
    /// As the log has it.
    pub stored: StoredRecord,
    /// What it says, or why nobody can say.
    pub record: Result<Record, Refusal>,
}

/// A log under judgement: takes its records, partition by partition in order of offsets.
pub struct Oracle {
    topic: Arc<str>,
    rooms: Rooms,
    benches: BTreeMap<Partition, Vec<Bench>>,
    /// Where each decision stands.
    seen: BTreeMap<RecordId, (Partition, Offset)>,
    last: BTreeMap<Partition, Offset>,
    judgement: Judgement,
}

/// One room in one partition, folded as far as its last decision knew.
struct Bench {
    room: Box<dyn AnyRoom>,
    source: String,
    unread: VecDeque<Arc<Read>>,
    frontier: Frontier,
}

/// Judges a log, given whole, partition by partition in order of offsets. `end` is a time after every deadline that
/// the log's clock has passed.
pub fn judge(topic: &str, partitions: &[Vec<StoredRecord>], rooms: &Rooms, end: Timestamp) -> Judgement {
    let mut oracle = Oracle::new(topic, rooms);
    for stored in partitions.iter().flatten() {
        oracle.take(&Arc::new(Read::of(stored.clone(), partitions.len() as u32)));
    }
    oracle.end(end)
}

// === impl Read ===

impl Read {
    /// Reads a record of a topic that has so many `partitions`.
    pub fn of(stored: StoredRecord, partitions: u32) -> Self {
        let record = Record::read_placed(&stored, partitions);
        Self { stored, record }
    }

    /// Hands it to a room, as a driver does.
    pub fn fold_into(&self, room: &mut dyn AnyRoom, topic: &str) {
        match &self.record {
            Ok(record) => room.take(record),
            Err(refusal) if refusal.blames_the_record() => room.refuse(&Unreadable { topic, stored: &self.stored, refusal }),
            Err(_) => room.skip(self.stored.offset, self.stored.appended),
        }
    }
}

// === impl Oracle ===

impl Oracle {
    /// An oracle over these rooms that has seen nothing yet.
    pub fn new(topic: &str, rooms: &Rooms) -> Self {
        Self {
            topic: topic.into(),
            rooms: rooms.clone(),
            benches: BTreeMap::new(),
            seen: BTreeMap::new(),
            last: BTreeMap::new(),
            judgement: Judgement::default(),
        }
    }

    /// Takes the next record of its partition.
    pub fn take(&mut self, read: &Arc<Read>) {
        self.judgement.records += 1;
        let partition = read.stored.partition;
        self.last.insert(partition, read.stored.offset);
        if let Ok(record) = &read.record {
            self.unique(record);
        }
        let rooms = &self.rooms;
        let benches = self.benches.entry(partition).or_insert_with(|| rooms.iter().map(|make| Bench::new(make(partition))).collect());
        benches.iter_mut().for_each(|bench| bench.take(read, &self.topic, &mut self.judgement));
    }

    /// What was found so far; [`Self::end`] adds what is still owed.
    pub fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// The log has ended, and its clock has passed `end`: nothing is owed any more.
    pub fn end(mut self, end: Timestamp) -> Judgement {
        for (partition, benches) in &mut self.benches {
            let offset = self.last.get(partition).copied().unwrap_or(Offset::BEFORE_ALL);
            for bench in benches {
                bench.fold_up_to(Offset(i64::MAX), &self.topic);
                for decision in bench.room.owed(end) {
                    let breach = Breach::StillOwed { said: Said::from(&decision), key: decision.key };
                    let room = bench.room.service().to_owned();
                    self.judgement.objections.push(Objection { partition: *partition, offset, room, breach });
                }
            }
        }
        self.judgement
    }

    fn unique(&mut self, record: &Record) {
        let kind = record.body.kind();
        if kind.class() != Class::Decision {
            return;
        }
        self.judgement.decisions += 1;
        *self.judgement.by_kind.entry(kind).or_default() += 1;
        if let Some((partition, offset)) = self.seen.insert(record.id.clone(), (record.partition, record.offset)) {
            let said = Said { kind, id: record.id.clone() };
            let room = record.source.as_str().trim_start_matches("/reeve/").to_owned();
            let breach = Breach::Repeated { said, partition, offset };
            self.judgement.objections.push(Objection { partition: record.partition, offset: record.offset, room, breach });
        }
    }
}

// === impl Bench ===

impl Bench {
    fn new(room: Box<dyn AnyRoom>) -> Self {
        let source = format!("/reeve/{}", room.service());
        Self { room, source, unread: VecDeque::new(), frontier: Frontier { asof: Offset::BEFORE_ALL, now: Timestamp::MIN } }
    }

    fn take(&mut self, read: &Arc<Read>, topic: &str, judgement: &mut Judgement) {
        self.unread.push_back(Arc::clone(read));
        if let Ok(record) = &read.record
            && record.source.as_str() == self.source
        {
            let breaches = self.judge(record, read, topic, judgement);
            let room = self.room.service();
            let object = |breach| Objection { partition: record.partition, offset: record.offset, room: room.to_owned(), breach };
            judgement.objections.extend(breaches.into_iter().map(object));
        }
    }

    fn judge(&mut self, record: &Record, read: &Read, topic: &str, judgement: &mut Judgement) -> Vec<Breach> {
        let kind = record.body.kind();
        let Some(basis) = record.body.basis() else { return vec![Breach::NoDecision { kind }] };
        let at = Frontier { asof: basis.asof, now: basis.now };
        judgement.lag_records_max = judgement.lag_records_max.max(record.offset.0 - at.asof.0);
        let mut breaches = Vec::new();
        if at.asof >= record.offset {
            breaches.push(Breach::KnewTooMuch { asof: at.asof });
        }
        if at.asof < self.frontier.asof || at.now < self.frontier.now {
            breaches.push(Breach::Fell { from: self.frontier, to: at });
            return breaches;
        }
        self.frontier = at;
        self.fold_up_to(at.asof, topic);
        // Any of them: brokers' clocks differ, and the first that is unread need not be the one that was dated first.
        if let Some(unread) = self.unread.iter().find(|unread| unread.stored.appended < at.now) {
            let (unread, appended) = (unread.stored.offset, unread.stored.appended);
            breaches.push(Breach::OutranItsReader { now: at.now, unread, appended });
        }
        breaches.extend(self.owed_this(at, record, read));
        breaches
    }

    fn owed_this(&self, at: Frontier, record: &Record, read: &Read) -> Option<Breach> {
        let Some(same_id) = self.room.owed_as(&record.id, at.now) else {
            let said = Said { kind: record.body.kind(), id: record.id.clone() };
            return Some(Breach::NotOwed { said, at, owed: self.room.owed(at.now).iter().map(Said::from).collect() });
        };
        let expected = same_id.to_event(self.room.service());
        let differs = expected.to_raw() != read.stored.raw;
        differs.then(|| Breach::Different { at, owed: Box::new(expected), found: Box::new(record.event.clone()) })
    }

    fn fold_up_to(&mut self, asof: Offset, topic: &str) {
        while self.unread.front().is_some_and(|read| read.stored.offset <= asof)
            && let Some(read) = self.unread.pop_front()
        {
            read.fold_into(self.room.as_mut(), topic);
        }
    }
}
