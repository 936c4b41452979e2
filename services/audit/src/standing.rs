//! What the room says to people: whether anything was refused where an agent lives; and what, where it names this agent.

use machine::{Machine, Standing};
use wire::AgentId;

use crate::machine::Audit;
use crate::policy::InForce;
use crate::rules::Refused;

/// Of a record that names another agent, or none, an agent's standing counts that it was refused and tells nothing else:
/// place and reason are for whoever may ask about the other.
pub(crate) fn lines(
    agent: &AgentId,
    refused: u64,
    last: Option<&Refused>,
    in_force: &InForce,
    not_taken: Option<&(String, Vec<String>)>,
) -> Vec<Standing> {
    let state = if refused == 0 { "none" } else { "refused" };
    let last = last.filter(|last| last.agent.as_ref() == Some(agent));
    let detail = last.map(|last| format!("the last at {}/{}/{}: {}", last.topic, last.partition, last.offset, last.reason));
    let mut lines = vec![Standing { n: Some(refused), detail, ..line("unreadable records", state) }];
    if let Some((version, faults)) = not_taken {
        let detail = format!("{version} was not taken, {} stays: {}", in_force.version, faults.join("; "));
        lines.push(Standing { detail: Some(detail), ..line("policy", "refused") });
    }
    lines
}

fn line(matter: &str, state: &str) -> Standing {
    Standing { room: Audit::SERVICE.to_owned(), matter: matter.to_owned(), state: state.to_owned(), ..Standing::default() }
}
