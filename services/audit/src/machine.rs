//! The room's mind: every record that nobody can read becomes one debt, or one of a run that is told together.

use std::borrow::Cow;

use machine::{Debt, Ledger, Machine, Standing, Unreadable};
use serde::{Deserialize, Serialize};
use wire::{AgentId, Body, Kind, PolicyAdopted, Record, Timestamp};

use crate::policy::{self, InForce};
use crate::rules::{Refused, Run};
use crate::standing;

/// Hears of the records of one partition that nobody can read, and refuses each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    in_force: InForce,
    /// The last policy that was not taken: its version and what is wrong with it.
    not_taken: Option<(String, Vec<String>)>,
    /// What is owed and latched.
    ledger: Ledger,
    /// What came while the ledger was full: it grows, and is owed as one once there is room. It is told with the numbers
    /// that it has then, which no longer change.
    rest: Option<Run>,
    /// Every record refused so far.
    refused: u64,
    last: Option<Refused>,
}

/// Faults of a policy that are kept for people to see.
const FAULTS_KEPT_MAX: usize = 16;

// === impl Audit ===

impl Machine for Audit {
    const SERVICE: &'static str = "audit";
    const VERSION: u32 = 1;
    /// All of them: a record is read to find out whether it can be.
    const READS: &'static [Kind] = Kind::ALL;
    /// Of an unreadable record its refusal; of an echo the run that it made room for.
    const DECISIONS_PER_RECORD_MAX: usize = 1;
    /// The room keeps nothing by agent: this is the whole ledger, at the most that a policy allows.
    const BYTES_PER_AGENT_MAX: usize = 16 << 20;

    fn apply(&mut self, record: &Record) {
        match &record.body {
            Body::RecordRefused(_) => {
                self.ledger.settle(&record.id);
                self.make_room();
            }
            Body::PolicyAdopted(adopted) if adopted.room == Self::SERVICE => self.adopt(adopted),
            _ => {}
        }
    }

    fn unreadable(&mut self, record: &Unreadable<'_>) {
        let refused = Refused::of(record);
        self.refused += 1;
        let full = self.is_full();
        match &mut self.rest {
            Some(rest) => rest.grow(&refused),
            None if full => self.rest = Some(Run::begin(refused.clone())),
            None => self.ledger.owe(Run::begin(refused.clone()).debt(&self.in_force.version)),
        }
        self.last = Some(refused);
    }

    fn debts(&self, _: Timestamp) -> Vec<Cow<'_, Debt>> {
        self.ledger.debts().map(Cow::Borrowed).collect()
    }

    /// Nothing comes of time alone.
    fn next_deadline(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }

    fn next_due(&self) -> Option<Timestamp> {
        (!self.ledger.is_empty()).then_some(Timestamp::MIN)
    }

    fn standing(&self, agent: &AgentId, _: Timestamp) -> Vec<Standing> {
        standing::lines(agent, self.refused, self.last.as_ref(), &self.in_force, self.not_taken.as_ref())
    }

    /// None: what nobody can read may name anybody.
    fn agents(&self) -> Vec<AgentId> {
        Vec::new()
    }
}

impl Audit {
    fn is_full(&self) -> bool {
        self.ledger.len() >= self.in_force.policy.told_singly_max
    }

    fn make_room(&mut self) {
        if !self.is_full()
            && let Some(rest) = self.rest.take()
        {
            self.ledger.owe(rest.debt(&self.in_force.version));
        }
    }

    fn adopt(&mut self, adopted: &PolicyAdopted) {
        match policy::check(&adopted.document) {
            Ok(policy) => {
                self.in_force = InForce { version: adopted.version.clone(), policy };
                self.not_taken = None;
                self.make_room();
            }
            Err(mut faults) => {
                faults.truncate(FAULTS_KEPT_MAX);
                self.not_taken = Some((adopted.version.clone(), faults));
            }
        }
    }
}
