//! Policies as people meet them: checked, tried on what is recorded, adopted and shown, on the embedded log of a folder.

mod command;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use command::{Folder, NO_INPUT, REFUSED, USAGE, reeve, said, session, text, told};

/// The default of the incident room's `regression_e`.
const DEFAULT_E: f64 = 100.0;

// === check ===

#[test]
fn a_sound_policy_is_shown_beside_the_defaults() {
    let folder = Folder::new();
    let file = folder.file("incident.toml", &incident("7", "regression_e = 50\nobjectives = { tool = 0.99 }\n"));
    let shown = said(&reeve(&["policy", "check", text(&file)], 0));
    assert!(shown.starts_with("policy 7 of incident is sound"), "{shown}");
    let row = |field: &str| {
        let row = shown.lines().find(|line| line.contains(field)).unwrap_or_else(|| panic!("{field} is not in\n{shown}"));
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("regression_e"), ["regression_e", "100", "50"]);
    assert_eq!(row("objectives.tool"), ["objectives.tool", "0.95", "0.99"]);
    let json: Value = serde_json::from_str(&said(&reeve(&["policy", "check", text(&file), "--json"], 0))).expect("JSON");
    assert_eq!((&json["sound"], &json["policy"]["regression_e"]), (&json!(true), &json!(50.0)));
    assert_eq!(json["differs_from_default"].as_array().map(Vec::len), Some(2), "{json}");
}

#[test]
fn a_bad_policy_is_refused_with_every_fault() {
    let folder = Folder::new();
    let bad = "room = \"incident\"\ncolour = 3\n[policy]\nregression_e = \"high\"\nsustain_s = -1\nsuch_field = 1\n";
    let file = folder.file("bad.toml", bad);
    let refused = reeve(&["policy", "check", text(&file)], REFUSED);
    let told = told(&refused);
    for field in [
        "version: it is missing",
        "colour:",
        "policy: regression_e",
        "policy: sustain_s",
        "policy: such_field",
        "error RV0050: 5 faults in",
    ] {
        assert!(told.contains(field), "`{field}` is not in\n{told}");
    }
    let json: Value = serde_json::from_str(&said(&reeve(&["policy", "check", text(&file), "--json"], REFUSED))).expect("JSON");
    assert_eq!((json["sound"].as_bool(), json["faults"].as_array().map(Vec::len)), (Some(false), Some(5)), "{json}");
    reeve(&["policy", "check", text(&folder.path("missing.toml"))], NO_INPUT);
}

// === adopt and show ===

#[test]
fn an_adopted_policy_is_on_every_partition_and_in_force() {
    let folder = Folder::with(&session("s-1", true));
    let file = folder.file("incident.toml", &incident("7", "regression_e = 50\n"));
    let taken = said(&folder.run(&["policy", "adopt", text(&file), "--author", "ines", "--reason", "fewer pages"], 0));
    assert!(taken.starts_with("incident goes by 7 from now on, before by default: policy.adopted "), "{taken}");
    let copies = folder.json_lines(&["tail", "--json", "--kind", "policy.adopted"]);
    let partitions: std::collections::BTreeSet<_> = copies.iter().map(|copy| copy["partition"].to_string()).collect();
    assert_eq!((copies.len(), partitions.len()), (4, 4));
    for copy in &copies {
        assert_eq!(
            (&copy["source"], &copy["data"]["author"], &copy["data"]["reason"]),
            (&json!("/people/ines"), &json!("ines"), &json!("fewer pages"))
        );
        assert_eq!(copy["id"], copies[0]["id"], "it is one record");
    }
    let all = said(&folder.run(&["policy", "show"], 0));
    assert!(all.contains("ines") && all.contains("in 1 field") && all.contains("rollback"), "{all}");
    let one = said(&folder.run(&["policy", "show", "incident"], 0));
    assert!(one.starts_with("incident goes by 7 since ") && one.contains("regression_e"), "{one}");
    let json: Value = serde_json::from_str(&said(&folder.run(&["policy", "show", "incident", "--json"], 0))).expect("JSON");
    assert_eq!((&json[0]["version"], &json[0]["policy"]["regression_e"]), (&json!("7"), &json!(50.0)));
    folder.run(&["policy", "show", "kitchen"], REFUSED);
}

