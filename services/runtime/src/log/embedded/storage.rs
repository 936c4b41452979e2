//! The file: which tables there are, and how they are read and written.

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use wire::{DedupeKey, Offset, Partition, RawRecord, StoredRecord, Timestamp};

use super::ends::{self, Ends};
use super::frame;
use super::heads::Head;
use super::tail::{Framed, READ_BYTES_MAX};
use crate::log::LogError;
use crate::log::dedupe::{BodyDigest, Known, UniqueKey};
use crate::room::panic_text;

/// The file's name in its folder.
const FILE_NAME: &str = "log.redb";
/// Its name while it is begun.
const NEW_FILE_NAME: &str = "log.redb.new";
/// The only format that this code reads and writes.
const FORMAT: u64 = 1;
/// Memory that the store may keep pages in. Rooms read at the end of the log, where few pages are.
const CACHE_BYTES: usize = 64 << 20;
/// What the store says of its progress when the last commit cannot be read, and it takes the one before.
const LAST_COMMIT_TAKEN_BACK: f64 = 0.3;
/// Stands for "any partition" in [`KEYS`]; a topic has fewer.
const ANY_PARTITION: u32 = u32::MAX;

/// `format` and `partitions`.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// (partition, offset) to the framed record.
const RECORDS: TableDefinition<'_, (u32, i64), &[u8]> = TableDefinition::new("records");
/// (consumer group, partition) to the next offset to read.
const OFFSETS: TableDefinition<'_, (&str, u32), i64> = TableDefinition::new("offsets");
/// Source and id, and the partition of a broadcast.
type StoredKey<'a> = (&'a [u8; 16], u32);
/// Partition, offset and body digest of the record that stands under a key.
type StoredKnown<'a> = (u32, i64, &'a [u8; 16]);
/// What a record is unique under to the record that is.
const KEYS: TableDefinition<'_, StoredKey<'_>, StoredKnown<'_>> = TableDefinition::new("keys");
/// Transactional id to its epoch.
const PRODUCERS: TableDefinition<'_, &str, u64> = TableDefinition::new("producers");

/// The open file.
pub(super) struct Storage {
    store: Database,
    partitions: u32,
    /// What is noted beside the file; absent where there is no folder.
    ends: Option<Ends>,
    /// Why the disk took no more. After its first failure the store refuses everything until it is opened anew, and
    /// says no more than that there was one.
    broken: OnceLock<LogError>,
}

/// A write under way: nothing of it stands before [`commit`](WriteTransaction::commit).
pub(super) struct Tables<'w> {
    records: Table<'w, (u32, i64), &'static [u8]>,
    offsets: Table<'w, (&'static str, u32), i64>,
    keys: Table<'w, StoredKey<'static>, StoredKnown<'static>>,
    producers: Table<'w, &'static str, u64>,
}

// === impl Storage ===

impl Storage {
    /// Opens the file in `dir`, or begins it with this many partitions. What is stored wins over what is asked.
    ///
    /// # Errors
    /// [`LogError::RecordsLost`] when it lacks records that were answered for, and as [`super::EmbeddedLog::open`] says.
    pub(super) fn open(dir: &Path, partitions: u32) -> Result<Self, LogError> {
        let no_folder = |error: std::io::Error| LogError::CannotWrite { reason: format!("the folder cannot be made: {error}") };
        std::fs::create_dir_all(dir).map_err(no_folder)?;
        let file = dir.join(FILE_NAME);
        let is_there = file.exists();
        if !is_there && ends::tell_of_records(dir) {
            return Err(LogError::RecordsLost { reason: format!("there is no {}, and records of it were answered for", file.display()) });
        }
        let store = if is_there { open_store(dir, &file)? } else { begin_store(dir, &file, partitions)? };
        let mut storage = Self::over(store, partitions)?;
        let (ends, noted) = Ends::open(dir).map_err(failed("the note of the log's ends cannot be opened"))?;
        let heads = storage.heads()?;
        noted.map_or(Ok(()), |noted| ends::compare(&noted, &heads))?;
        ends.note(&heads);
        storage.ends = Some(ends);
        Ok(storage)
    }

