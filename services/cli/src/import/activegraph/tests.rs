use wire::{Body, Role};

use super::*;

#[test]
fn a_session_is_told_by_its_line_and_what_it_did_by_its_events() {
    let facts = session(&[&run()[..], &[line()]].concat()).expect("it is well");
    let kinds: Vec<_> = facts.iter().map(|fact| fact.event.body.kind().name()).collect();
    let expected = [
        "session.started",
        "message.posted",
        "model.called",
        "message.posted",
        "model.called",
        "tool.called",
        "tool.returned",
        "outcome.reported",
        "session.ended",
    ];
    assert_eq!(kinds, expected);
    let Body::SessionStarted(started) = &facts[0].event.body else { panic!("{facts:?}") };
    assert_eq!((started.version.clone(), started.segment.clone()), (Some("gpt".into()), Some("7".into())));
    assert_eq!(facts[0].event.time, Timestamp::parse("2026-05-31T15:00:00Z"), "a naive time is read in its zone");
    assert_eq!(facts[0].event.subject, Some("s-1".into()));
    assert_eq!(facts[0].event.key.as_str(), "mock");
}

#[test]
fn a_models_answer_carries_what_it_took_and_whose_it_was() {
    let facts = session(&[&run()[..], &[line()]].concat()).expect("it is well");
    let Body::ModelCalled(user) = &facts[2].event.body else { panic!("{facts:?}") };
    assert_eq!((user.by, user.tokens_in, user.tokens_out, user.cost_usd), (Role::User, Some(9), Some(3), Some(0.5)));
    assert_eq!((user.latency_ms, user.turn), (None, Some(0)));
    let Body::ModelCalled(agent) = &facts[4].event.body else { panic!("{facts:?}") };
    assert_eq!((agent.by, agent.tokens_in, agent.tokens_out, agent.latency_ms), (Role::Agent, Some(40), Some(1), Some(1500.0)));
    assert_eq!((agent.served_model.as_deref(), agent.finish_reason.as_deref()), (Some("gpt-x"), Some("tool_calls")));
}

#[test]
fn a_result_names_the_call_that_it_answers_and_its_tool() {
    let facts = session(&[&run()[..], &[line()]].concat()).expect("it is well");
    let Body::ToolReturned(returned) = &facts[6].event.body else { panic!("{facts:?}") };
    assert_eq!((returned.tool.as_deref(), returned.call_id.as_deref()), (Some("look"), Some("c-1")));
    assert_eq!((returned.by, returned.failed, returned.turn), (Role::Agent, Some(true), Some(1)));
}

#[test]
fn results_that_are_observed_at_once_are_facts_of_their_own() {
    let both = json!({ "role": "tool", "tool_messages": [
        {"role": "tool", "id": "c-1", "requestor": "assistant", "content": "a", "error": false},
        {"role": "tool", "id": "c-2", "requestor": "user", "content": "b", "error": null},
    ]});
    let observed = event(8, "message_observed", Some(1), json!({ "message": { "raw": both } }));
    let facts = session(&[&run()[..5], &[observed, line()]].concat()).expect("it is well");
    let returned: Vec<_> = facts
        .iter()
        .filter_map(|fact| match &fact.event.body {
            Body::ToolReturned(returned) => Some((returned.call_id.clone(), returned.by, returned.failed, fact.event.id.clone())),
            _ => None,
        })
        .collect();
    let [one, other] = &returned[..] else { panic!("two results: {facts:?}") };
    assert_eq!((one.0.as_deref(), one.1, one.2), (Some("c-1"), Role::Agent, Some(false)));
    assert_eq!((other.0.as_deref(), other.1, other.2), (Some("c-2"), Role::User, None));
    assert_ne!(one.3, other.3);
}

#[test]
fn the_order_of_lines_changes_no_fact() {
    let mut lines = [&run()[..], &[line()]].concat();
    let told = session(&lines).expect("it is well");
    lines.reverse();
    let events = |facts: &[Fact]| facts.iter().map(|fact| fact.event.clone()).collect::<Vec<_>>();
    assert_eq!(events(&session(&lines).expect("it is well")), events(&told));
}

