//! A segment: the records of a range of offsets, whether each could be read, and the file that says so.

mod columns;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use bytes::Bytes;
use wire::{Names, Offset, Partition, Record, Refusal, StoredRecord};

use self::columns::Told;
use self::reading::Found;
use super::digest::Digest;
use super::errors::ArchiveError;
use super::name::SegmentName;

/// Bytes of the largest file that is read: an archiver writes far smaller ones.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 20;

/// Records of a partition, from its first to the end of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that somebody can read.
    pub stored: u64,
    /// Those that nobody can.
    pub refused: u64,
}

/// Records of one partition, each with its place and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// What it is called.
    pub name: SegmentName,
    /// Its records, in order.
    pub records: Vec<StoredRecord>,
    /// Of each record the code of what is wrong with it; `None`: it can be read. So judged the build that wrote it.
    pub refusals: Vec<Option<String>>,
    /// SHA-256 over its rows ([`Digest`]).
    pub sha256: String,
    /// Records up to its end.
    pub totals: Totals,
}

// === impl Segment ===

impl Segment {
    /// The segment that covers offsets from `first` to its last record's, after ones that held `before`. `None` where
    /// there is no record.
    pub fn of(topic: &str, partitions: u32, first: Offset, records: Vec<StoredRecord>, before: Totals) -> Option<Self> {
        let (head, last) = (records.first()?, records.last()?);
        let partition = head.partition;
        let day = SegmentName::day_of(head.appended);
        let name = SegmentName { topic: topic.to_owned(), partition, first, last: last.offset, day };
        let mut names = Names::default();
        let refusals: Vec<Option<String>> = records.iter().map(|record| refusal_of(record, partitions, &mut names)).collect();
        let totals = before.and(&refusals);
        let sha256 = digest(topic, partition, &records);
        Some(Self { name, records, refusals, sha256, totals })
    }

    /// Its file: the same bytes for the same records.
    ///
    /// # Errors
    /// [`ArchiveError::Store`] when it cannot be written as Parquet.
    pub fn encode(&self) -> Result<Vec<u8>, ArchiveError> {
        writing::encode(self).map_err(|error| ArchiveError::Store { reason: format!("{} cannot be encoded: {error}", self.name) })
    }

    /// Reads a file, which is believed by its rows: they have the SHA-256, the range and the number that footer and name
    /// say. What a row says beside its record (its kind, whether it can be read) is the judgement of the build that wrote
    /// it, which an older or newer one need not share.
    ///
    /// # Errors
    /// [`ArchiveError::Altered`].
    pub fn decode(name: &SegmentName, bytes: &Bytes) -> Result<Self, ArchiveError> {
        Ok(Self::found(name, bytes)?.segment)
    }

    /// Reads a file and looks closer: one that exactly this build wrote must have the bytes that its rows give today. Also
    /// says of how many rows this build would say something else beside their records, on a log of so many partitions.
    ///
    /// # Errors
    /// [`ArchiveError::Altered`].
    pub fn prove(name: &SegmentName, bytes: &Bytes, partitions: u32) -> Result<(Self, u64), ArchiveError> {
        let Found { segment, told, created_by } = Self::found(name, bytes)?;
        if created_by == writing::created_by() && segment.encode()? != *bytes {
            let reason = "its rows give other bytes when they are written again".to_owned();
            return Err(ArchiveError::Altered { name: name.to_string(), reason });
        }
        let mut names = Names::default();
        let mut judged = |record| (Told::of(record), refusal_of(record, partitions, &mut names));
        let rows = segment.records.iter().zip(told.into_iter().zip(segment.refusals.iter().cloned()));
        let otherwise = rows.filter(|(record, said)| judged(record) != *said).count();
        Ok((segment, otherwise as u64))
    }

    fn found(name: &SegmentName, bytes: &Bytes) -> Result<Found, ArchiveError> {
        let altered = |reason: String| ArchiveError::Altered { name: name.to_string(), reason };
        let found = reading::decode(name, bytes).map_err(altered)?;
        let segment = &found.segment;
        let outside = segment.records.iter().find(|record| record.offset < name.first || record.offset > name.last);
        if let Some(record) = outside {
            return Err(altered(format!("it holds a record at {}", record.offset)));
        }
        if segment.records.windows(2).any(|pair| pair[0].offset >= pair[1].offset) {
            return Err(altered("its records are not in order".to_owned()));
        }
        if segment.records.last().is_none_or(|last| last.offset != name.last) {
            return Err(altered("its last record is missing".to_owned()));
        }
        let sha256 = digest(&name.topic, name.partition, &segment.records);
        if segment.sha256 != sha256 {
            return Err(altered(format!("its rows have the SHA-256 {sha256}, its footer says {}", segment.sha256)));
        }
        if SegmentName::day_of(segment.records[0].appended) != name.day {
            return Err(altered("its first record was appended on another day".to_owned()));
        }
        Ok(found)
    }

    /// Records in it that somebody can read, and that nobody can.
    pub fn counts(&self) -> Totals {
        Totals::default().and(&self.refusals)
    }
}

// === impl Totals ===

impl Totals {
    /// Both together.
    pub fn sum(self) -> u64 {
        self.stored + self.refused
    }

    /// These and those.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self { stored: self.stored + more.stored, refused: self.refused + more.refused }
    }

    fn and(self, refusals: &[Option<String>]) -> Self {
        let refused = refusals.iter().flatten().count() as u64;
        self.plus(Self { stored: refusals.len() as u64 - refused, refused })
    }
}

/// The code of what is wrong with a record, if anything is: as the room refuses it. What only a newer Reeve can read is
/// in order.
fn refusal_of(record: &StoredRecord, partitions: u32, names: &mut Names) -> Option<String> {
    Record::read_placed_among(record, partitions, names).err().filter(Refusal::blames_the_record).map(|refusal| refusal.code().to_owned())
}

fn digest(topic: &str, partition: Partition, records: &[StoredRecord]) -> String {
    let mut digest = Digest::new(topic, partition);
    records.iter().for_each(|record| digest.add(record));
    digest.hex()
}
