//! Key figures of every recording, however it is brought in.

use serde_json::Value;

use crate::ground::{folder, import, json, kpis};
use crate::{killed, recordings};

/// How far a cost may be from the known one, in dollars.
const COST_TOLERANCE_USD: f64 = 1e-6;

#[test]
fn every_recording_has_its_known_figures_and_keeps_them_when_it_is_imported_again() {
    for recording in recordings::all() {
        let data = folder();
        let first = json(&mut import(data.path(), &[&recording.path], &[]));
        assert_eq!(first["added"], first["facts"], "{}", recording.name);
        assert_figures(&kpis(data.path()), &recording.figures, &recording.name);

        let again = json(&mut import(data.path(), &[&recording.path], &[]));
        assert_eq!((&again["added"], &again["repeated"]), (&Value::from(0), &first["facts"]), "{}", recording.name);
        assert_figures(&kpis(data.path()), &recording.figures, &format!("{} again", recording.name));
    }
}

#[test]
fn a_recording_between_two_imports_of_another_changes_nothing_of_their_sum() {
    let all = recordings::all();
    for (a, b) in all.iter().zip(all.iter().cycle().skip(1)) {
        let data = folder();
        json(&mut import(data.path(), &[&a.path], &[]));
        json(&mut import(data.path(), &[&b.path], &[]));
        let a_b = kpis(data.path());
        for figure in ["sessions", "success", "failure", "turns", "user_messages", "agent_messages", "escalated_sessions"] {
            let sum = |figures: &Value| figures[figure].as_u64().expect("a count");
            assert_eq!(sum(&a_b), sum(&a.figures) + sum(&b.figures), "{figure} of {} and {}", a.name, b.name);
        }
        json(&mut import(data.path(), &[&a.path], &[]));
        assert_eq!(kpis(data.path()), a_b, "{}, {}, {0}", a.name, b.name);

        let at_once = folder();
        json(&mut import(at_once.path(), &[&b.path, &a.path], &[]));
        assert_figures(&kpis(at_once.path()), &a_b, &format!("{} with {}", b.name, a.name));
    }
}

#[test]
fn the_order_of_lines_changes_no_figure_and_no_fact() {
    for recording in recordings::all() {
        let data = folder();
        let shuffled = data.path().join("shuffled.jsonl.gz");
        let mut sessions = recordings::sessions(&recording);
        recordings::shuffle(&mut sessions, 42);
        recordings::write(&shuffled, &sessions);

        let log = data.path().join("log");
        json(&mut import(&log, &[&shuffled], &[]));
        assert_figures(&kpis(&log), &recording.figures, &format!("{} shuffled", recording.name));
        let original = json(&mut import(&log, &[&recording.path], &[]));
        assert_eq!(original["added"], Value::from(0), "{}: the same facts, from another line of another file", recording.name);
    }
}

#[test]
fn an_import_that_is_killed_in_its_middle_is_completed_by_the_same_command() {
    for recording in recordings::all() {
        killed::in_the_middle(&recording.name, &[&recording.path], &[], |data, attempt| {
            assert_figures(&kpis(data), &recording.figures, &format!("{} after kill {attempt}", recording.name));
        });
    }
}

/// Everything exactly, cost within its tolerance; null is null.
fn assert_figures(found: &Value, known: &Value, of: &str) {
    match (found["cost_usd"].as_f64(), known["cost_usd"].as_f64()) {
        (Some(cost), Some(wanted)) => assert!((cost - wanted).abs() <= COST_TOLERANCE_USD, "cost of {of}: {cost} and not {wanted}"),
        (found, known) => assert_eq!(found, known, "cost of {of}"),
    }
    let without_cost = |figures: &Value| {
        let mut figures = figures.clone();
        figures["cost_usd"] = Value::Null;
        figures
    };
    assert_eq!(without_cost(found), without_cost(known), "{of}");
}
