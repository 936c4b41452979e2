//! Why a record or an event cannot be taken, as a closed list that names the field and the limit.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One fault of one record. A record may have several; the door lists them all.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// The value is larger than a record may be.
    #[error("{field} has {found} bytes, at most {limit} are taken")]
    TooLarge { field: String, limit: u64, found: u64 },
    /// The value has no framing that Reeve knows.
    #[error("the value starts with neither `C3 01` nor a registered schema id")]
    UnknownFraming,
    /// The framing names a schema that Reeve does not have.
    #[error("no schema has the fingerprint {fingerprint}")]
    UnknownSchema { fingerprint: String },
    /// A kind that this version of Reeve does not know. It passes untouched where nobody has to read it.
    #[error("`{found}` is no kind of record that this version of Reeve knows")]
    UnknownKind { found: String },
    /// The bytes are not what the schema says.
    #[error("the value is no {kind}: {reason}")]
    Undecodable { kind: String, reason: String },
    /// Bytes are left after the value.
    #[error("{found} bytes are left after the value")]
    TrailingBytes { found: u64 },
    /// A header or attribute that must be there is not.
    #[error("{field} is missing")]
    Missing { field: String },
    /// A field or attribute that the kind does not have.
    #[error("{field} is not known here")]
    UnknownField { field: String },
    /// A value of the wrong shape.
    #[error("{field} is not well formed: {reason}")]
    Malformed { field: String, reason: String },
    /// A number outside its range, or no number at all.
    #[error("{field} is {found}, allowed is {limit}")]
    OutOfRange { field: String, limit: String, found: String },
    /// Two fields of one event contradict each other.
    #[error("{field} contradicts {other}")]
    Contradiction { field: String, other: String },
    /// The same source and id were seen with another body.
    #[error("id `{id}` of source `{source_name}` was taken by another event")]
    IdTaken { source_name: String, id: String },
    /// A keyed record lies on a partition that its key does not choose.
    #[error("the record lies on partition {found}, its key belongs on {expected}")]
    WrongPartition { expected: u32, found: u32 },
}

impl Refusal {
    /// The stable code, such as `too_large`, for counters and for `record.refused`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::UnknownFraming => "unknown_framing",
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
}
