//! How agents stand, as every room says it: one shape for the HTTP route, the embedded log and the tables.

use machine::Standing;
use serde::{Deserialize, Serialize};

/// How some agents stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The agents, in order of their names.
    pub agents: Vec<AgentReport>,
}

/// How one agent stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentReport {
    /// The agent.
    pub agent: String,
    /// What each room says about it.
    pub standings: Vec<Standing>,
}

// === impl Report ===

impl Report {
    /// Adds what a room says of an agent.
    pub fn add(&mut self, agent: &str, standings: Vec<Standing>) {
        let place = self.agents.binary_search_by(|known| known.agent.as_str().cmp(agent));
        let index = place.unwrap_or_else(|index| {
            self.agents.insert(index, AgentReport { agent: agent.to_owned(), standings: Vec::new() });
            index
        });
        self.agents[index].standings.extend(standings);
    }
}

// === impl AgentReport ===

impl AgentReport {
    /// What some room says of `matter`.
    pub fn matter(&self, matter: &str) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.matter == matter)
    }
}
