//! The room as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::decide::<escalation::Escalation>()
}
