//! The one place that looks at clocks: the wall's, and how long processors worked for this program.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// Measures from its beginning on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    wall: Instant,
    cpu: ProcessTime,
}

// === impl Watch ===

impl Watch {
    /// Begins to measure.
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time; nothing is decided by it")]
    pub(crate) fn begin() -> Self {
        Self { wall: Instant::now(), cpu: ProcessTime::now() }
    }

    /// Time that has passed.
    pub(crate) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }

    /// Seconds that all threads of this program have worked meanwhile.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.cpu.elapsed().as_secs_f64()
    }
}
