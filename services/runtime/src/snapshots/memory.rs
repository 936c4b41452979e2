//! Snapshots in memory, written at once: for the simulator, whose runs must not depend on threads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::{Offset, Partition};

use super::{Disowned, Encode, SnapshotError, SnapshotPlace, SnapshotStore};

/// Snapshots in memory. Whoever holds it may damage them on purpose.
#[derive(Debug, Default)]
pub struct MemorySnapshots {
    kept: Mutex<BTreeMap<SnapshotPlace, Vec<u8>>>,
    disowned: Disowned,
}

// === impl MemorySnapshots ===

impl MemorySnapshots {
    /// Changes the bytes of every snapshot, as a failing disk would.
    pub fn damage(&self, mut change: impl FnMut(&SnapshotPlace, &mut Vec<u8>)) {
        self.lock().iter_mut().for_each(|(place, bytes)| change(place, bytes));
    }

    /// Snapshots that stand.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SnapshotPlace, Vec<u8>>> {
        // A panic elsewhere cannot leave a map of bytes half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotStore for MemorySnapshots {
    fn positions(&self, service: &'static str, partition: Partition) -> Result<Vec<Offset>, SnapshotError> {
        let of = |place: &&SnapshotPlace| place.service == service && place.partition == partition;
        Ok(self.lock().keys().filter(of).map(|place| place.position).rev().collect())
    }

    fn read(&self, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError> {
        self.lock().get(place).cloned().ok_or_else(|| SnapshotError::Store { reason: "there is no such snapshot".to_owned() })
    }

    fn put(&self, place: SnapshotPlace, encode: Encode) -> bool {
        let mut kept = self.lock();
        kept.insert(place.clone(), encode());
        let of = |other: &&SnapshotPlace| other.service == place.service && other.partition == place.partition;
        let positions = kept.keys().filter(of).map(|other| other.position).collect();
        for position in self.disowned.dropped(positions, &place) {
            kept.remove(&SnapshotPlace { position, ..place.clone() });
        }
        true
    }

    fn disown(&self, place: SnapshotPlace) {
        self.disowned.note(place);
    }
}
