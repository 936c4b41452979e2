//! Follows the log and puts a segment down whenever one is full, or due.
//!
//! How far the archive reaches, the archive alone says. Of several instances the one that holds the lease writes, and announces
//! under it where it cuts before it puts: nobody else cuts there meanwhile, and whoever holds the lease next cuts first what was
//! announced and not put. So also what is cut early, at the end of a drain, is cut alike by all.
//!
//! Its memory is one segment. Of a step to the next it keeps the range alone of those that are open, and reads it again when
//! it is cut; what is read and cut within one step, as all of a backlog is, is read once.

use std::sync::Arc;

use runtime::errors::{Coded, Fate};
use runtime::failpoints::{self, Failpoint};
use runtime::lease::{AnnounceError, Lease, Term};
use runtime::log::{Log, LogError};
use wire::{Offset, Partition, StoredRecord};

use super::cut::{Limits, Open};
use super::errors::ArchiveError;
use super::name::SegmentName;
use super::segment::{Segment, Totals};
use super::store::{Created, Shelf};
use crate::metrics;

/// Records read at once.
const PAGE_RECORDS: usize = 1_000;
/// Pages of one partition in one step: whoever asks it to stop waits for no more.
const PAGES_PER_STEP_MAX: usize = 20;

/// The archive of one topic, as it is written.
pub struct Archiver {
    log: Arc<dyn Log>,
    shelf: Arc<dyn Shelf>,
    limits: Limits,
    /// Absent where nobody else can write.
    lease: Option<Lease>,
    /// Absent while the lease is another's, and of one term of it.
    followed: Option<Vec<Followed>>,
    term: Option<Term>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Records looked at.
    pub read: usize,
    /// Segments put down.
    pub written: usize,
    /// Whether more lies on the log already.
    pub more: bool,
}

/// One partition.
#[derive(Clone, Copy, Debug)]
struct Followed {
    partition: Partition,
    open: Open,
    /// What all segments before `open` hold.
    archived: Totals,
    /// Whether a put of `open` failed: it may lie there all the same, so the range takes nothing more until it is put.
    cutting: bool,
}

// === impl Archiver ===

impl Archiver {
    /// Lists what `shelf` holds of the log's topic, holds it against the log, and stands after its last segments.
    ///
    /// # Errors
    /// [`ArchiveError`] when ranges are missing or overlap, a last segment is altered, or it is not of this log: nothing is
    /// put beside what cannot be believed.
    pub fn open(log: Arc<dyn Log>, shelf: Arc<dyn Shelf>, limits: Limits) -> Result<Self, ArchiveError> {
        let mut archiver = Self { log, shelf, limits, lease: None, followed: None, term: None };
        archiver.followed = Some(archiver.all_followed()?);
        Ok(archiver)
    }

