//! What opens an incident, what joins it, and what ends it.

use machine::Machine;
use wire::{Body, Offset, Responsibility, Role, RollbackFailed, Timestamp};

use super::life::{AGENT, Life, harm, model};
use super::people::resolve;

#[test]
fn a_confirmed_harm_is_a_p1_at_once() {
    let mut life = Life::new();
    life.harm(true);
    assert_eq!(life.words(), ["opened P1 harm"]);
}

#[test]
fn an_unconfirmed_harm_is_provisional_until_one_is_confirmed() {
    let mut life = Life::new();
    life.harm(false);
    life.harm(true);
    assert_eq!(life.words(), ["opened P1 harm provisional", "aggravated P1 harm"]);
    let Body::IncidentAggravated(said) = &life.said[1].body else { panic!("aggravated") };
    assert!(!said.provisional && said.harms == 2);
}

#[test]
fn fifty_further_harms_join_the_incident_and_none_is_dropped() {
    let mut life = Life::new();
    life.harm(true);
    for _ in 0..50 {
        life.wait_s(11);
        life.harm(true);
    }
    let harms: Vec<i64> = life.said.iter().map(|said| harms_of(&said.body)).collect();
    assert_eq!(harms, [1, 2, 4, 8, 16, 32]);
    resolve(&mut life);
    assert_eq!(life.words().last().map(String::as_str), Some("resolved resolved_by_person 51"));
}

