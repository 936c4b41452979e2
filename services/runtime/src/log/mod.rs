//! The log as a room sees it: consumers that follow partitions, producers that commit decisions with offsets, and
//! plain appends for the gateway. Every implementation is held to the same contract tests.
//!
//! Everything here is synchronous. What is asynchronous (waiting for work, uploads, HTTP) stays outside the pump.

pub mod contract;
mod coordinator;
mod dedupe;
pub mod embedded;
pub mod history;
pub mod kafka;
pub mod memory;
pub mod merge;
pub mod migration;
mod seat;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use wire::{Kind, Offset, Partition, RawRecord, SchemaId, StoredRecord, Timestamp};

/// A topic on some log.
///
/// The log owns the clock: its time is the only one that decisions are judged by.
pub trait Log: Send + Sync {
    /// Name of the topic.
    fn topic(&self) -> &str;

    /// Number of partitions, fixed for the topic's life.
    fn partitions(&self) -> u32;

    /// The log's clock: what an append at this moment would be dated, at the earliest. Nothing that can be read only
    /// later is dated before it, but for transactions in flight.
    fn now(&self) -> Timestamp;

    /// How far before a record that could be read earlier one that can be read later may be dated, in microseconds, on whatever
    /// partition. Brokers date by clocks of their own: with them only what lies further back than this is settled.
    fn clock_skew_us(&self) -> i64 {
        0
    }

    /// Joins `group` as `member`. The first poll that hands out partitions is an [`Polled::Assigned`].
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached.
    fn consumer(&self, group: &str, member: &str) -> Result<Box<dyn Consumer>, LogError>;

    /// Registers a transactional producer. An older one with the same id is fenced, and whatever it left pending is
    /// decided (committed or aborted) before this returns.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached or the pending transaction cannot be decided yet.
    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError>;

    /// Appends records, all or none, outside any consumer group. Each is new, or a repeat of one with the same source
    /// and id and the same body, which adds nothing.
    ///
    /// # Errors
    /// [`AppendError::IdTaken`] lists every record whose source and id stand on the log with another body.
    fn append(&self, records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError>;

    /// Committed records of a partition from `from` on, at most `max`, without joining any group. Fewer where they are
    /// large; none only where there are none.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    fn read(&self, partition: Partition, from: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError>;

    /// Where the first committed record from `from` on stands, and when it was appended, whoever can read it.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    fn dated(&self, partition: Partition, from: Offset) -> Result<Option<(Offset, Timestamp)>, LogError> {
        Ok(self.read(partition, from, 1)?.first().map(|record| (record.offset, record.appended)))
    }

    /// The offset after the last committed record that `read` can reach.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    fn end(&self, partition: Partition) -> Result<Offset, LogError>;

    /// Whether something was appended after [`Log::end`] that is not decided yet: of a transaction that is open, or whose commit was
    /// answered and not marked here. Whoever waits for the last words of others reads the end again until there is no such thing.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached.
    fn is_undecided(&self, _partition: Partition) -> Result<bool, LogError> {
        Ok(false)
    }

    /// Blocks until something was committed after the state that `seen` stands for, or `timeout` passes. Returns the
    /// state to pass next time; start with 0.
    fn wait(&self, seen: u64, timeout: Duration) -> u64;
}

/// One member of a consumer group, reading committed records only.
///
/// It starts nowhere by itself: after [`Polled::Assigned`] the owner restores and seeks each partition, and only then
/// are records of it handed out.
pub trait Consumer: Send {
    /// What happened next, at most `max` records of it, fewer where they are large. Never blocks.
    ///
    /// # Errors
    /// [`LogError`]; a fenced member is told so by [`Polled::Revoked`] and nothing else.
    fn poll(&mut self, max: usize) -> Result<Polled, LogError>;

    /// From now on records of the kinds that are passed need no more than their place, date and framing: a log to which the rest is
    /// dear may leave it out.
    fn pass_over(&mut self, _passes: fn(Kind) -> bool) {}

    /// From where the records of `partition` are handed out.
    ///
    /// # Errors
    /// [`LogError::OffsetGone`] when the log starts later.
    fn seek(&mut self, partition: Partition, to: Offset) -> Result<(), LogError>;

    /// The group's committed offset, once no transaction is pending on it (require-stable, PITFALLS P30).
    ///
    /// # Errors
    /// [`LogError::OffsetPending`] while a predecessor's transaction is undecided.
    fn committed(&mut self, partition: Partition) -> Result<Option<Offset>, LogError>;

    /// How far the partition reaches, transactions in flight included, and how long nothing was appended after it.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached.
    fn extent(&mut self, partition: Partition) -> Result<Extent, LogError>;

    /// An extent that was true a moment ago, and may be asked for as often as one likes: it serves to tell the time at the
    /// log's end, never to know where that is.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached.
    fn recent_extent(&mut self, partition: Partition) -> Result<Extent, LogError> {
        self.extent(partition)
    }

    /// Live metadata of this membership, for transactions. `None` while it holds no generation.
    fn membership(&self) -> Option<Membership>;

    /// Whether it held a generation a moment ago, which may be asked as often as one likes: it serves to try what a transaction
    /// finds out for certain.
    fn is_member(&self) -> bool {
        self.membership().is_some()
    }
}

