//! How one runs: pump, driver, restore, snapshots, logs, admin endpoints, configuration, lifecycle.

pub mod log;
