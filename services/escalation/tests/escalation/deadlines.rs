//! Nobody comes in time, and what that does and does not mean.

use kit::facts;
use wire::Body;

use crate::desk::Desk;

#[test]
fn nobody_comes_in_time_and_that_is_said_once() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    let raised = desk.last();
    assert_eq!(raised.due_at, raised.basis.now.plus_s(600));
    assert_eq!(raised.sla_s, Some(600));
    desk.pass(600);
    assert!(desk.overdue().is_empty(), "at the deadline itself it is not too late");
    desk.pass(1);
    desk.pass(3_600);
    desk.feels(-0.6);
    let overdue = desk.overdue();
    assert_eq!((overdue.len(), overdue[0].due_at), (1, raised.due_at));
}

#[test]
fn who_is_claimed_in_time_is_never_overdue() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.pass(599);
    desk.claims_last();
    desk.pass(3_600);
    assert!(desk.overdue().is_empty());
}

#[test]
fn an_urgent_reason_makes_a_deadline_sooner_and_a_lesser_one_changes_nothing() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.tell(facts::decided(Some(0.1)));
    assert_eq!(desk.raised().len(), 1, "a lesser reason joins");
    desk.says("I was hacked");
    let raised = desk.raised();
    assert_eq!(raised.len(), 2);
    assert_eq!(
        (raised[1].escalation_id.as_str(), raised[1].priority, raised[1].from_priority),
        (raised[0].escalation_id.as_str(), 1, Some(3))
    );
    assert!(raised[1].due_at < raised[0].due_at);
    desk.pass(301);
    desk.pass(601);
    assert_eq!(desk.overdue().iter().map(|overdue| overdue.due_at).collect::<Vec<_>>(), [raised[1].due_at], "one deadline, said once");
    desk.feels(-1.0).tell(facts::tool_returned(Some(true)));
    assert_eq!(desk.raised().len(), 2, "it never becomes less urgent");
}

#[test]
fn a_sooner_deadline_stands_when_a_more_urgent_route_leaves_more_time() {
    let mut desk = Desk::under(
        r#"{"routes": [{"name": "legal", "when": "topic == \"legal\"", "priority": 1, "sla_s": 900, "target": {"team": "legal"}},
        {"name": "rest", "when": "true", "priority": 2, "sla_s": 100, "target": {"team": "x"}}]}"#,
    );
    desk.feels(-0.6).says("my attorney");
    let raised = desk.raised();
    assert_eq!((raised.len(), raised[1].due_at, raised[1].sla_s), (2, raised[0].due_at, None));
    desk.pass(2_000);
    assert_eq!(desk.overdue().len(), 1);
    desk.says("I was hacked");
    assert_eq!(desk.raised().len(), 2, "the route of this policy for it is no more urgent");
}

#[test]
fn a_new_call_after_a_missed_deadline_sets_a_new_one() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.pass(700);
    desk.says("I was hacked");
    desk.pass(301);
    let due: Vec<_> = desk.overdue().iter().map(|overdue| overdue.due_at).collect();
    assert_eq!(due, desk.raised().iter().map(|raised| raised.due_at).collect::<Vec<_>>());
}

#[test]
fn what_nobody_hears_of_any_more_times_out() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.pass(24 * 3_600 + 1);
    let closed = desk.closed();
    assert_eq!((closed.len(), closed[0].outcome.as_str(), closed[0].waited_s), (1, "timed_out", None));
    assert_eq!((desk.overdue().len(), desk.standing("escalations").state.as_str()), (1, "none open"));
}

#[test]
fn nobody_is_late_while_the_door_is_shut() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.pass(300);
    desk.shut_for(10_000);
    assert!(desk.overdue().is_empty());
    desk.pass(299);
    assert!(desk.overdue().is_empty(), "300 s were left when the door was shut");
    desk.pass(2);
    assert_eq!(desk.overdue().len(), 1);
}

