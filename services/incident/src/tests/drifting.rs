//! How often a version is said to drift that does not, and how soon one that does; and what a shift of the mix is not.
//!
//! The run length between false alarms is the policy's, at least, with baselines of a hundred sessions that are drawn anew
//! for every life: amounts that are skewed, two-peaked and heavy-tailed, and shares from one in two hundred to a half.

use wire::ModelCalled;

use super::life::{Life, model};
use super::regression::named;
use crate::chart::Chart;
use crate::policy::Policy;
use crate::rules::bucket;

const LIVES: u64 = 60;
const SESSIONS: u64 = 5_000;

/// An amount by chance.
type Amounts = (&'static str, fn(&mut Dice) -> f64);

const AMOUNTS: [Amounts; 7] = [
    ("bell", |dice| (7.0 + 0.5 * dice.bell()).exp()),
    ("narrow bell", |dice| (7.0 + 0.1 * dice.bell()).exp()),
    ("always the same", |_| 1_000.0),
    ("waiting", |dice| -1_000.0 * (1.0 - dice.chance()).ln()),
    ("two peaks", |dice| (if dice.chance() < 0.6 { 7.0 } else { 8.6 } + 0.05 * dice.bell()).exp()),
    ("one in ten long", |dice| if dice.chance() < 0.9 { (7.0 + 0.05 * dice.bell()).exp() } else { (9.0 + 0.3 * dice.bell()).exp() }),
    ("heavy tail", |dice| 300.0 * (1.0 - dice.chance()).powf(-1.0 / 1.2)),
];

const SHARES: [f64; 5] = [0.005, 0.02, 0.1, 0.3, 0.5];

#[test]
fn the_run_length_to_a_false_alarm_is_at_least_the_one_that_is_stated() {
    // Ten times as often as by default, so that there is something to count.
    let policy = Policy { drift_run_length: 10_000.0, ..Policy::default() };
    for (place, (name, amount)) in AMOUNTS.into_iter().enumerate() {
        let measured = |dice: &mut Dice| bucket(amount(dice));
        assert_run_length(name, place as u64, false, measured, &policy);
    }
    for (place, share) in SHARES.into_iter().enumerate() {
        let measured = |dice: &mut Dice| u8::from(dice.chance() < share);
        assert_run_length(&format!("a share of {share}"), 100 + place as u64, true, measured, &policy);
    }
}

#[test]
fn an_amount_that_doubles_and_a_share_whose_odds_grow_fourfold_are_told_soon() {
    let policy = Policy::default();
    let delay = |seed, is_share, before: &dyn Fn(&mut Dice) -> u8, after: &dyn Fn(&mut Dice) -> u8| {
        let mut delays: Vec<u64> = (0..LIVES).map(|life| delay(seed + life, is_share, before, after, &policy)).collect();
        delays.sort_unstable();
        delays[delays.len() / 2]
    };
    let bell = AMOUNTS[0].1;
    let doubled = delay(1, false, &|dice| bucket(bell(dice)), &|dice| bucket(2.0 * bell(dice)));
    let share = delay(2, true, &|dice| u8::from(dice.chance() < 0.1), &|dice| u8::from(dice.chance() < 0.308));
    println!("half of the lives tell a doubling after {doubled} sessions, and odds that grow fourfold from a tenth after {share}");
    assert!(doubled <= 40 && share <= 200, "{doubled} and {share}");
}

#[test]
fn a_healthy_shift_of_the_mix_is_no_drift() {
    let mut life = Life::new();
    let mut dice = Dice(3);
    // Hard tasks fail three times as often and take four times as long. First they are a tenth, then nine tenths.
    for session in 0..1_200 {
        let is_hard = dice.chance() < if session < 600 { 0.1 } else { 0.9 };
        let of = if is_hard { ("hard", 0.6, 4_000.0) } else { ("easy", 0.2, 1_000.0) };
        serve(&mut life, session, of, &mut dice);
    }
    assert!(life.said.is_empty(), "{:?}", life.words());
}

#[test]
fn a_drift_that_a_shift_of_the_mix_hides_is_told() {
    let mut life = Life::new();
    let mut dice = Dice(4);
    let mut failed = [0_u64; 2];
    // Both kinds of task begin to fail more often, while the hard ones become few: taken together, failures are fewer.
    for session in 0..1_200 {
        let later = session >= 600;
        let is_hard = dice.chance() < if later { 0.05 } else { 0.6 };
        let of =
            if is_hard { ("hard", if later { 0.9 } else { 0.6 }, 1_000.0) } else { ("easy", if later { 0.25 } else { 0.05 }, 1_000.0) };
        failed[usize::from(later)] += u64::from(serve(&mut life, session, of, &mut dice));
    }
    assert!(failed[1] < failed[0], "taken together it looks better: {failed:?} of 600");
    assert_eq!(life.words().first().map(String::as_str), Some("opened P2 drop"), "{:?}", life.words());
}

#[test]
fn a_regression_that_a_shift_of_the_mix_hides_is_found() {
    // Simpson: the new version is worse at easy tasks and at hard ones, and looks better since it gets the easy ones.
    let (mut life, mut dice) = (Life::with_baseline("good"), Dice(5));
    let mut failed = [0_u64; 2];
    for session in 0..800 {
        let is_new = session % 2 == 1;
        let is_hard = dice.chance() < if is_new { 0.1 } else { 0.9 };
        let chance = match (is_hard, is_new) {
            (true, false) => 0.5,
            (true, true) => 0.8,
            (false, false) => 0.02,
            (false, true) => 0.3,
        };
        let fails = dice.chance() < chance;
        failed[usize::from(is_new)] += u64::from(fails);
        life.session(&format!("s{session}"), if is_new { "new" } else { "good" }, Some(if is_hard { "hard" } else { "easy" }), !fails);
    }
    assert!(failed[1] < failed[0], "taken together the new version looks better: {failed:?} of 400 each");
    assert!(named(&life).iter().any(|(version, against, ..)| (*version, *against) == ("new", "good")), "{:?}", life.words());
}

#[test]
fn a_version_that_gets_the_hard_tasks_and_is_no_worse_is_not_named() {
    let (mut life, mut dice) = (Life::with_baseline("good"), Dice(6));
    for session in 0..800 {
        let is_new = session % 2 == 1;
        let is_hard = dice.chance() < if is_new { 0.9 } else { 0.1 };
        let fails = dice.chance() < if is_hard { 0.6 } else { 0.05 };
        life.session(&format!("s{session}"), if is_new { "new" } else { "good" }, Some(if is_hard { "hard" } else { "easy" }), !fails);
    }
    assert!(life.said.is_empty(), "{:?}", life.words());
}

/// A session of a segment that fails by chance and takes about so long; whether it failed.
fn serve(life: &mut Life, session: usize, (segment, fails, latency_ms): (&str, f64, f64), dice: &mut Dice) -> bool {
    let id = format!("s{session}");
    life.start(&id, "v1", Some(segment));
    let latency_ms = Some(latency_ms * (0.3 * dice.bell()).exp());
    life.fact(Some(&id), ModelCalled { version: None, latency_ms, ..model(Some(false)) });
    let failed = dice.chance() < fails;
    life.outcome(&id, !failed);
    life.end(&id);
    life.wait_silently_s(60);
    failed
}

fn assert_run_length(name: &str, seed: u64, is_share: bool, measured: impl Fn(&mut Dice) -> u8, policy: &Policy) {
    let (mut sessions, mut alarms) = (0, 0_u64);
    for life in 0..LIVES {
        let mut dice = Dice(seed * LIVES + life);
        let mut chart = learned(&mut dice, is_share, &measured, policy);
        let told = (1..=SESSIONS).find(|_| chart.observe(measured(&mut dice), is_share, &"s".into(), policy).is_some());
        sessions += told.unwrap_or(SESSIONS);
        alarms += u64::from(told.is_some());
    }
    println!("{name}: {alarms} false alarms in {sessions} sessions");
    assert!(sessions as f64 >= alarms as f64 * policy.drift_run_length, "{name}: {alarms} false alarms in {sessions} sessions");
}

fn delay(seed: u64, is_share: bool, before: &dyn Fn(&mut Dice) -> u8, after: &dyn Fn(&mut Dice) -> u8, policy: &Policy) -> u64 {
    let mut dice = Dice(seed << 20);
    let mut chart = learned(&mut dice, is_share, before, policy);
    (1..=SESSIONS).find(|_| chart.observe(after(&mut dice), is_share, &"s".into(), policy).is_some()).unwrap_or(SESSIONS)
}

fn learned(dice: &mut Dice, is_share: bool, measured: impl Fn(&mut Dice) -> u8, policy: &Policy) -> Chart {
    let mut chart = Chart::default();
    (0..policy.drift_baseline).for_each(|_| assert_eq!(chart.observe(measured(dice), is_share, &"s".into(), policy), None));
    assert!(chart.has_baseline());
    chart
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same lives on every machine.
pub(crate) struct Dice(pub(crate) u64);

// === impl Dice ===

impl Dice {
    /// A number from 0 to 1, and never 1 itself.
    pub(crate) fn chance(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal number (Box and Muller 1958).
    fn bell(&mut self) -> f64 {
        let (radius, angle) = ((-2.0 * (1.0 - self.chance()).ln()).sqrt(), std::f64::consts::TAU * self.chance());
        radius * angle.cos()
    }
}
