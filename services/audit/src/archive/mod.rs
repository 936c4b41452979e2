//! The archive: every record of the log in Parquet segments, each named by the range of offsets that it covers.
//!
//! The store is the truth about how far the archive reaches: there is no other note of it that could say otherwise. A
//! start lists the segments, holds them against the log, and goes on after the last. So a crash needs no recovery: what
//! was not put is read from the log again, and what was put is not put twice.

mod archiver;
mod cut;
mod digest;
mod errors;
mod name;
mod segment;
mod store;
mod task;

pub use self::archiver::{Archiver, Step};
pub use self::cut::{Limits, Open};
pub use self::digest::Digest;
pub use self::errors::ArchiveError;
pub use self::name::SegmentName;
pub use self::segment::{Segment, Totals};
pub use self::store::{Created, Listing, Shelf, StoredShelf};
pub use self::task::begin;
#[cfg(test)]
pub(crate) use self::task::live;
