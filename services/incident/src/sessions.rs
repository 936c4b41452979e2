//! Sessions under way, and the order in which their outcomes may be looked at.
//!
//! Outcomes enter a comparison in the order in which the sessions of a version *started*: each waits until every one
//! that started before it is settled. In order of completion a version with quick failures and slow successes would
//! show its failures first, and the pairs would compare one version's quick sessions with the other's slow ones: with
//! 40 sessions at once the rate of false alarms was simulated at 37 % instead of 1 %.

use std::collections::VecDeque;

use machine::{Shelf, columns};
use serde::{Deserialize, Serialize};
use wire::{RecordId, SessionId, Timestamp, short_digest};

use crate::versions::{Ix, Lane};
use crate::vitals::Vitals;

/// Sessions of one agent that are followed at once. Beyond it the oldest counts as timed out.
pub(crate) const SESSIONS_MAX: usize = 1 << 13;

/// Sessions that are still known, with their versions, after they are done with: a repeated fact starts none anew, and
/// a harm that is reported late still names the version that did it.
const RECENT_MAX: usize = 32;

/// A session, as a digest of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Key(u64);

/// The sessions of one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Sessions {
    /// By the order of their start.
    started: Shelf<u64, Session>,
    next: u64,
    recent: VecDeque<(Key, Ix)>,
    /// Where each stands in `started`: derived.
    place_of: Shelf<Key, u64>,
    /// Per version, the sessions that were not released yet: derived.
    waiting: Shelf<Ix, Queue>,
}

/// Sessions of one version that were not released yet, and how many of them have told their outcome.
#[derive(Clone, Debug, Default, PartialEq)]
struct Queue {
    places: Shelf<u64, ()>,
    good: u64,
    bad: u64,
}

/// One session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    key: Key,
    pub(crate) version: Ix,
    pub(crate) lane: Lane,
    /// When it started by its platform's clock, where a criterion asks for it.
    pub(crate) began: Option<Timestamp>,
    /// When it is settled whether it told its outcome or not.
    due: Timestamp,
    /// When it is forgotten even if it never ended.
    until: Timestamp,
    ended: bool,
    released: bool,
    pub(crate) told: Told,
    /// What its calls took, until it ends.
    vitals: Vitals,
}

/// What a session told about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// Whether it succeeded.
    pub(crate) success: Option<bool>,
    /// Whether a human brought it to its end.
    pub(crate) human: Option<bool>,
    /// Whether a call of the agent failed in it.
    pub(crate) erred: bool,
    /// Whether it ended, and within the time that the policy allows where that can be told.
    pub(crate) ended: bool,
    pub(crate) in_time: Option<bool>,
}

columns!(Session { key, version, lane, began, due, until, ended, released, told, vitals });
columns!(Told { success, human, erred, ended, in_time });

/// What became of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is the session's first.
    First,
    /// The session had one, or was given up: a correction.
    Correction,
    /// Nobody started this session.
    Stray,
}

// === impl Key ===

impl Key {
    pub(crate) fn of(session: &SessionId) -> Self {
        Self(short_digest("session", session.as_str()))
    }
}

// === impl Sessions ===

impl Sessions {
    /// Follows a session from its start. `false`: it is known already.
    pub(crate) fn start(&mut self, key: Key, version: Ix, lane: Lane, began: Option<Timestamp>, until: Timestamp) -> bool {
        if self.knows(key) {
            return false;
        }
        let place = self.next;
        self.next += 1;
        let told = Told::default();
        let vitals = Vitals::default();
        let session = Session { key, version, lane, began, due: until, until, ended: false, released: false, told, vitals };
        self.started.insert(place, session);
        self.place_of.insert(key, place);
        self.waiting.entry(version).or_default().places.insert(place, ());
        true
    }

    /// Whether a session is under way, or was until a short while ago.
    pub(crate) fn knows(&self, key: Key) -> bool {
        self.place_of.contains_key(&key) || self.recent.iter().any(|(recent, _)| *recent == key)
    }

    /// The version that started a session, as long as the session is known.
    pub(crate) fn version_of(&self, key: Key) -> Option<Ix> {
        let recent = || self.recent.iter().find(|(recent, _)| *recent == key).map(|(_, version)| *version);
        self.get(key).map(|session| session.version).or_else(recent)
    }

    /// The session, if it is under way.
    pub(crate) fn get(&self, key: Key) -> Option<&Session> {
        self.started.get(self.place_of.get(&key)?)
    }

    /// What it has told, to be added to, as long as that still counts.
    pub(crate) fn tell(&mut self, key: Key) -> Option<&mut Told> {
        let session = self.started.get_mut(self.place_of.get(&key)?)?;
        (!session.released).then_some(&mut session.told)
    }

    /// What its calls took, to be added to until it ends.
    pub(crate) fn vitals(&mut self, key: Key) -> Option<&mut Vitals> {
        let session = self.started.get_mut(self.place_of.get(&key)?)?;
        (!session.ended).then_some(&mut session.vitals)
    }

    /// An outcome: the first counts, while the session is not given up.
    pub(crate) fn outcome(&mut self, key: Key, success: bool) -> Heard {
        let Some(place) = self.place_of.get(&key) else {
            return if self.knows(key) { Heard::Correction } else { Heard::Stray };
        };
        let session = self.started.get_mut(place).expect("every place is a session's");
        if session.released || session.told.success.is_some() {
            return Heard::Correction;
        }
        session.told.success = Some(success);
        self.waiting.entry(session.version).or_default().count(Some(success), true);
        Heard::First
    }

