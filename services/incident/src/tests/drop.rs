//! Success that falls in the midst of a version's life.

use machine::Machine;
use wire::{Body, IncidentOpened, Record, Timestamp};

use super::life::Life;
use super::people::resolve;
use super::stories::state;
use crate::Incident;
use crate::drift::Drift;
use crate::policy::{Measure, Policy};
use crate::versions::{Lane, Versions};

#[test]
fn success_that_falls_far_is_p2_at_once_and_names_no_version() {
    let mut life = Life::new();
    serve(&mut life, "v1", 100, |session| session % 10 == 0);
    serve(&mut life, "v1", 60, |session| session % 2 == 0);
    assert_eq!(life.words(), ["opened P2 drop"]);
    let opened = opened(&life, 0);
    assert_eq!(opened.version, None, "a version that served well until then is not to be taken back");
    let numbers = &opened.numbers;
    assert!(numbers.statistic >= numbers.threshold && numbers.threshold == Some(0.15), "{numbers:?}");
    assert!(numbers.mean > Some(0.4) && numbers.baseline_mean < Some(0.11) && numbers.baseline_n == Some(100), "{numbers:?}");
    assert!(opened.summary.contains("v1"), "{}", opened.summary);
    assert!(opened.basis.causes.len() > 1, "the outcomes that show it: {:?}", opened.basis.causes);
}

#[test]
fn success_that_falls_a_little_is_p3_and_becomes_p2_when_it_falls_further() {
    let mut life = Life::new();
    serve(&mut life, "v1", 100, |session| session % 33 == 0);
    serve(&mut life, "v1", 500, |session| session % 6 == 0);
    assert_eq!(life.words(), ["opened P3 drift_outcome"]);
    serve(&mut life, "v1", 300, |session| session % 2 == 0);
    assert_eq!(life.words(), ["opened P3 drift_outcome", "aggravated P2 drop"]);
}

#[test]
fn a_log_of_before_this_rule_owes_no_word_about_what_is_over() {
    let mut life = Life::new();
    serve(&mut life, "v1", 100, |session| session % 33 == 0);
    serve(&mut life, "v1", 500, |session| session % 6 == 0);
    serve(&mut life, "v1", 300, |session| session % 2 == 0);
    serve(&mut life, "v1", 200, |session| session % 33 == 0);
    assert_eq!(life.words(), ["opened P3 drift_outcome", "aggravated P2 drop", "resolved recovered 0"]);
    let mut room = Incident::default();
    let is_new = |record: &&Record| matches!(record.body, Body::IncidentAggravated(_));
    life.log.iter().filter(|record| !is_new(record)).for_each(|record| room.apply(record));
    assert_eq!(room.owed(life.frontier()), []);
}

#[test]
fn how_far_is_far_is_a_policy() {
    let mut life = Life::new();
    life.adopt("p", r#"{"drop_share": 0.6}"#);
    serve(&mut life, "v1", 100, |session| session % 10 == 0);
    serve(&mut life, "v1", 200, |session| session % 2 == 0);
    assert_eq!(life.words(), ["opened P3 drift_outcome"]);
}

#[test]
fn a_drop_is_over_when_sessions_succeed_as_they_did() {
    let mut life = Life::new();
    serve(&mut life, "v1", 100, |session| session % 10 == 0);
    serve(&mut life, "v1", 60, |session| session % 2 == 0);
    serve(&mut life, "v1", 25, |session| session % 10 == 0);
    assert_eq!(life.words(), ["opened P2 drop"], "twenty-five sessions do not make good what a hundred showed");
    serve(&mut life, "v1", 100, |session| session % 10 == 0);
    assert_eq!(life.words(), ["opened P2 drop", "resolved recovered 0"]);
    serve(&mut life, "v1", 60, |session| session % 2 == 0);
    assert_eq!(life.words().last().map(String::as_str), Some("opened P2 drop"), "and the next one is told again");
}

#[test]
fn a_drop_is_over_when_its_version_serves_no_more() {
    let mut life = Life::new();
    serve(&mut life, "v1", 100, |session| session % 10 == 0);
    serve(&mut life, "v1", 60, |session| session % 2 == 0);
    serve(&mut life, "v2", 9, |_| false);
    assert_eq!(life.words().len(), 1, "nine sessions of another show no version away");
    serve(&mut life, "v2", 12, |_| false);
    assert_eq!(life.words(), ["opened P2 drop", "resolved recovered 0"]);
}

#[test]
fn a_drop_that_a_person_resolved_is_the_new_normal() {
    let mut life = Life::new();
    serve(&mut life, "v1", 100, |session| session % 10 == 0);
    serve(&mut life, "v1", 60, |session| session % 2 == 0);
    assert_eq!(state(&life, "outcome drift"), "firing");
    resolve(&mut life);
    serve(&mut life, "v1", 400, |session| session % 2 == 0);
    assert_eq!(life.words(), ["opened P2 drop", "resolved resolved_by_person 0"]);
}

#[test]
fn more_calls_for_a_human_are_no_drop_however_many() {
    let (mut drift, mut versions, policy) = (Drift::default(), Versions::default(), Policy::default());
    let chart = (versions.admit(&"v1".into(), Timestamp::MIN, &[]).0, Lane::of(None));
    let mut observe = |measure, measured| drift.observe(measure, chart, measured, &"s".into(), &policy).map(|grown| grown.is_drop);
    for (measure, is_drop) in [(Measure::Escalation, false), (Measure::Outcome, true)] {
        (0..100).for_each(|_| assert_eq!(observe(measure, 0), None));
        assert_eq!((0..60).find_map(|_| observe(measure, 1)), Some(is_drop), "{measure}");
    }
}

/// Sessions, one a minute, of which some fail.
fn serve(life: &mut Life, version: &str, sessions: usize, fails: impl Fn(usize) -> bool) {
    for session in 0..sessions {
        let id = format!("s-{}", life.frontier().asof);
        life.session(&id, version, None, !fails(session));
        life.wait_s(60);
    }
}

fn opened(life: &Life, place: usize) -> &IncidentOpened {
    let Body::IncidentOpened(opened) = &life.said[place].body else { panic!("opened") };
    opened
}
