//! Stories of one agent and this room, told fact by fact: one per promise.

mod bounds;
mod calls;
mod deadlines;
mod desk;
mod people;
