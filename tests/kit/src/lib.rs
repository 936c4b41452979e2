//! What the tests share: builders of facts, generated agent lives, rooms behind one face, and the oracle.

pub mod facts;
pub mod house;
pub mod lives;
pub mod oracle;
pub mod room;

pub use facts::Teller;
pub use house::House;
pub use room::{AnyRoom, Rooms};
