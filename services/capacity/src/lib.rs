//! What every agent used is told for every minute, hour and day in which it did something, no fact twice and none
//! dropped; and whoever set a budget is told once when it is passed, and before that where the trend shows it.

mod agent;
mod books;
mod episode;
mod latencies;
mod machine;
pub mod policy;
pub mod rules;
mod sessions;
mod standing;
#[cfg(test)]
mod tests;
mod usage;
mod watch;
mod words;

pub use crate::machine::Capacity;
pub use crate::policy::{Policy, check};
