//! A durable log on one machine: one file, no broker. Records and consumer offsets stand or fall together.
//!
//! The file is a redb store; every commit is on the disk before it is answered, and noted beside it (`ends`). Groups live in memory, because no
//! member outlives the one program that may hold the file. Nothing is ever pending here beyond a commit's own flush.

mod clock;
mod ends;
mod frame;
#[cfg(test)]
mod full_disk;
mod heads;
mod member;
mod storage;
mod tail;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wire::{Offset, Partition, StoredRecord, Timestamp};

use self::heads::Heads;
use self::member::{Publisher, Reader};
use self::storage::Storage;
use self::tail::Tail;
use self::writer::{Failure, Job, Writer, Written};
use super::coordinator::Coordinator;
use super::seat::Seat;
use super::{Addressed, AppendError, Appended, Consumer, Log, LogError, Producer, no_partition};

pub use self::clock::{Clock, OwnedClock};

/// When a caller who met a full queue may come again: about the length of a few flushes.
const RETRY_AFTER_MS: u64 = 50;

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Name of the topic, for people; one folder holds one topic.
    pub topic: String,
    /// Partitions of a new log. A log that exists keeps its own: ask [`Log::partitions`] what counts.
    pub partitions: u32,
    /// Where its time comes from.
    pub clock: Clock,
}

/// A log in a folder.
pub struct EmbeddedLog {
    topic: String,
    inner: Arc<Inner>,
}

/// What the log shares with its consumers and producers.
struct Inner {
    storage: Storage,
    heads: Heads,
    tail: Tail,
    writer: Writer,
    coordinator: Arc<Coordinator>,
}

// === impl EmbeddedLog ===

impl EmbeddedLog {
    /// Opens the log in `dir`, or begins one there. The folder is held until the log, its consumers and its producers
    /// are dropped.
    ///
    /// # Errors
    /// [`LogError::Held`] when another process holds the folder, [`LogError::CannotWrite`] when the disk takes no
    /// more, [`LogError::Storage`] when the file cannot be read, is damaged or has another format,
    /// [`LogError::RecordsLost`] when it is whole, and lacks records that were answered for.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Arc<Self>, LogError> {
        if options.partitions == 0 {
            return Err(LogError::Storage { reason: "a topic has one partition at least".to_owned() });
        }
        Self::over(Storage::open(dir, options.partitions)?, options)
    }

    fn over(storage: Storage, options: EmbeddedOptions) -> Result<Arc<Self>, LogError> {
        if storage.partitions() != options.partitions {
            tracing::warn!(stored = storage.partitions(), asked = options.partitions, "the log keeps the partitions that it began with");
        }
        let heads = Heads::new(options.clock, storage.heads()?);
        let coordinator = Arc::new(Coordinator::new(storage.partitions()));
        let tail = Tail::new(storage.partitions(), tail::BYTES_MAX);
        let inner = Inner { storage, heads, tail, writer: Writer::default(), coordinator };
        Ok(Arc::new(Self { topic: options.topic, inner: Arc::new(inner) }))
    }

    /// Ends a member's session: it is fenced, and its partitions go to the others of its group.
    pub fn expire(&self, group: &str, member: &str) -> bool {
        self.inner.coordinator.expire(group, member)
    }

    /// Wakes whoever is in [`Log::wait`], as a commit would: an owned clock was set.
    pub fn nudge(&self) {
        self.inner.heads.nudge();
    }

    /// Appends records as [`Log::append`] does, each dated at its own time, or at the log's where that is later: so that
    /// whoever owns the clock lives through a second of a recording in one write. The clock is to be set to the last
    /// date afterwards, and nothing else may write meanwhile.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_dated(&self, records: Vec<(Timestamp, Addressed)>) -> Result<Vec<Appended>, AppendError> {
        let (dates, records): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        self.append_job(Job::AppendDated(records, dates))
    }

    fn append_job(&self, job: Job) -> Result<Vec<Appended>, AppendError> {
        let (Job::Append(records) | Job::AppendDated(records, _)) = &job else { return Ok(Vec::new()) };
        if let Some(stray) = records.iter().find(|addressed| addressed.partition.0 >= self.partitions()) {
            return Err(no_partition(stray.partition).into());
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        match self.submit(job) {
            Ok(Written::Appended(appended)) => Ok(appended),
            Ok(Written::IdTaken(positions)) => Err(AppendError::IdTaken(positions)),
            Ok(_) => Err(LogError::Unavailable { reason: "the writer answered another question".to_owned() }.into()),
            Err(Failure::Busy) => Err(AppendError::Busy { retry_after_ms: RETRY_AFTER_MS }),
            Err(Failure::NotWritten(error) | Failure::Unsure(error)) => Err(error.into()),
        }
    }

    fn submit(&self, job: Job) -> Result<Written, Failure> {
        self.inner.submit(job)
    }
}

