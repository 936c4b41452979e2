//! What people do with an escalation, in time, late, twice, or of none.

use kit::facts;
use wire::{Body, Kind, OutcomeReported, Record, Role};

use crate::desk::Desk;

#[test]
fn the_first_who_claims_it_has_it_and_the_wait_is_measured() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.pass(89);
    desk.claims_last();
    let id = desk.last().escalation_id;
    desk.word(facts::claimed(&id, "bob"));
    assert_eq!(desk.standing("stray claims and returns").n, Some(1));
    desk.returns_last();
    let closed = desk.closed();
    assert_eq!((closed.len(), closed[0].outcome.as_str(), closed[0].waited_s), (1, "returned", Some(90.0)));
    assert_eq!(closed[0].escalation_id, id);
}

#[test]
fn once_a_human_has_it_nobody_further_is_called() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.claims_last();
    desk.says("I was hacked and my lawyer knows");
    assert_eq!(desk.raised().len(), 1);
}

#[test]
fn late_and_unknown_claims_and_returns_are_harmless() {
    let mut desk = Desk::new();
    desk.word(facts::claimed("nothing", "ann"));
    desk.word(facts::returned("nothing", "ann"));
    desk.feels(-0.6);
    desk.returns_last();
    desk.claims_last();
    desk.returns_last();
    desk.pass(100_000);
    assert_eq!((desk.raised().len(), desk.closed().len(), desk.overdue().len()), (1, 1, 0));
    assert_eq!(desk.standing("stray claims and returns").n, Some(4));
}

#[test]
fn a_session_that_ends_takes_its_escalation_with_it_and_what_comes_after_calls_nobody() {
    let mut desk = Desk::new();
    desk.feels(-0.6).tell(facts::ended());
    assert_eq!(desk.closed().iter().map(|closed| closed.outcome.as_str()).collect::<Vec<_>>(), ["ended"]);
    desk.feels(-1.0);
    assert_eq!(desk.raised().len(), 1);
    desk.pass(100_000);
    assert!(desk.overdue().is_empty());
}

#[test]
fn a_session_that_starts_again_may_call_again() {
    let mut desk = Desk::new();
    desk.feels(-0.6).tell(facts::ended()).tell(facts::started("v1", None)).feels(-0.6);
    let ids: Vec<_> = desk.raised().into_iter().map(|raised| raised.escalation_id).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_return_that_crosses_its_call_on_the_way_ends_it() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    let id = desk.last().escalation_id;
    let mut held = Desk::new();
    held.house.hold();
    held.feels(-0.6);
    held.word(facts::returned(&id, "ann"));
    held.house.release();
    assert_eq!((held.raised().len(), held.closed().len()), (1, 1));
    held.pass(100_000);
    assert!(held.overdue().is_empty());
}

#[test]
fn outcomes_tell_who_was_called_for_nothing_and_who_was_missed() {
    let by = |role| OutcomeReported { handled_by: Some(role), ..facts::outcome(None) };
    let mut desk = Desk::new();
    desk.tell_of("calm", facts::felt(Some(0.1), None)).tell_of("calm", by(Role::Human));
    desk.tell_of("angry", facts::felt(Some(-0.9), None)).tell_of("angry", facts::ended()).tell_of("angry", by(Role::Agent));
    desk.tell_of("angry", by(Role::Human)).tell_of("calm", by(Role::Human));
    assert_eq!(desk.standing("sessions that a human took unasked").n, Some(1));
    assert_eq!(desk.standing("escalated sessions that the agent ended").n, Some(1));
}

#[test]
fn an_outcome_that_comes_when_the_session_is_forgotten_says_nothing_about_who_was_called() {
    let by = |role| OutcomeReported { handled_by: Some(role), ..facts::outcome(None) };
    let mut desk = Desk::new();
    desk.tell_of("angry", facts::felt(Some(-0.9), None)).tell_of("angry", facts::ended());
    desk.pass(301);
    desk.tell_of("angry", by(Role::Human));
    assert_eq!(desk.standing("outcomes of unknown sessions").n, Some(1));
    assert!(!desk.has_line("sessions that a human took unasked"), "one was called");
}

#[test]
fn a_finding_after_the_end_calls_nobody_and_is_counted_however_late_it_is() {
    let mut desk = Desk::new();
    desk.tell(facts::started("v1", None)).tell(facts::ended()).tell(facts::finding("leak"));
    desk.pass(301);
    desk.tell(facts::finding("leak"));
    assert!(desk.raised().is_empty());
    assert_eq!(desk.standing("findings without a session").n, Some(2));
}

#[test]
fn a_wait_that_is_not_known_is_not_told() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    let id = desk.last().escalation_id;
    let mut held = Desk::new();
    held.house.hold();
    held.feels(-0.6);
    held.word(facts::claimed(&id, "ann"));
    held.word(facts::returned(&id, "ann"));
    held.house.release();
    assert_eq!(held.closed().iter().map(|closed| closed.waited_s).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_call_of_somebody_else_counts_as_one_and_its_id_is_not_given_again() {
    let mut desk = Desk::under(
        r#"{"routes": [
            {"name": "security", "when": "topic == \"security\"", "priority": 1, "sla_s": 60, "target": {"team": "x"}},
            {"name": "legal", "when": "topic == \"legal\"", "priority": 2, "sla_s": 120, "target": {"team": "x"}},
            {"name": "rest", "when": "true", "priority": 3, "sla_s": 600, "target": {"team": "x"}}]}"#,
    );
    desk.feels(-0.6).says("my lawyer");
    let is_lawyer = |record: &Record| matches!(&record.body, Body::MessagePosted(said) if said.text.is_some());
    // One that never heard of the lawyer hears the call that came of it.
    let mut other = desk.fold_of(|record| !is_lawyer(record));
    let heard = desk.house.log().len();
    desk.says("my lawyer").says("I was hacked");
    let mut owed = Vec::new();
    for record in desk.house.log()[heard..].iter().filter(|record| !matches!(record.body, Body::EscalationRaised(_))) {
        other.fold(record);
        owed.extend(other.owed(record.appended).into_iter().map(|decision| decision.id));
    }
    let last = desk.house.said(Kind::EscalationRaised).last().map(|record| record.id.clone());
    assert_eq!(desk.raised().len(), 3);
    assert_eq!(owed.into_iter().next(), last, "the third call, and none of the lawyer's");
}
