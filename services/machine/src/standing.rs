//! What a room knows about an agent, for people: why something happened, and why nothing did.

use serde::{Deserialize, Serialize};

/// One line of `reeve status AGENT`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The room that says so.
    pub room: String,
    /// The detector or matter, such as `tool errors (1h, 5m)` or `mode`.
    pub matter: String,
    /// Its state, such as `no_data`, `watching`, `firing`, `normal`.
    pub state: String,
    /// Facts seen so far, where the matter counts facts.
    pub n: Option<u64>,
    /// Facts needed before it may decide.
    pub needed: Option<u64>,
    /// The fact that is missing and how to send it.
    pub missing: Option<String>,
    /// Everything else worth a line.
    pub detail: Option<String>,
}
