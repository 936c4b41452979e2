//! How this room puts its decisions: ids, basis, and a sentence for people.

use machine::{Debt, Machine};
use wire::record::decision_id;
use wire::{
    AgentId, Automation, Basis, Body, IncidentId, Layers, Mode, ModeOrdered, Offset, Record, RecordId, RollbackFailed, RollbackOrdered,
    RollbackProposed, RollbackVerified, Timestamp, VersionId, VersionProven,
};

use crate::episode::Plan;
use crate::machine::Rollback;
use crate::modes::switched_off;
use crate::order::{Failure, Order};
use crate::policy::InForce;

/// Ids of records that a decision names at most.
const CAUSES_MAX: usize = 20;

/// What gives rise to decisions: the record, or the order whose deadline passed.
#[derive(Clone, Debug)]
pub(crate) struct Trigger<'a> {
    pub(crate) agent: &'a AgentId,
    /// From which the ids of its decisions are derived.
    pub(crate) opener: String,
    pub(crate) causation: RecordId,
    /// One more than its own.
    pub(crate) hops: u8,
    pub(crate) policy: String,
    /// Who answers, role and person.
    pub(crate) accountable: String,
    pub(crate) causes: Vec<String>,
}

/// Several decisions about one order need several ids.
const AFTER_FAILED: u64 = 1;
const AFTER_VERIFIED: u64 = 2;

// === impl Trigger ===

impl<'a> Trigger<'a> {
    /// A record. The incident's decision that it rests on, `first`, is named before it.
    pub(crate) fn record(agent: &'a AgentId, record: &Record, in_force: &InForce, accountable: String, first: &[&RecordId]) -> Self {
        let causes = first.iter().copied().chain([&record.id]).take(CAUSES_MAX);
        Self {
            agent,
            opener: record.opener(),
            causation: record.id.clone(),
            hops: record.hops.saturating_add(1),
            policy: in_force.version.clone(),
            accountable,
            causes: causes.map(ToString::to_string).collect(),
        }
    }

    /// An order that ends now: whatever ended it, its end is decided under the policy that it was given under.
    pub(crate) fn order(agent: &'a AgentId, order: &Order, accountable: String) -> Self {
        Self {
            agent,
            opener: order.id.to_string(),
            causation: order.id.clone(),
            hops: order.hops.saturating_add(1),
            policy: order.policy.clone(),
            accountable,
            causes: order.evidence().into_iter().take(CAUSES_MAX).map(ToString::to_string).collect(),
        }
    }

    /// `rollback.ordered`: its id is the episode's, so that there can be no second one.
    pub(crate) fn rollback(
        &self,
        incident: &IncidentId,
        plan: &Plan,
        to: &VersionId,
        layers: Layers,
        in_force: &InForce,
    ) -> (RecordId, RollbackOrdered) {
        let from = plan.from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
        let body = RollbackOrdered {
            agent_id: self.agent.clone(),
            incident_id: incident.clone(),
            from_version: plan.from.clone(),
            to_version: to.clone(),
            layers,
            level: plan.level,
            ack_timeout_s: in_force.policy.ack_timeout_s,
            verify_timeout_s: in_force.policy.verify_timeout_s,
            summary: format!("{} goes back{from} to {to} because of a {} incident.", self.agent, plan.level),
            basis: self.basis(&plan.rule),
        };
        (self.id(incident.as_str(), "rollback.ordered", 0), body)
    }

    /// `rollback.proposed`
    pub(crate) fn proposal(&self, incident: &IncidentId, plan: &Plan, automation: Automation) -> Debt {
        let rollback = plan.to.as_ref().map(|to| format!("go back to {to}"));
        let mode = plan.mode.map(|mode| format!("be set to {mode}"));
        let wanted: Vec<String> = [rollback, mode].into_iter().flatten().collect();
        let body = RollbackProposed {
            agent_id: self.agent.clone(),
            incident_id: incident.clone(),
            automation,
            from_version: plan.from.clone(),
            to_version: plan.to.clone(),
            mode: plan.mode.map(|mode| mode.to_string()),
            summary: format!(
                "{} should {} because of a {} incident; automation is {automation}, so a person has to accept it.",
                self.agent,
                wanted.join(" and "),
                plan.level
            ),
            basis: self.basis(&plan.rule),
        };
        self.debt(self.id(&self.opener, "rollback.proposed", 0), body.into())
    }

    /// `mode.ordered` by the record itself, for an incident or (`None`) for a person.
    pub(crate) fn mode(&self, incident: Option<&IncidentId>, from: Mode, to: Mode, rule: &str) -> Debt {
        self.mode_with(0, incident, from, to, rule)
    }

