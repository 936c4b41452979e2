//! What is told of counts and of waiting times: rates with exact intervals, and quantiles.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF, DiscreteCDF, Poisson};

/// Events of a Poisson process, as a rate per unit of what was watched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Events.
    pub events: u64,
    /// How much was watched, such as agent-years.
    pub watched: f64,
    /// Events per unit.
    pub rate: f64,
    /// The exact 95 % interval of that (Garwood, Biometrika 28, 1936).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

// === impl Rate ===

impl Rate {
    /// So many events in so much.
    pub fn of(events: u64, watched: f64) -> Self {
        let quantile = |degrees: u64, chance: f64| {
            let half = ChiSquared::new(degrees as f64).expect("positive").inverse_cdf(chance);
            half / 2.0 / watched
        };
        let low = if events == 0 { 0.0 } else { quantile(2 * events, 0.025) };
        Self { events, watched, rate: events as f64 / watched, low, high: quantile(2 * events + 2, 0.975) }
    }
}

/// The most events that a process which keeps to `bound` per unit brings in so much, but for a chance of `chance`.
pub fn most_events(bound: f64, watched: f64, chance: f64) -> u64 {
    let poisson = Poisson::new(bound * watched).expect("positive");
    (0..).find(|events| poisson.sf(*events) <= chance).expect("a finite bound has one")
}

/// The smallest value that at least a share of all values does not exceed; values that never came count as larger than
/// all others. `None`: more than `1 - share` never came.
pub fn quantile(came: &[f64], all: usize, share: f64) -> Option<f64> {
    let mut sorted = came.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * all as f64).ceil().max(1.0) as usize - 1;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        let none = Rate::of(0, 1.0);
        assert!(none.low == 0.0 && (none.high - 3.689).abs() < 1e-3, "{none:?}");
        let ten = Rate::of(10, 2.0);
        assert!((ten.low - 4.795 / 2.0).abs() < 1e-3 && (ten.high - 18.39 / 2.0).abs() < 1e-2, "{ten:?}");
    }

    #[test]
    fn a_process_that_keeps_its_bound_stays_below_the_most() {
        assert_eq!(most_events(1.0, 3.0, 0.05), 6);
        assert!(most_events(1.0, 20.0, 1e-6) > 40);
    }

    #[test]
    fn what_never_came_is_longer_than_everything_that_did() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 3, 0.5), Some(2.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 4, 0.95), None);
        assert_eq!(quantile(&[], 4, 0.5), None);
    }
}
