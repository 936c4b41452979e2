//! The `reeve` command: everything that a person or a script does with Reeve, each verb a file of its own.
//!
//! `up` runs every room in this one program; all other verbs speak to a Reeve that runs somewhere ([`target`]), or open
//! the embedded log themselves. Tables are for people, `--json` is for scripts, and the exit codes are documented.

mod audit;
pub mod client;
pub mod credential;
mod explain;
pub mod fact;
pub mod failure;
mod fleet;
mod import;
mod keys;
mod kpis;
mod migrate;
pub mod output;
mod policy;
mod publish;
mod replay;
mod rooms;
mod runbook;
mod sentence;
mod standing;
mod status;
mod tail;
pub mod target;
mod terminal;
mod topics;
mod up;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Exit, Failure};

const EXIT_CODES: &str = "\
Exit codes:
   0  done
  64  the command line or the configuration is wrong
  65  what was given is refused: a fault in the input, an id that nobody knows
  66  a file or a folder cannot be read
  69  no Reeve answers at the address, or the address to listen on is taken
  70  a fault of Reeve itself
  73  the disk is full or may not be written
  74  the log's storage fails
  75  held by another program, or too busy: try again
  77  the API key does not allow it, or there is none
  78  the API keys cannot be trusted

Every error is told as `error: ...`; one with a code, such as `error RV0002: ...`, has
a page: `reeve runbook RV0002` says what it means and what to do.";

/// Reeve answers for what AI agents do in production.
#[derive(Debug, Parser)]
#[command(name = "reeve", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every room in one program: log, gateway, detection, rollback, and a simulated fleet if asked.
    Up(up::Args),
    /// Simulate a fleet of agents against a running Reeve.
    Fleet(fleet::Args),
    /// Publish facts: structured CloudEvents, one a line.
    Publish(publish::Args),
    /// Bring in recorded sessions.
    Import(import::Args),
    /// Print the key figures of all imported sessions.
    Kpis(kpis::Args),
    /// Print the log from its beginning, then stop.
    Tail(tail::Args),
    /// Say how agents stand, and for one agent why something happened, or why nothing did.
    Status(status::Args),
    /// Show a decision with its rule and numbers, and its causes back to the first facts.
    Explain(explain::Args),
    /// Step through a history: what each room came to owe at which record, and where the log says otherwise.
    Replay(replay::Args),
    /// Vouch for a version of an agent.
    #[command(subcommand)]
    Baseline(words::Baseline),
    /// Set how much an agent may do.
    #[command(subcommand)]
    Mode(words::Mode),
    /// Acknowledge, comment or resolve an incident.
    #[command(subcommand)]
    Incident(words::Incident),
    /// Let a version that was taken back serve again.
    #[command(subcommand)]
    Quarantine(words::Quarantine),
    /// Set what Reeve may do about an agent by itself.
    #[command(subcommand)]
    Automation(words::Automation),
    /// Accept what Reeve proposed.
    #[command(subcommand)]
    Rollback(words::Rollback),
    /// Prove that the archive holds every record of the log, unaltered.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Say who may publish and read over HTTP.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Check, try, adopt and show what the rooms go by.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Make the Kafka topic that Reeve lives on, say what is wrong with it, or why it does not grow.
    #[command(subcommand)]
    Topics(topics::Topics),
    /// Replay a Kafka topic into one with more partitions, and prove that all of it arrived.
    Migrate(migrate::Args),
    /// Print what an error code means and what to do.
    Runbook(runbook::Args),
}

/// Reads the command line, does what it says, and tells how it went.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors. If the terminal is gone there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match perform(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn perform(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(args).await,
            Command::Fleet(args) => fleet::run(args).await,
            Command::Publish(args) => publish::run(args).await,
            Command::Import(args) => import::run(args).await,
            Command::Kpis(args) => kpis::run(args).await,
            Command::Tail(args) => tail::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::Replay(args) => replay::run(args).await,
            Command::Baseline(word) => word.say().await,
            Command::Mode(word) => word.say().await,
            Command::Incident(word) => word.say().await,
            Command::Quarantine(word) => word.say().await,
            Command::Automation(word) => word.say().await,
            Command::Rollback(word) => word.say().await,
            Command::Audit(verb) => verb.run().await,
            Command::Keys(keys) => keys.run(),
            Command::Policy(policy) => policy.run().await,
            Command::Topics(topics) => topics.run().await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Runbook(args) => runbook::run(&args),
        }
    })
}

/// Threads for what waits on sockets. Rooms have threads of their own.
const WORKER_THREADS: usize = 2;
