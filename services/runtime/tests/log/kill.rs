//! A program that is killed in the middle of its writes leaves a log that is whole.
//!
//! The test starts its own binary again as the victim, which writes and tells each answer that it got; it is killed
//! without warning, again and again, and the log must hold what it told.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use runtime::log::Log;
use runtime::log::contract::fixtures::{fact, ids, join, stable_offset, to, transaction};
use tempfile::TempDir;
use wire::Partition;

use crate::embedded::open;

/// Tells the victim where to write.
const FOLDER: &str = "LOG_TEST_VICTIM_FOLDER";
const KILLS: usize = 6;
/// Answers that are waited for before a kill; the rest is chance.
const ANSWERS_BEFORE_KILL: usize = 40;

#[test]
fn a_killed_program_leaves_every_answer_it_got() {
    let folder = TempDir::new().expect("a folder");
    let mut told: Vec<String> = Vec::new();
    for kill in 0..KILLS {
        told.extend(live_and_die(folder.path(), kill));
        let log = open(folder.path());
        let stored = ids(&*log, 0);
        let missing: Vec<&String> = told.iter().filter(|id| !stored.contains(id)).collect();
        assert!(missing.is_empty(), "after kill {kill} these were answered and are gone: {missing:?}");
        // Each commit carries one decision and the number of decisions so far: they moved together or not at all.
        let decisions = stored.iter().filter(|id| id.starts_with("decision-")).count();
        let mut consumer = join(&*log, "rooms", "observer");
        let offset = stable_offset(&mut *consumer, Partition(0)).map_or(0, |offset| offset.0);
        assert_eq!(offset, decisions as i64);
        let facts = stored.iter().filter(|id| id.starts_with("fact-")).count();
        let twins = stored.iter().filter(|id| id.starts_with("twin-")).count();
        assert_eq!(facts, twins, "an append is all or none");
    }
    assert!(told.len() >= KILLS * ANSWERS_BEFORE_KILL);
}

/// Not a test of its own: the program that is killed. Without a folder it does nothing.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log = open(Path::new(&folder));
    let consumer = join(&*log, "rooms", "victim");
    let mut producer = log.producer("victim").expect("a producer");
    let so_far = ids(&*log, 0);
    let mut decisions = so_far.iter().filter(|id| id.starts_with("decision-")).count();
    for number in so_far.len().. {
        let (first, twin) = (format!("fact-{number}"), format!("twin-{number}"));
        log.append(vec![to(0, fact(&first, "said")), to(0, fact(&twin, "said"))]).expect("new facts are appended");
        tell(&[&first, &twin]);
        decisions += 1;
        let decision = format!("decision-{number}");
        let decided = transaction(&*consumer, vec![to(0, fact(&decision, "decided"))], &[(0, decisions as i64)]);
        producer.commit(decided).expect("a member commits");
        tell(&[&decision]);
    }
}

/// Starts the victim, hears its answers, kills it, and hears what it had said by then. The ids that it told.
fn live_and_die(folder: &Path, kill: usize) -> Vec<String> {
    let binary = std::env::current_exe().expect("this binary has a path");
    let mut victim = Command::new(binary)
        .args(["--exact", "kill::victim", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the victim starts");
    let mut lines = BufReader::new(victim.stdout.take().expect("it is piped")).lines();
    let mut told = Vec::new();
    let mut hear = |line: std::io::Result<String>| {
        told.extend(line.ok().and_then(|line| line.strip_prefix("told ").map(str::to_owned)));
        told.len()
    };
    // Each kill comes at another place of the victim's round.
    for line in lines.by_ref() {
        if hear(line) >= ANSWERS_BEFORE_KILL + kill {
            break;
        }
    }
    victim.kill().expect("it lives");
    victim.wait().expect("it is gone");
    // A line is only whole when its end was written; all of them are, for each is written at once.
    for line in lines {
        hear(line);
    }
    told
}

/// A line for each id, written past the test harness, which would keep it back.
fn tell(ids: &[&str]) {
    let mut out = std::io::stdout().lock();
    let lines: String = ids.iter().map(|id| format!("told {id}\n")).collect();
    out.write_all(lines.as_bytes()).and_then(|()| out.flush()).expect("whoever listens is there");
}
