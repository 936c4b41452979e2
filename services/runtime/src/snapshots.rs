//! Snapshots: a fold and its place, so that a restart folds a tail and not a life.
//!
//! A snapshot is a hint, never the truth: whatever is wrong with one (cut short, another room's, another version's,
//! ahead of the log, of another log), it is skipped for an older one, loudly, and at worst the log is folded from its start.
//! Several members may share a store, and one that has lost its partition may still write what it had: so whoever writes
//! removes what is older than its own, and of what is newer only what it has itself found to be of another log.
//! The one door to `object_store` is [`stored`](crate::snapshots::StoredSnapshots).

mod address;
mod bucket;
mod memory;
mod stored;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub use address::StoreAddress;
pub use memory::MemorySnapshots;
pub use stored::{Patience, StoredSnapshots};

use machine::{Fold, Machine};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use wire::{Offset, Partition, codec};

use crate::errors::{Code, Coded};
use crate::facts::{Fact, SnapshotTold};
use crate::log::{Extent, Log};

/// Snapshots of one partition that are kept: the newest ones.
pub const KEPT: usize = 3;

/// First bytes of every snapshot; the number is the version of this format.
const MARK: &[u8; 8] = b"REEVES02";
/// Bytes of mark and header length.
const PREFIX_BYTES: usize = MARK.len() + 4;
/// No header is longer.
const HEADER_BYTES_MAX: usize = 4_096;
/// Snapshots of other logs that are remembered until they are removed. More are found again by the next restore.
const DISOWNED_MAX: usize = 1_000;

/// Which snapshot: of which room, of which partition, at which position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotPlace {
    /// The room.
    pub service: &'static str,
    /// The partition.
    pub partition: Partition,
    /// The next offset to fold.
    pub position: Offset,
}

/// Makes a snapshot's bytes, when and where there is time for it.
pub type Encode = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// Where snapshots are kept. Calls block; none is made while a transaction is open.
pub trait SnapshotStore: Send + Sync {
    /// Positions of the snapshots of a partition, newest first.
    ///
    /// # Errors
    /// [`SnapshotError::Store`].
    fn positions(&self, service: &'static str, partition: Partition) -> Result<Vec<Offset>, SnapshotError>;

    /// The bytes of one snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::Store`].
    fn read(&self, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError>;

    /// Takes a snapshot to be written soon. It and the [`KEPT`] - 1 before it stay; older ones are dropped, and so are
    /// the [disowned](Self::disown). Those beyond it stay: a newer owner of the partition may have written them.
    /// `false`: too busy, nothing was taken.
    fn put(&self, place: SnapshotPlace, encode: Encode) -> bool;

    /// As [`put`](Self::put), and waits until there is room for it: for whoever ends, and has no next time.
    fn put_last(&self, place: SnapshotPlace, encode: Encode) {
        self.put(place, encode);
    }

    /// Notes that a snapshot was found to be of another log: it is dropped with the next that is put, since else it would
    /// be tried at every restore, and stand before this log's. Not before: it may be the log that is the wrong one.
    fn disown(&self, place: SnapshotPlace);

    /// Returns once everything taken so far is written or has failed.
    fn flush(&self) {}
}

/// Why a snapshot is not used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The store fails.
    #[error("the snapshot store fails: {reason}")]
    Store {
        /// What it said.
        reason: String,
    },
    /// It is no snapshot, or not a whole one.
    #[error("the snapshot is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// It is of another room, partition, version of the rules, or set of schemas.
    #[error("the snapshot is foreign: {field} is {found}, expected {expected}")]
    Foreign {
        /// What differs.
        field: &'static str,
        /// What the snapshot says.
        found: String,
        /// What this room says.
        expected: String,
    },
    /// It knows records that the log does not have.
    #[error("the snapshot stands at {position}, the log ends at {end}")]
    AheadOfLog {
        /// Its position.
        position: Offset,
        /// The log's high watermark.
        end: Offset,
    },
    /// The log has another record where it ends: a log of that name was begun anew, or put back to an older copy.
    #[error("the snapshot ends with a record at {asof} that the log does not have")]
    OfAnotherLog {
        /// Offset of the last record that it folded.
        asof: Offset,
    },
    /// The log no longer has the records that follow it.
    #[error("the snapshot stands at {position}, the log starts at {start}")]
    BehindLog {
        /// Its position.
        position: Offset,
        /// The log's first offset.
        start: Offset,
    },
}

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    service: String,
    version: u32,
    schemas: String,
    partition: Partition,
    position: Offset,
    body_sha256: String,
}

