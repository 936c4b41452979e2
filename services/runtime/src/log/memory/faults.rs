//! What goes wrong, how likely, and how often it really did. All chance comes from one seed.

use std::collections::{BTreeMap, VecDeque};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Probability of each fault, each time that it could strike. The default is calm weather.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultPlan {
    /// A commit ends aborted: its records stand on the log, undone, with a marker after them.
    pub aborted: f64,
    /// The producer is cut off before its commit arrives; its transaction stays open.
    pub crash_before_commit: f64,
    /// The commit stands, its answer is lost.
    pub crash_after_commit: f64,
    /// The offsets are accepted, the records are still on their way.
    pub delayed_produce: f64,
    /// The records are there, the commit is still on its way.
    pub delayed_commit: f64,
    /// The member's session ended just before its commit.
    pub fenced: f64,
    /// A poll finds that its whole group has to join anew.
    pub rebalanced: f64,
    /// A reader sees fewer committed records than there are, for a while.
    pub lagged: f64,
    /// The read-committed end of a partition stands still for everybody, for a while.
    pub stalled: f64,
    /// A record that is published unchecked is published a second time.
    pub duplicated: f64,
    /// What is appended waits for its copies, and nobody sees it meanwhile, where the log has any to wait for.
    pub unreplicated: f64,
}

macro_rules! fault_counts {
    ($($(#[$doc:meta])+ $name:ident)+) => {
        /// How often each fault struck, and what came of it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct FaultCounts {
            $($(#[$doc])+ pub $name: u64,)+
        }

        impl FaultCounts {
            /// Name and count of each.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

fault_counts! {
    /// As [`FaultPlan::aborted`].
    aborted
    /// As [`FaultPlan::crash_before_commit`].
    crash_before_commit
    /// As [`FaultPlan::crash_after_commit`].
    crash_after_commit
    /// As [`FaultPlan::delayed_produce`].
    delayed_produce
    /// As [`FaultPlan::delayed_commit`].
    delayed_commit
    /// As [`FaultPlan::fenced`].
    fenced
    /// As [`FaultPlan::rebalanced`].
    rebalanced
    /// As [`FaultPlan::lagged`].
    lagged
    /// As [`FaultPlan::stalled`].
    stalled
    /// As [`FaultPlan::duplicated`].
    duplicated
    /// As [`FaultPlan::unreplicated`].
    unreplicated
    /// Records dated before the one that stands before them, by a broker whose clock lies behind.
    dated_back
    /// Commits refused because their producer or member had a successor.
    zombie_refused
    /// Transactions that stayed open and were committed late.
    landed_late
    /// Transactions that stayed open and were undone by a successor.
    undone_by_successor
    /// Transactions that stayed open until the broker's patience ended.
    timed_out
    /// Records that arrived after their epoch had ended, and were refused.
    late_produce_fenced
    /// Times that a group's offset was asked for and a transaction was pending on it.
    offset_pending
}

/// What becomes of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// [`FaultPlan::aborted`]; the caller hears [`Aborted`](crate::log::CommitError::Aborted).
    Aborted,
    /// [`FaultPlan::crash_before_commit`]; the caller hears [`Unknown`](crate::log::CommitError::Unknown).
    CrashBeforeCommit,
    /// [`FaultPlan::crash_after_commit`]; the caller hears [`Unknown`](crate::log::CommitError::Unknown).
    CrashAfterCommit,
    /// [`FaultPlan::delayed_produce`]; the caller hears [`Unknown`](crate::log::CommitError::Unknown).
    DelayedProduce,
    /// [`FaultPlan::delayed_commit`]; the caller hears [`Unknown`](crate::log::CommitError::Unknown).
    DelayedCommit,
    /// [`FaultPlan::fenced`]; the caller hears [`Fenced`](crate::log::CommitError::Fenced).
    Fenced,
}

/// Questions from readers until a delayed produce or commit arrives, at most.
pub(super) const DELAY_QUESTIONS_MAX: u32 = 40;
/// More questions than anybody asks.
const NEVER: u32 = u32::MAX;

/// Where chance comes from.
pub(super) struct Dice {
    rng: ChaCha8Rng,
    pub(super) plan: FaultPlan,
    pub(super) counts: FaultCounts,
    /// Faults that were asked for by name, per transactional id, before any chance.
    ordered: BTreeMap<String, VecDeque<CommitFault>>,
}

// === impl Dice ===

impl Dice {
    pub(super) fn new(seed: u64, plan: FaultPlan) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), plan, counts: FaultCounts::default(), ordered: BTreeMap::new() }
    }

    /// From now on all chance comes from `seed`, and each fault is as likely as `plan` says.
    pub(super) fn turn(&mut self, seed: u64, plan: FaultPlan) {
        self.rng = ChaCha8Rng::seed_from_u64(seed);
        self.plan = plan;
    }

    /// The next commit of `transactional_id` without one of its own meets this fault.
    pub(super) fn order(&mut self, transactional_id: &str, fault: CommitFault) {
        self.ordered.entry(transactional_id.to_owned()).or_default().push_back(fault);
    }

    /// Whether something of this probability happens. What cannot happen takes no chance from the seed.
    pub(super) fn strikes(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    /// One of two things that are equally likely; in calm weather never.
    pub(super) fn either(&mut self) -> bool {
        self.plan != FaultPlan::default() && self.rng.random_bool(0.5)
    }

    /// A number from 1 to `max`.
    pub(super) fn up_to(&mut self, max: u32) -> u32 {
        self.rng.random_range(1..=max.max(1))
    }

    /// A number from 0 to `max`; nothing is drawn where there is no choice.
    pub(super) fn up_to_us(&mut self, max: i64) -> i64 {
        if max > 0 { self.rng.random_range(0..=max) } else { 0 }
    }

    /// What becomes of the next commit, counted, and after how many questions what it delays arrives. What was ordered
    /// by name waits to be let.
    pub(super) fn commit_fault(&mut self, transactional_id: &str) -> Option<(CommitFault, u32)> {
        let ordered = self.ordered.get_mut(transactional_id).and_then(VecDeque::pop_front);
        let (fault, questions) = match ordered {
            Some(fault) => (fault, NEVER),
            None => (self.drawn_commit_fault()?, self.up_to(DELAY_QUESTIONS_MAX)),
        };
        let count = match fault {
            CommitFault::Aborted => &mut self.counts.aborted,
            CommitFault::CrashBeforeCommit => &mut self.counts.crash_before_commit,
            CommitFault::CrashAfterCommit => &mut self.counts.crash_after_commit,
            CommitFault::DelayedProduce => &mut self.counts.delayed_produce,
            CommitFault::DelayedCommit => &mut self.counts.delayed_commit,
            CommitFault::Fenced => &mut self.counts.fenced,
        };
        *count += 1;
        Some((fault, questions))
    }

    fn drawn_commit_fault(&mut self) -> Option<CommitFault> {
        let plan = self.plan;
        let odds = [
            (plan.aborted, CommitFault::Aborted),
            (plan.crash_before_commit, CommitFault::CrashBeforeCommit),
            (plan.crash_after_commit, CommitFault::CrashAfterCommit),
            (plan.delayed_produce, CommitFault::DelayedProduce),
            (plan.delayed_commit, CommitFault::DelayedCommit),
            (plan.fenced, CommitFault::Fenced),
        ];
        odds.into_iter().find_map(|(probability, fault)| self.strikes(probability).then_some(fault))
    }
}
