//! What an append adds: which of its records are new, which stand on the log already, and which take another's id.

use std::collections::BTreeMap;

use wire::{DedupeKey, Offset, Partition, RawRecord};

use super::Addressed;

/// Under what a record is unique. A broadcast is unique per partition, because its publisher writes one copy to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UniqueKey {
    pub(super) key: DedupeKey,
    pub(super) partition: Option<Partition>,
}

/// A digest of what a record says.
pub(super) type BodyDigest = [u8; 16];

/// The record that stands under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) offset: Offset,
    pub(super) digest: BodyDigest,
}

/// What becomes of one record of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// It is appended, and stands under this key if it has one.
    New(Option<(UniqueKey, BodyDigest)>),
    /// It stands at this offset.
    Stands(Offset),
    /// It says what an earlier one of the same append says.
    SameAs(usize),
}

/// What becomes of each record, or the positions whose ids are taken. `lookup` asks the log.
pub(super) fn plan<E>(
    records: &[Addressed],
    mut lookup: impl FnMut(&UniqueKey) -> Result<Option<Known>, E>,
) -> Result<Result<Vec<Planned>, Vec<usize>>, E> {
    let mut earlier: BTreeMap<UniqueKey, (usize, BodyDigest)> = BTreeMap::new();
    let mut planned = Vec::with_capacity(records.len());
    let mut taken = Vec::new();
    for (place, addressed) in records.iter().enumerate() {
        let Some(key) = unique_key(addressed.partition, &addressed.record) else {
            planned.push(Planned::New(None));
            continue;
        };
        let digest = addressed.record.body_digest();
        let (fate, stands) = if let Some(known) = lookup(&key)? {
            (Planned::Stands(known.offset), known.digest)
        } else if let Some((first, stands)) = earlier.get(&key) {
            (Planned::SameAs(*first), *stands)
        } else {
            earlier.insert(key, (place, digest));
            (Planned::New(Some((key, digest))), digest)
        };
        if stands != digest {
            taken.push(place);
        }
        planned.push(fate);
    }
    Ok(if taken.is_empty() { Ok(planned) } else { Err(taken) })
}

/// The key that a record on `partition` is unique under; a record without source and id has none.
pub(super) fn unique_key(partition: Partition, record: &RawRecord) -> Option<UniqueKey> {
    let key = record.dedupe_key()?;
    let is_broadcast = record.kind().is_some_and(wire::Kind::is_broadcast);
    Some(UniqueKey { key, partition: is_broadcast.then_some(partition) })
}
