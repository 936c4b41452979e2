//! The room over whole lives.

mod calibration;
mod life;
mod memory;
mod people;
mod recovery;
mod regression;
mod stories;
