//! Switches that break one rule of the design each, so that the simulator can show that it would notice.
//!
//! Without the feature `mutants`, which only the simulator's crate asks for, [`broken`] is the constant `false`.

/// A rule of the design (DESIGN 1), broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// Rule 1: decisions are asked for before the log was folded to its end.
    AskBeforeRestored = 1,
    /// Rule 2: a transaction carries no group metadata, and zombies are not fenced.
    NoGroupMetadata = 2,
    /// Rule 3: ids are counted per process instead of derived.
    CountedIds = 3,
    /// Rule 4: a decision goes to partition 0, whichever owed it.
    WrongPartition = 4,
    /// Rule 5: a debt is taken away when its condition no longer holds at the time of asking.
    UnlatchedDebts = 5,
    /// Rule 6: an echo settles facts after its `asof` too.
    EchoSettlesAll = 6,
    /// Rule 7: `now` is the wall clock even when the reader lags behind.
    WallClockAlways = 7,
    /// Rule 8: another room's silence counts as evidence.
    SilenceIsEvidence = 8,
    /// Rule 7: the end that can be seen is taken for the end that there is, though what is dated may wait for its copies.
    SeenEndIsTheEnd = 9,
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Breaks `rule` (or none) on this thread from now on.
    pub fn set(rule: Option<Mutant>) {
        ACTIVE.with(|active| active.set(rule));
    }

    /// Whether `rule` is broken on this thread.
    pub fn broken(rule: Mutant) -> bool {
        ACTIVE.with(|active| active.get() == Some(rule))
    }
}

#[cfg(feature = "mutants")]
pub use switch::{broken, set};

/// Whether `rule` is broken on purpose: never, in anything but the simulator.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn broken(_rule: Mutant) -> bool {
    false
}
