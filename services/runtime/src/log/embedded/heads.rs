//! Where each partition ends and what time it is: the small state that every reader asks for and every write moves.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use wire::{Offset, Partition, Timestamp};

use super::clock::Clock;
use crate::log::{Extent, locked};

/// The end of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The offset that the next record gets.
    pub(super) end: Offset,
    /// When the last record was appended.
    pub(super) last: Timestamp,
}

/// The ends of all partitions, and the one clock that dates what is appended.
pub(super) struct Heads {
    clock: Clock,
    state: Mutex<State>,
    committed: Condvar,
}

/// A write under way. Until it is dropped, also by a panic, its date is the latest time that anybody is told.
pub(super) struct Dated<'a> {
    heads: &'a Heads,
    /// What its records are dated.
    pub(super) stamp: Timestamp,
    /// Where the partitions end once it stands.
    pub(super) after: Vec<Head>,
}

struct State {
    heads: Vec<Head>,
    /// The latest time that was ever told or written. A wall clock that steps back cannot undercut it.
    floor: Timestamp,
    /// What the write under way is dated. Its records are not visible yet.
    writing: Option<Timestamp>,
    /// Writes so far that brought records.
    commits: u64,
}

// === impl Heads ===

impl Heads {
    pub(super) fn new(clock: Clock, heads: Vec<Head>) -> Self {
        let floor = heads.iter().map(|head| head.last).max().unwrap_or(Timestamp::MIN);
        Self { clock, state: Mutex::new(State { heads, floor, writing: None, commits: 0 }), committed: Condvar::new() }
    }

    /// Nothing that is not visible yet is, or will be, dated earlier.
    pub(super) fn now(&self) -> Timestamp {
        locked(&self.state).quiet_until(&self.clock)
    }

    pub(super) fn end(&self, partition: Partition) -> Option<Offset> {
        locked(&self.state).heads.get(partition.0 as usize).map(|head| head.end)
    }

    pub(super) fn extent(&self, partition: Partition) -> Option<Extent> {
        let mut state = locked(&self.state);
        let high_watermark = state.heads.get(partition.0 as usize)?.end;
        Some(Extent { start: Offset(0), high_watermark, quiet_until: state.quiet_until(&self.clock) })
    }

    /// Dates the write that begins now. Only the one writer calls this, and not before its last write has ended.
    pub(super) fn begin(&self) -> Dated<'_> {
        let mut state = locked(&self.state);
        let stamp = state.quiet_until(&self.clock);
        state.writing = Some(stamp);
        Dated { heads: self, stamp, after: state.heads.clone() }
    }

    /// Wakes whoever waits, as a write would.
    pub(super) fn nudge(&self) {
        locked(&self.state).commits += 1;
        self.committed.notify_all();
    }

    pub(super) fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let waiting = self.committed.wait_timeout_while(locked(&self.state), timeout, |state| state.commits <= seen);
        waiting.unwrap_or_else(PoisonError::into_inner).0.commits
    }
}

// === impl Dated ===

impl Dated<'_> {
    /// It took place: where the partitions end now is seen. Offsets alone wake nobody, there is nothing new to read.
    pub(super) fn stands(self) {
        let mut state = locked(&self.heads.state);
        if self.after != state.heads {
            // Records that an importer dated ahead of its clock: no time before theirs is told any more.
            state.floor = self.after.iter().map(|head| head.last).fold(state.floor, Timestamp::max);
            state.heads.clone_from(&self.after);
            state.commits += 1;
            self.heads.committed.notify_all();
        }
    }
}

impl Drop for Dated<'_> {
    fn drop(&mut self) {
        locked(&self.heads.state).writing = None;
    }
}

// === impl State ===

impl State {
    /// The date of the write under way, or else the clock's time, which no later write will undercut.
    fn quiet_until(&mut self, clock: &Clock) -> Timestamp {
        if let Some(stamp) = self.writing {
            return stamp;
        }
        self.floor = self.floor.max(clock.now());
        self.floor
    }
}
