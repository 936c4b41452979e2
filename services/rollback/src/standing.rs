//! What this room knows about an agent, for people: why something happened, and why nothing did.

use machine::Standing;
use wire::{AgentId, Timestamp};

use crate::agent::Agent;
use crate::policy::Policy;

pub(crate) fn of(_agent: &Agent, _key: &AgentId, _policy: &Policy, _now: Timestamp) -> Vec<Standing> {
    Vec::new()
}
