//! The stored form of a record.
//!
//! ```text
//! crc32    4 bytes, little-endian: of partition (u32), offset (i64) and everything after it
//! appended 8 bytes, little-endian: microseconds since the epoch
//! key      length + 1 as a varint, or 0 where there is none; the bytes
//! headers  their number as a varint; their packed form
//! value    the rest
//! ```
//! Headers are stored as they are packed in memory ([`wire::headers`]), so that key, headers and value are views of what is read.
//! Varints are LEB128. The place is under the checksum, so that a record is never read as another one's.

use bytes::{Buf, Bytes};
use wire::headers::{read_varint, write_varint};
use wire::{Headers, Offset, Partition, RawRecord, StoredRecord, Timestamp};

/// Bytes of the checksum.
const SUM_BYTES: usize = 4;
/// Bytes before the part that is read piece by piece.
const PREFIX_BYTES: usize = SUM_BYTES + 8;

/// The stored form of `raw` at its place.
pub(super) fn write(partition: Partition, offset: Offset, appended: Timestamp, raw: &RawRecord) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX_BYTES + raw.size() + 16);
    frame.extend([0; SUM_BYTES]);
    frame.extend(appended.0.to_le_bytes());
    match &raw.key {
        None => write_varint(&mut frame, 0),
        Some(key) => {
            write_varint(&mut frame, key.len() + 1);
            frame.extend_from_slice(key);
        }
    }
    write_varint(&mut frame, raw.headers.len());
    frame.extend_from_slice(raw.headers.packed());
    frame.extend_from_slice(&raw.value);
    let sum = checksum(partition, offset, &frame[SUM_BYTES..]);
    frame[..SUM_BYTES].copy_from_slice(&sum.to_le_bytes());
    frame
}

/// Reads a stored record; `None` when its bytes are not what was written at this place.
pub(super) fn read(partition: Partition, offset: Offset, frame: &[u8]) -> Option<StoredRecord> {
    let (sum, summed) = frame.split_first_chunk::<SUM_BYTES>()?;
    if u32::from_le_bytes(*sum) != checksum(partition, offset, summed) {
        return None;
    }
    // One copy out of the store; key, headers and value are views of it.
    take_apart(partition, offset, Bytes::copy_from_slice(summed))
}

/// The record of a stored form that was never out of hand.
pub(super) fn parse(partition: Partition, offset: Offset, mut frame: Bytes) -> Option<StoredRecord> {
    take_apart(partition, offset, frame.split_off(SUM_BYTES.min(frame.len())))
}

fn take_apart(partition: Partition, offset: Offset, summed: Bytes) -> Option<StoredRecord> {
    let mut rest = Pieces(summed);
    let appended = Timestamp(i64::from_le_bytes(rest.take(8)?.as_ref().try_into().ok()?));
    let key = match rest.varint()? {
        0 => None,
        length => Some(rest.take(length - 1)?),
    };
    let count = rest.varint()?;
    let headers = Headers::cut_off(count, &mut rest.0)?;
    Some(StoredRecord { partition, offset, appended, raw: RawRecord { key, headers, value: rest.0 } })
}

/// What is left to read.
struct Pieces(Bytes);

// === impl Pieces ===

impl Pieces {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn varint(&mut self) -> Option<usize> {
        let mut rest = &self.0[..];
        let number = read_varint(&mut rest)?;
        self.0.advance(self.0.len() - rest.len());
        Some(number)
    }
}

fn checksum(partition: Partition, offset: Offset, bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&partition.0.to_le_bytes());
    sum.update(&offset.0.to_le_bytes());
    sum.update(bytes);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (Partition, Offset) = (Partition(3), Offset(41));

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let bare = RawRecord::default();
        let empty_key = RawRecord { key: Some(Bytes::new()), ..RawRecord::default() };
        for raw in [record(), bare, empty_key] {
            let frame = write(PLACE.0, PLACE.1, Timestamp(-7), &raw);
            let stored = StoredRecord { partition: PLACE.0, offset: PLACE.1, appended: Timestamp(-7), raw };
            assert_eq!(read(PLACE.0, PLACE.1, &frame).as_ref(), Some(&stored));
            assert_eq!(parse(PLACE.0, PLACE.1, frame.into()), Some(stored));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_lost_tail_is_noticed() {
        let frame = write(PLACE.0, PLACE.1, Timestamp(5), &record());
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(PLACE.0, PLACE.1, &flipped), None, "bit {bit}");
        }
        for length in 0..frame.len() {
            assert_eq!(read(PLACE.0, PLACE.1, &frame[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_record_is_never_read_as_another_ones() {
        let frame = write(PLACE.0, PLACE.1, Timestamp(5), &record());
        assert_eq!(read(PLACE.0, PLACE.1.next(), &frame), None);
        assert_eq!(read(Partition(4), PLACE.1, &frame), None);
    }

    fn record() -> RawRecord {
        let headers = [("ce_id", "1"), ("x-own", "of the publisher"), ("traceparent", "")];
        RawRecord { key: Some(Bytes::from_static(b"agent-7")), headers: headers.into(), value: Bytes::from(vec![0x5a; 300]) }
    }
}
