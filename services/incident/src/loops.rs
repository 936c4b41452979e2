//! Loops: an agent that calls the same tool with the same arguments again and again in one session.
//!
//! Arguments are compared by a digest, and only where the platform tells them: absent ones are not the same ones.

use machine::{Shelf, columns};
use wire::RecordId;

use crate::policy::Policy;
use crate::sessions::Key;

/// Sessions of one agent whose calls are followed at once. A further one takes the place of the one that called longest ago.
const SESSIONS_MAX: usize = 128;
/// Calls of one session that are told apart. A further one takes one from the count of each, and those that have none left
/// make room: the summary of Misra and Gries (*Finding repeated elements*, Sci. Comput. Program. 2, 1982). A count is never
/// too high, and too low by at most one in nine of the session's calls.
const CALLS_MAX: usize = 8;
/// Records kept as evidence per call.
const EVIDENCE_MAX: usize = 3;

/// The calls of one agent's sessions under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Loops {
    sessions: Shelf<Key, Calls>,
    next: u64,
    /// Calls that told their arguments, and calls that did not.
    pub(crate) compared: u64,
    pub(crate) untold: u64,
}

/// The calls of one session.
#[derive(Clone, Debug, Default, PartialEq)]
struct Calls {
    /// When it last called, by order.
    last: u64,
    kept: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq)]
struct Call {
    digest: u64,
    count: u64,
    evidence: Vec<RecordId>,
}

columns!(Loops { sessions, next, compared, untold });
columns!(Calls { last, kept });
columns!(Call { digest, count, evidence });

// === impl Loops ===

impl Loops {
    /// A call in a session, as a digest of its tool and arguments. How often it was made, if that is a loop, with the
    /// last calls before it.
    pub(crate) fn saw(&mut self, session: Key, digest: Option<u64>, id: &RecordId, policy: &Policy) -> Option<(u64, Vec<RecordId>)> {
        let Some(digest) = digest else {
            self.untold += 1;
            return None;
        };
        self.compared += 1;
        self.next += 1;
        if !self.sessions.contains_key(&session) && self.sessions.len() == SESSIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, calls)| calls.last).map(|(key, _)| *key);
            oldest.into_iter().for_each(|key| self.end(key));
        }
        let calls = self.sessions.entry(session).or_default();
        calls.last = self.next;
        let call = calls.of(digest)?;
        call.count += 1;
        let is_loop = call.count >= policy.loop_calls;
        let told = is_loop.then(|| (call.count, call.evidence.clone()));
        if call.count + EVIDENCE_MAX as u64 >= policy.loop_calls {
            if call.evidence.len() == EVIDENCE_MAX {
                call.evidence.remove(0);
            }
            call.evidence.push(id.clone());
        }
        told
    }

    /// A session is over.
    pub(crate) fn end(&mut self, session: Key) {
        self.sessions.remove(&session);
    }

    /// A person says that it is dealt with: repeats are counted anew.
    pub(crate) fn begin_anew(&mut self) {
        self.sessions.clear();
    }

    /// Sessions followed.
    pub(crate) fn followed(&self) -> usize {
        self.sessions.len()
    }
}

// === impl Calls ===

impl Calls {
    /// The call of this digest, if there is room for it.
    fn of(&mut self, digest: u64) -> Option<&mut Call> {
        if let Some(place) = self.kept.iter().position(|call| call.digest == digest) {
            return self.kept.get_mut(place);
        }
        if self.kept.len() == CALLS_MAX {
            self.kept.iter_mut().for_each(|call| call.count -= 1);
            self.kept.retain(|call| call.count > 0);
            return None;
        }
        self.kept.push(Call { digest, count: 0, evidence: Vec::new() });
        self.kept.last_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wire::SessionId;

    use super::*;

    #[test]
    fn the_twelfth_same_call_is_a_loop_and_so_is_every_one_after_it() {
        let mut loops = Loops::default();
        let told: Vec<Option<u64>> = (0..14).map(|_| saw(&mut loops, "s", Some(7))).collect();
        assert_eq!((&told[..11], &told[11..]), (&[None; 11][..], &[Some(12), Some(13), Some(14)][..]));
    }

    #[test]
    fn other_sessions_other_arguments_and_untold_ones_are_no_loop() {
        let mut loops = Loops::default();
        for call in 0..200 {
            assert_eq!(saw(&mut loops, &format!("s{call}"), Some(7)), None);
            assert_eq!(saw(&mut loops, "s", Some(call)), None);
            assert_eq!(saw(&mut loops, "s", None), None);
        }
        assert_eq!((loops.compared, loops.untold, loops.followed()), (400, 200, SESSIONS_MAX));
    }

    #[test]
    fn a_loop_through_three_calls_is_seen_among_many_others() {
        let mut loops = Loops::default();
        let told = (0..80_u64).filter_map(|call| {
            saw(&mut loops, "s", Some(1_000 + call));
            saw(&mut loops, "s", Some(call % 3))
        });
        assert_eq!(told.min(), Some(12));
    }

    #[test]
    fn a_loop_that_begins_after_many_calls_made_twice_is_seen() {
        let mut loops = Loops::default();
        (0..16).for_each(|call| assert_eq!(saw(&mut loops, "s", Some(call / 2)), None));
        let seen = (0..40).position(|call| saw(&mut loops, "s", Some(100 + call % 2)).is_some());
        // Two calls make room, and twelve of each are a loop.
        assert_eq!(seen, Some(24));
    }

    #[test]
    fn a_count_is_never_too_high_and_too_low_by_at_most_a_ninth_of_all_calls() {
        let mut calls = Calls::default();
        let mut truth = BTreeMap::new();
        for step in 1..5_000_u64 {
            let digest = (step * step * 7 + step) % (1 + step % 23);
            *truth.entry(digest).or_insert(0_u64) += 1;
            calls.of(digest).into_iter().for_each(|call| call.count += 1);
            for (digest, came) in &truth {
                let count = calls.kept.iter().find(|call| call.digest == *digest).map_or(0, |call| call.count);
                assert!(count <= *came && came - count <= step / 9, "{digest} came {came} times of {step}, counted {count}");
            }
        }
    }

    #[test]
    fn a_session_that_ended_or_was_dealt_with_begins_at_nothing() {
        let mut loops = Loops::default();
        (0..11).for_each(|_| assert_eq!(saw(&mut loops, "s", Some(7)), None));
        loops.end(Key::of(&SessionId::from("s")));
        (0..11).for_each(|_| assert_eq!(saw(&mut loops, "s", Some(7)), None));
        loops.begin_anew();
        (0..11).for_each(|_| assert_eq!(saw(&mut loops, "s", Some(7)), None));
    }

    fn saw(loops: &mut Loops, session: &str, digest: Option<u64>) -> Option<u64> {
        loops.saw(Key::of(&SessionId::from(session)), digest, &"call".into(), &Policy::default()).map(|(count, _)| count)
    }
}
