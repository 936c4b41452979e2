//! The room's mind: what it folds, what it owes, and when time alone makes it owe more.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use machine::{Agenda, Debt, Ledger, Machine, Shelf, Standing};
use serde::{Deserialize, Serialize};
use wire::record::decision_id;
use wire::{
    AgentId, Body, DedupeKey, IncidentAggravated, IncidentEased, IncidentId, IncidentOpened, Kind, Level, Offset, PolicyAdopted, Record,
    Responsibility, Timestamp,
};

use crate::agent::Agent;
use crate::episode::{CAUSES_MAX, Episode};
use crate::finding::{Desk, Trigger};
use crate::policy::{self, Policy};
use crate::standing;
use crate::versions::VERSIONS_MAX;

/// Notices harm, degradation and regressions of the agents of one partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    policy: Policy,
    /// The last policy that was refused: its version and what is wrong with it.
    refused: Option<(String, Vec<String>)>,
    /// Boxed: a tree's nodes keep room for more agents than they hold.
    agents: BTreeMap<AgentId, Box<Agent>>,
    /// What is owed and latched.
    ledger: Ledger,
    /// Agents that will owe something by the mere passing of time, and when.
    agenda: Agenda<AgentId>,
    /// Agents with sessions of which the escalation room may still have something to say.
    expecting: BTreeSet<AgentId>,
    /// Whether that room was ever heard of: until then nobody waits for it.
    hears_escalations: bool,
}

/// The room whose silence about a session shows, once its watermark has passed, that no human was called for.
const ESCALATION_ROOM: &str = "escalation";

/// Faults of a refused policy that are kept for people to see.
const FAULTS_KEPT_MAX: usize = 16;

// === impl Incident ===

impl Machine for Incident {
    const SERVICE: &'static str = "incident";
    const VERSION: u32 = 6;
    const READS: &'static [Kind] = &[
        Kind::SessionStarted,
        Kind::ModelCalled,
        Kind::ToolCalled,
        Kind::ToolReturned,
        Kind::OutcomeReported,
        Kind::HarmReported,
        Kind::SessionEnded,
        Kind::PlatformHeartbeat,
        Kind::IncidentNoted,
        Kind::PolicyAdopted,
        Kind::DoorOpened,
        Kind::BaselineDeclared,
        Kind::QuarantineLifted,
        Kind::AccountabilityAssigned,
        Kind::IncidentOpened,
        Kind::IncidentAggravated,
        Kind::IncidentEased,
        Kind::IncidentResolved,
        Kind::EscalationRaised,
        Kind::RollbackVerified,
        Kind::RollbackFailed,
        Kind::VersionProven,
        Kind::RoomWatermark,
    ];
    /// Every version may be named at the record that settles the sessions that all waited for.
    const DECISIONS_PER_RECORD_MAX: usize = 8 * VERSIONS_MAX;
    /// Outcomes 256 KiB, 8192 sessions at 200 bytes, windows and failures of 64 versions, 256 charts, 128 sessions of calls,
    /// 256 sessions that wait for another room, one incident.
    const BYTES_PER_AGENT_MAX: usize = 8 << 20;

    fn apply(&mut self, record: &Record) {
        self.apply_known(record, record.dedupe_key());
    }

    fn apply_known(&mut self, record: &Record, key: DedupeKey) {
        match &record.body {
            Body::RoomWatermark(watermark) if watermark.room == ESCALATION_ROOM => {
                self.escalations_looked_at(Trigger::of(record, key), watermark.basis.asof);
            }
            Body::RoomWatermark(_) => {}
            Body::PolicyAdopted(adopted) if adopted.room == Self::SERVICE => self.adopt(adopted, record.appended),
            Body::PolicyAdopted(_) => {}
            Body::DoorOpened(opened) => self.door_opened(opened.shut_since, record.appended),
            _ => self.fold(record, key),
        }
    }

    fn debts(&self, now: Timestamp) -> Vec<Cow<'_, Debt>> {
        let due = self.agenda.due(now).flat_map(|(_, key)| self.foreseen(key, now).0);
        self.ledger.debts().map(Cow::Borrowed).chain(due.map(Cow::Owned)).collect()
    }

    fn next_deadline(&self, time: Timestamp) -> Option<Timestamp> {
        self.agenda.first_after(time)
    }

    fn next_due(&self) -> Option<Timestamp> {
        if self.ledger.is_empty() { self.agenda.first() } else { Some(Timestamp::MIN) }
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        let known = self.agents.contains_key(agent).then(|| self.foreseen(agent, now).1);
        standing::lines(known.as_ref(), agent, &self.policy, self.refused.as_ref(), now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.agents.keys().cloned().collect()
    }
}

