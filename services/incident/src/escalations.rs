//! Sessions that are over, and whether a human was called for: known once the escalation room has looked so far.
//!
//! That it raised nothing is no evidence before its watermark has passed the end of the session: it may be behind, or
//! down. Sessions that ended before the room was first heard of say nothing.

use std::collections::VecDeque;

use machine::columns;
use wire::{Offset, RecordId};

use crate::sessions::Key;
use crate::versions::{Ix, Lane};

/// Sessions of one agent that wait for the escalation room. A further one takes the place of the oldest, which says nothing.
const WAITING_MAX: usize = 256;

/// The sessions of one agent that wait, in the order of their ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Escalations {
    waiting: VecDeque<Ended>,
    /// Sessions that waited for too long.
    pub(crate) lost: u64,
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    key: Key,
    /// Its last record and that record's place.
    pub(crate) id: RecordId,
    pub(crate) offset: Offset,
    pub(crate) chart: (Ix, Lane),
    /// The escalation, if one was raised.
    pub(crate) raised: Option<RecordId>,
}

columns!(Escalations { waiting, lost });
columns!(Ended { key, id, offset, chart, raised });

// === impl Escalations ===

impl Escalations {
    /// A session is over.
    pub(crate) fn wait(&mut self, ended: Ended) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(ended);
    }

    /// A human was called for, after the session ended.
    pub(crate) fn raised(&mut self, session: Key, by: &RecordId) {
        if let Some(ended) = self.waiting.iter_mut().find(|ended| ended.key == session && ended.raised.is_none()) {
            ended.raised = Some(by.clone());
        }
    }

    /// The next session that the escalation room has looked at whole, when it has folded up to `asof`.
    pub(crate) fn looked_at(&mut self, asof: Offset) -> Option<Ended> {
        self.waiting.front().filter(|ended| ended.offset <= asof)?;
        self.waiting.pop_front()
    }

    /// Forgets a version.
    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.waiting.retain(|ended| ended.chart.0 != version);
    }

    /// Sessions that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

// === impl Ended ===

impl Ended {
    pub(crate) fn new(key: Key, id: RecordId, offset: Offset, chart: (Ix, Lane), raised: Option<RecordId>) -> Self {
        Self { key, id, offset, chart, raised }
    }
}