    /// A session ended; its outcome may come until `grace`. One that was released is done with. What its calls took, if
    /// this is the first that is heard of its end.
    pub(crate) fn end(&mut self, key: Key, grace: Timestamp) -> Option<Vitals> {
        let place = self.place_of.get(&key).copied()?;
        let session = self.started.get_mut(&place).expect("every place is a session's");
        let vitals = (!session.ended).then(|| std::mem::take(&mut session.vitals));
        session.ended = true;
        session.told.ended = true;
        session.due = session.due.min(grace);
        if session.released {
            self.forget(place);
        }
        vitals
    }

    /// The earliest deadline that would release a session, and its version.
    pub(crate) fn next_due(&self) -> Option<(Timestamp, Ix)> {
        self.waiting.iter().filter_map(|(version, queue)| Some((self.started[queue.places.first_key_value()?.0].due, *version))).min()
    }

    /// Takes the version's earliest unreleased session if it is settled at `at`. `whole`: an outcome alone is not
    /// enough, the session must have ended too.
    pub(crate) fn release(&mut self, version: Ix, at: Timestamp, whole: bool) -> Option<Session> {
        let queue = self.waiting.get_mut(&version)?;
        let place = *queue.places.first_key_value()?.0;
        let session = self.started.get_mut(&place).expect("who waits is started");
        if !session.is_settled(at, whole) {
            return None;
        }
        queue.places.pop_first();
        queue.count(session.told.success, false);
        if queue.places.is_empty() {
            self.waiting.remove(&version);
        }
        session.released = true;
        let released = session.clone();
        if released.ended || released.until <= at {
            self.forget(place);
        }
        Some(released)
    }

    /// Gives up what is too old or too much: released sessions that never ended, which are returned, and beyond
    /// [`SESSIONS_MAX`] the oldest, whose version is returned, for it can be released now.
    pub(crate) fn bound(&mut self, at: Timestamp) -> (Vec<Session>, Option<Ix>) {
        let mut given_up = Vec::new();
        while let Some((place, _)) = self.started.first_key_value().filter(|(_, oldest)| oldest.released && oldest.until <= at) {
            let place = *place;
            given_up.extend(self.forget(place));
        }
        if self.started.len() <= SESSIONS_MAX {
            return (given_up, None);
        }
        let (place, oldest) = self.started.iter_mut().next().expect("more than none");
        if oldest.released {
            let place = *place;
            given_up.extend(self.forget(place));
            return (given_up, None);
        }
        oldest.due = at;
        oldest.until = at;
        (given_up, Some(oldest.version))
    }

    /// Forgets all sessions of a version.
    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.waiting.remove(&version);
        let places: Vec<u64> = self.started.iter().filter(|(_, session)| session.version == version).map(|(place, _)| *place).collect();
        places.into_iter().for_each(|place| drop(self.forget(place)));
    }

    /// Sessions of a version that were not released yet, as (good, bad, all).
    pub(crate) fn backlog(&self, version: Ix) -> (u64, u64, u64) {
        self.waiting.get(&version).map_or((0, 0, 0), |queue| (queue.good, queue.bad, queue.places.len() as u64))
    }

    fn forget(&mut self, place: u64) -> Option<Session> {
        let session = self.started.remove(&place)?;
        self.place_of.remove(&session.key);
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((session.key, session.version));
        Some(session)
    }
}

// === impl Queue ===

impl Queue {
    /// One of its sessions has an outcome now, or goes with the one that it had.
    fn count(&mut self, outcome: Option<bool>, comes: bool) {
        let count = match outcome {
            Some(true) => &mut self.good,
            Some(false) => &mut self.bad,
            None => return,
        };
        *count = if comes { *count + 1 } else { count.saturating_sub(1) };
    }
}

// === impl Session ===

impl Session {
    /// Whether it is given up: it should have ended by now, and did not.
    pub(crate) fn is_given_up(&self, at: Timestamp) -> bool {
        !self.ended && self.until <= at
    }

    /// The escalation, if a human was called for before it ended.
    pub(crate) fn raised(&self) -> Option<&RecordId> {
        self.vitals.raised.as_ref()
    }

    fn is_settled(&self, at: Timestamp, whole: bool) -> bool {
        self.due <= at || self.told.success.is_some() && (self.ended || !whole)
    }
}

/// What of [`Sessions`] is stored: the rest follows from it.
#[derive(Clone, Serialize, Deserialize)]
struct Stored(u64, VecDeque<(Key, Ix)>, Vec<(u64, Session)>);

impl From<Stored> for Sessions {
    fn from(Stored(next, recent, sessions): Stored) -> Self {
        let mut waiting: Shelf<Ix, Queue> = Shelf::new();
        for (place, session) in sessions.iter().filter(|(_, session)| !session.released) {
            let queue = waiting.entry(session.version).or_default();
            queue.places.insert(*place, ());
            queue.count(session.told.success, true);
        }
        let place_of = sessions.iter().map(|(place, session)| (session.key, *place)).collect();
        Self { started: sessions.into_iter().collect(), next, recent, place_of, waiting }
    }
}

impl From<Sessions> for Stored {
    fn from(sessions: Sessions) -> Self {
        Self(sessions.next, sessions.recent, sessions.started.into_iter().collect())
    }
}
