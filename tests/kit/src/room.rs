//! Rooms behind one face, as [`machine::room`] has them, on the topic of tests.

pub use machine::room::{AnyRoom, Rooms, room};

/// The topic that logs of tests have, unless they choose another.
pub const TOPIC: &str = "agent-events";
