//! What was answered with 202, and what may stand on the log without an answer that anybody heard.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Source and id.
pub(crate) type Name = (String, String);

#[derive(Default)]
pub(crate) struct Book {
    /// How many copies of each event must stand on the log; `None`: perhaps one.
    events: Mutex<BTreeMap<Name, Option<usize>>>,
}

// === impl Book ===

impl Book {
    /// An event was answered with 202.
    pub(crate) fn accepted(&self, source: &str, id: &str, copies: usize) {
        self.lock().insert((source.to_owned(), id.to_owned()), Some(copies));
    }

    /// An event was sent, and nobody heard the answer.
    pub(crate) fn in_doubt(&self, source: &str, id: &str) {
        self.lock().entry((source.to_owned(), id.to_owned())).or_insert(None);
    }

    /// How many events there are, and how many more there may be.
    pub(crate) fn events(&self) -> (usize, usize) {
        let events = self.lock();
        let sure = events.values().flatten().count();
        (sure, events.len() - sure)
    }

    /// The log holds exactly these.
    pub(crate) fn is_kept_by(&self, seen: Vec<Name>) {
        let mut found: BTreeMap<Name, usize> = BTreeMap::new();
        seen.into_iter().for_each(|name| *found.entry(name).or_default() += 1);
        let mut wrong = Vec::new();
        for (name, copies) in self.lock().iter() {
            let stand = found.remove(name).unwrap_or(0);
            let is_right = copies.map_or(stand <= 1, |copies| copies == stand);
            if !is_right {
                wrong.push(format!("{name:?}: {stand} records, expected {copies:?}"));
            }
        }
        wrong.extend(found.keys().map(|name| format!("{name:?}: nobody was told that it was accepted")));
        assert!(wrong.is_empty(), "{} events, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Option<usize>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
