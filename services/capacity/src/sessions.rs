//! How many sessions an agent has at once.
//!
//! A session is under way from its start until it ends, or until nothing was heard of it for as long as the policy says:
//! platforms forget to end sessions, and would otherwise have more of them for ever. It is counted in the order of the
//! log: a platform that tells a session only when it is over is seen to have one at a time. How many sessions one has that
//! never told a start, nobody knows.

use machine::Shelf;
use serde::{Deserialize, Serialize};
use wire::{SessionId, Timestamp, short_digest};

use crate::rules::Resolution;

/// Sessions of one agent that are followed at once. Beyond it the one that was heard of longest ago is given up.
pub(crate) const SESSIONS_MAX: usize = 1 << 13;

/// A session, as a digest of its id: two of one agent do not meet by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Key(u64);

/// The sessions of one agent that are under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Sessions {
    /// A start was heard, ever.
    is_told: bool,
    /// The minute in which each was last heard of.
    heard: Shelf<Key, i64>,
    /// The same by time: derived.
    by_minute: Shelf<(i64, Key), ()>,
}

/// As it is stored: whether a start was heard, and when each session was last heard of.
type Stored = (bool, Vec<(Key, i64)>);

// === impl Key ===

impl Key {
    /// The key of a session.
    pub(crate) fn of(session: &SessionId) -> Self {
        Self(short_digest("session", session.as_str()))
    }
}

// === impl Sessions ===

impl Sessions {
    /// A session began, or one that is known began once more.
    pub(crate) fn start(&mut self, key: Key, at: Timestamp) {
        self.is_told = true;
        self.hear(key, Resolution::Minute.index(at));
        if self.heard.len() > SESSIONS_MAX {
            self.forget_oldest();
        }
    }

    /// A sign of life of a session; one that is not under way stays so, for much is told of a session after its end.
    pub(crate) fn saw(&mut self, key: Key, at: Timestamp) {
        let minute = Resolution::Minute.index(at);
        if self.heard.get(&key).is_some_and(|heard| *heard < minute) {
            self.hear(key, minute);
        }
    }

    /// A session ended.
    pub(crate) fn end(&mut self, key: Key) {
        if let Some(minute) = self.heard.remove(&key) {
            self.by_minute.remove(&(minute, key));
        }
    }

    /// Gives up whatever was not heard of for `timeout_s`.
    pub(crate) fn time_out(&mut self, at: Timestamp, timeout_s: i64) {
        let last = Resolution::Minute.index(at.plus_s(-timeout_s));
        while self.by_minute.first_key_value().is_some_and(|((minute, _), ())| *minute < last) {
            self.forget_oldest();
        }
    }

    /// Sessions under way; `None`: no start was ever heard.
    pub(crate) fn count(&self) -> Option<u64> {
        self.is_told.then_some(self.heard.len() as u64)
    }

    fn hear(&mut self, key: Key, minute: i64) {
        self.end(key);
        self.heard.insert(key, minute);
        self.by_minute.insert((minute, key), ());
    }

    fn forget_oldest(&mut self) {
        if let Some(((_, key), ())) = self.by_minute.pop_first() {
            self.heard.remove(&key);
        }
    }
}

impl From<Stored> for Sessions {
    fn from((is_told, heard): Stored) -> Self {
        let by_minute = heard.iter().map(|(key, minute)| ((*minute, *key), ())).collect();
        Self { is_told, heard: heard.into_iter().collect(), by_minute }
    }
}

impl From<Sessions> for Stored {
    fn from(sessions: Sessions) -> Self {
        (sessions.is_told, sessions.heard.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT_S: i64 = 1_800;

    #[test]
    fn a_session_that_never_ends_is_given_up_when_nothing_is_heard_of_it() {
        let mut sessions = Sessions::default();
        sessions.start(Key(1), at(0));
        sessions.start(Key(2), at(0));
        sessions.saw(Key(2), at(1_500));
        sessions.time_out(at(1_800), TIMEOUT_S);
        assert_eq!(sessions.count(), Some(2));
        sessions.time_out(at(1_860), TIMEOUT_S);
        assert_eq!(sessions.count(), Some(1), "the one that was heard of meanwhile");
    }

    #[test]
    fn what_is_told_after_the_end_opens_no_session() {
        let mut sessions = Sessions::default();
        sessions.start(Key(1), at(0));
        sessions.start(Key(1), at(60));
        sessions.end(Key(1));
        sessions.saw(Key(1), at(120));
        assert_eq!(sessions.count(), Some(0));
    }

    #[test]
    fn without_any_start_nobody_knows_how_many_there_are() {
        let mut sessions = Sessions::default();
        sessions.saw(Key(1), at(0));
        sessions.end(Key(1));
        assert_eq!(sessions.count(), None);
    }

    #[test]
    fn beyond_the_bound_the_one_heard_of_longest_ago_goes() {
        let mut sessions = Sessions::default();
        (0..=SESSIONS_MAX as u64).for_each(|number| sessions.start(Key(number), at(60 * number as i64)));
        assert_eq!(sessions.count(), Some(SESSIONS_MAX as u64));
        assert!(!sessions.heard.contains_key(&Key(0)) && sessions.heard.contains_key(&Key(1)));
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(0).plus_s(seconds)
    }
}
