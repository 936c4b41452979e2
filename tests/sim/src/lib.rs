//! All rooms on the seeded memory log under faults, driven by the production pump, judged by the oracle.
//!
//! A seed decides everything: what platforms and people say, when each pump is stepped, what fails. The same seed gives
//! the same trace, byte for byte. It is drawn as an explicit [`Schedule`] of actions first, so that a failing seed can be
//! shrunk to the few that matter, and its log is left where `reeve replay` reads it.

pub mod history;
mod life;
mod many;
mod platform;
mod schedule;
mod seats;
mod shrink;
pub mod told;
mod verdict;
mod world;

pub use life::{AGENTS_MIN, FACTS_MIN};
pub use many::{run, run_many, traced};
pub use schedule::{Action, Schedule, What};
pub use shrink::{Shrunk, TRIES_MAX, shrink};
pub use verdict::{Complaint, Tally, Verdict};
