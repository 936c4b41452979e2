//! The archive holds what was on the log, whatever breaks meanwhile, and whoever changes it is found out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::Shutdown;
use runtime::errors::{Code, Coded, Fate};
use runtime::log::memory::{MemoryLog, MemoryOptions};
use runtime::log::{Addressed, Log};
use tempfile::TempDir;
use wire::{Offset, Partition, RawRecord, StoredRecord, Timestamp};

use super::fact;
use crate::archive::{ArchiveError, Archiver, Created, Limits, Listing, Segment, SegmentName, Shelf, StoredShelf, Totals, live};
use crate::check::{Report, check};

pub(super) const PARTITIONS: u32 = 3;
pub(super) const LIMITS: Limits = Limits { rows_max: 20, bytes_max: 4_000, age_us: 60_000_000 };
/// Lives of the crash test, and how often an archiver dies in each.
const LIVES: u64 = 12;
const DEATHS: usize = 40;
/// The time for a drain, and after which part of it what was appended is decided.
const GRACE: Duration = Duration::from_secs(60);
const DECIDED_AFTER: Duration = Duration::from_millis(300);
/// As long as there is more.
pub(super) const ALWAYS: fn() -> bool = || true;

#[test]
fn what_was_published_is_read_back_byte_for_byte() {
    let house = House::new();
    house.publish(0..100);
    house.archiver().flush(&ALWAYS, &ALWAYS).expect("everything is put down");
    let listing = house.shelf().list().expect("it can be listed");
    assert!(listing.segments.len() > PARTITIONS as usize, "several segments: {}", listing.segments.len());
    for partition in (0..PARTITIONS).map(Partition) {
        let names = listing.segments.iter().filter(|name| name.partition == partition);
        let archived: Vec<StoredRecord> = names.flat_map(|name| house.segment(name).records).collect();
        assert_eq!(archived, house.log.read(partition, Offset(0), usize::MAX).expect("readable"));
    }
    let report = house.check();
    assert!(report.whole, "{:?}", report.findings);
    assert_eq!(report.partitions.iter().map(|one| one.on_log).sum::<u64>(), 100);
    assert!(report.partitions.iter().any(|one| one.refused > 0) && report.partitions.iter().all(|one| one.difference == 0));
}

#[test]
fn a_segment_waits_until_it_is_due_in_the_logs_time() {
    let house = House::new();
    house.publish(0..5);
    let mut archiver = house.archiver();
    assert_eq!(archiver.step(&ALWAYS).expect("a step").written, 0);
    house.log.set_now(Timestamp(LIMITS.age_us - 1));
    assert_eq!(archiver.step(&ALWAYS).expect("a step").written, 0);
    house.log.set_now(Timestamp(house.log.now().0 + LIMITS.age_us));
    assert!(archiver.step(&ALWAYS).expect("a step").written > 0);
    assert!(house.check().whole);
}

#[test]
fn two_archivers_of_one_log_cut_it_alike() {
    let house = House::new();
    let (mut one, mut other) = (house.archiver(), house.archiver());
    for round in 0..10_u64 {
        house.publish(round * 30..round * 30 + 30);
        house.log.set_now(Timestamp(house.log.now().0 + 7_000_000));
        one.step(&ALWAYS).expect("a step");
        if round % 3 == 0 {
            other.step(&ALWAYS).expect("what lies there is the same");
        }
    }
    other.step(&ALWAYS).expect("what lies there is the same");
    one.flush(&ALWAYS, &ALWAYS).expect("everything is put down");
    assert!(house.check().whole);
}

#[test]
fn an_archiver_that_would_cut_otherwise_is_refused() {
    let house = House::new();
    house.publish(0..5);
    let mut late = house.archiver();
    house.archiver().flush(&ALWAYS, &ALWAYS).expect("everything is put down");
    house.publish(5..300);
    let refused = late.step(&ALWAYS).expect_err("another one cut here already");
    assert_eq!((refused.code(), refused.fate()), (Code::ArchiveOverlap, Fate::Refuse));
}

#[test]
fn whoever_dies_at_any_point_of_a_segments_life_loses_and_repeats_nothing() {
    let mut died = [0_u32; 4];
    for seed in 0..LIVES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let house = House::new();
        let mut published = 0;
        for _ in 0..DEATHS {
            let more = rng.random_range(0..60);
            house.publish(published..published + more);
            published += more;
            house.log.set_now(Timestamp(house.log.now().0 + rng.random_range(0..30_000_000)));
            let point = Point::ALL[rng.random_range(0..Point::ALL.len())];
            let shelf = Arc::new(Mortal::new(&house, point, rng.random_range(0..3)));
            let log: Arc<dyn Log> = house.log.clone();
            let ended = Archiver::open(log, shelf, LIMITS).and_then(|mut archiver| {
                if rng.random_bool(0.5) { archiver.flush(&ALWAYS, &ALWAYS).map(drop) } else { archiver.step(&ALWAYS).map(drop) }
            });
            if ended.is_err() {
                died[point as usize] += 1;
            }
        }
        house.archiver().flush(&ALWAYS, &ALWAYS).expect("the last one lives");
        let report = house.check();
        assert!(report.whole, "seed {seed}: {:?}", report.findings);
        assert_eq!(report.partitions.iter().map(|one| one.on_log).sum::<u64>(), published);
    }
    assert!(died.iter().all(|times| *times > 10), "each point was met: {died:?}");
}

