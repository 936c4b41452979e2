//! The room's mind. Open this file first: what it reads, what each record does, and what is owed when.
//!
//! State moves at facts and at the incident room's decisions; every decision that gives rise to is latched in the
//! ledger at once, and its echo settles it. Only missed deadlines come of time alone: they are read from the agenda,
//! and latched before the next record about their agent is folded.

use std::collections::BTreeMap;

use machine::{Agenda, Debt, Decision, Frontier, Ledger, Machine, Standing};
use serde::{Deserialize, Serialize};
use wire::{AgentId, Body, Kind, Record, Responsibility, RoomWatermark, SessionId, Timestamp};

use crate::agent::{Agent, Seen, Told};
use crate::policy::{self, InForce};
use crate::standing;

/// The room whose watermark shows that no P1 or P2 was missed.
const INCIDENT_ROOM: &str = "incident";

/// Versions that one watermark proves at most; the others wait for the next one, some seconds later.
const PROVEN_PER_RECORD_MAX: usize = 8;

/// Takes agents back, and checks that it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    in_force: InForce,
    agents: BTreeMap<AgentId, Agent>,
    ledger: Ledger,
    /// When an agent's first open order is overdue.
    deadlines: Agenda<AgentId>,
    /// When an agent's first version has served long enough, once it has outcomes enough.
    ripening: Agenda<AgentId>,
}

// === impl Machine for Rollback ===

impl Machine for Rollback {
    const SERVICE: &'static str = "rollback";
    const VERSION: u32 = 1;
    const READS: &'static [Kind] = &[
        Kind::SessionStarted,
        Kind::OutcomeReported,
        Kind::VersionDeployed,
        Kind::CommandAcknowledged,
        Kind::PlatformHeartbeat,
        Kind::PolicyAdopted,
        Kind::BaselineDeclared,
        Kind::ModeSet,
        Kind::QuarantineLifted,
        Kind::AutomationSet,
        Kind::AccountabilityAssigned,
        Kind::RollbackAccepted,
        Kind::IncidentOpened,
        Kind::IncidentAggravated,
        Kind::IncidentEased,
        Kind::IncidentResolved,
        Kind::ModeOrdered,
        Kind::RollbackProposed,
        Kind::RollbackOrdered,
        Kind::RollbackVerified,
        Kind::RollbackFailed,
        Kind::VersionProven,
        Kind::RoomWatermark,
    ];
    /// Failure and mode of every open order, then the record's own: a rollback and a mode at most.
    const DECISIONS_PER_RECORD_MAX: usize = 2 * crate::agent::ORDERS_MAX + 2;
    /// Twelve versions with long names and layers, 64 followed sessions each, four orders, and what is owed.
    const BYTES_PER_AGENT_MAX: usize = 64 * 1024;

    fn apply(&mut self, record: &Record) {
        match &record.body {
            Body::RoomWatermark(watermark) if watermark.room == INCIDENT_ROOM => self.prove(record, watermark),
            Body::RoomWatermark(_) => {}
            Body::PolicyAdopted(adopted) if adopted.room == Self::SERVICE => self.adopt(&adopted.version, &adopted.document),
            Body::PolicyAdopted(_) => {}
            _ => self.apply_to_agent(record),
        }
    }

    fn owed(&self, at: Frontier) -> Vec<Decision> {
        let overdue = self.deadlines.due(at.now).flat_map(|(_, key)| self.agents[key].overdue(key, at.now));
        self.ledger.owed(at).chain(overdue.map(|debt| debt.stamped(at))).collect()
    }

    fn next_due(&self) -> Option<Timestamp> {
        if self.ledger.is_empty() { self.deadlines.first() } else { Some(Timestamp::MIN) }
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        self.agents.get(agent).map_or_else(Vec::new, |known| standing::of(known, agent, &self.in_force.policy, now))
    }

    fn agents(&self) -> Vec<AgentId> {
        self.agents.keys().cloned().collect()
    }
}

impl Rollback {
    fn apply_to_agent(&mut self, record: &Record) {
        let key = &record.event.key;
        let mut agent = self.agents.remove(key).unwrap_or_default();
        let mut debts = agent.latch(key, latest(record));
        debts.into_iter().for_each(|debt| self.ledger.owe(debt));
        debts =
            if record.body.kind().is_decision() && self.came_home(&mut agent, record) { Vec::new() } else { self.told(&mut agent, record) };
        debts.into_iter().for_each(|debt| self.ledger.owe(debt));
        self.keep(key, agent);
    }