    /// A log in an open store, which is begun with this many partitions if it is empty.
    pub(super) fn over(store: Database, partitions: u32) -> Result<Self, LogError> {
        let partitions = begin_or_check(&store, partitions)?;
        Ok(Self { store, partitions, ends: None, broken: OnceLock::new() })
    }

    /// Notes where the partitions end: a write stands, and is answered next.
    pub(super) fn note(&self, heads: &[Head]) {
        self.ends.iter().for_each(|ends| ends.note(heads));
    }

    /// Remembers that the disk took no more: from now on everything is refused for this reason.
    pub(super) fn broke(&self, cause: &LogError) {
        if matches!(cause, LogError::CannotWrite { .. }) {
            // The first reason is the one to tell.
            self.broken.set(cause.clone()).ok();
        }
    }

    /// Whether it still stands.
    ///
    /// # Errors
    /// [`LogError::CannotWrite`] since the disk took no more.
    pub(super) fn stands(&self) -> Result<(), LogError> {
        self.broken.get().map_or(Ok(()), |cause| Err(cause.clone()))
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Where each partition ends.
    pub(super) fn heads(&self) -> Result<Vec<Head>, LogError> {
        let reading = self.begin_read()?;
        let records = reading.open_table(RECORDS).map_err(failed("records cannot be read"))?;
        let mut heads = Vec::new();
        for partition in 0..self.partitions {
            let mut range = records.range((partition, 0)..=(partition, i64::MAX)).map_err(failed("records cannot be read"))?;
            let last = range.next_back().transpose().map_err(failed("records cannot be read"))?;
            heads.push(match last {
                None => Head { end: Offset(0), last: Timestamp::MIN },
                Some((place, bytes)) => {
                    let offset = Offset(place.value().1);
                    let stored = intact(Partition(partition), offset, bytes.value())?;
                    Head { end: offset.next(), last: stored.appended }
                }
            });
        }
        Ok(heads)
    }

    /// Records of a partition from `from` to before `end`, at most `max`, and fewer where they are large.
    pub(super) fn read(&self, partition: Partition, from: Offset, end: Offset, max: usize) -> Result<Vec<StoredRecord>, LogError> {
        let reading = self.begin_read()?;
        let records = reading.open_table(RECORDS).map_err(failed("records cannot be read"))?;
        let range = records.range((partition.0, from.0)..(partition.0, end.0)).map_err(failed("records cannot be read"))?;
        let reach = usize::try_from(end.0.saturating_sub(from.0)).unwrap_or(0);
        let mut found: Vec<StoredRecord> = Vec::with_capacity(reach.min(max));
        let (mut next, mut read_bytes) = (from, 0);
        for entry in range.take(max) {
            let (place, bytes) = entry.map_err(failed("records cannot be read"))?;
            let offset = Offset(place.value().1);
            if offset != next {
                return Err(missing(partition, next));
            }
            found.push(intact(partition, offset, bytes.value())?);
            next = offset.next();
            read_bytes += bytes.value().len();
            if read_bytes >= READ_BYTES_MAX {
                break;
            }
        }
        // A reader is told only where the partition ends what lies before it: less is not a shorter log, but a damaged one.
        if found.len() < reach.min(max) && read_bytes < READ_BYTES_MAX {
            return Err(missing(partition, next));
        }
        Ok(found)
    }

    /// The offset that `group` committed on `partition`.
    pub(super) fn committed(&self, group: &str, partition: Partition) -> Result<Option<Offset>, LogError> {
        let reading = self.begin_read()?;
        let offsets = reading.open_table(OFFSETS).map_err(failed("offsets cannot be read"))?;
        let stored = offsets.get((group, partition.0)).map_err(failed("offsets cannot be read"))?;
        Ok(stored.map(|offset| Offset(offset.value())))
    }

    /// Begins a write. It is on the disk when its commit returns.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, LogError> {
        self.stands()?;
        self.store.begin_write().map_err(failed("no write can begin"))
    }

