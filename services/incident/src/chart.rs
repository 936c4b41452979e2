//! One chart: what a version's sessions of one segment measured at first, and how far they have drifted from it since.
//!
//! A one-sided CUSUM (Page, *Continuous inspection schemes*, Biometrika 41, 1954) of what a session adds to the evidence
//! that the measure has grown: `S = max(0, S + added)`, told at `ln(run length)`. What is added has an expectation of at
//! most 1 under the baseline once it is exponentiated, so that the average run length to a false alarm is at least the
//! one asked for (Lorden, *Procedures for reacting to a change in distribution*, Ann. Math. Stat. 42, 1971; the run length
//! of such charts: Siegmund, *Sequential Analysis*, 1985). See `rules.rs` and the README.

use machine::{Shelf, columns};
use serde::{Deserialize, Serialize};
use wire::RecordId;

use crate::policy::Policy;
use crate::rules::{self, Line};

/// Records that a chart keeps as evidence.
const EVIDENCE_MAX: usize = 4;

/// Sessions of the agent in a row, none of which was of a version in a segment, after which what drifted there is over.
pub(crate) const UNSERVED_MAX: u32 = 200;

/// What a session measured: 0 or 1 of a share, the bucket of an amount ([`rules::bucket`]).
pub(crate) type Measured = u8;

/// The chart of one measure of one version in one segment. Most charts of a fleet learn, and have nothing to watch yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Chart {
    /// The first observations, until there are enough: how often each value was seen.
    Learning(Shelf<Measured, u32>),
    /// Those that followed, against what came of the first.
    Watching(Box<Watched>),
}

/// A chart that knows what is normal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watched {
    baseline: Baseline,
    run: Run,
    /// Latched: it drifted, and has not come back.
    firing: bool,
    /// Latched likewise: it drifted so far that it is a drop.
    dropped: bool,
    /// Sessions of the agent in a row that were none of its version in its segment, since it drifted.
    unserved: u32,
}

/// What was normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Baseline {
    /// Observations.
    pub(crate) n: u32,
    /// Their mean, of buckets where it is an amount.
    pub(crate) mean: f32,
    line: Line,
}

/// Observations since the statistic was last zero: Page's estimate of since when it drifts.
#[derive(Clone, Debug, Default, PartialEq)]
struct Run {
    statistic: f32,
    n: u32,
    sum: u64,
    evidence: Vec<RecordId>,
}

/// What a chart shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drifted {
    pub(crate) baseline: Baseline,
    pub(crate) statistic: f64,
    pub(crate) threshold: f64,
    /// Observations since it began to drift, and their mean.
    pub(crate) n: u32,
    pub(crate) mean: f64,
}

columns!(Watched { baseline, run, firing, dropped, unserved });
columns!(Baseline { n, mean, line });
columns!(Run { statistic, n, sum, evidence });

// === impl Chart ===

impl Chart {
    /// One more session. What the chart shows, if it has just drifted so far that it must be told.
    pub(crate) fn observe(&mut self, measured: Measured, is_share: bool, id: &RecordId, policy: &Policy) -> Option<Drifted> {
        match self {
            Self::Watching(watched) => watched.observe(measured, id, policy),
            Self::Learning(first) => {
                *first.entry(measured).or_default() += 1;
                if self.learned() >= policy.drift_baseline {
                    self.watch(is_share, policy);
                }
                None
            }
        }
    }

    /// What the chart of a share shows, if by its last observation its drift has become a drop. The threshold of drift is the
    /// proof that it has grown; how much is the mean since it began to.
    pub(crate) fn drops(&mut self, policy: &Policy) -> Option<Drifted> {
        let shown = self.shows(policy).filter(|shown| shown.growth() >= policy.drop_share)?;
        let watched = self.watched_mut().filter(|watched| watched.firing && !watched.dropped)?;
        watched.dropped = true;
        Some(shown)
    }

