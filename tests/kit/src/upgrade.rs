//! The next version of a room: the same rules under another number, so that no snapshot of the one can be read by the
//! other, as after an upgrade that changes the shape of a state.
//!
//! The simulation's oracle needs nothing for it: what a state owes the log follows from the log alone, so whichever version decided,
//! its bytes are those that either owes. A decision that the new version owes once more, or another one in its place, is
//! a decision that was not owed or stands already.

use std::borrow::Cow;

use machine::{Debt, Decision, Frontier, Machine, Standing, Unreadable};
use serde::{Deserialize, Serialize};
use wire::{AgentId, Kind, Record, Timestamp};

/// Machine `M`, one version later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Next<M: Machine>(M);

// === impl Machine for Next ===

impl<M: Machine> Machine for Next<M> {
    const SERVICE: &'static str = M::SERVICE;
    const VERSION: u32 = M::VERSION + 1;
    const READS: &'static [Kind] = M::READS;
    const DECISIONS_PER_RECORD_MAX: usize = M::DECISIONS_PER_RECORD_MAX;
    const BYTES_PER_AGENT_MAX: usize = M::BYTES_PER_AGENT_MAX;

    fn apply(&mut self, record: &Record) {
        self.0.apply(record);
    }

    fn unreadable(&mut self, record: &Unreadable<'_>) {
        self.0.unreadable(record);
    }

    fn debts(&self, now: Timestamp) -> Vec<Cow<'_, Debt>> {
        self.0.debts(now)
    }

    fn decide(&self, debt: &Debt, at: Frontier) -> Decision {
        self.0.decide(debt, at)
    }

    fn next_deadline(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.next_deadline(time)
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.0.next_due()
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        self.0.standing(agent, now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.0.agents()
    }
}
