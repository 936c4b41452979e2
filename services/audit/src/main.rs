//! The audit room as a service of its own, with the archive beside it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

fn main() -> ExitCode {
    runtime::decide_with::<audit::Audit>(audit::archive::begin)
}