    /// What it shows now; `None` as long as it has no baseline.
    pub(crate) fn shows(&self, policy: &Policy) -> Option<Drifted> {
        self.watched().map(|watched| watched.shows(policy))
    }

    /// Whether it has drifted and not come back.
    pub(crate) fn is_firing(&self) -> bool {
        self.watched().is_some_and(|watched| watched.firing)
    }

    /// Whether it has drifted so far that it is a drop, and not come back.
    pub(crate) fn has_dropped(&self) -> bool {
        self.watched().is_some_and(|watched| watched.dropped)
    }

    /// Whether it knows what is normal.
    pub(crate) fn has_baseline(&self) -> bool {
        self.watched().is_some()
    }

    /// Records that show it.
    pub(crate) fn evidence(&self) -> &[RecordId] {
        self.watched().map_or(&[], |watched| &watched.run.evidence)
    }

    /// Observations of its baseline so far.
    pub(crate) fn learned(&self) -> u64 {
        match self {
            Self::Learning(first) => first.values().map(|n| u64::from(*n)).sum(),
            Self::Watching(watched) => u64::from(watched.baseline.n),
        }
    }

    /// The incident is over: if it drifts on, it is told again.
    pub(crate) fn settle(&mut self) {
        self.watched_mut().into_iter().for_each(Watched::settle);
    }

    /// The agent started a session, of this chart's version and segment or not. One that drifted and is served no more has
    /// nothing left to show that it came back: from [`UNSERVED_MAX`] on it is put out.
    pub(crate) fn saw_start(&mut self, is_own: bool) {
        let Some(watched) = self.watched_mut().filter(|watched| watched.firing) else { return };
        watched.unserved = if is_own { 0 } else { watched.unserved + 1 };
        if watched.unserved >= UNSERVED_MAX {
            watched.settle();
        }
    }

    /// Enough was seen: what is normal is settled, and what follows is held against it.
    fn watch(&mut self, is_share: bool, policy: &Policy) {
        let Self::Learning(first) = self else { return };
        let n: u32 = first.values().sum();
        let sum: f64 = first.iter().map(|(value, n)| f64::from(*value) * f64::from(*n)).sum();
        let line = match is_share {
            true => rules::share_line(sum, f64::from(n), policy.drift_odds),
            false => rules::amount_line(&first.iter().map(|(value, n)| (*value, *n)).collect::<Vec<_>>(), policy.drift_shift_sd),
        };
        let baseline = Baseline { n, mean: (sum / f64::from(n)) as f32, line };
        *self = Self::Watching(Box::new(Watched { baseline, run: Run::default(), firing: false, dropped: false, unserved: 0 }));
    }

    fn watched(&self) -> Option<&Watched> {
        match self {
            Self::Learning(_) => None,
            Self::Watching(watched) => Some(watched),
        }
    }

    fn watched_mut(&mut self) -> Option<&mut Watched> {
        match self {
            Self::Learning(_) => None,
            Self::Watching(watched) => Some(watched),
        }
    }
}

impl Default for Chart {
    fn default() -> Self {
        Self::Learning(Shelf::new())
    }
}

// === impl Watched ===

impl Watched {
    fn observe(&mut self, measured: Measured, id: &RecordId, policy: &Policy) -> Option<Drifted> {
        let threshold = threshold(policy);
        let added = self.baseline.line.at(f64::from(measured));
        let statistic = (f64::from(self.run.statistic) + added).min(threshold);
        if statistic <= 0.0 {
            self.run = Run::default();
        } else {
            self.run.statistic = statistic as f32;
            self.run.n = self.run.n.saturating_add(1);
            self.run.sum += u64::from(measured);
            // Evidence is worth its bytes once there is something to prove.
            if added > 0.0 && statistic > threshold / 2.0 {
                if self.run.evidence.len() == EVIDENCE_MAX {
                    self.run.evidence.remove(0);
                }
                self.run.evidence.push(id.clone());
            }
        }
        // Between half the threshold and the whole it neither begins nor ends.
        self.firing &= statistic > threshold / 2.0;
        let drifts = statistic >= threshold && !self.firing;
        self.firing |= drifts;
        self.dropped &= self.firing;
        self.unserved = if self.firing { self.unserved } else { 0 };
        // As it crossed, before it is rounded to be kept.
        drifts.then(|| Drifted { statistic, ..self.shows(policy) })
    }

