//! What becomes of each record: where it goes, or why it stays behind.

use wire::partitioner::partition_of;
use wire::{Body, Kind, Partition, Record, StoredRecord};

use super::MigrationError;

/// Why a record is not told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// It says how far a room had come on a partition that is no more.
    Watermark,
    /// It names the place of a record that nobody could read.
    Refusal,
    /// Nobody can read it, or it lies where its key does not belong: no room ever folded it.
    Unreadable,
}

/// What becomes of a record.
pub(super) enum Sorted {
    /// It stays behind.
    Left(Left),
    /// It goes there as it is; its kind, where it is known.
    Kept { kind: Option<Kind>, to: Vec<Partition> },
    /// A decision, which goes there and says there what it knew.
    Decided { to: Partition, body: Box<Body> },
}

// === impl Left ===

impl Left {
    /// Why, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Watermark => "how far rooms had come on the old partitions",
            Self::Refusal => "refusals, which name a place on the old topic",
            Self::Unreadable => "records that nobody can read",
        }
    }

    /// Why, for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watermark => "watermarks",
            Self::Refusal => "refusals",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What becomes of a record of a topic of `before` partitions on one of `after`. Both the replay and its check go by this.
pub(super) fn sort(stored: &StoredRecord, before: u32, after: u32) -> Result<Sorted, MigrationError> {
    match Record::read_placed(stored, before) {
        Err(refusal) if refusal.blames_the_record() => Ok(Sorted::Left(Left::Unreadable)),
        Err(_) => unknown(stored, after),
        Ok(record) => Ok(known(stored, record, before, after)),
    }
}

fn known(stored: &StoredRecord, record: Record, before: u32, after: u32) -> Sorted {
    let (kind, to) = (record.body.kind(), record.event.partition(after));
    match kind {
        Kind::RoomWatermark => Sorted::Left(Left::Watermark),
        Kind::RecordRefused => Sorted::Left(Left::Refusal),
        kind if kind.is_broadcast() => {
            let to = (0..after).filter(|partition| partition % before == stored.partition.0).map(Partition).collect();
            Sorted::Kept { kind: Some(kind), to }
        }
        kind if kind.is_decision() => Sorted::Decided { to, body: Box::new(record.event.body) },
        kind => Sorted::Kept { kind: Some(kind), to: vec![to] },
    }
}

/// A kind that only a newer Reeve knows passes untouched, to where its key belongs; but for a decision, whose `asof` nobody can
/// count anew. A record without a key belongs nowhere.
fn unknown(stored: &StoredRecord, after: u32) -> Result<Sorted, MigrationError> {
    if stored.raw.header("ce_source").is_some_and(|source| source.starts_with("/reeve/")) {
        return Err(MigrationError::NewerReeve { partition: stored.partition, offset: stored.offset });
    }
    Ok(stored
        .raw
        .key
        .as_deref()
        .map_or(Sorted::Left(Left::Unreadable), |key| Sorted::Kept { kind: None, to: vec![partition_of(key, after)] }))
}
