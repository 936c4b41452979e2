//! `reeve kpis`: key figures of imported sessions.

use crate::failure::Failure;

/// `reeve kpis`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args) -> Result<(), Failure> {
    Ok(())
}
