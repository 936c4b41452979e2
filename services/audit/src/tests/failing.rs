//! The archive when something fails or time is short: what can go on goes on, and what is told is true.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use runtime::errors::{Code, Coded, Fate};
use runtime::log::memory::{MemoryLog, MemoryOptions};
use runtime::log::{Addressed, Log};
use tempfile::TempDir;
use wire::{Offset, Partition, RawRecord, StoredRecord, Timestamp};

use super::archive::{ALWAYS, House, LIMITS, PARTITIONS};
use crate::archive::{ArchiveError, Archiver, Created, Listing, Open, Segment, SegmentName, Shelf, StoredShelf, Totals};
use crate::check::check;

#[test]
fn a_partition_that_fails_keeps_no_other_from_the_archive_and_its_lag_is_told() {
    // No other test has so many partitions: these gauges are this one's.
    let (bad, good) = (Partition(10), Partition(11));
    let log = MemoryLog::new(MemoryOptions { partitions: 12, ..MemoryOptions::default() });
    let folder = TempDir::new().expect("a folder");
    let shelf = Arc::new(Failing::new(StoredShelf::in_folder(folder.path()).expect("a folder")));
    let mut archiver = Archiver::open(log.clone(), shelf.clone(), LIMITS).expect("an archive in order");
    shelf.fail(bad, Put::Before);
    for round in 1..4 {
        let records = [bad, good].map(|partition| vec![Addressed { partition, record: RawRecord::default() }; 20]);
        log.publish_unchecked(records.concat()).expect("taken");
        let failed = archiver.step(&ALWAYS).expect_err("one partition cannot be put");
        assert_eq!((failed.code(), failed.fate()), (Code::ArchiveUnavailable, Fate::Retry));
        let told = runtime::metrics::text();
        for line in [
            format!("reeve_audit_lag_records{{partition=\"10\"}} {}", 20 * round),
            format!("reeve_audit_records_on_log{{partition=\"10\"}} {}", 20 * round),
            "reeve_audit_lag_records{partition=\"11\"} 0".to_owned(),
        ] {
            assert!(told.lines().any(|told| told == line), "`{line}` is not in\n{told}");
        }
        assert_eq!((shelf.segments(bad).len(), shelf.segments(good).len()), (0, round));
    }
    shelf.heal();
    archiver.flush(&ALWAYS, &ALWAYS).expect("now it goes");
    assert!(check(&*log, &*shelf, |_, _| {}).expect("both can be read").whole);
}

#[test]
fn what_cannot_be_helped_is_told_before_what_may_pass() {
    let house = House::new();
    let shelf = Arc::new(Failing::new(house.shelf()));
    house.publish(0..20);
    let mut archiver = Archiver::open(house.log.clone(), shelf.clone(), LIMITS).expect("an archive in order");
    house.archiver().flush(&ALWAYS, &ALWAYS).expect("another one cuts here");
    shelf.segments(Partition(0)).iter().for_each(|name| drop(house.take_away(name)));
    house.publish(20..300);
    shelf.fail(Partition(0), Put::Before);
    let failed = archiver.step(&ALWAYS).expect_err("two partitions fail");
    assert_eq!((failed.code(), failed.fate()), (Code::ArchiveOverlap, Fate::Refuse));
}

#[test]
fn a_range_whose_put_nobody_answered_takes_nothing_more() {
    let house = House::new();
    let shelf = Arc::new(Failing::new(house.shelf()));
    house.publish(0..9);
    let mut archiver = Archiver::open(house.log.clone(), shelf.clone(), LIMITS).expect("an archive in order");
    archiver.step(&ALWAYS).expect("nothing is due");
    (0..PARTITIONS).for_each(|partition| shelf.fail(Partition(partition), Put::After));
    // What is cut at the end of a drain is neither full nor due: nothing but memory says that it was cut here.
    archiver.flush(&ALWAYS, &ALWAYS).expect_err("it lies there, and nobody was told");
    shelf.heal();
    house.publish(9..40);
    archiver.step(&ALWAYS).expect("what lies there is the same");
    archiver.flush(&ALWAYS, &ALWAYS).expect("everything is put down");
    assert!(house.check().whole, "{:?}", house.check().findings);
}

#[test]
fn a_segment_that_another_build_put_and_judged_otherwise_is_gone_on_with() {
    let house = House::new();
    house.publish(0..60);
    house.log.set_now(Timestamp(house.log.now().0 + LIMITS.age_us));
    let mut archiver = house.archiver();
    // Another build takes every record of the first segment of a partition for one that nobody can read.
    let records = house.log.read(Partition(0), Offset(0), LIMITS.rows_max as usize).expect("readable");
    let mut judged = Segment::of(house.log.topic(), PARTITIONS, Offset(0), full(records), Totals::default()).expect("it has records");
    let rows = judged.records.len() as u64;
    judged.refusals = vec![Some("too_large".to_owned()); judged.records.len()];
    judged.totals = Totals { stored: 0, refused: rows };
    let bytes = judged.encode().expect("it is encoded");
    house.shelf().create(&judged.name, bytes).expect("it is put");
    archiver.flush(&ALWAYS, &ALWAYS).expect("its records are the same");
    house.archiver();
    let report = house.check();
    assert!(report.whole, "{:?}", report.findings);
    assert!(report.partitions[0].refused >= rows && report.partitions.iter().all(|one| one.difference == 0), "{report:?}");
    let [note] = &report.notes[..] else { panic!("one note: {:?}", report.notes) };
    assert!(note.partition == 0 && note.what.contains(" rows in 1 segments say of their records what this build would not"), "{note:?}");
}