    /// The same for one of several, who writes only while it holds the lease: opened now if it does, and else by a later step.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn under(lease: Lease, log: Arc<dyn Log>, shelf: Arc<dyn Shelf>, limits: Limits) -> Result<Self, ArchiveError> {
        let mut archiver = Self { log, shelf, limits, lease: Some(lease), followed: None, term: None };
        archiver.may_write()?;
        Ok(archiver)
    }

    /// Whether it may write, as far as is known at this moment. Who has just come to hold the lease stands behind the last
    /// segments first, and behind what was announced.
    fn may_write(&mut self) -> Result<bool, ArchiveError> {
        let Some(lease) = &mut self.lease else { return Ok(true) };
        let term = lease.held()?;
        if self.term != term {
            self.followed.take().iter().flatten().for_each(|followed| metrics::handed_over(followed.partition));
            self.term = term;
        }
        if term.is_some() && self.followed.is_none() {
            self.followed = Some(self.all_followed()?);
        }
        Ok(term.is_some())
    }

    fn all_followed(&mut self) -> Result<Vec<Followed>, ArchiveError> {
        let mut listing = self.shelf.list()?;
        listing.segments.retain(|name| name.topic == self.log.topic());
        if let Some(stray) = listing.segments.iter().find(|name| name.partition.0 >= self.log.partitions()) {
            let reason = format!("the log has {} partitions", self.log.partitions());
            return Err(differs(stray, reason));
        }
        let mut followed = Vec::new();
        for partition in (0..self.log.partitions()).map(Partition) {
            let names: Vec<&SegmentName> = listing.segments.iter().filter(|name| name.partition == partition).collect();
            contiguous(&names)?;
            let (next, archived) = match names.last() {
                Some(last) => (last.last.next(), last_of(&*self.log, &*self.shelf, last)?),
                None => (Offset(0), Totals::default()),
            };
            metrics::began(partition, archived);
            let announced = self.announced(partition, next)?;
            followed.push(Followed { partition, open: announced.unwrap_or(Open::at(next)), archived, cutting: announced.is_some() });
        }
        Ok(followed)
    }

    /// The range from `first` on that a holder of the lease announced and perhaps did not put. One that no segment can hold was
    /// announced for an archive that is gone.
    fn announced(&mut self, partition: Partition, first: Offset) -> Result<Option<Open>, ArchiveError> {
        let Some(lease) = &mut self.lease else { return Ok(None) };
        let Some(end) = lease.announced(partition)?.filter(|end| *end > first) else { return Ok(None) };
        let mut open = Open::at(first);
        while open.next() < end {
            let mut page = self.log.read(partition, open.next(), PAGE_RECORDS)?;
            page.retain(|record| record.offset < end);
            if page.is_empty() || open.is_full(&self.limits) {
                return Ok(None);
            }
            for record in &page {
                if open.is_full(&self.limits) {
                    return Ok(None);
                }
                open.take(record);
            }
        }
        Ok(Some(open))
    }

    /// Reads on in every partition, and puts down what is full or due, until there is no more or `goes_on` says no.
    ///
    /// # Errors
    /// [`ArchiveError`], after every partition was tried and told of: the first that no later attempt helps, or else the
    /// first. What was put is put; the next step tries the rest again.
    pub fn step(&mut self, goes_on: &dyn Fn() -> bool) -> Result<Step, ArchiveError> {
        let mut step = Step::default();
        let mut failures = Failures::default();
        for index in 0..self.log.partitions() as usize {
            // It may be lost between any two: a partition is a second's work at most.
            if !self.may_write()? {
                return Ok(Step::default());
            }
            failures.note(self.follow(index, &mut step, goes_on));
        }
        self.tell(&mut failures);
        failures.first().map(|()| step)
    }

    /// Puts down what is on the log, full or not: the last thing before it is dropped. Only the one who writes may do this, for
    /// nobody else would cut here. It reads on while `reads` says so, and then puts down what is open while `cuts` does.
    /// Offsets that are on the log then and not in the archive: the next start goes on with them. Of one whose lease is
    /// another's there are none.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn flush(&mut self, reads: &dyn Fn() -> bool, cuts: &dyn Fn() -> bool) -> Result<u64, ArchiveError> {
        let mut failures = Failures::default();
        loop {
            match self.step(reads) {
                Ok(step) if step.more && reads() => {}
                done => break failures.note(done),
            }
        }
        for index in 0..self.log.partitions() as usize {
            if self.may_write()? && self.followed(index).open.rows() > 0 && cuts() {
                failures.note(self.cut(index, Vec::new()));
            }
        }
        let waiting = self.tell(&mut failures);
        failures.first().map(|()| waiting)
    }

    /// Whether something on the log is not decided yet, so that a flush would leave it out. Of one who may not write: no.
    ///
    /// # Errors
    /// When the log cannot be reached, or the lease not be asked after.
    pub fn is_undecided(&mut self) -> Result<bool, ArchiveError> {
        if !self.may_write()? {
            return Ok(false);
        }
        for partition in 0..self.log.partitions() {
            if self.log.is_undecided(Partition(partition))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is followed: asked for only by whoever may write.
    fn followed(&mut self, index: usize) -> &mut Followed {
        &mut self.followed.as_mut().expect("it was asked whether it may write")[index]
    }

    fn follow(&mut self, index: usize, step: &mut Step, goes_on: &dyn Fn() -> bool) -> Result<(), ArchiveError> {
        let limits = self.limits;
        let partition = self.followed(index).partition;
        if self.followed(index).cutting {
            step.written += self.cut(index, Vec::new())?;
        }
        let mut seen: Vec<StoredRecord> = Vec::new();
        // The clock is read before the log: whatever is not there yet is dated later than this, but for transactions in
        // flight, which then begin the next segment.
        let now = self.log.now();
        for _ in 0..PAGES_PER_STEP_MAX {
            if !goes_on() {
                break;
            }
            let from = self.followed(index).open.next();
            let page = self.log.read(partition, from, PAGE_RECORDS)?;
            if page.is_empty() {
                if self.followed(index).open.is_due(now, &limits) {
                    step.written += self.cut(index, seen)?;
                }
                return Ok(());
            }
            step.read += page.len();
            for record in page {
                if self.followed(index).open.ends_before(&record, &limits) {
                    // A page may hold a hundred segments, and each takes a moment to put. What was read of it is read again.
                    if !goes_on() {
                        step.more = true;
                        return Ok(());
                    }
                    step.written += self.cut(index, std::mem::take(&mut seen))?;
                }
                let is_whole = seen.len() as u64 == self.followed(index).open.rows();
                self.followed(index).open.take(&record);
                seen.extend(is_whole.then_some(record));
                if self.followed(index).open.is_full(&limits) {
                    step.written += self.cut(index, std::mem::take(&mut seen))?;
                }
            }
        }
        step.more = true;
        Ok(())
    }

    /// Puts down what is open and stands after it. `seen` is the whole of it where this step has read the whole,
    /// and else nothing.
    fn cut(&mut self, index: usize, seen: Vec<StoredRecord>) -> Result<usize, ArchiveError> {
        self.followed(index).cutting = true;
        let Followed { partition, open, archived, .. } = *self.followed(index);
        let records = if seen.is_empty() { self.records(partition, open)? } else { seen };
        let Some(segment) = Segment::of(self.log.topic(), self.log.partitions(), open.first(), records, archived) else { return Ok(0) };
        self.alone(&segment)?;
        let bytes = segment.encode()?;
        let size = bytes.len();
        self.announce(partition, segment.name.last.next())?;
        failpoints::pass(Failpoint::ArchiveBefore);
        let there = match self.shelf.create(&segment.name, bytes)? {
            Created::New => {
                metrics::written(size);
                segment
            }
            Created::Taken => self.same(&segment, archived)?,
        };
        failpoints::pass(Failpoint::ArchiveAfter);
        metrics::archived(partition, there.counts());
        let next = Open::at(there.name.last.next());
        *self.followed(index) = Followed { partition, open: next, archived: there.totals, cutting: false };
        Ok(1)
    }

    /// Says where the next segment ends, where there is a lease: else it is not for this one to put.
    fn announce(&mut self, partition: Partition, end: Offset) -> Result<(), ArchiveError> {
        self.lease.as_mut().map_or(Ok(()), |lease| lease.announce(partition, end)).map_err(|error| match error {
            AnnounceError::NotHeld => ArchiveError::NotHeld,
            AnnounceError::Log(error) => error.into(),
            AnnounceError::Commit(error) => ArchiveError::Announce { reason: error.to_string() },
        })
    }

    /// The records of a range that was looked at before.
    fn records(&self, partition: Partition, open: Open) -> Result<Vec<StoredRecord>, ArchiveError> {
        let mut records = Vec::with_capacity(open.rows() as usize);
        let mut next = open.first();
        while next < open.next() {
            let mut page = self.log.read(partition, next, PAGE_RECORDS)?;
            page.retain(|record| record.offset < open.next());
            let Some(last) = page.last() else { break };
            next = last.offset.next();
            records.append(&mut page);
        }
        if records.len() as u64 == open.rows() {
            return Ok(records);
        }
        let reason = format!("partition {partition} had {} records from {} and has {} now", open.rows(), open.first(), records.len());
        Err(LogError::Storage { reason }.into())
    }

    /// Somebody else who began a segment where this one begins and ended it elsewhere owns the partition, or takes himself
    /// to: two ranges would overlap.
    fn alone(&self, segment: &Segment) -> Result<(), ArchiveError> {
        let same_first = |name: &&SegmentName| name.first == segment.name.first && name.last != segment.name.last;
        match self.shelf.beside(&segment.name)?.iter().find(same_first) {
            Some(other) => Err(ArchiveError::Overlap { one: other.to_string(), other: segment.name.to_string() }),
            None => Ok(()),
        }
    }

    /// A put that was done already, by whoever crashed after it or wrote the same: what lies there must have these records.
    /// Another build may have judged them otherwise; what it counted stands.
    fn same(&self, segment: &Segment, before: Totals) -> Result<Segment, ArchiveError> {
        let there = Segment::decode(&segment.name, &self.shelf.read(&segment.name)?)?;
        if there.sha256 == segment.sha256 && there.totals == before.plus(there.counts()) {
            return Ok(there);
        }
        Err(differs(&segment.name, format!("{} lies there with other records", segment.name)))
    }

    /// Tells how far every partition is, and returns how many offsets of all of them are not in the archive.
    fn tell(&self, failures: &mut Failures) -> u64 {
        let mut waiting = 0;
        for followed in self.followed.iter().flatten() {
            let end = self.log.end(followed.partition);
            failures.note(end.map_err(ArchiveError::from).map(|end| {
                metrics::on_log(followed.partition, end, followed.open.first(), followed.archived);
                waiting += u64::try_from(end.0 - followed.open.first().0).unwrap_or(0);
            }));
        }
        waiting
    }
}

/// What went wrong in a step: one partition keeps no other from being archived.
#[derive(Debug, Default)]
struct Failures(Vec<ArchiveError>);

// === impl Failures ===

impl Failures {
    fn note<T>(&mut self, done: Result<T, ArchiveError>) {
        self.0.extend(done.err());
    }

    /// The first that no later attempt helps, or else the first.
    fn first(mut self) -> Result<(), ArchiveError> {
        let worst = self.0.iter().position(|error| error.fate() != Fate::Retry).unwrap_or(0);
        if self.0.is_empty() { Ok(()) } else { Err(self.0.swap_remove(worst)) }
    }
}

/// Ranges in their order cover every offset from 0 on, each once.
fn contiguous(names: &[&SegmentName]) -> Result<(), ArchiveError> {
    let mut next = Offset(0);
    for (index, name) in names.iter().enumerate() {
        if name.first > next {
            let topic = name.topic.clone();
            return Err(ArchiveError::Gap { topic, partition: name.partition, from: next, to: name.first.previous() });
        }
        if name.first < next {
            return Err(ArchiveError::Overlap { one: names[index - 1].to_string(), other: name.to_string() });
        }
        next = name.last.next();
    }
    Ok(())
}

/// What the archive holds up to its last segment, which must end with a record that the log has there.
fn last_of(log: &dyn Log, shelf: &dyn Shelf, name: &SegmentName) -> Result<Totals, ArchiveError> {
    let segment = Segment::decode(name, &shelf.read(name)?)?;
    let end = log.end(name.partition)?;
    if end <= name.last {
        return Err(differs(name, format!("it reaches to offset {}, the log ends before {end}", name.last)));
    }
    let there = log.read(name.partition, name.last, 1)?;
    if there.first() != segment.records.last() {
        return Err(differs(name, format!("the log has another record at offset {}", name.last)));
    }
    Ok(segment.totals)
}

pub(crate) fn differs(name: &SegmentName, reason: String) -> ArchiveError {
    ArchiveError::Differs { topic: name.topic.clone(), partition: name.partition, reason }
}