#[test]
fn one_bad_of_a_hundred_at_99_percent_fires_nothing() {
    let mut life = Life::new();
    life.adopt("p2", r#"{"objectives": {"tool": 0.99}}"#);
    (0..100).for_each(|i| life.tool(Role::Agent, Some(i == 50)));
    assert!(life.said.is_empty());
    assert_eq!(state(&life, "tool burn rate"), "watching");
}

#[test]
fn a_burning_budget_opens_a_p2_that_names_no_version() {
    let mut life = Life::new();
    for i in 0..40 {
        life.wait_s(5);
        life.tool(Role::Agent, Some(i % 10 != 0));
    }
    assert_eq!(life.words(), ["opened P2 burn_tool"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!(opened.version, None);
    assert_eq!((opened.numbers.n, opened.numbers.bad, opened.numbers.window_s), (Some(30), Some(27), Some(3_600)));
    assert_eq!((opened.numbers.threshold, opened.numbers.objective), (Some(14.4), Some(0.95)));
    assert_eq!(opened.basis.accountable, "operations");
    assert!(opened.basis.causes.len() > 5 && opened.basis.causes.len() <= 20);
}

#[test]
fn what_a_customer_does_or_nobody_tells_or_comes_late_counts_in_no_rate() {
    let mut life = Life::new();
    (0..50).for_each(|_| life.tool(Role::User, Some(true)));
    (0..50).for_each(|_| life.tool(Role::Agent, None));
    life.timed = false;
    (0..50).for_each(|_| life.tool(Role::Agent, Some(true)));
    life.timed = true;
    for _ in 0..50 {
        let mut late = life.append(None, model(None), 0).event;
        late.id = format!("late-{}", life.frontier().asof).into();
        late.time = Some(life.now.plus_s(-121));
        late.body = model(Some(true)).into();
        life.apply(late);
    }
    life.publish_owed();
    assert!(life.said.is_empty());
    assert_eq!(state(&life, "tool burn rate"), "no_data");
    assert_eq!(state(&life, "model burn rate"), "no_data");
}

#[test]
fn nothing_heard_is_no_data_and_says_how_to_send_it() {
    let life = Life::new();
    for matter in ["tool burn rate", "model burn rate", "heartbeat", "regression"] {
        assert_eq!(state(&life, matter), "no_data", "{matter}");
    }
    let missing: Vec<String> = life.room.standing(&AGENT.into(), life.now).into_iter().filter_map(|line| line.missing).collect();
    assert!(
        missing.iter().any(|missing| missing.contains("reeve publish"))
            && missing.iter().any(|missing| missing.contains("reeve baseline set"))
    );
}

#[test]
fn a_platform_that_stops_its_heartbeats_is_silent_until_three_come_in_a_row() {
    let mut life = Life::new();
    life.beat(30);
    life.wait_s(89);
    assert!(life.said.is_empty());
    life.wait_s(1);
    assert_eq!(life.words(), ["opened P2 silence"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!(opened.numbers.silent_s, Some(90));
    life.beat(30);
    life.beat(30);
    assert_eq!(state(&life, "heartbeat"), "firing");
    life.beat(30);
    assert_eq!(state(&life, "heartbeat"), "watching");
}

#[test]
fn an_incident_is_over_after_sustained_recovery_and_absence_is_none() {
    let mut life = Life::new();
    life.harm(true);
    life.wait_s(48 * 3_600);
    life.tool(Role::Agent, Some(false));
    assert_eq!(life.words().len(), 1, "nobody served: nothing recovered");
    for i in 0..60 {
        life.session(&format!("s{i}"), "v1", None, true);
        life.wait_s(60);
    }
    assert_eq!(life.words(), ["opened P1 harm", "resolved recovered 1"]);
    life.harm(true);
    assert_eq!(life.words().len(), 3, "a new harm is a new incident");
    assert_ne!(life.said[0].id, life.said[2].id);
}

#[test]
fn a_failed_rollback_is_a_p1_and_one_of_an_incident_that_is_over_is_none() {
    let mut life = Life::new();
    (0..40).for_each(|_| life.tool(Role::Agent, Some(true)));
    let incident = incident_of(&life);
    life.fact(None, failed(&incident));
    assert_eq!(life.words(), ["opened P2 burn_tool", "aggravated P1 rollback_failed"]);
    resolve(&mut life);
    life.fact(None, failed(&incident));
    assert_eq!(life.words().len(), 3);
}

#[test]
fn a_record_past_the_hop_cap_is_counted_and_opens_nothing() {
    let mut life = Life::new();
    life.append(None, harm(true), wire::limits::HOPS_MAX);
    life.publish_owed();
    assert!(life.said.is_empty());
    assert_eq!(state(&life, "harm"), "seen");
}

#[test]
fn a_policy_that_can_never_fire_is_refused_and_the_last_good_one_stays() {
    let mut life = Life::new();
    life.adopt("p2", r#"{"regression_e": 200}"#);
    life.adopt("p3", r#"{"objectives": {"success": 0.5}}"#);
    let lines = life.room.standing(&AGENT.into(), life.now);
    let policy = lines.iter().find(|line| line.matter.starts_with("policy")).expect("a line");
    assert_eq!(policy.state, "p2");
    assert!(policy.missing.as_ref().is_some_and(|missing| missing.contains("p3") && missing.contains("e-process")));
}

#[test]
fn the_person_who_answers_is_named_where_one_is_known() {
    let mut life = Life::new();
    let assigned = wire::AccountabilityAssigned {
        responsibility: Responsibility::AiMl,
        person: "ines".to_owned(),
        author: "ann".to_owned(),
        reason: "her agent".to_owned(),
    };
    life.fact(None, assigned);
    life.harm(true);
    assert_eq!(life.said[0].body.basis().map(|basis| basis.accountable.as_str()), Some("ai_ml: ines"));
}

#[test]
fn a_harm_that_crosses_the_opening_of_a_silence_aggravates_it_and_opens_no_second() {
    let mut life = Life::new();
    life.beat(30);
    let asked = life.frontier();
    let late = Timestamp(life.now.plus_s(90).0);
    let opening = life.room.owed(machine::Frontier { now: late, ..asked }).remove(0);
    life.wait_s(80);
    life.append(None, harm(true), 0);
    life.wait_silently_s(20);
    life.apply(opening.to_event("incident"));
    life.said.push(opening);
    life.publish_owed();
    assert_eq!(life.words(), ["opened P2 silence", "aggravated P1 harm"]);
    let ids: Vec<_> = life.said.iter().filter_map(|said| incident_id(&said.body)).collect();
    assert_eq!(ids[0], ids[1]);
}

pub(crate) fn failed(incident: &str) -> RollbackFailed {
    RollbackFailed {
        agent_id: AGENT.into(),
        incident_id: incident.into(),
        order_id: "order".to_owned(),
        from_version: None,
        to_version: "v0".into(),
        failure: "no_acknowledgement".to_owned(),
        summary: String::new(),
        basis: wire::Basis {
            asof: Offset(0),
            now: Timestamp(0),
            rule: "deadline".to_owned(),
            policy: "default".to_owned(),
            causes: Vec::new(),
            accountable: "operations".to_owned(),
        },
    }
}

pub(crate) fn incident_of(life: &Life) -> String {
    incident_id(&life.said[0].body).expect("an incident").to_owned()
}

fn incident_id(body: &Body) -> Option<&str> {
    match body {
        Body::IncidentOpened(said) => Some(said.incident_id.as_str()),
        Body::IncidentAggravated(said) => Some(said.incident_id.as_str()),
        _ => None,
    }
}

pub(crate) fn state(life: &Life, matter: &str) -> String {
    let lines = life.room.standing(&AGENT.into(), life.now);
    lines.into_iter().find(|line| line.matter == matter).expect("a line").state
}

fn harms_of(body: &Body) -> i64 {
    match body {
        Body::IncidentOpened(said) => said.harms,
        Body::IncidentAggravated(said) => said.harms,
        Body::IncidentResolved(said) => said.harms,
        _ => 0,
    }
}
