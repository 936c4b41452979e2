//! How a version earns that it may be gone back to: enough outcomes, and long enough without P1 and P2.
//!
//! Absence of incidents is evidence only as far as the incident room has looked: it is judged at that room's
//! watermarks, by their `asof` and `now`, never by the time that happens to pass here. Its other decisions are no
//! watermarks: one of them may stand on the log ahead of an incident of another agent that fell due with it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wire::{Offset, SessionId, Timestamp, short_digest};

use crate::policy::Policy;

/// Sessions that are followed at once, per version. Beyond it new ones are not followed, and their outcomes not
/// counted: a busy agent proves its versions on a sample.
const SESSIONS_MAX: usize = 64;

/// A session whose outcome does not come within this time is no longer followed.
const SESSION_TIMEOUT_S: i64 = 30 * 60;

/// A version on its way to being proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// When it was first seen serving since the last P1 or P2.
    pub(crate) since: Timestamp,
    /// The record that showed it.
    pub(crate) opener: String,
    /// Outcomes of followed sessions that tell success or failure: the first of each session.
    pub(crate) outcomes: u32,
    /// The record that brought enough of them.
    enough_at: Option<Offset>,
    /// Sessions without an outcome yet, oldest first.
    sessions: VecDeque<(Timestamp, u64)>,
}

// === impl Proof ===

impl Proof {
    pub(crate) fn new(since: Timestamp, opener: String) -> Self {
        Self { since, opener, outcomes: 0, enough_at: None, sessions: VecDeque::new() }
    }

    /// Follows a session of the version until its outcome.
    pub(crate) fn follow(&mut self, session: &SessionId, at: Timestamp) {
        while self.sessions.front().is_some_and(|(since, _)| since.plus_s(SESSION_TIMEOUT_S) < at) {
            self.sessions.pop_front();
        }
        let session = short(session);
        if self.sessions.len() < SESSIONS_MAX && !self.follows(session) {
            self.sessions.push_back((at, session));
        }
    }

    /// Counts the outcome of a followed session. A second one of the same session is a correction, and not counted.
    pub(crate) fn count(&mut self, session: &SessionId, at: Offset, policy: &Policy) {
        let session = short(session);
        if !self.follows(session) {
            return;
        }
        self.sessions.retain(|(_, followed)| *followed != session);
        self.outcomes = self.outcomes.saturating_add(1);
        if self.outcomes >= policy.proof_outcomes {
            self.enough_at.get_or_insert(at);
        }
    }

    /// When it may be proven, if nothing happens before; `None` while outcomes are lacking.
    pub(crate) fn ripens_at(&self, policy: &Policy) -> Option<Timestamp> {
        let enough = self.enough_at.is_some() && self.outcomes >= policy.proof_outcomes;
        enough.then(|| self.since.plus_s(policy.proof_hours.saturating_mul(3_600)))
    }

    /// Whether what the incident room had folded (`asof`) and the time that it answered for (`now`) cover the proof.
    pub(crate) fn is_covered(&self, asof: Offset, now: Timestamp, policy: &Policy) -> bool {
        let seen = self.enough_at.is_some_and(|enough| enough <= asof);
        seen && self.ripens_at(policy).is_some_and(|ripe| ripe <= now)
    }

    fn follows(&self, session: u64) -> bool {
        self.sessions.iter().any(|(_, followed)| *followed == session)
    }
}

/// A mistake among 64 sessions is one in 10^16.
fn short(session: &SessionId) -> u64 {
    short_digest("session", session.as_str())
}
