//! Lives in which little by little something goes wrong, so that the slow detectors of the incident room have work.

use std::collections::BTreeSet;

use incident::Incident;
use kit::facts::{self, Teller};
use kit::lives::BIRTH;
use machine::laws::{Life, Schedule, live};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wire::{
    AgentId, Basis, Body, EscalationRaised, Event, Level, ModelCalled, NoteAction, Offset, PolicyAdopted, RoomWatermark, Timestamp,
    ToolReturned,
};

/// Under this policy little is needed for a P3, and little ends it.
const POLICY: &str = r#"{"drift_baseline": 30, "drift_run_length": 1000, "drop_share": 0.5, "loop_calls": 3, "signature_history": 100,
    "signature_block": 20, "signature_frequent": 3, "signature_rare": 0.1, "sustain_s": 60, "sustain_sessions": 2,
    "tickets": [{"factor": 1, "long_s": 3600, "short_s": 600}], "ticket_margin_sd": 1,
    "facts_min": 10, "bad_min": 2, "bad_short_min": 1, "slow_ms": 2000, "objectives": {"success": 0.95, "slowness": 0.95},
    "harm_quiet_s": 60, "harm_facts": 3, "harm_sessions": 1}"#;

/// The same, with nobody who asks for success: what fails more often is told by drift alone.
const UNASKED: &str = r#""objectives": {"success": null, "slowness": null}"#;

/// Two agents of which the first is busier.
const AGENTS: [&str; 2] = ["billing", "travel"];

/// What a life is troubled by, from its begin or from its middle on.
#[derive(Clone, Debug)]
struct Trouble {
    /// Calls of tools, of models, sessions, and the time of calls are bad now and then.
    now_and_then: [bool; 4],
    /// Sessions take longer, take more tokens, fail, call for a human, and meet a failure that nobody knew.
    later: [bool; 5],
    loops: bool,
    asks_for_success: bool,
    beats: bool,
    /// So many incidents are resolved by a person, so many seconds after they opened.
    resolves: usize,
    resolves_after_s: i64,
}

/// One session.
#[derive(Clone, Debug)]
struct Session {
    agent: usize,
    after_s: i64,
    latency_ms: f64,
    calls: usize,
    /// Of a call of a tool, of the model, of the session, and of its time: bad if it is a life in which that happens.
    bad: [bool; 4],
    raised: bool,
    /// The escalation room looked.
    looked: bool,
    /// The platform sent a heartbeat.
    beat: bool,
    /// It never ends.
    open: bool,
}

/// Two agents whose sessions may become slower and worse half way, with an escalation room and a person beside them.
pub(super) fn lives() -> impl Strategy<Value = Life> {
    (trouble(), prop::collection::vec(session(), 60..140)).prop_map(|(trouble, sessions)| {
        (0..trouble.resolves).fold(told(&trouble, &sessions), |life, number| resolved(life, number, trouble.resolves_after_s))
    })
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let often = || prop::bool::weighted(0.3);
    let now_and_then = [often(), often(), often(), often()];
    let later = [often(), often(), often(), often(), often()];
    (now_and_then, later, often(), any::<bool>(), often(), 0..3_usize, 1..900_i64).prop_map(
        |(now_and_then, later, loops, asks_for_success, beats, resolves, resolves_after_s)| Trouble {
            now_and_then,
            later,
            loops,
            asks_for_success,
            beats,
            resolves,
            resolves_after_s,
        },
    )
}

fn session() -> impl Strategy<Value = Session> {
    let odds = prop::bool::weighted;
    let bad = [odds(0.12), odds(0.12), odds(0.12), odds(0.12)];
    let rest = (odds(0.1), odds(0.1), odds(0.4), odds(0.05));
    (odds(0.2), 0..90_i64, 500.0..1_500.0_f64, 0..5_usize, bad, rest).prop_map(
        |(agent, after_s, latency_ms, calls, bad, (raised, looked, beat, open))| Session {
            agent: usize::from(agent),
            after_s,
            latency_ms,
            calls,
            bad,
            raised,
            looked,
            beat,
            open,
        },
    )
}

