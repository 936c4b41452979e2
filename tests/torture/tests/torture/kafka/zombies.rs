//! It is stopped for longer than its sessions and its transactions last, as a machine that swaps or a paused virtual one; another
//! one of the same names takes its place; and then it is woken.

use std::path::Path;
use std::time::Duration;

use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::ground::{bar, folder, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::Up;
use torture::proof::told;
use torture::publisher::Publisher;

use super::{finish_of_many, on};
use crate::killed::{BATCH, SENDERS, corpus, published};

/// Longer than a session (8 s) and a transaction (5 s) of Reeve's last.
const STOPPED: Duration = Duration::from_secs(10);
/// How long a zombie may try what it was about to do, once it is awake.
const AWAKE: Duration = Duration::from_millis(500);
/// Facts of a life.
const FACTS_OF_A_LIFE: u64 = 300;

#[test]
fn a_reeve_that_was_stopped_past_its_sessions_commits_nothing_once_it_is_woken() {
    let Some(topic) = beside_a_broker() else { return };
    let zombies = tenth_or_whole(10, 50);
    let (mut dice, data) = (dice(), [folder(), folder()]);
    let facts = corpus(&mut dice, zombies * FACTS_OF_A_LIFE as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let (bar, begun) = (bar("zombies", zombies as u64), moment());
    // Two folders, since one of them is held by whoever is stopped.
    let mut standing = Up::start(&mut on(&topic, data[0].path()));
    for zombie in 0..zombies {
        standing = replace(standing, &topic, data[(zombie + 1) % 2].path(), &publisher, &mut dice);
        bar.inc(1);
    }
    bar.finish_and_clear();
    standing.kill();
    let taken = begun.elapsed();
    // What a gateway had taken before it was stopped it appends once it is woken, and its publisher has told it to another one
    // since: no room folds a fact twice.
    let (judgement, repeats) = finish_of_many(&topic, data[0].path(), &facts, publisher);
    say(&format!(
        "{zombies} zombies in {taken:.0?} (seed {}); {} facts, {repeats} of them twice; {} decisions: {}",
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

/// Stops `old` while it commits, lets a new one take its place in `data`, and wakes the old one beside it.
fn replace(old: Up, topic: &KafkaTopic, data: &Path, publisher: &Publisher, dice: &mut Dice) -> Up {
    let start = publisher.acknowledged();
    publisher.find(Some(&old.url));
    publisher.grant(FACTS_OF_A_LIFE);
    published(publisher, start + dice.random_range(1..FACTS_OF_A_LIFE / 2));
    old.signal("STOP");
    let stopped = moment();
    publisher.find(None);
    let new = Up::start(&mut on(topic, data));
    publisher.find(Some(&new.url));
    std::thread::sleep(STOPPED.saturating_sub(stopped.elapsed()));
    old.signal("CONT");
    std::thread::sleep(AWAKE);
    let ended = old.kill();
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    new
}
