//! `reeve explain`.

use crate::failure::Failure;
use crate::target::TargetArgs;

/// `reeve explain`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    args.target.open().map(drop)
}