    fn shows(&self, policy: &Policy) -> Drifted {
        let Self { baseline, run, .. } = self;
        let mean = if run.n == 0 { f64::from(baseline.mean) } else { run.sum as f64 / f64::from(run.n) };
        Drifted { baseline: *baseline, statistic: f64::from(run.statistic), threshold: threshold(policy), n: run.n, mean }
    }

    fn settle(&mut self) {
        self.run = Run::default();
        self.firing = false;
        self.dropped = false;
        self.unserved = 0;
    }
}

// === impl Drifted ===

impl Drifted {
    /// By how much the mean has grown.
    pub(crate) fn growth(&self) -> f64 {
        self.mean - f64::from(self.baseline.mean)
    }
}

/// The statistic at which drift is told.
fn threshold(policy: &Policy) -> f64 {
    policy.drift_run_length.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::bucket;

    #[test]
    fn nothing_drifts_before_the_baseline_is_whole_whatever_happens() {
        let mut chart = Chart::default();
        for session in 0..100 {
            assert_eq!(chart.observe(bucket(10.0 + f64::from(session * session)), false, &"s".into(), &Policy::default()), None);
        }
        assert_eq!((chart.learned(), chart.has_baseline()), (100, true));
    }

    #[test]
    fn a_doubled_time_is_told_once_and_is_over_when_it_has_come_back() {
        let policy = Policy::default();
        let mut chart = learned(|session| 900.0 + f64::from(session % 10) * 40.0);
        let told = (0..40).filter_map(|_| chart.observe(bucket(2_100.0), false, &"slow".into(), &policy)).collect::<Vec<_>>();
        assert_eq!(told.len(), 1);
        assert!(rules::amount(told[0].mean) > 1.8 * rules::amount(f64::from(told[0].baseline.mean)), "{told:?}");
        assert!(chart.is_firing() && !chart.evidence().is_empty() && chart.evidence().len() <= EVIDENCE_MAX);
        let back = (0..200).position(|_| {
            chart.observe(bucket(900.0), false, &"fine".into(), &policy);
            !chart.is_firing()
        });
        assert!(back.is_some_and(|sessions| sessions > 0), "one good session is no recovery: {back:?}");
    }

    #[test]
    fn one_absurd_session_is_no_drift() {
        let mut chart = learned(|session| 900.0 + f64::from(session % 10) * 40.0);
        for _ in 0..20 {
            assert_eq!(chart.observe(bucket(6e8), false, &"absurd".into(), &Policy::default()), None);
            (0..20).for_each(|_| assert_eq!(chart.observe(bucket(950.0), false, &"fine".into(), &Policy::default()), None));
        }
    }

    #[test]
    fn failures_that_grow_from_a_tenth_to_a_half_are_drift() {
        let policy = Policy::default();
        let mut chart = Chart::default();
        (0..100).for_each(|session| assert_eq!(chart.observe(u8::from(session % 10 == 0), true, &"s".into(), &policy), None));
        let told = (0..200).find_map(|session| Some((session, chart.observe(u8::from(session % 2 == 0), true, &"s".into(), &policy)?)));
        let (session, drifted) = told.expect("told");
        assert!((10..80).contains(&session), "after {session} sessions");
        assert!((0.45..0.6).contains(&drifted.mean) && (f64::from(drifted.baseline.mean) - 0.1).abs() < 1e-6, "{drifted:?}");
    }

    fn learned(measured: impl Fn(u32) -> f64) -> Chart {
        let mut chart = Chart::default();
        (0..100).for_each(|session| assert_eq!(chart.observe(bucket(measured(session)), false, &"s".into(), &Policy::default()), None));
        chart
    }
}
