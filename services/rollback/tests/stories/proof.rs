//! How a version becomes a target by itself, and what is no evidence for it.

use crate::story::{AGENT, Story, s};
use kit::facts;
use wire::{Automation, Body, Kind, Level};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// `n` sessions of `version` with an outcome each, one a second.
fn sessions(story: &mut Story, from_s: i64, version: &str, n: i64) {
    for number in 0..n {
        let id = format!("{version}-{from_s}-{number}");
        story.session(from_s + number, &id, version);
        story.outcome(from_s + number, &id);
    }
}

fn proven(story: &Story) -> Vec<String> {
    let version = |record: &wire::Record| match &record.body {
        Body::VersionProven(body) => Some(body.version.to_string()),
        _ => None,
    };
    story.log.iter().filter_map(version).collect()
}

#[test]
fn outcomes_and_a_day_without_trouble_prove_a_version_at_the_incident_rooms_watermark() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 200);
    story.watermark(DAY_S - 1, DAY_S - 1);
    assert!(proven(&story).is_empty(), "not yet a day");
    story.watermark(DAY_S, DAY_S);
    assert_eq!(proven(&story), ["v1"]);
    let Body::VersionProven(body) = &story.said(Kind::VersionProven)[0].body else { panic!("proven") };
    assert_eq!((body.outcomes, body.served_s), (200, DAY_S));
    story.watermark(2 * DAY_S, 2 * DAY_S);
    assert_eq!(proven(&story), ["v1"], "once");
    assert_eq!(story.standing(2 * DAY_S, "rollback target").state, "none", "it serves itself");
}

#[test]
fn a_proven_version_is_gone_back_to() {
    let mut story = Story::new();
    story.person(0, facts::automation(Automation::Enforce));
    sessions(&mut story, 0, "v1", 200);
    story.watermark(DAY_S, DAY_S);
    story.sees(DAY_S + 10, "v2");
    story.opened(DAY_S + 20, Level::P1, None);
    let Body::RollbackOrdered(order) = &story.said(Kind::RollbackOrdered)[0].body else { panic!("an order") };
    assert_eq!((order.from_version.as_ref().map(|from| from.as_str()), order.to_version.as_str()), (Some("v2"), "v1"));
}

#[test]
fn a_silent_incident_room_proves_nothing() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 200);
    story.watermark(HOUR_S, HOUR_S);
    // The incident room is down: facts go on, its watermark does not.
    for hour in 2..100 {
        story.sees(hour * HOUR_S, "v1");
    }
    assert!(proven(&story).is_empty());
    let line = story.standing(100 * HOUR_S, "proof of v1");
    assert!(line.missing.expect("what is missing").contains("watermark"));
}

#[test]
fn a_watermark_that_comes_late_answers_only_for_its_own_time() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 200);
    story.watermark(3 * DAY_S, DAY_S - 1);
    assert!(proven(&story).is_empty());
}

#[test]
fn other_rooms_watermarks_are_no_evidence() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 200);
    story.pass(10 * DAY_S);
    story.sees(10 * DAY_S, "v1");
    story.pass(11 * DAY_S);
    assert!(story.said(Kind::RoomWatermark).len() > 1, "this room's own");
    assert!(proven(&story).is_empty());
}

#[test]
fn too_few_outcomes_prove_nothing_and_a_correction_is_no_outcome() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 199);
    story.outcome(199, "v1-0-7");
    story.outcome(200, "of-a-session-that-nobody-saw");
    story.watermark(2 * DAY_S, 2 * DAY_S);
    assert!(proven(&story).is_empty());
    let line = story.standing(2 * DAY_S, "proof of v1");
    assert_eq!((line.n, line.needed), (Some(199), Some(200)));
    assert!(line.missing.expect("what is missing").contains("outcome.reported"));
    sessions(&mut story, 2 * DAY_S, "v1", 1);
    assert!(proven(&story).is_empty(), "the incident room has not seen it");
    story.watermark(2 * DAY_S + 10, 2 * DAY_S + 10);
    assert_eq!(proven(&story), ["v1"]);
}

