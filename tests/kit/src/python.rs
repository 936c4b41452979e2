//! Python programs that share no line with Reeve, each with its packages in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has `packages`, such as `duckdb==2.0.1`, in an environment below `folder`, made where it is not there yet;
/// `None` where there is no Python at all, which is for the caller to say.
///
/// # Panics
/// When the environment cannot be made, or a package cannot be had.
pub fn with(folder: &Path, packages: &[&str]) -> Option<PathBuf> {
    let (python, marker) = (folder.join("bin/python"), folder.join("packages"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|there| there == wanted) && python.exists() {
        return Some(python);
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return None;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages));
    // Last, so that an environment that was begun and not finished is begun anew.
    fs::write(marker, wanted).expect("the environment's folder is writable");
    Some(python)
}

fn run(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}
