//! A session that needs a human calls for one once, by the route that the policy gives it, more urgently if it gets
//! worse; and if nobody comes in time, that is said, too.

mod agent;
mod episode;
mod machine;
pub mod policy;
mod routes;
pub mod rules;
pub mod sentiment;
mod session;
mod signal;
mod standing;
mod topics;
mod words;

pub use crate::machine::Escalation;
pub use crate::policy::{Policy, check};
