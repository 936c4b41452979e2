//! `reeve audit`: whether the archive is what the log was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::audit::archive::StoredShelf;
use ::audit::check::{self, PartitionReport, Report};
use indicatif::ProgressBar;
use runtime::config::{Config, Layers, LogConfig};
use runtime::decide::open_log;
use runtime::log::Log;
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::up::OTHER_VARIABLES;

const EXAMPLES: &str = "\
Examples:
  reeve audit check                           the log in ./data and its archive in ./data/archive
  reeve audit check --data /var/lib/reeve --archive /mnt/archive
  reeve audit check --config reeve.toml       the log, on Kafka too, and the folders of a `reeve up --config reeve.toml`
  reeve audit check --json | jq .findings

Every segment is read back, held against its name, its SHA-256 and the log, row by row; then records are counted:
`on the log - stored - refused` is what the archive lacks, and must be 0 in every partition. Folders are those of `reeve up`
with the same settings: defaults, then --config, then REEVE_LOG_PATH and REEVE_ARCHIVE_PATH, then flags.

Exit codes: 0 the archive is whole; 65 it is not, and the findings say why, each with a code that has a page;
66 there is no log; 74 the archive cannot be read; 75 the log is held by a Reeve that runs: end it, or check a copy.";

/// The file of a log in its folder. Whoever only reads begins none.
const LOG_FILE: &str = "log.redb";

/// `reeve audit`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Audit {
    /// Read the whole archive back and hold it against the log.
    #[command(after_help = EXAMPLES)]
    Check(Args),
}

/// `reeve audit check`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the log [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Folder of the archive [default: archive in the folder of the log]
    #[arg(long, value_name = "DIR")]
    archive: Option<String>,
    /// A TOML file with settings; flags and REEVE_* variables overrule it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was looked at, and what it came to.
#[derive(Debug, Serialize)]
struct Checked {
    /// Folder of the log, or its topic and brokers.
    log: String,
    /// Folder of the archive.
    archive: PathBuf,
    #[serde(flatten)]
    report: Report,
}

// === impl Audit ===

impl Audit {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Self::Check(args) = self;
        let config = Config::of(&args.layers())?;
        let log = existing(&config.folder, &config.log)?;
        let (place, folder) = (place(&config), config.archive.path.clone());
        let archive = folder.clone();
        let bar = output::bar(0, "segments");
        let told = bar.clone();
        let checked = tokio::task::spawn_blocking(move || compare(&*log, &folder, &told)).await;
        bar.finish_and_clear();
        let report = checked.map_err(|error| Failure::internal(format!("the check broke off: {error}")))??;
        let checked = Checked { log: place, archive, report };
        if args.json {
            output::json(&checked)?
        } else {
            tell(&checked)?
        }
        verdict(&checked.report)
    }
}

// === impl Args ===

impl Args {
    /// As those of `reeve up`: defaults, file, variables and flags, each over the one before.
    fn layers(&self) -> Layers {
        let mut layers = Layers::default();
        if let Some(file) = &self.config {
            layers.file(file);
        }
        let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
        layers.variables(variables, OTHER_VARIABLES);
        for (name, flag, value) in [("log.path", "data", &self.data), ("archive.path", "archive", &self.archive)] {
            value.iter().for_each(|value| layers.flag_called(name, value, flag));
        }
        layers
    }
}

/// Where the log is, in words.
fn place(config: &Config) -> String {
    match &config.log {
        LogConfig::Embedded { .. } => config.folder.display().to_string(),
        LogConfig::Kafka(options) => format!("topic {} at {}", options.topic, options.brokers),
    }
}

/// The log that is there; none is begun.
fn existing(folder: &Path, config: &LogConfig) -> Result<Arc<dyn Log>, Failure> {
    if matches!(config, LogConfig::Embedded { .. }) && !folder.join(LOG_FILE).exists() {
        let why = if folder.is_dir() { format!("it holds no {LOG_FILE}") } else { "the folder does not exist".to_owned() };
        return Err(Failure::new(Exit::NoInput, format!("there is no log in {}: {why}", folder.display())));
    }
    Ok(open_log(config)?)
}

fn compare(log: &dyn Log, folder: &Path, bar: &ProgressBar) -> Result<Report, Failure> {
    // An archive that is not there is an empty one: nothing is made, and the log says what it lacks.
    if !folder.exists() {
        tracing::warn!("there is no archive in {}", folder.display());
    }
    let shelf = StoredShelf::read_only(folder)?;
    Ok(check::check(log, &shelf, |read, total| {
        bar.set_length(total as u64);
        bar.set_position(read as u64);
    })?)
}

fn tell(checked: &Checked) -> Result<(), Failure> {
    let Checked { log, archive, report } = checked;
    output::line(format!("log      {log}"))?;
    output::line(format!("archive  {}", archive.display()))?;
    let mut table = output::table(["partition", "segments", "on the log", "stored", "refused", "told", "difference"]);
    for one in &report.partitions {
        let PartitionReport { partition, segments, on_log, stored, refused, told, difference } = one;
        table.add_row([
            partition.to_string(),
            segments.to_string(),
            on_log.to_string(),
            stored.to_string(),
            refused.to_string(),
            told.to_string(),
            difference.to_string(),
        ]);
    }
    output::line(table)?;
    for stray in &report.strays {
        output::line(format!("no segment, and no fault: {stray}"))?;
    }
    for note in &report.notes {
        output::line(format!("no fault: partition {}: {}", note.partition, note.what))?;
    }
    let untold: u64 = report.partitions.iter().map(|one| one.refused.saturating_sub(one.told)).sum();
    if untold > 0 {
        output::line(format!("{untold} refused records are not named on the log yet: `reeve up` names them"))?;
    }
    let records: u64 = report.partitions.iter().map(|one| one.stored + one.refused).sum();
    if report.whole { output::line(format!("the archive is whole: {records} records, each as it is on the log")) } else { Ok(()) }
}

/// The first finding says how it ends; all of them are told.
fn verdict(report: &Report) -> Result<(), Failure> {
    let Some(first) = report.findings.first() else { return Ok(()) };
    let lines = report.findings.iter().map(|finding| format!("{}  partition {}: {}", finding.code, finding.partition, finding.what));
    let sentence = match report.findings.len() {
        1 => "the archive is not whole".to_owned(),
        several => format!("the archive is not whole: {several} findings"),
    };
    let failure = Failure::coded(first.code, sentence);
    debug_assert_eq!(failure.exit(), Exit::Refused as u8, "every finding is of what was given");
    Err(failure.with_lines(lines.collect()))
}
