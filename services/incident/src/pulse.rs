//! Signs of life: a platform that sends heartbeats and then does not is silent.

use machine::columns;
use wire::{RecordId, Timestamp};

use crate::policy::Policy;

/// The longest interval between heartbeats that is taken at its word, in seconds.
const INTERVAL_SECONDS_MAX: i64 = 24 * 3_600;

/// The heartbeats of one agent's platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pulse {
    /// The last one, and when it came. None ever: the platform sends none, and its silence means nothing.
    pub(crate) last: Option<(Timestamp, RecordId)>,
    /// When the next one is missed.
    expected: Option<Timestamp>,
    /// Latched: it was missed, and life has not resumed.
    pub(crate) silent: bool,
    /// Heartbeats in a row since then.
    beats: u64,
}

columns!(Pulse { last, expected, silent, beats });

// === impl Pulse ===

impl Pulse {
    /// A heartbeat. An interval that is none changes nothing.
    pub(crate) fn beat(&mut self, id: &RecordId, at: Timestamp, interval_s: i64, policy: &Policy) {
        if interval_s <= 0 {
            return;
        }
        let in_a_row = self.expected.is_some_and(|expected| at < expected);
        self.beats = if in_a_row { self.beats.saturating_add(1) } else { 1 };
        self.silent &= self.beats < policy.beats_to_recover;
        self.last = Some((at, id.clone()));
        self.expected = Some(at.plus_s(interval_s.min(INTERVAL_SECONDS_MAX).saturating_mul(policy.silence_factor)));
    }

    /// From `since` to `until` nobody could be heard: that time does not count.
    pub(crate) fn door_was_shut(&mut self, since: Timestamp, until: Timestamp) {
        let shut_us = until.since_us(since).max(0);
        self.expected =
            self.expected.map(|expected| if expected > since { Timestamp(expected.0.saturating_add(shut_us)) } else { expected });
    }

    /// When silence begins, unless it has begun.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.expected.filter(|_| !self.silent)
    }

    /// Silence has begun.
    pub(crate) fn fall_silent(&mut self) {
        self.silent = true;
        self.beats = 0;
    }
}
