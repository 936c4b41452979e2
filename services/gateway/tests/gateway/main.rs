//! The gateway as its clients meet it: over a real port, on a real log.

mod accept;
mod door;
mod events;
mod house;
mod orders;
mod server;
mod sick;
