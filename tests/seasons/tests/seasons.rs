//! The bound on false alarms, over fewer years than the whole, and that a drop is noticed at all.

use std::thread;

use seasons::counts::most_events;
use seasons::drops::{self, Where};
use seasons::healthy::{self, Tally};
use seasons::life::{Life, Told, What};
use seasons::nature::{Nature, Traffic};
use seasons::report::{Row, drop_in_words};
use wire::{Level, Timestamp};

const SEED: u64 = 7;
const YEARS: u64 = 20;
/// What somebody on call bears, per agent and year: about twice what a thousand years brought (`deploy/BENCHMARKS.md`).
const P2_PER_YEAR: f64 = 0.5;
const P3_PER_YEAR: f64 = 1.0;
/// How seldom a room that keeps to it fails here. The lives are the same every time, so that it fails at a change only.
const CHANCE: f64 = 1e-3;

#[test]
fn healthy_years_bring_no_more_incidents_than_somebody_on_call_bears() {
    let lives: Vec<_> = (0..YEARS).map(|number| thread::spawn(move || healthy::year(SEED, number, Traffic::Mixed))).collect();
    let mut all = Tally::default();
    lives.into_iter().for_each(|life| all.add(life.join().expect("a life")));
    println!("{} sessions, {:?}, {:?}, {:#?}", all.sessions, all.incidents, all.told, all.words);
    assert!(all.sessions > YEARS * 365 * 30, "{} sessions", all.sessions);
    assert_eq!(all.incidents_of(Level::P1), 0, "nobody was harmed");
    for (level, bound) in [(Level::P2, P2_PER_YEAR), (Level::P3, P3_PER_YEAR)] {
        let most = most_events(bound, all.agent_years, CHANCE);
        assert!(all.incidents_of(level) <= most, "{} of {}", all.incidents_of(level), level.as_str());
    }
}

#[test]
fn a_version_that_is_forty_points_worse_is_noticed_within_a_hundred_sessions() {
    for number in 0..20 {
        let noticed = drops::live(SEED, number, Traffic::PerDay(2_000.0), Where::Deployment, 0.4);
        assert!(noticed.p2.is_some_and(|(sessions, _)| sessions <= 100), "life {number}: {:?}", noticed.p2);
    }
}

#[test]
fn a_version_that_is_twenty_points_worse_is_noticed_within_four_hundred_sessions() {
    for number in 0..20 {
        let noticed = drops::live(SEED, number, Traffic::PerDay(2_000.0), Where::Deployment, 0.2);
        assert!(noticed.p2.is_some_and(|(sessions, _)| sessions <= 400), "life {number}: {:?}", noticed.p2);
    }
}

#[test]
fn a_version_that_begins_to_fail_by_forty_points_in_mid_life_is_noticed_within_two_hundred_sessions() {
    for number in 0..20 {
        let noticed = drops::live(SEED, number, Traffic::PerDay(2_000.0), Where::Midlife, 0.4);
        assert!(noticed.p2.is_some_and(|(sessions, _)| sessions <= 200), "life {number}: {:?}", noticed.p2);
    }
}

#[test]
fn what_took_twice_the_minutes_of_the_room_says_so_and_what_was_never_noticed_says_nothing() {
    let lives: Vec<_> = (0..3).map(|number| drops::live(SEED, number, Traffic::PerDay(2_000.0), Where::Deployment, 0.4)).collect();
    let row = |of: &dyn Fn(f64) -> Option<f64>| {
        let scaled = |life: &drops::Noticed| life.p2.and_then(|(sessions, seconds)| Some((sessions, of(seconds)?)));
        Row::of(("2,000", drop_in_words(Where::Deployment, 0.4), "somebody".to_owned()), 0.0, &lives, scaled)
    };
    let room = row(&Some);
    assert_eq!(row(&|seconds| Some(2.0 * seconds)).over(&room), Some(2.0));
    assert_eq!((row(&|_| None).over(&room), room.over(&row(&|_| None))), (None, None));
}

#[test]
fn sessions_come_and_succeed_as_often_as_the_agent_is_said_to() {
    let mut life = Life::new(SEED, 1, Traffic::PerDay(1_000.0), Told::Sessions);
    let born = life.born();
    let (mut told, mut good, mut expected) = (0.0, 0.0, 0.0);
    loop {
        let due = life.next_due();
        if due.at.since_s(born) > 28.0 * 86_400.0 {
            break;
        }
        match due.what {
            What::Started { task, .. } => expected += life.nature.succeeds(&life.nature.tasks[task], due.at),
            What::Outcome { success, .. } => {
                told += 1.0;
                good += f64::from(u8::from(success));
            }
            _ => {}
        }
    }
    let sessions = life.sessions as f64;
    // Four weeks of a Poisson process: a deviation is the root of 28,000, which is 167.
    assert!((sessions - 28_000.0).abs() < 1_000.0, "{sessions} sessions");
    assert!((good / told - expected / sessions).abs() < 0.01, "{good} of {told}, and {expected} of {sessions} expected");
    assert!((told / sessions - (1.0 - life.nature.untold)).abs() < 0.01);
}

#[test]
fn a_week_has_the_average_of_one_and_a_night_is_quieter_than_a_day() {
    let week: Vec<f64> = (0..7 * 24).map(|hour| Nature::season(Timestamp(hour * 3_600_000_000))).collect();
    let mean = week.iter().sum::<f64>() / week.len() as f64;
    assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    assert!(week[2] < 0.4 * week[14], "{} at two, {} at fourteen", week[2], week[14]);
}
