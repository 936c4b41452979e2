//! A failing schedule made short: actions are taken out, and the weather calmed action by action, as long as what is
//! left still fails in the same way.
//!
//! Delta debugging, greedily: ever smaller runs of actions, from the last to the first, because whatever follows the
//! breach never matters. Each action has a chance of its own, so taking one out leaves the others what they were.

use machine::mutants::Mutant;

use crate::schedule::{Action, Schedule};
use crate::verdict::Verdict;
use crate::world::live;

/// Schedules that are tried at most.
pub const TRIES_MAX: usize = 1_500;

/// A schedule that fails, as short as it was made.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The schedule.
    pub schedule: Schedule,
    /// What comes of it.
    pub verdict: Verdict,
    /// Schedules that were tried.
    pub tries: usize,
}

/// Shrinks a schedule that fails, with one rule broken or none; `show` hears after every try how many actions are left
/// and how many tries there were. Nothing when it does not fail at all.
pub fn shrink(schedule: &Schedule, broken: Option<Mutant>, show: impl Fn(usize, usize)) -> Option<Shrunk> {
    let verdict = live(schedule, broken, false).verdict;
    let kind = verdict.complaints.first()?.kind;
    let mut shrinking = Shrinking { kind, broken, best: schedule.clone(), verdict, tries: 0, show };
    // Clocks that agree and copies that are there, if they need not be otherwise.
    shrinking.attempt(Schedule { skew_us: 0, ..schedule.clone() });
    let best = shrinking.best.clone();
    shrinking.attempt(Schedule { replication_lag_us: 0, ..best });
    loop {
        let before = shrinking.best.actions.len();
        shrinking.without_actions();
        shrinking.calmed();
        if shrinking.best.actions.len() == before || shrinking.is_tired() {
            break;
        }
    }
    let Shrinking { best, verdict, tries, .. } = shrinking;
    Some(Shrunk { schedule: best, verdict, tries })
}

struct Shrinking<F> {
    /// The kind of complaint that a shorter schedule has to raise too.
    kind: &'static str,
    broken: Option<Mutant>,
    best: Schedule,
    verdict: Verdict,
    tries: usize,
    show: F,
}

// === impl Shrinking ===

impl<F: Fn(usize, usize)> Shrinking<F> {
    fn without_actions(&mut self) {
        self.by_ever_smaller_runs(|actions, from, to| {
            let mut left = actions.to_vec();
            left.drain(from..to);
            Some(left)
        });
    }

    /// In calm weather an action meets no fault of the log: what is still stormy at the end has to be.
    fn calmed(&mut self) {
        self.by_ever_smaller_runs(|actions, from, to| {
            let stormy = actions[from..to].iter().any(|action| !action.calm);
            let mut left = actions.to_vec();
            left[from..to].iter_mut().for_each(|action| action.calm = true);
            stormy.then_some(left)
        });
    }

    /// Changes runs of half of all actions, of a quarter, and so on down to single ones, and keeps what still fails.
    fn by_ever_smaller_runs(&mut self, change: impl Fn(&[Action], usize, usize) -> Option<Vec<Action>>) {
        let mut run = self.best.actions.len().div_ceil(2);
        while run > 0 {
            let mut to = self.best.actions.len();
            while to > 0 && !self.is_tired() {
                let from = to.saturating_sub(run);
                if let Some(actions) = change(&self.best.actions, from, to) {
                    self.attempt(Schedule { actions, ..self.best.clone() });
                }
                to = from.min(self.best.actions.len());
            }
            run = if run == 1 { 0 } else { run.div_ceil(2) };
        }
    }

    fn attempt(&mut self, schedule: Schedule) {
        self.tries += 1;
        let verdict = live(&schedule, self.broken, false).verdict;
        if verdict.complaints.first().is_some_and(|complaint| complaint.kind == self.kind) {
            self.best = schedule;
            self.verdict = verdict;
        }
        (self.show)(self.best.actions.len(), self.tries);
    }

    fn is_tired(&self) -> bool {
        self.tries >= TRIES_MAX
    }
}
