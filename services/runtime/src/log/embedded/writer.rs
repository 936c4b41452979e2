//! One write at a time, shared by all who wait for it.
//!
//! A write costs one flush to the disk, whatever it carries. So whoever comes first leads: it writes its own job and
//! those that queued meanwhile in one store transaction, while the next ones queue behind it. No thread of its own, and
//! nothing is left running when the log is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};

use wire::{Offset, Partition, RawRecord, Timestamp};

use super::heads::{Head, Heads};
use super::storage::{Storage, Tables, failed};
use super::tail::{Framed, Tail};
use crate::log::dedupe::{Planned, plan, unique_key};
use crate::log::{Addressed, Appended, LogError, Transaction, locked};

/// Appends that may wait for the writer. Commits and registrations are not counted: a producer waits for its own.
const APPENDS_WAITING_MAX: usize = 256;
/// Records after which a write takes no further job.
const RECORDS_PER_WRITE: usize = 4_096;

/// Something to be written, all or none.
pub(super) enum Job {
    /// Facts.
    Append(Vec<Addressed>),
    /// Facts, each with the earliest time that it may be dated. Only whoever owns the clock knows times to come.
    AppendDated(Vec<Addressed>, Vec<Timestamp>),
    /// The next epoch of a transactional id.
    Register(String),
    /// Decisions and offsets of a producer.
    Commit {
        /// Its transactional id.
        producer: String,
        /// Its epoch.
        epoch: u64,
        /// What it commits.
        transaction: Transaction,
    },
}

/// What became of a job that was looked at.
pub(super) enum Written {
    Appended(Vec<Appended>),
    IdTaken(Vec<usize>),
    Registered { epoch: u64 },
    Committed(Vec<Offset>),
    Fenced { current: u64 },
}

/// Why nothing is known to be written.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Too many appends wait.
    Busy,
    /// Nothing was written.
    NotWritten(LogError),
    /// The flush failed: after a crash the write may turn out to stand.
    Unsure(LogError),
}

type Answer = Result<Written, Failure>;

/// The queue before the store.
#[derive(Default)]
pub(super) struct Writer {
    queue: Mutex<Queue>,
    answered: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Job)>,
    appends_waiting: usize,
    answers: BTreeMap<u64, Answer>,
    tickets: u64,
    led: bool,
}

/// The lead, given back when dropped: also by a panic, so that nobody waits for ever.
struct Lead<'a> {
    writer: &'a Writer,
    tickets: Vec<u64>,
    answers: Vec<Answer>,
}

// === impl Job ===

impl Job {
    fn is_append(&self) -> bool {
        matches!(self, Self::Append(_) | Self::AppendDated(..))
    }
}

// === impl Writer ===

impl Writer {
    /// Waits until `job` was written, by this caller or by another one.
    pub(super) fn submit(&self, job: Job, storage: &Storage, heads: &Heads, tail: &Tail) -> Answer {
        let mut queue = locked(&self.queue);
        if job.is_append() {
            if queue.appends_waiting >= APPENDS_WAITING_MAX {
                return Err(Failure::Busy);
            }
            queue.appends_waiting += 1;
        }
        queue.tickets += 1;
        let ticket = queue.tickets;
        queue.waiting.push_back((ticket, job));
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            if queue.led {
                queue = self.answered.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.led = true;
            let (tickets, jobs) = queue.take();
            drop(queue);
            let mut lead = Lead { writer: self, tickets, answers: Vec::new() };
            lead.answers = write(jobs, storage, heads, tail);
            drop(lead);
            queue = locked(&self.queue);
        }
    }
}

impl Queue {
    /// The jobs of the next write, in the order they came.
    fn take(&mut self) -> (Vec<u64>, Vec<Job>) {
        let mut records = 0;
        let (mut tickets, mut jobs) = (Vec::new(), Vec::new());
        while records < RECORDS_PER_WRITE {
            let Some((ticket, job)) = self.waiting.pop_front() else { break };
            records += match &job {
                Job::Append(records) | Job::AppendDated(records, _) => records.len(),
                Job::Commit { transaction, .. } => transaction.records.len(),
                Job::Register(_) => 0,
            };
            self.appends_waiting -= usize::from(job.is_append());
            tickets.push(ticket);
            jobs.push(job);
        }
        (tickets, jobs)
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut queue = locked(&self.writer.queue);
        let mut answers = std::mem::take(&mut self.answers).into_iter();
        for ticket in &self.tickets {
            let stopped = || Err(Failure::Unsure(LogError::Storage { reason: "the writer stopped midway".to_owned() }));
            queue.answers.insert(*ticket, answers.next().unwrap_or_else(stopped));
        }
        queue.led = false;
        self.writer.answered.notify_all();
    }
}

