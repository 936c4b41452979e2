//! Proof that the archive is what the log was: every segment read back, every row held against the log's, and the identity
//! `on the log - stored - refused = 0` computed from nothing but both.

use std::collections::{BTreeMap, VecDeque};

use runtime::errors::{Code, Coded};
use runtime::log::Log;
use serde::Serialize;
use wire::{Body, Event, Kind, Offset, Partition, StoredRecord};

use crate::archive::{ArchiveError, Segment, SegmentName, Shelf, Totals};

/// Records read from the log at once.
const PAGE_RECORDS: usize = 1_000;
/// Findings of one partition that are told one by one; of more it is only said that there are more.
const FINDINGS_MAX: usize = 50;

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Whether the archive holds every record of the log, unaltered, and nothing else.
    pub whole: bool,
    /// Partition by partition.
    pub partitions: Vec<PartitionReport>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no fault.
    pub notes: Vec<Note>,
    /// Files that are no segments. They are no fault: nobody takes them for one.
    pub strays: Vec<String>,
}

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// The partition.
    pub partition: u32,
    /// Its segments.
    pub segments: usize,
    /// Records on the log.
    pub on_log: u64,
    /// Of them in the archive, unaltered: those that can be read.
    pub stored: u64,
    /// Of them in the archive, unaltered: those that nobody can read.
    pub refused: u64,
    /// Of the refused, those that a `record.refused` on the log names.
    pub told: u64,
    /// `on_log - stored - refused`.
    pub difference: i64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its code, with a page of its own.
    #[serde(serialize_with = "number")]
    pub code: Code,
    /// Where.
    pub partition: u32,
    /// What, in a sentence.
    pub what: String,
}

/// One thing that is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where.
    pub partition: u32,
    /// What, in a sentence.
    pub what: String,
}

/// Holds what lies on `shelf` against `log`. `progress` is told of each segment: how many are read, and how many there are.
///
/// # Errors
/// When the log or the shelf cannot be read. What is wrong with a segment is a finding.
pub fn check(log: &dyn Log, shelf: &dyn Shelf, mut progress: impl FnMut(usize, usize)) -> Result<Report, ArchiveError> {
    let listing = shelf.list()?;
    let mut report = Report { strays: listing.strays, ..Report::default() };
    let mut by_partition: BTreeMap<Partition, Vec<SegmentName>> =
        (0..log.partitions()).map(|partition| (Partition(partition), Vec::new())).collect();
    for name in listing.segments {
        match by_partition.get_mut(&name.partition).filter(|_| name.topic == log.topic()) {
            Some(names) => names.push(name),
            None => report.strays.push(name.to_string()),
        }
    }
    let total = by_partition.values().map(Vec::len).sum();
    let mut read = 0;
    for (partition, names) in by_partition {
        let mut one = Checking::new(log, shelf, partition);
        for name in &names {
            one.segment(name)?;
            read += 1;
            progress(read, total);
        }
        report.notes.extend(one.note());
        let (partition, findings) = one.end()?;
        report.partitions.push(partition);
        report.findings.extend(findings);
    }
    report.whole = report.findings.is_empty();
    Ok(report)
}

/// One partition that is being checked.
struct Checking<'a> {
    log: &'a dyn Log,
    shelf: &'a dyn Shelf,
    report: PartitionReport,
    findings: Vec<Finding>,
    /// The offset that the next segment has to begin at.
    next: Offset,
    /// The segment before.
    before: Option<SegmentName>,
    /// What the segments before hold by their own account, as long as nothing was wrong with them.
    totals: Option<Totals>,
    /// Rows, and segments of them, that this build would judge otherwise than the one that wrote them.
    otherwise: (u64, u64),
    /// Offsets of refused rows.
    refused: Vec<Offset>,
    /// Ranges that refusals on the log name.
    told: Vec<(Offset, Offset)>,
}

// === impl Checking ===

impl<'a> Checking<'a> {
    fn new(log: &'a dyn Log, shelf: &'a dyn Shelf, partition: Partition) -> Self {
        Self {
            log,
            shelf,
            report: PartitionReport { partition: partition.0, ..PartitionReport::default() },
            findings: Vec::new(),
            next: Offset(0),
            before: None,
            totals: Some(Totals::default()),
            otherwise: (0, 0),
            refused: Vec::new(),
            told: Vec::new(),
        }
    }

