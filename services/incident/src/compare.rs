//! Versions of one agent against each other: from sessions that are settled to a version that is named.

use machine::Debt;
use wire::{Level, Numbers, RecordId, Timestamp};

use crate::agent::Agent;
use crate::burn::signed;
use crate::finding::{Desk, Finding, Rule, Trigger};
use crate::marks::Mark;
use crate::pairs::Test;
use crate::policy::{Criterion, Policy};
use crate::rules;
use crate::sessions::Session;
use crate::versions::{Ix, Version};

// === impl Agent: comparisons ===

impl Agent {
    /// Releases what is settled of a version, in the order of its sessions' start, and judges each pair that this makes.
    pub(crate) fn release(&mut self, version: Ix, at: Timestamp, trigger: &Trigger, desk: Desk<'_>) -> Vec<Debt> {
        let whole = !desk.policy.criteria.is_empty();
        let mut debts = Vec::new();
        while let Some(session) = self.sessions.release(version, at, whole) {
            debts.extend(self.turned_out(&session, trigger, desk));
            if session.is_given_up(at) {
                debts.extend(self.given_up(&session, trigger, desk));
            }
            for (criterion, mark) in marks_of(&session, desk.policy) {
                let Some(place) = self.mark(&session, criterion, mark) else { continue };
                let touched = self.pairs.saw(version, criterion, session.lane, place, mark, &self.versions);
                debts.extend(touched.into_iter().filter_map(|test| self.judge(test, trigger, desk)));
            }
        }
        debts
    }

    fn mark(&mut self, session: &Session, criterion: Criterion, mark: Mark) -> Option<usize> {
        if self.versions.is_full() {
            let mut keep = self.pairs.kept();
            keep.push(session.version);
            let forgotten = self.versions.forget_oldest(&keep);
            forgotten.into_iter().for_each(|version| self.forget_version(version));
        }
        let place = self.versions.mark(session.version, criterion, session.lane, mark);
        self.tally.crowded += u64::from(place.is_none());
        place
    }

    pub(crate) fn judge_all(&mut self, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let tests: Vec<Test> = self.pairs.tests().collect();
        debts.extend(tests.into_iter().filter_map(|test| self.judge(test, trigger, desk)));
    }

    /// Names a version whose evidence has just sufficed.
    fn judge(&mut self, test: Test, trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        if !trigger.may || !self.pairs.crosses(test, &self.versions, desk.policy) {
            return None;
        }
        self.pairs.latch(test);
        let score = self.pairs.score(test);
        let candidate = self.versions.get(test.candidate)?;
        let evidence: Vec<RecordId> = candidate.failures(test.criterion).cloned().collect();
        let version = candidate.id.clone();
        let against = self.versions.id(test.target)?;
        let numbers = Numbers {
            won: Some(signed(score.won)),
            lost: Some(signed(score.lost)),
            pairs: Some(signed(score.pairs)),
            e: Some(rules::evidence(score.lost, score.won)),
            threshold: Some(desk.policy.regression_e),
            ..Numbers::default()
        };
        let summary = format!(
            "{}: version {version} is worse than {against} by {}: of {} pairs it lost {} and won {}.",
            desk.agent,
            test.criterion.words(),
            score.pairs,
            score.lost,
            score.won
        );
        self.pairs.distrust(test.candidate, &self.versions);
        let found = Finding::of(Rule::Regression(test.criterion), Level::P2, numbers);
        self.raise(Finding { version: Some(version), against: Some(against), evidence, summary, ..found }, trigger, desk)
    }

    /// Whether giving up sessions can name a version: a cheap look before a dear one, since every outcome that waits
    /// for them would have to be a lost pair.
    pub(crate) fn pairs_may_tell(&self, policy: &Policy) -> bool {
        self.pairs.targets().any(|target| {
            let (good, _, waiting) = self.sessions.backlog(target.version);
            let theirs = if policy.criteria.is_empty() { good } else { waiting };
            let losable = |candidate| {
                let (_, bad, waiting) = self.sessions.backlog(candidate);
                theirs + if policy.criteria.is_empty() { bad } else { waiting }
            };
            let may_reach = |test: Test, more: u64| {
                let score = self.pairs.score(test);
                let starts = |ix| self.versions.get(ix).map_or(0, |version| version.starts);
                // A session is in one pair at most.
                let unpaired = starts(test.candidate).min(starts(test.target)).saturating_sub(score.pairs);
                let more = more.min(unpaired);
                more > 0 && !self.pairs.has_crossed(test) && rules::evidence_may_reach(score.lost + more, score.won, policy.regression_e)
            };
            let tests = |candidate| policy.compared().map(move |criterion| Test { criterion, candidate, target: target.version });
            let candidates = self.versions.iter().map(|(ix, _)| ix).filter(|ix| self.pairs.compares(*ix, target.version));
            candidates.into_iter().any(|candidate| tests(candidate).any(|test| may_reach(test, losable(candidate))))
        })
    }

    /// What a version showed so far is answered for: only what its sessions show from now on tells against it.
    pub(crate) fn compare_anew(&mut self, version: Ix) {
        self.versions.get_mut(version).into_iter().for_each(Version::begin_anew);
        self.pairs.unlatch(version, &self.versions);
    }
}

/// What a released session says by each criterion of the policy.
fn marks_of(session: &Session, policy: &Policy) -> Vec<(Criterion, Mark)> {
    let told = &session.told;
    let mark_of = |good: Option<bool>| good.map_or(Mark::Absent, |good| if good { Mark::Good } else { Mark::Bad });
    let by = |criterion| match criterion {
        Criterion::Success => told.success,
        Criterion::ErrorFree => (told.ended || told.erred).then_some(!told.erred),
        Criterion::NotEscalated => told.human.map(|human| !human),
        Criterion::InTime => told.in_time,
    };
    policy.compared().map(|criterion| (criterion, mark_of(by(criterion)))).collect()
}
