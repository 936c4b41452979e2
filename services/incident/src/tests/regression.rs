//! Versions that lose: what is compared, in which order, and what is never named.

use machine::Machine;
use wire::{Body, ModelCalled, VersionProven};

use super::life::{AGENT, Life, model, outcome};
use super::stories::failed;

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

#[test]
fn sessions_free_of_errors_are_a_criterion_of_their_own_with_the_failed_calls_as_evidence() {
    let mut life = Life::with_baseline("good");
    life.adopt("p2", r#"{"criteria": ["error_free"]}"#);
    let mut failed_calls = Vec::new();
    for i in 0..10 {
        for version in ["good", "bad"] {
            let session = format!("{version}-{i}");
            life.start(&session, version, None);
            let called = life.fact(Some(&session), ModelCalled { version: None, ..model(Some(version == "bad")) });
            failed_calls.extend((version == "bad").then(|| called.id.to_string()));
            life.outcome(&session, true);
            life.end(&session);
        }
    }
    assert_eq!(life.words(), ["opened P2 regression_error_free"]);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
    let causes = &life.said[0].body.basis().expect("a decision").causes;
    assert!(failed_calls[..9].iter().all(|call| causes.contains(call)), "{causes:?}");
}

#[test]
fn sessions_that_end_in_time_are_a_criterion_of_their_own() {
    let mut life = Life::with_baseline("good");
    life.adopt("p2", r#"{"criteria": ["in_time"], "in_time_s": 30}"#);
    for i in 0..10 {
        for (version, length_s) in [("good", 30), ("bad", 31)] {
            let session = format!("{version}-{i}");
            life.start(&session, version, None);
            life.wait_s(length_s);
            life.outcome(&session, true);
            life.end(&session);
        }
    }
    assert_eq!(life.words(), ["opened P2 regression_in_time"]);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
}

#[test]
fn sessions_without_a_time_are_neither_in_time_nor_late() {
    let mut life = Life::with_baseline("good");
    life.adopt("p2", r#"{"criteria": ["in_time"], "in_time_s": 30}"#);
    life.timed = false;
    for i in 0..20 {
        life.session(&format!("good-{i}"), "good", None, true);
        life.start(&format!("bad-{i}"), "bad", None);
        life.wait_s(100);
        life.outcome(&format!("bad-{i}"), true);
        life.end(&format!("bad-{i}"));
    }
    assert!(life.said.is_empty());
}

#[test]
fn the_last_proven_version_is_compared_with_and_the_declared_baseline_goes_on() {
    let mut life = Life::with_baseline("base");
    serve(&mut life, "base", 12, false);
    serve(&mut life, "proven", 12, true);
    life.fact(None, proven("proven"));
    serve(&mut life, "bad", 12, false);
    assert_eq!(named(&life), [("bad", "proven", 9, 0)], "worse than the proven one, and no worse than the baseline");
}

#[test]
fn a_proven_version_may_be_named_against_the_baseline() {
    let mut life = Life::with_baseline("base");
    serve(&mut life, "base", 12, true);
    serve(&mut life, "proven", 5, false);
    life.fact(None, proven("proven"));
    serve_from(&mut life, "proven", 5, 12, false);
    assert_eq!(named(&life), [("proven", "base", 9, 0)]);
}

#[test]
fn a_declared_baseline_that_proved_itself_is_never_named() {
    let mut life = Life::with_baseline("base");
    life.fact(None, proven("other"));
    serve(&mut life, "other", 20, true);
    serve(&mut life, "base", 20, false);
    assert!(life.said.is_empty());
}

pub(crate) fn proven(version: &str) -> VersionProven {
    VersionProven {
        agent_id: AGENT.into(),
        version: version.into(),
        outcomes: 200,
        served_s: 90_000,
        summary: String::new(),
        basis: failed("none").basis,
    }
}

fn serve(life: &mut Life, version: &str, sessions: usize, success: bool) {
    serve_from(life, version, 0, sessions, success);
}

pub(crate) fn serve_from(life: &mut Life, version: &str, from: usize, to: usize, success: bool) {
    for i in from..to {
        life.session(&format!("{version}-{i}"), version, Some(&format!("task-{i}")), success);
    }
}

/// Version, against which, lost and won, of every decision that names one by a regression.
pub(crate) fn named(life: &Life) -> Vec<(&str, &str, i64, i64)> {
    fn comparison(body: &Body) -> Option<(&str, &str, i64, i64)> {
        let (version, against, numbers) = match body {
            Body::IncidentOpened(said) => (&said.version, &said.against, &said.numbers),
            Body::IncidentAggravated(said) => (&said.version, &said.against, &said.numbers),
            _ => return None,
        };
        Some((version.as_ref()?.as_str(), against.as_ref()?.as_str(), numbers.lost?, numbers.won?))
    }
    life.said.iter().filter_map(|said| comparison(&said.body)).collect()
}
