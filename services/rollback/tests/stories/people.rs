//! Modes over an incident's life, automation, proposals: what people can always do.

use crate::story::Story;
use kit::facts;
use wire::{Automation, Body, Kind, Level, Mode, RollbackAccepted, RollbackProposed};

/// v1 declared, v2 serving, and nothing ordered without a person.
fn observed(automation: Automation) -> Story {
    let mut story = Story::enforced();
    story.person(2, facts::automation(automation));
    story
}

fn verified() -> Story {
    let mut story = Story::enforced();
    story.opened(10, Level::P1, None);
    let id = story.order_id();
    story.fact(20, facts::acknowledged(&id, true, None));
    (21..24).for_each(|at| story.sees(at, "v1"));
    story
}

fn proposals(story: &Story) -> Vec<(String, RollbackProposed)> {
    let of = |record: &wire::Record| match &record.body {
        Body::RollbackProposed(body) => Some((record.id.to_string(), body.clone())),
        _ => None,
    };
    story.log.iter().filter_map(of).collect()
}

fn accept(proposal_id: &str) -> RollbackAccepted {
    RollbackAccepted { proposal_id: proposal_id.to_owned(), author: "ann".to_owned(), reason: "agreed".to_owned() }
}

#[test]
fn human_only_ends_with_the_verification_and_reduced_with_the_incident() {
    let mut story = verified();
    assert_eq!(story.modes(), [Mode::HumanOnly, Mode::Reduced]);
    story.resolved(100);
    assert_eq!(story.modes(), [Mode::HumanOnly, Mode::Reduced, Mode::Normal]);
    story.resolved(101);
    assert_eq!(story.modes().len(), 3, "an incident ends once");
}

#[test]
fn after_a_failure_the_end_of_the_incident_gives_the_agent_back() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    story.pass(1_000);
    story.resolved(2_000);
    assert_eq!(story.modes(), [Mode::HumanOnly, Mode::Normal]);
}