#[test]
fn who_was_said_to_be_late_before_the_door_was_heard_to_open_is_not_said_to_be_late_again() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    let due = desk.last().due_at;
    desk.pass(300);
    desk.house.hold();
    // By the clock alone, in a process that goes on while the gateway is away.
    let shut_since = desk.now();
    desk.pass(400);
    desk.opens(shut_since);
    desk.house.release();
    desk.pass(2_000);
    desk.feels(-0.6);
    assert_eq!(desk.overdue().iter().map(|overdue| overdue.due_at).collect::<Vec<_>>(), [due]);
}

#[test]
fn a_more_urgent_call_that_comes_late_moves_no_deadline_that_stands() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    let told = desk.last().due_at;
    desk.house.hold();
    desk.pass(98);
    desk.says("I was hacked");
    desk.pass(900);
    desk.house.release();
    assert_eq!(desk.raised().len(), 2);
    assert_eq!(desk.overdue().iter().map(|overdue| overdue.due_at).collect::<Vec<_>>(), [told], "what people were told is said");
    desk.pass(2_000);
    assert_eq!(desk.overdue().len(), 1, "and once: no later deadline takes its place");
}

#[test]
fn a_more_urgent_call_that_comes_late_but_sooner_than_the_deadline_moves_it_to_sooner() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.house.hold();
    desk.pass(98);
    desk.says("I was hacked");
    desk.pass(100);
    desk.house.release();
    let home = desk.now();
    desk.pass(301);
    desk.pass(2_000);
    assert_eq!(desk.overdue().iter().map(|overdue| overdue.due_at).collect::<Vec<_>>(), [home.plus_s(300)]);
}

#[test]
fn a_call_that_rises_while_the_first_is_on_its_way_is_never_due_in_the_past() {
    let mut desk = Desk::under(
        r#"{"routes": [{"name": "legal", "when": "topic == \"legal\"", "priority": 1, "sla_s": 900, "target": {"team": "legal"}},
        {"name": "rest", "when": "true", "priority": 2, "sla_s": 100, "target": {"team": "x"}}]}"#,
    );
    // A room that was down reads both facts, and is asked for the first time long after them.
    desk.house.hold();
    desk.feels(-0.6).says("my attorney");
    let facts_alone = desk.fold_of(|record| !matches!(record.body, Body::EscalationRaised(_)));
    let now = desk.now().plus_s(5_000);
    let owed = facts_alone.owed(now);
    let due: Vec<_> = owed
        .into_iter()
        .filter_map(|decision| if let Body::EscalationRaised(raised) = decision.body { Some((raised.due_at, raised.sla_s)) } else { None })
        .collect();
    assert_eq!(due, [(now.plus_s(100), Some(100)); 2]);
}

#[test]
fn a_call_that_rises_late_has_its_whole_time_before_the_escalation_times_out() {
    let mut desk = Desk::under(
        r#"{"open_timeout_s": 700, "routes": [{"name": "first", "when": "topic == \"legal\"", "priority": 1, "sla_s": 600, "target": {"team": "x"}},
        {"name": "rest", "when": "true", "priority": 2, "sla_s": 100, "target": {"team": "x"}}]}"#,
    );
    desk.feels(-0.6);
    desk.pass(600);
    desk.says("my attorney");
    desk.pass(601);
    assert_eq!((desk.overdue().len(), desk.closed().len()), (2, 0));
    desk.pass(100);
    assert_eq!(desk.closed().len(), 1);
}

#[test]
fn a_room_that_lags_does_not_take_its_own_lateness_for_peoples() {
    let mut desk = Desk::new();
    desk.house.hold();
    desk.feels(-0.6);
    desk.pass(5_000);
    desk.house.release();
    assert!(desk.overdue().is_empty(), "people could not know of it before");
    desk.pass(601);
    assert_eq!(desk.overdue().len(), 1);
}
