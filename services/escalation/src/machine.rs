//! The room's mind. Open this file first: what it reads, what each record does, and what is owed when.
//!
//! Calls are latched in the ledger at the fact that gives rise to them. Missed deadlines come of time alone: they are
//! read from the agenda, and latched before the next record about their agent is folded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use machine::{Agenda, Debt, Decision, Frontier, Ledger, Machine, Standing};
use serde::{Deserialize, Serialize};
use wire::{AgentId, Body, Kind, PolicyAdopted, Record, Timestamp};

use crate::agent::{Agent, Desk, OPEN_MAX};
use crate::policy::{self, InForce};
use crate::standing;
use crate::words::dated;

/// Faults of a refused policy that are kept for people to see.
const FAULTS_KEPT_MAX: usize = 16;

/// Finds the human for sessions of the agents of one partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    in_force: InForce,
    /// The last policy that was refused: its version and what is wrong with it.
    refused: Option<(String, Vec<String>)>,
    /// In boxes: a tree has room for eleven entries where there is one.
    agents: BTreeMap<AgentId, Box<Agent>>,
    /// What is owed and latched.
    ledger: Ledger,
    /// Agents that will owe something by the mere passing of time, and when.
    agenda: Agenda<AgentId>,
}

// === impl Machine for Escalation ===

impl Machine for Escalation {
    const SERVICE: &'static str = "escalation";
    const VERSION: u32 = 3;
    const READS: &'static [Kind] = &[
        Kind::SessionStarted,
        Kind::MessagePosted,
        Kind::ModelCalled,
        Kind::ToolCalled,
        Kind::ToolReturned,
        Kind::DecisionMade,
        Kind::OutcomeReported,
        Kind::FindingReported,
        Kind::SessionEnded,
        Kind::EscalationClaimed,
        Kind::EscalationReturned,
        Kind::PolicyAdopted,
        Kind::DoorOpened,
        Kind::AccountabilityAssigned,
        Kind::EscalationRaised,
        Kind::EscalationOverdue,
        Kind::EscalationClosed,
    ];
    /// Per agent: every open escalation may be overdue and time out before the record is folded; then the record's own.
    /// `door.opened` is about all agents, and may bring about as many for each of them that is waited for.
    const DECISIONS_PER_RECORD_MAX: usize = 2 * OPEN_MAX + 1;
    /// 8192 sessions at 2.5 KiB, 1024 of them with an escalation of 4 KiB and three debts of 6 KiB; measured in `tests`.
    /// What a room that lags owes beside that, of escalations that are over, stays until it is on the log: two or three
    /// debts of each that was opened within the lag.
    const BYTES_PER_AGENT_MAX: usize = 48 << 20;

    fn apply(&mut self, record: &Record) {
        match &record.body {
            Body::PolicyAdopted(adopted) if adopted.room == Self::SERVICE => self.adopt(adopted),
            Body::PolicyAdopted(_) => {}
            Body::DoorOpened(opened) => self.door_opened(opened.shut_since, record.appended),
            body if Self::READS.contains(&body.kind()) => self.fold(record),
            _ => {}
        }
    }

    fn debts(&self, now: Timestamp) -> Vec<Cow<'_, Debt>> {
        let overdue = self.agenda.due(now).flat_map(|(_, key)| {
            let known = &self.agents[key];
            known.falls_due(now, Desk { agent: key, in_force: &self.in_force, people: &known.people })
        });
        self.ledger.debts().map(Cow::Borrowed).chain(overdue.map(Cow::Owned)).collect()
    }

    /// A call is dated when it is decided.
    fn decide(&self, debt: &Debt, at: Frontier) -> Decision {
        let decision = debt.stamped(at);
        Decision { body: dated(decision.body), ..decision }
    }

    fn next_deadline(&self, time: Timestamp) -> Option<Timestamp> {
        self.agenda.first_after(time)
    }

    fn next_due(&self) -> Option<Timestamp> {
        if self.ledger.is_empty() { self.agenda.first() } else { Some(Timestamp::MIN) }
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        standing::lines(self.agents.get(agent).map(Box::as_ref), agent, &self.in_force, self.refused.as_ref(), now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.agents.keys().cloned().collect()
    }
}

