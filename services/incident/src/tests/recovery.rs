//! How an incident eases and ends, and what is no recovery.

use machine::Machine;
use wire::{Body, HarmReported, Role, RollbackVerified, SessionStarted, ToolReturned};

use super::life::{AGENT, Life, harm, model};
use super::regression::{named, serve_from};
use super::stories::{failed, incident_of, state};

#[test]
fn an_incident_eases_to_the_worst_that_still_holds() {
    let mut life = Life::new();
    life.harm(true);
    burn(&mut life);
    assert_eq!(life.words(), ["opened P1 harm", "aggravated P1 burn_tool"]);
    while life.words().len() < 3 {
        life.wait_s(60);
        life.start(&format!("s-{}", life.now.0), "v1", None);
        (0..8).for_each(|_| life.tool(Role::Agent, Some(true)));
    }
    assert_eq!(life.words()[2..], ["eased P2"]);
    life.harm(true);
    assert_eq!(life.words()[3..], ["aggravated P1 harm"], "a level that rises again is told again");
}

#[test]
fn a_budget_that_no_longer_burns_ends_its_incident() {
    let mut life = Life::new();
    burn(&mut life);
    serve_well(&mut life, 90);
    assert_eq!(state(&life, "tool burn rate"), "watching");
    assert_eq!(life.words(), ["opened P2 burn_tool", "resolved recovered 0"]);
}

#[test]
fn between_half_the_threshold_and_the_whole_a_burn_neither_begins_nor_ends() {
    let mut life = Life::new();
    burn(&mut life);
    // Half of the calls fail: a burn rate of 10, where 14.4 begins it and 7.2 ends it.
    for i in 0..120 {
        life.wait_s(30);
        (0..4).for_each(|call| life.tool(Role::Agent, Some(call % 2 == 0)));
        life.start(&format!("s{i}"), "v1", None);
    }
    assert_eq!(state(&life, "tool burn rate"), "firing");
    assert_eq!(life.words(), ["opened P2 burn_tool"]);
}

#[test]
fn an_agent_too_quiet_for_the_short_window_recovers_by_the_long_one() {
    let mut life = Life::new();
    burn(&mut life);
    for i in 0..400 {
        life.wait_s(90);
        life.start(&format!("s{i}"), "v1", None);
        life.tool(Role::Agent, Some(false));
    }
    assert_eq!(life.words(), ["opened P2 burn_tool", "resolved recovered 0"]);
}

#[test]
fn facts_of_no_version_burn_on_whichever_version_serves() {
    let mut life = Life::new();
    (0..40).for_each(|_| unversioned(&mut life, true));
    for i in 0..60 {
        life.wait_s(60);
        life.start(&format!("s{i}"), "v1", None);
        unversioned(&mut life, true);
        assert_eq!(state(&life, "tool burn rate"), "firing");
    }
    assert_eq!(life.words(), ["opened P2 burn_tool"]);
}

