//! Recorded sessions of real agents through the real command, and the whole house end to end.
//!
//! Every test runs the `reeve` that `make build` leaves, on folders of its own. Without the recordings the tests of
//! them say that they are skipped, and pass.

mod distance;
mod end_to_end;
mod figures;
mod foreign;
mod ground;
mod handoff;
mod killed;
mod mood;
mod recordings;
mod refused;
mod regression;
mod running;
