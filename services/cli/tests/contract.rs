//! The contract at `/v1/openapi.json` is true: a foreign tool drives every operation of a running Reeve from it.

#[path = "house/mod.rs"]
mod house;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::house::{Up, reeve};

/// The tester, pinned: another version finds other things, which is for a commit of its own.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// Seconds that the whole drive may take.
const SECONDS_MAX: &str = "170";

#[test]
fn a_foreign_tester_finds_every_operation_as_the_contract_says() {
    let Some(tester) = tester() else {
        println!("SKIPPED: there is no python3, so nobody foreign tests the contract");
        return;
    };
    // A second agent's trouble would only make the log longer: one that lives is enough for every answer.
    let up = Up::start(&["--fleet", "healthy", "--agents", "1"]);
    let secret = up.add_key(&["--name", "tester", "--may", "publish,read,metrics", "--rate", "1000000"]);
    up.until("the key is asked for", || house::exit_of(&["status", "--url", &up.url], &[]) == 77);
    let (_, document) = house::get(&up.url, "/v1/openapi.json", &secret).split_once("\r\n\r\n").map(owned).expect("a body");
    let operations = operations(&document);
    let folder = beside_the_log(&up, &document);
    let mut drive = Command::new(tester);
    drive.current_dir(&folder).env("REEVE_KEY", &secret).env("PYTHONDONTWRITEBYTECODE", "1");
    // The document as a file: one that is read from its own path is an operation that the tester leaves out.
    drive.args(["--config-file", "schemathesis.toml", "run", "openapi.json", "--url", &up.url, "--checks", "all"]);
    drive.args(["--phases", "examples,coverage,fuzzing,stateful", "--max-time", SECONDS_MAX, "--continue-on-failure"]);
    let output = drive.output().expect("the tester starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tester found what the contract does not say");
    assert!(operations > 0 && said.contains(&format!("  Tested: {operations}\n")), "not every one of {operations} operations was driven");
    // It lives, and nothing that it answered was not in its contract.
    let metrics = reeve_metrics(&up, &secret);
    assert!(metrics.contains("reeve_gateway_undeclared_answers_total 0"), "{metrics}");
    reeve(&["status", "--url", &up.url], &[("REEVE_KEY", &secret)], 0);
}

/// How many operations a contract names.
fn operations(document: &str) -> usize {
    let document: Value = serde_json::from_str(document).expect("the contract is JSON");
    document["paths"].as_object().expect("paths").values().map(|item| item.as_object().expect("operations").len()).sum()
}

/// A folder for the contract, what the tester is told, and what it writes.
fn beside_the_log(up: &Up, document: &str) -> PathBuf {
    let folder = up.folder.path().join("tester");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join("openapi.json"), document).expect("written");
    for name in ["schemathesis.toml", "hooks.py"] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(name);
        std::fs::copy(kept, folder.join(name)).expect("copied");
    }
    folder
}

fn owned((head, body): (&str, &str)) -> (String, String) {
    (head.to_owned(), body.to_owned())
}

/// The tester, installed into the folder of what is built; `None` where there is no Python.
fn tester() -> Option<PathBuf> {
    let python = kit::python::with(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis"), &[SCHEMATHESIS])?;
    Some(python.with_file_name("schemathesis"))
}

fn reeve_metrics(up: &Up, secret: &str) -> String {
    let answer = house::get(&up.url, "/metrics", secret);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}
