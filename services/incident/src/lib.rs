//! Every harm, every burning error budget and every version that is worse than the one somebody vouched for becomes
//! one incident of its agent, told once, with the numbers that say so.

mod agent;
mod burn;
mod calls;
mod columns;
mod compare;
mod episode;
mod evidence;
mod finding;
mod machine;
mod marks;
mod pairs;
pub mod policy;
mod pulse;
pub mod rules;
mod sessions;
mod standing;
#[cfg(test)]
mod tests;
mod versions;

pub use crate::machine::Incident;
pub use crate::policy::{Policy, check};
