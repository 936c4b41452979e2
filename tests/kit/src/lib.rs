//! What the tests share: builders of facts, generated agent lives, records made wrong on purpose, rooms
//! behind one face, a schema registry, a broker asked in the bytes of its protocol and a proxy before one, and the page that
//! figures are kept on.

pub mod broker;
pub mod facts;
pub mod golden;
pub mod house;
pub mod lives;
pub mod mutants;
pub mod page;
pub mod process;
pub mod proxy;
pub mod python;
pub mod registry;
pub mod room;
pub mod torture;
pub mod upgrade;

pub use facts::Teller;
pub use house::House;
pub use room::{AnyRoom, Rooms};