#[test]
fn what_the_store_did_not_take_is_told_and_put_by_a_later_step() {
    let house = House::new();
    let log: Arc<dyn Log> = house.log.clone();
    let shelf = Arc::new(Mortal::new(&house, Point::Before, 0));
    let mut archiver = Archiver::open(log, shelf.clone(), LIMITS).expect("an archive in order");
    house.publish(0..200);
    for _ in 0..3 {
        let failed = archiver.step(&ALWAYS).expect_err("the store takes nothing");
        assert_eq!((failed.code(), failed.fate()), (Code::ArchiveUnavailable, Fate::Retry));
    }
    shelf.puts.store(u64::MAX, Ordering::Relaxed);
    archiver.flush(&ALWAYS, &ALWAYS).expect("now it does");
    assert!(house.check().whole);
}

#[test]
fn who_is_asked_to_stop_puts_no_segment_more_of_a_page_that_holds_many_and_they_are_cut_no_otherwise_later() {
    let house = House::new();
    for number in 0..60 {
        house.publish(number..number + 1);
        house.log.set_now(Timestamp(house.log.now().0 + LIMITS.age_us));
    }
    let mut archiver = house.archiver();
    let asked = AtomicU64::new(0);
    // Once for the page, and once for each of three segments.
    let stops_soon = || asked.fetch_add(1, Ordering::Relaxed) < 4;
    let step = archiver.step(&stops_soon).expect("a step");
    assert_eq!((step.written, step.more), (3, true));
    archiver.flush(&ALWAYS, &ALWAYS).expect("the rest is put down");
    assert!(house.check().whole, "{:?}", house.check().findings);
    let other = TempDir::new().expect("a folder");
    let shelf = Arc::new(StoredShelf::in_folder(other.path()).expect("a folder"));
    let mut never_stopped = Archiver::open(house.log.clone(), shelf.clone(), LIMITS).expect("nothing there");
    never_stopped.flush(&ALWAYS, &ALWAYS).expect("all is put down");
    let names = |shelf: &dyn Shelf| shelf.list().expect("it can be listed").segments;
    assert_eq!(names(&house.shelf()), names(&*shelf));
}

#[test]
fn what_is_on_the_log_and_not_decided_yet_is_waited_for_at_the_end() {
    let house = House::new();
    let mut archiver = house.archiver();
    house.publish(0..7);
    house.log.stall(Partition(0), 1).expect("it is there");
    house.publish(7..70);
    assert_eq!(archiver.is_undecided(), Ok(true));
    let end = Shutdown::new();
    end.request();
    let left = std::thread::scope(|scope| {
        let ending = scope.spawn(|| live(archiver, &end, GRACE));
        // One that does not wait has long ended by then.
        std::thread::sleep(DECIDED_AFTER);
        house.log.heal();
        ending.join().expect("it does not panic")
    });
    assert_eq!(left, Ok(0));
    assert!(house.check().whole, "{:?}", house.check().findings);
}

#[test]
fn an_empty_archive_beside_a_log_with_records_is_not_whole() {
    let house = House::new();
    assert!(house.check().whole, "nothing of nothing is missing");
    house.publish(0..7);
    let report = house.check();
    assert!(report.findings.iter().all(|finding| finding.code == Code::ArchiveIncomplete), "{:?}", report.findings);
    assert_eq!(report.partitions.iter().map(|one| one.difference).sum::<i64>(), 7);
}

#[test]
fn segments_that_are_deleted_are_missed_wherever_they_lay() {
    let house = House::archived(400);
    let names = house.shelf().list().expect("it can be listed").segments;
    let of_first: Vec<&SegmentName> = names.iter().filter(|name| name.partition == names[0].partition).collect();
    assert!(of_first.len() >= 3, "{}", of_first.len());
    for (index, name) in of_first.iter().enumerate() {
        let bytes = house.take_away(name);
        let codes: Vec<Code> = house.check().findings.iter().map(|finding| finding.code).collect();
        let at_the_end = index == of_first.len() - 1;
        let expected = if at_the_end { vec![Code::ArchiveIncomplete] } else { vec![Code::ArchiveGap, Code::ArchiveIncomplete] };
        assert_eq!(codes, expected, "{name}");
        let opened = Archiver::open(house.log.clone(), Arc::new(house.shelf()), LIMITS).map(drop).map_err(|error| error.code());
        assert_eq!(opened, if at_the_end { Ok(()) } else { Err(Code::ArchiveGap) });
        house.put_back(name, &bytes);
    }
    assert!(house.check().whole);
}

