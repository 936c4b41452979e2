//! The oracle: folds a log as it stands, decisions included, single-threaded, and judges every decision on it.
//!
//! For each decision at offset o of a partition: its `asof` is below o; its bytes are those of a decision that the
//! room owed after folding up to `asof`, at its `now`; its id is unique on the log; per partition and room `asof` and
//! `now` never fall, and `now` is not after the first record that the room had not read. At the end nothing is owed. This finds lost, repeated and different decisions; it
//! cannot see a fact that `apply` itself swallows, which is what laws and stories are for.

use std::collections::BTreeMap;

use machine::Unreadable;
use wire::{Class, Event, Kind, Offset, Partition, Record, RecordId, Refusal, StoredRecord, Timestamp};

use crate::room::{AnyRoom, Rooms, TOPIC};

/// One thing that the oracle holds against a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Objection {
    /// Where.
    pub partition: Partition,
    /// At which record; the end of the log when something is still owed.
    pub offset: Offset,
    /// What.
    pub reason: String,
}

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

/// Judges a log, given whole, partition by partition in order of offsets. `end` is a time after every deadline that
/// the log's clock has passed.
pub fn judge(partitions: &[Vec<StoredRecord>], rooms: &Rooms, end: Timestamp) -> Judgement {
    let mut judgement = Judgement::default();
    let mut seen: BTreeMap<RecordId, (Partition, Offset)> = BTreeMap::new();
    for (index, stored) in partitions.iter().enumerate() {
        let partition = Partition(index as u32);
        let records: Vec<Read<'_>> = stored.iter().map(|stored| Read::of(stored, partitions.len() as u32)).collect();
        judgement.records += records.len();
        unique_ids(&records, &mut seen, &mut judgement);
        for make in rooms {
            judge_room(make(partition), &records, end, &mut judgement);
        }
    }
    judgement
}

struct Read<'a> {
    stored: &'a StoredRecord,
    record: Result<Record, Refusal>,
}

// === impl Read ===

impl<'a> Read<'a> {
    fn of(stored: &'a StoredRecord, partitions: u32) -> Self {
        Self { stored, record: Record::read_placed(stored, partitions) }
    }

    fn record(&self) -> Option<&Record> {
        self.record.as_ref().ok()
    }
}

fn unique_ids(records: &[Read<'_>], seen: &mut BTreeMap<RecordId, (Partition, Offset)>, judgement: &mut Judgement) {
    for record in records.iter().filter_map(Read::record).filter(|record| record.body.kind().class() == Class::Decision) {
        judgement.decisions += 1;
        *judgement.by_kind.entry(record.body.kind()).or_default() += 1;
        if let Some((partition, offset)) = seen.insert(record.id.clone(), (record.partition, record.offset)) {
            object(judgement, record, format!("{} {} stands at {partition}/{offset} already", record.body.kind(), record.id));
        }
    }
}

fn judge_room(mut room: Box<dyn AnyRoom>, records: &[Read<'_>], end: Timestamp, judgement: &mut Judgement) {
    let source = format!("/reeve/{}", room.service());
    let mut next = 0;
    let (mut asof, mut now) = (Offset::BEFORE_ALL, Timestamp::MIN);
    for read in records {
        let Some(record) = read.record().filter(|record| record.source.as_str() == source) else { continue };
        let Some(basis) = record.body.basis() else {
            object(judgement, record, format!("{} of {source} is no decision", record.body.kind()));
            continue;
        };
        judgement.lag_records_max = judgement.lag_records_max.max(record.offset.0 - basis.asof.0);
        if basis.asof >= record.offset {
            object(judgement, record, format!("knew {} before it was written", basis.asof));
        }
        if basis.asof < asof || basis.now < now {
            object(judgement, record, format!("asof or now fell: from {asof} at {now} to {} at {}", basis.asof, basis.now));
            continue;
        }
        (asof, now) = (basis.asof, basis.now);
        next = fold_up_to(room.as_mut(), records, next, asof);
        if let Some(unread) = records.get(next).filter(|unread| unread.stored.appended < now) {
            let reason = format!("took {now} for now, with {} of {} unread", unread.stored.offset, unread.stored.appended);
            object(judgement, record, reason);
        }
        judge_decision(room.as_ref(), record, read.stored, judgement);
    }
    fold_up_to(room.as_mut(), records, next, Offset(i64::MAX));
    for decision in room.owed(end) {
        let offset = records.last().map_or(Offset::BEFORE_ALL, |read| read.stored.offset);
        let reason = format!("{} still owes {} {} about {}", room.service(), decision.body.kind(), decision.id, decision.key);
        judgement.objections.push(Objection { partition: decision_partition(records), offset, reason });
    }
}

fn judge_decision(room: &dyn AnyRoom, record: &Record, stored: &StoredRecord, judgement: &mut Judgement) {
    let Some(basis) = record.body.basis() else { return };
    let owed = room.owed(basis.now);
    let Some(same_id) = owed.iter().find(|owed| owed.id == record.id) else {
        let kinds: Vec<String> = owed.iter().map(|owed| format!("{} {}", owed.body.kind(), owed.id)).collect();
        let reason =
            format!("{} {} was not owed as of {} at {}; owed were {kinds:?}", record.body.kind(), record.id, basis.asof, basis.now);
        return object(judgement, record, reason);
    };
    let expected: Event = same_id.to_event(room.service());
    if expected.to_raw() != stored.raw {
        object(judgement, record, format!("differs from what was owed: {:?} instead of {:?}", record.event, expected));
    }
}

fn fold_up_to(room: &mut dyn AnyRoom, records: &[Read<'_>], mut next: usize, asof: Offset) -> usize {
    while let Some(read) = records.get(next).filter(|read| read.stored.offset <= asof) {
        match &read.record {
            Ok(record) => room.take(record),
            Err(refusal) if refusal.blames_the_record() => room.refuse(&Unreadable { topic: TOPIC, stored: read.stored, refusal }),
            Err(_) => room.skip(read.stored.offset, read.stored.appended),
        }
        next += 1;
    }
    next
}

fn decision_partition(records: &[Read<'_>]) -> Partition {
    records.first().map_or(Partition(0), |read| read.stored.partition)
}

fn object(judgement: &mut Judgement, record: &Record, reason: String) {
    judgement.objections.push(Objection { partition: record.partition, offset: record.offset, reason });
}
