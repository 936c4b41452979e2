//! The capacity room as a service of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::decide::<capacity::Capacity>()
}
