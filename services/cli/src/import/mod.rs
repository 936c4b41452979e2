//! `reeve import`: recorded sessions become facts.

use crate::failure::Failure;

/// `reeve import`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args) -> Result<(), Failure> {
    Ok(())
}