#[test]
fn an_outcome_that_the_incident_room_has_not_folded_waits_for_its_next_watermark() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 199);
    let watermark_before = story.log.last().expect("a record").offset;
    sessions(&mut story, DAY_S + 1, "v1", 1);
    let mut event = story.incident_event(
        DAY_S + 2,
        wire::RoomWatermark {
            room: "incident".to_owned(),
            partition: 0,
            basis: wire::Basis {
                asof: watermark_before,
                now: s(DAY_S + 2),
                rule: "watermark".to_owned(),
                policy: "none".to_owned(),
                causes: Vec::new(),
                accountable: "operations".to_owned(),
            },
        },
    );
    event.key = "incident".into();
    story.append(s(DAY_S + 2), event);
    assert!(story.owed(DAY_S + 2).is_empty());
}

#[test]
fn trouble_begins_the_proof_anew() {
    for level in [Level::P1, Level::P2] {
        let mut story = Story::new();
        sessions(&mut story, 0, "v1", 200);
        story.opened(23 * HOUR_S, level, None);
        sessions(&mut story, 23 * HOUR_S + 1, "v1", 5);
        story.resolved(23 * HOUR_S + 100);
        sessions(&mut story, DAY_S, "v1", 200);
        story.watermark(2 * DAY_S - 1, 2 * DAY_S - 1);
        assert!(proven(&story).is_empty());
        story.watermark(2 * DAY_S, 2 * DAY_S);
        assert_eq!(proven(&story), ["v1"], "a day after {level}");
    }
}

#[test]
fn an_open_incident_that_is_no_p1_or_p2_disproves_nothing() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 200);
    story.opened(HOUR_S, Level::P3, None);
    story.watermark(DAY_S, DAY_S);
    assert_eq!(proven(&story), ["v1"]);
}

#[test]
fn no_incident_unproves_a_declared_baseline() {
    let mut story = Story::enforced();
    for number in 0..3 {
        let at = 100 + 10_000 * number;
        story.opened_as(at, &format!("incident-{number}"), Level::P1, Some("v1"));
        let Some(Body::RollbackOrdered(order)) = story.said(Kind::RollbackOrdered).last().map(|record| &record.body) else {
            panic!("an order")
        };
        assert_eq!(order.to_version.as_str(), "v1");
    }
}

#[test]
fn a_proven_version_that_is_taken_back_is_a_target_no_more() {
    let mut story = Story::new();
    story.person(0, facts::automation(Automation::Enforce));
    sessions(&mut story, 0, "v1", 200);
    story.watermark(DAY_S, DAY_S);
    sessions(&mut story, DAY_S, "v2", 200);
    story.watermark(2 * DAY_S, 2 * DAY_S);
    assert_eq!(proven(&story), ["v1", "v2"]);
    story.opened(2 * DAY_S + 10, Level::P2, Some("v2"));
    let Body::RollbackOrdered(order) = &story.said(Kind::RollbackOrdered)[0].body else { panic!("an order") };
    assert_eq!(order.to_version.as_str(), "v1");
    story.sees(2 * DAY_S + 11, "v3");
    assert_eq!(story.standing(2 * DAY_S + 12, "rollback target").state, "v1");
}

#[test]
fn a_proven_version_does_not_hand_an_agent_over() {
    let mut story = Story::new();
    sessions(&mut story, 0, "v1", 200);
    story.watermark(DAY_S, DAY_S);
    story.opened(DAY_S + 10, Level::P1, Some("v2"));
    assert_eq!(story.decisions(), [Kind::VersionProven, Kind::RollbackProposed]);
    assert!(story.modes().is_empty());
    assert_eq!(machine::Machine::agents(story.fold.machine()), [AGENT.into()], "a watermark is no agent");
}
