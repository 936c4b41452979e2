//! One partition as the pump holds it: its driver, its restore while that lasts, its offsets and snapshots.

use machine::Machine;
use serde::Serialize;
use wire::{Offset, Partition, Timestamp};

use super::PumpOptions;
use crate::check;
use crate::driver::Driver;
use crate::facts::{Fact, PartitionRestored};
use crate::laws::Law;
use crate::snapshots::{self, Encode, SnapshotPlace, SnapshotStore};

/// A partition that this pump drives, and what it last said about it.
pub(super) struct Held<M: Machine> {
    pub(super) driver: Driver<M>,
    pub(super) restoring: Option<Restoring>,
    pub(super) committed: Offset,
    pub(super) snapshot_at: Timestamp,
    /// Whether the store turned the last snapshot away.
    pub(super) turned_away: bool,
    /// Where it stood when it was last seen to move, or to have nothing ahead of it, and when that was.
    pub(super) moved: (Offset, Timestamp),
}

/// A restore under way.
pub(super) struct Restoring {
    pub(super) since: Timestamp,
    pub(super) from: Offset,
    pub(super) to: Offset,
    /// What the group had committed: a restored state reaches at least there.
    pub(super) committed: Option<Offset>,
}

/// How one partition of a room stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: Partition,
    /// The next offset to fold.
    pub position: Offset,
    /// Where the partition ends.
    pub high_watermark: Offset,
    /// Offsets between both.
    pub lag: i64,
    /// For how long it has not moved although there is something ahead of it: a transaction that nobody ends holds it, or the log
    /// takes none of its decisions.
    pub stalled_s: f64,
    /// The frontier of the last asking.
    pub now: Timestamp,
    /// Decisions published and not yet folded.
    pub in_flight: usize,
    /// When something falls due: for what is owed already, now.
    pub next_due: Option<Timestamp>,
    /// Whether it has been at the log's end since it was assigned.
    pub restored: bool,
    /// How much of the restore is done, from 0 to 1.
    pub progress_ratio: f64,
}

// === impl Held ===

impl<M: Machine> Held<M> {
    /// Whether it knows more than its last snapshot.
    pub(super) fn is_ahead(&self) -> bool {
        self.driver.folded_since_snapshot() > 0 || self.turned_away
    }

    pub(super) fn snapshot_overdue(&self, options: &PumpOptions, now: Timestamp, patience: i64) -> bool {
        let folded = self.driver.folded_since_snapshot();
        let waited_us = now.since_us(self.snapshot_at);
        let enough = folded >= options.snapshot_every_records.saturating_mul(patience.unsigned_abs());
        folded > 0 && (enough || waited_us >= options.snapshot_every_us.saturating_mul(patience))
    }

    /// Hands the state to the store, unless that has too much to do.
    pub(super) fn snapshot(&mut self, store: &dyn SnapshotStore, partition: Partition, now: Timestamp) {
        let (place, encode) = self.encoding(partition);
        self.turned_away = !store.put(place, encode);
        self.snapshot_taken(now);
    }

    /// Hands the state to the store and waits until it is taken: all rooms of a process share the store's queue, and in a
    /// drain they fill it for each other.
    pub(super) fn last_snapshot(&mut self, store: &dyn SnapshotStore, partition: Partition, now: Timestamp) {
        let (place, encode) = self.encoding(partition);
        store.put_last(place, encode);
        self.turned_away = false;
        self.snapshot_taken(now);
    }

    fn encoding(&self, partition: Partition) -> (SnapshotPlace, Encode) {
        let (fold, position) = (self.driver.state().clone(), self.driver.position());
        let place = SnapshotPlace { service: M::SERVICE, partition, position };
        (place, Box::new(move || snapshots::encode(&fold, position)))
    }

    fn snapshot_taken(&mut self, now: Timestamp) {
        self.driver.snapshot_taken();
        self.snapshot_at = now;
    }

    pub(super) fn status(&mut self, partition: Partition, high_watermark: Offset, clock: Timestamp) -> PartitionStatus {
        let position = self.driver.position();
        if position != self.moved.0 || position >= high_watermark {
            self.moved = (position, clock);
        }
        PartitionStatus {
            partition,
            position,
            high_watermark,
            lag: (high_watermark.0 - position.0).max(0),
            stalled_s: clock.since_us(self.moved.1).max(0) as f64 / 1e6,
            now: self.driver.now(),
            in_flight: self.driver.in_flight(),
            next_due: self.driver.next_due().map(|due| due.max(clock)),
            restored: self.driver.is_restored(),
            progress_ratio: self.restoring.as_ref().map_or(1.0, |restoring| restoring.progress_ratio(position)),
        }
    }
}

// === impl Restoring ===

impl Restoring {
    pub(super) fn progress_ratio(&self, position: Offset) -> f64 {
        let whole = (self.to.0 - self.from.0).max(1) as f64;
        ((position.0 - self.from.0) as f64 / whole).clamp(0.0, 1.0)
    }

    pub(super) fn tell<M: Machine>(self, partition: Partition, to: Offset, now: Timestamp) {
        if let Some(committed) = self.committed {
            check!(Law::RestoreReachesCommitted, to >= committed, "partition {partition}: restored to {to}, committed {committed}");
        }
        PartitionRestored { room: M::SERVICE, partition, from: self.from, to, seconds: now.since_s(self.since).max(0.0) }.emit();
    }
}
