//! One budget under watch: the minutes of the last hour, where they lead to, and what was told of it.

use wire::Timestamp;

use crate::episode::Episode;
use crate::policy::{Measure, Policy};
use crate::rules::{Expected, Line, Resolution};
use machine::{Shelf, columns};

/// Minutes that a trend looks back.
pub(crate) const HISTORY_MINUTES_MAX: i64 = 60;
/// Minutes with a figure that a trend needs at least.
pub(crate) const POINTS_MIN: usize = 10;
/// Episodes that are known of one budget: of a daily one two may be open, while a day's last facts come in.
const EPISODES_MAX: usize = 2;

/// What is known of one budget of one agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watch {
    /// Closed minutes that used some of it, and how much if they told that.
    points: Shelf<i64, Option<f64>>,
    episodes: Shelf<i64, Episode>,
}

columns!(Watch { points, episodes });

/// Where a measure stands when a minute closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) measure: Measure,
    /// The last minute that is closed, and when it closed.
    pub(crate) minute: i64,
    pub(crate) closed: Timestamp,
    /// What was spent in the day of that time, up to that minute. Of measures by the minute, nothing.
    pub(crate) base: f64,
}

/// What may be said of the future.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outlook {
    /// Too little is known, and what is missing.
    Insufficient(String),
    /// This is expected.
    Expected(Forecast),
}

/// What is expected at the horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forecast {
    pub(crate) expected: Expected,
    pub(crate) at: Timestamp,
    /// Minutes that it rests on.
    pub(crate) n: usize,
    /// The first minute in which the budget is expected to be passed; `None`: not within the horizon.
    pub(crate) passed_in: Option<i64>,
    rising: bool,
}

// === impl Watch ===

impl Watch {
    /// A minute that used some of it is closed.
    pub(crate) fn saw_minute(&mut self, minute: i64, figure: Option<f64>) {
        self.points.insert(minute, figure);
        self.points.retain(|known, _| *known > minute - HISTORY_MINUTES_MAX);
    }

    /// Nobody watches any more. Whether anything that was told is to be kept.
    pub(crate) fn rest(&mut self) -> bool {
        self.points.clear();
        !self.episodes.is_empty()
    }

    /// The use of the budget was found at `value`. If it is passed, and that is news, the episode that it opens or joins.
    pub(crate) fn judge(&mut self, measure: Measure, place: i64, value: f64, budget: f64, policy: &Policy) -> Option<Episode> {
        if value <= budget {
            self.keep_hot(measure, place, value, budget, policy);
            return None;
        }
        let episode = self.episode(measure, place, budget, policy);
        episode.hot = episode.hot.max(place);
        (!std::mem::replace(&mut episode.passed, true)).then_some(*episode)
    }

    /// Sessions at once went from one number to another, the first of which had lasted since the fact before.
    pub(crate) fn level(&mut self, minute: i64, (before, after): (f64, f64), budget: f64, policy: &Policy) -> Option<Episode> {
        const MEASURE: Measure = Measure::ConcurrentSessions;
        let is_hot = |level: f64| level > Policy::CALM_SHARE * budget;
        if let Some(latest) = self.episodes.values_mut().next_back().filter(|latest| latest.lasts && is_hot(before)) {
            latest.hot = latest.hot.max(minute);
        }
        let news = self.judge(MEASURE, minute, after, budget, policy);
        let is_open = self.open_episode(MEASURE, minute, budget, policy).is_some();
        if let Some(latest) = self.episodes.values_mut().next_back() {
            latest.lasts = is_open && is_hot(after);
        }
        news
    }

    /// The budget will be passed. If that is news, the episode that it opens.
    pub(crate) fn foretell(&mut self, measure: Measure, place: i64, budget: f64, policy: &Policy) -> Option<Episode> {
        let episode = self.episode(measure, place, budget, policy);
        episode.hot = episode.hot.max(place);
        let is_known = std::mem::replace(&mut episode.foretold, true) || episode.passed;
        (!is_known).then_some(*episode)
    }

    /// A value near the budget keeps an episode open. One that is over stays so: on the way to the next one, values pass by
    /// there, too.
    fn keep_hot(&mut self, measure: Measure, place: i64, value: f64, budget: f64, policy: &Policy) {
        let is_open = self.open_episode(measure, place, budget, policy).is_some();
        if is_open && value > Policy::CALM_SHARE * budget {
            self.episodes.values_mut().next_back().into_iter().for_each(|episode| episode.hot = episode.hot.max(place));
        }
    }

    /// The episode that is open at `place`, if one is.
    pub(crate) fn open_episode(&self, measure: Measure, place: i64, budget: f64, policy: &Policy) -> Option<&Episode> {
        self.latest(measure, place).filter(|episode| !episode.is_over(measure, place, budget, policy.calm_minutes))
    }

    /// Minutes with a figure, of the hour that ends with a minute.
    pub(crate) fn points(&self, last: i64) -> usize {
        self.hour(last).filter(|(_, figure)| figure.is_some()).count()
    }

    /// The figure of a closed minute; `None`: it told none.
    pub(crate) fn figure(&self, minute: i64) -> Option<f64> {
        self.points.get(&minute).copied().flatten()
    }

