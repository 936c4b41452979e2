//! `reeve import`: recorded sessions become the facts that a platform would have published about them.
//!
//! Everything is read, translated and checked before the first fact is published, so that a file with a fault leaves
//! no half of itself behind. Ids are derived from what was recorded: the same command again adds what is missing, and
//! nothing else.
//!
//! With `--skip-bad` a session with a fault is left out whole, because a session with a hole would be counted as another
//! one. A fact that the log holds with another content is left out alone: the rest of its session stands there already.

mod facts;
mod lived;
mod plan;
mod posted;
mod recording;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use wire::VersionId;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::target::TargetArgs;
use crate::terminal::me;

pub(crate) use facts::RECORDED_PLATFORM;
use facts::{Fact, Naming};
use plan::{FACTS_MAX, Plan};
use recording::{Fault, Line};

/// Faults that are told one by one; more are counted.
const FAULTS_TOLD_MAX: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  reeve import sessions.jsonl.gz --data ./recorded
      lives through recordings in their own time, with every room
  reeve import sessions.jsonl.gz
      publishes them to the Reeve that runs here
  reeve import *.jsonl --data ./recorded --baseline v7
      declares v7 good first: every other version is compared with it
  reeve kpis --data ./recorded
      tells the key figures of what was imported

A line is a session: session_id, source, domain, agent_model, task_id,
started_at, ended_at, termination_reason, outcome.success and turns. What a
line does not tell stays absent. The same command again adds only what is
missing.";

/// `reeve import`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recorded sessions: JSON lines, plain or gzipped (`.gz`).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Declare this version the baseline of every agent that it served, before the first session.
    #[arg(long, value_name = "VERSION")]
    baseline: Option<String>,
    /// Name of the agent, instead of each session's domain.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// The version that served, instead of each session's agent_model.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The field that holds the kind of task: versions are compared within one kind only.
    #[arg(long, value_name = "FIELD", default_value = "task_id")]
    segment: String,
    /// List sessions with a fault and leave them out whole, instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Sessions of the files.
    sessions: usize,
    /// Their facts, the baseline's declarations among them.
    facts: usize,
    /// Facts that the log had not.
    added: usize,
    /// Facts that the log had before.
    repeated: usize,
    /// Sessions and facts that were left out.
    left_out: usize,
    /// Where, and why.
    faults: Vec<String>,
    /// What the rooms decided on the way, by kind. Only where they run in this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    decisions: Option<BTreeMap<String, usize>>,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut report = Report::default();
    let facts = read(&args, &mut report)?;
    report.facts = facts.len();
    let bar = output::bar(facts.len() as u64, "facts");
    match &args.target.data {
        Some(folder) => lived::through(folder, &facts, args.skip_bad, &bar, &mut report)?,
        None => posted::to(&args.target.open()?, &facts, args.skip_bad, &bar, &mut report).await?,
    }
    bar.finish_and_clear();
    tell(&args, &report)
}

/// The facts of all files in the order of publishing.
fn read(args: &Args, report: &mut Report) -> Result<Vec<Fact>, Failure> {
    let naming = Naming { agent: args.agent.clone(), version: args.version.clone() };
    let mut plan = Plan::default();
    for file in &args.files {
        for line in recording::lines(file, &args.segment).map_err(|error| unreadable(file, &error))? {
            let line = line.map_err(|error| broken(file, &error))?;
            match facts_of(&line, &naming) {
                Ok(_) if plan.is_full() => return Err(too_many()),
                Ok(facts) => plan.add(facts),
                Err(fault) => report.leave_out(fault, args.skip_bad)?,
            }
        }
    }
    report.sessions = plan.sessions();
    let baseline = args.baseline.as_deref().map(VersionId::from);
    if let Some(version) = baseline.as_ref().filter(|version| plan.served_by(version) == 0) {
        return Err(Failure::refused(format!("{version} served no agent in these files, so it is no baseline of any")));
    }
    plan.in_order(baseline.as_ref()).map_err(|fault| Failure::refused(fault.to_string()))
}

fn facts_of(line: &Line, naming: &Naming) -> Result<Vec<Fact>, Fault> {
    let session = line.session.as_ref().map_err(Clone::clone)?;
    facts::of_session(session, &line.place, naming)
}

// === impl Report ===

impl Report {
    /// Notes what is left out, or stops if nothing may be.
    fn leave_out(&mut self, fault: Fault, skip_bad: bool) -> Result<(), Failure> {
        if !skip_bad {
            return Err(Failure::refused(fault.to_string()));
        }
        self.left_out += 1;
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(fault.to_string());
        }
        Ok(())
    }
}

// === helpers ===

fn tell(args: &Args, report: &Report) -> Result<(), Failure> {
    if args.json {
        return output::json(report);
    }
    for fault in &report.faults {
        output::line(format_args!("left out: {fault}"))?;
    }
    if report.left_out > report.faults.len() {
        output::line(format_args!("left out: {} more", report.left_out - report.faults.len()))?;
    }
    let Report { sessions, facts, added, repeated, .. } = report;
    output::line(format_args!("{sessions} sessions, {facts} facts: {added} added, {repeated} on the log before"))?;
    for (kind, count) in report.decisions.iter().flatten() {
        output::line(format_args!("  {kind}: {count}"))?;
    }
    match &args.target.data {
        Some(folder) => output::line(format_args!("next: {1} kpis --data {0}, or {1} status --data {0}", folder.display(), me())),
        None => output::line(format_args!("next: {0} kpis{1}, or {0} status{1}", me(), args.target.option())),
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display()))
}

fn broken(file: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!("cannot read {} to its end: {error}", file.display()))
}

fn too_many() -> Failure {
    Failure::refused(format!("the files hold more than {FACTS_MAX} facts: import them one after the other"))
}
