//! What can go wrong in a step of a pump.

use thiserror::Error;
use wire::Partition;

use crate::errors::{Code, Coded};
use crate::log::{CommitError, LogError};

/// What can go wrong in a step. The pump is in order after each of them: whether to step again is told by
/// [`Coded::fate`].
#[derive(Debug, Error)]
pub enum PumpError {
    /// The group cannot be joined.
    #[error("joining the consumer group failed")]
    Join(#[source] LogError),
    /// The log cannot be read.
    #[error("reading the log failed")]
    Poll(#[source] LogError),
    /// A partition cannot be restored.
    #[error("restoring partition {partition} failed")]
    Restore {
        /// The partition.
        partition: Partition,
        /// Why.
        #[source]
        source: LogError,
    },
    /// No producer can be had.
    #[error("registering the producer failed")]
    Producer(#[source] LogError),
    /// A transaction did not end in a successful commit. What it held is still owed.
    #[error("a transaction failed")]
    Commit(#[source] CommitError),
}

// === impl PumpError ===

impl Coded for PumpError {
    fn code(&self) -> Code {
        match self {
            Self::Join(source) | Self::Poll(source) | Self::Restore { source, .. } | Self::Producer(source) => source.code(),
            Self::Commit(source) => source.code(),
        }
    }
}

/// What a transaction that failed is counted as.
pub(super) fn outcome_of(error: &CommitError) -> &'static str {
    match error {
        CommitError::Fenced { .. } => "fenced",
        CommitError::Aborted { .. } => "aborted",
        CommitError::Unknown { .. } => "unknown",
        CommitError::NoMembership => "refused",
    }
}
