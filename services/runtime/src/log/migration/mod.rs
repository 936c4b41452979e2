//! Replays one topic into another that has more partitions.
//!
//! A key's partition is part of the wire: with more partitions in place an agent's facts would go to another one than those
//! that stand there, and no room would know both. So a topic never grows; its records are told once more, to a new one.
//!
//! What that must mean:
//!
//! - **Facts and words** go to the partition that their key chooses there, byte for byte, and keep their dates. An agent's
//!   records lie on one partition of the old topic, whose order is kept, so that its life has the same order. The partitions
//!   are merged by date ([`merge`](super::merge)), so that dates of the new ones do not step back either.
//! - **Dates** are kept because deadlines are judged by them: a year that was told within a minute would be another year. So
//!   the new log must let itself be told dates, for as long as this takes ([`Destination`]).
//! - **Decisions** stand there as they were said: they were, and platforms obeyed them. Id, causes and `now` stay true. A room
//!   that folds them finds its debts settled and says nothing twice. Only `asof` counts offsets, and is counted anew: it is the
//!   last record before the first one from the same old partition that the room had not seen. So its value is written anew, with
//!   today's schema of its kind.
//! - **Broadcasts** have a copy on every partition. Partition b takes the copy of partition b modulo the old number: each gets
//!   one, and where the new number is a multiple of the old one, it stands exactly where its agents had it. Elsewhere it may
//!   stand some moments earlier or later, as the copies did among themselves.
//! - **Not told again** is what speaks of places that are no more: watermarks, which say how far a room had come on an old
//!   partition; and what nobody could read, with the refusals that name its place. The old topic and its archive keep them.
//!   Until a room's first watermark on the new topic its silence is no evidence, as ever.
//!
//! A run that ended anywhere is gone on with. The order is a function of the old topic alone, so that what stands on the new
//! one is compared, record by record, with what would be written, and writing begins behind it. A write is all or none, and
//! an older writer is fenced before a new one looks where the log ends: no record stands there twice.
//!
//! At the end both are read anew ([`census`]).

pub mod census;
mod embedded;
mod places;
mod sorting;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use thiserror::Error;
use wire::{Offset, Partition, RawRecord, StoredRecord, Timestamp};

use self::places::Places;
use self::sorting::Sorted;
use super::merge::{Cursor, Merged};
use super::{Addressed, Log, LogError};
use crate::errors::{Code, Coded};

pub use self::embedded::EmbeddedDestination;
pub use self::sorting::Left;

/// Records of one write, unless told otherwise.
pub const WRITE_RECORDS: usize = 1_000;
/// Bytes of one write, but for the record that goes beyond it.
const WRITE_BYTES: usize = 1 << 20;
/// Records read at once of what stands on the new topic.
const PAGE_RECORDS: usize = 1_000;
/// How often, and how many times, somebody looks whether the last records of the old topic are settled: brokers' clocks differ.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 300;

/// A log that can be told dates.
pub trait Destination: Send {
    /// The log, to be read.
    fn log(&self) -> &dyn Log;

    /// The offset that the next record of each partition gets. Nobody else writes, and what an older writer left is decided.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    fn next(&self) -> Result<Vec<Offset>, LogError>;

    /// Offsets that a write takes behind its records, on each partition that it touches.
    fn marks(&self) -> i64;

    /// Writes records, all or none, each at its date and at its offset.
    ///
    /// # Errors
    /// [`MigrationError::NotWritten`]: then this is to be discarded.
    fn write(&mut self, records: Vec<Dated>) -> Result<(), MigrationError>;
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Dated {
    /// When it was appended first.
    pub date: Timestamp,
    /// The offset that it gets.
    pub offset: Offset,
    /// Where it goes, and what.
    pub addressed: Addressed,
}

/// Why a topic is not replayed, or not further.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// A log fails.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The new topic is not wider.
    #[error("the new topic has {to} partitions, the old one has {from}: the new one must have more")]
    NotWider {
        /// Partitions of the old one.
        from: u32,
        /// Partitions of the new one.
        to: u32,
    },
    /// The old topic has lost its first records.
    #[error("partition {partition} of the old topic starts at {start}: what stood before is gone, and rooms would never hear of it")]
    BeginningGone {
        /// Which partition.
        partition: Partition,
        /// Its first offset.
        start: Offset,
    },
    /// The new topic holds something else than a replay of the old one would write.
    #[error(
        "partition {partition} of the new topic holds {found} at {offset}, a replay writes {expected} there: it is no part of this one"
    )]
    Foreign {
        /// Which partition.
        partition: Partition,
        /// At which offset.
        offset: Offset,
        /// What a replay writes.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The new topic holds records beyond the replay.
    #[error("partition {partition} of the new topic has records from {offset} on that the old one does not have")]
    Beyond {
        /// Which partition.
        partition: Partition,
        /// The first of them.
        offset: Offset,
    },
    /// A decision of a kind that only a newer Reeve knows.
    #[error("{partition}/{offset} of the old topic is a decision of a newer Reeve: replay it with that one")]
    NewerReeve {
        /// Its partition.
        partition: Partition,
        /// Its offset.
        offset: Offset,
    },
    /// A write failed. It is all there or not at all: the next run knows.
    #[error("the new topic did not take a write: {reason}")]
    NotWritten {
        /// Why.
        reason: String,
    },
    /// The last records of the old topic are dated after now.
    #[error("the old topic ends with records that are dated after now: the brokers' clocks are ahead of this one's")]
    NeverSettled,
}

