//! The room over whole lives.

mod calibration;
mod life;
mod regression;
mod stories;
