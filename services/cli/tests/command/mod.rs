//! The command under test, and folders with logs for it.

#![allow(dead_code, reason = "each test program uses its part of it")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const USAGE: i32 = 64;
pub(crate) const REFUSED: i32 = 65;
pub(crate) const NO_INPUT: i32 = 66;
pub(crate) const UNAVAILABLE: i32 = 69;
pub(crate) const TRY_AGAIN: i32 = 75;

/// A folder with a log of its own.
pub(crate) struct Folder(pub(crate) TempDir);

// === impl Folder ===

impl Folder {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// A folder with a log of these lines.
    pub(crate) fn with(lines: &[String]) -> Self {
        let folder = Self::new();
        folder.publish(lines, 0);
        folder
    }

    /// Publishes lines.
    pub(crate) fn publish(&self, lines: &[String], exit: i32) -> Output {
        reeve_reading(&["publish", "-", "--data", text(self.0.path())], &lines.join("\n"), exit)
    }

    /// Runs the command on the log of this folder.
    pub(crate) fn run(&self, arguments: &[&str], exit: i32) -> Output {
        reeve(&[arguments, &["--data", text(self.0.path())]].concat(), exit)
    }

    /// What it wrote, a JSON value a line.
    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(arguments, 0);
        said(&output).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }
}

/// Three facts of one session of the agent `telecom`.
pub(crate) fn session(id: &str, success: bool) -> Vec<String> {
    let fact = |name: &str, kind: &str, data: Value| {
        json!({"specversion": "1.0", "id": format!("{id}-{name}"), "source": "/platforms/acme/agents/telecom",
               "type": format!("io.reeve.{kind}.v1"), "subject": id, "time": "2026-03-01T12:00:00Z", "data": data})
        .to_string()
    };
    vec![
        fact("start", "session.started", json!({"version": "v1", "segment": "refund"})),
        fact("outcome", "outcome.reported", json!({"success": success, "handled_by": "agent"})),
        fact("end", "session.ended", json!({})),
    ]
}

/// Runs the command; it must end with `exit`.
pub(crate) fn reeve(arguments: &[&str], exit: i32) -> Output {
    reeve_reading(arguments, "", exit)
}

/// As [`reeve`], with `input` on its standard input.
pub(crate) fn reeve_reading(arguments: &[&str], input: &str, exit: i32) -> Output {
    let output = run(arguments, input);
    assert_eq!(output.status.code(), Some(exit), "reeve {}\n{}{}", arguments.join(" "), said(&output), told(&output));
    output
}

/// Runs the command, however it ends.
pub(crate) fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
    // What the environment of whoever runs the tests says is not what is tested.
    command.args(arguments).env_remove("REEVE_URL").env_remove("REEVE_AUTHOR").env_remove("REEVE_KEY");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // A command that does not read its input closes it: that is no fault of the test.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the command ends")
}

/// What it wrote on standard output.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it wrote on standard error.
pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the folder of a test has a plain name")
}
