//! `reeve fleet`.

use crate::failure::Failure;

/// `reeve fleet`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args) -> Result<(), Failure> {
    Ok(())
}
