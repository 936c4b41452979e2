//! What an incident asks for, and how an order ends.

use crate::story::{self, AGENT, Story, s};
use kit::facts;
use wire::{AccountabilityAssigned, Body, Kind, Level, Mode, PolicyAdopted, Responsibility, RollbackOrdered};

fn order(story: &Story) -> RollbackOrdered {
    match &story.said(Kind::RollbackOrdered)[0].body {
        Body::RollbackOrdered(body) => body.clone(),
        other => panic!("{other:?}"),
    }
}

/// A P1 at 10 s: ordered back from v2 to v1.
fn ordered() -> Story {
    let mut story = Story::enforced();
    story.opened(10, Level::P1, None);
    story
}

/// And acknowledged at 20 s.
fn acknowledged() -> Story {
    let mut story = ordered();
    let id = story.order_id();
    story.fact(20, facts::acknowledged(&id, true, Some("v1")));
    story
}

#[test]
fn a_p1_orders_the_baseline_with_its_layers_and_humans_only() {
    let story = ordered();
    assert_eq!(story.decisions(), [Kind::RollbackOrdered, Kind::ModeOrdered]);
    let order = order(&story);
    assert_eq!((order.from_version, order.to_version.as_str()), (Some("v2".into()), "v1"));
    assert_eq!(order.layers.prompt.as_deref(), Some("prompt of v1"));
    assert_eq!((order.ack_timeout_s, order.verify_timeout_s), (60, 600));
    assert_eq!(order.basis.causes, ["incident-decision-1"]);
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn a_p2_that_names_a_version_orders_a_rollback_and_no_mode() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    assert_eq!(story.decisions(), [Kind::RollbackOrdered]);
}

#[test]
fn a_p2_that_names_none_orders_reduced_mode_and_says_what_it_switches_off() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, None);
    assert_eq!(story.modes(), [Mode::Reduced]);
    let Body::ModeOrdered(body) = &story.said(Kind::ModeOrdered)[0].body else { panic!("a mode") };
    assert!(!body.switched_off.is_empty());
    assert_eq!(story.said(Kind::RollbackOrdered).len(), 0);
}

#[test]
fn a_harm_that_names_no_version_is_not_laid_at_the_declared_baselines_door() {
    let mut story = Story::new();
    story.person(0, facts::baseline("v0"));
    story.person(1, facts::baseline("v1"));
    story.sees(2, "v1");
    assert_eq!(story.standing(3, "rollback target").state, "v1");
    story.opened(10, Level::P1, None);
    assert_eq!(order(&story).to_version.as_str(), "v1");
}

#[test]
fn a_harm_that_names_the_declared_baseline_goes_back_to_the_version_before_it() {
    let mut story = Story::new();
    story.person(0, facts::baseline("v0"));
    story.person(1, facts::baseline("v1"));
    story.sees(2, "v1");
    story.opened(10, Level::P1, Some("v1"));
    assert_eq!(order(&story).to_version.as_str(), "v0");
}

#[test]
fn a_version_whose_quarantine_was_lifted_is_taken_back_again_in_the_next_incident() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    story.resolved(700);
    story.person(701, wire::QuarantineLifted { version: "v2".into(), author: "ann".into(), reason: "mended".into() });
    story.sees(702, "v2");
    story.opened_as(800, "incident-2", Level::P2, Some("v2"));
    let orders = story.said(Kind::RollbackOrdered);
    assert_eq!(orders.len(), 2);
    assert_ne!(orders[0].id, orders[1].id);
    assert_eq!(story.standing(801, "version v2").state, "quarantined");
}

#[test]
fn a_baseline_declared_during_an_incident_is_what_an_aggravation_goes_back_to() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, None);
    story.person(20, facts::baseline("v3"));
    story.aggravated(30, Level::P1, Some("v2"));
    assert_eq!(order(&story).to_version.as_str(), "v3");
}

#[test]
fn a_p3_orders_investigation_and_its_end_takes_it_back() {
    let mut story = Story::enforced();
    story.opened(10, Level::P3, Some("v2"));
    assert_eq!(story.decisions(), [Kind::ModeOrdered], "no rollback, although it names a version");
    let Body::ModeOrdered(body) = &story.said(Kind::ModeOrdered)[0].body else { panic!("a mode") };
    assert_eq!((body.mode, body.switched_off.len()), (Mode::Investigation, 0), "nothing that a user would notice");
    story.resolved(700);
    assert_eq!(story.modes(), [Mode::Investigation, Mode::Normal]);
}

