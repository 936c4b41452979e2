//! Versions that lose: what is compared, in which order, and what is never named.

use machine::Machine;
use wire::Body;

use super::life::{Life, outcome};

#[test]
fn the_version_that_loses_is_named_at_the_ninth_loss() {
    let mut life = Life::with_baseline("good");
    serve(&mut life, "good", 12, true);
    serve(&mut life, "bad", 12, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
    assert_eq!(life.words(), ["opened P2 regression"]);
}

#[test]
fn it_is_so_in_whatever_order_the_versions_serve_and_the_baseline_is_declared() {
    let mut candidate_first = Life::with_baseline("good");
    serve(&mut candidate_first, "bad", 12, false);
    serve(&mut candidate_first, "good", 12, true);
    assert_eq!(named(&candidate_first), [("bad", "good", 9, 0)]);

    let mut declared_between = Life::new();
    serve(&mut declared_between, "bad", 12, false);
    declared_between.declare("good");
    serve(&mut declared_between, "good", 12, true);
    assert_eq!(named(&declared_between), [("bad", "good", 9, 0)]);

    let mut declared_last = Life::new();
    serve(&mut declared_last, "bad", 12, false);
    serve(&mut declared_last, "good", 12, true);
    declared_last.declare("good");
    assert_eq!(named(&declared_last), [("bad", "good", 12, 0)]);
}

#[test]
fn nothing_is_pooled_across_segments() {
    let mut life = Life::with_baseline("good");
    for i in 0..40 {
        life.session(&format!("a{i}"), "good", Some("easy"), true);
        life.session(&format!("b{i}"), "other", Some("hard"), false);
    }
    assert!(life.said.is_empty());
}

#[test]
fn a_baseline_is_never_named_and_a_better_version_neither() {
    let mut life = Life::with_baseline("base");
    serve(&mut life, "base", 30, false);
    serve(&mut life, "better", 30, true);
    assert!(life.said.is_empty());
}

#[test]
fn an_outcome_waits_until_every_earlier_session_of_its_version_is_settled() {
    let mut life = Life::with_baseline("good");
    serve(&mut life, "good", 12, true);
    life.start("slow", "bad", Some("task-11"));
    serve(&mut life, "bad", 11, false);
    assert!(life.said.is_empty(), "the first session of the version is still under way");
    life.outcome("slow", true);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
}

#[test]
fn a_session_that_never_ends_is_given_up_and_time_alone_names_the_version() {
    let mut life = Life::with_baseline("good");
    serve(&mut life, "good", 12, true);
    life.start("stuck", "bad", Some("task-11"));
    serve(&mut life, "bad", 11, false);
    life.wait_s(30 * 60);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
    assert_eq!(life.room.owed(life.frontier()), []);
}

#[test]
fn an_outcome_that_comes_after_its_session_was_given_up_counts_for_nothing() {
    let mut life = Life::with_baseline("good");
    serve(&mut life, "good", 12, true);
    serve(&mut life, "bad", 8, false);
    life.start("late", "bad", Some("task-8"));
    life.end("late");
    life.wait_s(6 * 60);
    life.outcome("late", false);
    life.outcome("late", false);
    assert!(life.said.is_empty());
    serve_from(&mut life, "bad", 9, 10, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0)], "an absent outcome uses its place up");
}

#[test]
fn the_first_outcome_of_a_session_counts_and_corrections_do_not() {
    let mut life = Life::with_baseline("good");
    serve(&mut life, "good", 12, true);
    for i in 0..12 {
        let session = format!("bad-{i}");
        life.start(&session, "bad", Some(&format!("task-{i}")));
        life.fact(Some(&session), outcome(None));
        life.outcome(&session, true);
        life.outcome(&session, false);
    }
    assert!(life.said.is_empty());
}

#[test]
fn facts_without_a_time_are_evidence_all_the_same() {
    let mut life = Life::with_baseline("good");
    life.timed = false;
    serve(&mut life, "good", 12, true);
    serve(&mut life, "bad", 12, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
}

#[test]
fn a_regression_found_in_an_open_incident_aggravates_it_and_names_the_version() {
    let mut life = Life::with_baseline("good");
    serve(&mut life, "good", 12, true);
    life.harm(true);
    serve(&mut life, "bad", 12, false);
    assert_eq!(life.words(), ["opened P1 harm", "aggravated P1 regression"]);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
}

#[test]
fn the_policy_may_compare_sessions_by_more_than_success() {
    let mut life = Life::with_baseline("good");
    life.adopt("p2", r#"{"criteria": ["not_escalated"]}"#);
    for i in 0..10 {
        for (version, role) in [("good", wire::Role::Agent), ("bad", wire::Role::Human)] {
            let session = format!("{version}-{i}");
            life.start(&session, version, None);
            life.fact(Some(&session), wire::OutcomeReported { handled_by: Some(role), ..outcome(Some(true)) });
            life.end(&session);
        }
    }
    assert_eq!(life.words(), ["opened P2 regression_not_escalated"]);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
}

fn serve(life: &mut Life, version: &str, sessions: usize, success: bool) {
    serve_from(life, version, 0, sessions, success);
}

fn serve_from(life: &mut Life, version: &str, from: usize, to: usize, success: bool) {
    for i in from..to {
        life.session(&format!("{version}-{i}"), version, Some(&format!("task-{i}")), success);
    }
}

/// Version, against which, lost and won, of every decision that names one by a regression.
fn named(life: &Life) -> Vec<(&str, &str, i64, i64)> {
    let of = |body| match body {
        &Body::IncidentOpened(ref said) => Some((&said.version, &said.against, &said.numbers)),
        &Body::IncidentAggravated(ref said) => Some((&said.version, &said.against, &said.numbers)),
        _ => None,
    };
    let named = life.said.iter().filter_map(|said| of(&said.body));
    named
        .filter_map(|(version, against, numbers)| {
            Some((version.as_ref()?.as_str(), against.as_ref()?.as_str(), numbers.lost?, numbers.won?))
        })
        .collect()
}
