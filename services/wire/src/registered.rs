//! How a value names its schema by what a schema registry calls it: Confluent's framing, which Reeve reads and never writes.
//!
//! ```text
//! 00  the number that the registry gave the schema, 4 bytes, big-endian
//! 01  the schema's GUID, 16 bytes (registries since Confluent Platform 8.0)
//! ```
//! It stands before the value, or by itself in the header [`SCHEMA_ID_HEADER`], and the value is bare then.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::headers::Headers;

/// The header that may name the schema instead of the value's first bytes.
pub const SCHEMA_ID_HEADER: &str = "__value_schema_id";

/// What a schema registry calls a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SchemaId {
    /// A number of that registry's.
    Number(u32),
    /// A UUID that is the schema's own.
    Guid(Uuid),
}

/// What these bytes begin by naming, and what comes behind.
pub fn registered(bytes: &[u8]) -> Option<(SchemaId, &[u8])> {
    let (marker, rest) = bytes.split_first()?;
    match marker {
        0 => rest.split_first_chunk().map(|(number, bare)| (SchemaId::Number(u32::from_be_bytes(*number)), bare)),
        1 => rest.split_first_chunk().map(|(guid, bare)| (SchemaId::Guid(Uuid::from_bytes(*guid)), bare)),
        _ => None,
    }
}

/// What the last header of the name names, if it does that and nothing else.
pub fn registered_by_header(headers: &Headers) -> Option<SchemaId> {
    let (_, said) = headers.iter().filter(|(name, _)| *name == SCHEMA_ID_HEADER).last()?;
    registered(said).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id)
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Guid(guid) => write!(f, "{guid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: [u8; 16] = [7; 16];

    #[test]
    fn a_schema_is_named_by_a_number_or_by_a_guid_and_cut_short_by_nothing() {
        let number = [&[0, 0, 0, 1, 2][..], b"bare"].concat();
        let guid = [&[1][..], &GUID, b"bare"].concat();
        assert_eq!(registered(&number), Some((SchemaId::Number(258), &b"bare"[..])));
        assert_eq!(registered(&guid), Some((SchemaId::Guid(Uuid::from_bytes(GUID)), &b"bare"[..])));
        for none in [&b""[..], &number[..4], &guid[..16], &[2, 0, 0, 0, 0, 0], &[0xc3, 1, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(registered(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_header_names_a_schema_by_itself_or_not_at_all_and_of_two_the_last_counts() {
        let headers = |said: &[&[u8]]| -> Headers { said.iter().map(|said| (SCHEMA_ID_HEADER, *said)).collect() };
        let (seven, eight) = ([0, 0, 0, 0, 7], [0, 0, 0, 0, 8]);
        assert_eq!(registered_by_header(&headers(&[&seven, &eight])), Some(SchemaId::Number(8)));
        assert_eq!(registered_by_header(&headers(&[&seven, b""])), None);
        assert_eq!(registered_by_header(&headers(&[&[0, 0, 0, 0, 7, 1]])), None);
        assert_eq!(registered_by_header(&Headers::default()), None);
    }

    #[test]
    fn what_was_refused_by_a_number_before_there_were_guids_is_read_as_it_was() {
        for (id, said) in [(SchemaId::Number(7), "7"), (SchemaId::Guid(Uuid::from_bytes(GUID)), "\"07070707-0707-0707-0707-070707070707\"")]
        {
            assert_eq!(serde_json::to_string(&id).expect("it is written"), said);
            assert_eq!(serde_json::from_str::<SchemaId>(said).expect("it is read"), id);
        }
    }
}
