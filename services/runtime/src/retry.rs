//! The one door to `backoff`: how long to wait before something is tried again.
//!
//! The crate is unmaintained; its successor can take its place by a change of this page alone.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

use crate::facts::{Fact, Retried};

/// The first wait, halved or stretched by chance.
const WAIT_MS_FIRST: u64 = 50;
/// No wait is longer.
const WAIT_MS_MAX: u64 = 5_000;

/// Growing waits between attempts at one thing, with jitter, until it succeeds.
#[derive(Debug)]
pub struct Retry {
    target: &'static str,
    waits: ExponentialBackoff,
}

// === impl Retry ===

impl Retry {
    /// Waits for attempts at `target`, a short constant name.
    pub fn new(target: &'static str) -> Self {
        let waits = ExponentialBackoff {
            initial_interval: Duration::from_millis(WAIT_MS_FIRST),
            current_interval: Duration::from_millis(WAIT_MS_FIRST),
            max_interval: Duration::from_millis(WAIT_MS_MAX),
            // It never gives up: whoever tries decides when to stop, by fate or by shutdown.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { target, waits }
    }

    /// How long to wait after a failure, told to the operator.
    pub fn failed(&mut self, reason: &str) -> Duration {
        let wait = self.waits.next_backoff().unwrap_or(Duration::from_millis(WAIT_MS_MAX));
        Retried { target: self.target, wait, reason }.emit();
        wait
    }

    /// Starts over with short waits.
    pub fn succeeded(&mut self) {
        self.waits.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over_after_a_success() {
        let mut retry = Retry::new("test");
        let waits: Vec<Duration> = (0..40).map(|_| retry.failed("it rains")).collect();
        assert!(waits[0] < Duration::from_millis(100), "{waits:?}");
        assert!(waits[39] > Duration::from_millis(2_000), "{waits:?}");
        // Chance stretches a wait by half at most.
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(7_500)), "{waits:?}");
        retry.succeeded();
        assert!(retry.failed("it rains") < Duration::from_millis(100));
    }
}
