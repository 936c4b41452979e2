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
    /// Of a header that is given twice the first counts.
    pub(super) fn of(record: &StoredRecord) -> Self {
        let headers = &record.raw.headers;
        let (mut source, mut id, mut time, mut subject) = (None, None, None, None);
        for (name, value) in headers {
            let first = match name {
                "ce_source" => &mut source,
                "ce_id" => &mut id,
                "ce_time" => &mut time,
                "ce_subject" => &mut subject,
                _ => continue,
            };
            first.get_or_insert(value);
        }
        let text = |value: Option<&[u8]>| value.filter(|text| std::str::from_utf8(text).is_ok()).map(|text| headers.share(text));
        let time = time.and_then(|time| Timestamp::parse(std::str::from_utf8(time).ok()?));
        Self {
            kind: record.raw.kind().map(|kind| Bytes::from_static(kind.name().as_bytes())),
            source: text(source),
            id: text(id),
            time: time.map(|time| time.0),
            subject: text(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{Offset, Partition, RawRecord};

    use super::*;

    #[test]
    fn a_row_says_what_its_first_headers_say_where_that_can_be_read() {
        let headers: [(&str, &[u8]); 6] = [
            ("ce_id", b"1"),
            ("ce_subject", b"\xff"),
            ("x-own", b"ce_source"),
            ("ce_time", b"soon"),
            ("ce_id", b"2"),
            ("ce_subject", b"session"),
        ];
        let raw = RawRecord { headers: headers.into(), ..RawRecord::default() };
        let record = StoredRecord { partition: Partition(0), offset: Offset(0), appended: Timestamp(0), raw };
        assert_eq!(Told::of(&record), Told { id: Some(Bytes::from_static(b"1")), ..Told::default() });
        let times = RawRecord { headers: [("ce_time", "1970-01-01T00:00:01Z")].into(), ..RawRecord::default() };
        assert_eq!(Told::of(&StoredRecord { raw: times, ..record }).time, Some(1_000_000));
    }
}
