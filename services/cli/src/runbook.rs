//! `reeve runbook CODE`: what an error means and what to do.

use runtime::errors::Code;

use crate::failure::Failure;
use crate::output;

/// `reeve runbook`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  reeve runbook           every code, a line each\n  reeve runbook RV0002    its page")]
pub(crate) struct Args {
    /// The code, such as RV0002; without one, all of them are listed.
    code: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Some(asked) = &args.code else {
        return Code::ALL.iter().try_for_each(|code| output::line(format!("{code}  {}", code.title())));
    };
    let code = Code::from_number(asked);
    let code = code.ok_or_else(|| Failure::unknown(format!("there is no error {asked}; `reeve runbook` lists them all")))?;
    output::line(code.page().trim_end())
}
