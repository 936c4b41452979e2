//! It is stopped for longer than its sessions and its transactions last, as a machine that swaps or a paused virtual one; another
//! one of the same names takes its place; and then it is woken, and goes on with what it was about to do.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use runtime::log::Log;
use runtime::log::kafka::KafkaLog;
use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::ground::{bar, eventually, folder, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::Up;
use torture::proof::told;
use torture::publisher::Publisher;
use wire::{Offset, Partition};

use super::{finish_of_many, on};
use crate::killed::{BATCH, SENDERS, corpus, published};

/// Longer than a session (8 s) and a transaction (5 s) of Reeve's last.
const STOPPED: Duration = Duration::from_secs(10);
/// How often it may be stopped anew until a transaction is open, the facts that are granted each time, and how long after the first
/// of them it is stopped, at most.
const STOPS_MAX: u64 = 12;
const FACTS_OF_A_STOP: u64 = 24;
const STOP_MAX_MS: u64 = 15;
/// How often it is looked whether a transaction is still open, and how far apart: what had been sent has arrived by then.
const LOOKS: usize = 4;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a room says of a partition that it was given, and of one that was taken from it.
const ASSIGNED: &str = " assigned room=";
const REVOKED: &str = " revoked room=";
/// What it says of a transaction that did not end well, and of one that was no longer its own.
const LOST: &str = "what it held stays owed";
const FENCED: &str = "transaction fenced, what it held stays owed";
/// What a client says whose place was taken by another one of its name.
const DISPLACED: &str = "Static consumer fenced";

/// What zombies met, all together.
#[derive(Debug, Default)]
struct Met {
    /// Those that had a transaction open when they were stopped.
    in_a_transaction: u64,
    /// Where the transactions began that were open then and that nobody had committed when they were woken.
    undone: Vec<(Partition, Offset)>,
    /// Those that tried to go on with a transaction when they were woken.
    tried: u64,
    /// Those of them that were told, of a transaction, that it is no longer theirs.
    fenced: u64,
    /// Those that were told, of a place in a group, that another one has it.
    displaced: u64,
    /// Those that had been told so before they were stopped: a client whose session is over by its own clock joins as if it were new,
    /// so one that was woken may have taken a place back.
    displaced_before: u64,
}

/// A topic on which zombies are made.
struct Ground {
    topic: KafkaTopic,
    log: Arc<KafkaLog>,
    publisher: Publisher,
    dice: Dice,
    met: Met,
}

#[test]
fn a_reeve_that_was_stopped_past_its_sessions_commits_nothing_once_it_is_woken() {
    let Some(topic) = beside_a_broker() else { return };
    let zombies = tenth_or_whole(10, 50);
    let (mut dice, data) = (dice(), [folder(), folder()]);
    let facts = corpus(&mut dice, zombies * (STOPS_MAX * FACTS_OF_A_STOP) as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let log = KafkaLog::open(topic.options().clone()).expect("the topic is there");
    let mut ground = Ground { topic, log, publisher, dice, met: Met::default() };
    let (bar, begun) = (bar("zombies", zombies as u64), moment());
    // Two folders, since one of them is held by whoever is stopped.
    let mut standing = Up::start(&mut on_aloud(&ground.topic, data[0].path()));
    ground.publisher.find(Some(&standing.url));
    for zombie in 0..zombies {
        standing = ground.replace(standing, data[(zombie + 1) % 2].path());
        bar.inc(1);
    }
    bar.finish_and_clear();
    standing.kill();
    let taken = begun.elapsed();
    // What a gateway had taken before it was stopped it appends once it is woken, and its publisher has told it to another one
    // since: no room folds a fact twice.
    let Ground { topic, publisher, met, .. } = ground;
    let (judgement, repeats) = finish_of_many(&topic, data[0].path(), &facts, publisher);
    let log = topic.read();
    for (partition, offset) in &met.undone {
        let stands = log.0[partition.0 as usize].iter().any(|record| record.offset == *offset);
        assert!(!stands, "what was undone while its owner was stopped stands at {offset} of {partition}");
    }
    assert!(met.in_a_transaction > 0 && !met.undone.is_empty(), "none was stopped in a transaction: {met:?}");
    assert!(met.tried > 0, "none that was woken tried to go on: {met:?}");
    // Which of the two a room hears first is chance: its client may give its transaction up by its own clock.
    assert!(met.fenced + met.displaced > 0, "none that was woken was told that it is fenced: {met:?}");
    say(&format!(
        "{zombies} zombies in {taken:.0?} (seed {}), {} of them stopped in a transaction, {} of which were undone; {} tried to go on; {} \
         were told that a transaction was no longer theirs, and {} that a place was not; {} had lost a place before; {} facts, \
         {repeats} of them twice; {} decisions: {}",
        seed(),
        met.in_a_transaction,
        met.undone.len(),
        met.tried,
        met.fenced,
        met.displaced,
        met.displaced_before,
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

// === impl Ground ===

impl Ground {
    /// Stops `old` while it commits, lets a new one take its place in `data`, and wakes the old one beside it.
    fn replace(&mut self, mut old: Up, data: &Path) -> Up {
        // What the one before it left open is decided first, so that it is not taken for its own.
        eventually("what is open is decided", || self.topic.open_transactions().is_empty().then_some(()));
        let begun = self.stop_in_a_transaction(&old);
        let stopped = moment();
        self.publisher.find(None);
        let new = Up::start(&mut on_aloud(&self.topic, data));
        self.publisher.find(Some(&new.url));
        std::thread::sleep(STOPPED.saturating_sub(stopped.elapsed()));
        self.met.in_a_transaction += u64::from(!begun.is_empty());
        let undone: Vec<_> = begun.into_iter().filter(|(partition, offset)| !self.stands(*partition, *offset)).collect();
        self.met.undone.extend(undone);
        let [assigned, lost, fenced, displaced] = [ASSIGNED, LOST, FENCED, DISPLACED].map(|what| old.said(what));
        self.met.displaced_before += u64::from(displaced > 0);
        old.signal("CONT");
        // Whatever it held when it was stopped is taken from it, by its rooms' next words with their groups.
        eventually("the woken one lets go", || (old.said(REVOKED) >= assigned).then_some(()));
        self.met.tried += u64::from(old.said(LOST) > lost);
        self.met.fenced += u64::from(old.said(FENCED) > fenced);
        self.met.displaced += u64::from(old.said(DISPLACED) > displaced);
        let ended = old.kill();
        assert!(!ended.said.contains("panicked"), "{}", ended.said);
        new
    }

    /// Stops it, if chance allows it where transactions are open that it has yet to end: where these begin.
    fn stop_in_a_transaction(&mut self, up: &Up) -> Vec<(Partition, Offset)> {
        for _ in 1..STOPS_MAX {
            let begun = self.stop(up);
            if !begun.is_empty() {
                return begun;
            }
            up.signal("CONT");
        }
        self.stop(up)
    }

    /// Stops it shortly after it has taken facts. Where transactions begin that are still open when all that it had sent has arrived.
    fn stop(&mut self, up: &Up) -> Vec<(Partition, Offset)> {
        let start = self.publisher.acknowledged();
        self.publisher.grant(FACTS_OF_A_STOP);
        published(&self.publisher, start + 1);
        std::thread::sleep(Duration::from_millis(self.dice.random_range(0..STOP_MAX_MS)));
        up.signal("STOP");
        let mut open = self.topic.open_transactions();
        for _ in 1..LOOKS {
            if open.is_empty() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
            let still = self.topic.open_transactions();
            open.retain(|begun| still.contains(begun));
        }
        open
    }

    /// Whether a record that was committed stands there.
    fn stands(&self, partition: Partition, offset: Offset) -> bool {
        let records = self.log.read(partition, offset, 1).expect("the topic can be read");
        records.first().is_some_and(|record| record.offset == offset)
    }
}

/// `reeve up` on the topic, which says what it is given and what is taken from it.
fn on_aloud(topic: &KafkaTopic, data: &Path) -> Command {
    let mut command = on(topic, data);
    command.env("REEVE_LOGGING_FILTER", "info");
    command
}
