//! It ends at a place of the test's choosing: before or after each step of a transaction, of a snapshot, and of a segment.

use std::path::Path;
use std::time::Duration;

use runtime::failpoints::{Failpoint, VARIABLE};
use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::ground::{folder, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::Up;
use torture::publisher::Publisher;

use super::{finish, on};
use crate::killed::{BATCH, SENDERS, corpus};

/// How often a step of a transaction is passed before it strikes, at most. Of snapshots and segments a life has few: there it is the
/// first.
const TIMES_MAX: u64 = 12;
/// Facts of a life: as many as make every place be passed so often.
const FACTS_OF_A_LIFE: u64 = 240;
/// Topics at once.
const AT_ONCE: usize = 3;
/// How long a life waits for its end.
const END_PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_reeve_that_ends_at_any_step_of_a_transaction_loses_repeats_and_alters_nothing() {
    let times = tenth_or_whole(10, 50);
    let begun = moment();
    // Side by side, each on a topic of its own: most of a life is waiting for what its predecessor left open.
    let judged: Vec<_> = std::thread::scope(|scope| {
        let some = Failpoint::ALL.chunks(Failpoint::ALL.len().div_ceil(AT_ONCE));
        let begun: Vec<_> = some.map(|places| scope.spawn(move || end_at_each(places, times))).collect();
        begun.into_iter().filter_map(|of_some| of_some.join().expect("it holds")).collect()
    });
    if judged.is_empty() {
        return;
    }
    let (slowest, decisions) = judged.into_iter().fold((Duration::ZERO, 0), |sum, one| (sum.0.max(one.0), sum.1 + one.1));
    say(&format!(
        "{} places {times} times each in {:.0?} (seed {}), the longest until it was up again took {slowest:.1?}; {decisions} decisions",
        Failpoint::ALL.len(),
        begun.elapsed(),
        seed(),
    ));
}

/// Lives that end at these places, so often each, on one topic: the longest that one took to come up, and what was decided.
fn end_at_each(places: &[Failpoint], times: usize) -> Option<(Duration, usize)> {
    let topic = beside_a_broker()?;
    let (mut dice, data) = (dice(), folder());
    let facts = corpus(&mut dice, times * places.len() * FACTS_OF_A_LIFE as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let mut slowest = Duration::ZERO;
    for place in places {
        for _ in 0..times {
            slowest = slowest.max(end_at(*place, &topic, data.path(), &publisher, &mut dice));
        }
    }
    let judgement = finish(&topic, data.path(), &facts, publisher);
    Some((slowest, judgement.decisions))
}

/// One life that ends at `place`, and how long it took to come up beside what its predecessor had left.
fn end_at(place: Failpoint, topic: &KafkaTopic, data: &Path, publisher: &Publisher, dice: &mut Dice) -> Duration {
    use Failpoint::{ArchiveAfter, ArchiveBefore, SnapshotAfter, SnapshotBefore};
    let is_rare = matches!(place, SnapshotBefore | SnapshotAfter | ArchiveBefore | ArchiveAfter);
    let order = format!("{}:{}", place.name(), if is_rare { 1 } else { dice.random_range(1..=TIMES_MAX) });
    let begun = moment();
    let mut up = Up::begin(on(topic, data).env(VARIABLE, &order));
    // A place may be passed while it comes up: its rooms have something to say by then.
    if !up.comes_up() {
        let ended = up.end();
        assert_eq!(ended.code, None, "{order}: it ended by itself: {}", ended.said);
        return begun.elapsed();
    }
    let came_up = begun.elapsed();
    publisher.find(Some(&up.url));
    publisher.grant(FACTS_OF_A_LIFE);
    let waiting = moment();
    while !up.ended() {
        assert!(waiting.elapsed() < END_PATIENCE, "{order} was never passed: {}", up.kill().said);
        std::thread::sleep(Duration::from_millis(5));
    }
    publisher.find(None);
    let ended = up.end();
    assert_eq!(ended.code, None, "{order}: it ended by itself: {}", ended.said);
    assert!(!ended.said.contains("panicked"), "{order}: {}", ended.said);
    came_up
}