/// A transactional producer.
pub trait Producer: Send {
    /// Commits records and consumer offsets, all or none. Offsets of the records, in order.
    ///
    /// # Errors
    /// After any error this producer is to be discarded: [`CommitError`] says what else is known.
    fn commit(&mut self, transaction: Transaction) -> Result<Vec<Offset>, CommitError>;
}

/// What a poll hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Polled {
    /// Nothing now.
    Nothing,
    /// These partitions are this member's from now on, beside those it holds.
    Assigned(Vec<Partition>),
    /// These partitions are this member's no longer.
    Revoked(Vec<Partition>),
    /// Committed records of one partition, in order, possibly none, and the position after them: markers and aborted
    /// records count, so it may be further than the last record.
    Records(Partition, Vec<StoredRecord>, Offset),
}

/// How far a partition reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first offset that can still be read.
    pub start: Offset,
    /// The offset after everything appended so far, read uncommitted: records in flight and markers included.
    pub high_watermark: Offset,
    /// Nothing below this time will be appended at or after `high_watermark`: who has folded up to it may take this as
    /// now. The implementation reads its clock *before* it asks for the high watermark.
    pub quiet_until: Timestamp,
}

/// What a group knows a member by. Sent with every transaction, so that a zombie's is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The consumer group.
    pub group: String,
    /// The member.
    pub member: String,
    /// The generation that it joined in.
    pub generation: u64,
}

/// Decisions and the offsets that they were made at.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Decisions, each to the partition that owed it.
    pub records: Vec<Addressed>,
    /// Next offset to read, per partition.
    pub offsets: Vec<(Partition, Offset)>,
    /// The membership that they are committed under; a transaction without one is refused, because a log would accept
    /// it without fencing.
    pub membership: Option<Membership>,
}

/// A record and the partition that it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Addressed {
    /// Where it goes.
    pub partition: Partition,
    /// What goes there.
    pub record: RawRecord,
}

/// What became of an appended record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it stands.
    pub offset: Offset,
    /// Whether it stood there before.
    pub repeated: bool,
}

/// What can go wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The log does not answer; asking again may help.
    #[error("the log does not answer: {reason}")]
    Unavailable {
        /// What was tried and what came back.
        reason: String,
    },
    /// The log cannot be reached as it is set up: somebody has to correct it.
    #[error("the settings of the log's client are refused: {reason}")]
    BadSettings {
        /// Which, and why.
        reason: String,
    },
    /// Nobody says which schema a value was written with; asking again may help. Nothing behind it is read meanwhile.
    #[error("the schema registry does not say what schema {id} is: {reason}")]
    RegistrySilent {
        /// The id that the value names.
        id: SchemaId,
        /// What came back.
        reason: String,
    },
    /// A predecessor's transaction is undecided on this partition.
    #[error("a transaction is pending on partition {partition}")]
    OffsetPending {
        /// The partition.
        partition: Partition,
    },
    /// The log starts after the offset that was asked for.
    #[error("partition {partition} starts at {start}, offset {asked} is gone")]
    OffsetGone {
        /// The partition.
        partition: Partition,
        /// Its first offset.
        start: Offset,
        /// The offset that was asked for.
        asked: Offset,
    },
    /// The folder is held by another process.
    #[error("the log at {path} is held by another process")]
    Held {
        /// The folder.
        path: String,
    },
    /// The disk takes no more, or may not be written at all: somebody has to make room, or give leave.
    #[error("the log cannot be written: {reason}")]
    CannotWrite {
        /// What was tried and what the disk said.
        reason: String,
    },
    /// The log can be read, and ends before what was answered for.
    #[error("records are missing from the log: {reason}")]
    RecordsLost {
        /// Which.
        reason: String,
    },
    /// The topic is set to something with which a promise of Reeve's is broken.
    #[error("{reason}")]
    Unfit {
        /// What, and why.
        reason: String,
    },
    /// What is stored cannot be read, or not written.
    #[error("the log's storage fails: {reason}")]
    Storage {
        /// What failed.
        reason: String,
    },
}

/// What can go wrong with a commit. The producer is discarded after each of them.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The membership or the producer's epoch is no longer the current one: nothing was committed.
    #[error("fenced: {reason}")]
    Fenced {
        /// By whom.
        reason: String,
    },
    /// Nothing was committed.
    #[error("aborted: {reason}")]
    Aborted {
        /// Why.
        reason: String,
    },
    /// Nobody can say whether it was committed. Never guessed to be either.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// What was heard last.
        reason: String,
    },
    /// The transaction carries no live membership.
    #[error("a transaction without group metadata would not be fenced")]
    NoMembership,
}

/// What can go wrong with an append.
#[derive(Debug, Error)]
pub enum AppendError {
    /// Positions in the batch whose source and id stand on the log, or earlier in the batch, with another body.
    #[error("{} records reuse an id with another body", .0.len())]
    IdTaken(Vec<usize>),
    /// The log is too busy to take more now.
    #[error("the log is too busy, try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The log fails.
    #[error(transparent)]
    Log(#[from] LogError),
}

fn no_partition(partition: Partition) -> LogError {
    LogError::Storage { reason: format!("there is no partition {partition}") }
}

/// What a panic left behind a lock is still whole: nothing here is changed in steps that could be cut.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