#[test]
fn the_last_three_segments_cannot_be_deleted_unnoticed() {
    let house = House::archived(300);
    let names = house.shelf().list().expect("it can be listed").segments;
    let of_first: Vec<&SegmentName> = names.iter().filter(|name| name.partition == names[0].partition).collect();
    let lost: u64 = of_first
        .iter()
        .rev()
        .take(3)
        .map(|name| {
            let rows = house.segment(name).records.len() as u64;
            house.take_away(name);
            rows
        })
        .sum();
    let report = house.check();
    assert_eq!(report.partitions[0].difference, lost as i64);
    assert!(!report.whole);
    house.archiver().flush(&ALWAYS, &ALWAYS).expect("they are written anew");
    assert!(house.check().whole);
}

#[test]
fn segments_that_overlap_are_named_and_gone_on_with_by_nobody() {
    let house = House::archived(100);
    let name = house.shelf().list().expect("it can be listed").segments[0].clone();
    let first = house.segment(&name);
    let half = first.records[..first.records.len() / 2].to_vec();
    let copy = Segment::of(&name.topic, PARTITIONS, name.first, half, Totals::default()).expect("it has records");
    house.shelf().create(&copy.name, copy.encode().expect("it is encoded")).expect("it is put");
    let codes: Vec<Code> = house.check().findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::ArchiveOverlap]);
    let refused = Archiver::open(house.log.clone(), Arc::new(house.shelf()), LIMITS).map(drop).expect_err("nobody goes on");
    assert_eq!((refused.code(), refused.fate()), (Code::ArchiveOverlap, Fate::Refuse));
}

#[test]
fn a_segment_that_is_cut_short_is_found_at_every_length() {
    let house = House::archived(30);
    let name = house.shelf().list().expect("it can be listed").segments[0].clone();
    let bytes = house.shelf().read(&name).expect("readable");
    for length in 0..bytes.len() {
        let altered = Segment::decode(&name, &bytes.slice(..length)).expect_err("it is cut short");
        assert_eq!(altered.code(), Code::ArchiveAltered, "{length} bytes");
    }
}

#[test]
fn a_byte_that_is_changed_is_found_wherever_it_is() {
    let house = House::archived(20);
    let name = house.shelf().list().expect("it can be listed").segments[0].clone();
    let bytes = house.shelf().read(&name).expect("readable").to_vec();
    let unaltered = house.segment(&name);
    let begin = bytes.windows(14).position(|window| window == b"reeve version ").expect("the writer names itself");
    // With the length that stands before it.
    let begin = begin - 2;
    let end = begin + bytes[begin..].iter().position(|byte| *byte == b')').expect("to the end");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << rng.random_range(0..8);
        let changed = Bytes::from(changed);
        // A start believes the rows, so no byte of a record can differ.
        if let Ok(segment) = Segment::decode(&name, &changed) {
            assert_eq!((&segment.records, &segment.sha256), (&unaltered.records, &unaltered.sha256), "byte {place}");
        }
        // A check believes no byte, but for the name of the writer, which says with which build they may be compared.
        let proven = Segment::prove(&name, &changed, PARTITIONS);
        assert!(proven.is_err() || (begin..=end).contains(&place), "byte {place} of {}, {begin} to {end}", bytes.len());
    }
}

#[test]
fn a_record_that_is_changed_with_its_digest_is_found_by_the_log() {
    let house = House::archived(40);
    let name = house.shelf().list().expect("it can be listed").segments[0].clone();
    let mut forged = house.segment(&name);
    forged.records[0].raw.value = Bytes::from_static(b"allow");
    let forged = Segment::of(&name.topic, PARTITIONS, name.first, forged.records, Totals::default()).expect("it has records");
    house.take_away(&name);
    house.shelf().create(&name, forged.encode().expect("it is encoded")).expect("it is put");
    let codes: Vec<Code> = house.check().findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&Code::ArchiveDiffers), "{codes:?}");
}

