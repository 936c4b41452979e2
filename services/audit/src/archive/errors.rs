//! What can go wrong with the archive.

use runtime::errors::{Code, Coded};
use runtime::log::LogError;
use thiserror::Error;
use wire::{Offset, Partition};

/// Why the archive does not go on, or cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArchiveError {
    /// Offsets that no segment covers, between ones that are covered.
    #[error("the archive of {topic}/{partition} has no segment for offsets {from} to {to}")]
    Gap {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// The first offset that is missing.
        from: Offset,
        /// The last.
        to: Offset,
    },
    /// Offsets that two segments cover.
    #[error("segments {one} and {other} of the archive overlap")]
    Overlap {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// A segment that is not what was written.
    #[error("segment {name} of the archive is altered: {reason}")]
    Altered {
        /// The segment.
        name: String,
        /// What shows it.
        reason: String,
    },
    /// The archive holds what the log does not.
    #[error("the archive of {topic}/{partition} is not of this log: {reason}")]
    Differs {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// What shows it.
        reason: String,
    },
    /// The store does not do what it is asked; asking again may help.
    #[error("the archive's store fails: {reason}")]
    Store {
        /// What was tried and what came back.
        reason: String,
    },
    /// It is not for this one to write now.
    #[error("the lease of the archive is another's, or about to be")]
    NotHeld,
    /// Where the next segment ends could not be announced under the lease; announcing it again is right whatever came of it.
    #[error("the end of a segment cannot be announced: {reason}")]
    Announce {
        /// What the log said.
        reason: String,
    },
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] LogError),
}

impl Coded for ArchiveError {
    fn code(&self) -> Code {
        match self {
            Self::Gap { .. } => Code::ArchiveGap,
            Self::Overlap { .. } => Code::ArchiveOverlap,
            Self::Altered { .. } => Code::ArchiveAltered,
            Self::Differs { .. } => Code::ArchiveDiffers,
            Self::Store { .. } => Code::ArchiveUnavailable,
            Self::NotHeld => Code::Fenced,
            Self::Announce { .. } => Code::CommitFailed,
            Self::Log(error) => error.code(),
        }
    }
}
