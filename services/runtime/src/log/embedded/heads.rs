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

    /// Dates the write that begins now. Only the one writer calls this, and [`Self::finish`] after it.
    pub(super) fn begin(&self) -> (Timestamp, Vec<Head>) {
        let mut state = locked(&self.state);
        let stamp = state.quiet_until(&self.clock);
        state.writing = Some(stamp);
        (stamp, state.heads.clone())
    }

    /// Ends the write: with the new heads if it took place. Offsets alone wake nobody: there is nothing new to read.
    pub(super) fn finish(&self, written: Option<Vec<Head>>) {
        let mut state = locked(&self.state);
        state.writing = None;
        if let Some(heads) = written.filter(|heads| *heads != state.heads) {
            state.heads = heads;
            state.commits += 1;
            self.committed.notify_all();
        }
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