    fn begin_read(&self) -> Result<ReadTransaction, LogError> {
        self.stands()?;
        self.store.begin_read().map_err(failed("no read can begin"))
    }
}

// === impl Tables ===

impl<'w> Tables<'w> {
    pub(super) fn open(writing: &'w WriteTransaction) -> Result<Self, LogError> {
        Ok(Self {
            records: writing.open_table(RECORDS).map_err(failed("records cannot be written"))?,
            offsets: writing.open_table(OFFSETS).map_err(failed("offsets cannot be written"))?,
            keys: writing.open_table(KEYS).map_err(failed("keys cannot be written"))?,
            producers: writing.open_table(PRODUCERS).map_err(failed("producers cannot be written"))?,
        })
    }

    pub(super) fn put_record(&mut self, partition: Partition, head: Head, raw: &RawRecord) -> Result<Framed, LogError> {
        let frame = frame::write(partition, head.end, head.last, raw);
        self.records.insert((partition.0, head.end.0), frame.as_slice()).map_err(failed("a record cannot be written"))?;
        Ok(Framed { partition, offset: head.end, frame })
    }

    pub(super) fn put_offset(&mut self, group: &str, partition: Partition, next: Offset) -> Result<(), LogError> {
        self.offsets.insert((group, partition.0), next.0).map_err(failed("an offset cannot be written"))?;
        Ok(())
    }

    pub(super) fn key(&self, key: &UniqueKey) -> Result<Option<Known>, LogError> {
        let found = self.keys.get((&key.key.0, scope(key))).map_err(failed("a key cannot be read"))?;
        Ok(found.map(|known| {
            let (_, offset, digest) = known.value();
            Known { offset: Offset(offset), digest: *digest }
        }))
    }

    pub(super) fn put_key(&mut self, key: &UniqueKey, partition: Partition, offset: Offset, digest: &BodyDigest) -> Result<(), LogError> {
        let DedupeKey(bytes) = &key.key;
        self.keys.insert((bytes, scope(key)), (partition.0, offset.0, digest)).map_err(failed("a key cannot be written"))?;
        Ok(())
    }

    /// The epoch of a transactional id; 0 before its first producer.
    pub(super) fn epoch(&self, transactional_id: &str) -> Result<u64, LogError> {
        let found = self.producers.get(transactional_id).map_err(failed("a producer cannot be read"))?;
        Ok(found.map_or(0, |epoch| epoch.value()))
    }

    pub(super) fn put_epoch(&mut self, transactional_id: &str, epoch: u64) -> Result<(), LogError> {
        self.producers.insert(transactional_id, epoch).map_err(failed("a producer cannot be written"))?;
        Ok(())
    }
}

/// An error of the store or the disk as the log's, with what was tried.
pub(super) fn failed<E: Into<redb::Error>>(what: &'static str) -> impl Fn(E) -> LogError {
    move |error| {
        let error = error.into();
        let reason = format!("{what}: {error}");
        match error {
            redb::Error::Io(error) if takes_no_more(error.kind()) => LogError::CannotWrite { reason },
            _ => LogError::Storage { reason },
        }
    }
}

/// What a disk says that is full or may not be written, as against one that fails.
fn takes_no_more(kind: ErrorKind) -> bool {
    use ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem | PermissionDenied)
}

