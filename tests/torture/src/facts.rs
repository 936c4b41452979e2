//! Facts to publish: recorded sessions where the recordings are, and generated lives, which make every room decide.

use std::path::{Path, PathBuf};

use kit::lives::{BIRTH, agent_life};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wire::{Class, Event, Timestamp};

use crate::dice::{Dice, Rng};
use crate::ground::{files, folder, say};
use crate::program::{reeve, run};
use crate::proof::Folder;

/// Agents that lives are about, each under so many names: so that every partition has some.
const NAMES: usize = 8;
/// The recorded sessions: all files, and one of them.
const RECORDINGS: &str = "tau2_bench";
const RECORDING: &str = "tau2_bench/community_toolorchestra_nvidia.jsonl.gz";

/// Facts of generated lives, `count` at least, whose ids nothing else has.
pub fn lived(dice: &mut Dice, count: usize) -> Vec<Event> {
    lives(dice, count).into_iter().map(|(_, event)| event).collect()
}

/// The same with the times at which they are told: one life after the other.
pub fn lives(dice: &mut Dice, count: usize) -> Vec<(Timestamp, Event)> {
    let mut seed = [0; 32];
    dice.fill_bytes(&mut seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let mut facts: Vec<(Timestamp, Event)> = Vec::new();
    for life in 0.. {
        if facts.len() >= count {
            break;
        }
        let told = agent_life().new_tree(&mut runner).expect("a life can be generated").current();
        let begun = facts.last().map_or(BIRTH, |(time, _)| *time);
        let later_s = begun.since_us(BIRTH) / 1_000_000 + 1;
        facts.extend(told.into_iter().map(|(time, event)| (time.plus_s(later_s), renamed(event, life))));
    }
    facts
}

/// Facts of recorded sessions; none, loudly, where there are no recordings.
pub fn recorded() -> Vec<Event> {
    let Some(recording) = recording() else { return Vec::new() };
    let scratch = folder();
    let mut import = reeve(&["import", "--data"]);
    let ended = run(import.arg(scratch.path()).arg(recording));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let log = Folder::at(scratch.path()).read();
    let facts =
        log.records().filter(|record| record.body.kind().class() != Class::Decision && !record.source.as_str().starts_with("/reeve/"));
    facts.map(|record| record.event).collect()
}

/// The recorded sessions, if they are there.
pub fn recording() -> Option<PathBuf> {
    shared(RECORDING)
}

/// Every file of recorded sessions, if they are there.
pub fn recordings() -> Option<Vec<PathBuf>> {
    let folder = shared(RECORDINGS)?;
    let is_of_sessions = |path: &PathBuf| path.to_string_lossy().ends_with(".jsonl.gz");
    let files = files(&folder).into_iter().map(|(path, _)| path).filter(is_of_sessions).collect::<Vec<_>>();
    assert!(!files.is_empty(), "there are sessions in {}", folder.display());
    Some(files)
}

fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("REEVE_SHARED_DATA").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    say(&format!("SKIPPED: there is no {}; REEVE_SHARED_DATA names another folder", path.display()));
    None
}

/// A fact of the n-th life, which is told apart from all others'.
fn renamed(mut event: Event, life: usize) -> Event {
    event.key = format!("{}-{}", event.key, life % NAMES).into();
    event.id = format!("{life}-{}", event.id).into();
    event.subject = event.subject.map(|session| format!("{session}-{life}").into());
    event.source = format!("{}-{}", event.source, life % NAMES).into();
    event
}
