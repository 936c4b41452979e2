//! Traces: a session for each call, at its own time, with its own tokens, once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{calls_on_the_log, count};
use crate::ground::{fail, folder, import, json, kpis, moment, reeve, say, succeed, tail};
use crate::{killed, recordings};

/// Facts of a row.
const FACTS_OF_A_ROW: usize = 3;
/// When the trace that counts from its own beginning began.
const EPOCH: &str = "2024-06-01T00:00:00Z";
/// Rows of the part of a trace that is killed, shuffled and grown: the whole of it would only take longer.
const PART_ROWS: usize = 2_000;

/// A trace, and how it is imported.
struct Trace {
    path: PathBuf,
    options: &'static [&'static str],
    /// Minute of the day and what arrived in it.
    minute: fn(&Value) -> i64,
}

#[test]
fn a_trace_has_the_calls_and_tokens_of_its_file_and_keeps_them_when_it_is_imported_again() {
    for trace in traces() {
        let (data, rows) = (folder(), recordings::lines(&trace.path));
        let begun = moment();
        let first = json(&mut import(data.path(), &[&trace.path], trace.options));
        let pace = first["facts"].as_f64().unwrap_or_default() / begun.elapsed().as_secs_f64();
        say(&format!("{}: {} rows, {pace:.0} facts a second into a folder", trace.path.display(), rows.len()));
        assert_eq!((&first["sessions"], &first["facts"]), (&json!(rows.len()), &json!(rows.len() * FACTS_OF_A_ROW)));
        assert_eq!(first["added"], first["facts"]);
        assert_figures(data.path(), &rows);

        let again = json(&mut import(data.path(), &[&trace.path], trace.options));
        assert_eq!((&again["added"], &again["repeated"]), (&json!(0), &first["facts"]));
        assert_figures(data.path(), &rows);
    }
}

#[test]
fn every_call_is_on_the_log_in_the_minute_of_its_arrival() {
    for trace in traces() {
        let (data, rows) = (folder(), recordings::lines(&trace.path));
        json(&mut import(data.path(), &[&trace.path], trace.options));
        let mut arrived: BTreeMap<i64, (i64, i64, i64)> = BTreeMap::new();
        for row in &rows {
            add(arrived.entry((trace.minute)(row)).or_default(), row);
        }
        let mut appended: BTreeMap<i64, (i64, i64, i64)> = BTreeMap::new();
        for call in tail(data.path(), &["model.called"]) {
            let minute = minute_of(call["recordedtime"].as_str().expect("a record has its time"));
            add(appended.entry(minute).or_default(), &call["data"]);
        }
        assert_eq!(appended, arrived, "{}", trace.path.display());
        assert!(arrived.len() > 30, "it takes about an hour: {arrived:?}");
    }
}

#[test]
fn minutes_hours_and_days_of_capacity_add_up_to_the_file() {
    for trace in traces() {
        let (data, rows) = (folder(), recordings::lines(&trace.path));
        json(&mut import(data.path(), &[&trace.path], trace.options));
        let mut sums = (0, 0, 0);
        rows.iter().for_each(|row| add(&mut sums, row));
        let measured = tail(data.path(), &["capacity.measured"]);
        for window in ["minute", "hour", "day"] {
            let windows: Vec<_> = measured.iter().filter(|told| told["data"]["window"].as_str().unwrap_or("minute") == window).collect();
            let sum = |field: &str| windows.iter().map(|told| told["data"][field].as_i64().unwrap_or_default()).sum::<i64>();
            assert_eq!((sum("sessions_started"), sum("tokens_in"), sum("tokens_out")), sums, "{window}s of {}", trace.path.display());
            assert_eq!((sum("sessions_ended"), sum("outcomes"), sum("late")), (sums.0, 0, 0), "{window}s of {}", trace.path.display());
            assert!(windows.iter().all(|told| told["data"]["cost_usd"].is_null()), "nobody told a cost");
        }
    }
}

#[test]
fn a_trace_that_grew_adds_its_new_rows_and_nothing_else() {
    for trace in traces() {
        let (data, rows) = (folder(), recordings::lines(&trace.path));
        let (file, log) = (data.path().join("grown.jsonl.gz"), data.path().join("log"));
        recordings::write(&file, &rows[..PART_ROWS / 2]);
        json(&mut import(&log, &[&file], trace.options));
        recordings::write(&file, &rows[..PART_ROWS]);
        let grown = json(&mut import(&log, &[&file], trace.options));
        assert_eq!(grown["added"], json!((PART_ROWS - PART_ROWS / 2) * FACTS_OF_A_ROW));
        assert_eq!(grown["repeated"], json!(PART_ROWS / 2 * FACTS_OF_A_ROW));
        assert_figures(&log, &rows[..PART_ROWS]);
    }
}

