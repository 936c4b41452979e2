//! `reeve publish`: facts as JSON lines, each a structured CloudEvent. Everything is checked before anything is sent.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::Value;
use wire::cloudevents::{Door, parse_structured};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::target::{Published, Rejected, Target, TargetArgs};

const EXAMPLES: &str = r#"Examples:
  reeve publish facts.jsonl
  some-exporter | reeve publish -

A line is one event, broken here to be read:
  {"specversion": "1.0", "id": "0192-7", "subject": "s-42",
   "source": "/platforms/acme/agents/telecom",
   "type": "io.reeve.outcome.reported.v1", "time": "2026-03-01T12:00:00Z",
   "data": {"success": true, "handled_by": "agent"}}

A line that was published before adds nothing. A fault anywhere, and nothing
is sent: every faulty line is listed."#;

/// Events in one request.
const BATCH_EVENTS_MAX: usize = 200;
/// Bytes of lines in one request.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Bytes that are taken from standard input, which cannot be read twice: more is to come as a file.
const STDIN_BYTES_MAX: u64 = 256 << 20;
/// Faulty lines that are listed; beyond it they are counted.
const FAULTS_LISTED_MAX: usize = 1_000;

/// `reeve publish`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// JSON lines; `-` or nothing: standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Print one JSON object: how many were new, how many known.
    #[arg(long)]
    json: bool,
}

/// Where lines come from, as often as they are asked for.
enum Lines {
    File(PathBuf),
    Stdin(Vec<u8>),
}

/// Faults, by line.
#[derive(Default)]
struct Faults {
    listed: Vec<String>,
    count: usize,
}

/// Lines of one request.
#[derive(Default)]
struct Batch {
    numbers: Vec<usize>,
    events: Vec<Value>,
    bytes: usize,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let lines = Lines::open(&args.file)?;
    let total = check(&lines)?;
    let target = args.target.open_or_begin()?;
    let bar = output::bar(total, "published");
    let published = send(&lines, &target, &bar).await?;
    bar.finish_and_clear();
    if args.json {
        return output::json_line(&serde_json::json!({ "new": published.new, "repeated": published.repeated }));
    }
    let known = if published.repeated > 0 { format!(", {} were there already", published.repeated) } else { String::new() };
    output::line(format!("{} events are new on the log{known}", published.new))
}

/// Counts the events, if no line has a fault.
fn check(lines: &Lines) -> Result<u64, Failure> {
    let mut faults = Faults::default();
    let mut count = 0;
    for line in lines.numbered()? {
        let (number, line) = line?;
        count += 1;
        if let Err(refusals) = parse_structured(line.as_bytes(), Door::Public) {
            refusals.iter().for_each(|refusal| faults.add(number, refusal));
        }
    }
    faults.none().map(|()| count)
}

async fn send(lines: &Lines, target: &Target, bar: &ProgressBar) -> Result<Published, Failure> {
    let mut published = Published::default();
    let mut batch = Batch::default();
    for line in lines.numbered()? {
        let (number, line) = line?;
        if batch.is_full(line.len()) {
            batch.send(target, bar, &mut published).await?;
        }
        batch.add(number, &line)?;
    }
    batch.send(target, bar, &mut published).await?;
    Ok(published)
}

// === impl Batch ===

impl Batch {
    fn is_full(&self, more_bytes: usize) -> bool {
        self.events.len() >= BATCH_EVENTS_MAX || (!self.events.is_empty() && self.bytes + more_bytes > BATCH_BYTES_MAX)
    }

    fn add(&mut self, number: usize, line: &str) -> Result<(), Failure> {
        let event =
            serde_json::from_str(line).map_err(|error| Failure::refused(format!("line {number} changed while it was read: {error}")))?;
        self.numbers.push(number);
        self.events.push(event);
        self.bytes += line.len();
        Ok(())
    }

    async fn send(&mut self, target: &Target, bar: &ProgressBar, published: &mut Published) -> Result<(), Failure> {
        let Self { numbers, events, .. } = std::mem::take(self);
        if events.is_empty() {
            return Ok(());
        }
        match target.publish(&events).await {
            Ok(Published { new, repeated }) => {
                published.new += new;
                published.repeated += repeated;
                bar.inc(events.len() as u64);
                Ok(())
            }
            Err(Rejected::Failed(failure)) => Err(failure),
            Err(Rejected::Faults(found)) => {
                let mut faults = Faults::default();
                found.iter().for_each(|(index, fault)| faults.add(numbers.get(*index).copied().unwrap_or(0), fault));
                faults.none()
            }
        }
    }
}

// === impl Lines ===

impl Lines {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() != "-" {
            return Ok(Self::File(path.to_owned()));
        }
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > STDIN_BYTES_MAX {
            return Err(Failure::refused(format!("standard input has more than {STDIN_BYTES_MAX} bytes: give it as a file")));
        }
        Ok(Self::Stdin(bytes))
    }

    /// Every line that is not empty, with its number from 1.
    fn numbered(&self) -> Result<impl Iterator<Item = Result<(usize, String), Failure>> + '_, Failure> {
        let reader: Box<dyn BufRead + Send + '_> = match self {
            Self::Stdin(bytes) => Box::new(bytes.as_slice()),
            Self::File(path) => {
                let unreadable = |error| Failure::new(Exit::NoInput, format!("cannot read {}: {error}", path.display()));
                Box::new(BufReader::new(File::open(path).map_err(unreadable)?))
            }
        };
        let numbered = reader.lines().enumerate().map(|(index, line)| (index + 1, line));
        Ok(numbered.filter_map(|(number, line)| match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(Ok((number, line))),
            Err(error) => Some(Err(Failure::refused(format!("line {number} cannot be read: {error}")))),
        }))
    }
}

// === impl Faults ===

impl Faults {
    fn add(&mut self, line: usize, fault: impl std::fmt::Display) {
        self.count += 1;
        if self.listed.len() < FAULTS_LISTED_MAX {
            self.listed.push(format!("line {line}: {fault}"));
        }
    }

    fn none(self) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let faults = if self.count == 1 { "1 fault".to_owned() } else { format!("{} faults", self.count) };
        Err(Failure::refused(format!("{faults} in the input; nothing more was sent")).with_lines(self.listed))
    }
}
