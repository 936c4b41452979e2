//! `reeve replay FILE --until N`: a history, record by record, through every room.
//!
//! At each record: what fell due before it, what the rooms came to owe by it, what it settled, and what the oracle
//! objects to. Nothing runs and nothing is decided: the log is folded as it stands.

mod stepped;
mod told;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use machine::oracle::{Oracle, Read};
use machine::room::Rooms;
use runtime::log::history::{About, History, HistoryError};
use wire::{Offset, Partition, StoredRecord};

use self::stepped::{House, Step};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::rooms;
use crate::target::{Local, Target, TargetArgs};

const EXAMPLES: &str = "\
Examples:
  reeve replay history.42.jsonl                    every record, and the oracle's judgement
  reeve replay history.42.jsonl --until 118        stops after record 118: who stands how, and what is owed there
  reeve replay history.42.jsonl --from 100 --until 118 --room rollback
  reeve replay --data ./data --agent billing       the log of a folder
  reeve replay history.42.jsonl --json | jq 'select(.objections != [])'

A history is what `make sim` leaves of a seed that failed, at history.<seed>.jsonl. Records are counted from 1, in
the order of append. At each one is told, for each room of its partition:

  fell due   owed because time passed to this record, before it was folded
  owes       owed because of this record
  settled    no longer owed: its decision came home with this record, or it was cancelled
  OBJECTION  what stands here is not what the room owed where it says that it was asked

What rooms owe of room.watermark is told with --watermarks only.

Exit codes: 0 the oracle objects to nothing up to there; 65 it does, or the file is no history; 66 it cannot be read.";

/// `reeve replay`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The history; without one, the log of --data.
    #[arg(required_unless_present = "data")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Tell records from this one on; those before it are folded in silence.
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: usize,
    /// Stop after this record.
    #[arg(long, value_name = "N")]
    until: Option<usize>,
    /// Tell only records about this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Tell only what this room owes and settles, and only records at which it does.
    #[arg(long)]
    room: Option<String>,
    /// Tell of watermarks too.
    #[arg(long)]
    watermarks: bool,
    /// Print one JSON object a record, and one at the end.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    args.check()?;
    let history = args.history()?;
    let total = history.records.len();
    let until = args.until.unwrap_or(total).min(total);
    let mut house = House::new(&judged(), &history.about);
    let mut oracle = Oracle::new(&history.about.topic, &judged());
    let bar = output::bar(until as u64, "records");
    if !args.json {
        told::head(&history.about, total)?;
    }
    for (stored, number) in history.records.into_iter().take(until).zip(1..) {
        let read = Arc::new(Read::of(stored, history.about.partitions));
        let known = oracle.judgement().objections.len();
        oracle.take(&read);
        let step = house.take(number, &read);
        let objections = &oracle.judgement().objections[known..];
        bar.inc(1);
        if number >= args.from && (args.wants(&step) || !objections.is_empty()) {
            bar.suspend(|| told::step(&step, objections, &args))?;
        }
    }
    bar.finish_and_clear();
    let judgement = match history.about.end.filter(|_| until == total) {
        Some(end) => oracle.end(end),
        None => oracle.judgement().clone(),
    };
    told::end(&house, until, total, &judgement, &args)?;
    match judgement.objections.len() {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Refused, "the oracle objects")),
        several => Err(Failure::new(Exit::Refused, format!("the oracle objects {several} times"))),
    }
}

/// The rooms as the oracle folds them.
fn judged() -> Rooms {
    rooms::ALL.iter().filter_map(|room| room.mind).map(|mind| mind.room).collect()
}

// === impl Args ===

impl Args {
    fn check(&self) -> Result<(), Failure> {
        if self.file.is_some() && self.target.data.is_some() {
            return Err(Failure::usage("a history is replayed or the log of a folder: give FILE or --data, not both"));
        }
        let known: Vec<&str> = rooms::ALL.iter().map(|room| room.name).collect();
        match &self.room {
            Some(room) if !known.contains(&room.as_str()) => {
                Err(Failure::usage(format!("there is no room {room}; the rooms are {}", known.join(", "))))
            }
            _ => Ok(()),
        }
    }

    fn history(&self) -> Result<History, Failure> {
        let Some(file) = &self.file else { return of_folder(&self.target) };
        let unreadable = |error: &dyn std::fmt::Display| Failure::new(Exit::NoInput, format!("cannot read {}: {error}", file.display()));
        let opened = File::open(file).map_err(|error| unreadable(&error))?;
        History::read(BufReader::new(opened)).map_err(|error| match &error {
            HistoryError::Io { source, .. } => unreadable(source),
            HistoryError::Empty | HistoryError::Line { .. } => {
                Failure::new(Exit::Refused, format!("{} is no history: {error}", file.display()))
            }
        })
    }

    /// Whether a record is worth telling, its objections apart.
    fn wants(&self, step: &Step) -> bool {
        let about = self.agent.as_deref().is_none_or(|agent| step.agent.as_deref() == Some(agent));
        let here = self.room.as_deref().is_none_or(|room| step.moves.iter().any(|moved| moved.room == room && self.tells(moved.kind)));
        about && here && step.kind.is_none_or(|kind| self.tells(kind))
    }

    fn tells(&self, kind: wire::Kind) -> bool {
        self.watermarks || kind != wire::Kind::RoomWatermark
    }
}

/// The log of a folder, in its order of append. It was not followed past its deadlines: what is owed at its end is told,
/// and is no objection.
fn of_folder(target: &TargetArgs) -> Result<History, Failure> {
    let Target::Folder(local) = target.open()? else {
        return Err(Failure::usage("a Reeve that runs does not hand out the bytes of its records: name the folder of its log by --data"));
    };
    let log = local.log();
    let about = About::new(log.topic(), log.partitions(), format!("the log in {}", local.folder().display()));
    let mut records = Vec::new();
    for partition in (0..log.partitions()).map(Partition) {
        records.extend(all_of(&local, partition)?);
    }
    Ok(History::new(about, records))
}

fn all_of(local: &Local, partition: Partition) -> Result<Vec<StoredRecord>, Failure> {
    const PAGE_RECORDS: usize = 512;
    let mut records = Vec::new();
    loop {
        let next = records.last().map_or(Offset(0), |last: &StoredRecord| last.offset.next());
        let page = local.log().read(partition, next, PAGE_RECORDS)?;
        if page.is_empty() {
            return Ok(records);
        }
        records.extend(page);
    }
}
