//! The room over whole lives.

mod life;
mod stories;