/// A replay under way.
pub struct Migration<'a> {
    from: &'a dyn Log,
    to: &'a mut dyn Destination,
    merged: Merged<'a>,
    starts: Vec<Offset>,
    /// The next offset of each partition of the old topic.
    passed: Vec<Offset>,
    places: Places,
    /// What stands on the new topic from before, and was not compared yet.
    stood: Vec<Stood>,
    /// The offset that the next record of each partition gets, and that of the last one.
    next: Vec<Offset>,
    last: Vec<Offset>,
    write: Vec<Dated>,
    write_bytes: usize,
    write_records_max: usize,
    written: u64,
    compared: u64,
}

/// What stands on one partition.
struct Stood {
    records: VecDeque<StoredRecord>,
    next: Offset,
    end: Offset,
}

// === impl Migration ===

impl<'a> Migration<'a> {
    /// Begins one, or goes on with one that ended somewhere: nothing is written yet.
    ///
    /// # Errors
    /// [`MigrationError::NotWider`]; [`MigrationError::BeginningGone`], unless `without_beginning`; when a log cannot be read.
    pub fn begin(from: &'a dyn Log, to: &'a mut dyn Destination, without_beginning: bool) -> Result<Self, MigrationError> {
        let (before, after) = (from.partitions(), to.log().partitions());
        if after <= before {
            return Err(MigrationError::NotWider { from: before, to: after });
        }
        let starts = starts(from)?;
        if let Some((partition, start)) = (0..).map(Partition).zip(&starts).find(|(_, start)| **start > Offset(0))
            && !without_beginning
        {
            return Err(MigrationError::BeginningGone { partition, start: *start });
        }
        let next = to.next()?;
        let stood = (0..after).map(|partition| Stood::of(to.log(), Partition(partition))).collect::<Result<_, LogError>>()?;
        Ok(Self {
            from,
            to,
            merged: Merged::new(from, Cursor::at(starts.clone())),
            passed: starts.clone(),
            starts,
            places: Places::new(before),
            stood,
            last: vec![Offset::BEFORE_ALL; next.len()],
            next,
            write: Vec::new(),
            write_bytes: 0,
            write_records_max: WRITE_RECORDS,
            written: 0,
            compared: 0,
        })
    }

    /// The same, with at most so many records a write.
    #[must_use]
    pub fn with_writes_of(self, records_max: usize) -> Self {
        Self { write_records_max: records_max.max(1), ..self }
    }

    /// Replays the next records of the old topic, at most a write of them. `false` when it has come to the end.
    ///
    /// # Errors
    /// [`MigrationError`]; then another run goes on where this one's last write ended.
    pub fn step(&mut self) -> Result<bool, MigrationError> {
        let records = self.merged.next_batch(self.write_records_max)?;
        for stored in &records {
            self.take(stored)?;
        }
        self.write()?;
        Ok(!records.is_empty())
    }

    /// Waits until all that stands on the old topic now is settled, and replays it. `progress` hears how many offsets of it were
    /// passed, after each write.
    ///
    /// # Errors
    /// As [`step`](Self::step), [`MigrationError::NeverSettled`], and [`MigrationError::Beyond`] where the new topic holds more.
    pub fn run(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), MigrationError> {
        let ends = ends(self.from)?;
        let mut looks = 0;
        while self.passed.iter().zip(&ends).any(|(passed, end)| passed < end) {
            if self.step()? {
                looks = 0;
                progress(self.offsets_passed());
                continue;
            }
            looks += 1;
            if looks > LOOKS_MAX {
                return Err(MigrationError::NeverSettled);
            }
            self.from.wait(u64::MAX, LOOK_EVERY);
        }
        self.until_told()?;
        let beyond = (0..).map(Partition).zip(&self.stood).find_map(|(partition, stood)| Some((partition, stood.first()?)));
        beyond.map_or(Ok(()), |(partition, offset)| Err(MigrationError::Beyond { partition, offset }))
    }

    /// Waits until whoever reads the new topic is told of the last write: a commit is answered a moment before.
    fn until_told(&self) -> Result<(), MigrationError> {
        for _ in 0..LOOKS_MAX {
            let ends = ends(self.to.log())?;
            if self.last.iter().zip(&ends).all(|(last, end)| last < end) {
                return Ok(());
            }
            self.to.log().wait(u64::MAX, LOOK_EVERY);
        }
        Err(MigrationError::NotWritten { reason: "a write that was committed is not handed out".to_owned() })
    }

