//! What the tests stand on: the command, folders, and a voice that the test harness does not swallow.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;

/// The command that is tested.
///
/// It stands beside the folder of this test's binary; `REEVE_BIN` names another one.
pub(crate) fn reeve_path() -> PathBuf {
    let path = std::env::var_os("REEVE_BIN").map(PathBuf::from).unwrap_or_else(|| {
        let deps = std::env::current_exe().expect("a test knows its own path");
        deps.ancestors().nth(2).expect("a test lies in <target>/<profile>/deps").join("reeve")
    });
    assert!(path.is_file(), "there is no command at {}: run `make build` first", path.display());
    path
}

/// A command line of `reeve`. What the environment sets for a Reeve is none of the test's.
pub(crate) fn reeve<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(reeve_path());
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("REEVE_")).for_each(|name| {
        command.env_remove(name);
    });
    command.args(args);
    command
}

/// Runs a command that must succeed; what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the command prints UTF-8")
}

/// Runs a command that must succeed and print one JSON value.
pub(crate) fn json(command: &mut Command) -> Value {
    let printed = succeed(command);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{command:?} prints no JSON: {error}: {printed}"))
}

/// Runs a command that must succeed and print a JSON value a line.
pub(crate) fn json_lines(command: &mut Command) -> Vec<Value> {
    succeed(command).lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

/// Runs a command that must end with this exit code; everything it said on standard error.
pub(crate) fn fail(command: &mut Command, exit: i32) -> String {
    let output: Output = command.output().expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{command:?}: {said}");
    said
}

/// `reeve import FILES --data FOLDER --json`, and more options.
pub(crate) fn import(folder: &Path, files: &[&Path], more: &[&str]) -> Command {
    let mut command = reeve(["import", "--json", "--data"]);
    command.arg(folder).args(files).args(more);
    command
}

/// The key figures of a folder.
pub(crate) fn kpis(folder: &Path) -> Value {
    json(reeve(["kpis", "--json", "--data"]).arg(folder))
}

/// Records of these kinds in a folder, as `reeve tail --json` tells them.
pub(crate) fn tail(folder: &Path, kinds: &[&str]) -> Vec<Value> {
    let mut command = reeve(["tail", "--json", "--data"]);
    command.arg(folder);
    kinds.iter().for_each(|kind| {
        command.args(["--kind", kind]);
    });
    json_lines(&mut command)
}

/// Says something to whoever watches the tests; the harness swallows only what macros print.
pub(crate) fn say(text: &str) {
    // Nobody to tell it to is no reason to fail.
    let _ = writeln!(std::io::stderr(), "real: {text}");
}

/// The moment from which a test's patience is measured.
#[expect(clippy::disallowed_methods, reason = "a test that waits for another program measures how long")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}

/// A folder that is gone with the test.
///
/// In memory, where the system has a place there and `TMPDIR` names no other: most of an import is waiting for the disk,
/// and what a killed program leaves behind is the same.
pub(crate) fn folder() -> tempfile::TempDir {
    let in_memory = std::env::var_os("TMPDIR").is_none().then(|| tempfile::tempdir_in("/dev/shm").ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a folder for the test"))
}
