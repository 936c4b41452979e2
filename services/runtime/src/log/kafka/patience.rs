//! How long brokers may take to answer. Nothing is decided by it: whoever has waited long enough says so and is asked again.

use std::time::{Duration, Instant};

/// A moment until which something may take.
#[derive(Clone, Copy)]
pub(super) struct Patience(Instant);

// === impl Patience ===

#[expect(clippy::disallowed_methods, reason = "a client waits for its brokers in real time; nothing is decided by it")]
impl Patience {
    /// From now on for so long.
    pub(super) fn of(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    /// What is left of it.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(self) -> bool {
        self.left().is_zero()
    }
}
