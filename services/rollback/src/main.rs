//! The room as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

fn main() -> ExitCode {
    runtime::decide::<rollback::Rollback>()
}
