//! What the room knows about an agent, for people: why something happened, and why nothing did.

use machine::Standing;
use wire::{AgentId, Timestamp};

use crate::agent::Agent;
use crate::policy::Policy;

/// Every line about `agent`; `known` is absent where nothing was ever heard of it.
pub(crate) fn lines(
    _known: Option<&Agent>,
    _agent: &AgentId,
    _policy: &Policy,
    _refused: Option<&(String, Vec<String>)>,
    _now: Timestamp,
) -> Vec<Standing> {
    Vec::new()
}