#[test]
fn a_bad_policy_is_not_adopted_and_nobody_adopts_without_a_name() {
    let folder = Folder::with(&session("s-1", true));
    let bad = folder.file("bad.toml", &incident("7", "regression_e = 0\n"));
    let signed = ["--author", "ines", "--reason", "because"];
    folder.run(&[&["policy", "adopt", text(&bad)][..], &signed].concat(), REFUSED);
    let good = folder.file("good.toml", &incident("7", "regression_e = 50\n"));
    folder.run(&["policy", "adopt", text(&good), "--reason", "because"], USAGE);
    assert!(folder.json_lines(&["tail", "--json", "--kind", "policy.adopted"]).is_empty());
}

#[test]
fn a_version_means_one_policy_for_ever() {
    let folder = Folder::with(&session("s-1", true));
    let signed = ["--author", "ines", "--reason", "because"];
    let adopt = |file: &PathBuf, exit| folder.run(&[&["policy", "adopt", text(file)][..], &signed].concat(), exit);
    let first = folder.file("first.toml", &incident("7", "regression_e = 50\n"));
    adopt(&first, 0);
    let refused = adopt(&folder.file("other.toml", &incident("7", "regression_e = 60\n")), REFUSED);
    assert!(told(&refused).contains("version 7 of incident was adopted by ines"), "{}", told(&refused));
    adopt(&folder.file("later.toml", &incident("8", "regression_e = 60\n")), 0);
    adopt(&first, 0);
    let json: Value = serde_json::from_str(&said(&folder.run(&["policy", "show", "incident", "--json"], 0))).expect("JSON");
    assert_eq!(json[0]["version"], "7", "an earlier policy may be gone back to");
}

#[test]
fn a_policy_that_its_room_refuses_is_shown_with_its_faults() {
    let folder = Folder::with(&session("s-1", true));
    let unchecked = json!({"specversion": "1.0", "id": "p-1", "source": "/people/ines", "type": "io.reeve.policy.adopted.v1",
        "time": "2026-03-01T12:00:00Z", "partitionkey": "incident",
        "data": {"room": "incident", "version": "9", "document": "{\"regression_e\": 0}", "author": "ines", "reason": "unchecked"}});
    folder.publish(&[unchecked.to_string()], 0);
    let shown = said(&folder.run(&["policy", "show"], 0));
    assert!(shown.contains("incident refused policy 9 and goes on as before:") && shown.contains("regression_e"), "{shown}");
}

// === try ===

#[test]
fn the_policy_in_force_decides_what_the_log_holds() {
    let folder = lived_through();
    let report = folder.attempt("regression_e = 100\n", "7d");
    assert_eq!(report["differences"], json!([]), "{report:#}");
    let recorded = report["recorded"].as_u64().expect("a number");
    assert!(recorded >= 1, "the regression was noticed while the sessions were lived through");
    let same: u64 = report["kinds"].as_object().expect("kinds").values().map(|counts| counts["same"].as_u64().unwrap_or(0)).sum();
    assert_eq!(same, recorded, "a replay decides as it did then: {report:#}");
}

#[test]
fn a_stricter_policy_notices_earlier_and_a_blunt_one_not_at_all() {
    let folder = lived_through();
    let earlier = folder.attempt("regression_e = 20\n", "7d");
    let opened = difference(&earlier, "incident.opened");
    assert_eq!(opened["how"], "changed", "{opened:#}");
    let at = |side: &str| opened[side]["at"].as_str().expect("a time").to_owned();
    assert!(at("proposed") < at("present"), "{opened:#}");
    let e = |side: &str| opened[side]["data"]["numbers"]["e"].as_f64().expect("a number");
    assert!(e("present") >= DEFAULT_E && e("proposed") < DEFAULT_E && e("proposed") >= 20.0, "{opened:#}");
    assert!(opened["fields"].as_array().expect("fields").iter().any(|field| field["field"] == "at"), "{opened:#}");

    let never = folder.attempt("regression_e = 1e9\n", "7d");
    assert_eq!(difference(&never, "incident.opened")["how"], "only_present");
    assert_eq!(never["kinds"]["incident.opened"]["only_present"], 1, "{never:#}");
}

