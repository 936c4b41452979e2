//! `reeve runbook CODE`: what an error means and what to do.

use crate::failure::Failure;

/// `reeve runbook`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  reeve runbook RV0002")]
pub(crate) struct Args {
    /// The code, such as RV0002.
    code: String,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    Err(Failure::refused(format!("there is no error {}", args.code)))
}
