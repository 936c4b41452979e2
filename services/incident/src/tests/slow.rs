//! Slow trouble: what is P3, what ends it, and that it disturbs nothing graver.

use machine::Machine;
use wire::{Body, EscalationRaised, Level, ModelCalled, Record, Role, RoomWatermark, ToolCalled, ToolReturned};

use super::life::{AGENT, Life, harm, model};
use super::people::resolve;
use super::regression::serve_from;
use super::stories::{failed, state};

#[test]
fn a_p3_signal_is_an_incident_of_its_own() {
    // T3: a rival drops a P3 signal without an incident.
    let mut life = Life::new();
    call(&mut life, "s", 12);
    assert_eq!(life.words(), ["opened P3 loop"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!((opened.numbers.repeats, opened.numbers.threshold), (Some(12), Some(12.0)));
    assert_eq!(opened.session_id.as_ref().map(|session| session.as_str()), Some("s"));
    assert_eq!(opened.basis.causes.len(), 4, "the call and three before it: {:?}", opened.basis.causes);
}

#[test]
fn a_loop_is_told_once_however_long_it_goes_on_and_in_however_many_sessions() {
    let mut life = Life::new();
    (0..5).for_each(|session| call(&mut life, &format!("s{session}"), 96));
    assert_eq!(life.words(), ["opened P3 loop"]);
}

#[test]
fn what_a_customer_calls_or_nobody_tells_is_no_loop() {
    let mut life = Life::new();
    for _ in 0..50 {
        life.fact(Some("s"), ToolCalled { by: Role::User, ..lookup(Some("{}")) });
        life.fact(Some("s"), lookup(None));
        life.fact(None, lookup(Some("{}")));
    }
    assert!(life.said.is_empty(), "{:?}", life.words());
}

#[test]
fn a_loop_is_over_after_quiet_with_facts_and_sessions_and_not_for_lack_of_them() {
    let mut life = Life::new();
    call(&mut life, "s", 12);
    life.wait_s(48 * 3_600);
    life.fact(None, model(Some(false)));
    assert_eq!(life.words().len(), 1, "nobody served: nothing is over");
    serve(&mut life, 60, |_| (true, None));
    assert_eq!(life.words(), ["opened P3 loop", "resolved recovered 0"]);
}

#[test]
fn a_loop_that_a_person_resolved_and_that_goes_on_is_a_new_incident_after_as_many_calls_again() {
    let mut life = Life::new();
    call(&mut life, "s", 12);
    resolve(&mut life);
    call(&mut life, "s", 11);
    assert_eq!(life.words().len(), 2);
    call(&mut life, "s", 1);
    assert_eq!(life.words().last().map(String::as_str), Some("opened P3 loop"));
}

#[test]
fn a_p3_becomes_p2_and_p1_within_one_incident() {
    let mut life = Life::new();
    call(&mut life, "s", 12);
    (0..40).for_each(|_| life.tool(Role::Agent, Some(true)));
    life.harm(true);
    assert_eq!(life.words(), ["opened P3 loop", "aggravated P2 burn_tool", "aggravated P1 harm"]);
    let ids: std::collections::BTreeSet<_> = life.said.iter().filter_map(|said| incident_id(&said.body)).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_p3_that_joins_a_graver_incident_calls_nobody_and_makes_it_no_longer() {
    let (mut quiet, mut looping) = (Life::new(), Life::new());
    for life in [&mut quiet, &mut looping] {
        life.harm(true);
        serve(life, 36, |_| (true, None));
    }
    call(&mut looping, "s", 12);
    quiet.append(Some("s"), model(None), 0);
    for life in [&mut quiet, &mut looping] {
        serve(life, 20, |_| (true, None));
    }
    assert_eq!(quiet.words(), ["opened P1 harm", "resolved recovered 1"]);
    assert_eq!(looping.words(), ["opened P1 harm", "resolved recovered 1", "opened P3 loop"]);
    let [over, opened] = [1, 2].map(|place| looping.said[place].body.basis().expect("a decision"));
    let quiet = quiet.said[1].body.basis().expect("a decision");
    assert_eq!((over.now, opened.now), (quiet.now, quiet.now), "at the moment at which it would be over without the loop");
    let Body::IncidentOpened(left) = &looping.said[2].body else { panic!("opened") };
    assert_eq!((left.numbers.repeats, left.numbers.threshold), (Some(12), Some(12.0)), "as it was found");
    assert_eq!(left.basis.causes.len(), 5, "what ended, the call before it is told, and the calls: {:?}", left.basis.causes);
    assert_ne!(incident_id(&looping.said[0].body), incident_id(&looping.said[2].body));
    serve(&mut looping, 60, |_| (true, None));
    assert_eq!(looping.words().last().map(String::as_str), Some("resolved recovered 0"), "its harms were the other's");
}

#[test]
fn everything_that_is_left_is_told_in_one_incident_and_ends_with_the_last() {
    let mut life = Life::new();
    serve(&mut life, 100, |_| (true, Some(800.0)));
    life.harm(true);
    serve(&mut life, 30, |_| (true, Some(2_500.0)));
    call(&mut life, "s", 12);
    serve(&mut life, 20, |_| (true, Some(2_500.0)));
    assert_eq!(life.words(), ["opened P1 harm", "resolved recovered 1", "opened P3 drift_latency", "aggravated P3 loop"]);
    let Body::IncidentAggravated(told) = &life.said[3].body else { panic!("aggravated") };
    assert_eq!((told.from_level, told.numbers.repeats), (Level::P3, Some(12)));
    assert_eq!(incident_id(&life.said[2].body), incident_id(&life.said[3].body));
    serve(&mut life, 40, |_| (true, Some(2_500.0)));
    assert_eq!(state(&life, "incident"), "open, P3", "it drifts on");
    assert_eq!(life.words().len(), 4, "and is told once");
}

#[test]
fn what_is_grave_again_beside_a_p3_that_is_left_is_named_in_that_one() {
    let mut life = Life::with_baseline("good");
    serve_from(&mut life, "good", 0, 9, true);
    serve_from(&mut life, "bad", 0, 9, false);
    for i in 0..24 {
        if i % 5 == 0 {
            call(&mut life, "s", 12);
        }
        life.session(&format!("calm-{i}"), "good", Some(&format!("task-{}", i + 9)), true);
        life.wait_s(60);
    }
    assert_eq!(life.words(), ["opened P2 regression", "resolved recovered 0", "opened P3 loop"]);
    serve_from(&mut life, "worse", 0, 9, false);
    assert_eq!(life.words().last().map(String::as_str), Some("aggravated P2 regression"));
    let [first, left, last] = [0, 2, 3].map(|place| incident_id(&life.said[place].body));
    assert!(first != left && left == last, "a rollback is ordered once per incident");
}

#[test]
fn a_budget_that_burns_slowly_for_days_is_a_ticket() {
    let mut life = Life::new();
    // One call in ten fails: twice what may, and a page needs six times.
    for call in 0..600 {
        life.wait_s(300);
        life.tool(Role::Agent, Some(call % 10 == 0));
    }
    assert_eq!(life.words(), ["opened P3 ticket_tool"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!((opened.numbers.threshold, opened.numbers.window_s), (Some(1.0), Some(3 * 86_400)));
    assert!(opened.version.is_none());
    assert_eq!(state(&life, "tool burn rate over days"), "firing");
    for i in 0..900 {
        life.wait_s(300);
        life.tool(Role::Agent, Some(false));
        life.start(&format!("s{i}"), "v1", None);
    }
    assert_eq!(life.words(), ["opened P3 ticket_tool", "resolved recovered 0"]);
}

#[test]
fn a_ticket_is_over_when_the_agent_keeps_its_budget_again() {
    let mut life = Life::new();
    for call in 0..600 {
        life.wait_s(300);
        life.tool(Role::Agent, Some(call % 10 == 0));
    }
    // One call in twenty-five fails, where one in twenty may: four fifths of the budget.
    for i in 0..1_500 {
        life.wait_s(300);
        life.tool(Role::Agent, Some(i % 25 == 0));
        life.start(&format!("s{i}"), "v1", None);
    }
    assert_eq!(life.words(), ["opened P3 ticket_tool", "resolved recovered 0"]);
}

#[test]
fn what_is_allowed_and_how_long_was_looked_at_are_told_so_that_they_can_be_read() {
    let mut life = Life::new();
    life.adopt("p2", r#"{"objectives": {"tool": 0.9999}}"#);
    for call in 0..200 {
        life.wait_s(300);
        life.tool(Role::Agent, Some(call >= 170));
    }
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert!(opened.summary.ends_with("within 6 hours went wrong, where 0.01 % may."), "{}", opened.summary);
}

#[test]
fn a_sudden_outage_is_a_page_and_no_ticket_before_it() {
    let mut life = Life::new();
    for call in 0..80 {
        life.wait_s(10);
        life.tool(Role::Agent, Some(call >= 40));
    }
    assert_eq!(life.words(), ["opened P2 burn_tool"]);
}

#[test]
fn a_budget_that_is_kept_is_no_ticket_in_a_month() {
    let mut life = Life::new();
    let mut dice = super::drifting::Dice(7);
    for _ in 0..8_640 {
        life.wait_silently_s(300);
        let failed = dice.chance() < 0.04;
        life.tool(Role::Agent, Some(failed));
    }
    assert!(life.said.is_empty(), "{:?}", life.words());
}

#[test]
fn what_a_page_told_is_no_ticket_afterwards() {
    let mut life = Life::new();
    (0..40).for_each(|_| life.tool(Role::Agent, Some(true)));
    for i in 0..300 {
        life.wait_s(300);
        (0..4).for_each(|_| life.tool(Role::Agent, Some(false)));
        life.start(&format!("s{i}"), "v1", None);
    }
    assert_eq!(life.words(), ["opened P2 burn_tool", "resolved recovered 0"]);
}

#[test]
fn a_rare_failure_that_becomes_frequent_is_p3_and_over_when_a_block_of_calls_shows_it() {
    let mut life = Life::new();
    life.adopt("p2", r#"{"objectives": {"tool": null}}"#);
    life.start("s", "v1", None);
    (0..1_200).for_each(|call| timeout(&mut life, call == 700));
    (0..10).for_each(|_| timeout(&mut life, true));
    assert_eq!(life.words(), ["opened P3 signature"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert!(opened.summary.contains("lookup failed with the error timeout 10 times in 10 calls"), "{}", opened.summary);
    assert_eq!((opened.numbers.bad, opened.numbers.baseline_n), (Some(10), Some(1_000)), "all but the last whole block");
    assert_eq!(state(&life, "rare failures"), "firing");
    (0..390).for_each(|_| timeout(&mut life, false));
    serve(&mut life, 20, |_| (true, None));
    assert_eq!(life.words(), ["opened P3 signature", "resolved recovered 0"]);
}

#[test]
fn a_version_that_becomes_slower_than_it_was_is_named_once_and_is_over_when_it_is_itself_again() {
    let mut life = Life::new();
    serve(&mut life, 100, |session| (true, Some(800.0 + (session % 7) as f64 * 50.0)));
    assert_eq!(state(&life, "latency drift"), "watching");
    serve(&mut life, 40, |_| (true, Some(2_500.0)));
    assert_eq!(life.words(), ["opened P3 drift_latency"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!(opened.version.as_ref().map(|version| version.as_str()), Some("v1"));
    let numbers = &opened.numbers;
    assert!(numbers.mean > Some(2_300.0) && numbers.baseline_mean < Some(1_000.0) && numbers.baseline_n == Some(100), "{numbers:?}");
    assert!(numbers.statistic >= numbers.threshold);
    serve(&mut life, 100, |session| (true, Some(800.0 + (session % 7) as f64 * 50.0)));
    assert_eq!(life.words(), ["opened P3 drift_latency", "resolved recovered 0"]);
}

#[test]
fn nothing_drifts_before_a_version_has_a_baseline_and_what_is_not_told_is_no_zero() {
    let mut life = Life::new();
    serve(&mut life, 99, |session| (session < 50, Some(100.0 * (session + 1) as f64)));
    assert!(life.said.is_empty(), "{:?}", life.words());
    assert_eq!((state(&life, "latency drift"), state(&life, "tokens drift")), ("no_data".to_owned(), "no_data".to_owned()));
    let mut partly = Life::new();
    for session in 0..300 {
        let id = format!("s{session}");
        partly.start(&id, "v1", None);
        partly.fact(Some(&id), ModelCalled { version: None, tokens_in: Some(900), tokens_out: Some(100), ..model(None) });
        // From the second hundred on a part of the tokens is not told: nothing is known of the sum.
        if session >= 100 {
            partly.fact(Some(&id), ModelCalled { version: None, tokens_in: Some(90_000), ..model(None) });
        }
        partly.end(&id);
    }
    assert!(partly.said.is_empty(), "{:?}", partly.words());
    assert_eq!(state(&partly, "tokens drift"), "watching");
}

#[test]
fn sessions_that_use_more_tokens_drift_too() {
    let mut life = Life::new();
    for session in 0..160 {
        let id = format!("s{session}");
        life.start(&id, "v1", None);
        let tokens_in = if session < 100 { 900 + session } else { 4_000 };
        life.fact(Some(&id), ModelCalled { version: None, tokens_in: Some(tokens_in), tokens_out: Some(100), ..model(None) });
        life.end(&id);
    }
    assert_eq!(life.words(), ["opened P3 drift_tokens"]);
}

#[test]
fn a_drift_that_a_policy_no_longer_watches_is_over() {
    let mut life = Life::new();
    serve(&mut life, 100, |_| (true, Some(800.0)));
    serve(&mut life, 20, |_| (true, Some(2_500.0)));
    life.adopt("p2", r#"{"drifts": ["outcome"]}"#);
    serve(&mut life, 20, |_| (true, Some(2_500.0)));
    assert_eq!(life.words(), ["opened P3 drift_latency", "resolved recovered 0"]);
}

#[test]
fn a_loop_that_crosses_the_opening_of_a_silence_joins_it_without_a_word() {
    let mut life = Life::new();
    life.beat(30);
    let asked = life.frontier();
    let late = life.now.plus_s(90);
    let opening = life.room.owed(machine::Frontier { now: late, ..asked }).remove(0);
    life.wait_s(80);
    for _ in 0..12 {
        life.append(Some("s"), lookup(Some("{}")), 0);
    }
    life.wait_silently_s(20);
    life.apply(opening.to_event("incident"));
    life.said.push(opening);
    life.publish_owed();
    assert_eq!(life.words(), ["opened P2 silence"]);
    assert!(life.room.owed(life.frontier()).is_empty());
}

#[test]
fn a_drift_in_a_segment_that_is_served_no_more_is_over_after_two_hundred_sessions_elsewhere() {
    let mut life = Life::new();
    let serve_in = |life: &mut Life, segment: &str, latency_ms| {
        let id = format!("s-{}", life.frontier().asof);
        life.start(&id, "v1", Some(segment));
        life.fact(Some(&id), ModelCalled { version: None, latency_ms: Some(latency_ms), ..model(Some(false)) });
        life.outcome(&id, true);
        life.end(&id);
        life.wait_s(60);
    };
    (0..100).for_each(|_| serve_in(&mut life, "refunds", 800.0));
    (0..30).for_each(|_| serve_in(&mut life, "refunds", 2_500.0));
    (0..199).for_each(|_| serve_in(&mut life, "orders", 800.0));
    assert_eq!((life.words(), state(&life, "latency drift")), (vec!["opened P3 drift_latency".to_owned()], "firing".to_owned()));
    (0..20).for_each(|_| serve_in(&mut life, "orders", 800.0));
    assert_eq!(life.words(), ["opened P3 drift_latency", "resolved recovered 0"]);
}

#[test]
fn a_shorter_baseline_that_a_policy_asks_for_half_way_is_whole_with_the_next_session() {
    let mut life = Life::new();
    serve(&mut life, 60, |_| (true, Some(800.0)));
    life.adopt("p2", r#"{"drift_baseline": 30}"#);
    let lines = life.room.standing(&AGENT.into(), life.now);
    let missing = lines.into_iter().find(|line| line.matter == "latency drift").and_then(|line| line.missing);
    assert_eq!(missing.as_deref(), Some("1 more session of v1 in one segment"));
    serve(&mut life, 1, |_| (true, Some(800.0)));
    assert_eq!(state(&life, "latency drift"), "watching");
}

#[test]
fn a_measure_that_a_policy_drops_and_asks_for_again_begins_anew() {
    let mut life = Life::new();
    serve(&mut life, 100, |_| (true, Some(800.0)));
    assert_eq!(state(&life, "latency drift"), "watching");
    life.adopt("p2", r#"{"drifts": ["outcome"]}"#);
    life.adopt("p3", "{}");
    assert_eq!((state(&life, "latency drift"), state(&life, "outcome drift")), ("no_data".to_owned(), "watching".to_owned()));
}

#[test]
fn a_drift_that_a_person_resolved_is_the_new_normal() {
    let mut life = Life::new();
    serve(&mut life, 100, |_| (true, Some(800.0)));
    serve(&mut life, 40, |_| (true, Some(2_500.0)));
    resolve(&mut life);
    serve(&mut life, 200, |_| (true, Some(2_500.0)));
    assert_eq!(life.words(), ["opened P3 drift_latency", "resolved resolved_by_person 0"]);
    serve(&mut life, 40, |_| (true, Some(8_000.0)));
    assert_eq!(life.words().last().map(String::as_str), Some("opened P3 drift_latency"));
}

#[test]
fn escalations_grow_only_by_what_the_escalation_room_has_looked_at() {
    let mut life = Life::new();
    watermark(&mut life);
    sessions_with_escalations(&mut life, 0..100, |session| session % 20 == 0);
    watermark(&mut life);
    assert_eq!(state(&life, "escalation drift"), "watching");
    sessions_with_escalations(&mut life, 100..160, |session| session % 2 == 0);
    assert!(life.said.is_empty(), "its watermark has not passed them: {:?}", life.words());
    watermark(&mut life);
    assert_eq!(life.words(), ["opened P3 drift_escalation"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert!(opened.basis.causes.iter().any(|cause| cause.starts_with("raised-")), "{:?}", opened.basis.causes);
}

#[test]
fn a_session_that_waits_for_a_human_until_it_is_given_up_is_one_that_called_for_one() {
    let mut life = Life::new();
    watermark(&mut life);
    sessions_with_escalations(&mut life, 0..100, |session| session % 20 == 0);
    watermark(&mut life);
    for session in 100..160 {
        let id = format!("s{session}");
        life.start(&id, "v1", None);
        raise(&mut life, session);
        life.wait_silently_s(60);
    }
    life.publish_owed();
    assert_eq!(life.words(), ["opened P3 drift_escalation"]);
    assert_eq!(state(&life, "sessions given up"), "counted");
}

#[test]
fn a_session_that_is_given_up_without_a_word_is_no_session_without_a_human() {
    let mut life = Life::new();
    watermark(&mut life);
    for session in 0..40 {
        life.start(&format!("s{session}"), "v1", None);
        life.wait_silently_s(3_600);
    }
    watermark(&mut life);
    assert_eq!((state(&life, "sessions given up"), state(&life, "escalation drift")), ("counted".to_owned(), "no_data".to_owned()));
}

#[test]
fn an_escalation_room_that_was_never_heard_of_is_no_data_and_nobody_waits_for_it() {
    let mut life = Life::new();
    sessions_with_escalations(&mut life, 0..200, |_| false);
    assert_eq!(state(&life, "escalation drift"), "no_data");
    watermark(&mut life);
    assert_eq!(state(&life, "escalation drift"), "no_data");
}

#[test]
fn a_p3_finding_names_no_version_to_a_graver_incident() {
    let mut life = Life::new();
    life.fact(None, harm(true));
    serve(&mut life, 100, |_| (true, Some(800.0)));
    let before = life.words().len();
    life.fact(None, harm(true));
    serve(&mut life, 20, |_| (true, Some(2_500.0)));
    let said = &life.said[before..];
    assert!(said.iter().all(|said| !matches!(&said.body, Body::IncidentAggravated(told) if told.version.is_some())), "{:?}", life.words());
    assert_eq!(state(&life, "latency drift"), "firing");
}

fn call(life: &mut Life, session: &str, times: usize) {
    (0..times).for_each(|_| drop(life.fact(Some(session), lookup(Some(r#"{"id":"L1002"}"#)))));
}

fn lookup(arguments: Option<&str>) -> ToolCalled {
    let arguments = arguments.map(str::to_owned);
    ToolCalled { tool: "lookup".to_owned(), by: Role::Agent, call_id: None, arguments, turn: None, version: None }
}

fn timeout(life: &mut Life, failed: bool) {
    life.wait_silently_s(10);
    let returned = ToolReturned {
        tool: Some("lookup".to_owned()),
        by: Role::Agent,
        call_id: None,
        result: None,
        failed: Some(failed),
        error: failed.then(|| "timeout".to_owned()),
        latency_ms: None,
        turn: None,
        version: None,
    };
    life.fact(Some("s"), returned);
}

/// Sessions of `v1`, one a minute: whether each succeeds, and the time of its model call.
fn serve(life: &mut Life, sessions: usize, of: impl Fn(usize) -> (bool, Option<f64>)) {
    for session in 0..sessions {
        let id = format!("s-{}", life.frontier().asof);
        let (success, latency_ms) = of(session);
        life.start(&id, "v1", None);
        life.fact(Some(&id), ModelCalled { version: None, latency_ms, ..model(Some(false)) });
        life.outcome(&id, success);
        life.end(&id);
        life.wait_s(60);
    }
}

fn sessions_with_escalations(life: &mut Life, sessions: std::ops::Range<usize>, raises: impl Fn(usize) -> bool) {
    for session in sessions {
        let id = format!("s{session}");
        life.start(&id, "v1", None);
        if raises(session) {
            raise(life, session);
        }
        life.end(&id);
        life.wait_s(10);
    }
}

/// The escalation room calls a human to a session.
fn raise(life: &mut Life, session: usize) {
    let told = serde_json::json!({
        "agent_id": AGENT, "escalation_id": format!("escalation-{session}"), "session_id": format!("s{session}"), "priority": 2,
        "trigger": "sentiment", "route": "default", "due_at": life.now.plus_s(600), "summary": "it needs a human",
        "basis": failed("none").basis,
    });
    let body: EscalationRaised = serde_json::from_value(told).expect("every field that must be told");
    decide(life, &format!("raised-{session}"), body);
}

/// The escalation room says that it has folded everything so far.
fn watermark(life: &mut Life) {
    let basis = wire::Basis { asof: life.frontier().asof, now: life.now, ..failed("none").basis };
    let id = format!("watermark-{}", life.frontier().asof);
    decide(life, &id, RoomWatermark { room: "escalation".to_owned(), partition: 0, basis });
    life.publish_owed();
}

/// A decision of the escalation room.
fn decide(life: &mut Life, id: &str, body: impl Into<Body>) -> Record {
    let mut event = life.append(None, model(None), 0).event;
    event.id = id.into();
    event.source = "/reeve/escalation".into();
    event.hops = 1;
    event.body = body.into();
    life.apply(event)
}

fn incident_id(body: &Body) -> Option<&str> {
    match body {
        Body::IncidentOpened(said) => Some(said.incident_id.as_str()),
        Body::IncidentAggravated(said) => Some(said.incident_id.as_str()),
        _ => None,
    }
}

#[test]
fn levels_are_ordered_from_the_gravest() {
    assert!(Level::P1 < Level::P2 && Level::P2 < Level::P3);
}
