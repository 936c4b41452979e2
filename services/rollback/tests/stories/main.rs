//! Stories of one agent and this room, told fact by fact: one per promise.

mod log;
mod orders;
mod people;
mod proof;
mod story;
