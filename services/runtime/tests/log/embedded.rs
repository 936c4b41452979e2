//! The embedded log: the contract, and what its file promises.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use runtime::log::contract::fixtures::{START, append, drain, fact, ids, join, restore, to, transaction};
use runtime::log::contract::{PARTITIONS, Pending, Subject};
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions, OwnedClock};
use runtime::log::{Log, LogError, Polled};
use tempfile::TempDir;
use wire::{Offset, Partition, StoredRecord, Timestamp};

mod contract {
    runtime::log_contract!(super::InFile::new);
}

/// A log in a folder of its own. A crash copies the file as it is at that moment, while the log is open and in use, and
/// opens the copy: what a killed program leaves, while its threads still believe to be alive.
struct InFile {
    clock: Arc<OwnedClock>,
    log: Arc<EmbeddedLog>,
    folders: Vec<TempDir>,
}

// === impl InFile ===

impl InFile {
    fn new() -> Self {
        let (clock, folder) = (OwnedClock::starting_at(START), TempDir::new().expect("a folder"));
        let log = open_with(folder.path(), PARTITIONS, Clock::Owned(Arc::clone(&clock))).expect("a new log");
        Self { clock, log, folders: vec![folder] }
    }
}

impl Subject for InFile {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as Arc<dyn Log>
    }

    fn set_now(&self, now: Timestamp) {
        self.clock.set(now);
    }

    fn expire(&self, group: &str, member: &str) {
        self.log.expire(group, member);
    }

    fn crash(&mut self) {
        let copy = TempDir::new().expect("a folder");
        let before = self.folders.last().expect("there is one from the start");
        std::fs::copy(file_in(before.path()), file_in(copy.path())).expect("the file is copied");
        self.log = open_with(copy.path(), PARTITIONS, Clock::Owned(Arc::clone(&self.clock))).expect("what was left can be opened");
        self.folders.push(copy);
    }

    /// Whatever is committed here is decided before it is answered.
    fn pending(&self) -> Option<&dyn Pending> {
        None
    }
}

#[test]
fn a_folder_is_held_by_one_log_until_all_who_use_it_are_gone() {
    let folder = TempDir::new().expect("a folder");
    let log = open(folder.path());
    let consumer = log.consumer("rooms", "a").expect("the log is reached");
    assert!(
        matches!(open_with(folder.path(), 1, Clock::Wall), Err(LogError::Held { path }) if path == folder.path().display().to_string())
    );
    drop(log);
    assert!(matches!(open_with(folder.path(), 1, Clock::Wall), Err(LogError::Held { .. })));
    drop(consumer);
    open(folder.path());
}

#[test]
fn a_log_keeps_the_partitions_that_it_began_with() {
    let folder = TempDir::new().expect("a folder");
    append(&*open(folder.path()), PARTITIONS - 1, &["a"]);
    let log = open_with(folder.path(), 64, Clock::Wall).expect("the stored number counts");
    assert_eq!(log.partitions(), PARTITIONS);
    assert_eq!(ids(&*log, PARTITIONS - 1), ["a"]);
    assert!(open_with(TempDir::new().expect("a folder").path(), 0, Clock::Wall).is_err(), "no topic has no partition");
}

#[test]
fn a_log_that_was_dropped_without_a_word_is_whole_when_it_is_opened_again() {
    let folder = TempDir::new().expect("a folder");
    for life in 0..5 {
        let log = open(folder.path());
        let mut consumer = log.consumer("rooms", "a").expect("the log is reached");
        restore(&mut *consumer);
        let (fresh, _) = drain(&mut *consumer);
        assert_eq!(fresh.len(), usize::from(life > 0), "only the last life's decision is new to the group");
        append(&*log, 0, &[&format!("fact-{life}")]);
        let (_, positions) = drain(&mut *consumer);
        let next = positions.first().expect("there was something to read").1;
        let decided = vec![to(0, fact(&format!("decision-{life}"), "decided"))];
        log.producer("room-0").expect("a producer").commit(transaction(&*consumer, decided, &[(0, next.0)])).expect("a member commits");
        assert_eq!(log.end(Partition(0)).expect("the partition exists"), Offset(2 * (life + 1)));
    }
}

