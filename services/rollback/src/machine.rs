//! The room's mind. Open this file first: what it reads, what each record does, and what is owed when.
//!
//! State moves at facts and at the incident room's decisions; every decision that gives rise to is latched in the
//! ledger at once, and its echo settles it. Only missed deadlines come of time alone: they are read from the agenda,
//! and latched before the next record about their agent is folded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use machine::mutants::{self, Mutant};
use machine::{Agenda, Debt, Ledger, Machine, Standing};
use serde::{Deserialize, Serialize};
use wire::{
    AgentId, Body, IncidentAggravated, IncidentOpened, Kind, PlatformHeartbeat, Record, Responsibility, RoomWatermark, SessionStarted,
    Timestamp,
};

use crate::agent::{Agent, Seen, Told};
use crate::policy::{self, InForce};
use crate::standing;

/// The room whose watermark shows that no P1 or P2 was missed.
const INCIDENT_ROOM: &str = "incident";

/// Faults of a refused policy that are kept for people to see.
const FAULTS_KEPT_MAX: usize = 16;

/// Versions that one watermark proves at most; the others wait for the next one, some seconds later.
const PROVEN_PER_RECORD_MAX: usize = 8;

/// Takes agents back, and checks that it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    in_force: InForce,
    /// The last policy that was refused: its version and what is wrong with it.
    refused: Option<(String, Vec<String>)>,
    /// Boxed: a tree's nodes keep room for more agents than they hold.
    agents: BTreeMap<AgentId, Box<Agent>>,
    ledger: Ledger,
    /// When an agent's first open order is overdue.
    deadlines: Agenda<AgentId>,
    /// When an agent's first version has served long enough, once it has outcomes enough.
    ripening: Agenda<AgentId>,
}

// === impl Machine for Rollback ===

impl Machine for Rollback {
    const SERVICE: &'static str = "rollback";
    const VERSION: u32 = 4;
    const READS: &'static [Kind] = &[
        Kind::SessionStarted,
        Kind::OutcomeReported,
        Kind::VersionDeployed,
        Kind::CommandAcknowledged,
        Kind::PlatformHeartbeat,
        Kind::PolicyAdopted,
        Kind::DoorOpened,
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
            Body::DoorOpened(opened) => self.door_opened(opened.shut_since, record.appended),
            _ => self.apply_to_agent(record),
        }
    }

    fn debts(&self, now: Timestamp) -> Vec<Cow<'_, Debt>> {
        let overdue = self.deadlines.due(now).flat_map(|(_, key)| self.agents[key].overdue(key, now));
        self.ledger.debts().map(Cow::Borrowed).chain(overdue.map(Cow::Owned)).collect()
    }

    fn next_deadline(&self, time: Timestamp) -> Option<Timestamp> {
        self.deadlines.first_after(time)
    }

    fn next_due(&self) -> Option<Timestamp> {
        if self.ledger.is_empty() { self.deadlines.first() } else { Some(Timestamp::MIN) }
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        let unheard = Agent::default();
        let known = self.agents.get(agent).map_or(&unheard, |known| &**known);
        standing::of(known, agent, &self.in_force, self.refused.as_ref(), now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.agents.keys().cloned().collect()
    }
}

impl Rollback {
    fn apply_to_agent(&mut self, record: &Record) {
        let key = &record.event.key;
        if !self.agents.contains_key(key) {
            self.agents.insert(key.clone(), Box::default());
        }
        let Self { in_force, agents, ledger, .. } = self;
        let Some(agent) = agents.get_mut(key) else { return };
        agent.latch(key, latest(record)).into_iter().for_each(|debt| ledger.owe(debt));
        if !came_home(agent, ledger, record, in_force) {
            told(agent, record, in_force).into_iter().for_each(|debt| ledger.owe(debt));
        }
        if mutants::broken(Mutant::SilenceIsEvidence) {
            let seen = Seen { asof: record.offset, now: record.appended };
            agent.prove(key, record, seen, in_force, PROVEN_PER_RECORD_MAX).into_iter().for_each(|debt| ledger.owe(debt));
        }
        self.remind(key);
    }

    /// No platform could be heard since `shut_since`: orders overdue by then are, all others get that time back.
    fn door_opened(&mut self, shut_since: Timestamp, at: Timestamp) {
        let waiting: Vec<AgentId> = self.agents.iter().filter(|(_, agent)| !agent.orders.is_empty()).map(|(key, _)| key.clone()).collect();
        for key in waiting {
            if let Some(agent) = self.agents.get_mut(&key) {
                agent.latch(&key, shut_since).into_iter().for_each(|debt| self.ledger.owe(debt));
                agent.orders.iter_mut().for_each(|order| order.door_was_shut(shut_since, at));
            }
            self.remind(&key);
        }
    }

    /// The incident room has looked this far, for every agent of the partition. Only the ripe are touched.
    fn prove(&mut self, record: &Record, watermark: &RoomWatermark) {
        let seen = Seen { asof: watermark.basis.asof, now: watermark.basis.now };
        let ripe: Vec<AgentId> = self.ripening.due(seen.now).map(|(_, key)| key.clone()).take(PROVEN_PER_RECORD_MAX).collect();
        let mut room = PROVEN_PER_RECORD_MAX;
        for key in ripe {
            let Some(agent) = self.agents.get_mut(&key) else { continue };
            let proven = agent.prove(&key, record, seen, &self.in_force, room);
            room -= proven.len();
            proven.into_iter().for_each(|debt| self.ledger.owe(debt));
            self.remind(&key);
        }
    }

