//! What an agent may take of the room at the worst.

use escalation::Escalation;
use kit::facts;
use machine::Machine;
use wire::{MessagePosted, Role, SessionStarted};

use crate::desk::Desk;

/// As [`Escalation`] documents it.
const SESSIONS_MAX: usize = 8_192;
const OPEN_MAX: usize = 1_024;

#[test]
fn the_worst_session_the_worst_escalation_and_the_worst_debts_fit_their_share() {
    let long = "x".repeat(256);
    let name = |at: usize| format!("{at:03}{}", "x".repeat(253));
    let state = |sessions: usize, angry: bool| {
        let mut desk = Desk::new();
        for at in 0..sessions {
            let id = name(at);
            let started = SessionStarted { channel: Some(long.clone()), ..facts::started("v1", Some(&long)) };
            desk.tell_of(&id, started);
            desk.tell_of(&id, MessagePosted { role: Role::User, ..facts::felt(Some(0.5), Some(&long)) });
            for tool in 0..40 {
                desk.tell_of(&id, facts::tool_returned(Some(tool % 3 == 0)));
                desk.tell_of(&id, facts::tool_called(&format!("tool-{tool}"), None));
                desk.tell_of(&id, facts::tool_returned(Some(false)));
            }
            if angry {
                desk.tell_of(&id, facts::finding("leak"));
            }
        }
        let mut bytes = Vec::new();
        ciborium::into_writer(desk.fold().machine(), &mut bytes).expect("plain values");
        bytes.len()
    };
    let session = state(3, false) - state(2, false);
    let escalated = state(3, true) - state(2, true);
    // Three debts at most wait for each escalation: a call, its lateness and its end, each smaller than its basis with
    // eight causes of 256 bytes, two ids and a sentence, written as numbers of two bytes.
    let debt = 2 * (8 * 260 + 6 * 260 + 1_024);
    let worst = SESSIONS_MAX * session + OPEN_MAX * (escalated - session + 8 * 260 + 3 * debt);
    assert!(worst <= Escalation::BYTES_PER_AGENT_MAX, "{session} and {escalated} bytes a session: {worst} in all");
    assert!(worst > Escalation::BYTES_PER_AGENT_MAX / 4, "the bound says little: {worst}");
}

#[test]
fn a_quiet_agent_takes_little() {
    let mut desk = Desk::new();
    for at in 0..20 {
        let id = format!("session-{at}");
        desk.tell_of(&id, facts::started("v1", None)).tell_of(&id, facts::felt(Some(0.1), None)).tell_of(&id, facts::ended());
    }
    desk.pass(1_000);
    desk.tell_of("last", facts::started("v1", None)).tell_of("last", facts::ended());
    let with = desk.fold();
    let (mut full, mut empty) = (Vec::new(), Vec::new());
    ciborium::into_writer(with.machine(), &mut full).expect("plain values");
    ciborium::into_writer(&Escalation::default(), &mut empty).expect("plain values");
    assert!(full.len() - empty.len() < 1_024, "{} bytes", full.len() - empty.len());
}

#[test]
fn beyond_the_bound_the_session_that_was_silent_for_longest_is_forgotten_unless_a_human_is_called_for() {
    let mut desk = Desk::new();
    desk.tell_of("called", facts::felt(Some(-1.0), None)).tell_of("first", facts::felt(Some(-0.3), None));
    (0..SESSIONS_MAX).for_each(|at| {
        desk.tell_of(&format!("{at}"), facts::decided(None));
    });
    desk.tell_of("first", facts::felt(Some(-0.45), None));
    assert_eq!(desk.raised().len(), 2, "what it had felt before is forgotten, and the trend begins at this turn");
    assert_eq!(desk.last().sentiment, Some(-0.45));
    let id = desk.raised()[0].escalation_id.clone();
    desk.word(facts::claimed(&id, "ann"));
    assert_eq!(desk.standing("session called").state, "taken");
}

#[test]
fn a_session_that_falls_silent_is_forgotten() {
    let mut desk = Desk::under(r#"{"idle_s": 60}"#);
    desk.feels(-0.39);
    desk.pass(61);
    desk.feels(-0.41);
    assert_eq!(desk.last().sentiment, Some(-0.41));
}
