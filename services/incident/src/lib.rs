//! Every harm, every burning error budget, every version that is worse than the one somebody vouched for or than it was
//! itself, every loop and every rare failure that becomes frequent becomes one incident of its agent, told once, with the
//! numbers that say so.

mod agent;
mod burn;
mod calls;
mod chart;
mod compare;
mod drift;
mod episode;
mod escalations;
mod evidence;
mod finding;
mod loops;
mod machine;
mod marks;
mod pairs;
pub mod policy;
mod pulse;
pub mod rules;
mod sessions;
mod signatures;
mod slow;
mod standing;
#[cfg(test)]
mod tests;
mod versions;
mod vitals;
mod window;
mod words;

pub use crate::machine::Incident;
pub use crate::policy::{Policy, check};
