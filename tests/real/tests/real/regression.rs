//! A version that is worse than the declared baseline is taken back, in whatever order the two served.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ground::{folder, import, json, kpis, reeve, say, tail};
use crate::recordings::{self, Recording};

const RECORDING: &str = "tau2_bench/sierra_model_training.jsonl.gz";
const BASELINE: &str = "ft:gpt-4.1-2025-04-14:sierra:tau2-full-sft:BzrYdMNm";
const CANDIDATE: &str = "gpt-4.1";
/// What is worse in telecom, and does no worse in airline.
const AGENTS: [&str; 2] = ["telecom", "airline"];
const DAY_US: i64 = 86_400_000_000;

/// Everything that would say that something is wrong with an agent.
const VERDICTS: [&str; 4] = ["incident.opened", "incident.aggravated", "rollback.ordered", "mode.ordered"];

#[test]
fn a_worse_version_is_taken_back_at_the_ninth_loss_and_an_equal_one_is_left_alone() {
    let Some(recording) = recordings::named(RECORDING) else { return };
    let data = folder();
    json(&mut import(data.path(), &[&recording.path], &["--baseline", BASELINE]));
    let decided = assert_taken_back_once(data.path(), "as recorded");
    assert_eq!((&decided["lost"], &decided["won"], &decided["pairs"]), (&json!(9), &json!(0), &json!(36)));
    let e = decided["e"].as_f64().expect("the evidence is a number");
    assert!((e - 102.3).abs() < 1e-9, "e is 2^10 * (1 - 2^-10) / 10 at nine losses, not {e}");
    assert_eq!(sessions_until_decided(data.path(), CANDIDATE), 36, "candidate sessions whose outcomes were known");

    json(&mut import(data.path(), &[&recording.path], &["--baseline", BASELINE]));
    assert_taken_back_once(data.path(), "imported again");
}

#[test]
fn the_verdict_is_the_same_in_whatever_order_the_two_versions_served() {
    let Some(recording) = recordings::named(RECORDING) else { return };
    let orders: [(&str, Shift); 4] = [
        ("the candidate a day before the baseline", |_, version| if version == CANDIDATE { -DAY_US } else { 0 }),
        ("the candidate a month after the baseline", |_, version| if version == CANDIDATE { 30 * DAY_US } else { 0 }),
        ("both at once", |agent, version| if version == CANDIDATE { -later_us(agent) } else { 0 }),
        ("both at once, the baseline moved", |agent, version| if version == BASELINE { later_us(agent) } else { 0 }),
    ];
    for (order, shift) in orders {
        let data = folder();
        let shifted = data.path().join("shifted.jsonl.gz");
        recordings::write(&shifted, &shifted_sessions(&recording, shift));
        let log = data.path().join("log");
        json(&mut import(&log, &[&shifted], &["--baseline", BASELINE]));
        assert_taken_back_once(&log, order);
    }
}

#[test]
fn the_order_of_lines_changes_no_decision() {
    let Some(recording) = recordings::named(RECORDING) else { return };
    let data = folder();
    let shuffled = data.path().join("shuffled.jsonl.gz");
    let mut sessions = recordings::sessions(&recording);
    recordings::shuffle(&mut sessions, 7);
    recordings::write(&shuffled, &sessions);
    let decided = |name: &str, file: &Path| {
        let log = data.path().join(name);
        json(&mut import(&log, &[file], &["--baseline", BASELINE]));
        tail(&log, &["incident.opened", "incident.aggravated", "rollback.ordered", "rollback.failed", "mode.ordered"])
    };
    assert_eq!(decided("shuffled", &shuffled), decided("as-recorded", &recording.path), "byte for byte, with times, places and ids");
}

#[test]
fn imports_that_are_killed_again_and_again_end_in_the_same_one_order() {
    let Some(recording) = recordings::named(RECORDING) else { return };
    let data = folder();
    let mut kills = 0;
    for patience_ms in [150, 300, 450, 600, 300, 200] {
        let mut child = import(data.path(), &[&recording.path], &["--baseline", BASELINE])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        std::thread::sleep(Duration::from_millis(patience_ms));
        child.kill().expect("it can be killed");
        kills += usize::from(child.wait().expect("it ended").code().is_none());
    }
    json(&mut import(data.path(), &[&recording.path], &["--baseline", BASELINE]));
    assert_taken_back_once(data.path(), &format!("killed {kills} times"));
    let figures = kpis(data.path());
    assert_eq!((&figures["sessions"], &figures["turns"]), (&recording.figures["sessions"], &recording.figures["turns"]));
}

#[test]
fn without_a_baseline_nothing_is_ordered() {
    let Some(recording) = recordings::named(RECORDING) else { return };
    let data = folder();
    json(&mut import(data.path(), &[&recording.path], &[]));
    // Five telecom sessions call one tool up to 96 times with the same arguments, where no other one does so more than 8 times.
    let verdicts = tail(data.path(), &VERDICTS);
    let [looped] = &verdicts[..] else { panic!("a loop and nothing else is expected, not {verdicts:?}") };
    assert_eq!((&looped["partitionkey"], &looped["data"]["level"]), (&json!(AGENTS[0]), &json!("P3")));
    assert_eq!(looped["data"]["basis"]["rule"], json!("loop"));
    assert_eq!(looped["data"]["version"], json!(BASELINE));
}

/// The decision that names the candidate: it opens an incident, or joins the one over the loops of the baseline.
fn regression_of(log: &Path, order: &str) -> Value {
    let said = tail(log, &["incident.opened", "incident.aggravated"]);
    let mut named = said.into_iter().filter(|said| said["data"]["basis"]["rule"] == json!("regression"));
    let first = named.next().unwrap_or_else(|| panic!("{order}: no version is named"));
    assert_eq!(named.next(), None, "{order}: a version is named once");
    first
}

