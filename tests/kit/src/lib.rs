//! What the tests share: builders of facts, generated agent lives, records made wrong on purpose, and rooms behind one face.

pub mod facts;
pub mod golden;
pub mod house;
pub mod lives;
pub mod mutants;
pub mod process;
pub mod room;
pub mod torture;

pub use facts::Teller;
pub use house::House;
pub use room::{AnyRoom, Rooms};