#[test]
fn without_its_line_a_session_is_told_by_its_events_alone() {
    let mut lines = run();
    lines.insert(0, event(0, "simulation_start", None, json!({ "domain": "shop" })));
    lines.push(event(9, "orchestrator_run_end", None, json!({})));
    lines.push(event(10, "evaluation_end", None, json!({ "reward": 0.25 })));
    lines.push(event(11, "simulation_end", None, json!({ "termination_reason": "user_stop" })));
    let facts = session(&lines).expect("it is well");
    assert_eq!(facts[0].event.key.as_str(), "shop");
    let [.., outcome, ended] = &facts[..] else { panic!("{facts:?}") };
    assert!(matches!(&outcome.event.body, Body::OutcomeReported(told) if told.success == Some(false)), "a part of a reward is no success");
    assert!(matches!(&ended.event.body, Body::SessionEnded(told) if told.reason.as_deref() == Some("user_stop")));
    assert_eq!(ended.event.time, Timestamp::parse("2026-05-31T15:00:08Z"));
}

#[test]
fn a_session_without_a_reward_has_no_outcome() {
    let mut silent = line();
    silent["reward"] = Value::Null;
    let facts = session(&[&run()[..], &[silent]].concat()).expect("it is well");
    assert!(facts.iter().all(|fact| fact.event.body.kind() != Kind::OutcomeReported), "{facts:?}");
}

#[test]
fn events_that_no_kind_tells_are_counted_by_type_known_or_not() {
    let more = [event(12, "turn_end", Some(1), json!({})), event(13, "turn_end", Some(1), json!({})), event(14, "aurora", None, json!({}))];
    let graph = graph(&[&run()[..], &more].concat()).expect("it is well");
    assert_eq!(graph.passed_over(), BTreeMap::from([("aurora".to_owned(), 1), ("turn_end".to_owned(), 2)]));
}

#[test]
fn a_fault_names_line_field_and_limit_and_takes_its_session_with_it() {
    let with = |position: usize, change: fn(&mut Value)| {
        let mut lines = [&run()[..], &[line()]].concat();
        change(&mut lines[position]);
        lines
    };
    let cases = [
        (with(2, |event| event["timestamp"] = json!(null)), "line 3, field timestamp: it is missing"),
        (
            with(2, |event| event["timestamp"] = json!("2026-05-31T15:00:00+99:00")),
            "line 3, field timestamp: `2026-05-31T15:00:00+99:00` is no",
        ),
        (with(2, |event| event["parent_event_id"] = json!("rt-999")), "line 3, field parent_event_id: `rt-999` is no event of its run"),
        (with(2, |event| event["event_id"] = json!("rt-001")), "line 3, field event_id: line 1 has the same one in the same run"),
        (with(2, |event| event["payload"] = json!({})), "line 3, field runtime_trace: it is missing"),
        (
            with(2, |event| event["payload"]["runtime_trace"]["message"]["raw"]["usage"]["prompt_tokens"] = json!(-1)),
            "line 3: model.called is refused: data.tokens_in is -1",
        ),
        (
            with(0, |event| event["event_type"] = json!("unheard_of")),
            "line 2, field task_id: no orchestrator_run_start of its run and task comes before it",
        ),
        (with(6, |line| line["reward"] = json!(1.5)), "line 7, field reward: it is 1.5; 0 to 1 are taken"),
        (with(6, |line| line["domain"] = json!(null)), "line 7, field domain: it is missing; name the agent with --agent"),
        (
            with(6, |line| line["started_at"] = json!("2026-05-31T15:00:00")),
            "line 7, field started_at: it is 2026-05-31T22:00:00.000000Z, but its events say 2026-05-31T15:00:01.000000Z, more than 300 s away: is --tz",
        ),
        (
            with(6, |line| line["ended_at"] = json!("2026-05-31T07:00:00")),
            "line 7, field ended_at: it is 2026-05-31T14:00:00.000000Z, but its events say",
        ),
    ];
    for (lines, expected) in cases {
        let fault = session(&lines).expect_err(expected).to_string();
        assert!(fault.contains(expected), "{expected}: {fault}");
    }
}

