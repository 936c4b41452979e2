//! How one runs: pump, driver, restore, snapshots, logs, admin endpoints, configuration, lifecycle.
//!
//! A room brings a [`machine::Machine`]; everything else that a service needs is here, the same for all of them. Open
//! [`pump`] first: it is the only loop, and its `step` reads from top to bottom what a room does all day.

pub mod admin;
pub mod beside;
pub mod config;
pub mod decide;
pub mod driver;
pub mod errors;
pub mod facts;
pub mod failpoints;
pub mod laws;
pub mod lease;
pub mod lifecycle;
pub mod log;
pub mod logging;
pub mod metrics;
pub mod pump;
pub mod retry;
pub mod room;
pub mod snapshots;

pub use decide::{decide, decide_with};
pub use errors::{Code, Coded, Fate};
pub use lifecycle::Shutdown;
/// The allocator of every program of ours. Publishers, rooms and archive give back what another thread allocated, which the C
/// library's makes dear: with this one the whole house takes a sixth less of the processors for an event.
pub use mimalloc::MiMalloc as Allocator;
pub use room::{RoomHandle, RoomOptions, RoomStatus, spawn};
