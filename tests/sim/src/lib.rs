//! All rooms on the seeded memory log under faults, driven by the production pump, judged by the oracle.
//!
//! A seed decides everything: what platforms and people say, when each pump is stepped, what fails. The same seed gives
//! the same trace, byte for byte; a failing one is replayed with `make sim SEED=n`.

mod life;
mod seats;
mod verdict;
mod world;

pub use life::{AGENTS_MIN, FACTS_MIN};
pub use verdict::{Tally, Verdict};
pub use world::run;