#[test]
fn a_naive_time_without_a_zone_is_a_fault_of_its_line() {
    let mut graph = Graph::new(None, Naming::default());
    for (line, value) in (1..).zip([&run()[..], &[line()]].concat()) {
        graph.line(&placed(line, &value)).expect("a fault of a session is kept for it");
    }
    let told = graph.sessions();
    let [Err(fault)] = &told[..] else { panic!("one session with a fault: {told:?}") };
    assert!(fault.to_string().contains("line 7, field started_at: `2026-05-31T08:00:00` has no offset; name the zone"), "{fault}");
}

#[test]
fn a_line_that_is_neither_event_nor_session_says_so() {
    let fault = graph(&[json!({"ts": 1})]).err().expect("it is neither").to_string();
    assert_eq!(fault, "e.jsonl, line 1, field event_id: it is missing, and session_id too: the line is neither an event nor a session");
}

/// The one session of these lines.
fn session(lines: &[Value]) -> Result<Vec<Fact>, Fault> {
    let mut told = graph(lines)?.sessions();
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn graph(lines: &[Value]) -> Result<Graph, Fault> {
    let zone = Zone::parse("America/Los_Angeles").expect("it is a zone");
    let mut graph = Graph::new(Some(zone), Naming::default());
    for (number, value) in (1..).zip(lines) {
        graph.line(&placed(number, value))?;
    }
    Ok(graph)
}

fn placed(line: usize, value: &Value) -> Line {
    Line { place: Place { file: "e.jsonl".into(), line, turn: None }, bytes: value.to_string().into_bytes() }
}

/// The events of a session: a greeting, a user's answer, a call and its failure.
fn run() -> Vec<Value> {
    let answer = |role: &str, content: Value, took: (i64, i64), seconds: Value, finish: &str| {
        json!({ "message": { "raw": {
            "role": role, "content": content, "cost": 0.5, "generation_time_seconds": seconds,
            "usage": { "prompt_tokens": took.0, "completion_tokens": took.1 },
            "raw_data": { "model": "gpt-x", "choices": [{ "finish_reason": finish }] },
        }}})
    };
    let call = json!({ "tool_call": { "id": "c-1", "name": "look", "arguments": {"at": 1}, "requestor": "assistant" } });
    let result = json!({ "message": { "raw": { "role": "tool", "id": "c-1", "requestor": "assistant", "content": "no", "error": true } } });
    vec![
        event(1, "orchestrator_run_start", None, json!({ "simulation_id": "s-1" })),
        event(2, "turn_start", Some(0), json!({ "message": { "raw": { "role": "assistant", "content": "Hi!", "usage": null } } })),
        event(3, "user_response", Some(0), answer("user", json!("help"), (9, 3), json!(null), "stop")),
        event(4, "agent_response", Some(1), answer("assistant", json!(null), (40, 1), json!(1.5), "tool_calls")),
        event(5, "tool_call_requested", Some(1), call),
        event(6, "message_observed", Some(1), result),
    ]
}

fn event(number: i64, kind: &str, turn: Option<i64>, trace: Value) -> Value {
    let parent = (number > 1).then_some("rt-001");
    json!({
        "event_id": format!("rt-{number:03}"), "event_type": kind, "run_id": "r-1", "task_id": 7, "turn_index": turn,
        "parent_event_id": parent, "timestamp": format!("2026-05-31T15:00:{:02}+00:00", (number - 1).max(0)),
        "payload": { "runtime_trace": trace },
    })
}

fn line() -> Value {
    json!({
        "run": "r-1", "session_id": "s-1", "task_id": 7, "agent_model": "gpt", "domain": "mock", "reward": 1.0,
        "started_at": "2026-05-31T08:00:00", "ended_at": "2026-05-31T08:00:20", "termination_reason": "user_stop",
    })
}