#[test]
fn a_p3_that_is_only_observed_is_proposed_and_orders_nothing_until_a_person_accepts() {
    let mut story = Story::new();
    story.sees(1, "v2");
    story.opened(10, Level::P3, Some("v2"));
    assert_eq!(story.decisions(), [Kind::RollbackProposed]);
    let Body::RollbackProposed(body) = &story.said(Kind::RollbackProposed)[0].body else { panic!("a proposal") };
    assert_eq!((body.mode.as_deref(), &body.to_version), (Some("investigation"), &None));
}

#[test]
fn a_p3_that_becomes_a_p2_is_answered_as_one() {
    let mut story = Story::enforced();
    story.opened(10, Level::P3, None);
    story.aggravated_from(20, Level::P3, Level::P2, None);
    assert_eq!(story.modes(), [Mode::Investigation, Mode::Reduced]);
    let mut named = Story::enforced();
    named.opened(10, Level::P3, Some("v2"));
    named.aggravated_from(20, Level::P3, Level::P2, Some("v2"));
    assert_eq!(named.decisions(), [Kind::ModeOrdered, Kind::RollbackOrdered]);
}

#[test]
fn what_a_p2_took_is_given_back_when_only_a_p3_is_left() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, None);
    story.resolved(600);
    story.opened_as(600, "what-is-left", Level::P3, None);
    assert_eq!(story.modes(), [Mode::Reduced, Mode::Normal, Mode::Investigation]);
}

#[test]
fn an_incident_that_is_known_to_be_less_bad_keeps_what_it_took_until_it_is_over() {
    let mut story = Story::enforced();
    story.opened(10, Level::P1, None);
    story.eased(600, Level::P1, Level::P2);
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn a_regression_beside_what_is_left_of_an_incident_is_taken_back_like_the_first() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    let id = story.order_id();
    story.fact(20, facts::acknowledged(&id, true, Some("v1")));
    (21..24).for_each(|at| story.sees(at, "v1"));
    story.resolved(600);
    story.opened_as(600, "what-is-left", Level::P3, None);
    story.sees(700, "v3");
    story.aggravated_as(800, "what-is-left", Level::P3, Level::P2, Some("v3"));
    let orders = story.said(Kind::RollbackOrdered);
    assert_eq!(orders.len(), 2);
    assert_ne!(orders[0].id, orders[1].id);
    let Body::RollbackOrdered(second) = &orders[1].body else { panic!("an order") };
    assert_eq!((second.from_version.as_ref().map(|version| version.as_str()), second.to_version.as_str()), (Some("v3"), "v1"));
}

#[test]
fn a_regression_beside_what_is_left_of_an_incident_is_proposed_like_the_first() {
    let mut story = Story::enforced();
    story.person(2, facts::automation(wire::Automation::Propose));
    story.opened(10, Level::P2, Some("v2"));
    story.resolved(600);
    story.opened_as(600, "what-is-left", Level::P3, None);
    story.sees(700, "v3");
    story.aggravated_as(800, "what-is-left", Level::P3, Level::P2, Some("v3"));
    let rollbacks = story.said(Kind::RollbackProposed).into_iter().filter_map(|said| match &said.body {
        Body::RollbackProposed(body) => body.to_version.as_ref().map(|_| body.from_version.as_ref().map(ToString::to_string)),
        _ => None,
    });
    assert_eq!(rollbacks.collect::<Vec<_>>(), [Some("v2".to_owned()), Some("v3".to_owned())]);
}

#[test]
fn an_order_is_given_even_if_the_target_already_serves() {
    let mut story = Story::enforced();
    story.sees(5, "v1");
    story.opened(10, Level::P1, None);
    let order = order(&story);
    assert_eq!((order.from_version, order.to_version.as_str()), (Some("v1".into()), "v1"));
}

#[test]
fn a_rollback_is_verified_by_the_acknowledgement_and_three_sightings() {
    let mut story = acknowledged();
    story.sees(21, "v1");
    story.fact(22, facts::heartbeat(30, Some("v1")));
    assert_eq!(story.said(Kind::RollbackVerified).len(), 0);
    story.sees(23, "v1");
    let Body::RollbackVerified(body) = &story.said(Kind::RollbackVerified)[0].body else { panic!("verified") };
    assert_eq!((body.sightings, body.effect_s), (3, Some(13.0)));
    assert_eq!(body.basis.causes.len(), 6, "incident, order, acknowledgement and three sightings: {:?}", body.basis.causes);
    assert_eq!(body.basis.causes[0], "incident-decision-1");
}

#[test]
fn an_acknowledgement_alone_is_never_called_done() {
    let mut story = acknowledged();
    story.pass(100_000);
    assert_eq!(story.said(Kind::RollbackVerified).len(), 0);
    assert_eq!(story.failure(), "not_serving");
}