    /// What a fact, a person's word or a decision of the incident room gives rise to.
    fn told(&self, agent: &mut Agent, record: &Record) -> Vec<Debt> {
        let (key, in_force) = (&record.event.key, &self.in_force);
        match &record.body {
            Body::IncidentOpened(body) => {
                let told = Told { incident: &body.incident_id, level: body.level, version: body.version.as_ref() };
                agent.answer(key, record, &told, in_force)
            }
            Body::IncidentAggravated(body) => {
                let told = Told { incident: &body.incident_id, level: body.level, version: body.version.as_ref() };
                agent.answer(key, record, &told, in_force)
            }
            Body::IncidentResolved(body) => agent.resolved(key, record, &body.incident_id, in_force).into_iter().collect(),
            Body::ModeSet(body) => vec![agent.mode_set(key, record, body.mode, in_force)],
            Body::RollbackAccepted(body) => agent.accepted(key, record, &body.proposal_id, in_force),
            Body::CommandAcknowledged(body) => agent.acknowledged(key, record, body),
            Body::SessionStarted(body) => body.version.as_ref().map_or_else(Vec::new, |version| {
                let debts = agent.sighted(key, record, version);
                record.subject.iter().for_each(|session| agent.versions.follow(version, session, record.appended));
                debts
            }),
            Body::PlatformHeartbeat(body) => {
                body.serving_version.as_ref().map_or_else(Vec::new, |version| agent.sighted(key, record, version))
            }
            _ => {
                self.note(agent, record);
                Vec::new()
            }
        }
    }

    /// What only adds to what is known.
    fn note(&self, agent: &mut Agent, record: &Record) {
        match &record.body {
            Body::IncidentEased(body) => agent.eased(&body.incident_id, body.level),
            Body::VersionDeployed(body) => agent.versions.deployed(&body.version, &body.layers, record.offset),
            Body::OutcomeReported(body) if body.success.is_some() => {
                record.subject.iter().for_each(|session: &SessionId| agent.versions.count(session, record.offset, &self.in_force.policy));
            }
            Body::BaselineDeclared(body) => agent.versions.declared(&body.version, record.offset),
            Body::QuarantineLifted(body) => agent.versions.lift(&body.version),
            Body::AutomationSet(body) => agent.automation_set = Some(body.automation),
            Body::AccountabilityAssigned(body) if body.responsibility == Responsibility::Operations => {
                agent.operator = Some(body.person.clone());
            }
            _ => {}
        }
    }

    /// An own decision came home: its debt is settled. Without a debt, the state takes from it what it tells.
    /// False if the decision is another room's.
    fn came_home(&mut self, agent: &mut Agent, record: &Record) -> bool {
        let was_owed = self.ledger.settle(&record.id).is_some();
        match &record.body {
            Body::RollbackOrdered(body) => agent.order_came_home(record, body, was_owed, self.in_force.policy.sightings),
            Body::RollbackProposed(body) if !was_owed => agent.adopt_proposal(record, body),
            Body::RollbackVerified(body) => agent.ended(&body.order_id),
            Body::RollbackFailed(body) => agent.ended(&body.order_id),
            Body::VersionProven(body) if !was_owed => agent.versions.proven(&body.version, record.offset),
            Body::ModeOrdered(body) => {
                // While a later order is owed, the mode is already the one that it orders.
                if !self.ledger.of(&record.event.key).any(|debt| debt.body.kind() == Kind::ModeOrdered) {
                    agent.adopt_mode(body);
                }
            }
            Body::RollbackProposed(_) | Body::VersionProven(_) => {}
            _ => return false,
        }
        true
    }

    fn prove(&mut self, record: &Record, watermark: &RoomWatermark) {
        let seen = Seen::from(watermark);
        let ripe: Vec<AgentId> = self.ripening.due(seen.now).map(|(_, key)| key.clone()).take(PROVEN_PER_RECORD_MAX).collect();
        for key in ripe {
            self.prove_agent(&key, record, seen);
        }
    }

    fn prove_agent(&mut self, key: &AgentId, record: &Record, seen: Seen) {
        let Some(mut agent) = self.agents.remove(key) else { return };
        agent.prove(key, record, seen, &self.in_force).into_iter().for_each(|debt| self.ledger.owe(debt));
        self.keep(key, agent);
    }

    /// A policy came into force. One that cannot be read changes nothing: the command that adopts it lists its faults.
    fn adopt(&mut self, version: &str, document: &str) {
        let Ok(policy) = policy::check(document) else { return };
        self.in_force = InForce { version: version.to_owned(), policy };
        for (key, agent) in &self.agents {
            self.ripening.set(key, agent.versions.ripens_at(&self.in_force.policy));
        }
    }

    fn keep(&mut self, key: &AgentId, agent: Agent) {
        remind(&mut self.deadlines, key, agent.overdue_at());
        remind(&mut self.ripening, key, agent.versions.ripens_at(&self.in_force.policy));
        self.agents.insert(key.clone(), agent);
    }
}

/// Sets a deadline if it moved: most records move none.
fn remind(agenda: &mut Agenda<AgentId>, key: &AgentId, due: Option<Timestamp>) {
    if agenda.get(key) != due {
        agenda.set(key, due);
    }
}

/// The time that has passed when `record` is folded: an own decision knew its `now`, which may be ahead of the log's.
fn latest(record: &Record) -> Timestamp {
    match record.body.basis() {
        Some(basis) => record.appended.max(basis.now),
        None => record.appended,
    }
}
