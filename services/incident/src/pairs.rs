//! The regression test: which version loses against the one that somebody vouches for.
//!
//! The k-th session of a version in a segment is paired with the k-th of the other, each used once, and nothing is
//! pooled across segments: easy tasks are never weighed against hard ones. Only pairs that differ are evidence.

use std::collections::BTreeSet;

use machine::{Shelf, columns};
use wire::Timestamp;

use crate::marks::Mark;
use crate::policy::{Criterion, Policy};
use crate::rules;
use crate::versions::{Ix, Lane, Versions};

/// A version that others are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) version: Ix,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// One comparison. Each is judged for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    pub(crate) criterion: Criterion,
    pub(crate) candidate: Ix,
    pub(crate) target: Ix,
}

/// How a comparison stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Pairs in which the candidate failed and the target did not.
    pub(crate) lost: u64,
    /// Pairs in which it was the other way round.
    pub(crate) won: u64,
    /// All pairs, equal and silent ones included.
    pub(crate) pairs: u64,
}

/// Every comparison of one agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    /// Declared by a person.
    pub(crate) baseline: Option<Target>,
    /// Proven by its service.
    pub(crate) proven: Option<Target>,
    scores: Shelf<Test, Score>,
    /// Latched: these have been decided.
    crossed: BTreeSet<Test>,
}

columns!(Target { version, since });
columns!(Test { criterion, candidate, target });
columns!(Score { lost, won, pairs });
columns!(Pairs { baseline, proven, scores, crossed });

// === impl Pairs ===

impl Pairs {
    /// Vouched for by a person; sessions that were served before count.
    pub(crate) fn declare(&mut self, version: Ix, at: Timestamp, versions: &Versions) {
        self.baseline = Some(self.baseline.filter(|known| known.version == version).unwrap_or(Target { version, since: at }));
        self.count_anew(versions);
    }

    /// Vouched for by its service.
    pub(crate) fn prove(&mut self, version: Ix, at: Timestamp, versions: &Versions) {
        self.proven = Some(Target { version, since: at });
        self.count_anew(versions);
    }

    /// A version that was named vouches for nobody, unless a person declared it.
    pub(crate) fn distrust(&mut self, version: Ix, versions: &Versions) {
        if self.proven.is_some_and(|proven| proven.version == version) {
            self.proven = None;
            self.count_anew(versions);
        }
    }

    /// Versions that must be remembered, whatever else is forgotten.
    pub(crate) fn kept(&self) -> Vec<Ix> {
        self.targets().map(|target| target.version).collect()
    }

    /// Forgets a version.
    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.scores.retain(|test, _| test.candidate != version && test.target != version);
        self.crossed.retain(|test| test.candidate != version && test.target != version);
    }

    /// Counts the pairs that a new mark completes, and returns their comparisons.
    pub(crate) fn saw(
        &mut self,
        version: Ix,
        criterion: Criterion,
        lane: Lane,
        place: usize,
        mark: Mark,
        versions: &Versions,
    ) -> Vec<Test> {
        let mut completed = Vec::new();
        for target in self.kept() {
            for (candidate, known) in versions.iter().filter(|(candidate, _)| self.compares(*candidate, target)) {
                let pair = if version == target {
                    known.mark(criterion, lane, place).zip(Some(mark))
                } else if version == candidate {
                    let theirs = versions.get(target).and_then(|target| target.mark(criterion, lane, place));
                    Some(mark).zip(theirs)
                } else {
                    None
                };
                completed.extend(pair.map(|pair| (Test { criterion, candidate, target }, pair)));
            }
        }
        completed.iter().for_each(|(test, pair)| self.scores.entry(*test).or_default().count(*pair));
        completed.into_iter().map(|(test, _)| test).collect()
    }

    /// Whether a comparison has just been decided: its evidence suffices, and the version is one of today's.
    pub(crate) fn crosses(&self, test: Test, versions: &Versions, policy: &Policy) -> bool {
        let score = self.score(test);
        !self.crossed.contains(&test)
            && rules::evidence_may_reach(score.lost, score.won, policy.regression_e)
            && rules::ln_evidence(score.lost, score.won) >= policy.regression_e.ln()
            && self.is_of_today(test, versions, policy)
    }

    /// Latches a decided comparison.
    pub(crate) fn latch(&mut self, test: Test) {
        self.crossed.insert(test);
    }

    /// Whether a version was named by any comparison.
    pub(crate) fn is_named(&self, version: Ix) -> bool {
        self.crossed.iter().any(|test| test.candidate == version)
    }

    /// Compares a version as if it had not been named: what its sessions showed has been changed, or is to be judged again.
    pub(crate) fn unlatch(&mut self, version: Ix, versions: &Versions) {
        self.crossed.retain(|test| test.candidate != version);
        self.count_anew(versions);
    }

    /// Whether a comparison has been decided.
    pub(crate) fn has_crossed(&self, test: Test) -> bool {
        self.crossed.contains(&test)
    }

    /// How a comparison stands.
    pub(crate) fn score(&self, test: Test) -> Score {
        self.scores.get(&test).copied().unwrap_or_default()
    }

    /// Every comparison that has a pair.
    pub(crate) fn tests(&self) -> impl Iterator<Item = Test> {
        self.scores.keys().copied()
    }

    /// The versions that others are compared with, each once, the declared one first.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        let proven = self.proven.filter(|proven| self.baseline.is_none_or(|baseline| baseline.version != proven.version));
        self.baseline.into_iter().chain(proven)
    }

    /// A declared baseline is compared with nobody, and nobody with itself.
    pub(crate) fn compares(&self, candidate: Ix, target: Ix) -> bool {
        candidate != target && self.baseline.is_none_or(|baseline| baseline.version != candidate)
    }

    /// A version that had left before the target was vouched for is history, and one that was itself vouched for
    /// before is its predecessor: neither regressed. If it serves again, it is judged.
    fn is_of_today(&self, test: Test, versions: &Versions, policy: &Policy) -> bool {
        let Some(target) = self.targets().find(|target| target.version == test.target) else { return false };
        let Some(candidate) = versions.get(test.candidate) else { return false };
        let predecessor = candidate.vouched.is_some_and(|vouched| vouched < target.since);
        let horizon_s = if predecessor { 0 } else { policy.candidate_horizon_s };
        candidate.last_started.plus_s(horizon_s) >= target.since
    }

    fn count_anew(&mut self, versions: &Versions) {
        let mut scores: Shelf<Test, Score> = Shelf::new();
        for target in self.kept() {
            let Some(known) = versions.get(target) else { continue };
            for (candidate, other) in versions.iter().filter(|(candidate, _)| self.compares(*candidate, target)) {
                for (criterion, lane, marks) in known.lanes() {
                    let pairs = (0..marks.len()).map_while(|place| other.mark(criterion, lane, place).zip(marks.get(place)));
                    for pair in pairs {
                        scores.entry(Test { criterion, candidate, target }).or_default().count(pair);
                    }
                }
            }
        }
        self.scores = scores;
    }
}

// === impl Score ===

impl Score {
    /// One more pair: the candidate's session first.
    fn count(&mut self, pair: (Mark, Mark)) {
        self.pairs += 1;
        match pair {
            (Mark::Bad, Mark::Good) => self.lost += 1,
            (Mark::Good, Mark::Bad) => self.won += 1,
            _ => {}
        }
    }
}
