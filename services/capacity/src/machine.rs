//! The room's mind: what it folds, what it owes, and when a window closes.
//!
//! Windows close by time alone: what closed by a record's arrival is latched before the record is folded, and what has
//! closed since is read from the agenda. So it does not matter when somebody asks. Budgets are judged at the fact that
//! passes them, and trends when a minute closes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use machine::{Agenda, Debt, Ledger, Machine, Standing};
use serde::{Deserialize, Serialize};
use wire::{AgentId, Body, Kind, PolicyAdopted, Record, Responsibility, Timestamp};

use crate::agent::Agent;
use crate::books::{Books, WINDOWS_MAX};
use crate::policy::{self, Measure, Policy};
use crate::standing;
use crate::words::Desk;

/// Measures what the agents of one partition use, and warns of budgets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    policy: Policy,
    /// The last policy that was refused: its version and what is wrong with it.
    refused: Option<(String, Vec<String>)>,
    /// Boxed: a tree's nodes keep room for more agents than they hold.
    agents: BTreeMap<AgentId, Box<Agent>>,
    /// What is owed and latched.
    ledger: Ledger,
    /// When the next window of an agent closes.
    agenda: Agenda<AgentId>,
}

/// Faults of a refused policy that are kept for people to see.
const FAULTS_KEPT_MAX: usize = 16;
/// Minutes that one record may find closed.
const MINUTES_CLOSED_MAX: usize = 3;
/// Hours that one record may find closed.
const HOURS_CLOSED_MAX: usize = 2;

// === impl Capacity ===

impl Machine for Capacity {
    const SERVICE: &'static str = "capacity";
    const VERSION: u32 = 3;
    const READS: &'static [Kind] = &[
        Kind::SessionStarted,
        Kind::MessagePosted,
        Kind::ModelCalled,
        Kind::ToolCalled,
        Kind::ToolReturned,
        Kind::DecisionMade,
        Kind::OutcomeReported,
        Kind::SessionEnded,
        Kind::PolicyAdopted,
        Kind::AccountabilityAssigned,
        Kind::EscalationRaised,
        Kind::CapacityMeasured,
        Kind::CapacityForecast,
        Kind::CapacityWarned,
    ];
    /// After a long gap every open window has closed; each closed minute may warn of each budget's trend and each hour
    /// forecast it, and the record itself may pass each budget. That is per agent that the record concerns: a policy is told
    /// to all at once, and latches what had closed of each before it.
    const DECISIONS_PER_RECORD_MAX: usize = WINDOWS_MAX + Measure::ALL.len() * (MINUTES_CLOSED_MAX + HOURS_CLOSED_MAX + 1);
    /// Seven windows with sketches of 1,358 bins, 8,192 sessions at 14 bytes, an hour of minutes per budget, and what one
    /// record owes. A room that is behind owes more, by every window that has closed meanwhile: no limit of its own may
    /// drop one of them.
    const BYTES_PER_AGENT_MAX: usize = 512 << 10;

    fn apply(&mut self, record: &Record) {
        match &record.body {
            Body::PolicyAdopted(adopted) if adopted.room == Self::SERVICE => self.adopt(adopted, record.appended),
            Body::PolicyAdopted(_) => {}
            Body::CapacityMeasured(_) | Body::CapacityForecast(_) | Body::CapacityWarned(_) => self.come_home(record),
            // Every room hears watermarks, which are no agent's.
            body if Self::READS.contains(&body.kind()) => self.fold(record),
            _ => {}
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
        let known = self.agents.get(agent).map(|known| {
            let mut sessions = known.sessions.clone();
            sessions.time_out(now, self.policy.session_timeout_s);
            (sessions.count(), self.foreseen(agent, now).1)
        });
        standing::lines(known.as_ref(), agent, &self.policy, self.refused.as_ref(), now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.agents.keys().cloned().collect()
    }
}

impl Capacity {
    fn fold(&mut self, record: &Record) {
        let key = &record.key;
        if !self.agents.contains_key(key) {
            self.agents.insert(key.clone(), Box::default());
        }
        self.pass_time(key, record.appended);
        let Some(known) = self.agents.get_mut(key) else { return };
        match &record.body {
            Body::AccountabilityAssigned(assigned) if assigned.responsibility == Responsibility::Operations => {
                known.operator = Some(assigned.person.clone());
            }
            Body::AccountabilityAssigned(_) => {}
            _ => {
                let operator = known.operator.take();
                let desk = Desk { agent: key, policy: &self.policy, operator: operator.as_deref() };
                known.fold(record, desk).into_iter().for_each(|debt| self.ledger.owe(debt));
                known.operator = operator;
            }
        }
        self.arm(key);
    }

    /// An own decision came home. It was made at its `now`, by which its windows were closed: what the log had before and
    /// the decision does not tell of is late.
    fn come_home(&mut self, record: &Record) {
        let key = &record.key;
        let decided = record.body.basis().map_or(record.appended, |basis| basis.now);
        self.pass_time(key, record.appended.max(decided));
        let owed = self.ledger.settle(&record.id).map(|debt| debt.body);
        if let (Some(Body::CapacityMeasured(owed)), Body::CapacityMeasured(said)) = (&owed, &record.body)
            && let Some(known) = self.agents.get_mut(key)
        {
            known.books.reconcile(owed, said, record);
        }
        self.arm(key);
    }

    /// Latches what the agent's windows that closed by `to` have to say, before a record can change it.
    fn pass_time(&mut self, key: &AgentId, to: Timestamp) {
        let Some(known) = self.agents.get_mut(key) else { return };
        let desk = Desk { agent: key, policy: &self.policy, operator: known.operator.as_deref() };
        known.books.advance(to, desk).into_iter().for_each(|debt| self.ledger.owe(debt));
    }

    /// The agent's books as they will be at `now` if nothing more is heard, and what that owes.
    fn foreseen(&self, key: &AgentId, now: Timestamp) -> (Vec<Debt>, Books) {
        let known = &self.agents[key];
        let mut ahead = known.books.clone();
        let debts = ahead.advance(now, Desk { agent: key, policy: &self.policy, operator: known.operator.as_deref() });
        (debts, ahead)
    }

    fn arm(&mut self, key: &AgentId) {
        let due = self.agents.get(key).and_then(|known| known.books.next_due());
        if self.agenda.get(key) != due {
            self.agenda.set(key, due);
        }
    }

    /// A policy acts from its record on: what closed before was judged under the old one. One that is refused changes
    /// nothing, and `standing` says what is wrong with it.
    fn adopt(&mut self, adopted: &PolicyAdopted, at: Timestamp) {
        let due: Vec<AgentId> = self.agenda.due(at).map(|(_, key)| key.clone()).collect();
        for key in &due {
            self.pass_time(key, at);
            self.arm(key);
        }
        match policy::check(&adopted.document) {
            Ok(policy) => {
                self.policy = Policy { version: adopted.version.clone(), ..policy };
                self.refused = None;
                let Self { policy, agents, .. } = self;
                agents.iter_mut().for_each(|(key, known)| known.books.watch_only(|measure| policy.budget(key, measure).is_some()));
            }
            Err(mut faults) => {
                faults.truncate(FAULTS_KEPT_MAX);
                self.refused = Some((adopted.version.clone(), faults));
            }
        }
    }
}
