//! Both logs of the runtime are held to one contract, and each to what it alone promises.

mod embedded;
mod kill;
mod memory;
