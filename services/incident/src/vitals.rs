//! What the calls of one session took, until it ends.

use machine::columns;
use wire::{ModelCalled, RecordId};

/// Sums over the agent's model calls of one session. What a call does not tell is unknown, and so is a sum with a part
/// of it missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Vitals {
    /// Milliseconds of the calls that told them, and how many these are.
    latency_ms: u64,
    timed: u32,
    tokens: u64,
    counted: u32,
    /// Calls that did not tell all their tokens.
    uncounted: u32,
    /// The escalation, if a human was called for.
    pub(crate) raised: Option<RecordId>,
}

columns!(Vitals { latency_ms, timed, tokens, counted, uncounted, raised });

// === impl Vitals ===

impl Vitals {
    /// One more call of the agent.
    pub(crate) fn took(&mut self, called: &ModelCalled) {
        if let Some(latency_ms) = called.latency_ms {
            // The door lets nothing in that is negative, or longer than a week.
            self.latency_ms = self.latency_ms.saturating_add(latency_ms.round() as u64);
            self.timed = self.timed.saturating_add(1);
        }
        match called.tokens_in.zip(called.tokens_out) {
            Some((tokens_in, tokens_out)) => {
                self.tokens = self.tokens.saturating_add(tokens_in.unsigned_abs()).saturating_add(tokens_out.unsigned_abs());
                self.counted = self.counted.saturating_add(1);
            }
            None => self.uncounted = self.uncounted.saturating_add(1),
        }
    }

    /// Mean milliseconds of a call.
    pub(crate) fn latency_ms(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.latency_ms as f64 / f64::from(self.timed))
    }

    /// Tokens of all calls, if every one told them.
    pub(crate) fn tokens(&self) -> Option<f64> {
        (self.counted > 0 && self.uncounted == 0).then_some(self.tokens as f64)
    }
}
