//! What this room knows about an agent, for people: why something happened, and why nothing did.

use machine::{Machine, Standing};
use wire::{AgentId, Automation, Timestamp, VersionId};

use crate::agent::Agent;
use crate::episode::Proposal;
use crate::machine::Rollback;
use crate::order::{Order, Stage};
use crate::policy::{InForce, Policy};
use crate::proving::Proof;

/// Every line about one agent: what stands, what is open, what waits for whom, and what each version still lacks.
pub(crate) fn of(
    agent: &Agent,
    key: &AgentId,
    in_force: &InForce,
    refused: Option<&(String, Vec<String>)>,
    now: Timestamp,
) -> Vec<Standing> {
    let mut lines = vec![mode(agent), serving(agent, key), target(agent, key), automation(agent, key)];
    let waiting = agent.episode.iter().flat_map(|episode| episode.waiting());
    lines.extend(waiting.map(|(id, proposal)| proposed(id.as_str(), proposal)));
    lines.extend(agent.orders.iter().map(|order| open_order(order, now)));
    let taken_back = agent.versions.all().filter(|(_, known)| known.quarantined);
    lines.extend(taken_back.map(|(version, _)| quarantined(version, key)));
    lines.extend(agent.versions.proofs().map(|(version, proof)| proving(version, proof, key, &in_force.policy, now)));
    lines.push(policy_line(in_force, refused));
    lines
}

fn mode(agent: &Agent) -> Standing {
    let wish = agent.mode.wish;
    let detail = match agent.mode.by_incident {
        true => format!("asked for by the open incident; afterwards {wish}"),
        false => "no incident asks for another".to_owned(),
    };
    Standing { detail: Some(detail), ..line("mode", agent.mode.mode.as_str()) }
}

fn serving(agent: &Agent, key: &AgentId) -> Standing {
    match &agent.versions.serving {
        Some(version) => line("serving version", version.as_str()),
        None => Standing {
            missing: Some(format!("no version seen yet: send session.started or platform.heartbeat of {key} with a version")),
            ..line("serving version", "no_data")
        },
    }
}

fn target(agent: &Agent, key: &AgentId) -> Standing {
    let Some(target) = agent.versions.way_back(None) else {
        let serving = agent.versions.serving.as_ref().map_or("VERSION", |version| version.as_str());
        return Standing {
            missing: Some(format!("no version is declared or proven: reeve baseline set {key} '{serving}' --author YOU --reason WHY")),
            detail: Some("a P1 would set human_only mode and roll nothing back".to_owned()),
            ..line("rollback target", "none")
        };
    };
    let is_baseline = agent.versions.baseline.as_ref() == Some(&target);
    let detail = if is_baseline { "the declared baseline" } else { "declared before, or proven by its outcomes" };
    Standing { detail: Some(detail.to_owned()), ..line("rollback target", target.as_str()) }
}

fn automation(agent: &Agent, key: &AgentId) -> Standing {
    let automation = agent.automation();
    let origin = match (agent.automation_set, &agent.versions.baseline) {
        (Some(_), _) => "set by a person",
        (None, Some(_)) => "by default, since a baseline is declared",
        (None, None) => "by default, until a baseline is declared",
    };
    let effect = match automation {
        Automation::Enforce => "orders are given by themselves".to_owned(),
        Automation::Observe => {
            format!("orders are only proposed; reeve automation set {key} enforce --author YOU --reason WHY hands the agent over")
        }
        Automation::Propose => "orders wait until a person accepts them".to_owned(),
    };
    Standing { detail: Some(format!("{origin}: {effect}")), ..line("automation", automation.as_str()) }
}

fn proposed(id: &str, proposal: &Proposal) -> Standing {
    let rollback = proposal.plan.to.as_ref().map(|to| format!("go back to {to}"));
    let mode = proposal.plan.mode.map(|mode| format!("set the mode to {mode}"));
    let would: Vec<String> = [rollback, mode].into_iter().flatten().collect();
    Standing {
        missing: Some(format!("a person's word: reeve rollback accept {id} --author YOU --reason WHY")),
        detail: Some(format!("would {} because of {}", would.join(" and "), proposal.plan.level)),
        ..line("proposal", "waiting")
    }
}

fn open_order(order: &Order, now: Timestamp) -> Standing {
    let line = line(&format!("rollback to {}", order.to), "owed");
    let detail = |until: &Timestamp| Some(format!("order {}, until {until}, in {:.0} s", order.id, until.since_s(now)));
    match &order.stage {
        Stage::Owed => Standing { detail: Some(format!("order {} is on its way to the log", order.id)), ..line },
        Stage::Ordered { until, .. } => Standing {
            state: "ordered".to_owned(),
            missing: Some("the platform's command.acknowledged with this order's id".to_owned()),
            detail: detail(until),
            ..line
        },
        Stage::Acknowledged { until, sightings, .. } => Standing {
            state: "acknowledged".to_owned(),
            n: Some(sightings.len() as u64),
            needed: Some(u64::from(order.needed)),
            missing: Some(format!("session.started or platform.heartbeat that show {} serving, in a row", order.to)),
            detail: detail(until),
            ..line
        },
    }
}

fn quarantined(version: &VersionId, key: &AgentId) -> Standing {
    Standing {
        detail: Some(format!(
            "taken back, and no target until a person allows it: reeve quarantine lift {key} '{version}' --author YOU --reason WHY"
        )),
        ..line(&format!("version {version}"), "quarantined")
    }
}

fn proving(version: &VersionId, proof: &Proof, key: &AgentId, policy: &Policy, now: Timestamp) -> Standing {
    let hours = now.since_s(proof.since) / 3_600.0;
    let missing = if proof.outcomes < policy.proof_outcomes {
        Some(format!(
            "{} more outcome.reported of its sessions of {key} that tell success: reeve publish FILE",
            policy.proof_outcomes - proof.outcomes
        ))
    } else if hours >= policy.proof_hours as f64 {
        Some("the incident room's watermark for this time: it shows that no P1 or P2 was missed".to_owned())
    } else {
        None
    };
    Standing {
        n: Some(u64::from(proof.outcomes)),
        needed: Some(u64::from(policy.proof_outcomes)),
        missing,
        detail: Some(format!("{hours:.1} of {} hours without P1 and P2", policy.proof_hours)),
        ..line(&format!("proof of {version}"), "watching")
    }
}

fn policy_line(in_force: &InForce, refused: Option<&(String, Vec<String>)>) -> Standing {
    let missing = refused.map(|(version, faults)| format!("policy {version} was refused: {}", faults.join("; ")));
    Standing { missing, ..line("policy of the rollback room", &in_force.version) }
}

fn line(matter: &str, state: &str) -> Standing {
    Standing { room: Rollback::SERVICE.to_owned(), matter: matter.to_owned(), state: state.to_owned(), ..Standing::default() }
}
