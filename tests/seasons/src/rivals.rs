//! The rules of Argo Rollouts and of Flagger, over the outcomes of one version.
//!
//! Both measure the share of success at fixed intervals, over what came since the last measurement. An interval without
//! an outcome counts as good for both, which is the kinder of what people configure: out of the box Argo ends in an error
//! and Flagger counts a failed check.

use wire::Timestamp;

/// The longest that anybody watches a deployment.
pub const WATCHED_S: i64 = 86_400;

/// A rule that measures at intervals and gives up after so many failed measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: &'static str,
    /// Between measurements.
    pub interval_s: i64,
    /// The failed measurement of a run, in all and not in a row, at which the run has failed.
    pub fails_at: usize,
    /// How long it watches a deployment.
    pub watched_s: i64,
}

/// Argo Rollouts: every 5 minutes, `failureLimit: 3`. The limit is exceeded by the fourth failure.
pub const ARGO: Rival = Rival { name: "Argo Rollouts", interval_s: 300, fails_at: 4, watched_s: WATCHED_S };

/// Flagger: every minute, `threshold: 5`. The fifth failed check of a run takes back.
pub const FLAGGER: Rival = Rival { name: "Flagger", interval_s: 60, fails_at: 5, watched_s: WATCHED_S };

/// Each as it watches for an hour, as most rollouts do, and for a day.
pub const RIVALS: [Rival; 4] = [ARGO.for_an_hour(), ARGO, FLAGGER.for_an_hour(), FLAGGER];

/// A run of a rule since a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    rival: Rival,
    next: Timestamp,
    until: Timestamp,
    good: u32,
    n: u32,
    /// Measurements that were not empty: when, and the share of success.
    measured: Vec<(Timestamp, f64)>,
}

// === impl Rival ===

impl Rival {
    const fn for_an_hour(self) -> Self {
        Self { watched_s: 3_600, ..self }
    }
}

// === impl Run ===

impl Run {
    /// A run that begins now.
    pub fn new(rival: Rival, begun: Timestamp) -> Self {
        let (next, until) = (begun.plus_s(rival.interval_s), begun.plus_s(rival.watched_s));
        Self { rival, next, until, good: 0, n: 0, measured: Vec::new() }
    }

    /// Lets time pass, and measures where it is time to, as long as it watches.
    pub fn pass_to(&mut self, at: Timestamp) {
        while self.next <= at.min(self.until) {
            if self.n > 0 {
                self.measured.push((self.next, f64::from(self.good) / f64::from(self.n)));
            }
            (self.good, self.n) = (0, 0);
            self.next = self.next.plus_s(self.rival.interval_s);
        }
    }

    /// A session told its outcome.
    pub fn saw(&mut self, at: Timestamp, success: bool) {
        self.pass_to(at);
        self.n += 1;
        self.good += u32::from(success);
    }

    /// When the run failed, if a measurement must reach `threshold`.
    pub fn failed(&self, threshold: f64) -> Option<Timestamp> {
        let failed = self.measured.iter().filter(|(_, share)| *share < threshold);
        failed.map(|(at, _)| *at).nth(self.rival.fails_at - 1)
    }

    /// The largest threshold at which the run does not fail: 1 if it never can.
    pub fn bears(&self) -> f64 {
        let mut shares: Vec<f64> = self.measured.iter().map(|(_, share)| *share).collect();
        shares.sort_by(f64::total_cmp);
        shares.get(self.rival.fails_at - 1).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argo_fails_at_the_fourth_failed_measurement_and_not_at_the_third() {
        let run = with_bad_measurements(ARGO, &[1, 2, 3]);
        assert_eq!(run.failed(0.9), None);
        let run = with_bad_measurements(ARGO, &[1, 2, 3, 7]);
        assert_eq!(run.failed(0.9), Some(Timestamp(0).plus_s(7 * 300)));
    }

    #[test]
    fn the_failed_checks_of_flagger_add_up_over_good_ones() {
        let run = with_bad_measurements(FLAGGER, &[1, 3, 5, 7]);
        assert_eq!(run.failed(0.9), None);
        let run = with_bad_measurements(FLAGGER, &[1, 3, 5, 7, 40]);
        assert_eq!(run.failed(0.9), Some(Timestamp(0).plus_s(40 * 60)));
    }

    #[test]
    fn what_a_run_bears_is_where_it_begins_to_fail() {
        let run = with_bad_measurements(ARGO, &[1, 2, 3, 7]);
        assert_eq!((run.bears(), run.failed(0.5), run.failed(0.51).is_some()), (0.5, None, true));
    }

    #[test]
    fn who_watches_for_an_hour_sees_nothing_after_it() {
        let twelve = with_bad_measurements(ARGO.for_an_hour(), &[9, 10, 11, 12]);
        let thirteen = with_bad_measurements(ARGO.for_an_hour(), &[10, 11, 12, 13]);
        assert_eq!((twelve.failed(0.9), thirteen.failed(0.9)), (Some(Timestamp(0).plus_s(3_600)), None));
    }

    #[test]
    fn an_interval_without_an_outcome_fails_nobody() {
        let mut run = Run::new(FLAGGER, Timestamp(0));
        run.pass_to(Timestamp(0).plus_s(86_400));
        assert_eq!((run.failed(1.0), run.bears()), (None, 1.0));
    }

    /// Fifty measurements of two sessions each; one of the two fails in those of these numbers.
    fn with_bad_measurements(rival: Rival, bad: &[i64]) -> Run {
        let mut run = Run::new(rival, Timestamp(0));
        for measurement in 1..=50 {
            let at = Timestamp(0).plus_s(measurement * rival.interval_s - 1);
            run.saw(at, true);
            run.saw(at, !bad.contains(&measurement));
        }
        run.pass_to(Timestamp(0).plus_s(50 * rival.interval_s));
        run
    }
}
