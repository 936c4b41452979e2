//! `reeve migrate`: replays the records of one Kafka topic into another that has more partitions, and proves that all arrived.
//!
//! What a replay means stands in [`runtime::log::migration`]. Here is the way there: the new topic lets itself be told dates and
//! keeps everything (`message.timestamp.type=CreateTime`, `retention.ms=-1`) until all of it stands there and was read anew; as
//! long as that is so, no Reeve starts on it (RV0020). Then its brokers date again. Records of old dates would fall to retention
//! before rooms have read them once, so that retention stays off until somebody sets it.

#[cfg(test)]
mod tests;
mod told;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::errors::{Code, Coded, chain};
use runtime::log::kafka::demands::{Standing, Weight, findings};
use runtime::log::kafka::topics::{BY_BROKERS, BY_WRITERS, TIMESTAMP_TYPE};
use runtime::log::kafka::{KafkaDestination, KafkaLog, KafkaOptions, topics};
use runtime::log::migration::census::{Comparison, compare};
use runtime::log::migration::{Destination, Migration, MigrationError, WRITE_RECORDS, ends};
use runtime::log::{Log, LogError};
use wire::Offset;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::topics::options;

const EXAMPLES: &str = "\
Examples:
  reeve topics create --brokers broker:9092 --topic agent-events-64 --partitions 64
  reeve migrate --brokers broker:9092 --from agent-events --to agent-events-64
  REEVE_LOG_TOPIC=agent-events-64 reeve up --log kafka --brokers broker:9092 --data ./wider

First end every Reeve and every publisher that writes to the old topic, and see that its records do
not fall to retention meanwhile. The new topic is empty, or holds a part of this very replay: one that
was ended or killed is gone on with by the same command. The old topic stays as it is.

Facts, words and decisions keep their order and their dates, so that rooms find what was decided
decided, and no deadline begins anew. How far rooms had come, and refusals of what nobody could read,
stay behind. When all is written both topics are read anew and compared, agent by agent; only then the
new topic takes records of a running Reeve. Give that one a folder of its own: snapshots of the old
topic count by other partitions.

Exit codes: 0 all of it stands there; 65 the topics do not go together, or differ; 69 no broker answers;
75 a write failed, or somebody still writes to the old topic: the same command goes on.";

/// Replays, each with a check, until the old topic ends where the check ended. Whoever still writes to it is told.
const ROUNDS_MAX: usize = 3;
const RETENTION: &str = "retention.ms";
const FOR_EVER: &str = "-1";
/// How long brokers may take to hear of a setting that was altered.
const LOOKS_MAX: u32 = 100;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `reeve migrate`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Some brokers, as host:port, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    brokers: Option<String>,
    /// The old topic [default: agent-events]
    #[arg(long, value_name = "TOPIC")]
    from: Option<String>,
    /// The new topic; it exists and has more partitions.
    #[arg(long, value_name = "TOPIC")]
    to: String,
    /// A TOML file with settings; flags and REEVE_* variables overrule it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go on although the first records of the old topic are gone: rooms will not know what stood there, policies included.
    #[arg(long)]
    without_beginning: bool,
    /// Records of one write.
    #[arg(long, value_name = "N", default_value_t = WRITE_RECORDS as u32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Outcome {
    /// Records that this run wrote, and that stood there from an earlier one.
    written: u64,
    compared: u64,
    /// Decisions whose `asof` names a later record than they knew.
    vague: u64,
    found: Comparison,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (from, to) = args.topics()?;
    let [old, new] = [standing(&from).await?, standing(&to).await?];
    fit(&from, &old)?;
    if new.partitions <= old.partitions {
        return Err(MigrationError::NotWider { from: old.partitions, to: new.partitions }.into());
    }
    let is_complete = is_complete(&to, &new)?;
    let source = KafkaLog::open(from.clone())?;
    if is_complete {
        let log = KafkaLog::open(to.clone())?;
        let found = check(&*source, None, &*log)?;
        return told::end(&args, [&source, &log], &Outcome { found, ..Outcome::default() });
    }
    let log = KafkaLog::open(to.clone())?;
    let mut destination = KafkaDestination::register(Arc::clone(&log))?;
    set(&to, &[(TIMESTAMP_TYPE, BY_WRITERS), (RETENTION, FOR_EVER)]).await?;
    let outcome = replay(&*source, &mut destination, &args)?;
    if outcome.found.is_whole() {
        set(&to, &[(TIMESTAMP_TYPE, BY_BROKERS)]).await?;
    }
    told::end(&args, [&source, &log], &outcome)
}