/// A fold as it comes out of a snapshot, and the next offset to fold.
#[derive(Debug)]
pub struct Restored<M: Machine> {
    /// The fold.
    pub fold: Fold<M>,
    /// Where to go on.
    pub position: Offset,
}

/// The newest snapshot of a partition that can be read and that ends where `log`, which reaches as `extent` says, has
/// the same record. What is skipped is told.
pub fn newest<M: Machine>(store: &dyn SnapshotStore, log: &dyn Log, partition: Partition, extent: Extent) -> Option<Restored<M>> {
    let told = |position, outcome, reason: Option<&str>| {
        SnapshotTold { room: M::SERVICE, partition, position, outcome, reason }.emit();
    };
    let positions = match store.positions(M::SERVICE, partition) {
        Ok(positions) => positions,
        Err(error) => {
            told(Offset::BEFORE_ALL, "unreadable", Some(&error.to_string()));
            return None;
        }
    };
    for position in positions {
        let place = SnapshotPlace { service: M::SERVICE, partition, position };
        match believed::<M>(store, &place, log, extent) {
            Ok(fold) => {
                told(position, "restored", None);
                return Some(Restored { fold, position });
            }
            Err(error) => {
                told(position, "unreadable", Some(&error.to_string()));
                if matches!(error, SnapshotError::AheadOfLog { .. } | SnapshotError::OfAnotherLog { .. }) {
                    store.disown(place);
                }
            }
        }
    }
    None
}

fn believed<M: Machine>(store: &dyn SnapshotStore, place: &SnapshotPlace, log: &dyn Log, extent: Extent) -> Result<Fold<M>, SnapshotError> {
    within(place.position, extent)?;
    let fold = decode::<M>(place, &store.read(place)?)?;
    ends_on(log, &fold, extent)?;
    Ok(fold)
}

/// The bytes of a snapshot of `fold` at `position`.
pub fn encode<M: Machine>(fold: &Fold<M>, position: Offset) -> Vec<u8> {
    let mut body = Vec::new();
    ciborium::into_writer(fold, &mut body).expect("a fold is plain values, and memory takes them all");
    let header = Header { position, body_sha256: sha256(&body), ..expected::<M>(fold.partition()) };
    let mut header_bytes = Vec::new();
    ciborium::into_writer(&header, &mut header_bytes).expect("a header is plain values");
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + header_bytes.len() + body.len());
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&(header_bytes.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&header_bytes);
    bytes.extend_from_slice(&body);
    bytes
}

/// Reads a snapshot, believing nothing of it.
///
/// # Errors
/// [`SnapshotError::Damaged`] or [`SnapshotError::Foreign`].
pub fn decode<M: Machine>(place: &SnapshotPlace, bytes: &[u8]) -> Result<Fold<M>, SnapshotError> {
    let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES).ok_or_else(|| damaged("it is cut short"))?;
    let (mark, length) = prefix.split_at(MARK.len());
    if mark != MARK {
        return Err(foreign("format", &String::from_utf8_lossy(mark), &String::from_utf8_lossy(MARK)));
    }
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if length > HEADER_BYTES_MAX {
        return Err(damaged("its header is too long"));
    }
    let (header, body) = rest.split_at_checked(length).ok_or_else(|| damaged("its header is cut short"))?;
    let header: Header = ciborium::from_reader(header).map_err(|error| damaged(&error.to_string()))?;
    compare(&header, &Header { position: place.position, ..expected::<M>(place.partition) })?;
    if header.body_sha256 != sha256(body) {
        return Err(damaged("its SHA-256 is not that of its body"));
    }
    ciborium::from_reader(body).map_err(|error| damaged(&error.to_string()))
}