#[test]
fn a_large_log_that_ended_uncleanly_is_whole_when_it_is_opened_again() {
    const RECORDS: usize = 20_000;
    let (folder, copy) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let log = open_with(folder.path(), 1, Clock::Wall).expect("a new log");
    let text = "x".repeat(500);
    let ids: Vec<String> = (0..RECORDS).map(|nth| format!("fact-{nth}")).collect();
    for batch in ids.chunks(1_000) {
        log.append(batch.iter().map(|id| to(0, fact(id, &text))).collect()).expect("appended");
    }
    std::fs::copy(file_in(folder.path()), file_in(copy.path())).expect("the file is copied while it is open");
    let again = open_with(copy.path(), 1, Clock::Wall).expect("what was left can be opened");
    assert_eq!(again.end(Partition(0)).expect("it exists"), Offset(RECORDS as i64));
    let stored = read_all(&*again);
    assert_eq!(stored.len(), RECORDS);
    assert!(stored.iter().zip(&ids).all(|(stored, id)| stored.raw.header("ce_id") == Some(id)));
    let repeated = again.append(vec![to(0, fact(&ids[7], &text))]).expect("known");
    assert!(repeated[0].repeated && repeated[0].offset == Offset(7), "its keys are whole too: {repeated:?}");
}

#[test]
fn a_log_that_has_lost_what_was_answered_for_is_refused_until_somebody_accepts_the_loss() {
    let (folder, older) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    append(&*open(folder.path()), 1, &["a"]);
    std::fs::copy(file_in(folder.path()), file_in(older.path())).expect("the file is copied");
    append(&*open(folder.path()), 1, &["b"]);
    std::fs::copy(file_in(older.path()), file_in(folder.path())).expect("the older file takes its place");
    let refused = open_with(folder.path(), PARTITIONS, Clock::Wall).err().map(|error| error.to_string()).expect("it is refused");
    assert!(refused.contains("partition 1 ends before offset 1, and records up to 1 were answered for"), "{refused}");
    std::fs::remove_file(file_in(folder.path())).expect("it is there");
    let gone = open_with(folder.path(), PARTITIONS, Clock::Wall);
    assert!(matches!(gone, Err(LogError::RecordsLost { .. })) && !file_in(folder.path()).exists(), "none is begun in its place");
    std::fs::copy(file_in(older.path()), file_in(folder.path())).expect("the older file takes its place again");
    std::fs::remove_file(folder.path().join("log.ends")).expect("it is there");
    assert_eq!(ids(&*open(folder.path()), 1), ["a"]);
}

#[test]
fn large_records_are_handed_out_a_few_at_a_time_and_all_in_the_end() {
    const RECORDS: usize = 40;
    let folder = TempDir::new().expect("a folder");
    let log = open_with(folder.path(), 1, Clock::Wall).expect("a new log");
    let text = "x".repeat(900 << 10);
    (0..RECORDS).for_each(|nth| drop(log.append(vec![to(0, fact(&format!("fact-{nth}"), &text))]).expect("appended")));
    let mut consumer = join(&*log, "rooms", "a");
    let Ok(Polled::Records(_, first, next)) = consumer.poll(500) else { panic!("there is something to read") };
    assert!((1..=16).contains(&first.len()), "{} records of 900 KiB at once", first.len());
    assert_eq!(next, Offset(first.len() as i64));
    let (rest, _) = drain(&mut *consumer);
    assert_eq!(first.len() + rest.len(), RECORDS);
    assert_eq!(read_all(&*log).len(), RECORDS);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_as_one_that_may_not_be_written() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"in the way").expect("written");
    assert!(matches!(open_with(&file.join("data"), 1, Clock::Wall), Err(LogError::CannotWrite { .. })));
}

#[test]
fn appends_of_a_second_life_are_dated_no_earlier_than_those_of_the_first() {
    let folder = TempDir::new().expect("a folder");
    append(&*open_with(folder.path(), 1, owned(START.plus_s(9))).expect("a new log"), 0, &["a"]);
    let log = open_with(folder.path(), 1, owned(START)).expect("an old log");
    assert_eq!(log.now(), START.plus_s(9));
    append(&*log, 0, &["b"]);
    let records = log.read(Partition(0), Offset(0), 2).expect("the log is read");
    assert_eq!([records[0].appended, records[1].appended], [START.plus_s(9); 2]);
}

#[test]
fn a_file_of_another_format_is_refused() {
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let folder = TempDir::new().expect("a folder");
    drop(open(folder.path()));
    change(folder.path(), |writing| {
        writing.open_table(META).expect("the table").insert("format", 2).expect("written");
    });
    let refused = open_with(folder.path(), PARTITIONS, Clock::Wall).err().expect("refused");
    assert_eq!(refused.to_string(), "the log's storage fails: the file has format 2, only 1 can be read");
}