    /// `rollback.verified`
    pub(crate) fn verified(&self, order: &Order, at: Timestamp) -> Debt {
        let effect_s = order.since().map(|since| at.since_s(since));
        let body = RollbackVerified {
            agent_id: self.agent.clone(),
            incident_id: order.incident.clone(),
            order_id: order.id.to_string(),
            from_version: order.from.clone(),
            to_version: order.to.clone(),
            sightings: i64::from(order.needed),
            effect_s,
            summary: format!(
                "{} serves {} again: acknowledged, and seen {} in a row.",
                self.agent,
                order.to,
                counted(i64::from(order.needed), "time")
            ),
            basis: self.basis("acknowledged_and_serving"),
        };
        self.debt(self.id(&self.opener, "rollback.verified", 0), body.into())
    }

    /// `mode.ordered` after a verified rollback.
    pub(crate) fn mode_after_verified(&self, order: &Order, from: Mode, to: Mode) -> Debt {
        self.mode_with(AFTER_VERIFIED, Some(&order.incident), from, to, "after_verified")
    }

    /// `rollback.failed`
    pub(crate) fn failed(&self, order: &Order, failure: Failure) -> Debt {
        let body = RollbackFailed {
            agent_id: self.agent.clone(),
            incident_id: order.incident.clone(),
            order_id: order.id.to_string(),
            from_version: order.from.clone(),
            to_version: order.to.clone(),
            failure: failure.as_str().to_owned(),
            summary: format!("{} did not go back to {}: {}.", self.agent, order.to, failure.because()),
            basis: self.basis(failure.as_str()),
        };
        self.debt(self.id(&self.opener, "rollback.failed", 0), body.into())
    }

    /// `mode.ordered` after a failed rollback.
    pub(crate) fn mode_after_failed(&self, order: &Order, from: Mode) -> Debt {
        self.mode_with(AFTER_FAILED, Some(&order.incident), from, Mode::HumanOnly, "after_failed")
    }

    /// `version.proven`, by the proof that `opener` began.
    pub(crate) fn proven(&self, version: &VersionId, opener: &str, outcomes: u32, served_s: i64) -> Debt {
        let body = VersionProven {
            agent_id: self.agent.clone(),
            version: version.clone(),
            outcomes: i64::from(outcomes),
            served_s,
            summary: format!(
                "{version} of {} may be gone back to: {}, and {} without P1 and P2.",
                self.agent,
                counted(i64::from(outcomes), "outcome"),
                counted(served_s / 3_600, "hour")
            ),
            basis: self.basis("proven"),
        };
        self.debt(self.id(opener, "version.proven", 0), body.into())
    }

    /// A decision that is owed from now on.
    pub(crate) fn debt(&self, id: RecordId, body: Body) -> Debt {
        Debt { id, key: self.agent.clone(), subject: None, causation: Some(self.causation.clone()), hops: self.hops, body }
    }

    fn mode_with(&self, ordinal: u64, incident: Option<&IncidentId>, from: Mode, to: Mode, rule: &str) -> Debt {
        let body = ModeOrdered {
            agent_id: self.agent.clone(),
            incident_id: incident.cloned(),
            mode: to,
            from_mode: from,
            switched_off: switched_off(to),
            summary: format!("{} {}: {}.", self.agent, may(to), because(rule)),
            basis: self.basis(rule),
        };
        self.debt(self.id(&self.opener, "mode.ordered", ordinal), body.into())
    }

    fn id(&self, opener: &str, name: &str, ordinal: u64) -> RecordId {
        decision_id(Rollback::SERVICE, self.agent.as_str(), opener, name, ordinal)
    }

    fn basis(&self, rule: &str) -> Basis {
        Basis {
            asof: Offset::BEFORE_ALL,
            now: Timestamp::MIN,
            rule: rule.to_owned(),
            policy: self.policy.clone(),
            causes: self.causes.clone(),
            accountable: self.accountable.clone(),
        }
    }
}

/// So many of what is named in the singular.
fn counted(n: i64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn may(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal => "may work as usual",
        Mode::Investigation => "works as usual and is watched closely",
        Mode::Reduced => "may do nothing that takes effect outside the conversation",
        Mode::HumanOnly => "may send and do nothing without a human",
    }
}

fn because(rule: &str) -> &'static str {
    match rule {
        "p1" => "P1, until the rollback is verified",
        "p1_again" => "P1, and this incident has had its rollback",
        "p1_without_target" | "p2_without_target" => "there is no version to go back to",
        "p2" => "P2",
        "p3" => "P3",
        "after_verified" => "the rollback is verified, the incident is still open",
        "after_failed" => "the rollback failed",
        "resolved" => "the incident is resolved",
        _ => "a person set it so",
    }
}