/// What a header of `M` says today, but for position and digest.
fn expected<M: Machine>(partition: Partition) -> Header {
    Header {
        service: M::SERVICE.to_owned(),
        version: M::VERSION,
        schemas: schemas::<M>(),
        partition,
        position: Offset::BEFORE_ALL,
        body_sha256: String::new(),
    }
}

/// A digest of the schemas that `M` reads: a state that was folded with other readers is another state.
fn schemas<M: Machine>() -> String {
    let mut hash = Sha256::new();
    M::READS.iter().for_each(|kind| hash.update(codec::framing_of(*kind)));
    hex(&hash.finalize())
}

fn compare(found: &Header, expected: &Header) -> Result<(), SnapshotError> {
    let same = |field, found: &dyn ToString, expected: &dyn ToString| {
        let (found, expected) = (found.to_string(), expected.to_string());
        if found == expected { Ok(()) } else { Err(foreign(field, &found, &expected)) }
    };
    same("room", &found.service, &expected.service)?;
    same("version", &found.version, &expected.version)?;
    same("schemas", &found.schemas, &expected.schemas)?;
    same("partition", &found.partition, &expected.partition)?;
    same("position", &found.position, &expected.position)
}

fn within(position: Offset, extent: Extent) -> Result<(), SnapshotError> {
    if position > extent.high_watermark {
        return Err(SnapshotError::AheadOfLog { position, end: extent.high_watermark });
    }
    if position < extent.start {
        return Err(SnapshotError::BehindLog { position, start: extent.start });
    }
    Ok(())
}

/// A log that was begun anew, or put back to an older copy, grows past the positions of the snapshots that outlived it;
/// but it dates the record there otherwise. A record that the log no longer keeps cannot be compared.
fn ends_on<M: Machine>(log: &dyn Log, fold: &Fold<M>, extent: Extent) -> Result<(), SnapshotError> {
    let asof = fold.asof();
    if asof < extent.start {
        return Ok(());
    }
    let found = log.dated(fold.partition(), asof).map_err(|error| SnapshotError::Store { reason: error.to_string() })?;
    let same = found == Some((asof, fold.appended()));
    if same { Ok(()) } else { Err(SnapshotError::OfAnotherLog { asof }) }
}

/// Snapshots that were found to be of another log, until they are dropped.
#[derive(Debug, Default)]
struct Disowned(Mutex<BTreeSet<SnapshotPlace>>);

// === impl Disowned ===

impl Disowned {
    fn note(&self, place: SnapshotPlace) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() < DISOWNED_MAX {
            places.insert(place);
        }
    }

    /// Of all `positions` around it, those that are dropped once a snapshot of this log stands at `written`. They are
    /// forgotten here: what cannot be dropped now is found again.
    fn dropped(&self, mut positions: Vec<Offset>, written: &SnapshotPlace) -> Vec<Offset> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.remove(written);
        positions.sort_unstable_by(|one, other| other.cmp(one));
        positions.dedup();
        let mut kept = 0;
        positions.retain(|position| {
            if places.remove(&SnapshotPlace { position: *position, ..written.clone() }) {
                return true;
            }
            kept += usize::from(*position <= written.position);
            kept > KEPT
        });
        positions
    }
}

fn damaged(reason: &str) -> SnapshotError {
    SnapshotError::Damaged { reason: reason.to_owned() }
}

fn foreign(field: &'static str, found: &str, expected: &str) -> SnapshotError {
    SnapshotError::Foreign { field, found: found.to_owned(), expected: expected.to_owned() }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Coded for SnapshotError {
    fn code(&self) -> Code {
        Code::SnapshotUnreadable
    }
}
