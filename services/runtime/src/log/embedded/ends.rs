//! The note beside the log: where each partition ended when a write was last answered.
//!
//! The store flushes a commit once. When its last pages cannot be read at the next start it takes the commit before, for
//! that is what a crash in the middle of a flush leaves, and nobody had an answer then. But a page that went bad after
//! the flush looks the same, and those records were answered for. The note tells the two apart: it is written after the
//! flush and before the answer, so a log that ends before its note has lost what somebody was told it has.
//!
//! The note itself is not flushed. A killed program leaves it as it was written; a machine that lost its power may leave
//! an older one, which asks for less and is never wrong. One that cannot be read is no reason to refuse a log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use wire::Offset;

use super::heads::Head;
use crate::log::LogError;

/// The file's name in the log's folder.
const FILE_NAME: &str = "log.ends";
/// Its first bytes; the digit is the version of its format: offsets and CRC-32 follow, little-endian.
const MARK: &[u8; 8] = b"REEVEND1";
/// No topic has more partitions.
const PARTITIONS_MAX: usize = 1 << 16;

/// The note, open to be written again and again.
pub(super) struct Ends {
    file: File,
    /// Whether it was told that the note cannot be written: it would be told with every write.
    told: AtomicBool,
}

// === impl Ends ===

impl Ends {
    /// Opens the note in `dir`, and what it says, if there is one that can be read.
    ///
    /// # Errors
    /// When it can neither be opened nor made.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Option<Vec<Offset>>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(FILE_NAME))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take((MARK.len() + PARTITIONS_MAX * 8 + 4) as u64).read_to_end(&mut bytes)?;
        let noted = decode(&bytes);
        if noted.is_none() && !bytes.is_empty() {
            tracing::warn!("{FILE_NAME} cannot be read: whether the log has lost its last records cannot be told this time");
        }
        Ok((Self { file, told: AtomicBool::new(false) }, noted))
    }

    /// Notes where the partitions end, now that it is on the disk. A note that fails leaves the last one.
    pub(super) fn note(&self, heads: &[Head]) {
        let written = self.file.write_all_at(&encode(heads.iter().map(|head| head.end)), 0);
        if let Err(error) = written
            && !self.told.swap(true, Ordering::SeqCst)
        {
            tracing::warn!("{FILE_NAME} cannot be written: a loss after this point would not be noticed: {error}");
        }
    }
}

/// Whether a log that ends so has everything that was noted.
///
/// # Errors
/// [`LogError::RecordsLost`].
pub(super) fn compare(noted: &[Offset], heads: &[Head]) -> Result<(), LogError> {
    if noted.len() != heads.len() {
        let reason = format!("it has {} partitions, {FILE_NAME} beside it tells of {}", heads.len(), noted.len());
        return Err(LogError::RecordsLost { reason });
    }
    let lost = noted.iter().zip(heads).enumerate().filter(|(_, (noted, head))| head.end < **noted);
    let told: Vec<String> = lost
        .map(|(partition, (noted, head))| {
            format!("partition {partition} ends before offset {}, and records up to {} were answered for", head.end, noted.previous())
        })
        .collect();
    if told.is_empty() { Ok(()) } else { Err(LogError::RecordsLost { reason: told.join("; ") }) }
}

/// Whether a note in `dir` tells of records, though there may be no log.
pub(super) fn tell_of_records(dir: &Path) -> bool {
    let noted = std::fs::read(dir.join(FILE_NAME)).ok().and_then(|bytes| decode(&bytes));
    noted.is_some_and(|noted| noted.iter().any(|end| *end > Offset(0)))
}

fn encode(ends: impl Iterator<Item = Offset>) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    ends.for_each(|end| bytes.extend(end.0.to_le_bytes()));
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<Offset>> {
    let (noted, sum) = bytes.split_last_chunk::<4>()?;
    let ends = noted.strip_prefix(MARK)?;
    let (ends, rest) = ends.as_chunks::<8>();
    let whole = rest.is_empty() && crc32fast::hash(noted) == u32::from_le_bytes(*sum);
    whole.then(|| ends.iter().map(|end| Offset(i64::from_le_bytes(*end))).collect())
}

#[cfg(test)]
mod tests {
    use wire::Timestamp;

    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_last_and_any_flipped_bit_makes_it_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ends, before) = Ends::open(folder.path()).expect("it can be made");
        assert_eq!(before, None);
        ends.note(&heads([4, 5]));
        ends.note(&heads([7, 5]));
        assert_eq!(Ends::open(folder.path()).expect("it is there").1, Some(vec![Offset(7), Offset(5)]));
        let bytes = std::fs::read(folder.path().join(FILE_NAME)).expect("it is there");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_log_may_end_after_its_note_and_not_before() {
        assert_eq!(compare(&[Offset(7), Offset(5)], &heads([7, 6])), Ok(()));
        let lost = compare(&[Offset(7), Offset(5)], &heads([7, 3])).map_err(|error| error.to_string());
        let told = "records are missing from the log: partition 1 ends before offset 3, and records up to 4 were answered for";
        assert_eq!(lost, Err(told.to_owned()));
        assert!(compare(&[Offset(7)], &heads([7, 6])).is_err(), "another topic's note is none of this log");
    }

    fn heads(ends: [i64; 2]) -> Vec<Head> {
        ends.map(|end| Head { end: Offset(end), last: Timestamp(0) }).into()
    }
}