/// The store in a file, which is begun if it is not there.
///
/// Every page is held against its checksum, also where the file was closed in good order: a record has a checksum of its
/// own, but the key that keeps its id unique has none, and a bit that flips there would let the same fact in twice. It
/// costs one read of the file, as every start after a crash does.
fn open_store(dir: &Path, file: &Path) -> Result<Database, LogError> {
    let told = file.display().to_string();
    let checking = move |check: &mut redb::RepairSession| {
        let progress = check.progress();
        if progress == LAST_COMMIT_TAKEN_BACK {
            tracing::warn!("{told}: the last write did not reach the disk whole, the one before it counts");
        }
        tracing::info!(progress, "{told} is checked, {:.0} % done", progress * 100.0);
    };
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).set_repair_callback(checking);
    // A store that trips over what it finds has found damage. Nothing of it is used after that.
    let opened = catch_unwind(AssertUnwindSafe(|| builder.create(file)));
    let opened = opened.map_err(|panic| LogError::Storage { reason: format!("the file is damaged: {}", panic_text(&*panic)) })?;
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => LogError::Held { path: dir.display().to_string() },
        other => failed("the file cannot be opened")(other),
    })
}

/// Begins the store under another name and gives it its own once it is whole: a crash meanwhile leaves no file that
/// nobody can open. Whoever holds the file of the first name is the only one who begins.
fn begin_store(dir: &Path, file: &Path, partitions: u32) -> Result<Database, LogError> {
    let new = dir.join(NEW_FILE_NAME);
    let store = match open_store(dir, &new) {
        Ok(store) => store,
        Err(held @ LogError::Held { .. }) => return Err(held),
        // What a crash left of an earlier beginning.
        Err(_) => {
            std::fs::remove_file(&new).map_err(failed("an unfinished file cannot be removed"))?;
            open_store(dir, &new)?
        }
    };
    if file.exists() {
        // Somebody else began and ended since we looked: theirs stays.
        std::fs::remove_file(&new).map_err(failed("a second beginning cannot be removed"))?;
        return Err(LogError::Held { path: dir.display().to_string() });
    }
    begin_or_check(&store, partitions)?;
    std::fs::rename(&new, file).map_err(failed("the file cannot be given its name"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("the folder cannot be flushed"))?;
    Ok(store)
}

/// Writes format and partitions into a new file, or checks those of an old one. The partitions that count.
fn begin_or_check(store: &Database, partitions: u32) -> Result<u32, LogError> {
    let writing = store.begin_write().map_err(failed("no write can begin"))?;
    let stored = {
        let mut meta = writing.open_table(META).map_err(failed("the file's description cannot be read"))?;
        let mut get_or_put = |name: &str, fresh: u64| -> Result<u64, LogError> {
            let stored = meta.get(name).map_err(failed("the file's description cannot be read"))?.map(|value| value.value());
            if stored.is_none() {
                meta.insert(name, fresh).map_err(failed("the file's description cannot be written"))?;
            }
            Ok(stored.unwrap_or(fresh))
        };
        let format = get_or_put("format", FORMAT)?;
        if format != FORMAT {
            return Err(LogError::Storage { reason: format!("the file has format {format}, only {FORMAT} can be read") });
        }
        get_or_put("partitions", u64::from(partitions))?
    };
    // A new file has all its tables from the start, so that no reader meets one without.
    Tables::open(&writing)?;
    writing.commit().map_err(failed("the file's description cannot be written"))?;
    u32::try_from(stored).map_err(|_| LogError::Storage { reason: format!("the file claims {stored} partitions") })
}

fn missing(partition: Partition, offset: Offset) -> LogError {
    LogError::Storage { reason: format!("the record at partition {partition}, offset {offset} is missing") }
}

fn intact(partition: Partition, offset: Offset, bytes: &[u8]) -> Result<StoredRecord, LogError> {
    let reason = || format!("the record at partition {partition}, offset {offset} fails its checksum");
    frame::read(partition, offset, bytes).ok_or_else(|| LogError::Storage { reason: reason() })
}

fn scope(key: &UniqueKey) -> u32 {
    key.partition.map_or(ANY_PARTITION, |partition| partition.0)
}