#[test]
fn a_burn_that_a_policy_no_longer_watches_is_over() {
    let mut life = Life::new();
    burn(&mut life);
    life.adopt("p2", r#"{"objectives": {"tool": null}}"#);
    serve_well(&mut life, 30);
    assert_eq!(life.words(), ["opened P2 burn_tool", "resolved recovered 0"]);
}

#[test]
fn sessions_that_tell_no_version_show_no_version_away() {
    let mut life = fallen();
    for i in 0..40 {
        life.wait_s(60);
        let started = SessionStarted { version: None, segment: None, channel: None, environment: None };
        life.fact(Some(&format!("unknown-{i}")), started);
    }
    assert_eq!(life.words(), ["opened P2 regression"]);
}

#[test]
fn a_regression_is_over_ten_sessions_after_its_rollback_was_verified_stragglers_or_not() {
    let mut life = fallen();
    let verified = verified(&incident_of(&life), "bad");
    life.fact(None, verified);
    for i in 0..24 {
        life.wait_s(60);
        life.start(&format!("s{i}"), if i % 2 == 0 { "good" } else { "bad" }, None);
    }
    assert_eq!(life.words(), ["opened P2 regression", "resolved recovered 0"]);
}

#[test]
fn a_harm_in_spite_of_a_verified_rollback_is_told_whatever_its_number() {
    let mut life = Life::new();
    (0..2).for_each(|_| life.harm(true));
    let verified = verified(&incident_of(&life), "v1");
    life.fact(None, verified);
    (0..3).for_each(|_| life.harm(true));
    let harms: Vec<i64> = life.said.iter().filter_map(|said| harms_told(&said.body)).collect();
    assert_eq!(harms, [2, 3, 4], "the third harm is the first after the rollback");
}

#[test]
fn a_harm_reported_after_its_session_ended_names_the_version_that_did_it() {
    let mut life = Life::new();
    life.session("s1", "v1", None, true);
    life.session("s2", "v2", None, true);
    life.fact(Some("s1"), harm(true));
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!(opened.version.as_ref().map(|version| version.as_str()), Some("v1"));
    life.fact(Some("s1"), HarmReported { version: Some("v3".into()), ..harm(true) });
    let Body::IncidentAggravated(said) = &life.said[1].body else { panic!("aggravated") };
    assert_eq!(said.version.as_ref().map(|version| version.as_str()), Some("v3"), "its own word comes first");
}

#[test]
fn a_silence_rests_on_the_last_heartbeat() {
    let mut life = Life::new();
    life.beat(30);
    let beat = life.frontier().asof;
    life.wait_s(10);
    life.tool(Role::Agent, Some(false));
    life.wait_s(90);
    let causes = &life.said[0].body.basis().expect("a decision").causes;
    assert!(causes.contains(&format!("fact-{beat}")), "{causes:?}");
}

#[test]
fn a_version_taken_back_vouches_for_nobody() {
    let mut life = Life::new();
    burn(&mut life);
    let incident = incident_of(&life);
    life.fact(None, super::regression::proven("old"));
    life.fact(None, wire::RollbackFailed { from_version: Some("old".into()), ..failed(&incident) });
    serve_from(&mut life, "old", 0, 12, true);
    serve_from(&mut life, "bad", 0, 12, false);
    assert!(named(&life).is_empty(), "{:?}", life.words());
    let missing =
        life.room.standing(&AGENT.into(), life.now).into_iter().find(|line| line.matter == "regression").and_then(|line| line.missing);
    assert!(missing.is_some_and(|missing| missing.contains("reeve baseline set")));
}

/// Forty failed tool calls.
fn burn(life: &mut Life) {
    (0..40).for_each(|_| life.tool(Role::Agent, Some(true)));
    assert!(life.words().last().is_some_and(|word| word.ends_with("burn_tool")));
}

fn serve_well(life: &mut Life, sessions: usize) {
    for i in 0..sessions {
        life.session(&format!("well-{i}"), "v1", None, true);
        (0..4).for_each(|_| life.tool(Role::Agent, Some(false)));
        life.fact(None, model(Some(false)));
        life.wait_s(50);
    }
}

fn unversioned(life: &mut Life, failed: bool) {
    let returned = ToolReturned {
        tool: None,
        by: Role::Agent,
        call_id: None,
        result: None,
        failed: Some(failed),
        error: None,
        latency_ms: None,
        turn: None,
        version: None,
    };
    life.fact(None, returned);
}

fn fallen() -> Life {
    let mut life = Life::with_baseline("good");
    serve_from(&mut life, "good", 0, 9, true);
    serve_from(&mut life, "bad", 0, 9, false);
    assert_eq!(named(&life).len(), 1);
    life
}

fn verified(incident: &str, from: &str) -> RollbackVerified {
    let failed = failed(incident);
    RollbackVerified {
        agent_id: failed.agent_id,
        incident_id: failed.incident_id,
        order_id: failed.order_id,
        from_version: Some(from.into()),
        to_version: failed.to_version,
        sightings: 3,
        effect_s: None,
        summary: String::new(),
        basis: failed.basis,
    }
}

fn harms_told(body: &Body) -> Option<i64> {
    match body {
        Body::IncidentAggravated(said) => Some(said.harms),
        _ => None,
    }
}
