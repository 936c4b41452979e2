//! Options that do not fit, and files that are not what they are said to be.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ground::{fail, folder, import, json};
use crate::recordings;

const AZURE: [&str; 4] = ["--format", "azure-llm", "--agent", "code"];
const MOONCAKE: [&str; 6] = ["--format", "mooncake", "--agent", "chat", "--epoch", "2024-06-01T00:00:00Z"];

#[test]
fn an_option_that_is_missing_or_not_used_or_wrong_ends_with_64_before_a_file_is_read() {
    let data = folder();
    let nowhere = data.path().join("nowhere.jsonl");
    let cases: [(&[&str], &str); 10] = [
        (&["--format", "azure-llm"], "--format azure-llm needs --agent"),
        (&["--format", "mooncake", "--agent", "a"], "--format mooncake needs --epoch"),
        (&["--format", "mooncake", "--epoch", "2024-06-01T00:00:00Z"], "--format mooncake needs --agent"),
        (&["--format", "azure-llm", "--agent", "a", "--epoch", "2024-06-01T00:00:00Z"], "does not use --epoch"),
        (&["--format", "mooncake", "--agent", "a", "--epoch", "2024-06-01T00:00:00Z", "--tz", "UTC"], "does not use --tz"),
        (&["--format", "activegraph", "--segment", "task_id"], "--format activegraph does not use --segment"),
        (&["--tz", "UTC"], "--format recording does not use --tz"),
        (&["--format", "activegraph", "--tz", "Nowhere/Atlantis"], "`Nowhere/Atlantis` is neither a zone of the IANA database"),
        (&["--format", "mooncake", "--agent", "a", "--epoch", "2024-06-01"], "`2024-06-01` is no RFC 3339 time"),
        (&["--format", "papyrus"], "papyrus"),
    ];
    for (options, expected) in cases {
        let said = fail(&mut import(data.path(), &[&nowhere], options), 64);
        assert!(said.contains(expected), "{options:?}: {said}");
    }
}

#[test]
fn a_row_with_a_fault_is_told_with_line_field_and_limit_and_nothing_of_the_file_is_published() {
    let data = folder();
    let fine = json!({"ts": "2023-11-16 18:00:00", "tokens_in": 1, "tokens_out": 1});
    let cases = [
        (
            json!({"ts": "2023-11-16 18:00:01", "tokens_in": -1, "tokens_out": 1}),
            "line 2, field tokens_in: it is -1; 0 to 1000000000 are taken",
        ),
        (json!({"ts": "2023-11-16 18:00:01", "tokens_in": 1, "tokens_out": 1e12}), "line 2, field tokens_out: it is 1000000000000; 0 to"),
        (json!({"ts": "2023-11-16 17:59:59", "tokens_in": 1, "tokens_out": 1}), "line 2, field ts: it is earlier than that of line 1"),
        (json!({"tokens_in": 1, "tokens_out": 1}), "line 2, field ts: it is missing"),
        (json!({"ts": "noon", "tokens_in": 1, "tokens_out": 1}), "line 2, field ts: `noon` is no ISO 8601 time"),
        (json!({"ts": "2023-11-16 18:00:01", "tokens_in": 1}), "line 2, field tokens_out: it is missing"),
    ];
    for (bad, expected) in cases {
        let file = write(data.path(), &[fine.clone(), bad]);
        let log = data.path().join("log");
        let said = fail(&mut import(&log, &[&file], &AZURE), 65);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!log.join("log.redb").exists(), "a file with a fault leaves nothing behind");
    }
}

#[test]
fn an_hour_that_the_clock_showed_twice_is_refused_under_its_zone_and_taken_under_an_offset() {
    let data = folder();
    let file = write(data.path(), &[json!({"ts": "2023-11-05 01:30:00", "tokens_in": 1, "tokens_out": 1})]);
    let log = data.path().join("log");
    let said = fail(&mut import(&log, &[&file], &[&AZURE[..], &["--tz", "America/Los_Angeles"]].concat()), 65);
    assert!(said.contains("line 1, field ts: `2023-11-05 01:30:00` was twice in America/Los_Angeles"), "{said}");
    json(&mut import(&log, &[&file], &[&AZURE[..], &["--tz", "-07:00"]].concat()));
}

#[test]
fn with_skip_bad_the_rows_with_a_fault_are_listed_and_the_others_imported() {
    let data = folder();
    let row = |ts_ms: i64, tokens_in: i64| json!({"ts_ms": ts_ms, "tokens_in": tokens_in, "tokens_out": 1});
    let file = write(data.path(), &[row(5, 1), row(6, -1), row(4, 1), row(7, 1)]);
    let report = json(&mut import(&data.path().join("log"), &[&file], &[&MOONCAKE[..], &["--skip-bad"]].concat()));
    assert_eq!((&report["sessions"], &report["left_out"]), (&json!(2), &json!(2)), "{report}");
    let faults = report["faults"].as_array().expect("faults are listed");
    assert!(faults[0].as_str().is_some_and(|fault| fault.contains("line 2, field tokens_in")), "{report}");
    assert!(faults[1].as_str().is_some_and(|fault| fault.contains("line 3, field ts_ms: it is earlier than that of line 1")), "{report}");
}

#[test]
fn a_file_that_was_cut_off_says_at_which_line() {
    let data = folder();
    let (whole, log) = (data.path().join("whole.jsonl.gz"), data.path().join("log"));
    let rows: Vec<Value> = (0..5_000).map(|row| json!({"ts_ms": row, "tokens_in": row * 7919 % 1009, "tokens_out": row})).collect();
    recordings::write(&whole, &rows);
    let bytes = std::fs::read(&whole).expect("it was written");
    let cut = data.path().join("cut.jsonl.gz");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("writable");
    let said = fail(&mut import(&log, &[&cut], &[&MOONCAKE[..], &["--skip-bad"]].concat()), 65);
    assert!(said.contains("cut.jsonl.gz to its end: line "), "{said}");
    assert!(!log.join("log.redb").exists(), "half a file is no file");
}

#[test]
fn a_file_of_another_format_is_refused_and_its_format_named() {
    let data = folder();
    let rows = [
        (json!({"ts": "2023-11-16 18:00:00", "tokens_in": 1, "tokens_out": 1}), "azure-llm"),
        (json!({"ts_ms": 0, "tokens_in": 1, "tokens_out": 1}), "mooncake"),
        (json!({"event_id": "e", "event_type": "turn_end"}), "activegraph"),
        (json!({"session_id": "s", "run": "r", "reward": 1.0}), "activegraph"),
        (json!({"session_id": "s", "turns": []}), "recording"),
    ];
    let asked: [(&[&str], &str); 4] =
        [(&[], "recording"), (&["--format", "activegraph"], "activegraph"), (&AZURE, "azure-llm"), (&MOONCAKE, "mooncake")];
    for (row, found) in &rows {
        let file = write(data.path(), std::slice::from_ref(row));
        for (options, asked) in asked.iter().filter(|(_, asked)| asked != found) {
            let said = fail(&mut import(&data.path().join("log"), &[&file], options), 65);
            assert!(said.contains(&format!("line 1: it looks like {found}, not like {asked}: --format {found} reads it")), "{said}");
        }
    }
}

fn write(folder: &Path, rows: &[Value]) -> PathBuf {
    let path = folder.join("rows.jsonl");
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&path, text).expect("the test's folder is writable");
    path
}