    /// Where the last hour leads to: no further than as many minutes beyond the last that is known as are known.
    pub(crate) fn outlook(&self, place: Place, budget: f64, horizon_s: i64) -> Outlook {
        let (told, history) = (self.points(place.minute), self.history(place));
        let known = history.first().zip(history.last()).map(|((first, _), (last, _))| (*first, *last));
        let reach = known.map_or(0, |(first, last)| last - first + 1);
        let ahead = place.target(horizon_s) - known.map_or(place.minute, |(_, last)| last);
        if told < POINTS_MIN || reach < ahead {
            return Outlook::Insufficient(format!(
                "of the last {HISTORY_MINUTES_MAX} minutes {told} told it, where {POINTS_MIN} must, and what is known spans {reach}, where {ahead} are \
                 looked ahead"
            ));
        }
        let points: Vec<_> = history.into_iter().map(|(minute, figure)| ((minute - place.minute) as f64, figure)).collect();
        match Line::through(&points) {
            Some(line) => Outlook::Expected(forecast(line, place, budget, horizon_s)),
            None => Outlook::Insufficient("no line goes through one minute".to_owned()),
        }
    }

    /// The minutes that used some of it, of the hour that ends with `last`: a trend of yesterday is none of today.
    fn hour(&self, last: i64) -> impl DoubleEndedIterator<Item = (i64, Option<f64>)> + '_ {
        self.points.range(last - HISTORY_MINUTES_MAX + 1..=last).map(|(minute, figure)| (*minute, *figure))
    }

    /// Minutes of which the figure is known, up to the last one that is closed.
    ///
    /// A minute in which nothing happened has no rate, and is left out. To a sum a minute without any model call adds
    /// nothing: since the first one with a call it is a zero.
    fn history(&self, place: Place) -> Vec<(i64, f64)> {
        match place.measure {
            Measure::TokensPerMinute | Measure::ConcurrentSessions => {
                self.hour(place.minute).filter_map(|(minute, figure)| Some((minute, figure?))).collect()
            }
            Measure::CostUsdPerDay => {
                let Some((first, _)) = self.hour(place.minute).next() else { return Vec::new() };
                let value = |minute: i64| self.points.get(&minute).map_or(Some(0.0), |figure| *figure);
                (first..=place.minute).filter_map(|minute| Some((minute, value(minute)?))).collect()
            }
        }
    }

    fn latest(&self, measure: Measure, place: i64) -> Option<&Episode> {
        match measure {
            Measure::CostUsdPerDay => self.episodes.get(&place),
            Measure::TokensPerMinute | Measure::ConcurrentSessions => self.episodes.values().next_back(),
        }
    }

    /// The episode that is open at `place`; if none is, a new one.
    fn episode(&mut self, measure: Measure, place: i64, budget: f64, policy: &Policy) -> &mut Episode {
        let open = self.open_episode(measure, place, budget, policy).copied();
        let episode = open.unwrap_or_else(|| Episode::after(self.latest(measure, place), place, budget));
        if self.episodes.len() == EPISODES_MAX && !self.episodes.contains_key(&episode.since) {
            self.episodes.pop_first();
        }
        let kept = self.episodes.entry(episode.since).or_insert(episode);
        *kept = episode;
        kept
    }
}

// === impl Place ===

impl Place {
    /// The last minute that is looked ahead to: of the cost of a day, at most its last.
    fn target(&self, horizon_s: i64) -> i64 {
        let at = self.closed.plus_s(horizon_s);
        match self.measure {
            Measure::TokensPerMinute | Measure::ConcurrentSessions => Resolution::Minute.index(at),
            Measure::CostUsdPerDay => {
                let midnight = Resolution::Day.end(Resolution::Day.index(self.closed));
                Resolution::Minute.index(at).min(Resolution::Minute.index(midnight) - 1)
            }
        }
    }
}

// === impl Forecast ===

impl Forecast {
    /// Whether the budget will be passed, surely enough to wake somebody.
    ///
    /// The whole interval must lie beyond the budget. Passing it is told at once when it happens; a warning that comes
    /// before must be right more often than the middle of the interval is, which is half of the time. Noise around a
    /// level is no trend, so that a rate must be rising.
    pub(crate) fn passes(&self, budget: f64) -> bool {
        self.rising && self.expected.low > budget
    }
}

fn forecast(line: Line, place: Place, budget: f64, horizon_s: i64) -> Forecast {
    let at = place.closed.plus_s(horizon_s);
    let ahead = |minute: i64| (minute - place.minute) as f64;
    // Minutes that are over by now are still open: what they used is not known, and no time that anybody can act by.
    let (now, last) = (Resolution::Minute.index(place.closed), place.target(horizon_s));
    match place.measure {
        Measure::TokensPerMinute | Measure::ConcurrentSessions => {
            let expected = line.sum_from(ahead(last), 1.0).on_top_of(0.0);
            let passed_in = (now..=last).find(|minute| line.at(ahead(*minute)) > budget);
            Forecast { expected, at, n: line.n, passed_in, rising: line.slope > 0.0 }
        }
        Measure::CostUsdPerDay => {
            let day = Resolution::Day.index(place.closed);
            let first = Resolution::Minute.index(Resolution::Day.start(day)).max(place.minute + 1);
            let by = |minute: i64| line.sum_from(ahead(first), (minute - first + 1) as f64).on_top_of(place.base);
            let passed_in = (now..=last).find(|minute| by(*minute).value > budget);
            Forecast { expected: by(last), at: Resolution::Minute.end(last).min(at), n: line.n, passed_in, rising: true }
        }
    }
}