/// Writes all jobs in one store transaction and answers each. A failure of the store is everybody's.
fn write(jobs: Vec<Job>, storage: &Storage, heads: &Heads, tail: &Tail) -> Vec<Answer> {
    let mut dated = heads.begin();
    match write_dated(&jobs, storage, dated.stamp, &mut dated.after) {
        Ok((answers, framed)) => {
            // Who only repeated what stands waited for the writer, but nobody has anything new to read.
            if let Some(framed) = framed {
                // Before anybody is told how far the log reaches, so that whoever is told finds it here.
                tail.keep(framed);
                dated.stands();
            }
            answers.into_iter().map(Ok).collect()
        }
        Err(failure) => {
            if let Failure::NotWritten(cause) | Failure::Unsure(cause) = &failure {
                storage.broke(cause);
            }
            jobs.iter().map(|_| Err(failure.clone())).collect()
        }
    }
}

/// What became of each job, and the records that stand now, if anything was written.
fn write_dated(
    jobs: &[Job],
    storage: &Storage,
    stamp: Timestamp,
    heads: &mut [Head],
) -> Result<(Vec<Written>, Option<Vec<Framed>>), Failure> {
    let writing = storage.begin_write().map_err(Failure::NotWritten)?;
    let tables = Tables::open(&writing).map_err(Failure::NotWritten)?;
    let mut session = Session { tables, stamp, heads, framed: Vec::new(), changed: false };
    let answers: Result<Vec<Written>, LogError> = jobs.iter().map(|job| session.write(job)).collect();
    let (framed, changed) = (std::mem::take(&mut session.framed), session.changed);
    drop(session);
    let answers = answers.map_err(Failure::NotWritten)?;
    if changed {
        writing.commit().map_err(|error| Failure::Unsure(failed("a write cannot be flushed")(error)))?;
        storage.note(heads);
    } else {
        writing.abort().map_err(|error| Failure::NotWritten(failed("a write cannot be ended")(error)))?;
    }
    Ok((answers, changed.then_some(framed)))
}

/// The jobs of one write see what the earlier ones of it wrote.
struct Session<'a, 'w> {
    tables: Tables<'w>,
    stamp: Timestamp,
    heads: &'a mut [Head],
    framed: Vec<Framed>,
    changed: bool,
}

// === impl Session ===

impl Session<'_, '_> {
    fn write(&mut self, job: &Job) -> Result<Written, LogError> {
        match job {
            Job::Append(records) => self.append(records, &[]),
            Job::AppendDated(records, dates) => self.append(records, dates),
            Job::Register(id) => {
                let epoch = self.tables.epoch(id)? + 1;
                self.tables.put_epoch(id, epoch)?;
                self.changed = true;
                Ok(Written::Registered { epoch })
            }
            Job::Commit { producer, epoch, transaction } => self.commit(producer, *epoch, transaction),
        }
    }

    /// Appends records, each at its date or at the write's, whichever is later; without `dates` at the write's.
    fn append(&mut self, records: &[Addressed], dates: &[Timestamp]) -> Result<Written, LogError> {
        let planned = match plan(records, |key| self.tables.key(key))? {
            Ok(planned) => planned,
            Err(taken) => return Ok(Written::IdTaken(taken)),
        };
        let mut appended: Vec<Appended> = Vec::with_capacity(records.len());
        for (place, (fate, addressed)) in planned.into_iter().zip(records).enumerate() {
            let date = dates.get(place).map_or(self.stamp, |date| self.stamp.max(*date));
            appended.push(match fate {
                Planned::Stands(offset) => Appended { offset, repeated: true },
                Planned::SameAs(earlier) => Appended { offset: appended[earlier].offset, repeated: true },
                Planned::New(unique) => {
                    let offset = self.put(addressed.partition, &addressed.record, date)?;
                    if let Some((key, digest)) = unique {
                        self.tables.put_key(&key, addressed.partition, offset, &digest)?;
                    }
                    Appended { offset, repeated: false }
                }
            });
        }
        Ok(Written::Appended(appended))
    }

    fn commit(&mut self, producer: &str, epoch: u64, transaction: &Transaction) -> Result<Written, LogError> {
        let current = self.tables.epoch(producer)?;
        if current != epoch {
            return Ok(Written::Fenced { current });
        }
        let mut offsets = Vec::with_capacity(transaction.records.len());
        for Addressed { partition, record } in &transaction.records {
            let offset = self.put(*partition, record, self.stamp)?;
            // A decision is always published, even under an id that stands: whoever audits the log must see the repeat.
            // But an append cannot take its id.
            if let Some(key) = unique_key(*partition, record)
                && self.tables.key(&key)?.is_none()
            {
                self.tables.put_key(&key, *partition, offset, &record.body_digest())?;
            }
            offsets.push(offset);
        }
        if let Some(membership) = &transaction.membership {
            for (partition, next) in &transaction.offsets {
                self.tables.put_offset(&membership.group, *partition, *next)?;
                self.changed = true;
            }
        }
        Ok(Written::Committed(offsets))
    }

