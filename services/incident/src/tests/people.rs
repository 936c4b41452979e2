//! What a person says of a version or an incident, and what may be said again after it.

use machine::Machine;
use wire::cloudevents::{Door, parse_structured};
use wire::{IncidentNoted, NoteAction, QuarantineLifted, Role};

use super::life::{AGENT, Life};
use super::regression::{named, serve_from};
use super::stories::{incident_of, state};

#[test]
fn a_version_whose_quarantine_a_person_lifted_is_named_again_if_it_loses_again() {
    let mut life = fallen();
    lift(&mut life, "bad");
    serve_from(&mut life, "good", 9, 30, true);
    serve_from(&mut life, "bad", 9, 17, false);
    assert_eq!(named(&life).len(), 1, "eight losses are not enough, and those before were answered for");
    serve_from(&mut life, "bad", 17, 19, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0), ("bad", "good", 9, 0)]);
    assert_ne!(life.said[0].id, life.said.last().expect("said").id);
}

#[test]
fn lifting_what_never_lost_changes_nothing() {
    let mut life = Life::with_baseline("good");
    serve_from(&mut life, "good", 0, 12, true);
    serve_from(&mut life, "bad", 0, 8, false);
    lift(&mut life, "bad");
    serve_from(&mut life, "bad", 8, 10, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0)], "what it lost so far still counts");
}

#[test]
fn a_named_version_that_comes_back_after_its_incident_is_judged_by_what_it_does_then() {
    let mut life = fallen();
    for i in 0..30 {
        life.session(&format!("calm-{i}"), "good", Some(&format!("task-{}", i + 9)), true);
        life.wait_s(60);
    }
    assert_eq!(life.words(), ["opened P2 regression", "resolved recovered 0"]);
    serve_from(&mut life, "bad", 9, 20, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0), ("bad", "good", 9, 0)]);
    assert_eq!(life.words().last().map(String::as_str), Some("opened P2 regression"));
}

#[test]
fn a_person_who_declares_the_named_version_ends_its_regression() {
    let mut life = fallen();
    life.declare("bad");
    assert_eq!(state(&life, "incident"), "open, P2");
    for i in 20..50 {
        life.session(&format!("bad-{i}"), "bad", Some(&format!("task-{i}")), true);
        life.wait_s(60);
    }
    assert_eq!(life.words(), ["opened P2 regression", "resolved recovered 0"], "it serves on, and nothing is wrong any more");
}

#[test]
fn a_person_who_declared_the_wrong_version_may_declare_the_right_one_again() {
    let mut life = fallen();
    life.declare("bad");
    life.declare("good");
    serve_from(&mut life, "good", 9, 14, true);
    serve_from(&mut life, "bad", 9, 14, false);
    assert_eq!(named(&life).len(), 2, "{:?}", life.words());
}

#[test]
fn a_burn_that_a_person_resolved_and_that_goes_on_is_a_new_incident() {
    let mut life = Life::new();
    (0..40).for_each(|_| life.tool(Role::Agent, Some(true)));
    resolve(&mut life);
    (0..29).for_each(|_| life.tool(Role::Agent, Some(true)));
    assert_eq!(life.words().len(), 2, "what was before is dealt with");
    life.tool(Role::Agent, Some(true));
    assert_eq!(life.words(), ["opened P2 burn_tool", "resolved resolved_by_person 0", "opened P2 burn_tool"]);
}

#[test]
fn a_silence_after_what_a_person_resolved_is_an_incident_with_ids_of_its_own() {
    let mut life = Life::new();
    life.beat(30);
    life.harm(true);
    resolve(&mut life);
    life.wait_s(90);
    assert_eq!(life.words(), ["opened P1 harm", "resolved resolved_by_person 1", "opened P2 silence"]);
    assert_two_incidents(&life);
}

#[test]
fn a_silence_after_what_the_log_says_is_over_is_an_incident_with_ids_of_its_own() {
    let mut life = Life::new();
    life.beat(30);
    life.harm(true);
    let before = life.room.clone();
    let incident_id = incident_of(&life).as_str().into();
    life.append(None, IncidentNoted { incident_id, action: NoteAction::Resolve, author: "ann".to_owned(), text: None }, 0);
    let resolution = life.room.owed(life.frontier()).remove(0);
    // A room that does not owe the resolution takes it from the log.
    life.room = before;
    life.apply(resolution.to_event("incident"));
    life.said.push(resolution);
    life.wait_s(90);
    assert_eq!(life.words(), ["opened P1 harm", "resolved resolved_by_person 1", "opened P2 silence"]);
    assert_two_incidents(&life);
}

fn assert_two_incidents(life: &Life) {
    assert_ne!(life.said[0].id, life.said[2].id, "the log refuses another record of the same id");
    let [first, second] = [0, 2].map(|place| match &life.said[place].body {
        wire::Body::IncidentOpened(opened) => &opened.incident_id,
        other => panic!("opened, not {:?}", other.kind()),
    });
    assert_ne!(first, second);
}

#[test]
fn corrections_and_outcomes_of_nobodys_sessions_are_recorded() {
    let mut life = Life::new();
    life.session("s", "v1", None, true);
    life.outcome("s", false);
    life.outcome("nobody's", false);
    let counted = |matter: &str| life.room.standing(&AGENT.into(), life.now).into_iter().find(|line| line.matter == matter)?.n;
    assert_eq!(counted("corrections of outcomes"), Some(1));
    assert_eq!(counted("outcomes without a session"), Some(1));
}

#[test]
fn what_status_says_to_publish_is_taken_at_the_door() {
    let mut life = Life::new();
    life.adopt("p2", r#"{"objectives": {"success": 0.95, "slowness": 0.95}, "slow_ms": 900}"#);
    let missing = life.room.standing(&AGENT.into(), life.now).into_iter().filter_map(|line| line.missing);
    let lines: Vec<String> =
        missing.filter_map(|text| Some(text.split_once("echo '")?.1.split_once("' | reeve publish -")?.0.to_owned())).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines {
        let parsed = parse_structured(line.replace("TIME", "2026-03-02T09:00:00Z").as_bytes(), Door::Public);
        assert!(parsed.is_ok(), "{line}: {parsed:?}");
    }
}

/// A life in which `bad` was just named.
fn fallen() -> Life {
    let mut life = Life::with_baseline("good");
    serve_from(&mut life, "good", 0, 9, true);
    serve_from(&mut life, "bad", 0, 9, false);
    assert_eq!(named(&life), [("bad", "good", 9, 0)]);
    life
}

fn lift(life: &mut Life, version: &str) {
    life.fact(None, QuarantineLifted { version: version.into(), author: "ann".to_owned(), reason: "the network".to_owned() });
}

pub(crate) fn resolve(life: &mut Life) {
    let incident_id = incident_of(life).as_str().into();
    life.fact(None, IncidentNoted { incident_id, action: NoteAction::Resolve, author: "ann".to_owned(), text: None });
}
