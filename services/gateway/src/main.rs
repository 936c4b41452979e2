//! The gateway as a service of its own.

use std::process::ExitCode;

use runtime::decide::configured;
use runtime::errors::report;

#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

fn main() -> ExitCode {
    match configured("gateway", "The gateway of Reeve: lets facts in, and lets platforms hear orders") {
        Ok(config) => gateway::service::run(&config).map_or_else(|error| report(&error), |()| ExitCode::SUCCESS),
        Err(told) => told,
    }
}