#[test]
fn sightings_alone_are_never_called_done() {
    let mut story = ordered();
    (11..60).for_each(|at| story.sees(at, "v1"));
    story.pass(100_000);
    assert_eq!(story.said(Kind::RollbackVerified).len(), 0);
    assert_eq!(story.failure(), "no_acknowledgement");
}

#[test]
fn an_acknowledgement_at_the_deadline_is_in_time_and_one_after_it_is_not() {
    for (at_s, verified) in [(70, true), (71, false)] {
        let mut story = ordered();
        let id = story.order_id();
        story.fact(at_s, facts::acknowledged(&id, true, None));
        (72..75).for_each(|at| story.sees(at, "v1"));
        assert_eq!(story.said(Kind::RollbackVerified).len() == 1, verified, "acknowledged at {at_s} s");
    }
}

#[test]
fn a_late_ack_does_not_verify_even_if_the_room_is_asked_late() {
    let mut story = ordered();
    let id = story.order_id();
    let late = story.platform_event(80, facts::acknowledged(&id, true, None));
    story.append(s(80), late);
    (81..85).for_each(|at| {
        let event = story.platform_event(at, facts::heartbeat(30, Some("v1")));
        story.append(s(at), event);
    });
    let owed: Vec<Kind> = story.owed(90).iter().map(|decision| decision.body.kind()).collect();
    assert_eq!(owed, [Kind::RollbackFailed], "human-only mode stands already");
}

#[test]
fn a_refused_order_fails_at_once() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    let id = story.order_id();
    story.fact(20, facts::acknowledged(&id, false, None));
    assert_eq!(story.failure(), "refused");
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn an_order_that_is_taken_back_after_its_acknowledgement_fails() {
    let mut story = acknowledged();
    let id = story.order_id();
    story.fact(25, facts::acknowledged(&id, false, None));
    assert_eq!(story.failure(), "refused");
}

#[test]
fn a_failed_rollback_sets_humans_only() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    story.pass(1_000);
    assert_eq!(story.decisions(), [Kind::RollbackOrdered, Kind::RollbackFailed, Kind::ModeOrdered]);
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn straggling_sessions_of_the_old_version_begin_the_count_anew() {
    let mut story = acknowledged();
    for (at_s, version) in [(21, "v1"), (22, "v1"), (23, "v2"), (24, "v1"), (25, "v1")] {
        story.sees(at_s, version);
    }
    assert_eq!(story.said(Kind::RollbackVerified).len(), 0);
    story.sees(26, "v1");
    assert_eq!(story.said(Kind::RollbackVerified).len(), 1);
}

#[test]
fn sightings_after_the_deadline_come_too_late() {
    let mut story = acknowledged();
    story.sees(21, "v1");
    story.sees(22, "v1");
    story.sees(621, "v1");
    assert_eq!(story.failure(), "not_serving");
    assert_eq!(story.said(Kind::RollbackVerified).len(), 0);
}

#[test]
fn an_order_ends_once() {
    let mut story = acknowledged();
    let id = story.order_id();
    (21..24).for_each(|at| story.sees(at, "v1"));
    story.fact(30, facts::acknowledged(&id, false, None));
    story.fact(31, facts::acknowledged(&id, true, None));
    (32..40).for_each(|at| story.sees(at, "v1"));
    story.pass(100_000);
    assert_eq!(story.said(Kind::RollbackVerified).len() + story.said(Kind::RollbackFailed).len(), 1);
}

#[test]
fn an_acknowledgement_of_another_order_changes_nothing() {
    let mut story = ordered();
    story.fact(20, facts::acknowledged("somebody-elses", true, None));
    story.pass(1_000);
    assert_eq!(story.failure(), "no_acknowledgement");
}

#[test]
fn however_often_it_is_aggravated_an_episode_has_one_rollback() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    for at in 11..30 {
        story.aggravated(at, Level::P1, Some("v2"));
    }
    story.pass(1_000);
    story.aggravated(1_001, Level::P1, Some("v3"));
    assert_eq!(story.said(Kind::RollbackOrdered).len(), 1);
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn a_regression_found_during_an_open_incident_still_orders_the_rollback() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, None);
    story.aggravated(20, Level::P2, Some("v2"));
    assert_eq!(story.decisions(), [Kind::ModeOrdered, Kind::RollbackOrdered]);
}

