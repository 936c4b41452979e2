//! All partitions as one story, ordered by (append time, partition, offset), from any point and for as long as one likes.

use std::collections::VecDeque;
use std::fmt;

use thiserror::Error;
use wire::{Offset, Partition, StoredRecord, Timestamp};

use super::{Log, LogError};

/// Records that are read ahead per partition.
const READ_AHEAD: usize = 256;
/// Looks at all ends until two in a row agree, at most. While they never do, time alone says what is settled.
const LOOKS_MAX: usize = 4;
/// Partitions that a cursor may name.
const CURSOR_PARTITIONS_MAX: usize = 4_096;

/// Where a merged reader stands: the next offset of each partition. As text it is opaque to those who are given it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// By partition; a partition beyond the last one is read from its start.
    next: Vec<Offset>,
}

/// A text that is no cursor.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{text}` is no cursor of this log")]
pub struct CursorError {
    /// The text.
    pub text: String,
}

/// A reader of all partitions.
pub struct Merged<'a> {
    log: &'a dyn Log,
    cursor: Cursor,
    ahead: Vec<Ahead>,
}

/// What was read of a partition and not yet handed out.
struct Ahead {
    records: VecDeque<StoredRecord>,
    /// The offset to read next.
    next: Offset,
}

/// What stands on the log at one moment.
struct View {
    ends: Vec<Offset>,
    /// Whether all ends held at one and the same moment.
    is_exact: bool,
    /// Whatever was dated before this stood on the log before the ends were looked at.
    settled: Timestamp,
}

// === impl Cursor ===

impl Cursor {
    /// Before the first record of every partition.
    pub fn start() -> Self {
        Self::default()
    }

    /// At these offsets, by partition.
    pub fn at(next: Vec<Offset>) -> Self {
        Self { next }
    }

    /// After everything that stands on the log now.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    pub fn at_end(log: &dyn Log) -> Result<Self, LogError> {
        Ok(Self { next: View::of(log)?.ends })
    }

    /// Reads a cursor that was given out as text. The empty text is the start.
    ///
    /// # Errors
    /// [`CursorError`] when it was not given out by this code.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        let wrong = || CursorError { text: text.chars().take(80).collect() };
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut next = Vec::new();
        for part in text.split('.') {
            let offset = part.parse::<i64>().ok().filter(|offset| *offset >= 0).ok_or_else(wrong)?;
            next.push(Offset(offset));
            if next.len() > CURSOR_PARTITIONS_MAX {
                return Err(wrong());
            }
        }
        Ok(Self { next })
    }

    /// Moves past a record that was handed out.
    pub fn pass(&mut self, record: &StoredRecord) {
        let place = record.partition.0 as usize;
        if self.next.len() <= place {
            self.next.resize(place + 1, Offset(0));
        }
        self.next[place] = record.offset.next();
    }

    /// The next offset of a partition.
    pub fn next(&self, partition: Partition) -> Offset {
        self.next.get(partition.0 as usize).copied().unwrap_or_default()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, offset) in self.next.iter().enumerate() {
            write!(f, "{}{offset}", if place > 0 { "." } else { "" })?;
        }
        Ok(())
    }
}

// === impl Merged ===

impl<'a> Merged<'a> {
    /// A reader that goes on after `from`.
    pub fn new(log: &'a dyn Log, from: Cursor) -> Self {
        let ahead = (0..log.partitions()).map(|partition| Ahead { records: VecDeque::new(), next: from.next(Partition(partition)) });
        Self { log, ahead: ahead.collect(), cursor: from }
    }

    /// The next records, at most `max`; none when nothing more stands on the log now. What is handed out by one call is
    /// in order, and so is everything that stood on the log when the call began. A record that is appended later with
    /// the very time of the last one, on an earlier partition, comes after it.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read; asking again goes on where this left off.
    pub fn next_batch(&mut self, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let view = View::of(self.log)?;
        let mut batch = Vec::new();
        while batch.len() < max && self.read_ahead(&view)? {
            let Some(record) = self.take_first(&view) else { break };
            self.cursor.pass(&record);
            batch.push(record);
        }
        Ok(batch)
    }

    /// Where to go on after the last record handed out.
    pub fn cursor(&self) -> String {
        self.cursor.to_string()
    }

    /// Makes sure that of each partition the next record is known, or that it has none in view. Whether it is so.
    fn read_ahead(&mut self, view: &View) -> Result<bool, LogError> {
        for (partition, (ahead, end)) in (0..).map(Partition).zip(self.ahead.iter_mut().zip(&view.ends)) {
            if ahead.records.is_empty() && ahead.next < *end {
                ahead.records = self.log.read(partition, ahead.next, READ_AHEAD)?.into();
                let Some(last) = ahead.records.back() else { return Ok(false) };
                ahead.next = last.offset.next();
            }
        }
        Ok(true)
    }

