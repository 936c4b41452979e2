//! `reeve import`: recorded sessions become the facts that a platform would have published about them.
//!
//! Everything is read, translated and checked before the first fact is published, so that a file with a fault leaves
//! no half of itself behind. Ids are derived from what was recorded: the same command again adds what is missing, and
//! nothing else.
//!
//! With `--skip-bad` a session with a fault is left out whole, because a session with a hole would be counted as another
//! one. A fact that the log holds with another content is left out alone: the rest of its session stands there already.

mod activegraph;
mod arrivals;
mod facts;
mod format;
mod lines;
mod lived;
mod plan;
mod posted;
mod recording;
mod time;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use wire::{Timestamp, VersionId};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::target::TargetArgs;
use crate::terminal::me;

use activegraph::Graph;
use arrivals::{Arrivals, Calendar};
pub(crate) use facts::RECORDED_PLATFORM;
use facts::{Fact, Naming};
use format::Format;
use lines::{Fault, Line, Place};
use plan::{FACTS_MAX, Plan};
use time::Zone;

/// Faults that are told one by one; more are counted.
const FAULTS_TOLD_MAX: usize = 1_000;

/// The field of a recorded session that holds the kind of its task.
const SEGMENT_FIELD: &str = "task_id";

const EXAMPLES: &str = "\
Examples:
  reeve import sessions.jsonl.gz --data ./recorded
      lives through recordings in their own time, with every room
  reeve import sessions.jsonl.gz
      publishes them to the Reeve that runs here
  reeve import *.jsonl --data ./recorded --baseline v7
      declares v7 good first: every other version is compared with it
  reeve import --format activegraph runtime_events.jsonl.gz sessions.jsonl.gz \\
      --tz America/Los_Angeles --data ./recorded
      an event log whose sessions tell local times
  reeve import --format azure-llm code.jsonl.gz --agent code --data ./recorded
      a trace: a session for each of its model calls
  reeve import --format mooncake conversation.jsonl.gz --agent chat \\
      --epoch 2024-06-01T00:00:00Z --data ./recorded
      a trace that counts from its own beginning
  reeve kpis --data ./recorded
      tells the key figures of what was imported

Formats, a JSON object a line:
  recording    session_id, source, domain, agent_model, task_id, started_at,
               ended_at, termination_reason, outcome.success and turns
  activegraph  events: event_id, parent_event_id, event_type, run_id, task_id,
               timestamp, payload; and sessions: session_id, run, reward, ...
               A reward of 1 is a success. Other types of events are counted.
  azure-llm    ts, tokens_in, tokens_out; needs --agent; a ts without offset is
               UTC unless --tz says otherwise
  mooncake     ts_ms, tokens_in, tokens_out; needs --agent and --epoch

What a line does not tell stays absent. The same command again adds only what
is missing: identical rows of a trace are told apart by how many of them stand
above, so traces of two services take an --agent each.";

/// `reeve import`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recorded sessions, events or calls: JSON lines, plain or gzipped (`.gz`).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// What the lines are.
    #[arg(long, value_name = "FORMAT", default_value = "recording")]
    format: Format,
    /// Zone of times without an offset: an IANA name or an offset, such as -07:00. For activegraph and azure-llm.
    #[arg(long, value_name = "ZONE", value_parser = Zone::parse, allow_hyphen_values = true)]
    tz: Option<Zone>,
    /// When the trace began, in RFC 3339. For mooncake.
    #[arg(long, value_name = "TIME", value_parser = epoch)]
    epoch: Option<Timestamp>,
    /// Declare this version the baseline of every agent that it served, before the first session.
    #[arg(long, value_name = "VERSION")]
    baseline: Option<String>,
    /// Name of the agent, instead of each session's domain.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// The version that served, instead of each session's agent_model.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The field of a recording that holds the kind of task, instead of task_id: versions are compared within one kind
    /// only.
    #[arg(long, value_name = "FIELD")]
    segment: Option<String>,
    /// List sessions with a fault and leave them out whole, instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Whoever makes facts of lines.