#[test]
fn what_lies_before_the_span_is_as_it_was() {
    let folder = lived_through();
    // The incident is older than the last minute, so no policy of this minute can undo it.
    let report = folder.attempt("regression_e = 1e9\n", "1m");
    assert_eq!(report["kinds"]["incident.opened"], Value::Null, "{report:#}");
}

#[test]
fn a_policy_that_was_adopted_within_the_span_is_tried_from_its_beginning() {
    let folder = lived_through();
    let file = folder.file("never.toml", &incident("never", "regression_e = 1e9\n"));
    folder.run(&["policy", "adopt", text(&file), "--author", "ines", "--reason", "too many pages"], 0);
    // Counted back from the adoption, which is of today, far enough to reach the recorded sessions.
    let report = folder.attempt("regression_e = 100\n", "5000w");
    assert_eq!(report["present"], "never");
    assert_eq!(difference(&report, "incident.opened")["how"], "only_proposed", "{report:#}");
}

#[test]
fn a_trial_is_readable_and_ends_with_0_when_decisions_differ() {
    let folder = lived_through();
    let file = folder.file("strict.toml", &incident("strict", "regression_e = 20\n"));
    let shown = said(&folder.run(&["policy", "try", text(&file)], 0));
    assert!(shown.starts_with("incident: default, which is in force, against strict"), "{shown}");
    for part in ["changed  ", "incident.opened", "DECISION", "FALLS AWAY", " policy adopt FILE "] {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    let widest = shown.lines().filter(|line| !line.contains(" policy adopt ")).map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= 100, "{widest} columns in\n{shown}");
    let none = said(&folder.run(&["policy", "try", text(&folder.file("same.toml", &incident("same", "")))], 0));
    assert!(none.contains("no decision would differ under same"), "{none}");
    folder.run(&["policy", "try", text(&file), "--last", "soon"], USAGE);
}

// === helpers ===

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the folder can be written");
        path
    }

    /// Tries an incident policy of these fields.
    fn attempt(&self, fields: &str, last: &str) -> Value {
        let file = self.file("tried.toml", &incident("tried", fields));
        let told = said(&self.run(&["policy", "try", text(&file), "--last", last, "--json"], 0));
        serde_json::from_str(&told).expect("JSON")
    }
}

fn incident(version: &str, fields: &str) -> String {
    format!("room = \"incident\"\nversion = \"{version}\"\n[policy]\n{fields}")
}

fn difference<'a>(report: &'a Value, kind: &str) -> &'a Value {
    let differences = report["differences"].as_array().expect("a list");
    differences.iter().find(|difference| difference["kind"] == kind).unwrap_or_else(|| panic!("no {kind} differs in {report:#}"))
}

/// A log of recorded sessions that were lived through with every room: a version that succeeds, vouched for, then one that
/// fails a quarter of its sessions, which is noticed: 30 failures, too few for an evidence of 1e9 (2^31 / 31).
fn lived_through() -> Folder {
    let folder = Folder::new();
    let mut lines = String::new();
    for minute in 0..240 {
        let (version, success) = if minute < 120 { ("v1", true) } else { ("v2", minute % 4 != 0) };
        let at = |second: u32| format!("2026-03-01T{:02}:{:02}:{second:02}Z", 8 + minute / 60, minute % 60);
        let line = json!({"session_id": format!("s-{minute}"), "source": "acme", "domain": "telecom", "agent_model": version, "task_id": "refund",
            "started_at": at(0), "ended_at": at(30), "outcome": {"success": success},
            "turns": [{"i": 0, "kind": "message", "role": "user", "text": "please", "ts": at(1)}]});
        writeln!(lines, "{line}").expect("a text takes every write");
    }
    let file = folder.file("sessions.jsonl", &lines);
    folder.run(&["import", text(&file), "--baseline", "v1"], 0);
    folder
}
