//! What a log says whose disk is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};
use wire::{Offset, Partition};

use super::storage::Storage;
use super::*;
use crate::errors::{Code, Coded, Fate};
use crate::log::contract::fixtures::{fact, to};

/// A disk that takes so many bytes.
#[derive(Debug)]
struct SmallDisk {
    file: InMemoryBackend,
    room_bytes: Arc<AtomicU64>,
}

impl StorageBackend for SmallDisk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        if len > self.room_bytes.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, bytes)
    }
}

#[test]
fn a_full_disk_is_told_by_its_own_code_to_whoever_asks_from_then_on() {
    let room_bytes = Arc::new(AtomicU64::new(u64::MAX));
    let log = open(&room_bytes);
    let mut consumer = log.consumer("rooms", "a").expect("the log is reached");
    consumer.poll(1).expect("assigned");
    let mut ends = Vec::new();
    room_bytes.store(4 << 20, Ordering::SeqCst);
    let refused = loop {
        ends.push(log.end(Partition(0)).expect("it exists"));
        let big = fact(&format!("fact-{}", ends.len()), &"x".repeat(64 << 10));
        if let Err(error) = log.append(vec![to(0, big)]) {
            break error;
        }
        assert!(ends.len() < 1_000, "the disk never fills");
    };
    assert_eq!((refused.code(), refused.fate()), (Code::CannotWrite, Fate::Refuse), "{refused}");
    assert!(refused.to_string().starts_with("the log cannot be written: "), "{refused}");
    assert_eq!(log.end(Partition(0)).expect("it exists"), *ends.last().expect("one at least"), "what was refused does not stand");
    // The store itself would only say that there was a failure before.
    assert_eq!(log.producer("room").err().map(|error| error.code()), Some(Code::CannotWrite));
    assert_eq!(log.read(Partition(0), Offset(0), 1).err().map(|error| error.code()), Some(Code::CannotWrite));
    assert_eq!(consumer.poll(1).err().map(|error| error.code()), Some(Code::CannotWrite), "an idle room hears of it, too");
}

#[test]
fn a_disk_without_room_for_a_new_log_is_told_by_the_same_code() {
    let disk = SmallDisk { file: InMemoryBackend::new(), room_bytes: Arc::new(AtomicU64::new(0)) };
    let refused = Database::builder().create_with_backend(disk).map_err(storage::failed("the file cannot be opened"));
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::CannotWrite));
}

fn open(room_bytes: &Arc<AtomicU64>) -> Arc<EmbeddedLog> {
    let disk = SmallDisk { file: InMemoryBackend::new(), room_bytes: Arc::clone(room_bytes) };
    let store = Database::builder().create_with_backend(disk).expect("there is room");
    let options = EmbeddedOptions { topic: "t".to_owned(), partitions: 1, clock: Clock::Wall };
    EmbeddedLog::over(Storage::over(store, 1).expect("there is room"), options).expect("an empty log")
}