    /// A policy came into force. One that is refused changes nothing, and `standing` says what is wrong with it.
    fn adopt(&mut self, version: &str, document: &str) {
        match policy::check(document) {
            Ok(policy) => {
                self.in_force = InForce { version: version.to_owned(), policy };
                self.refused = None;
            }
            Err(mut faults) => {
                faults.truncate(FAULTS_KEPT_MAX);
                self.refused = Some((version.to_owned(), faults));
                return;
            }
        }
        for (key, agent) in &self.agents {
            self.ripening.set(key, agent.versions.ripens_at(&self.in_force.policy));
        }
    }

    /// Sets the deadlines of an agent if they moved: most records move none.
    fn remind(&mut self, key: &AgentId) {
        let Some(agent) = self.agents.get(key) else { return };
        let due = [(&mut self.deadlines, agent.overdue_at()), (&mut self.ripening, agent.versions.ripens_at(&self.in_force.policy))];
        due.into_iter().filter(|(agenda, due)| agenda.get(key) != *due).for_each(|(agenda, due)| agenda.set(key, due));
    }
}

/// An own decision came home: its debt is settled. Without a debt, the state takes from it what it tells.
/// False if the record is no decision of this room.
fn came_home(agent: &mut Agent, ledger: &mut Ledger, record: &Record, in_force: &InForce) -> bool {
    if !is_own(record) {
        return false;
    }
    let was_owed = ledger.settle(&record.id).is_some();
    match &record.body {
        Body::RollbackOrdered(body) => agent.order_came_home(record, body, was_owed, in_force.policy.sightings),
        Body::RollbackProposed(body) if !was_owed => agent.adopt_proposal(record, body),
        Body::RollbackVerified(body) => agent.ended(&body.order_id),
        Body::RollbackFailed(body) => agent.ended(&body.order_id),
        Body::VersionProven(body) if !was_owed => agent.versions.proven(&body.version, record.offset),
        // While a later order is owed, the mode is already the one that it orders.
        Body::ModeOrdered(body) if !ledger.of(&record.event.key).any(|debt| debt.body.kind() == Kind::ModeOrdered) => {
            agent.adopt_mode(body);
        }
        _ => {}
    }
    true
}

/// What a fact, a person's word or a decision of the incident room gives rise to.
fn told(agent: &mut Agent, record: &Record, in_force: &InForce) -> Vec<Debt> {
    let key = &record.event.key;
    match &record.body {
        Body::IncidentOpened(IncidentOpened { incident_id: incident, level, harms, version, .. }) => {
            let told = Told { incident, level: *level, from_level: None, harms: *harms, version: version.as_ref() };
            agent.answer(key, record, &told, in_force)
        }
        Body::IncidentAggravated(IncidentAggravated { incident_id: incident, level, from_level, harms, version, .. }) => {
            let told = Told { incident, level: *level, from_level: Some(*from_level), harms: *harms, version: version.as_ref() };
            agent.answer(key, record, &told, in_force)
        }
        Body::IncidentEased(body) => {
            agent.eased(&body.incident_id, body.level);
            Vec::new()
        }
        Body::IncidentResolved(body) => agent.resolved(key, record, &body.incident_id, in_force).into_iter().collect(),
        Body::ModeSet(body) => vec![agent.mode_set(key, record, body.mode, in_force)],
        Body::RollbackAccepted(body) => agent.accepted(key, record, &body.proposal_id, in_force),
        Body::CommandAcknowledged(body) => agent.acknowledged(key, record, body),
        Body::SessionStarted(SessionStarted { version: Some(version), .. }) => {
            let debts = agent.sighted(key, record, version);
            record.subject.iter().for_each(|session| agent.versions.follow(version, session, record.appended));
            debts
        }
        Body::PlatformHeartbeat(PlatformHeartbeat { serving_version: Some(version), .. }) => agent.sighted(key, record, version),
        _ => {
            note(agent, record, in_force);
            Vec::new()
        }
    }
}

/// What only adds to what is known.
fn note(agent: &mut Agent, record: &Record, in_force: &InForce) {
    match &record.body {
        Body::VersionDeployed(body) => agent.versions.deployed(&body.version, &body.layers, record.offset),
        Body::OutcomeReported(body) if body.success.is_some() => {
            record.subject.iter().for_each(|session| agent.versions.count(session, record.offset, &in_force.policy));
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

/// The time that has passed when `record` is folded: an own decision knew its `now`, which may be ahead of the log's.
fn latest(record: &Record) -> Timestamp {
    match record.body.basis() {
        Some(basis) if is_own(record) => record.appended.max(basis.now),
        _ => record.appended,
    }
}

fn is_own(record: &Record) -> bool {
    matches!(
        record.body.kind(),
        Kind::ModeOrdered
            | Kind::RollbackProposed
            | Kind::RollbackOrdered
            | Kind::RollbackVerified
            | Kind::RollbackFailed
            | Kind::VersionProven
    )
}
