//! Drift: versions whose sessions are no longer what they were.
//!
//! Each version is compared with itself: the first sessions of it in a segment say what is normal there. Segments are
//! never pooled, so that a shift of the mix between easy and hard tasks neither looks like drift nor hides it.

use machine::{Shelf, columns};
use wire::{Numbers, RecordId};

use crate::burn::signed;
use crate::chart::{Chart, Drifted, Measured};
use crate::policy::{Measure, Policy};
use crate::rules;
use crate::versions::{Ix, Lane};

/// Charts of one agent. A further one takes the place of those of the version that has been away longest, but of none that
/// has drifted; if no version is away, it is not kept.
pub(crate) const CHARTS_MAX: usize = 256;

/// The charts of one agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drift {
    charts: Shelf<Place, Chart>,
    /// Observations that no chart was left for.
    pub(crate) crowded: u64,
    /// Sessions that the agent started, and how many these were when each version last started one.
    starts: u64,
    served: Shelf<Ix, u64>,
}

/// Where a chart stands: its measure, version and segment.
type Place = (Measure, Ix, Lane);

/// What has come of the charts by one observation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grown {
    pub(crate) drifted: Drifted,
    /// It is of success, and so much that it is told as a drop.
    pub(crate) is_drop: bool,
    /// The records that show it.
    pub(crate) evidence: Vec<RecordId>,
}

columns!(Drift { charts, crowded, starts, served });

// === impl Drift ===

impl Drift {
    /// A session of a version in a segment measured this. What has drifted by it; a drop at once is no drift beside it.
    pub(crate) fn observe(
        &mut self,
        measure: Measure,
        (version, lane): (Ix, Lane),
        measured: Measured,
        id: &RecordId,
        policy: &Policy,
    ) -> Option<Grown> {
        if !policy.drifts.contains(&measure) || !self.makes_room((measure, version, lane), policy) {
            return None;
        }
        let chart = self.charts.entry((measure, version, lane)).or_default();
        let drifted = chart.observe(measured, measure.is_share(), id, policy);
        let dropped = if measure == Measure::Outcome { chart.drops(policy) } else { None };
        let (drifted, is_drop) = dropped.map(|dropped| (dropped, true)).or(drifted.map(|drifted| (drifted, false)))?;
        Some(Grown { drifted, is_drop, evidence: chart.evidence().to_vec() })
    }

    /// A session of a version in a segment started: what drifted elsewhere was not served by it.
    pub(crate) fn saw_start(&mut self, version: Ix, lane: Lane) {
        self.starts += 1;
        self.served.insert(version, self.starts);
        self.charts.iter_mut().for_each(|((_, of, at), chart)| chart.saw_start((*of, *at) == (version, lane)));
    }

    /// Whether a version drifts by a measure, in any segment.
    pub(crate) fn is_firing(&self, measure: Measure, version: Option<Ix>) -> bool {
        self.of(measure).any(|(of, chart)| Some(of) == version && chart.is_firing())
    }

    /// Whether the success of a version that is not away has dropped, in any segment.
    pub(crate) fn has_dropped(&self, policy: &Policy) -> bool {
        let serves = |version: Ix| self.starts - self.last_start(version) < policy.away_sessions;
        self.of(Measure::Outcome).any(|(version, chart)| chart.has_dropped() && serves(version))
    }

    /// The charts of a measure, with their versions.
    pub(crate) fn of(&self, measure: Measure) -> impl Iterator<Item = (Ix, &Chart)> {
        self.charts.iter().filter(move |((of, ..), _)| *of == measure).map(|((_, version, _), chart)| (*version, chart))
    }

    /// A person says that it is dealt with: what drifted is the new normal, and its baseline begins here.
    pub(crate) fn begin_anew(&mut self) {
        self.charts.values_mut().filter(|chart| chart.is_firing()).for_each(|chart| *chart = Chart::default());
    }

    /// An incident is over: what drifts on is told again.
    pub(crate) fn settle(&mut self) {
        self.charts.values_mut().filter(|chart| chart.is_firing()).for_each(Chart::settle);
    }

    /// Stops watching what a policy no longer asks for: if it is asked for again, its baselines begin then.
    pub(crate) fn watch_only(&mut self, policy: &Policy) {
        self.charts.retain(|(measure, ..), _| policy.drifts.contains(measure));
    }

