//! Once is enough: a budget that is passed, or will be, is told once per episode.

use crate::policy::Measure;
use machine::columns;

/// A budget that was passed, or foretold to be. It is told at most twice: before, and when it came true.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Episode {
    /// The minute that it began with; of a daily budget the day, and the episode ends with it.
    pub(crate) since: i64,
    /// How many of the same beginning there were before, under other budgets.
    pub(crate) ordinal: u64,
    /// The budget that it is about: another one is passed anew.
    pub(crate) budget: f64,
    pub(crate) foretold: bool,
    pub(crate) passed: bool,
    /// The last minute that was not calm.
    pub(crate) hot: i64,
    /// It has not been calm since: of what lasts while nothing is heard, such as sessions at once.
    pub(crate) lasts: bool,
}

columns!(Episode { since, ordinal, budget, foretold, passed, hot, lasts });

// === impl Episode ===

impl Episode {
    /// An episode at `place` of which nothing was told yet. It follows `before`, and begins no earlier: a late fact lies
    /// before an episode that is told already, and two of one beginning would go by one name.
    pub(crate) fn after(before: Option<&Self>, place: i64, budget: f64) -> Self {
        let since = before.map_or(place, |before| before.since.max(place));
        let ordinal = before.filter(|before| before.since == since).map_or(0, |before| before.ordinal + 1);
        Self { since, ordinal, budget, foretold: false, passed: false, hot: place, lasts: false }
    }

    /// Whether what happens at `place`, a minute or a day, is news.
    pub(crate) fn is_over(&self, measure: Measure, place: i64, budget: f64, calm_minutes: i64) -> bool {
        let is_calm = match measure {
            Measure::CostUsdPerDay => place != self.since,
            Measure::TokensPerMinute | Measure::ConcurrentSessions => place - self.hot > calm_minutes,
        };
        is_calm || budget != self.budget
    }
}