    fn segment(&mut self, name: &SegmentName) -> Result<(), ArchiveError> {
        self.report.segments += 1;
        self.adjoins(name);
        let partitions = self.log.partitions();
        let segment = match self.shelf.read(name).and_then(|bytes| Segment::prove(name, &bytes, partitions)) {
            Ok((segment, otherwise)) => {
                self.otherwise.0 += otherwise;
                self.otherwise.1 += u64::from(otherwise > 0);
                segment
            }
            Err(altered @ ArchiveError::Altered { .. }) => {
                self.find_error(&altered);
                self.totals = None;
                self.pass(name);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.add_up(&segment);
        self.compare(&segment)?;
        self.pass(name);
        Ok(())
    }

    /// What the file says counts, also where this build would not say so: a limit or a schema changed since.
    fn note(&self) -> Option<Note> {
        let (rows, segments) = self.otherwise;
        let what = format!("{rows} rows in {segments} segments say of their records what this build would not: another one wrote them");
        (rows > 0).then_some(Note { partition: self.report.partition, what })
    }

    /// Everything after the last segment, and what the counts come to.
    fn end(mut self) -> Result<(PartitionReport, Vec<Finding>), ArchiveError> {
        let partition = Partition(self.report.partition);
        let end = self.log.end(partition)?;
        if self.next > end && self.before.is_some() {
            let what = format!("the archive reaches to offset {}, the log ends at {}", self.next.previous(), end.previous());
            self.find(Code::ArchiveDiffers, what);
        }
        let mut next = Offset(0);
        loop {
            let page = self.log.read(partition, next, PAGE_RECORDS)?;
            let Some(last) = page.last() else { break };
            next = last.offset.next();
            self.report.on_log += page.len() as u64;
            self.told.extend(page.iter().filter_map(|record| told_by(record, self.log.topic())));
        }
        self.told.sort_unstable();
        self.report.told = self.refused.iter().filter(|offset| is_told(&self.told, **offset)).count() as u64;
        self.report.difference = self.report.on_log as i64 - (self.report.stored + self.report.refused) as i64;
        if self.report.difference != 0 {
            let PartitionReport { on_log, stored, refused, difference, .. } = self.report;
            let what = format!("{on_log} records on the log - {stored} stored - {refused} refused = {difference}");
            self.find(Code::ArchiveIncomplete, what);
        }
        let more = self.findings.len().saturating_sub(FINDINGS_MAX);
        if more > 0 {
            self.findings.truncate(FINDINGS_MAX);
            let code = self.findings[FINDINGS_MAX - 1].code;
            self.findings.push(Finding { code, partition: partition.0, what: format!("and {more} more findings") });
        }
        Ok((self.report, self.findings))
    }

    /// Ranges cover every offset once.
    fn adjoins(&mut self, name: &SegmentName) {
        if name.first > self.next {
            let (topic, partition) = (name.topic.clone(), name.partition);
            self.find_error(&ArchiveError::Gap { topic, partition, from: self.next, to: name.first.previous() });
        } else if name.first < self.next {
            let one = self.before.as_ref().map(ToString::to_string).unwrap_or_default();
            self.find_error(&ArchiveError::Overlap { one, other: name.to_string() });
        }
        if name.first != self.next {
            self.totals = None;
        }
    }

    fn pass(&mut self, name: &SegmentName) {
        self.next = self.next.max(name.last.next());
        self.before = Some(name.clone());
    }

    /// What a segment says of all before it and itself is what was counted.
    fn add_up(&mut self, segment: &Segment) {
        let counted = self.totals.map(|before| before.plus(segment.counts()));
        if counted.is_some_and(|counted| counted != segment.totals) {
            let reason = "its totals are not those of the segments up to it".to_owned();
            self.find_error(&ArchiveError::Altered { name: segment.name.to_string(), reason });
        }
        self.totals = Some(segment.totals);
    }

    /// Holds each row against the log's record, and counts those that are the same. Of the log a page is held at once: a
    /// name may say that it covers all of it.
    fn compare(&mut self, segment: &Segment) -> Result<(), ArchiveError> {
        let name = &segment.name;
        let mut log = OnLog { log: self.log, partition: name.partition, next: name.first, last: name.last, page: VecDeque::new() };
        let mut differing = None;
        for (row, refusal) in segment.records.iter().zip(&segment.refusals) {
            let mut there = log.next()?;
            while there.as_ref().is_some_and(|record| record.offset < row.offset) {
                differing.get_or_insert(row.offset);
                there = log.next()?;
            }
            match there {
                Some(record) if record == *row => {
                    // What an overlap holds twice counts once.
                    if row.offset >= self.next {
                        self.count(row.offset, refusal.is_some());
                    }
                }
                Some(record) => {
                    differing.get_or_insert(row.offset);
                    if record.offset > row.offset {
                        log.page.push_front(record);
                    }
                }
                None => {
                    differing.get_or_insert(row.offset);
                }
            }
        }
        if let Some(offset) = differing {
            self.find(Code::ArchiveDiffers, format!("segment {name} and the log differ from offset {offset} on"));
        }
        Ok(())
    }

    /// Counts a row by what its file says of it.
    fn count(&mut self, offset: Offset, refused: bool) {
        if refused {
            self.report.refused += 1;
            self.refused.push(offset);
        } else {
            self.report.stored += 1;
        }
    }

    fn find_error(&mut self, error: &ArchiveError) {
        self.find(error.code(), error.to_string());
    }

    fn find(&mut self, code: Code, what: String) {
        self.findings.push(Finding { code, partition: self.report.partition, what });
    }
}

/// Records of a range of the log, a page at a time.
struct OnLog<'a> {
    log: &'a dyn Log,
    partition: Partition,
    next: Offset,
    last: Offset,
    page: VecDeque<StoredRecord>,
}

// === impl OnLog ===

impl OnLog<'_> {
    fn next(&mut self) -> Result<Option<StoredRecord>, ArchiveError> {
        if self.page.is_empty() && self.next <= self.last {
            self.page = self.log.read(self.partition, self.next, PAGE_RECORDS)?.into();
            self.next = self.page.back().map_or(self.last, |end| end.offset).next();
        }
        Ok(self.page.pop_front().filter(|record| record.offset <= self.last))
    }
}

/// The offsets that a record names as refused, if it is a refusal of this room on this topic.
fn told_by(record: &StoredRecord, topic: &str) -> Option<(Offset, Offset)> {
    if record.raw.kind() != Some(Kind::RecordRefused) || record.raw.header("ce_source") != Some("/reeve/audit") {
        return None;
    }
    let Body::RecordRefused(refused) = Event::from_raw(&record.raw).ok()?.body else { return None };
    (refused.topic == topic).then_some((Offset(refused.offset), Offset(refused.last_offset.unwrap_or(refused.offset))))
}

/// Ranges that a room tells are in order and apart.
fn is_told(told: &[(Offset, Offset)], offset: Offset) -> bool {
    let after = told.partition_point(|(first, _)| *first <= offset);
    after > 0 && told[after - 1].1 >= offset
}

fn number<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.number())
}
