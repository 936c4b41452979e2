//! The facts of one stream: by the minute as long as a page looks back, by the quarter of an hour as long as a ticket does.

use std::collections::VecDeque;

use machine::Shelf;
use serde::{Deserialize, Serialize};
use wire::{RecordId, Timestamp};

use crate::evidence::KEPT_MAX;
use crate::policy::{TICKET_SECONDS_MAX, WINDOW_SECONDS_MAX};

/// Facts are counted by the minute.
const MINUTE_US: i64 = 60_000_000;

/// Minutes of a quarter: what is too old for a page is kept in these.
const QUARTER_MINUTES: i64 = 15;

/// Facts, and bad ones among them.
pub(crate) type Count = (u64, u64);

/// The same of a minute or a quarter: a window has hundreds of them, and what is beyond is counted as the most there is.
type Few = (u32, u32);

/// The facts of one stream within the longest windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Window {
    /// By the minute since the epoch. Only minutes that saw a fact.
    minutes: Shelf<i64, Few>,
    /// What was before these minutes, by the quarter of an hour since the epoch. A fact is in one of both.
    quarters: Shelf<i64, Few>,
    /// The newest bad ones.
    failures: VecDeque<(i64, RecordId)>,
    /// A page told of what was before this minute: no ticket tells of it again.
    told_until: Option<i64>,
}

/// A window as it is stored: its first minute; of each minute how far it is from the one before, its facts and its bad
/// ones; of each bad fact kept how far its minute is from the first, and its id; then quarters like minutes, and what
/// was told.
#[derive(Clone, Serialize, Deserialize)]
struct Stored(i64, Vec<u64>, Vec<(i64, RecordId)>, Vec<u64>, Option<i64>);

// === impl Window ===

impl Window {
    pub(crate) fn count(&mut self, happened: Timestamp, bad: Option<&RecordId>) {
        let minute = happened.0.div_euclid(MINUTE_US);
        let (n, bad_n) = self.minutes.entry(minute).or_default();
        *n = n.saturating_add(1);
        if let Some(id) = bad {
            *bad_n = bad_n.saturating_add(1);
            if self.failures.len() == KEPT_MAX {
                self.failures.pop_front();
            }
            self.failures.push_back((minute, id.clone()));
        }
    }

    /// Drops what no window reaches any more, and keeps by the quarter what no page reaches; says whether anything is left.
    pub(crate) fn prune(&mut self, now: Timestamp) -> bool {
        let first = first_minute(WINDOW_SECONDS_MAX, now);
        while let Some((minute, (n, bad))) = self.minutes.first_key_value().filter(|(minute, _)| **minute < first) {
            let (n_all, bad_all) = self.quarters.entry(minute.div_euclid(QUARTER_MINUTES)).or_default();
            *n_all = n_all.saturating_add(*n);
            *bad_all = bad_all.saturating_add(*bad);
            self.minutes.pop_first();
        }
        self.failures.retain(|(minute, _)| *minute >= first);
        let first = first_minute(TICKET_SECONDS_MAX, now);
        while self.quarters.first_key_value().is_some_and(|(quarter, _)| quarter * QUARTER_MINUTES < first) {
            self.quarters.pop_first();
        }
        self.told_until = self.told_until.filter(|told| *told > first);
        !self.minutes.is_empty() || !self.quarters.is_empty()
    }

    /// What a page sees.
    pub(crate) fn page(&self, length_s: i64, now: Timestamp) -> Count {
        self.sum(first_minute(length_s, now))
    }

    /// What a ticket sees: not what a page has told of.
    pub(crate) fn ticket(&self, length_s: i64, now: Timestamp) -> Count {
        self.sum(first_minute(length_s, now).max(self.told_until.unwrap_or(i64::MIN)))
    }

    /// Whether what a ticket sees began at least so long ago: what began later is a page's to tell.
    pub(crate) fn reaches_back(&self, length_s: i64, now: Timestamp) -> bool {
        let told = self.told_until.unwrap_or(i64::MIN);
        let quarter = self.quarters.keys().map(|quarter| quarter * QUARTER_MINUTES).find(|minute| *minute >= told);
        let first = quarter.or_else(|| self.minutes.range(told..).next().map(|(minute, _)| *minute));
        first.is_some_and(|first| first <= first_minute(length_s, now))
    }

    /// A page tells of everything up to now.
    pub(crate) fn tell(&mut self, now: Timestamp) {
        self.told_until = Some(now.0.div_euclid(MINUTE_US) + 1);
    }

    /// The newest bad facts.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &RecordId> {
        self.failures.iter().map(|(_, id)| id)
    }

    /// Facts from this minute on; of a quarter that begins before it, none.
    fn sum(&self, from: i64) -> Count {
        let add = |(n, bad): Count, (more, more_bad): &Few| (n + u64::from(*more), bad + u64::from(*more_bad));
        let quarters = self.quarters.iter().rev().take_while(|(quarter, _)| **quarter * QUARTER_MINUTES >= from);
        let older = quarters.map(|(_, count)| count).fold((0, 0), add);
        self.minutes.range(from..).map(|(_, count)| count).fold(older, add)
    }
}

