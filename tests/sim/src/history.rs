//! What is left of a failing seed: the log that a schedule led to, written where `reeve replay` reads it.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::room::TOPIC;
use machine::mutants::Mutant;
use machine::oracle::{Oracle, Read};
use runtime::log::history::{About, History};

use crate::schedule::Schedule;
use crate::seats::judged;
use crate::verdict::Complaint;
use crate::world::{PARTITIONS, live};

/// Lives a schedule through once more and writes its log to `history.<seed>.jsonl` in `folder`, or to
/// `history.<seed>.<rule>.jsonl` where a rule is broken on purpose; returns the file.
///
/// # Errors
/// When it cannot be written.
pub fn write(schedule: &Schedule, broken: Option<Mutant>, folder: &Path) -> io::Result<PathBuf> {
    let lived = live(schedule, broken, false);
    let rule = broken.map(|rule| format!(".{rule:?}")).unwrap_or_default();
    let file = folder.join(format!("history.{}{rule}.jsonl", schedule.seed));
    let with = broken.map(|rule| format!(", with {rule:?} broken on purpose")).unwrap_or_default();
    let about = About {
        end: Some(lived.end),
        complaints: lived.verdict.complaints.iter().map(ToString::to_string).collect(),
        actions: schedule.actions.iter().map(ToString::to_string).collect(),
        ..About::new(TOPIC, PARTITIONS, format!("seed {} of the simulation{with}", schedule.seed))
    };
    std::fs::create_dir_all(folder)?;
    let history = History::new(about, lived.log.iter().map(|read| read.stored.clone()).collect());
    history.write(BufWriter::new(File::create(&file)?))?;
    Ok(file)
}

/// What the oracle objects to in a history, whatever the history says of itself.
pub fn judge(history: &History) -> Vec<Complaint> {
    let mut oracle = Oracle::new(&history.about.topic, &judged());
    history.records.iter().for_each(|stored| oracle.take(&Arc::new(Read::of(stored.clone(), history.about.partitions))));
    let judgement = match history.about.end {
        Some(end) => oracle.end(end),
        None => oracle.judgement().clone(),
    };
    judgement.objections.iter().map(Complaint::from).collect()
}

/// Where histories are left: the folder `histories` under the target directory.
pub fn folder() -> PathBuf {
    // Tests and `make sim` run from below it: target/debug/deps and target/debug.
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.unwrap_or_else(|| Path::new(".")).join("histories")
}