    fn put(&mut self, partition: Partition, record: &RawRecord, date: Timestamp) -> Result<Offset, LogError> {
        let no_partition = || LogError::Storage { reason: format!("there is no partition {partition}") };
        let head = self.heads.get_mut(partition.0 as usize).ok_or_else(no_partition)?;
        head.last = head.last.max(date);
        self.framed.push(self.tables.put_record(partition, *head, record)?);
        let offset = head.end;
        head.end = offset.next();
        self.changed = true;
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::contract::fixtures::{START, fact, to};
    use crate::log::embedded::clock::{Clock, OwnedClock};

    #[test]
    fn those_who_wait_are_written_with_the_one_who_leads() {
        let house = House::new();
        let mut queue = locked(&house.writer.queue);
        queue.waiting.push_back((70, append("a")));
        queue.waiting.push_back((71, append("b")));
        (queue.tickets, queue.appends_waiting) = (71, 2);
        drop(queue);
        assert!(matches!(house.submit(append("c")), Ok(Written::Appended(places)) if places[0].offset == Offset(2)));
        let queue = locked(&house.writer.queue);
        assert_eq!(queue.answers.keys().copied().collect::<Vec<_>>(), [70, 71]);
        assert_eq!(house.heads.wait(0, std::time::Duration::ZERO), 1, "one write for all three");
    }

    #[test]
    fn a_job_that_is_refused_takes_no_other_with_it() {
        let house = House::new();
        house.submit(append("a")).expect("written");
        let mut queue = locked(&house.writer.queue);
        let conflict = Job::Append(vec![to(0, fact("b", "b")), to(0, fact("a", "otherwise"))]);
        queue.waiting.push_back((70, conflict));
        (queue.tickets, queue.appends_waiting) = (71, 1);
        drop(queue);
        assert!(matches!(house.submit(append("b")), Ok(Written::Appended(places)) if places[0].offset == Offset(1) && !places[0].repeated));
        assert!(matches!(locked(&house.writer.queue).answers.get(&70), Some(Ok(Written::IdTaken(places))) if *places == [1]));
    }

    #[test]
    fn appends_beyond_the_queue_are_told_to_come_again_and_commits_are_not() {
        let house = House::new();
        locked(&house.writer.queue).appends_waiting = APPENDS_WAITING_MAX;
        assert!(matches!(house.submit(append("a")), Err(Failure::Busy)));
        assert!(matches!(house.submit(Job::Register("room-0".to_owned())), Ok(Written::Registered { epoch: 1 })));
        assert!(locked(&house.writer.queue).waiting.is_empty());
    }

    #[test]
    fn a_leader_that_panics_leaves_nobody_waiting() {
        let writer = Writer::default();
        locked(&writer.queue).led = true;
        drop(Lead { writer: &writer, tickets: vec![7], answers: Vec::new() });
        let queue = locked(&writer.queue);
        assert!(!queue.led);
        assert!(matches!(queue.answers.get(&7), Some(Err(Failure::Unsure(_)))));
    }

    #[test]
    fn while_a_write_is_under_way_its_own_date_is_the_latest_that_is_promised() {
        let clock = OwnedClock::starting_at(START);
        let heads = Heads::new(Clock::Owned(clock.clone()), vec![Head { end: Offset(0), last: Timestamp::MIN }]);
        let mut dated = heads.begin();
        let stamp = dated.stamp;
        clock.set(START.plus_s(60));
        let told = heads.extent(Partition(0)).expect("it exists");
        assert_eq!((told.high_watermark, told.quiet_until), (Offset(0), stamp));
        assert_eq!(heads.now(), stamp);
        dated.after[0] = Head { end: Offset(1), last: stamp };
        dated.stands();
        let told = heads.extent(Partition(0)).expect("it exists");
        assert_eq!((told.high_watermark, told.quiet_until), (Offset(1), START.plus_s(60)));
    }

    #[test]
    fn a_write_that_panics_does_not_stop_the_clock() {
        let clock = OwnedClock::starting_at(START);
        let heads = Heads::new(Clock::Owned(clock.clone()), vec![Head { end: Offset(0), last: Timestamp::MIN }]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _dated = heads.begin();
            panic!("midway, as the test wants it");
        }));
        assert!(panicked.is_err());
        clock.set(START.plus_s(60));
        assert_eq!(heads.now(), START.plus_s(60));
    }

    struct House {
        writer: Writer,
        storage: Storage,
        heads: Heads,
        tail: Tail,
        _folder: tempfile::TempDir,
    }

    // === impl House ===

    impl House {
        fn new() -> Self {
            let folder = tempfile::TempDir::new().expect("a folder");
            let storage = Storage::open(folder.path(), 1).expect("a new file");
            let heads = Heads::new(Clock::Wall, storage.heads().expect("it can be read"));
            let tail = Tail::new(1, crate::log::embedded::tail::BYTES_MAX);
            Self { writer: Writer::default(), storage, heads, tail, _folder: folder }
        }

        fn submit(&self, job: Job) -> Answer {
            self.writer.submit(job, &self.storage, &self.heads, &self.tail)
        }
    }

    fn append(id: &str) -> Job {
        Job::Append(vec![to(0, fact(id, id))])
    }
}