#[test]
fn rows_that_tell_the_same_all_count() {
    let data = folder();
    let (file, log) = (data.path().join("same.jsonl.gz"), data.path().join("log"));
    let rows = vec![json!({"ts_ms": 7, "tokens_in": 5, "tokens_out": 2}); 40];
    recordings::write(&file, &rows);
    let options = ["--format", "mooncake", "--agent", "chat", "--epoch", EPOCH];
    for added in [rows.len() * FACTS_OF_A_ROW, 0] {
        assert_eq!(json(&mut import(&log, &[&file], &options))["added"], json!(added));
        assert_figures(&log, &rows);
    }
}

#[test]
fn a_trace_that_is_killed_in_its_middle_is_completed_by_the_same_command() {
    for trace in traces() {
        let rows = recordings::lines(&trace.path);
        let (data, part) = (folder(), &rows[..PART_ROWS]);
        let file = data.path().join("part.jsonl.gz");
        recordings::write(&file, part);
        killed::in_the_middle(&trace.path.display().to_string(), &[&file], trace.options, |log, _| assert_figures(log, part));
    }
}

#[test]
fn a_trace_that_is_out_of_order_is_refused_and_nothing_of_it_published() {
    for trace in traces() {
        let data = folder();
        let (file, log) = (data.path().join("shuffled.jsonl.gz"), data.path().join("log"));
        let mut rows = recordings::lines(&trace.path);
        rows.truncate(PART_ROWS);
        recordings::shuffle(&mut rows, 42);
        recordings::write(&file, &rows);
        let said = fail(&mut import(&log, &[&file], trace.options), 65);
        assert!(said.contains("shuffled.jsonl.gz, line ") && said.contains("field ts") && said.contains("is earlier than"), "{said}");
        assert!(!log.join("log.redb").exists(), "a file with a fault leaves nothing behind");
    }
}

#[test]
fn the_same_rows_under_another_epoch_are_a_contradiction() {
    let data = folder();
    let (file, log) = (data.path().join("t.jsonl.gz"), data.path().join("log"));
    recordings::write(&file, &[json!({"ts_ms": 7, "tokens_in": 5, "tokens_out": 2})]);
    let at = |epoch| ["--format", "mooncake", "--agent", "chat", "--epoch", epoch];
    json(&mut import(&log, &[&file], &at(EPOCH)));
    let said = fail(&mut import(&log, &[&file], &at("2024-06-02T00:00:00Z")), 65);
    assert!(said.contains("line 1: the log holds this session.started with another content"), "{said}");
}

/// Every trace that is there.
fn traces() -> Vec<Trace> {
    let azure = recordings::foreign("azure_llm_2023/code.jsonl.gz").map(|path| Trace {
        path,
        options: &["--format", "azure-llm", "--agent", "code"],
        minute: |row| minute_of(row["ts"].as_str().expect("a row has its time")),
    });
    let mooncake = recordings::foreign("mooncake/conversation.jsonl.gz").map(|path| Trace {
        path,
        options: &["--format", "mooncake", "--agent", "chat", "--epoch", EPOCH],
        minute: |row| count(&row["ts_ms"]) / 60_000,
    });
    azure.into_iter().chain(mooncake).collect()
}

/// Minute of the day of an ISO 8601 time.
fn minute_of(time: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| time[range].parse::<i64>().expect("an ISO 8601 time");
    part(11..13) * 60 + part(14..16)
}

fn add(sums: &mut (i64, i64, i64), told: &Value) {
    sums.0 += 1;
    sums.1 += count(&told["tokens_in"]);
    sums.2 += count(&told["tokens_out"]);
}

/// The log has the calls and tokens of these rows, by its figures and by its records, and nothing that no row tells.
fn assert_figures(data: &Path, rows: &[Value]) {
    let mut sums = (0, 0, 0);
    rows.iter().for_each(|row| add(&mut sums, row));
    assert_eq!(calls_on_the_log(data), sums);
    let figures = kpis(data);
    assert_eq!((&figures["sessions"], &figures["tokens_in"], &figures["tokens_out"]), (&json!(sums.0), &json!(sums.1), &json!(sums.2)));
    assert_eq!((&figures["success"], &figures["failure"], &figures["cost_usd"]), (&json!(0), &json!(0), &Value::Null), "{figures}");
    assert_eq!(figures["duration_s"], json!({"n": 0, "p50": null, "p95": null}), "nobody told when an answer was there");
    assert_eq!((&figures["versions"], &figures["tool_errors"]), (&json!({}), &Value::Null));
    let table = succeed(reeve(["kpis", "--data"]).arg(data));
    let row = |figure: &str| table.lines().find(|line| line.trim_start().starts_with(figure)).unwrap_or_default().to_owned();
    for figure in ["success", "failure"] {
        assert!(row(figure).ends_with(" not told"), "nobody told an outcome: {table}");
    }
}