impl Incident {
    fn fold(&mut self, record: &Record, key: DedupeKey) {
        let agent = &record.key;
        self.pass_time(agent, record.appended);
        let known = self.agents.entry(agent.clone()).or_default();
        match &record.body {
            Body::IncidentOpened(_) | Body::IncidentAggravated(_) | Body::IncidentEased(_) | Body::IncidentResolved(_) => {
                if let Body::IncidentResolved(said) = &record.body {
                    self.ledger.settle_before(&record.id, |debt| is_about(debt, &said.incident_id));
                }
                if self.ledger.settle(&record.id).is_none() {
                    come_home(known, record, &mut self.ledger);
                }
            }
            Body::AccountabilityAssigned(assigned) => drop(known.people.insert(assigned.responsibility, assigned.person.clone())),
            _ => {
                self.ledger.unlatch(agent);
                let people = std::mem::take(&mut known.people);
                let desk = Desk { agent, policy: &self.policy, people: &people, hears_escalations: self.hears_escalations };
                known.fold(record, key, desk).into_iter().for_each(|debt| self.ledger.owe(debt));
                known.people = people;
                if known.escalations.waiting() > 0 {
                    self.expecting.insert(agent.clone());
                }
            }
        }
        self.arm(agent);
    }

    /// The escalation room has folded up to `asof`. What this brings about is bounded: agents beyond it wait for the next
    /// watermark, some seconds later.
    fn escalations_looked_at(&mut self, trigger: Trigger, asof: Offset) {
        self.hears_escalations = true;
        let mut room = Self::DECISIONS_PER_RECORD_MAX;
        let expecting = std::mem::take(&mut self.expecting);
        for key in expecting {
            // Beside its causes, time that passes may have named every version of an agent.
            if room < CAUSES_MAX + 1 || !self.agents.contains_key(&key) {
                self.expecting.insert(key);
                continue;
            }
            let before = self.ledger.len();
            self.pass_time(&key, trigger.at);
            let Some(known) = self.agents.get_mut(&key) else { continue };
            let people = std::mem::take(&mut known.people);
            let desk = Desk { agent: &key, policy: &self.policy, people: &people, hears_escalations: true };
            let debts = known.escalations_looked_at(asof, &trigger, desk);
            known.people = people;
            let waits = known.escalations.waiting() > 0;
            debts.into_iter().for_each(|debt| self.ledger.owe(debt));
            room = room.saturating_sub(self.ledger.len() - before);
            self.arm(&key);
            if waits {
                self.expecting.insert(key);
            }
        }
    }

    /// Latches what the agent's deadlines up to `to` brought about, before a record can change it.
    fn pass_time(&mut self, key: &AgentId, to: Timestamp) {
        let Some(known) = self.agents.get_mut(key) else { return };
        let people = std::mem::take(&mut known.people);
        let desk = Desk { agent: key, policy: &self.policy, people: &people, hears_escalations: self.hears_escalations };
        known.advance(to, desk).into_iter().for_each(|debt| self.ledger.owe(debt));
        known.people = people;
    }

    /// The agent as it will be at `now` if nothing more is heard, and what that owes.
    fn foreseen(&self, key: &AgentId, now: Timestamp) -> (Vec<Debt>, Agent) {
        let mut ahead = (*self.agents[key]).clone();
        let people = ahead.people.clone();
        let debts = ahead.advance(now, self.desk(key, &people));
        (debts, ahead)
    }

    fn desk<'a>(&'a self, agent: &'a AgentId, people: &'a Shelf<Responsibility, String>) -> Desk<'a> {
        Desk { agent, policy: &self.policy, people, hears_escalations: self.hears_escalations }
    }

    fn arm(&mut self, key: &AgentId) {
        let known = &self.agents[key];
        let due = known.next_debt(self.desk(key, &known.people));
        self.agenda.set(key, due);
    }

    /// Nobody could be heard since `shut_since`: silence that fell due before is latched, silence after it is none.
    fn door_opened(&mut self, shut_since: Timestamp, at: Timestamp) {
        let known: Vec<AgentId> = self.agents.keys().cloned().collect();
        for key in known {
            self.pass_time(&key, shut_since);
            self.agents.entry(key.clone()).or_default().pulse.door_was_shut(shut_since, at);
            self.arm(&key);
        }
    }

    /// A policy acts from its record on: what fell due before was due under the old one.
    fn adopt(&mut self, adopted: &PolicyAdopted, at: Timestamp) {
        let due: Vec<AgentId> = self.agenda.due(at).map(|(_, key)| key.clone()).collect();
        due.iter().for_each(|key| self.pass_time(key, at));
        match policy::check(&adopted.document) {
            Ok(policy) => {
                self.policy = Policy { version: adopted.version.clone(), ..policy };
                self.agents.values_mut().for_each(|known| known.drift.watch_only(&self.policy));
                self.refused = None;
            }
            Err(mut faults) => {
                faults.truncate(FAULTS_KEPT_MAX);
                self.refused = Some((adopted.version.clone(), faults));
            }
        }
        let known: Vec<AgentId> = self.agents.keys().cloned().collect();
        known.iter().for_each(|key| self.arm(key));
    }
}

