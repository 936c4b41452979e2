//! Imports that are killed in their middle, and completed by the same command.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::ground::{folder, import, json, moment, say};

/// Attempts at killing an import in its middle.
const KILLS_MAX: u32 = 24;

/// Kills the import of these files until a kill met its middle. Whatever a kill left, the same command must complete
/// it; `complete` looks at the folder then.
pub(crate) fn in_the_middle(name: &str, files: &[&Path], more: &[&str], complete: impl Fn(&Path, u32)) {
    let struck = (1..=KILLS_MAX).find(|attempt| was_killed_midway(*attempt, files, more, &complete));
    let attempts = struck.unwrap_or_else(|| panic!("{name}: no kill met the middle of the import"));
    say(&format!("{name}: killed in its middle at attempt {attempts}, completed by the same command"));
}

/// Kills an import and runs it again, which must complete it. Whether the kill left a part of it behind.
fn was_killed_midway(attempt: u32, files: &[&Path], more: &[&str], complete: &impl Fn(&Path, u32)) -> bool {
    let data = folder();
    let begun = moment();
    let mut child = import(data.path(), files, more).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    // The log's file grows at the first facts; from there on every attempt waits a little longer than the last.
    let log = data.path().join("log.redb");
    let grown = || std::fs::metadata(&log).is_ok_and(|file| file.len() > 0);
    while !grown() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(2).saturating_mul(attempt * attempt));
    child.kill().expect("it can be killed");
    let was_killed = child.wait().expect("it ended").code().is_none();

    let left = json(&mut import(data.path(), files, more));
    complete(data.path(), attempt);
    was_killed && left["repeated"] != 0 && left["added"] != 0
}