/// Exactly one order, of telecom, from the candidate to the baseline, never acknowledged and so failed, and human-only
/// at the end; airline unheard of. The numbers at which it was decided.
fn assert_taken_back_once(log: &Path, order: &str) -> Value {
    let verdicts = tail(log, &VERDICTS);
    let of_airline: Vec<_> = verdicts.iter().filter(|verdict| verdict["partitionkey"] == AGENTS[1]).collect();
    assert!(of_airline.is_empty(), "{order}: {of_airline:?}");

    let orders = tail(log, &["rollback.ordered"]);
    let [ordered] = &orders[..] else { panic!("{order}: exactly one order is expected, not {orders:?}") };
    let opened = tail(log, &["incident.opened"]);
    let [_] = &opened[..] else { panic!("{order}: exactly one incident is expected, not {opened:?}") };
    let opened = regression_of(log, order);
    let expected = json!({
        "agent_id": AGENTS[0], "from_version": CANDIDATE, "to_version": BASELINE, "incident_id": opened["data"]["incident_id"],
    });
    for field in ["agent_id", "from_version", "to_version", "incident_id"] {
        assert_eq!(ordered["data"][field], expected[field], "{order}: {field}");
    }
    assert_eq!(opened["data"]["level"], json!("P2"), "{order}");

    let failed = tail(log, &["rollback.failed"]);
    assert_eq!(failed.len(), 1, "{order}: nobody acknowledged the order: {failed:?}");
    assert_eq!(failed[0]["data"]["order_id"], ordered["id"], "{order}");
    let modes = tail(log, &["mode.ordered"]);
    assert_eq!(modes.last().map(|mode| &mode["data"]["mode"]), Some(&json!("human_only")), "{order}: {modes:?}");

    assert_evidence(log, AGENTS[0], "12 of 40 pairs differ: lost 12, won 0, e = 630.", order);
    assert_evidence(log, AGENTS[1], "9 of 20 pairs differ: lost 6, won 3, e = 1.0", order);

    let numbers = opened["data"]["numbers"].clone();
    assert!(numbers["e"].as_f64().is_some_and(|e| e >= 100.0) && numbers["won"] == json!(0), "{order}: {numbers}");
    say(&format!(
        "{order}: decided after {} sessions of {CANDIDATE} and {} of {BASELINE}, {} pairs, {} lost, {} won, e = {:.1}",
        sessions_until_decided(log, CANDIDATE),
        sessions_until_decided(log, BASELINE),
        numbers["pairs"],
        numbers["lost"],
        numbers["won"],
        numbers["e"].as_f64().unwrap_or_default(),
    ));
    numbers
}

/// What the comparison of both versions has come to, as `reeve status` tells it.
fn assert_evidence(log: &Path, agent: &str, expected: &str, order: &str) {
    let report = json(reeve(["status", agent, "--json", "--data"]).arg(log));
    let standings = report["agents"][0]["standings"].as_array().expect("standings are a list");
    let regression = format!("regression of {CANDIDATE} against {BASELINE}");
    let standing = standings.iter().find(|standing| standing["matter"].as_str().is_some_and(|matter| matter.starts_with(&regression)));
    let detail = standing.and_then(|standing| standing["detail"].as_str()).unwrap_or_default();
    assert!(detail.starts_with(expected), "{order}, {agent}: {detail} in {standings:#?}");
}

/// Sessions of a version of telecom that are part of what the incident was decided on: those started no later than the
/// last one whose outcome the room had folded and counted.
fn sessions_until_decided(log: &Path, version: &str) -> usize {
    let events = tail(log, &["session.started", "outcome.reported"]);
    let telecom: Vec<_> = events.iter().filter(|event| event["partitionkey"] == AGENTS[0]).collect();
    let asof = regression_of(log, version)["data"]["basis"]["asof"].as_i64().expect("a decision says what it knew");
    let folded = |event: &&&Value| event["offset"].as_i64().is_some_and(|offset| offset <= asof);
    let reported: Vec<_> = telecom.iter().filter(folded).filter(|event| event["type"] == "io.reeve.outcome.reported.v1").collect();
    let started = telecom.iter().filter(folded).filter(|event| event["data"]["version"] == version);
    // Outcomes enter in the order of the starts: one that waits for an earlier session is not yet part of it.
    let has_reported = |started: &&&Value| reported.iter().any(|reported| reported["subject"] == started["subject"]);
    started.take_while(has_reported).count()
}

/// By how many microseconds the sessions of an agent's version are moved.
type Shift = fn(&str, &str) -> i64;

/// How much later the candidate began than the baseline, to the second, in the recording.
fn later_us(agent: &str) -> i64 {
    let seconds = match agent {
        "telecom" => 4_422,
        _ => 1_637,
    };
    seconds * 1_000_000
}

fn shifted_sessions(recording: &Recording, shift: Shift) -> Vec<Value> {
    let mut sessions = recordings::sessions(recording);
    for session in &mut sessions {
        let text = |name: &str| session[name].as_str().expect("the recording names it").to_owned();
        let by_us = shift(&text("domain"), &text("agent_model"));
        for name in ["started_at", "ended_at"] {
            move_by(&mut session[name], by_us);
        }
        let turns = session["turns"].as_array_mut().expect("a list");
        turns.iter_mut().for_each(|turn| move_by(&mut turn["ts"], by_us));
    }
    sessions
}

fn move_by(time: &mut Value, by_us: i64) {
    let told = wire::Timestamp::parse_naive_as_utc(time.as_str().expect("the recording is dated")).expect("a time");
    *time = json!(wire::Timestamp(told.0 + by_us));
}
