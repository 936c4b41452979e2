//! `reeve policy`: what the rooms go by. A policy is a file; it is checked, tried on what is recorded, and adopted.

mod adopted;
mod branch;
mod compare;
mod document;
pub(crate) mod fields;
mod recorded;
mod told;
mod trial;

use std::path::PathBuf;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArgs;
use crate::words::Signed;

use document::Proposed;

const FILE: &str = "\
FILE is TOML, or JSON with the same members:
  room = \"incident\"
  version = \"2026-11-25\"
  [policy]
  regression_e = 50
  objectives = { tool = 0.99 }

`[policy]` holds the fields that differ from the room's defaults; its README lists
them all. TOML has no null: a policy that needs one is written in JSON.";

/// `reeve policy`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Policy {
    /// Read a policy, list every fault of it, or how it differs from the defaults.
    #[command(after_help = check_examples())]
    Check {
        /// The policy.
        file: PathBuf,
        /// Print one JSON object: the effective policy, or the faults.
        #[arg(long)]
        json: bool,
    },
    /// Check a policy and let its room go by it from now on.
    #[command(after_help = "Example:\n  reeve policy adopt incident.toml --author ines --reason 'fewer pages by night'")]
    Adopt {
        /// The policy.
        file: PathBuf,
        #[command(flatten)]
        signed: Signed,
    },
    /// Replay what is recorded under a policy, and show which decisions would differ.
    Try(trial::Args),
    /// Show which policies are in force and who adopted them.
    #[command(
        after_help = "Examples:\n  reeve policy show             every room, a line each\n  reeve policy show incident    every field of one"
    )]
    Show {
        #[command(flatten)]
        target: TargetArgs,
        /// The room; without one, all of them.
        room: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

// === impl Policy ===

impl Policy {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check { file, json } => check(&document::read(&file), json),
            Self::Adopt { file, signed } => adopted::adopt(document::read(&file)?, signed).await,
            Self::Try(args) => args.run().await,
            Self::Show { target, room, json } => adopted::show(&target.open()?, room.as_deref(), json).await,
        }
    }
}

fn check(read: &Result<Proposed, Failure>, json: bool) -> Result<(), Failure> {
    match read {
        Ok(proposed) if json => output::json(&proposed.told()),
        Ok(proposed) => {
            let (room, version) = (proposed.room, &proposed.version);
            let differs = fields::differing(&proposed.standard, &proposed.effective);
            if differs.is_empty() {
                return output::line(format!("policy {version} of {room} is sound, and the same as the defaults"));
            }
            output::line(format!("policy {version} of {room} is sound. It differs from the defaults in:\n"))?;
            output::line(fields::table(["FIELD", "DEFAULT", "HERE"], &differs))
        }
        Err(failure) => {
            if json {
                output::json(&serde_json::json!({ "sound": false, "faults": failure.lines }))?;
            }
            Err(failure.clone())
        }
    }
}

fn check_examples() -> String {
    format!("Examples:\n  reeve policy check incident.toml\n  reeve policy check incident.json --json\n\n{FILE}")
}
