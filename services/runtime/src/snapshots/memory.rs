//! Snapshots in memory, written at once: for the simulator, whose runs must not depend on threads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::{Offset, Partition};

use super::{Encode, KEPT, SnapshotError, SnapshotPlace, SnapshotStore};

/// Snapshots in memory. Whoever holds it may damage them on purpose.
#[derive(Debug, Default)]
pub struct MemorySnapshots(Mutex<BTreeMap<SnapshotPlace, Vec<u8>>>);

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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (service, partition) = (place.service, place.partition);
        kept.insert(place, encode());
        let of = |other: &&SnapshotPlace| other.service == service && other.partition == partition;
        let old: Vec<SnapshotPlace> = kept.keys().filter(of).rev().skip(KEPT).cloned().collect();
        old.iter().for_each(|place| drop(kept.remove(place)));
        true
    }
}