fn told(trouble: &Trouble, sessions: &[Session]) -> Life {
    let mut platforms = AGENTS.map(Teller::new);
    let mut escalation = Teller::new("escalation");
    let mut now = BIRTH;
    let mut life = vec![(now, Teller::person("ann", "incident").tell(now, None, policy(trouble.asks_for_success)))];
    life.push((now, watermark(&mut escalation, now)));
    for (number, session) in sessions.iter().enumerate() {
        let is_later = number > sessions.len() / 2;
        let [slower, dearer, failing, escalating, unknown] = trouble.later.map(|later| later && is_later);
        let bad = |signal: usize| trouble.now_and_then[signal] && session.bad[signal];
        let id = format!("s-{number}");
        let platform = &mut platforms[session.agent];
        now = now.plus_s(1 + session.after_s);
        let mut tell = |body: Body| life.push((now, platform.tell(now, Some(&id), body)));
        tell(facts::started("v1", None).into());
        for call in 0..session.calls {
            let arguments = if trouble.loops { "{}".to_owned() } else { format!("{{\"call\":{call}}}") };
            tell(facts::tool_called("lookup", Some(&arguments)).into());
            let error = if unknown && number.is_multiple_of(2) { Some("quota") } else { bad(0).then_some("timeout") };
            tell(ToolReturned { error: error.map(str::to_owned), ..facts::tool_returned(Some(error.is_some())) }.into());
        }
        let latency_ms = if bad(3) { 4_000.0 } else { session.latency_ms * if slower { 8.0 } else { 1.0 } };
        let tokens_in = Some(session.latency_ms as i64 * if dearer { 8 } else { 1 });
        let called = facts::model_called(Some(bad(1)));
        tell(ModelCalled { latency_ms: Some(latency_ms), tokens_in, tokens_out: Some(9), ..called }.into());
        if session.raised || escalating {
            life.push((now, escalated(&mut escalation, session.agent, &id, now)));
        }
        let mut tell = |session: Option<&str>, body: Body| life.push((now, platform.tell(now, session, body)));
        tell(Some(&id), facts::outcome(Some(!(bad(2) || failing && session.bad != [false; 4]))).into());
        if !session.open {
            tell(Some(&id), facts::ended().into());
        }
        if trouble.beats && session.beat {
            tell(None, facts::heartbeat(60, None).into());
        }
        if session.looked {
            life.push((now, watermark(&mut escalation, now)));
        }
    }
    life
}

/// A life in which a person resolves the incident that opened as the `number`th, if there is one.
fn resolved(mut life: Life, number: usize, after_s: i64) -> Life {
    let lived = live::<Incident>(&life, Schedule::PROMPT).expect("a life is lived to its end");
    let mut opened = lived.log.iter().filter_map(|record| match &record.body {
        Body::IncidentOpened(opened) => Some((record.appended.plus_s(after_s), opened)),
        _ => None,
    });
    let Some((at, opened)) = opened.nth(number) else { return life };
    let mut person = Teller::person(&format!("ines-{number}"), opened.agent_id.as_str());
    let note = person.tell(at, None, facts::noted(opened.incident_id.as_str(), NoteAction::Resolve));
    let place = life.iter().position(|(time, _)| *time > at).unwrap_or(life.len());
    life.insert(place, (at, note));
    life
}

/// Over these lives every P3 rule opens an incident, and a drift of success becomes a drop: else a law that holds over them
/// says nothing of it.
#[test]
fn every_p3_rule_opens_an_incident_in_some_of_these_lives_and_success_drops_in_some() {
    const LIVES: usize = 160;
    const RULES: [&str; 11] = [
        "drift_escalation",
        "drift_latency",
        "drift_outcome",
        "drift_tokens",
        "drop",
        "loop",
        "signature",
        "ticket_model",
        "ticket_slowness",
        "ticket_success",
        "ticket_tool",
    ];
    let mut runner = TestRunner::deterministic();
    let mut opened = BTreeSet::new();
    for _ in 0..LIVES {
        let life = lives().new_tree(&mut runner).expect("a life").current();
        let lived = live::<Incident>(&life, Schedule::PROMPT).expect("it is lived to its end");
        let rules = lived.log.into_iter().filter_map(|record| match record.event.body {
            Body::IncidentOpened(opened) if opened.level == Level::P3 => Some(opened.basis.rule),
            Body::IncidentAggravated(worse) if worse.basis.rule == "drop" => Some(worse.basis.rule),
            _ => None,
        });
        opened.extend(rules);
    }
    assert_eq!(opened.iter().map(String::as_str).collect::<Vec<_>>(), RULES);
}

fn policy(asks_for_success: bool) -> PolicyAdopted {
    let asked = r#""objectives": {"success": 0.95, "slowness": 0.95}"#;
    let document = if asks_for_success { POLICY.to_owned() } else { POLICY.replace(asked, UNASKED) };
    let (room, version, author, reason) = ["incident", "slow", "ann", "by agreement"].map(str::to_owned).into();
    PolicyAdopted { room, version, document, author, reason }
}

fn escalated(escalation: &mut Teller, agent: usize, session: &str, now: Timestamp) -> Event {
    let body = EscalationRaised {
        agent_id: AGENTS[agent].into(),
        escalation_id: format!("escalation of {session}"),
        session_id: session.into(),
        priority: 2,
        trigger: "sentiment".to_owned(),
        route: "default".to_owned(),
        due_at: now.plus_s(600),
        summary: "it needs a human".to_owned(),
        basis: basis(now),
        sla_s: None,
        from_priority: None,
        target_kind: None,
        target: None,
        topic: None,
        sentiment: None,
        confidence: None,
        steps: None,
        systems: None,
        retries: None,
        failures: None,
        threshold: None,
    };
    Event { key: AgentId::from(AGENTS[agent]), source: "/reeve/escalation".into(), ..escalation.tell(now, Some(session), body) }
}

/// The escalation room has looked at everything before.
fn watermark(escalation: &mut Teller, now: Timestamp) -> Event {
    let body = RoomWatermark { room: "escalation".to_owned(), partition: 0, basis: basis(now) };
    Event { source: "/reeve/escalation".into(), ..escalation.tell(now, None, body) }
}

fn basis(now: Timestamp) -> Basis {
    let (rule, policy) = ("sentiment".to_owned(), "default".to_owned());
    Basis { asof: Offset(1 << 40), now, rule, policy, causes: Vec::new(), accountable: "operations".to_owned() }
}
