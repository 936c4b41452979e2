//! Deadlines as state: who falls due when, ordered by time.

use serde::{Deserialize, Serialize};
use wire::Timestamp;

use crate::Shelf;

/// At most one deadline per key. Asking what is due touches only what is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    from = "Vec<(K, Timestamp)>",
    into = "Vec<(K, Timestamp)>",
    bound(serialize = "K: Clone + Ord + Serialize", deserialize = "K: Clone + Ord + Deserialize<'de>")
)]
pub struct Agenda<K: Clone + Ord> {
    due_at: Shelf<K, Timestamp>,
    /// The same by time. Every entry has a key: one without lies before all keys of its time, to begin a search at.
    by_time: Shelf<(Timestamp, Option<K>), ()>,
}

// === impl Agenda ===

impl<K: Clone + Ord> Agenda<K> {
    /// Sets, moves or (with `None`) strikes the deadline of `key`.
    pub fn set(&mut self, key: &K, due: Option<Timestamp>) {
        if let Some(old) = self.due_at.remove(key) {
            self.by_time.remove(&(old, Some(key.clone())));
        }
        if let Some(due) = due {
            self.due_at.insert(key.clone(), due);
            self.by_time.insert((due, Some(key.clone())), ());
        }
    }

    /// The deadline of `key`.
    pub fn get(&self, key: &K) -> Option<Timestamp> {
        self.due_at.get(key).copied()
    }

    /// The earliest deadline.
    pub fn first(&self) -> Option<Timestamp> {
        self.by_time.first_key_value().map(|((due, _), ())| *due)
    }

    /// The earliest deadline after `time`.
    pub fn first_after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = Timestamp(time.0.checked_add(1)?);
        self.by_time.range((next, None)..).next().map(|((due, _), ())| *due)
    }

    /// Every key whose deadline is at or before `now`, earliest first.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &K)> {
        self.by_time.keys().take_while(move |(due, _)| *due <= now).filter_map(|(due, key)| Some((*due, key.as_ref()?)))
    }

    /// Keys with a deadline.
    pub fn len(&self) -> usize {
        self.due_at.len()
    }

    /// Whether nobody has a deadline.
    pub fn is_empty(&self) -> bool {
        self.due_at.is_empty()
    }
}

impl<K: Clone + Ord> Default for Agenda<K> {
    fn default() -> Self {
        Self { due_at: Shelf::new(), by_time: Shelf::new() }
    }
}

impl<K: Clone + Ord> From<Vec<(K, Timestamp)>> for Agenda<K> {
    fn from(entries: Vec<(K, Timestamp)>) -> Self {
        let mut agenda = Self::default();
        entries.iter().for_each(|(key, due)| agenda.set(key, Some(*due)));
        agenda
    }
}

impl<K: Clone + Ord> From<Agenda<K>> for Vec<(K, Timestamp)> {
    fn from(agenda: Agenda<K>) -> Self {
        agenda.due_at.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once_and_is_due_by_its_last_deadline() {
        let mut agenda = Agenda::default();
        agenda.set(&"a", Some(Timestamp(5)));
        agenda.set(&"b", Some(Timestamp(3)));
        agenda.set(&"a", Some(Timestamp(1)));
        assert_eq!((agenda.first(), agenda.len()), (Some(Timestamp(1)), 2));
        assert_eq!(agenda.due(Timestamp(3)).collect::<Vec<_>>(), [(Timestamp(1), &"a"), (Timestamp(3), &"b")]);
        assert_eq!(agenda.due(Timestamp(2)).count(), 1);
        let after = [0, 1, 2, 3].map(|time| agenda.first_after(Timestamp(time)));
        assert_eq!(after, [Some(Timestamp(1)), Some(Timestamp(3)), Some(Timestamp(3)), None]);
        assert_eq!((agenda.first_after(Timestamp::MIN), agenda.first_after(Timestamp::MAX)), (Some(Timestamp(1)), None));
        agenda.set(&"a", None);
        agenda.set(&"b", None);
        assert_eq!((agenda.first(), agenda.get(&"a"), agenda.is_empty()), (None, None, true));
        assert_eq!(agenda, Agenda::default());
    }
}
