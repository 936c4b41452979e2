//! Why a record or an event cannot be taken, as a closed list that names the field and the limit.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::registered::SchemaId;

/// One fault of one record. A record may have several; the door lists them all.
///
/// Fields are named as their publisher knows them: attributes as CloudEvents does (`subject`), fields of the value
/// with their path (`data.basis.causes[3]`). The list grows only with a new code; a code never changes its meaning.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// The value is larger than a record may be.
    #[error("{field} has {found} bytes, at most {limit} are taken")]
    TooLarge {
        /// What is too large.
        field: String,
        /// Most bytes that are taken.
        limit: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The value has no framing that Reeve knows.
    #[error("the value starts with neither `C3 01` nor a registered schema id")]
    UnknownFraming,
    /// The value is framed by the id that a schema registry gave, and nobody said which schema that is.
    #[error("the value names schema {id} of a registry: it is read from Kafka alone, with `schema_registry.url` set and Avro of that id")]
    UnregisteredSchema {
        /// The id.
        id: SchemaId,
    },
    /// The framing names a schema that Reeve does not have.
    #[error("no schema has the fingerprint {fingerprint}")]
    UnknownSchema {
        /// CRC-64-AVRO as the value carries it, in hexadecimal.
        fingerprint: String,
    },
    /// A kind that this version of Reeve does not know. It passes untouched where nobody has to read it.
    #[error("`{found}` is no kind of record that this version of Reeve knows")]
    UnknownKind {
        /// The type or kind that was named.
        found: String,
    },
    /// The bytes are not what the schema says.
    #[error("the value is no {kind}: {reason}")]
    Undecodable {
        /// The kind that the framing names.
        kind: String,
        /// What the decoder says, at most [`QUOTE_BYTES_MAX`](crate::limits::QUOTE_BYTES_MAX) bytes of it.
        reason: String,
    },
    /// Bytes are left after the value.
    #[error("{found} bytes are left after the value")]
    TrailingBytes {
        /// How many.
        found: u64,
    },
    /// A header or attribute that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// What is missing.
        field: String,
    },
    /// A field or attribute that the kind does not have.
    #[error("{field} is not known here")]
    UnknownField {
        /// The field.
        field: String,
    },
    /// A value of the wrong shape.
    #[error("{field} is not well formed: {reason}")]
    Malformed {
        /// The field.
        field: String,
        /// What is wrong with it, as the end of a sentence.
        reason: String,
    },
    /// A number outside its range, or no number at all.
    #[error("{field} is {found}, allowed is {limit}")]
    OutOfRange {
        /// The field.
        field: String,
        /// What is allowed, in words.
        limit: String,
        /// What was found.
        found: String,
    },
    /// Two fields of one event contradict each other.
    #[error("{field} contradicts {other}")]
    Contradiction {
        /// The one.
        field: String,
        /// The other.
        other: String,
    },
    /// The same source and id were seen with another body.
    #[error("id `{id}` of source `{source_name}` was taken by another event")]
    IdTaken {
        /// The source.
        source_name: String,
        /// The id.
        id: String,
    },
    /// A keyed record lies on a partition that its key does not choose.
    #[error("the record lies on partition {found}, its key belongs on {expected}")]
    WrongPartition {
        /// Where its key belongs.
        expected: u32,
        /// Where it lies.
        found: u32,
    },
}

impl Refusal {
    /// The stable code, such as `too_large`, for counters and for `record.refused`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::UnknownFraming => "unknown_framing",
            Self::UnregisteredSchema { .. } => "unregistered_schema",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::UnknownKind { .. } => "unknown_kind",
            Self::Undecodable { .. } => "undecodable",
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::Missing { .. } => "missing",
            Self::UnknownField { .. } => "unknown_field",
            Self::Malformed { .. } => "malformed",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Contradiction { .. } => "contradiction",
            Self::IdTaken { .. } => "id_taken",
            Self::WrongPartition { .. } => "wrong_partition",
        }
    }

    /// Whether the record is to blame. A kind or a schema that only a newer Reeve knows is no fault of it: it passes
    /// untouched.
    pub fn blames_the_record(&self) -> bool {
        !matches!(self, Self::UnknownSchema { .. } | Self::UnknownKind { .. })
    }
}