    /// Forgets a version, and what drifted of it.
    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.charts.retain(|(_, of, _), _| *of != version);
        self.served.remove(&version);
    }

    /// How many sessions the agent had started when a version last started one.
    fn last_start(&self, version: Ix) -> u64 {
        self.served.get(&version).copied().unwrap_or(0)
    }

    fn makes_room(&mut self, place: Place, policy: &Policy) -> bool {
        if self.charts.contains_key(&place) || self.charts.len() < CHARTS_MAX {
            return true;
        }
        let calm = self.charts.iter().filter(|(_, chart)| !chart.is_firing()).map(|((_, version, _), _)| *version);
        let away = calm.filter(|version| *version != place.1 && self.starts - self.last_start(*version) >= policy.away_sessions);
        let Some(oldest) = away.min_by_key(|version| (self.last_start(*version), *version)) else {
            self.crowded += 1;
            return false;
        };
        self.charts.retain(|(_, of, _), chart| *of != oldest || chart.is_firing());
        true
    }
}

// === impl Drifted ===

impl Drifted {
    /// The numbers as a decision carries them.
    pub(crate) fn numbers(&self, measure: Measure) -> Numbers {
        Numbers {
            n: Some(i64::from(self.n)),
            statistic: Some(self.statistic),
            threshold: Some(self.threshold),
            mean: Some(in_units(measure, self.mean)),
            baseline_mean: Some(in_units(measure, f64::from(self.baseline.mean))),
            baseline_n: Some(signed(u64::from(self.baseline.n))),
            ..Numbers::default()
        }
    }

    /// From what to what, in words.
    pub(crate) fn in_words(&self, measure: Measure) -> String {
        let (from, to) = (in_units(measure, f64::from(self.baseline.mean)), in_units(measure, self.mean));
        match measure {
            Measure::Latency => format!("from about {from:.0} to {to:.0} ms"),
            Measure::Tokens => format!("from about {from:.0} to {to:.0}"),
            Measure::Outcome | Measure::Escalation => format!("from {:.1} to {:.1} %", from * 100.0, to * 100.0),
        }
    }
}

fn in_units(measure: Measure, mean: f64) -> f64 {
    if measure.is_share() { mean } else { rules::amount(mean) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::Versions;
    use wire::{Segment, Timestamp};

    const MEASURE: Measure = Measure::Latency;

    #[test]
    fn charts_of_two_versions_that_serve_side_by_side_do_not_evict_each_other() {
        let (mut drift, [old, new]) = (Drift::default(), two_versions());
        (0..130).for_each(|segment| [old, new].into_iter().for_each(|version| serve(&mut drift, version, segment, 70)));
        assert_eq!((drift.of(MEASURE).count(), drift.crowded), (CHARTS_MAX, 4), "what there is no room for is counted");
        (0..130).for_each(|segment| [old, new].into_iter().for_each(|version| serve(&mut drift, version, segment, 70)));
        assert!(drift.of(MEASURE).all(|(_, chart)| chart.learned() == 2), "and every chart that was begun learns on");
    }

    #[test]
    fn a_version_that_has_been_away_gives_way_but_for_what_drifted_of_it() {
        let (mut drift, [old, new]) = (Drift::default(), two_versions());
        (1..256).for_each(|segment| serve(&mut drift, old, segment, 70));
        (0..100).for_each(|_| serve(&mut drift, old, 0, 70));
        (0..40).for_each(|_| serve(&mut drift, old, 0, 90));
        assert!(drift.is_firing(MEASURE, Some(old)));
        // Nine sessions are not away yet.
        (0..9).for_each(|segment| serve(&mut drift, new, segment, 70));
        assert_eq!((drift.of(MEASURE).count(), drift.crowded), (CHARTS_MAX, 9));
        serve(&mut drift, new, 9, 70);
        assert_eq!(drift.of(MEASURE).map(|(version, _)| version).collect::<Vec<_>>(), [old, new]);
        assert!(drift.is_firing(MEASURE, Some(old)), "what drifted is never evicted");
    }

    fn serve(drift: &mut Drift, version: Ix, segment: u32, measured: Measured) {
        let lane = Lane::of(Some(&Segment::from(format!("segment-{segment}"))));
        drift.saw_start(version, lane);
        drift.observe(MEASURE, (version, lane), measured, &"s".into(), &Policy::default());
    }

    fn two_versions() -> [Ix; 2] {
        let mut versions = Versions::default();
        ["v1", "v2"].map(|version| versions.admit(&version.into(), Timestamp::MIN, &[]).0)
    }
}
