//! The audit room as a service of its own, with the archive beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::decide_with::<audit::Audit>(audit::archive::begin)
}