#[test]
fn a_record_with_a_flipped_bit_is_noticed_and_named() {
    const RECORDS: TableDefinition<'_, (u32, i64), &[u8]> = TableDefinition::new("records");
    let folder = TempDir::new().expect("a folder");
    append(&*open(folder.path()), 1, &["a", "b", "c"]);
    change(folder.path(), |writing| {
        let mut records = writing.open_table(RECORDS).expect("the table");
        let mut bytes = records.get((1, 1)).expect("read").expect("the record").value().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0b100;
        records.insert((1, 1), bytes.as_slice()).expect("written");
    });
    let log = open(folder.path());
    assert_eq!(log.read(Partition(1), Offset(0), 1).expect("the first is whole").len(), 1);
    assert_eq!(log.read(Partition(1), Offset(2), 1).expect("the last is whole").len(), 1);
    let damaged = log.read(Partition(1), Offset(0), 3).expect_err("the one between is not");
    assert_eq!(damaged.to_string(), "the log's storage fails: the record at partition 1, offset 1 fails its checksum");
    let mut consumer = join(&*log, "rooms", "a");
    assert!(consumer.poll(10).is_err(), "nobody is handed a part of what stands");
}

#[test]
fn a_file_that_is_no_log_is_refused() {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(file_in(folder.path()), b"a diary, perhaps").expect("written");
    assert!(matches!(open_with(folder.path(), PARTITIONS, Clock::Wall), Err(LogError::Storage { .. })));
    assert_eq!(std::fs::read(file_in(folder.path())).expect("read"), b"a diary, perhaps", "and left as it was");
}

#[test]
fn what_a_crash_left_of_a_beginning_is_begun_anew() {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("log.redb.new"), b"half a file").expect("written");
    append(&*open(folder.path()), 0, &["a"]);
    assert_eq!(ids(&*open(folder.path()), 0), ["a"]);
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).expect("read").map(|entry| entry.expect("read").file_name()).collect();
    left.sort();
    assert_eq!(left, ["log.ends", "log.redb"]);
}

#[test]
fn an_owned_clock_wakes_who_waits_when_its_owner_says_so() {
    let folder = TempDir::new().expect("a folder");
    let log = open(folder.path());
    let seen = log.wait(0, std::time::Duration::ZERO);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(seen, std::time::Duration::from_secs(60)));
        log.nudge();
        assert!(waiting.join().expect("the reader does not panic") > seen);
    });
}

#[test]
fn committed_offsets_alone_wake_nobody() {
    let folder = TempDir::new().expect("a folder");
    let log = open(folder.path());
    let consumer = join(&*log, "rooms", "a");
    let seen = log.wait(0, std::time::Duration::ZERO);
    log.producer("room-0").expect("a producer").commit(transaction(&*consumer, Vec::new(), &[(0, 0)])).expect("a member commits");
    assert_eq!(log.wait(seen, std::time::Duration::ZERO), seen);
}

#[test]
fn what_is_not_kept_in_the_file_grows_with_nothing() {
    let folder = TempDir::new().expect("a folder");
    append(&*open(folder.path()), 0, &["a"]);
    let store = Database::open(file_in(folder.path())).expect("nobody holds it");
    let reading = store.begin_read().expect("read");
    let mut tables: Vec<String> = reading.list_tables().expect("read").map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    tables.sort();
    assert_eq!(tables, ["keys", "meta", "offsets", "producers", "records"]);
}

pub(crate) fn open(folder: &Path) -> Arc<EmbeddedLog> {
    open_with(folder, PARTITIONS, Clock::Wall).expect("the log can be opened")
}

fn open_with(folder: &Path, partitions: u32, clock: Clock) -> Result<Arc<EmbeddedLog>, LogError> {
    EmbeddedLog::open(folder, EmbeddedOptions { topic: "agent-events".to_owned(), partitions, clock })
}

/// Partition 0, however many reads it takes.
fn read_all(log: &dyn Log) -> Vec<StoredRecord> {
    let mut all: Vec<StoredRecord> = Vec::new();
    loop {
        let page = log.read(Partition(0), Offset(all.len() as i64), usize::MAX).expect("every record is whole");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn owned(start: Timestamp) -> Clock {
    Clock::Owned(OwnedClock::starting_at(start))
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("log.redb")
}

/// Changes the file behind the log's back.
fn change(folder: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let store = Database::open(file_in(folder)).expect("nobody holds it");
    let writing = store.begin_write().expect("a write");
    change(&writing);
    writing.commit().expect("written");
}