#[test]
fn within_an_incident_the_mode_only_gets_stricter() {
    let mut story = Story::enforced();
    story.opened(10, Level::P1, None);
    story.aggravated(11, Level::P2, None);
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn a_p1_after_the_verification_sets_humans_only_again() {
    let mut story = verified();
    story.aggravated(50, Level::P1, None);
    assert_eq!(story.modes(), [Mode::HumanOnly, Mode::Reduced, Mode::HumanOnly]);
    assert_eq!(story.said(Kind::RollbackOrdered).len(), 1);
}

#[test]
fn a_persons_mode_is_ordered_whatever_automation_says() {
    for automation in [Automation::Observe, Automation::Propose, Automation::Enforce] {
        let mut story = observed(automation);
        story.person(10, facts::mode(Mode::HumanOnly));
        story.person(11, facts::mode(Mode::Normal));
        assert_eq!(story.modes(), [Mode::HumanOnly, Mode::Normal]);
    }
}

#[test]
fn what_a_person_set_no_incident_undoes() {
    let mut story = verified();
    story.person(50, facts::mode(Mode::HumanOnly));
    story.resolved(100);
    assert_eq!(story.modes(), [Mode::HumanOnly, Mode::Reduced, Mode::HumanOnly]);
}

#[test]
fn what_a_person_set_before_an_incident_is_what_its_end_goes_back_to() {
    let mut story = Story::enforced();
    story.person(5, facts::mode(Mode::Reduced));
    story.opened(10, Level::P1, None);
    story.resolved(100);
    assert_eq!(story.modes(), [Mode::Reduced, Mode::HumanOnly, Mode::Reduced]);
}

#[test]
fn until_a_baseline_is_declared_nothing_is_ordered() {
    let mut story = Story::new();
    story.sees(1, "v2");
    story.opened(10, Level::P1, None);
    story.pass(10_000);
    assert_eq!(story.decisions(), [Kind::RollbackProposed]);
    let (_, proposal) = &proposals(&story)[0];
    assert_eq!((proposal.automation, &proposal.to_version, proposal.mode.as_deref()), (Automation::Observe, &None, Some("human_only")));
    assert_eq!(story.standing(11, "automation").state, "observe");
}

#[test]
fn an_unaccepted_proposal_executes_nothing() {
    for automation in [Automation::Observe, Automation::Propose] {
        let mut story = observed(automation);
        story.opened(10, Level::P1, None);
        story.aggravated(20, Level::P1, Some("v2"));
        story.pass(100_000);
        story.resolved(100_001);
        assert_eq!(story.decisions(), [Kind::RollbackProposed], "said once, and nothing done");
    }
}

#[test]
fn an_accepted_proposal_is_ordered_under_observe_too_and_followed_like_any_order() {
    for automation in [Automation::Observe, Automation::Propose] {
        let mut story = observed(automation);
        story.opened(10, Level::P1, None);
        let (id, proposal) = proposals(&story).remove(0);
        assert_eq!((proposal.to_version, proposal.from_version), (Some("v1".into()), Some("v2".into())));
        story.person(30, accept(&id));
        assert_eq!(story.decisions(), [Kind::RollbackProposed, Kind::RollbackOrdered, Kind::ModeOrdered]);
        let order = story.said(Kind::RollbackOrdered)[0];
        assert_eq!(order.body.basis().expect("a decision").causes[..2], ["incident-decision-1".to_owned(), id]);
        story.pass(1_000);
        assert_eq!(story.failure(), "no_acknowledgement");
    }
}

#[test]
fn a_proposal_is_carried_out_once() {
    let mut story = observed(Automation::Propose);
    story.opened(10, Level::P1, None);
    let (id, _) = proposals(&story).remove(0);
    (30..35).for_each(|at| story.person(at, accept(&id)));
    assert_eq!(story.said(Kind::RollbackOrdered).len(), 1);
    assert_eq!(story.modes().len(), 1);
}

#[test]
fn accepting_what_was_never_proposed_does_nothing() {
    let mut story = observed(Automation::Propose);
    story.opened(10, Level::P1, None);
    story.person(30, accept("nothing-of-the-kind"));
    assert_eq!(story.decisions(), [Kind::RollbackProposed]);
}

#[test]
fn proposals_lapse_with_their_incident() {
    let mut story = observed(Automation::Propose);
    story.opened(10, Level::P1, None);
    let (id, _) = proposals(&story).remove(0);
    story.resolved(20);
    story.person(30, accept(&id));
    assert_eq!(story.decisions(), [Kind::RollbackProposed]);
}

#[test]
fn what_gets_worse_is_proposed_anew_and_nothing_twice() {
    let mut story = observed(Automation::Propose);
    story.opened(10, Level::P2, None);
    story.aggravated(11, Level::P2, Some("v2"));
    (12..20).for_each(|at| story.aggravated(at, Level::P1, Some("v2")));
    let asked: Vec<_> = proposals(&story).into_iter().map(|(_, body)| (body.to_version.is_some(), body.mode)).collect();
    assert_eq!(asked, [(false, Some("reduced".to_owned())), (true, None), (false, Some("human_only".to_owned()))]);
}

#[test]
fn automation_set_while_a_proposal_is_open_accepts_nothing_by_itself() {
    let mut story = observed(Automation::Propose);
    story.opened(10, Level::P1, None);
    story.person(20, facts::automation(Automation::Enforce));
    story.pass(1_000);
    assert_eq!(story.decisions(), [Kind::RollbackProposed]);
    story.aggravated(1_001, Level::P1, None);
    assert_eq!(story.said(Kind::RollbackOrdered).len(), 1, "what happens after it is ordered");
}

#[test]
fn status_says_what_waits_for_whom_and_by_which_command() {
    let mut story = observed(Automation::Observe);
    story.opened(10, Level::P1, None);
    let (id, _) = proposals(&story).remove(0);
    let line = story.standing(11, "proposal");
    assert!(line.missing.expect("a command").contains(&format!("reeve rollback accept {id}")));
    assert!(line.detail.expect("what").contains("v1"));
    assert_eq!(story.standing(11, "mode").state, "normal");
    assert_eq!(story.standing(11, "serving version").state, "v2");
}

#[test]
fn an_agent_that_was_never_heard_of_has_its_lines_too() {
    let story = Story::new();
    assert_eq!(story.standing(1, "automation").state, "observe");
    assert_eq!(story.standing(1, "serving version").state, "no_data");
}

#[test]
fn every_command_that_status_names_says_who_and_why() {
    let mut story = observed(Automation::Observe);
    story.opened(10, Level::P1, None);
    let (id, _) = proposals(&story).remove(0);
    story.person(11, accept(&id));
    story.sees(12, "v3");
    let lines = machine::Machine::standing(story.fold.machine(), &crate::story::AGENT.into(), crate::story::s(20));
    let texts: Vec<String> = lines.into_iter().flat_map(|line| [line.missing, line.detail]).flatten().collect();
    let commands: Vec<&String> = texts.iter().filter(|text| text.contains("reeve ") && !text.contains("reeve publish")).collect();
    assert!(commands.len() >= 2, "{texts:?}");
    for command in commands {
        assert!(command.contains("--author YOU --reason WHY"), "{command}");
    }
}

#[test]
fn an_incident_that_is_over_is_not_opened_again_by_what_comes_late() {
    let mut story = verified();
    story.resolved(100);
    story.aggravated(101, Level::P1, None);
    assert_eq!(story.modes().last(), Some(&Mode::Normal));
    story.opened_as(200, "another", Level::P2, None);
    assert_eq!(story.modes().last(), Some(&Mode::Reduced));
}