/// Whether a debt is a word about this incident. Once an incident is over on the log, one that was about it before is too late:
/// so that a version with another rule owes nothing of an old log.
fn is_about(debt: &Debt, incident: &IncidentId) -> bool {
    match &debt.body {
        Body::IncidentAggravated(said) => said.incident_id == *incident,
        Body::IncidentEased(said) => said.incident_id == *incident,
        _ => false,
    }
}

/// Folds an own decision that this state does not owe: it was decided on less than is known now, and it stands.
fn come_home(known: &mut Agent, record: &Record, ledger: &mut Ledger) {
    let at = record.appended;
    match &record.body {
        Body::IncidentOpened(opened) => {
            if known.is_over(&opened.incident_id) {
                return;
            }
            match &mut known.episode {
                None => known.episode = Some(Box::new(Episode::adopt(record.id.clone(), opened, at))),
                Some(episode) => rebind(episode, record, opened, ledger),
            }
        }
        Body::IncidentAggravated(said) => {
            let episode = known.episode.as_mut().filter(|episode| episode.incident_id == said.incident_id);
            episode.into_iter().for_each(|episode| episode.absorb(said, at));
        }
        Body::IncidentEased(said) => {
            let episode = known.episode.as_mut().filter(|episode| episode.incident_id == said.incident_id);
            episode.filter(|episode| episode.level == said.from_level).into_iter().for_each(|episode| episode.level = said.level);
        }
        Body::IncidentResolved(said) if known.episode.as_ref().is_some_and(|episode| episode.incident_id == said.incident_id) => {
            known.close()
        }
        _ => {}
    }
}

/// The log has opened an incident on less than this state knew when it was about to open one: they are one.
///
/// Whatever is owed about the state's own moves under the log's incident, and its opening becomes an aggravation,
/// unless it says no more than the log's does.
fn rebind(episode: &mut Episode, record: &Record, opened: &IncidentOpened, ledger: &mut Ledger) {
    if !ledger.contains(&episode.opened_id) {
        return;
    }
    let mine = std::mem::replace(&mut episode.incident_id, opened.incident_id.clone());
    episode.opened_id = record.id.clone();
    episode.level = episode.level.min(opened.level);
    episode.worst = episode.worst.min(opened.level);
    let owed: Vec<Debt> = ledger.of(&record.key).cloned().collect();
    // A P3 joins a graver incident without a word.
    let is_silent = |level| level == Level::P3 && opened.level < Level::P3;
    for debt in owed {
        let body = match debt.body.clone() {
            Body::IncidentOpened(own) if own.incident_id == mine => {
                let says_no_more = own.basis.rule == opened.basis.rule && own.version == opened.version && own.level >= opened.level;
                (!says_no_more && !is_silent(own.level)).then(|| as_aggravation(own, opened))
            }
            Body::IncidentAggravated(own) if own.incident_id == mine => {
                let says_no_more = own.basis.rule == opened.basis.rule
                    && own.version == opened.version
                    && (own.level == own.from_level || own.level >= opened.level);
                (!says_no_more && !is_silent(own.level))
                    .then(|| IncidentAggravated { incident_id: opened.incident_id.clone(), ..own }.into())
            }
            Body::IncidentEased(own) if own.incident_id == mine => {
                Some(IncidentEased { incident_id: opened.incident_id.clone(), ..own }.into())
            }
            _ => continue,
        };
        ledger.settle(&debt.id);
        let id = decision_id(Incident::SERVICE, record.key.as_str(), opened.incident_id.as_str(), debt.id.as_str(), 0);
        body.into_iter().for_each(|body| ledger.owe(Debt { id: id.clone(), body, ..debt.clone() }));
    }
}

fn as_aggravation(own: IncidentOpened, opened: &IncidentOpened) -> Body {
    IncidentAggravated {
        agent_id: own.agent_id,
        incident_id: opened.incident_id.clone(),
        level: own.level.min(opened.level),
        from_level: opened.level,
        provisional: own.provisional,
        version: own.version,
        against: own.against,
        session_id: own.session_id,
        harms: own.harms,
        numbers: own.numbers,
        summary: own.summary,
        basis: own.basis,
    }
    .into()
}
