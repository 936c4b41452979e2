//! What whoever works on it waits for: the command built cold and warm, and the last `make test`, part by part.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::table::{Lines, Sample};
use crate::watch::Watch;

/// The name of this part.
pub(crate) const PART: &str = "builds";
/// What is touched for a warm build: a room's mind, on which the command and nothing else rests.
const TOUCHED: &str = "services/incident/src/machine.rs";

/// Builds into a folder of its own, once; then tells what the last test run left beside the usual one.
pub(crate) fn measure(lines: &mut Lines) -> Result<(), Failure> {
    let (root, target) = (root(), tempfile::tempdir()?);
    let mut seconds = |what: &str, sample: Sample| lines.note(PART, what, "s", None, sample);
    seconds("the command, cold", build(&root, target.path())?);
    seconds("the command, nothing changed", build(&root, target.path())?);
    Command::new("touch").arg(root.join(TOUCHED)).status()?;
    seconds("the command, one room changed", build(&root, target.path())?);
    let usual = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let Ok(parts) = std::fs::read_to_string(usual.join("parts.tsv")) else {
        eprintln!("no `make test` has left its times in {}: they are not told", usual.display());
        return Ok(());
    };
    for (name, took) in parts.lines().filter_map(|line| line.split_once('\t')) {
        let value: f64 = took.trim().parse().map_err(|error| Failure(format!("parts.tsv: {name}: {error}")))?;
        seconds(&format!("make test, {name}"), Sample { cpu_s: 0.0, value });
    }
    Ok(())
}

/// Seconds of a build, and of the processors for it.
fn build(root: &Path, target: &Path) -> Result<Sample, Failure> {
    const TIMED: &str = "TIMEFORMAT='%U %S'; time cargo build --quiet --package reeve";
    let mut command = Command::new("bash");
    command.args(["-c", TIMED]).current_dir(root).env("CARGO_TARGET_DIR", target).env("CARGO_INCREMENTAL", "0");
    let watch = Watch::begin();
    let output = command.output()?;
    let value = watch.wall().as_secs_f64();
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure(format!("the command cannot be built: {told}")));
    }
    let spent = told.lines().last().unwrap_or_default().split(' ').map(str::parse::<f64>);
    let cpu_s = spent.sum::<Result<f64, _>>().map_err(|error| Failure(format!("bash told no times: {error}")))?;
    Ok(Sample { cpu_s, value })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