#[test]
fn a_backlog_that_is_too_long_for_a_drain_is_left_to_the_next_start() {
    let house = House::new();
    house.publish(0..9_000);
    let mut archiver = house.archiver();
    let reads = Cell::new(2);
    let waiting = archiver.flush(&|| reads.replace(reads.get() - 1) > 0, &ALWAYS).expect("what was read is put down");
    let on_log: i64 = (0..PARTITIONS).map(|partition| house.log.end(Partition(partition)).expect("readable").0).sum();
    let report = house.check();
    let archived: u64 = report.partitions.iter().map(|one| one.stored + one.refused).sum();
    assert!(archived > 0 && waiting > 0, "{archived} archived, {waiting} wait");
    assert_eq!(archived + waiting, on_log as u64);
    assert!(report.findings.iter().all(|finding| finding.code == Code::ArchiveIncomplete), "{:?}", report.findings);
    assert_eq!(house.archiver().flush(&ALWAYS, &ALWAYS), Ok(0), "the next start goes on");
    assert!(house.check().whole);
}

#[test]
fn a_drain_without_time_leaves_everything_and_harms_nothing() {
    let house = House::new();
    house.publish(0..50);
    assert_eq!(house.archiver().flush(&|| false, &|| false), Ok(50));
    assert!(house.shelf().list().expect("it can be listed").segments.is_empty());
}

#[test]
fn a_name_that_claims_the_whole_log_is_no_more_than_a_finding() {
    let house = House::archived(200);
    let name = house.shelf().list().expect("it can be listed").segments.pop().expect("several");
    let last = house.segment(&name).records.pop().expect("it has records");
    let forged = Segment::of(&name.topic, PARTITIONS, Offset(0), vec![last], Totals::default()).expect("a record");
    house.shelf().create(&forged.name, forged.encode().expect("it is encoded")).expect("it is put");
    let codes: BTreeSet<Code> = house.check().findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&Code::ArchiveOverlap) && codes.contains(&Code::ArchiveDiffers), "{codes:?}");
}

#[test]
fn a_file_that_is_larger_than_any_segment_is_not_read() {
    let house = House::archived(20);
    let name = house.shelf().list().expect("it can be listed").segments[0].clone();
    let file = std::fs::OpenOptions::new().write(true).open(house.folder.path().join(name.to_string())).expect("there");
    // No byte of it takes room on the disk.
    file.set_len((256 << 20) + 1).expect("longer");
    let refused = house.shelf().read(&name).expect_err("nobody reads so much");
    assert_eq!(refused.code(), Code::ArchiveAltered);
    assert!(house.check().findings.iter().any(|finding| finding.code == Code::ArchiveAltered), "a check names it");
}

/// The records of the first segment of a partition.
fn full(records: Vec<StoredRecord>) -> Vec<StoredRecord> {
    let mut open = Open::at(Offset(0));
    let fits = |record: &StoredRecord| {
        let fits = !open.is_full(&LIMITS);
        open.take(record);
        fits
    };
    records.into_iter().take_while(fits).collect()
}

/// What a put comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// Nothing lies there.
    Before,
    /// It lies there, and nobody is told.
    After,
}

/// A shelf that takes no segments of some partitions.
struct Failing {
    shelf: StoredShelf,
    failing: Mutex<Vec<(Partition, Put)>>,
}

// === impl Failing ===

impl Failing {
    fn new(shelf: StoredShelf) -> Self {
        Self { shelf, failing: Mutex::new(Vec::new()) }
    }

    fn fail(&self, partition: Partition, put: Put) {
        self.failing.lock().expect("nobody panicked").push((partition, put));
    }

    fn heal(&self) {
        self.failing.lock().expect("nobody panicked").clear();
    }

    fn segments(&self, partition: Partition) -> Vec<SegmentName> {
        let listing = self.shelf.list().expect("it can be listed");
        listing.segments.into_iter().filter(|name| name.partition == partition).collect()
    }
}

impl Shelf for Failing {
    fn list(&self) -> Result<Listing, ArchiveError> {
        self.shelf.list()
    }

    fn beside(&self, name: &SegmentName) -> Result<Vec<SegmentName>, ArchiveError> {
        self.shelf.beside(name)
    }

    fn read(&self, name: &SegmentName) -> Result<Bytes, ArchiveError> {
        self.shelf.read(name)
    }

    fn create(&self, name: &SegmentName, bytes: Vec<u8>) -> Result<Created, ArchiveError> {
        let failing = self.failing.lock().expect("nobody panicked").clone();
        match failing.iter().find(|(partition, _)| *partition == name.partition) {
            None => self.shelf.create(name, bytes),
            Some((_, put)) => {
                if *put == Put::After {
                    self.shelf.create(name, bytes)?;
                }
                Err(ArchiveError::Store { reason: "no answer".to_owned() })
            }
        }
    }
}