#[test]
fn an_archive_of_another_log_is_gone_on_with_by_nobody() {
    let house = House::archived(50);
    let other = House::new();
    let refused = Archiver::open(other.log.clone(), Arc::new(house.shelf()), LIMITS).map(drop).expect_err("this log is empty");
    assert_eq!(refused.code(), Code::ArchiveDiffers);
    other.log.set_now(Timestamp(9));
    other.publish(0..60);
    let refused = Archiver::open(other.log.clone(), Arc::new(house.shelf()), LIMITS).map(drop).expect_err("its records are others");
    assert_eq!((refused.code(), refused.fate()), (Code::ArchiveDiffers, Fate::Refuse));
}

/// A log, and a folder for its archive.
pub(super) struct House {
    pub(super) log: Arc<MemoryLog>,
    pub(super) folder: TempDir,
}

// === impl House ===

impl House {
    pub(super) fn new() -> Self {
        let options = MemoryOptions { partitions: PARTITIONS, ..MemoryOptions::default() };
        Self { log: MemoryLog::new(options), folder: TempDir::new().expect("a folder") }
    }

    pub(super) fn archived(records: u64) -> Self {
        let house = Self::new();
        house.publish(0..records);
        house.archiver().flush(&ALWAYS, &ALWAYS).expect("everything is put down");
        house
    }

    /// Facts of several agents, and now and then what nobody can read: no key, names twice, empty values.
    pub(super) fn publish(&self, numbers: std::ops::Range<u64>) {
        Self::publish_on(&self.log, numbers);
    }

    pub(super) fn publish_on(log: &MemoryLog, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let mut event = fact(&format!("agent-{}", number % 7));
            event.id = format!("fact-{number}").into();
            let (mut partition, mut record) = (event.partition(PARTITIONS), event.to_raw());
            match number % 11 {
                3 => record.headers.extend([("twice", &b""[..]), ("twice", b"\xff\0")]),
                5 => record = RawRecord::default(),
                7 => record.value = Bytes::from_static(b"no record"),
                9 => partition = Partition((partition.0 + 1) % PARTITIONS),
                _ => {}
            }
            log.publish_unchecked(vec![Addressed { partition, record }]).expect("taken");
        }
    }

    pub(super) fn shelf(&self) -> StoredShelf {
        StoredShelf::in_folder(self.folder.path()).expect("a folder")
    }

    pub(super) fn archiver(&self) -> Archiver {
        Archiver::open(self.log.clone(), Arc::new(self.shelf()), LIMITS).expect("an archive in order")
    }

    pub(super) fn check(&self) -> Report {
        check(&*self.log, &self.shelf(), |_, _| {}).expect("both can be read")
    }

    pub(super) fn segment(&self, name: &SegmentName) -> Segment {
        Segment::decode(name, &self.shelf().read(name).expect("readable")).expect("unaltered")
    }

    pub(super) fn take_away(&self, name: &SegmentName) -> Vec<u8> {
        let path = self.folder.path().join(name.to_string());
        let bytes = std::fs::read(&path).expect("readable");
        std::fs::remove_file(path).expect("deleted");
        bytes
    }

    fn put_back(&self, name: &SegmentName, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name.to_string()), bytes).expect("written");
    }
}

/// Where an archiver dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// Before anything of the segment is written.
    Before,
    /// Half of it is written beside its name.
    Half,
    /// All of it is written beside its name, and not linked to it.
    Unlinked,
    /// It lies there, and nobody was told.
    After,
}

// === impl Point ===

impl Point {
    const ALL: [Self; 4] = [Self::Before, Self::Half, Self::Unlinked, Self::After];
}

/// A shelf whose user dies at a put: nothing that it does afterwards takes effect, for it does nothing.
struct Mortal {
    shelf: StoredShelf,
    folder: std::path::PathBuf,
    point: Point,
    /// Puts that still go well.
    puts: AtomicU64,
}

// === impl Mortal ===

impl Mortal {
    fn new(house: &House, point: Point, puts: u64) -> Self {
        Self { shelf: house.shelf(), folder: house.folder.path().to_owned(), point, puts: AtomicU64::new(puts) }
    }
}

impl Shelf for Mortal {
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
        if self.puts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return self.shelf.create(name, bytes);
        }
        match self.point {
            Point::Before => {}
            Point::Half => stage(&self.folder, name, &bytes[..bytes.len() / 2]),
            Point::Unlinked => stage(&self.folder, name, &bytes),
            Point::After => drop(self.shelf.create(name, bytes)?),
        }
        Err(ArchiveError::Store { reason: "killed".to_owned() })
    }
}

/// What the store leaves of a put that it could not end: a file beside the name, as the library calls it.
fn stage(folder: &Path, name: &SegmentName, bytes: &[u8]) {
    let parent = folder.join(name.folder());
    std::fs::create_dir_all(&parent).expect("a folder");
    let staged = (1..).map(|number| folder.join(format!("{name}#{number}"))).find(|path| !path.exists()).expect("a free name");
    std::fs::write(staged, bytes).expect("written");
}
