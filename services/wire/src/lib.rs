//! What is said: ids, kinds, records, their codec, limits and refusals.
//!
//! Every service speaks through this crate and through nothing else. It is the only one that knows Avro
//! (`codec`), the only one that knows CloudEvents headers (`record`, `headers`), and it holds the one table of limits.

mod bounded;
pub mod cloudevents;
pub mod codec;
pub mod decisions;
mod digest;
pub mod facts;
pub mod headers;
pub mod ids;
pub mod json_schema;
pub mod kinds;
pub mod limits;
pub mod names;
pub mod partitioner;
pub mod record;
pub mod refusal;
pub mod registered;
mod shape;
pub mod shared;

pub use decisions::*;
pub use digest::short_digest;
pub use facts::*;
pub use headers::Headers;
pub use ids::{AgentId, IncidentId, Offset, Partition, RecordId, Segment, SessionId, Source, Timestamp, VersionId};
pub use kinds::{Body, Class, Kind};
pub use names::Names;
pub use record::{DedupeKey, Event, RawRecord, Record, StoredRecord};
pub use refusal::Refusal;
pub use registered::SchemaId;
pub use shared::*;