impl From<Stored> for Window {
    fn from(Stored(first, minutes, failures, quarters, told_until): Stored) -> Self {
        Self {
            minutes: from_steps(first, &minutes),
            quarters: from_steps(first.div_euclid(QUARTER_MINUTES).saturating_sub(QUARTERS_BEFORE), &quarters),
            failures: failures.into_iter().map(|(after, id)| (first.saturating_add(after), id)).collect(),
            told_until,
        }
    }
}

impl From<Window> for Stored {
    fn from(Window { minutes, quarters, failures, told_until }: Window) -> Self {
        let quarter_first = quarters.first_key_value().map(|(quarter, _)| quarter * QUARTER_MINUTES);
        let first = minutes.first_key_value().map(|(minute, _)| *minute).or(quarter_first).unwrap_or(0);
        let failures = failures.into_iter().map(|(minute, id)| (minute - first, id)).collect();
        let quarters = to_steps(first.div_euclid(QUARTER_MINUTES).saturating_sub(QUARTERS_BEFORE), &quarters);
        Self(first, to_steps(first, &minutes), failures, quarters, told_until)
    }
}

/// No quarter is kept that begins so long before the first minute, so that steps go forward only.
const QUARTERS_BEFORE: i64 = TICKET_SECONDS_MAX / (60 * QUARTER_MINUTES) + 1;

fn from_steps(first: i64, steps: &[u64]) -> Shelf<i64, Few> {
    let few = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let mut place = first;
    let mut counts = Shelf::new();
    for step in steps.chunks_exact(3) {
        place = place.saturating_add_unsigned(step[0]);
        counts.insert(place, (few(step[1]), few(step[2])));
    }
    counts
}

fn to_steps(first: i64, counts: &Shelf<i64, Few>) -> Vec<u64> {
    let mut before = first;
    let mut steps = Vec::with_capacity(3 * counts.len());
    for (place, (n, bad)) in counts {
        steps.extend([place.abs_diff(before), u64::from(*n), u64::from(*bad)]);
        before = *place;
    }
    steps
}

/// The first minute of the window of this length that ends now: the minute under way is its last.
fn first_minute(length_s: i64, now: Timestamp) -> i64 {
    now.0.div_euclid(MINUTE_US) - length_s.div_euclid(60) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_S: i64 = 3_600;

    #[test]
    fn a_fact_is_seen_by_the_minute_then_by_the_quarter_then_not_at_all() {
        let mut window = Window::default();
        let begun = Timestamp::parse("2026-03-02T09:07:00Z").expect("a time");
        window.count(begun, Some(&"bad".into()));
        for (hours, page, ticket) in [(1, (1, 1), (1, 1)), (7, (0, 0), (1, 1)), (71, (0, 0), (1, 1)), (73, (0, 0), (0, 0))] {
            let now = begun.plus_s(hours * HOUR_S);
            assert_eq!(window.prune(now), ticket.0 > 0, "after {hours} h");
            assert_eq!((window.page(6 * HOUR_S, now), window.ticket(72 * HOUR_S, now)), (page, ticket), "after {hours} h");
        }
    }

    #[test]
    fn what_a_page_told_is_in_no_ticket() {
        let mut window = Window::default();
        let begun = Timestamp::parse("2026-03-02T09:00:00Z").expect("a time");
        window.count(begun, None);
        window.tell(begun);
        window.count(begun.plus_s(60), None);
        assert_eq!((window.page(HOUR_S, begun.plus_s(60)), window.ticket(HOUR_S, begun.plus_s(60))), ((2, 0), (1, 0)));
    }

    #[test]
    fn a_window_reaches_back_to_the_first_fact_that_no_page_told() {
        let mut window = Window::default();
        let begun = Timestamp::parse("2026-03-02T09:00:00Z").expect("a time");
        window.count(begun, None);
        let later = begun.plus_s(2 * HOUR_S);
        assert!(window.reaches_back(2 * HOUR_S - 60, later) && !window.reaches_back(3 * HOUR_S, later));
        window.tell(begun);
        assert!(!window.reaches_back(60, later));
    }

    #[test]
    fn a_window_comes_back_from_a_snapshot_as_it_was() {
        let mut window = Window::default();
        let begun = Timestamp::parse("2026-03-02T09:07:00Z").expect("a time");
        for step in 0..200 {
            let at = begun.plus_s(step * 1_700);
            window.prune(at);
            window.count(at, (step % 7 == 0).then_some(&"bad".into()));
            if step == 120 {
                window.tell(at);
            }
            let mut bytes = Vec::new();
            ciborium::into_writer(&window, &mut bytes).expect("plain values");
            assert_eq!(ciborium::from_reader::<Window, _>(bytes.as_slice()).expect("as it was written"), window);
        }
    }
}
