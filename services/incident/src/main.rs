//! The incident room as a service of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

fn main() -> ExitCode {
    runtime::decide::<incident::Incident>()
}
