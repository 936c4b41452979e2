use super::*;

fn read(line: &str) -> Result<Session, Fault> {
    let place = Place { file: "s.jsonl".into(), line: 7, turn: None };
    session(&Line { place, bytes: line.as_bytes().to_vec() }, "task_id")
}

#[test]
fn a_session_that_tells_nothing_but_its_id_is_a_session() {
    assert_eq!(read(r#"{"session_id": "a"}"#), Ok(Session { id: "a".to_owned(), ..Session::default() }));
}

#[test]
fn null_and_an_empty_name_are_as_good_as_absent() {
    let line = r#"{"session_id": "a", "started_at": null, "termination_reason": "", "outcome": {"success": null}, "turns": []}"#;
    assert_eq!(read(line), Ok(Session { id: "a".to_owned(), ..Session::default() }));
}

#[test]
fn a_naive_time_is_utc_and_an_offset_is_obeyed() {
    let session = read(r#"{"session_id": "a", "started_at": "2025-08-01T16:23:24.895557", "ended_at": "2025-08-01T18:23:25+02:00"}"#);
    let session = session.expect("well formed");
    assert_eq!(session.started_at, Timestamp::parse("2025-08-01T16:23:24.895557Z"));
    assert_eq!(session.ended_at, Timestamp::parse("2025-08-01T16:23:25Z"));
}

#[test]
fn a_fault_names_file_line_turn_and_field() {
    let cases = [
        (r#"{"domain": "x"}"#, "s.jsonl, line 7, field session_id: it is missing"),
        (r#"[1]"#, "s.jsonl, line 7: the line is no JSON object"),
        (r#"{"session_id": []}"#, "s.jsonl, line 7, field session_id: it is no text"),
        (r#"{"session_id": "a", "started_at": "soon"}"#, "s.jsonl, line 7, field started_at: `soon` is no ISO 8601 time"),
        (r#"{"session_id": "a", "outcome": {"success": 1}}"#, "s.jsonl, line 7, field success: it is neither true nor false"),
        (r#"{"session_id": "a", "turns": [{"i": 4}]}"#, "s.jsonl, line 7, turn 4, field kind: it is missing"),
        (
            r#"{"session_id": "a", "turns": [{"i": 4, "kind": "message", "role": "agent", "tokens_in": 1.5}]}"#,
            "s.jsonl, line 7, turn 4, field tokens_in: it is no whole number",
        ),
        (
            r#"{"session_id": "a", "turns": [{"kind": "message", "role": "agent"}, {"i": 0, "kind": "message", "role": "agent"}]}"#,
            "s.jsonl, line 7, turn 0, field i: another turn of the session has the same index",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(read(line).expect_err(line).to_string(), expected);
    }
}

#[test]
fn a_result_without_a_caller_is_that_of_the_last_call_with_its_id() {
    let session = read(
        r#"{"session_id": "a", "turns": [
            {"kind": "tool_call", "role": "agent", "tool_name": "t", "call_id": "1"},
            {"kind": "tool_call", "role": "user", "tool_name": "t", "call_id": "1"},
            {"kind": "tool_result", "role": "tool", "call_id": "1"},
            {"kind": "tool_result", "role": "tool", "call_id": "2"}]}"#,
    );
    let by = |turn: &Turn| match turn.act {
        Act::ToolResult { by, .. } => Some(by),
        _ => None,
    };
    let callers: Vec<_> = session.expect("well formed").turns.iter().filter_map(by).collect();
    assert_eq!(callers, [Role::User, Role::Other]);
}

#[test]
fn a_turn_that_spent_nothing_is_no_model_call() {
    let session = read(r#"{"session_id": "a", "turns": [{"kind": "message", "role": "user", "text": ""}]}"#).expect("well formed");
    assert_eq!(session.turns[0].spent, None);
    let session = read(r#"{"session_id": "a", "turns": [{"kind": "message", "role": "user", "cost_usd": 0.0}]}"#).expect("well formed");
    assert_eq!(session.turns[0].spent, Some(Spent { cost_usd: Some(0.0), ..Spent::default() }));
}
