//! How often a version is named that is no worse: through the room's own sessions and pairs, not a model of them.
//!
//! Entered in order of completion instead of start, failures that are quick and successes that are slow would let one
//! version's failures meet the other's successes: simulated at 37 % false alarms with 40 sessions at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wire::{SessionStarted, Timestamp};

use super::life::{Life, outcome};

const RUNS: u64 = 250;
const SESSIONS: u64 = 240;

#[test]
fn versions_that_do_not_differ_are_named_in_at_most_one_and_a_half_percent_of_lives() {
    let mut named_in_all = 0;
    for (place, (at_once, failure_s)) in
        [1, 8, 40].into_iter().flat_map(|at_once| [8, 80, 640].map(|length_s| (at_once, length_s))).enumerate()
    {
        let named = (0..RUNS).filter(|run| is_named(place as u64 * RUNS + run, at_once, failure_s, [0.6, 0.6])).count();
        assert!(named as f64 <= 0.015 * RUNS as f64, "{named} of {RUNS} with {at_once} at once and failures of {failure_s} s");
        named_in_all += named;
    }
    println!("{named_in_all} of {} lives without a difference named a version", 9 * RUNS);
}

#[test]
fn a_version_that_fails_twice_as_often_is_named_in_nearly_every_life() {
    let named = (0..50).filter(|run| is_named(1_000_000 + run, 8, 80, [0.8, 0.4])).count();
    assert!(named >= 48, "only {named} of 50");
}

/// Lives through [`SESSIONS`] sessions, each of either version by a coin, and says whether one was named.
fn is_named(seed: u64, at_once: u64, failure_s: u64, chances: [f64; 2]) -> bool {
    const SUCCESS_S: u64 = 80;
    let mut dice = Dice(seed);
    let mut life = Life::with_baseline("v0");
    let begun = life.now;
    let mut ends: BinaryHeap<Reverse<(u64, u64, bool)>> = BinaryHeap::new();
    let mut clock_ms = 0;
    for session in 0..SESSIONS {
        if session >= at_once {
            let Reverse((end_ms, ended, success)) = ends.pop().expect("as many as at once");
            clock_ms = end_ms;
            finish(&mut life, begun, end_ms, ended, success);
        }
        life.now = Timestamp(begun.0 + clock_ms as i64 * 1_000);
        let version = usize::from(dice.chance() < 0.5);
        let success = dice.chance() < chances[version];
        let version = if version == 0 { "v0" } else { "v1" };
        let started = SessionStarted { version: Some(version.into()), segment: None, channel: None, environment: None };
        life.append(Some(&format!("s{session}")), started, 0);
        let length_s = if success { SUCCESS_S } else { failure_s };
        ends.push(Reverse((clock_ms + (length_s as f64 * 1_000.0 * (0.5 + dice.chance())) as u64, session, success)));
    }
    while let Some(Reverse((end_ms, ended, success))) = ends.pop() {
        finish(&mut life, begun, end_ms, ended, success);
    }
    life.publish_owed() > 0
}

fn finish(life: &mut Life, begun: Timestamp, end_ms: u64, session: u64, success: bool) {
    life.now = Timestamp(begun.0 + end_ms as i64 * 1_000);
    life.append(Some(&format!("s{session}")), outcome(Some(success)), 0);
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same lives on every machine.
struct Dice(u64);

impl Dice {
    /// A number from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    }
}
