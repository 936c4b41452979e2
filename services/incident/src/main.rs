//! The incident room as a service of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::decide::<incident::Incident>()
}
