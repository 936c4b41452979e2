//! Files that nobody recorded well: what is absent is taken, what is malformed is refused with its place.

use std::path::Path;

use serde_json::{Value, json};

use crate::ground::{fail, folder, import, json, kpis, tail};

#[test]
fn a_fault_is_told_with_line_turn_and_field_and_nothing_of_the_file_is_published() {
    let data = folder();
    let fine = session("a", json!([{"kind": "message", "role": "user", "text": "hello"}]));
    let cases = [
        (session("b", json!([{"i": 3, "kind": "message", "role": "robot"}])), "line 2, turn 3, field role: `robot` is no role"),
        (session("b", json!([{"kind": "tool_call", "role": "agent"}])), "line 2, turn 0, field tool_name: it is missing"),
        (session("b", json!([{"kind": "message", "role": "agent", "tokens_in": -1}])), "data.tokens_in is -1"),
        (json!({"session_id": "b"}), "line 2, field domain: it is missing"),
        (json!({"domain": "travel"}), "line 2, field session_id: it is missing"),
        (json!("no session"), "line 2: the line is no JSON object"),
    ];
    for (bad, expected) in cases {
        let file = plain(data.path(), &[&fine, &bad]);
        let said = fail(&mut import(&data.path().join("log"), &[&file], &[]), 65);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!data.path().join("log").join("log.redb").exists(), "a file with a fault leaves nothing behind");
    }
}

#[test]
fn with_skip_bad_the_sessions_with_a_fault_are_listed_and_the_others_imported() {
    let data = folder();
    let log = data.path().join("log");
    let file = plain(
        data.path(),
        &[&session("a", json!([])), &json!({"session_id": 7, "domain": "travel", "turns": 3}), &session("c", json!([]))],
    );
    let report = json(&mut import(&log, &[&file], &["--skip-bad"]));
    assert_eq!((&report["sessions"], &report["left_out"]), (&json!(2), &json!(1)));
    assert!(report["faults"][0].as_str().is_some_and(|fault| fault.ends_with("line 2, field turns: it is no list")), "{report}");
    assert_eq!(kpis(&log)["sessions"], json!(2));
}

#[test]
fn the_same_session_with_another_content_is_refused() {
    let data = folder();
    let log = data.path().join("log");
    let said = |text: &str| session("a", json!([{"kind": "message", "role": "user", "text": text}]));
    json(&mut import(&log, &[&plain(data.path(), &[&said("one thing")])], &[]));
    let other = plain(data.path(), &[&said("another thing"), &session("b", json!([]))]);
    let refusal = fail(&mut import(&log, &[&other], &[]), 65);
    assert!(refusal.contains("line 1, turn 0: the log holds this message.posted with another content"), "{refusal}");

    let report = json(&mut import(&log, &[&other], &["--skip-bad"]));
    assert_eq!((&report["left_out"], &kpis(&log)["sessions"]), (&json!(1), &json!(2)));
}

#[test]
fn a_baseline_that_served_nobody_is_refused() {
    let data = folder();
    let file = plain(data.path(), &[&session("a", json!([]))]);
    let said = fail(&mut import(&data.path().join("log"), &[&file], &["--baseline", "v9"]), 65);
    assert!(said.contains("v9 served no agent in these files"), "{said}");
}

#[test]
fn a_file_that_is_not_there_or_not_whole_says_so() {
    let data = folder();
    let log = data.path().join("log");
    fail(&mut import(&log, &[&data.path().join("nowhere.jsonl")], &[]), 66);
    let broken = data.path().join("broken.jsonl.gz");
    std::fs::write(&broken, b"this is no gzip").expect("writable");
    fail(&mut import(&log, &[&broken], &[]), 65);
}

#[test]
fn what_has_no_time_keeps_its_order_and_moves_no_clock() {
    let data = folder();
    let log = data.path().join("log");
    let mut dated = session("dated", json!([{"kind": "message", "role": "user", "ts": "2025-08-01T16:23:30.5"}]));
    dated["started_at"] = json!("2025-08-01T16:23:24.895557");
    dated["ended_at"] = json!("2025-08-01T16:24:03.637501");
    let file = plain(data.path(), &[&session("z", json!([])), &dated, &session("y", json!([]))]);
    json(&mut import(&log, &[&file], &[]));

    let started = tail(&log, &["session.started"]);
    let told: Vec<_> = started.iter().map(|event| (event["subject"].as_str(), event["time"].as_str())).collect();
    assert_eq!(told, [(Some("dated"), Some("2025-08-01T16:23:24.895557Z")), (Some("z"), None), (Some("y"), None)]);
    assert_eq!(started[0]["recordedtime"], started[0]["time"], "the log lives in the recording's time");
    let last = tail(&log, &["session.ended"])[0]["recordedtime"].clone();
    assert_eq!(last, json!("2025-08-01T16:24:03.637501Z"));
    assert!(started[1..].iter().all(|event| event["recordedtime"] == last), "undated facts are appended at the log's time: {started:?}");
    assert_eq!(kpis(&log)["duration_s"], json!({"n": 1, "p50": 38.741944, "p95": 38.741944}));
}

#[test]
fn what_nobody_told_is_neither_a_success_nor_a_failure_nor_zero() {
    let data = folder();
    let log = data.path().join("log");
    let silent = |id: &str, outcome: Value| {
        let mut silent = session(id, json!([{"kind": "message", "role": "user"}]));
        silent["outcome"] = outcome;
        silent
    };
    let file =
        plain(data.path(), &[&session("told", json!([])), &silent("null", json!({"success": null})), &silent("absent", json!(null))]);
    json(&mut import(&log, &[&file], &[]));
    let figures = kpis(&log);
    assert_eq!((&figures["sessions"], &figures["success"], &figures["failure"]), (&json!(3), &json!(1), &json!(0)), "{figures}");
    for figure in ["tokens_in", "tokens_out", "cost_usd", "tool_errors"] {
        assert_eq!(figures[figure], Value::Null, "{figure}");
    }
}

fn session(id: &str, turns: Value) -> Value {
    json!({"session_id": id, "source": "by hand", "domain": "travel", "agent_model": "v1", "turns": turns, "outcome": {"success": true}})
}

/// A file of these lines, not gzipped.
fn plain(folder: &Path, lines: &[&Value]) -> std::path::PathBuf {
    let path = folder.join("sessions.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, text).expect("the test's folder is writable");
    path
}
