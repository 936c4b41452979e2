//! The room over whole lives.

mod calibration;
mod drifting;
mod drop;
mod life;
mod memory;
mod people;
mod recovery;
mod regression;
mod slow;
mod stories;