impl Escalation {
    fn fold(&mut self, record: &Record) {
        let key = &record.event.key;
        self.pass_time(key, latest(record));
        let Self { in_force, agents, ledger, .. } = self;
        if !agents.contains_key(key) {
            agents.insert(key.clone(), Box::default());
        }
        let Some(agent) = agents.get_mut(key) else { return };
        if let Body::AccountabilityAssigned(assigned) = &record.body {
            agent.people.insert(assigned.responsibility, assigned.person.clone());
            return;
        }
        let people = std::mem::take(&mut agent.people);
        let desk = Desk { agent: key, in_force, people: &people };
        if !came_home(agent, ledger, record, desk) {
            ledger.unlatch(key);
            agent.fold(record, desk).into_iter().for_each(|debt| ledger.owe(debt));
        }
        agent.people = people;
        self.remind(key);
    }

    /// Latches what the agent's deadlines up to `to` brought about, before a record can change it.
    fn pass_time(&mut self, key: &AgentId, to: Timestamp) {
        if self.agenda.get(key).is_none_or(|due| due > to) {
            return;
        }
        let Some(agent) = self.agents.get_mut(key) else { return };
        let people = std::mem::take(&mut agent.people);
        let desk = Desk { agent: key, in_force: &self.in_force, people: &people };
        agent.pass_time(to, desk).into_iter().for_each(|debt| self.ledger.owe(debt));
        agent.people = people;
        self.remind(key);
    }

    /// Nobody could be heard since `shut_since`: what was overdue by then is, all other deadlines get that time back.
    fn door_opened(&mut self, shut_since: Timestamp, at: Timestamp) {
        let waiting: Vec<AgentId> = self.agents.iter().filter(|(_, agent)| !agent.open.is_empty()).map(|(key, _)| key.clone()).collect();
        for key in waiting {
            self.pass_time(&key, shut_since);
            self.agents.get_mut(&key).into_iter().for_each(|agent| agent.door_was_shut(shut_since, at));
            self.remind(&key);
        }
    }

    /// A policy holds for what is raised from its record on. One that is refused changes nothing, and `standing` says
    /// what is wrong with it.
    fn adopt(&mut self, adopted: &PolicyAdopted) {
        match policy::checked(&adopted.document, &adopted.version) {
            Ok(in_force) => {
                self.in_force = in_force;
                self.refused = None;
            }
            Err(mut faults) => {
                faults.truncate(FAULTS_KEPT_MAX);
                self.refused = Some((adopted.version.clone(), faults));
            }
        }
    }

    fn remind(&mut self, key: &AgentId) {
        let due = self.agents.get(key).and_then(|agent| agent.next_due());
        if self.agenda.get(key) != due {
            self.agenda.set(key, due);
        }
    }
}

/// An own decision came home: its debt is settled. Without a debt, the state takes from it what it tells.
/// False if the record is no decision of this room.
fn came_home(agent: &mut Agent, ledger: &mut Ledger, record: &Record, desk: Desk<'_>) -> bool {
    if !is_own(record) {
        return false;
    }
    let was_owed = ledger.settle(&record.id).is_some();
    match &record.body {
        Body::EscalationRaised(body) => agent.raised_came_home(record, body, was_owed, ledger, desk.in_force),
        Body::EscalationOverdue(body) if !was_owed => agent.overdue_came_home(record, body),
        Body::EscalationClosed(body) if !was_owed => agent.closed_came_home(record, body, desk),
        _ => {}
    }
    true
}

/// The time that has passed when `record` is folded: an own decision knew its `now`, which may be ahead of the log's.
fn latest(record: &Record) -> Timestamp {
    match record.body.basis() {
        Some(basis) if is_own(record) => record.appended.max(basis.now),
        _ => record.appended,
    }
}

fn is_own(record: &Record) -> bool {
    matches!(record.body.kind(), Kind::EscalationRaised | Kind::EscalationOverdue | Kind::EscalationClosed)
}
