//! Every record on the log is in the archive, byte for byte and once, whatever crashes meanwhile; and every record that
//! nobody can read is named on the log, with its place and what is wrong with it.

pub mod archive;
pub mod check;
mod machine;
pub mod metrics;
pub mod policy;
pub mod rules;
mod standing;
#[cfg(test)]
mod tests;

pub use crate::machine::Audit;
pub use crate::policy::Policy;
