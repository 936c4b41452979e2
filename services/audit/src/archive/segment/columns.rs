//! The columns of a segment: the record itself, and what its headers say, for whoever asks without decoding anything.

use bytes::Bytes;
use wire::{StoredRecord, Timestamp};

/// The schema of every segment. A column is only ever added, at the end and optional: so a file of another build has this
/// schema, its beginning, or more.
pub(super) const SCHEMA: &str = "message record {
  REQUIRED BYTE_ARRAY topic (STRING);
  REQUIRED INT32 partition;
  REQUIRED INT64 offset;
  REQUIRED INT64 appended (TIMESTAMP(MICROS,true));
  OPTIONAL BYTE_ARRAY key;
  REQUIRED GROUP headers (LIST) {
    REPEATED GROUP list {
      REQUIRED GROUP element {
        REQUIRED BYTE_ARRAY name (STRING);
        REQUIRED BYTE_ARRAY value;
      }
    }
  }
  REQUIRED BYTE_ARRAY value;
  OPTIONAL BYTE_ARRAY kind (STRING);
  OPTIONAL BYTE_ARRAY source (STRING);
  OPTIONAL BYTE_ARRAY id (STRING);
  OPTIONAL INT64 time (TIMESTAMP(MICROS,true));
  OPTIONAL BYTE_ARRAY subject (STRING);
  OPTIONAL BYTE_ARRAY refusal (STRING);
}";

/// Columns that are the record itself, and that every segment has.
pub(super) const RECORD_COLUMNS: usize = 7;

/// What a row says of its record beside the record: read from headers, where they can be read. Texts are bytes here, for
/// they go from a header into a column as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Name of the kind that the value is framed as.
    pub(super) kind: Option<Bytes>,
    /// `ce_source`.
    pub(super) source: Option<Bytes>,
    /// `ce_id`.
    pub(super) id: Option<Bytes>,
    /// `ce_time`.
    pub(super) time: Option<i64>,
    /// `ce_subject`.
    pub(super) subject: Option<Bytes>,
}

// === impl Told ===

impl Told {
    pub(super) fn of(record: &StoredRecord) -> Self {
        let header = |name| record.raw.header_bytes(name).filter(|text| std::str::from_utf8(text).is_ok());
        Self {
            kind: record.raw.kind().map(|kind| Bytes::from_static(kind.name().as_bytes())),
            source: header("ce_source"),
            id: header("ce_id"),
            time: record.raw.header("ce_time").and_then(Timestamp::parse).map(|time| time.0),
            subject: header("ce_subject"),
        }
    }
}