// === impl Inner ===

impl Inner {
    fn submit(&self, job: Job) -> Result<Written, Failure> {
        self.writer.submit(job, &self.storage, &self.heads, &self.tail)
    }

    /// Records of a partition from `from` to before `end`, at most `max`, and fewer where they are large.
    fn read(&self, partition: Partition, from: Offset, end: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        self.storage.stands()?;
        match self.tail.read(partition, from, end, max) {
            Some(records) => Ok(records),
            None => self.storage.read(partition, from, end, max),
        }
    }
}

impl Log for EmbeddedLog {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn partitions(&self) -> u32 {
        self.inner.storage.partitions()
    }

    fn now(&self) -> Timestamp {
        self.inner.heads.now()
    }

    fn consumer(&self, group: &str, member: &str) -> Result<Box<dyn Consumer>, LogError> {
        let seat = Seat::take(Arc::clone(&self.inner.coordinator), group, member);
        Ok(Box::new(Reader { inner: Arc::clone(&self.inner), seat }))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        // Whatever an older producer of this id submitted stands before this in the queue, and is decided with it.
        match self.submit(Job::Register(transactional_id.to_owned())) {
            Ok(Written::Registered { epoch }) => {
                Ok(Box::new(Publisher { inner: Arc::clone(&self.inner), transactional_id: transactional_id.to_owned(), epoch }))
            }
            Ok(_) | Err(Failure::Busy) => Err(LogError::Unavailable { reason: "the writer answered another question".to_owned() }),
            Err(Failure::NotWritten(error) | Failure::Unsure(error)) => Err(error),
        }
    }

    fn append(&self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        self.append_job(Job::Append(records))
    }

    fn read(&self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let (from, end) = (from.max(Offset(0)), self.end(partition)?);
        if from >= end { Ok(Vec::new()) } else { self.inner.read(partition, from, end, max) }
    }

    fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.inner.heads.end(partition).ok_or_else(|| no_partition(partition))
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.heads.wait(seen, timeout)
    }
}

#[cfg(test)]
mod tests {
    use wire::RawRecord;

    use super::*;

    #[test]
    fn the_tail_tells_what_the_file_tells() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = EmbeddedOptions { topic: "t".to_owned(), partitions: 2, clock: Clock::Wall };
        let log = EmbeddedLog::open(folder.path(), options).expect("an empty log");
        for nth in 0..20_usize {
            let headers = (0..nth % 4).map(|header| (["ce_id", "own", "ce_type"][header], format!("{nth}"))).collect();
            let key = (nth % 3 > 0).then(|| format!("agent-{nth}").into());
            let record = RawRecord { key, headers, value: vec![nth as u8; nth * 7].into() };
            log.append(vec![Addressed { partition: Partition(nth as u32 % 2), record }]).expect("appended");
        }
        let (inner, end) = (&log.inner, Offset(10));
        for (partition, from, max) in [(0, 0, 99), (1, 3, 4), (0, 9, 1), (1, 0, 1)] {
            let (partition, from) = (Partition(partition), Offset(from));
            let told = inner.tail.read(partition, from, end, max).expect("all of it is new");
            assert_eq!(told, inner.storage.read(partition, from, end, max).expect("it is readable"));
        }
    }

    #[test]
    fn dated_records_keep_their_dates_and_never_fall_behind_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = OwnedClock::starting_at(Timestamp(100));
        let options = EmbeddedOptions { topic: "t".to_owned(), partitions: 1, clock: Clock::Owned(Arc::clone(&clock)) };
        let log = EmbeddedLog::open(folder.path(), options).expect("an empty log");
        let dated = |date, value: &'static [u8]| {
            let record = RawRecord { value: value.into(), ..RawRecord::default() };
            (Timestamp(date), Addressed { partition: Partition(0), record })
        };
        log.append_dated(vec![dated(90, b"late"), dated(110, b"a"), dated(105, b"b"), dated(120, b"c")]).expect("appended");
        assert_eq!(log.now(), Timestamp(120), "nobody is told a time before what can be read");
        clock.set(Timestamp(120));
        log.append_dated(vec![dated(110, b"d")]).expect("appended");
        let dates: Vec<i64> = log.read(Partition(0), Offset(0), 10).expect("readable").iter().map(|stored| stored.appended.0).collect();
        assert_eq!(dates, [100, 110, 110, 120, 120]);
    }
}