enum Reader {
    /// Of sessions.
    Recording { segment_field: String, naming: Naming },
    /// Of events, once all of them are there.
    Activegraph(Box<Graph>),
    /// Of calls.
    Arrivals(Arrivals),
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
    /// What the files hold and no kind of ours tells: types of events, or fields of rows, with their counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    passed_over: BTreeMap<String, usize>,
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
    let mut reader = Reader::new(args)?;
    let mut plan = Plan::default();
    let mut take = |told: Result<Vec<Fact>, Fault>, report: &mut Report| match told {
        Ok(_) if plan.is_full() => Err(too_many()),
        Ok(facts) => {
            plan.add(facts);
            Ok(())
        }
        Err(fault) => report.leave_out(fault, args.skip_bad),
    };
    for file in &args.files {
        reader.begin();
        let mut lines = lines::of(file).map_err(|error| unreadable(file, &error))?.peekable();
        if let Some(Ok(first)) = lines.peek() {
            check_format(args.format, first)?;
        }
        for line in lines {
            let line = line.map_err(|error| broken(file, &error))?;
            take(reader.line(&line), report)?;
        }
    }
    report.passed_over = reader.passed_over();
    reader.rest().into_iter().try_for_each(|told| take(told, report))?;
    report.sessions = plan.sessions();
    let baseline = args.baseline.as_deref().map(VersionId::from);
    if let Some(version) = baseline.as_ref().filter(|version| plan.served_by(version) == 0) {
        return Err(Failure::refused(format!("{version} served no agent in these files, so it is no baseline of any")));
    }
    plan.in_order(baseline.as_ref()).map_err(|fault| Failure::refused(fault.to_string()))
}

// === impl Reader ===

impl Reader {
    /// The reader of the format that was asked for.
    fn new(args: &Args) -> Result<Self, Failure> {
        args.format.check(args)?;
        let naming = Naming { agent: args.agent.clone(), version: args.version.clone() };
        let calendar = match args.format {
            Format::Recording => {
                let segment_field = args.segment.clone().unwrap_or_else(|| SEGMENT_FIELD.to_owned());
                return Ok(Self::Recording { segment_field, naming });
            }
            Format::Activegraph => return Ok(Self::Activegraph(Box::new(Graph::new(args.tz.clone(), naming)))),
            Format::AzureLlm => Calendar::Dated(args.tz.clone().unwrap_or(Zone::UTC)),
            Format::Mooncake => Calendar::Since(args.epoch.ok_or_else(|| Failure::internal("a trace without its epoch was let through"))?),
        };
        let agent = naming.agent.clone().ok_or_else(|| Failure::internal("a trace without its agent was let through"))?;
        Ok(Self::Arrivals(Arrivals::new(calendar, agent, &naming)))
    }

    /// Another file begins.
    fn begin(&mut self) {
        if let Self::Arrivals(arrivals) = self {
            arrivals.begin();
        }
    }

    /// The facts that a line completes.
    fn line(&mut self, line: &Line) -> Result<Vec<Fact>, Fault> {
        match self {
            Self::Recording { segment_field, naming } => facts::of_session(&recording::session(line, segment_field)?, &line.place, naming),
            Self::Activegraph(graph) => graph.line(line).map(|()| Vec::new()),
            Self::Arrivals(arrivals) => arrivals.row(line),
        }
    }

    /// What no kind of ours tells.
    fn passed_over(&self) -> BTreeMap<String, usize> {
        match self {
            Self::Recording { .. } => BTreeMap::new(),
            Self::Activegraph(graph) => graph.passed_over(),
            Self::Arrivals(arrivals) => arrivals.unread().clone(),
        }
    }

    /// The sessions that only all lines together tell.
    fn rest(self) -> Vec<Result<Vec<Fact>, Fault>> {
        match self {
            Self::Activegraph(graph) => graph.sessions(),
            Self::Recording { .. } | Self::Arrivals(_) => Vec::new(),
        }
    }
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

/// Refuses a file whose first line looks like one of another format.
fn check_format(asked: Format, first: &Line) -> Result<(), Failure> {
    match first.object().ok().and_then(|fields| Format::resembled_by(&fields)) {
        Some(found) if found != asked => {
            let Place { file, line, .. } = &first.place;
            Err(Failure::refused(format!(
                "{}, line {line}: it looks like {found}, not like {asked}: --format {found} reads it",
                file.display()
            )))
        }
        _ => Ok(()),
    }
}

/// A moment that an option tells.
fn epoch(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| format!("`{text}` is no RFC 3339 time, such as 2024-06-01T00:00:00Z"))
}

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
    for (what, count) in &report.passed_over {
        match args.format {
            Format::Recording | Format::Activegraph => {
                output::line(format_args!("passed over, as no kind of fact tells it: {count} {what}"))?
            }
            Format::AzureLlm | Format::Mooncake => {
                output::line(format_args!("passed over, as no kind of fact tells it: the field {what} of {count} rows"))?;
            }
        }
    }
    let Report { sessions, facts, added, repeated, .. } = report;
    let (sessions, facts) = (output::counted(*sessions as u64, "session"), output::counted(*facts as u64, "fact"));
    output::line(format_args!("{sessions}, {facts}: {added} added, {repeated} on the log before"))?;
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
