//! Ids of records kept as evidence: few, and small.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wire::RecordId;

/// Ids kept per matter. With the opener and the other matters of a decision they stay below the 20 that one carries.
pub(crate) const KEPT_MAX: usize = 12;

/// The newest few of many records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Newest(VecDeque<RecordId>);

// === impl Newest ===

impl Newest {
    /// Keeps one more; beyond [`KEPT_MAX`] the oldest goes.
    pub(crate) fn keep(&mut self, id: &RecordId) {
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(id.clone());
    }

    /// The ids, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &RecordId> {
        self.0.iter()
    }
}
