//! Echoes: without a debt, crossed by facts, twice; and states cut and read back.

use crate::story::{self, Story, s};
use kit::facts;
use machine::Fold;
use rollback::Rollback;
use wire::{Body, Kind, Level, Mode, Offset, Partition, Record};

#[test]
fn an_order_that_this_state_never_owed_is_followed_all_the_same() {
    let mut story = Story::enforced();
    story.opened(10, Level::P1, None);
    let own: Vec<Record> = story.log.iter().filter(|record| record.source.as_str() == "/reeve/rollback").cloned().collect();
    let mut restored = Story::new();
    own.into_iter().for_each(|record| restored.append(record.appended, record.event));
    assert!(restored.owed(11).is_empty(), "what is on the log is not owed again: {:?}", restored.owed(11));
    assert_eq!(restored.standing(11, "mode").state, "human_only");
    let id = restored.order_id();
    restored.fact(20, facts::acknowledged(&id, true, None));
    (21..24).for_each(|at| restored.sees(at, "v1"));
    assert_eq!(restored.said(Kind::RollbackVerified).len(), 1);
    assert_eq!(restored.modes(), [Mode::HumanOnly, Mode::Reduced]);
}

#[test]
fn a_proposal_that_this_state_never_made_can_be_accepted() {
    let mut story = Story::new();
    story.sees(1, "v2");
    story.opened(10, Level::P1, None);
    let proposal = story.said(Kind::RollbackProposed)[0].clone();
    let mut restored = Story::new();
    let id = proposal.id.to_string();
    restored.append(proposal.appended, proposal.event);
    restored.person(20, wire::RollbackAccepted { proposal_id: id, author: "ann".into(), reason: "agreed".into() });
    assert_eq!(restored.modes(), [Mode::HumanOnly]);
}

#[test]
fn from_its_decisions_alone_the_same_mode_and_no_open_order_follow() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    story.pass(1_000);
    let mut restored = Story::new();
    let own = story.log.iter().filter(|record| record.source.as_str() == "/reeve/rollback");
    own.for_each(|record| restored.append(record.appended, record.event.clone()));
    assert_eq!(restored.standing(1_001, "mode").state, "human_only");
    assert!(restored.owed(1_000_000).is_empty(), "{:?}", restored.owed(1_000_000));
    restored.resolved(2_000);
    assert_eq!(restored.modes(), [Mode::HumanOnly, Mode::Normal]);
}

#[test]
fn an_ack_that_crosses_the_failure_on_its_way_does_not_undo_it() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    let id = story.order_id();
    // Decided at 70.000001 s, and on its way while the acknowledgement of 70 s is appended before it.
    let failed = story.fold.owed(wire::Timestamp(70_000_001));
    assert_eq!(failed[0].body.kind(), Kind::RollbackFailed);
    let ack = story.platform_event(70, facts::acknowledged(&id, true, None));
    story.append(s(70), ack);
    failed.iter().for_each(|decision| story.append(wire::Timestamp(70_000_002), decision.to_event("rollback")));
    (72..80).for_each(|at| story.sees(at, "v1"));
    story.pass(10_000);
    assert_eq!((story.said(Kind::RollbackFailed).len(), story.said(Kind::RollbackVerified).len()), (1, 0));
    assert_eq!(story.standing(10_000, "mode").state, "human_only");
    assert_eq!(story.modes(), [Mode::HumanOnly]);
}

#[test]
fn facts_that_cross_an_order_on_its_way_count() {
    let mut story = Story::enforced();
    let opened = story.incident_event(10, story::incident_opened("i", Level::P1, None));
    story.append(s(10), opened);
    let owed = story.fold.owed(s(10));
    let order = owed.iter().find(|decision| decision.body.kind() == Kind::RollbackOrdered).expect("ordered");
    let ack = story.platform_event(11, facts::acknowledged(order.id.as_str(), true, None));
    story.append(s(11), ack);
    (0..3).for_each(|_| {
        let seen = story.platform_event(11, facts::heartbeat(30, Some("v1")));
        story.append(s(11), seen);
    });
    owed.iter().for_each(|decision| story.append(s(12), decision.to_event("rollback")));
    story.settle(12);
    story.pass(10_000);
    assert_eq!(story.decisions(), [Kind::RollbackOrdered, Kind::ModeOrdered, Kind::RollbackVerified, Kind::ModeOrdered]);
}

#[test]
fn an_aggravation_that_crosses_the_order_of_its_episode_orders_no_second() {
    let mut story = Story::enforced();
    let opened = story.incident_event(10, story::incident_opened(story::INCIDENT, Level::P2, Some("v2")));
    story.append(s(10), opened);
    let owed = story.fold.owed(s(10));
    let again = story.incident_event(11, story::incident_opened(story::INCIDENT, Level::P1, Some("v2")));
    story.append(s(11), again);
    owed.iter().for_each(|decision| story.append(s(12), decision.to_event("rollback")));
    story.settle(12);
    assert_eq!((story.said(Kind::RollbackOrdered).len(), story.modes()), (1, vec![Mode::HumanOnly]));
}

