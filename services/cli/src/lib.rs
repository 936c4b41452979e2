//! The reeve command.
