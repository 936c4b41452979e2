//! Recordings that are published to a Reeve that runs: the wall clock rules, figures and pairs are the same.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ground::{folder, json, json_lines, reeve};
use crate::recordings;
use crate::running::{Running, Up};

const BASELINE: &str = "ft:gpt-4.1-2025-04-14:sierra:tau2-full-sft:BzrYdMNm";
/// How long a decision may take after the last fact on a busy machine.
const DECISION_PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn recordings_that_are_published_over_http_have_the_same_figures_and_the_same_one_order() {
    let Some(recording) = recordings::named("tau2_bench/sierra_model_training.jsonl.gz") else { return };
    let data = folder();
    let up = Up::start(data.path(), &[]);
    let first = json(&mut import(&up, &recording.path));
    assert_eq!(first["added"], first["facts"]);
    let again = json(&mut import(&up, &recording.path));
    assert_eq!(again["added"], json!(0));

    let figures = json(reeve(["kpis", "--json", "--url"]).arg(&up.url));
    let without_cost = |figures: &Value| {
        let mut figures = figures.clone();
        figures["cost_usd"] = Value::Null;
        figures
    };
    assert_eq!(without_cost(&figures), without_cost(&recording.figures));
    let cost = |figures: &Value| figures["cost_usd"].as_f64().expect("a cost");
    assert!((cost(&figures) - cost(&recording.figures)).abs() <= 1e-6);

    let follow = Running::start(reeve(["tail", "--follow", "--json", "--kind", "rollback.ordered", "--url"]).arg(&up.url));
    let ordered = follow.json_that("order", DECISION_PATIENCE, |_| true);
    assert_eq!((&ordered["data"]["agent_id"], &ordered["data"]["to_version"]), (&json!("telecom"), &json!(BASELINE)));
    let verdicts = ["tail", "--json", "--kind", "rollback.ordered", "--kind", "incident.opened", "--url"];
    let said: Vec<_> = json_lines(reeve(verdicts).arg(&up.url)).iter().map(|event| event["partitionkey"].clone()).collect();
    assert_eq!(said, [json!("telecom"), json!("telecom")], "one incident and one order, none of them of airline");
    assert_eq!(up.interrupt(), Some(0));
}

fn import(up: &Up, file: &Path) -> Command {
    let mut command = reeve(["import", "--json", "--url"]);
    command.arg(&up.url).arg(file).args(["--baseline", BASELINE]);
    command
}
