//! An event log with its sessions: each session with all that it did, at the same moment by both clocks, once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{calls_on_the_log, count};
use crate::ground::{fail, folder, import, json, kpis, moment, reeve, say, succeed, tail};
use crate::{killed, recordings};

/// How the sessions' clock was set.
const OPTIONS: [&str; 4] = ["--format", "activegraph", "--tz", "America/Los_Angeles"];
/// Types of events that a fact or a session takes up whenever they occur; beside them the first turn of a session.
const TOLD: [&str; 9] = [
    "agent_response",
    "evaluation_end",
    "message_observed",
    "orchestrator_run_end",
    "orchestrator_run_start",
    "simulation_end",
    "simulation_start",
    "tool_call_requested",
    "user_response",
];
/// How far the sessions' own stopwatch may be from their clock, in seconds.
const STOPWATCH_TOLERANCE_S: f64 = 0.01;
/// How far a cost may be from the recorded one, in dollars.
const COST_TOLERANCE_USD: f64 = 1e-6;

/// The files, and what they hold.
struct Files {
    paths: [PathBuf; 2],
    events: Vec<Value>,
    sessions: Vec<Value>,
}

#[test]
fn sessions_calls_tokens_and_cost_are_those_of_the_files_and_stay_so() {
    let Some(files) = files() else { return };
    let data = folder();
    let begun = moment();
    let first = files.import(data.path());
    let pace = first["facts"].as_f64().unwrap_or_default() / begun.elapsed().as_secs_f64();
    say(&format!("activegraph_events: {} facts of {} events, {pace:.0} facts a second into a folder", first["facts"], files.events.len()));
    assert_eq!(first["added"], first["facts"]);
    files.assert_figures(data.path());

    let again = files.import(data.path());
    assert_eq!((&again["added"], &again["repeated"]), (&json!(0), &first["facts"]));
    files.assert_figures(data.path());
}

#[test]
fn every_session_has_as_many_messages_and_cost_as_its_line_says() {
    let Some(files) = files() else { return };
    let data = folder();
    files.import(data.path());
    let records = tail(data.path(), &["message.posted", "model.called", "tool.called", "tool.returned"]);
    for session in &files.sessions {
        let own = |kind: &str| {
            let kind = format!("io.reeve.{kind}.v1");
            records.iter().filter(|record| record["subject"] == session["session_id"] && record["type"] == json!(kind)).collect::<Vec<_>>()
        };
        // Whatever a model answers is a message, be it text or calls; so is a result, and the greeting that no model made.
        let messages = 1 + own("model.called").len() + own("tool.returned").len();
        assert_eq!(json!(messages), session["n_messages"], "{session}");
        let agents = own("model.called").into_iter().filter(|call| call["data"]["by"] == json!("agent"));
        let cost: f64 = agents.filter_map(|call| call["data"]["cost_usd"].as_f64()).sum();
        assert!((cost - session["agent_cost_usd"].as_f64().expect("a cost")).abs() < COST_TOLERANCE_USD, "{cost}: {session}");
        for returned in own("tool.returned") {
            let call = own("tool.called").into_iter().rev().find(|call| call["data"]["call_id"] == returned["data"]["call_id"]);
            let call = call.unwrap_or_else(|| panic!("a result answers a call of its session: {returned}"));
            assert_eq!((&call["data"]["tool"], &call["data"]["by"]), (&returned["data"]["tool"], &returned["data"]["by"]));
        }
    }
}

#[test]
fn both_clocks_tell_the_same_moment() {
    let Some(files) = files() else { return };
    let data = folder();
    files.import(data.path());
    let began: BTreeMap<_, _> = files
        .events
        .iter()
        .filter(|event| event["event_type"] == json!("orchestrator_run_start"))
        .map(|event| {
            let id = event["payload"]["runtime_trace"]["simulation_id"].as_str().expect("it names the simulation");
            (id, event["timestamp"].as_str().expect("an event has its time"))
        })
        .collect();
    let started = tail(data.path(), &["session.started"]);
    assert_eq!(started.len(), files.sessions.len());
    for record in &started {
        let subject = record["subject"].as_str().expect("a session has its id");
        let (told, seen) = (record["time"].as_str().expect("it is dated"), began[subject]);
        // To the second and the digit before the point that both have: 17 characters are the minute.
        assert_eq!(told[..17], seen[..17], "{subject}: the naive local time is the UTC time of its events");
    }
    let lasted: Vec<f64> = {
        let mut lasted: Vec<f64> = files.sessions.iter().filter_map(|session| session["duration_s"].as_f64()).collect();
        lasted.sort_by(f64::total_cmp);
        lasted
    };
    let figures = kpis(data.path());
    let p50 = figures["duration_s"]["p50"].as_f64().expect("every session is dated");
    let median = lasted[lasted.len().div_ceil(2) - 1];
    assert!((p50 - median).abs() < STOPWATCH_TOLERANCE_S, "{p50} and {median}");
}

