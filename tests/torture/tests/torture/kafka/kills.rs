//! It is killed without a word, by chance.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::ground::{bar, folder, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::Up;
use torture::proof::told;
use torture::publisher::Publisher;

use super::{finish, on};
use crate::killed::{BATCH, FACTS_OF_A_LIFE_MAX, SENDERS, corpus, published};

/// The longest that a start on a topic takes, as far as the dice know.
const START_MAX_MS: u64 = 600;
/// The longest that a drain takes there.
const DRAIN_MAX_MS: u64 = 250;

/// When a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// While it takes its places in the groups, waits for what its predecessor left open, and restores.
    Starting,
    /// While facts are appended, and decisions on them committed.
    Committing,
    /// After it was told to end, before it has.
    Draining,
}

const PHASES: [Phase; 3] = [Phase::Starting, Phase::Committing, Phase::Draining];

#[test]
fn a_reeve_that_is_killed_on_kafka_loses_repeats_and_alters_nothing() {
    let Some(topic) = beside_a_broker() else { return };
    let kills = tenth_or_whole(10, 200);
    let (mut dice, data) = (dice(), folder());
    let facts = corpus(&mut dice, kills * FACTS_OF_A_LIFE_MAX as usize / 2);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let (bar, begun) = (bar("kills on Kafka", kills as u64), moment());
    let mut struck: BTreeMap<Phase, u64> = BTreeMap::new();
    for kill in 0..kills {
        let phase = PHASES[kill % PHASES.len()];
        if live_and_die(&topic, data.path(), phase, &publisher, &mut dice) {
            *struck.entry(phase).or_default() += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let taken = begun.elapsed();
    assert!(PHASES.iter().all(|phase| struck.contains_key(phase)), "a phase was never met: {struck:?}");
    let answers_lost = publisher.repeated();

    let judgement = finish(&topic, data.path(), &facts, publisher);
    assert!(judgement.decisions > kills, "the rooms decided on what was published: {:?}", judgement.by_kind);
    say(&format!(
        "{kills} kills on Kafka in {taken:.0?} (seed {}), met in {struck:?}; {} facts, of {answers_lost} the first answer was lost; {} decisions: {}",
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

/// One life, and whether its end met the phase that it was meant for.
fn live_and_die(topic: &KafkaTopic, data: &Path, phase: Phase, publisher: &Publisher, dice: &mut Dice) -> bool {
    let mut up = Up::begin(&mut on(topic, data));
    if phase == Phase::Starting {
        std::thread::sleep(Duration::from_millis(dice.random_range(0..START_MAX_MS)));
        return !up.kill().said.contains(" is up at ");
    }
    assert!(up.comes_up(), "it did not come up: {}", up.end().said);
    let start = publisher.acknowledged();
    publisher.find(Some(&up.url));
    publisher.grant(FACTS_OF_A_LIFE_MAX.saturating_sub(dice.random_range(0..FACTS_OF_A_LIFE_MAX / 2)));
    let mut met = published(publisher, start + dice.random_range(1..FACTS_OF_A_LIFE_MAX / 3));
    if phase == Phase::Draining {
        up.interrupt();
        std::thread::sleep(Duration::from_millis(dice.random_range(0..DRAIN_MAX_MS)));
        met &= !up.ended();
    }
    let ended = up.kill();
    publisher.find(None);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    met
}
