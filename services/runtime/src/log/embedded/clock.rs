//! Whose time it is: the wall's, or that of an importer who lets a recording live through its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use wire::Timestamp;

/// Where a log takes its time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The wall clock of this machine.
    #[default]
    Wall,
    /// A clock that somebody else sets.
    Owned(Arc<OwnedClock>),
}

/// A clock that stands still until its owner sets it.
#[derive(Debug)]
pub struct OwnedClock(AtomicI64);

// === impl Clock ===

impl Clock {
    /// The time now. The wall's may step back; whoever needs a time that never falls keeps the latest.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall => wall_now(),
            Self::Owned(clock) => clock.now(),
        }
    }
}

// === impl OwnedClock ===

impl OwnedClock {
    /// A clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(start.0)))
    }

    /// Moves the clock forward to `to`; it never goes back.
    pub fn set(&self, to: Timestamp) {
        self.0.fetch_max(to.0, Ordering::SeqCst);
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A clock before 1970 is a broken one, and shows 1970.
#[expect(clippy::disallowed_methods, reason = "the log owns the clock, and this is where it takes it from")]
fn wall_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