#[test]
fn every_event_is_told_or_counted() {
    let Some(files) = files() else { return };
    let data = folder();
    let report = files.import(data.path());
    let mut passed: BTreeMap<String, u64> = BTreeMap::new();
    for event in &files.events {
        let kind = event["event_type"].as_str().expect("an event has a type");
        let told = TOLD.contains(&kind) || (kind == "turn_start" && event["turn_index"] == json!(0));
        if !told {
            *passed.entry(kind.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(report["passed_over"], json!(passed));
    let mut command = reeve(["import", "--data"]);
    let printed = succeed(command.arg(data.path()).args(&files.paths).args(OPTIONS));
    for (kind, count) in passed {
        assert!(printed.contains(&format!("passed over, as no kind of fact tells it: {count} {kind}\n")), "{kind}: {printed}");
    }
}

#[test]
fn the_order_of_lines_and_files_changes_no_fact() {
    let Some(files) = files() else { return };
    let data = folder();
    let (file, log) = (data.path().join("all.jsonl.gz"), data.path().join("log"));
    let mut lines: Vec<Value> = files.events.iter().chain(&files.sessions).cloned().collect();
    recordings::shuffle(&mut lines, 42);
    recordings::write(&file, &lines);
    let shuffled = json(&mut import(&log, &[&file], &OPTIONS));
    files.assert_figures(&log);
    let original = files.import(&log);
    assert_eq!((&original["added"], &original["repeated"]), (&json!(0), &shuffled["facts"]));
}

#[test]
fn an_event_log_that_is_killed_in_its_middle_is_completed_by_the_same_command() {
    let Some(files) = files() else { return };
    let [events, sessions] = &files.paths;
    killed::in_the_middle("activegraph_events", &[events, sessions], &OPTIONS, |data, _| files.assert_figures(data));
}

#[test]
fn a_naive_time_needs_its_zone_and_the_right_one() {
    let Some(files) = files() else { return };
    let data = folder();
    let attempt = |more: &[&str]| {
        let paths: Vec<&Path> = files.paths.iter().map(PathBuf::as_path).collect();
        fail(&mut import(data.path(), &paths, &[&["--format", "activegraph"], more].concat()), 65)
    };
    let unsaid = attempt(&[]);
    assert!(unsaid.contains("sessions.jsonl.gz, line ") && unsaid.contains("field started_at") && unsaid.contains("--tz"), "{unsaid}");
    let wrong = attempt(&["--tz", "America/New_York"]);
    assert!(wrong.contains("field ended_at: it is ") && wrong.contains("but its events say"), "three hours too early: {wrong}");
    let wrong = attempt(&["--tz", "-08:00"]);
    assert!(
        wrong.contains("field started_at: it is ") && wrong.contains("is --tz the zone of its clock?"),
        "winter time in summer: {wrong}"
    );
    assert!(!data.path().join("log.redb").exists(), "nothing is written");
}

/// The event log, if it is there.
fn files() -> Option<Files> {
    let paths =
        [recordings::foreign("activegraph_events/runtime_events.jsonl.gz")?, recordings::foreign("activegraph_events/sessions.jsonl.gz")?];
    let [events, sessions] = paths.each_ref().map(|path| recordings::lines(path));
    Some(Files { paths, events, sessions })
}

// === impl Files ===

impl Files {
    fn import(&self, data: &Path) -> Value {
        let [events, sessions] = &self.paths;
        json(&mut import(data, &[events, sessions], &OPTIONS))
    }

    /// Whose tokens and cost the answers of these events tell, straight from the file.
    fn spent(&self, answers: &[&str]) -> (i64, i64, i64, f64) {
        let of_kind = |event: &&Value| event["event_type"].as_str().is_some_and(|kind| answers.contains(&kind));
        self.events.iter().filter(of_kind).fold((0, 0, 0, 0.0), |sums, event| {
            let answer = &event["payload"]["runtime_trace"]["message"]["raw"];
            let usage = |field: &str| count(&answer["usage"][field]);
            let cost = answer["cost"].as_f64().unwrap_or_default();
            (sums.0 + 1, sums.1 + usage("prompt_tokens"), sums.2 + usage("completion_tokens"), sums.3 + cost)
        })
    }

    fn assert_figures(&self, data: &Path) {
        let all = self.spent(&["agent_response", "user_response"]);
        assert_eq!(calls_on_the_log(data), (all.0, all.1, all.2));
        let agent = self.spent(&["agent_response"]);
        let figures = kpis(data);
        assert_eq!(
            (&figures["tokens_in"], &figures["tokens_out"]),
            (&json!(agent.1), &json!(agent.2)),
            "what users spent is not the agent's"
        );
        let cost = figures["cost_usd"].as_f64().expect("a cost");
        assert!((cost - agent.3).abs() < COST_TOLERANCE_USD, "{cost} and {}", agent.3);
        let rewarded = |wanted: bool| self.sessions.iter().filter(|session| (session["reward"].as_f64() == Some(1.0)) == wanted).count();
        assert_eq!(
            (&figures["sessions"], &figures["success"], &figures["failure"]),
            (&json!(self.sessions.len()), &json!(rewarded(true)), &json!(rewarded(false)))
        );
        let tools = self.events.iter().filter(|event| event["event_type"] == json!("tool_call_requested")).count();
        assert_eq!((&figures["by_kind"]["tool_call"], &figures["by_kind"]["tool_result"]), (&json!(tools), &json!(tools)));
        assert_eq!(figures["duration_s"]["n"], json!(self.sessions.len()));
    }
}
