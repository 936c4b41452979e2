//! What an incident asks for is ordered once, followed until the facts show that it took or the deadline shows that it
//! did not, and never called done on anybody's word alone.

pub mod policy;

mod agent;
mod episode;
mod machine;
mod modes;
mod order;
mod proving;
mod rules;
mod standing;
mod versions;
mod words;

pub use machine::Rollback;
