//! What the torture stands on: a Reeve that runs as a program and may be killed, a publisher that survives it, facts to
//! publish, and the proof that nothing was lost, repeated or decided otherwise.
//!
//! Every test is one of chance, and its seed is in what it says. `REEVE_TORTURE=full` makes each ten times as long.

pub mod alike;
pub mod dice;
pub mod facts;
pub mod flood;
pub mod ground;
pub mod house;
pub mod kafka;
pub mod late;
pub mod overload;
pub mod places;
pub mod program;
pub mod proof;
pub mod publisher;
pub mod states;
