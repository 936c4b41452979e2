//! Arithmetic and predicates without state of their own: the trend of a mood, and what is too much.

use serde::{Deserialize, Serialize};

use crate::policy::{Complexity, Mood};

/// The trend of somebody's sentiment over a session, with hysteresis: it turns bad at `enter`, and is good again only
/// at `leave`, which lies above it. In between it stays what it was, so that one word more or less changes nothing.
///
/// The trend is an exponentially weighted moving average: `trend = alpha * score + (1 - alpha) * trend`, and the first
/// score itself (S. W. Roberts, *Control chart tests based on geometric moving averages*, Technometrics 1, 1959).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// In -1..1; absent before the first score.
    pub value: Option<f64>,
    /// Turns that had a score.
    pub turns: u32,
    /// Whether it is bad now.
    pub is_low: bool,
    /// Turns in a row that had none.
    pub unknown: u32,
    /// Whether these were told to be too many.
    pub unknown_told: bool,
}

/// What a session has come to without getting anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Effort {
    pub(crate) steps: u32,
    pub(crate) systems: u32,
    pub(crate) retries: u32,
}

// === impl Trend ===

impl Trend {
    /// A turn of the user with its score. Whether the trend turned bad at it.
    pub fn saw(&mut self, score: f64, mood: &Mood) -> bool {
        let value = self.value.map_or(score, |value| mood.alpha * score + (1.0 - mood.alpha) * value);
        self.value = Some(value);
        self.turns = self.turns.saturating_add(1);
        (self.unknown, self.unknown_told) = (0, false);
        let was_low = self.is_low;
        self.is_low = if was_low { value < mood.leave } else { value <= mood.enter && self.turns >= mood.turns_min };
        self.is_low && !was_low
    }

    /// A turn that has no score: it moves nothing, up or down. Whether it is the one that makes too many in a row.
    pub fn saw_unknown(&mut self, mood: &Mood) -> bool {
        self.unknown = self.unknown.saturating_add(1);
        // A policy may lower the limit below what was seen.
        let is_too_many = mood.unknown_turns.is_some_and(|most| self.unknown >= most);
        is_too_many && !std::mem::replace(&mut self.unknown_told, true)
    }
}

// === impl Effort ===

impl Effort {
    /// The limit that it has reached, if any.
    pub(crate) fn over(&self, limits: &Complexity) -> Option<u32> {
        let reached = [(self.systems, limits.systems_max), (self.steps, limits.steps_max), (self.retries, limits.retries_max)];
        reached.into_iter().find(|(found, limit)| found >= limit).map(|(_, limit)| limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOOD: Mood = Mood { alpha: 0.5, enter: -0.4, leave: -0.1, turns_min: 1, unknown_turns: Some(3) };

    #[test]
    fn a_trend_turns_bad_once_and_is_good_again_only_beyond_the_second_threshold() {
        let mut trend = Trend::default();
        let turned: Vec<bool> = [0.0, -0.9, -0.2, -0.9, 0.0, 0.9, -1.0, -1.0].map(|score| trend.saw(score, &MOOD)).to_vec();
        assert_eq!(turned, [false, true, false, false, false, false, false, true]);
    }

    #[test]
    fn a_turn_without_a_score_neither_calms_nor_angers() {
        let mut trend = Trend::default();
        trend.saw(-0.9, &MOOD);
        let before = trend.value;
        assert!(!(0..9).any(|turn| trend.saw_unknown(&MOOD) != (turn == 2)), "the third in a row is told");
        assert_eq!((trend.value, trend.is_low), (before, true));
    }

    #[test]
    fn so_many_unknown_turns_in_a_row_are_told_once() {
        let mut trend = Trend::default();
        assert_eq!([(); 5].map(|()| trend.saw_unknown(&MOOD)), [false, false, true, false, false]);
        trend.saw(0.0, &MOOD);
        assert_eq!([(); 3].map(|()| trend.saw_unknown(&MOOD)), [false, false, true]);
    }

    #[test]
    fn a_limit_that_is_lowered_below_what_was_seen_is_told_at_the_next_turn() {
        let mut trend = Trend::default();
        let lower = Mood { unknown_turns: Some(2), ..MOOD };
        let higher = Mood { unknown_turns: Some(9), ..MOOD };
        let told = [higher, higher, higher, lower, lower].map(|mood| trend.saw_unknown(&mood));
        assert_eq!(told, [false, false, false, true, false]);
    }

    #[test]
    fn fewer_turns_than_the_policy_asks_for_decide_nothing() {
        let mood = Mood { turns_min: 3, ..MOOD };
        let mut trend = Trend::default();
        assert_eq!([-1.0, -1.0, -1.0].map(|score| trend.saw(score, &mood)), [false, false, true]);
    }

    #[test]
    fn any_limit_is_enough() {
        let limits = Complexity { systems_max: 3, steps_max: 10, retries_max: 2 };
        let effort = Effort { steps: 9, systems: 2, retries: 1 };
        assert_eq!(effort.over(&limits), None);
        assert_eq!(Effort { retries: 2, ..effort }.over(&limits), Some(2));
        assert_eq!(Effort { steps: 10, ..effort }.over(&limits), Some(10));
    }
}