    /// Offsets of the old topic that were passed; markers of brokers count.
    pub fn offsets_passed(&self) -> u64 {
        self.passed.iter().zip(&self.starts).map(|(passed, start)| (passed.0 - start.0).unsigned_abs()).sum()
    }

    /// Where each partition of the old topic starts, and how far it was replayed.
    pub fn cut(&self) -> (Vec<Offset>, Vec<Offset>) {
        (self.starts.clone(), self.passed.clone())
    }

    /// Records that this run wrote.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Records that stood there from an earlier run.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Decisions that knew a record further back than is remembered ([`Places`]): their `asof` names a later one.
    pub fn vague(&self) -> u64 {
        self.places.vague
    }

    fn take(&mut self, stored: &StoredRecord) -> Result<(), MigrationError> {
        self.passed[stored.partition.0 as usize] = stored.offset.next();
        match sorting::sort(stored, self.from.partitions(), self.to.log().partitions())? {
            Sorted::Left(_) => Ok(()),
            Sorted::Kept { to, .. } => to.into_iter().try_for_each(|partition| self.place(stored, partition, stored.raw.clone())),
            Sorted::Decided { to, mut body } => {
                if let Some(basis) = body.basis_mut() {
                    basis.asof = self.places.last_known(stored.partition, basis.asof, to, self.last[to.0 as usize]);
                }
                self.place(stored, to, RawRecord { value: wire::codec::encode(&body).into(), ..stored.raw.clone() })
            }
        }
    }

    /// Compares a record with what stands where it belongs, or puts it into the next write.
    fn place(&mut self, stored: &StoredRecord, to: Partition, record: RawRecord) -> Result<(), MigrationError> {
        let place = to.0 as usize;
        let offset = match self.stood[place].take(self.to.log(), to)? {
            Some(there) if there.raw == record && there.appended == stored.appended => {
                self.compared += 1;
                there.offset
            }
            Some(there) => {
                let (expected, found) = (named(&record, stored.appended), named(&there.raw, there.appended));
                return Err(MigrationError::Foreign { partition: to, offset: there.offset, expected, found });
            }
            None => {
                let offset = self.next[place];
                self.next[place] = offset.next();
                self.write_bytes += record.size();
                self.write.push(Dated { date: stored.appended, offset, addressed: Addressed { partition: to, record } });
                offset
            }
        };
        self.places.note(stored.partition, stored.offset, to, self.last[place]);
        self.last[place] = offset;
        let is_full = self.write.len() >= self.write_records_max || self.write_bytes > WRITE_BYTES;
        if is_full { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), MigrationError> {
        let records = std::mem::take(&mut self.write);
        self.write_bytes = 0;
        if records.is_empty() {
            return Ok(());
        }
        let touched: BTreeSet<Partition> = records.iter().map(|dated| dated.addressed.partition).collect();
        let count = records.len() as u64;
        self.to.write(records)?;
        self.written += count;
        let marks = self.to.marks();
        touched.iter().for_each(|partition| self.next[partition.0 as usize].0 += marks);
        Ok(())
    }
}

/// Where each partition of a log ends.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub fn ends(log: &dyn Log) -> Result<Vec<Offset>, LogError> {
    (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect()
}

/// Where each partition of a log starts.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub fn starts(log: &dyn Log) -> Result<Vec<Offset>, LogError> {
    let start = |partition| match log.read(Partition(partition), Offset(0), 1) {
        Err(LogError::OffsetGone { start, .. }) => Ok(start),
        read => read.map(|_| Offset(0)),
    };
    (0..log.partitions()).map(start).collect()
}

fn named(record: &RawRecord, date: Timestamp) -> String {
    let name = |header| record.header(header).unwrap_or("?");
    format!("{} {} of {date}", name("ce_type"), name("ce_id"))
}

// === impl Stood ===

impl Stood {
    fn of(log: &dyn Log, partition: Partition) -> Result<Self, LogError> {
        Ok(Self { records: VecDeque::new(), next: Offset(0), end: log.end(partition)? })
    }

    /// The next record that stands there.
    fn take(&mut self, log: &dyn Log, partition: Partition) -> Result<Option<StoredRecord>, LogError> {
        if self.records.is_empty() && self.next < self.end {
            self.records = log.read(partition, self.next, PAGE_RECORDS)?.into();
            self.records.retain(|record| record.offset < self.end);
            self.next = self.records.back().map_or(self.end, |last| last.offset.next());
        }
        Ok(self.records.pop_front())
    }

    /// Where the next record is, if there is one.
    fn first(&self) -> Option<Offset> {
        self.records.front().map(|record| record.offset).or((self.next < self.end).then_some(self.next))
    }
}

impl Coded for MigrationError {
    fn code(&self) -> Code {
        match self {
            Self::Log(error) => error.code(),
            Self::NotWritten { .. } => Code::CommitFailed,
            Self::NeverSettled => Code::LogUnavailable,
            Self::NotWider { .. } | Self::BeginningGone { .. } | Self::Foreign { .. } | Self::Beyond { .. } | Self::NewerReeve { .. } => {
                Code::NotMigrated
            }
        }
    }
}