#[test]
fn a_version_taken_back_is_no_target_until_a_person_lifts_it_and_never_comes_back_by_itself() {
    let mut story = acknowledged();
    (21..24).for_each(|at| story.sees(at, "v1"));
    story.resolved(100);
    story.person(101, facts::baseline("v3"));
    story.sees(102, "v3");
    story.opened_as(110, "incident-2", Level::P1, Some("v3"));
    let Body::RollbackOrdered(second) = &story.said(Kind::RollbackOrdered)[1].body else { panic!("an order") };
    assert_eq!(second.to_version.as_str(), "v1", "v2 is quarantined");
    assert_eq!(story.standing(110, "version v2").state, "quarantined");
    story.person(111, wire::QuarantineLifted { version: "v2".into(), author: "ann".into(), reason: "fixed".into() });
    let lines = machine::Machine::standing(story.fold.machine(), &AGENT.into(), s(112));
    assert!(lines.iter().all(|line| line.matter != "version v2"), "{lines:#?}");
}

#[test]
fn a_person_who_declares_a_quarantined_version_lifts_it() {
    let mut story = ordered();
    story.person(30, facts::baseline("v2"));
    assert_eq!(story.standing(31, "rollback target").state, "v2");
    story.resolved(700);
    story.opened_as(800, "incident-2", Level::P2, Some("v1"));
    let orders = story.said(Kind::RollbackOrdered);
    assert!(matches!(&orders[1].body, Body::RollbackOrdered(body) if body.to_version.as_str() == "v2"));
}

#[test]
fn the_declared_baseline_is_never_quarantined() {
    let mut story = Story::enforced();
    story.person(2, facts::baseline("v2"));
    story.opened(10, Level::P1, Some("v2"));
    assert_eq!(order(&story).to_version.as_str(), "v1");
    story.sees(11, "v1");
    assert_eq!(story.standing(12, "rollback target").state, "v2");
}

#[test]
fn without_a_target_humans_take_over() {
    for (level, version) in [(Level::P1, None), (Level::P2, Some("v2"))] {
        let mut story = Story::new();
        story.person(0, facts::automation(wire::Automation::Enforce));
        story.sees(1, "v2");
        story.opened(10, level, version);
        assert_eq!(story.decisions(), [Kind::ModeOrdered]);
        assert_eq!(story.modes(), [Mode::HumanOnly]);
    }
}

#[test]
fn deadlines_are_policy_and_a_policy_holds_for_later_orders() {
    let mut story = Story::enforced();
    let document = r#"{"ack_timeout_s": 10}"#.to_owned();
    let adopted = |document: String| PolicyAdopted {
        room: "rollback".into(),
        version: "7".into(),
        document,
        author: "ann".into(),
        reason: "quicker".into(),
    };
    story.person(2, adopted(document));
    story.person(3, PolicyAdopted { version: "8".into(), ..adopted(r#"{"ack_timeout_s": 1, "colour": 3}"#.to_owned()) });
    let line = story.standing(4, "policy of the rollback room");
    assert_eq!(line.state, "7");
    let missing = line.missing.expect("policy 8 was refused");
    assert!(["8", "ack_timeout_s", "colour"].iter().all(|word| missing.contains(word)), "{missing}");
    story.opened(10, Level::P1, None);
    assert_eq!((order(&story).ack_timeout_s, order(&story).basis.policy.as_str()), (10, "7"));
    story.person(11, adopted("{}".to_owned()));
    assert_eq!(story.standing(11, "policy of the rollback room").missing, None);
    story.pass(21);
    assert_eq!(story.failure(), "no_acknowledgement");
}

#[test]
fn whoever_is_assigned_answers_for_what_happens_next() {
    let mut story = Story::enforced();
    let assigned = |responsibility, person: &str| AccountabilityAssigned {
        responsibility,
        person: person.to_owned(),
        author: "ann".to_owned(),
        reason: "by rota".to_owned(),
    };
    story.person(2, assigned(Responsibility::Operations, "bea"));
    story.person(3, assigned(Responsibility::Legal, "carl"));
    story.opened(10, Level::P1, None);
    assert_eq!(order(&story).basis.accountable, "operations (bea)");
}

#[test]
fn a_decision_past_the_hop_cap_starts_nothing() {
    let mut story = Story::enforced();
    let mut opened = story.incident_event(10, story::incident_opened("far", Level::P1, None));
    opened.hops = wire::limits::HOPS_MAX;
    story.append(s(10), opened);
    assert!(story.owed(10).is_empty());
}

#[test]
fn an_open_order_and_its_deadline_are_told() {
    let mut story = ordered();
    let line = story.standing(15, "rollback to v1");
    assert_eq!(line.state, "ordered");
    assert!(line.detail.expect("a deadline").contains("in 55 s"));
    let id = story.order_id();
    story.fact(20, facts::acknowledged(&id, true, None));
    story.sees(21, "v1");
    let line = story.standing(22, "rollback to v1");
    assert_eq!((line.state.as_str(), line.n, line.needed), ("acknowledged", Some(1), Some(3)));
}