    fn take_first(&mut self, view: &View) -> Option<StoredRecord> {
        let heads = self.ahead.iter().filter_map(|ahead| ahead.records.front()).filter(|record| view.has(record));
        let first = heads.min_by_key(|record| (record.appended, record.partition, record.offset))?.partition;
        self.ahead[first.0 as usize].records.pop_front()
    }
}

// === impl View ===

impl View {
    /// Looks until nothing moves between two looks: then all ends held at one moment, and where a log dates in order nothing
    /// that comes later is dated earlier.
    fn of(log: &dyn Log) -> Result<Self, LogError> {
        // The time is read first: whatever is appended after this is dated no earlier.
        let settled = log.now();
        let look = || (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect::<Result<Vec<_>, _>>();
        let mut ends = look()?;
        let looks = if log.clock_skew_us() == 0 { LOOKS_MAX } else { 1 };
        for _ in 1..looks {
            let again = look()?;
            if again == ends {
                return Ok(Self { ends, is_exact: true, settled });
            }
            ends = again;
        }
        Ok(Self { ends, is_exact: false, settled })
    }

    fn has(&self, record: &StoredRecord) -> bool {
        let is_in = self.ends.get(record.partition.0 as usize).is_some_and(|end| record.offset < *end);
        is_in && (self.is_exact || record.appended < self.settled)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::super::{Addressed, AppendError, Appended, Consumer, Producer};
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_told() {
        let mut cursor = Cursor::start();
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(Cursor::start()));
        let raw = wire::RawRecord::default();
        cursor.pass(&StoredRecord { partition: Partition(2), offset: Offset(41), appended: Timestamp(0), raw });
        assert_eq!(cursor.to_string(), "0.0.42");
        assert_eq!(Cursor::parse("0.0.42"), Ok(cursor));
    }

    /// Between the look at its first partition and the one at its second, something is appended to both. Again and again,
    /// so that no two looks agree.
    struct Busy(Mutex<Vec<Vec<Timestamp>>>);

    impl Log for Busy {
        fn topic(&self) -> &str {
            "busy"
        }

        fn partitions(&self) -> u32 {
            2
        }

        fn now(&self) -> Timestamp {
            Timestamp(self.0.lock().expect("no panic").iter().map(Vec::len).sum::<usize>() as i64)
        }

        fn consumer(&self, _: &str, _: &str) -> Result<Box<dyn Consumer>, LogError> {
            Err(LogError::Unavailable { reason: "a test".to_owned() })
        }

        fn producer(&self, _: &str) -> Result<Box<dyn Producer>, LogError> {
            Err(LogError::Unavailable { reason: "a test".to_owned() })
        }

        fn append(&self, _: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
            Err(AppendError::Busy { retry_after_ms: 0 })
        }

        fn read(&self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
            let shelves = self.0.lock().expect("no panic");
            let dates = shelves[partition.0 as usize].iter().zip(0..).skip(from.0 as usize).take(max);
            let record = |(date, offset): (&Timestamp, i64)| StoredRecord {
                partition,
                offset: Offset(offset),
                appended: *date,
                raw: wire::RawRecord::default(),
            };
            Ok(dates.map(record).collect())
        }

        fn end(&self, partition: Partition) -> Result<Offset, LogError> {
            let end = self.0.lock().expect("no panic")[partition.0 as usize].len();
            if partition == Partition(0) {
                for shelf in 0..2 {
                    let now = self.now();
                    self.0.lock().expect("no panic")[shelf].push(now);
                }
            }
            Ok(Offset(end as i64))
        }

        fn wait(&self, seen: u64, _: Duration) -> u64 {
            seen
        }
    }

    #[test]
    fn while_no_two_looks_agree_only_what_time_has_settled_is_handed_out() {
        let log = Busy(Mutex::new(vec![Vec::new(), Vec::new()]));
        let mut merged = Merged::new(&log, Cursor::start());
        let story: Vec<i64> =
            (0..5).flat_map(|_| merged.next_batch(100).expect("it can be read")).map(|record| record.appended.0).collect();
        assert!(story.len() > 20, "{story:?}");
        assert!(story.iter().copied().eq(0..story.len() as i64), "every record once, and none before an earlier one: {story:?}");
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["x", "1.", ".", "1.-2", "1 .2", &"0.".repeat(5_000)] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }
}