#[test]
fn a_persons_mode_that_crosses_the_echo_of_ours_stays() {
    let mut story = Story::enforced();
    let opened = story.incident_event(10, story::incident_opened(story::INCIDENT, Level::P2, None));
    story.append(s(10), opened);
    let ours = story.fold.owed(s(10));
    let set = kit::Teller::person("bea", story::AGENT).tell(s(11), None, facts::mode(Mode::Investigation));
    story.append(s(11), set);
    ours.iter().for_each(|decision| story.append(s(12), decision.to_event("rollback")));
    story.settle(12);
    story.resolved(100);
    assert_eq!(story.modes(), [Mode::Reduced, Mode::Investigation]);
    assert_eq!(story.standing(101, "mode").state, "investigation");
}

#[test]
fn asked_before_or_after_the_next_record_a_missed_deadline_says_the_same() {
    let mut story = Story::enforced();
    story.opened(10, Level::P2, Some("v2"));
    let early = story.owed(100);
    let beat = story.platform_event(100, facts::heartbeat(30, Some("v2")));
    story.append(s(100), beat);
    let late = story.owed(100);
    let unstamped = |decisions: &[machine::Decision]| -> Vec<_> {
        let mut decisions = decisions.to_vec();
        decisions.iter_mut().for_each(|decision| decision.body.basis_mut().expect("a decision").asof = Offset::BEFORE_ALL);
        decisions
    };
    assert_eq!(early.len(), 2);
    assert_eq!(unstamped(&early), unstamped(&late));
}

#[test]
fn a_snapshot_cut_anywhere_leads_to_the_same_end() {
    let mut story = Story::enforced();
    story.opened(10, Level::P1, None);
    let id = story.order_id();
    story.fact(20, facts::acknowledged(&id, true, None));
    (21..24).for_each(|at| story.sees(at, "v1"));
    story.resolved(60);
    story.watermark(70, 70);
    for cut in 0..=story.log.len() {
        let mut fold = Fold::<Rollback>::new(Partition(0));
        story.log[..cut].iter().for_each(|record| _ = fold.fold(record));
        let mut written = Vec::new();
        ciborium::into_writer(&fold, &mut written).expect("written");
        let mut fold: Fold<Rollback> = ciborium::from_reader(written.as_slice()).expect("read");
        story.log[cut..].iter().for_each(|record| _ = fold.fold(record));
        assert!(fold == story.fold, "cut after {cut} records");
    }
}

#[test]
fn a_quiet_agent_takes_at_most_a_kibibyte() {
    const AGENTS: i64 = 10_000;
    const SESSIONS: i64 = 20;
    let mut fold = Fold::<Rollback>::new(Partition(0));
    let mut offset = 0;
    let mut tellers: Vec<kit::Teller> = (0..AGENTS).map(|agent| kit::Teller::new(&format!("agent-{agent:05}"))).collect();
    for session in 0..SESSIONS {
        for (agent, teller) in tellers.iter_mut().enumerate() {
            let at = s(session * 600 + agent as i64 % 600);
            let id = format!("agent-{agent}-session-{session}");
            let version = if session < 10 { "v1" } else { "v2" };
            for body in [Body::from(facts::started(version, None)), facts::outcome(Some(true)).into()] {
                let event = teller.tell(at, Some(&id), body);
                fold.fold(&Record { partition: Partition(0), offset: Offset(offset), appended: at, event });
                offset += 1;
            }
        }
    }
    let mut written = Vec::new();
    ciborium::into_writer(fold.machine(), &mut written).expect("written");
    println!("{} bytes per agent, of {AGENTS} with {SESSIONS} finished sessions each", written.len() as i64 / AGENTS);
    assert!(written.len() as i64 <= AGENTS << 10, "{} bytes per agent", written.len() as i64 / AGENTS);
}

#[test]
fn an_agent_of_many_long_names_stays_within_its_bound() {
    let mut story = Story::enforced();
    for number in 0..200 {
        let version = format!("{number:0>200}");
        let mut deployed = facts::deployed(&version);
        deployed.layers.prompt = Some("p".repeat(256));
        story.fact(number * 40, deployed);
        (0..100).for_each(|session| story.session(number * 40 + 1, &format!("{number}-{session}"), &version));
        let incident = format!("incident-{number}");
        story.opened_as(number * 40 + 2, &incident, Level::P1, None);
    }
    let mut written = Vec::new();
    ciborium::into_writer(story.fold.machine(), &mut written).expect("written");
    let bound = <Rollback as machine::Machine>::BYTES_PER_AGENT_MAX;
    assert!(written.len() <= bound, "{} of {bound} bytes", written.len());
    assert!(story.log.iter().filter(|record| matches!(record.body, Body::RollbackOrdered(_))).count() > 10);
}
