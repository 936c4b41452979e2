//! Recordings of another make: traces of model calls, and an event log with its sessions.
//!
//! What must be found is counted here, from the raw file, before the command is asked; and twice over by the command,
//! from its key figures and from the records that it gives out.

mod activegraph;
mod refused;
mod traces;

use std::path::Path;

use serde_json::Value;

use crate::ground::tail;

/// A whole number of a line.
pub(crate) fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is a whole number"))
}

/// Calls of models on the log: how many, and what they took.
pub(crate) fn calls_on_the_log(data: &Path) -> (i64, i64, i64) {
    let calls = tail(data, &["model.called"]);
    let sum = |field: &str| calls.iter().map(|call| count(&call["data"][field])).sum();
    (calls.len() as i64, sum("tokens_in"), sum("tokens_out"))
}
