//! The whole program under torture. `make test` bears a tenth of what `make torture` does.

mod disks;
mod kafka;
mod killed;
mod overload;
mod restore;
