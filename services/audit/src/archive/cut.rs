//! Where a segment ends: a function of the records and of these limits, so that whoever cuts the same log cuts it alike.

use wire::{Offset, StoredRecord, Timestamp};

/// When a segment is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records.
    pub rows_max: u64,
    /// Bytes of keys, headers and values, before compression. The record that passes it is the last.
    pub bytes_max: u64,
    /// Microseconds of the log's time from its first record to the first that belongs to the next one.
    pub age_us: i64,
}

/// A segment that is not cut yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    first: Offset,
    next: Offset,
    since: Timestamp,
    rows: u64,
    bytes: u64,
}

// === impl Limits ===

impl Limits {
    /// 50,000 records, 8 MiB, and so many microseconds: one segment is the most that an archiver holds in memory.
    pub fn of_age(age_us: i64) -> Self {
        Self { rows_max: 50_000, bytes_max: 8 << 20, age_us }
    }
}

// === impl Open ===

impl Open {
    /// One that begins at `first` and holds nothing.
    pub fn at(first: Offset) -> Self {
        Self { first, next: first, since: Timestamp::MIN, rows: 0, bytes: 0 }
    }

    /// Whether it ends before this record, by age.
    pub fn ends_before(&self, record: &StoredRecord, limits: &Limits) -> bool {
        self.is_due(record.appended, limits)
    }

    /// Takes a record.
    pub fn take(&mut self, record: &StoredRecord) {
        if self.rows == 0 {
            self.since = record.appended;
        }
        self.rows += 1;
        self.bytes += record.raw.size() as u64;
        self.next = record.offset.next();
    }

    /// Whether it takes no more.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.rows >= limits.rows_max || self.bytes >= limits.bytes_max
    }

    /// Whether every record to come belongs to the next one, at the log's time `now`.
    pub fn is_due(&self, now: Timestamp, limits: &Limits) -> bool {
        self.rows > 0 && now.since_us(self.since) >= limits.age_us
    }

    /// The first offset that it covers.
    pub fn first(&self) -> Offset {
        self.first
    }

    /// The offset after its last record.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Its records so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use wire::{Partition, RawRecord};

    use super::*;

    const LIMITS: Limits = Limits { rows_max: 3, bytes_max: 10, age_us: 100 };

    #[test]
    fn a_segment_ends_by_rows_by_bytes_and_by_age() {
        assert_eq!(cuts(&[(0, 1), (1, 1), (2, 1), (3, 1)]), [2], "three rows");
        assert_eq!(cuts(&[(0, 9), (1, 9), (2, 1), (3, 1)]), [1], "the record that passes the bytes is the last");
        assert_eq!(cuts(&[(0, 1), (99, 1), (100, 1), (199, 1), (200, 1)]), [1, 3], "a hundred microseconds");
        assert_eq!(cuts(&[(0, 99), (0, 1)]), [0], "a record that is too large has a segment of its own");
    }

    #[test]
    fn an_empty_segment_is_never_due() {
        assert!(!Open::at(Offset(7)).is_due(Timestamp::MAX, &LIMITS));
    }

    /// Offsets of the records that end a segment: by time and size.
    fn cuts(records: &[(i64, usize)]) -> Vec<i64> {
        let mut open = Open::at(Offset(0));
        let mut cuts = Vec::new();
        for (offset, (appended, bytes)) in (0..).zip(records) {
            let raw = RawRecord { value: vec![0; *bytes].into(), ..RawRecord::default() };
            let record = StoredRecord { partition: Partition(0), offset: Offset(offset), appended: Timestamp(*appended), raw };
            if open.ends_before(&record, &LIMITS) {
                cuts.push(offset - 1);
                open = Open::at(Offset(offset));
            }
            open.take(&record);
            if open.is_full(&LIMITS) {
                cuts.push(offset);
                open = Open::at(Offset(offset + 1));
            }
        }
        cuts
    }
}
