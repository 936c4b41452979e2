//! What an event costs: one table, measured in rounds that take turns, each figure with the median of its rounds.

mod archive;
mod builds;
mod counting;
mod decode;
mod house;
mod kafka;
mod overload;
mod recorded;
mod rooms;
mod table;
mod watch;
mod whole;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use runtime::log::{Addressed, Log};
use torture::ground::load;
use wire::Partition;

use crate::decode::Decoding;
use crate::recorded::Recorded;
use crate::table::{Lines, markdown};

const EXAMPLES: &str = "\
Examples:
  bench                                     measures everything and prints the table
  bench --only rooms --only decode          two parts of it
  bench --rounds 15 --json                  more rounds, for a script
  bench --recorded ./data --only rooms      over a log that `reeve import` left in a folder
  bench --write deploy/BENCHMARKS.md        replaces the sections of what was measured

Figures count only when nothing else runs. A ratio of one run says something at any time, for its rounds take turns.";

/// Measures what an event costs: decode, fold, memory, the whole house, the archive.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = EXAMPLES)]
struct Options {
    /// Measures this part alone; may be given several times.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Rounds of everything that is measured more than once.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Writes the sections of what was measured into this page.
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
    /// The folder of a log to measure over, instead of importing recordings anew.
    #[arg(long, value_name = "FOLDER")]
    recorded: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Each deciding room: events per second, allocations.
    Rooms,
    /// Each deciding room: bytes per agent of a large fleet. Once, for it is the same every time.
    Memory,
    /// Bytes to Rust type, against the libraries' paths.
    Decode,
    /// All rooms on the embedded log, and a harm's way to its order.
    House,
    /// The archive against its floor.
    Audit,
    /// A P1's time to its order while five times more is published than the disk takes. Once: it lasts a minute.
    Overload,
    /// Reading, deciding and committing on Apache Kafka, on the broker that REEVE_KAFKA_BROKERS names. Only where it is asked for.
    Kafka,
    /// The command built cold and warm. Once; and what the last `make test` took.
    Builds,
}

/// What went wrong, in words.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let load_before = load();
    let recorded = Recorded::get(options.recorded.as_deref())?;
    let decoding = Decoding::new(&recorded)?;
    let lines = measure(options, &recorded, &decoding)?;
    let versions = if options.only.contains(&Part::Kafka) { kafka::versions() } else { String::new() };
    let surroundings = format!(
        "{} rounds that took turns, over {} records: {}; {} of them are left out where decoding is compared, for apache-avro's \
         `Value` gives no time back as it was. {versions}{}; load average {load_before} before, {} after.",
        options.rounds,
        recorded.len(),
        recorded.origin,
        decoding.left_out,
        machine(),
        load()
    );
    if options.json {
        println!("{}", serde_json::json!({ "surroundings": surroundings, "lines": lines.json() }));
    } else {
        println!("{}\n\n{surroundings}", lines.table());
    }
    if let Some(path) = &options.write {
        let parts = [rooms::PART, decode::PART, whole::PART, archive::PART, overload::PART, kafka::PART, builds::PART].into_iter();
        let told = parts.filter(|part| !lines.of(part).is_empty());
        let section = |part: &'static str| (part, format!("{}\n{surroundings}", markdown(&lines.of(part))));
        kit::page::write(path, &told.map(section).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Every round does everything once, so that whatever disturbs the machine meanwhile disturbs all figures alike.
fn measure(options: &Options, recorded: &Recorded, decoding: &Decoding<'_>) -> Result<Lines, Failure> {
    let asked = |part: Part| options.only.is_empty() || options.only.contains(&part);
    let mut lines = Lines::default();
    let rooms = rooms::all();
    let facts = recorded.facts()?;
    let copies = whole::copies(&facts);
    let folder = tempfile::tempdir()?;
    let log = if asked(Part::Audit) { Some(on_disk(recorded, folder.path())?) } else { None };
    let kafka = if options.only.contains(&Part::Kafka) { Some(kafka::Kafka::begin(&facts, &copies)?) } else { None };
    let bar = bar(u64::from(options.rounds));
    for round in 0..options.rounds {
        if asked(Part::Rooms) {
            rooms.iter().for_each(|room| room.round(recorded, &mut lines));
        }
        if asked(Part::Rooms) && round == 0 {
            rooms.iter().for_each(|room| room.allocations(recorded, &mut lines));
        }
        if asked(Part::Memory) && round == 0 {
            rooms.iter().try_for_each(|room| room.memory(&facts, &mut lines))?;
        }
        if asked(Part::Decode) {
            decoding.round(&mut lines);
        }
        if asked(Part::House) {
            whole::throughput(&copies, &mut lines)?;
            whole::harms(&mut lines)?;
        }
        if let Some(log) = &log {
            archive::round(log, &mut lines)?;
        }
        if let Some(kafka) = &kafka {
            kafka.round(&copies, &mut lines)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(kafka) = &kafka {
        kafka.steady(&mut lines)?;
        kafka.live(&facts, &mut lines)?;
    }
    if asked(Part::Overload) {
        overload::measure(&mut lines)?;
    }
    if asked(Part::Builds) {
        builds::measure(&mut lines)?;
    }
    Ok(lines)
}

/// The records on an embedded log, for whoever reads from one.
fn on_disk(recorded: &Recorded, folder: &Path) -> Result<Arc<dyn Log>, Failure> {
    let partitions = recorded.partitions.len() as u32;
    let log = EmbeddedLog::open(folder, EmbeddedOptions { topic: "agent-events".to_owned(), partitions, clock: Clock::Wall })?;
    for (partition, records) in (0..).map(Partition).zip(&recorded.partitions) {
        for page in records.chunks(4_000) {
            log.append(page.iter().map(|stored| Addressed { partition, record: stored.raw.clone() }).collect())?;
        }
    }
    Ok(log)
}

fn bar(rounds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("round {pos} of {len} [{bar:32}] {elapsed} gone").expect("the template is well formed");
    let bar = ProgressBar::new(rounds).with_style(style);
    bar.tick();
    bar
}

fn machine() -> String {
    let told = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = told("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("a processor without a name", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = told("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0);
    format!("{cores} cores of {}, {} GiB", model.trim(), kib >> 20)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(runtime::errors::chain(&error))
    }
}