/// Replays and checks, until the old topic ends where the check ended.
fn replay(from: &dyn Log, to: &mut dyn Destination, args: &Args) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for _ in 0..ROUNDS_MAX {
        let mut migration = Migration::begin(from, to, args.without_beginning)?.with_writes_of(args.batch as usize);
        let (starts, _) = migration.cut();
        let bar = output::bar(length(&starts, &ends(from)?), "replayed");
        migration.run(&mut |offsets| bar.set_position(offsets))?;
        bar.finish_and_clear();
        let (written, compared, vague) = (migration.written(), migration.compared(), migration.vague());
        let cut = migration.cut();
        outcome.compared = if outcome.written > 0 { outcome.compared } else { compared };
        outcome = Outcome { written: outcome.written + written, vague, found: check(from, Some(cut.clone()), to.log())?, ..outcome };
        if !outcome.found.is_whole() || ends(from)? == cut.1 {
            return Ok(outcome);
        }
    }
    let sentence = format!("somebody still writes to {}: end every Reeve and every publisher there, and say this again", from.topic());
    Err(Failure::new(Exit::TryAgain, sentence))
}

/// Reads both topics anew; without a cut, all of the old one that is left.
fn check(from: &dyn Log, cut: Option<(Vec<Offset>, Vec<Offset>)>, to: &dyn Log) -> Result<Comparison, Failure> {
    let (starts, cut) = match cut {
        Some(cut) => cut,
        None => (runtime::log::migration::starts(from)?, ends(from)?),
    };
    let total = length(&starts, &cut) + ends(to)?.iter().map(|end| end.0.unsigned_abs()).sum::<u64>();
    let bar = output::bar(total, "checked");
    let found = compare(from, (&starts, &cut), to, &mut |offsets| bar.inc(offsets))?;
    bar.finish_and_clear();
    Ok(found)
}

fn length(starts: &[Offset], ends: &[Offset]) -> u64 {
    starts.iter().zip(ends).map(|(start, end)| (end.0 - start.0).max(0).unsigned_abs()).sum()
}

// === topics ===

impl Args {
    fn topics(&self) -> Result<(KafkaOptions, KafkaOptions), Failure> {
        let options = |topic| options(self.config.as_deref(), self.brokers.as_deref(), topic);
        let (from, to) = (options(self.from.as_deref())?, options(Some(&self.to))?);
        if from.topic == to.topic {
            return Err(Failure::usage(format!("{} is replayed into another topic: give two names", from.topic)));
        }
        Ok((from, to))
    }
}

async fn standing(options: &KafkaOptions) -> Result<Standing, Failure> {
    topics::look(options).await?.ok_or_else(|| crate::topics::gone(options))
}

/// An old topic whose dates are its brokers'.
fn fit(options: &KafkaOptions, standing: &Standing) -> Result<(), Failure> {
    match standing.topic.get(TIMESTAMP_TYPE).map(String::as_str) {
        Some(BY_BROKERS) => Ok(()),
        is => {
            let is = is.unwrap_or("not told");
            let sentence =
                format!("{TIMESTAMP_TYPE} of {} is {is}: its dates are not its brokers', so that no order rests on them", options.topic);
            Err(Failure::coded(Code::BadTopic, sentence))
        }
    }
}

/// Whether the new topic was filled to its end before: its brokers date, and it is not empty. Refuses one on which Reeve could not
/// run afterwards.
fn is_complete(options: &KafkaOptions, standing: &Standing) -> Result<bool, Failure> {
    let wrong = findings(standing).into_iter().find(|finding| finding.weight == Weight::Wrong && finding.setting != TIMESTAMP_TYPE);
    if let Some(finding) = wrong {
        let sentence = format!("{} of {} is {}, it should be {}", finding.setting, options.topic, finding.is, finding.wanted);
        return Err(Failure::coded(Code::BadTopic, sentence));
    }
    let by_brokers = standing.topic.get(TIMESTAMP_TYPE).map(String::as_str) == Some(BY_BROKERS);
    let log = KafkaLog::open(options.clone())?;
    Ok(by_brokers && ends(&*log)?.iter().any(|end| *end > Offset(0)))
}

/// Alters settings of a topic, and returns when the brokers tell them so.
async fn set(options: &KafkaOptions, changes: &[(&str, &str)]) -> Result<(), Failure> {
    topics::alter(options, changes).await?;
    for _ in 0..LOOKS_MAX {
        let standing = standing(options).await?;
        if changes.iter().all(|(name, value)| standing.topic.get(*name).map(String::as_str) == Some(value)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(LogError::Unavailable {
        reason: format!("the settings of {} were altered, and its brokers still tell the old ones", options.topic),
    }
    .into())
}

impl From<MigrationError> for Failure {
    fn from(error: MigrationError) -> Self {
        let again = match error {
            MigrationError::NotWritten { .. } => "; say this again, and it goes on where it stopped",
            MigrationError::BeginningGone { .. } => "; --without-beginning goes on with what is left",
            _ => "",
        };
        Self::coded(error.code(), format!("{}{again}", chain(&error)))
    }
}
