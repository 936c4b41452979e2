//! What the tests share: builders of facts, generated agent lives, and rooms behind one face.

pub mod facts;
pub mod house;
pub mod lives;
pub mod room;

pub use facts::Teller;
pub use house::House;
pub use room::{AnyRoom, Rooms};
