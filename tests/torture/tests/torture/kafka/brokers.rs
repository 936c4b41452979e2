//! Of three brokers one is killed without a word and comes back, again and again: leaders and coordinators move, and what is
//! acknowledged stands on two others.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use torture::dice::{RngExt, dice, seed, tenth_or_whole};
use torture::facts::lived;
use torture::ground::{bar, eventually, folder, moment, say};
use torture::kafka::beside_a_cluster;
use torture::program::Up;
use torture::proof::told;
use torture::publisher::Publisher;

use super::{finish, on};
use crate::killed::{BATCH, SENDERS};

/// Nothing is acknowledged for at most so long: a session of a broker (9 s), and the election after it.
const STALL_MAX: Duration = Duration::from_secs(15);
/// How long a broker stays away, in milliseconds: some are back before they are missed.
const AWAY_MS: std::ops::Range<u64> = 500..12_000;
/// Facts a second, about: so few that they last as long as the brokers fall.
const FACTS_A_SECOND: u64 = 40;
const LOOKS_A_SECOND: u64 = 10;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka/kafka");

#[test]
fn brokers_that_fall_and_come_back_lose_repeat_and_alter_nothing() {
    let Some(topic) = beside_a_cluster() else { return };
    let kills = tenth_or_whole(10, 30);
    let (mut dice, data) = (dice(), folder());
    let facts = lived(&mut dice, kills * 60 * FACTS_A_SECOND as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let (bar, begun) = (bar("brokers killed", kills as u64), moment());
    let up = Up::start(&mut on(&topic, data.path()));
    publisher.find(Some(&up.url));
    let over = AtomicBool::new(false);
    let stall = std::thread::scope(|scope| {
        let pacing = scope.spawn(|| pace(&publisher, &over));
        for _ in 0..kills {
            let node = dice.random_range(1..=3_u32);
            kafka("kill", node);
            std::thread::sleep(Duration::from_millis(dice.random_range(AWAY_MS)));
            kafka("wake", node);
            eventually("every copy is in sync again", || (topic.in_sync() == Some(3)).then_some(()));
            bar.inc(1);
        }
        over.store(true, Ordering::SeqCst);
        pacing.join().expect("it only looks")
    });
    bar.finish_and_clear();
    let taken = begun.elapsed();
    up.interrupt();
    let ended = up.end();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    let judgement = finish(&topic, data.path(), &facts, publisher);
    assert!(stall < STALL_MAX, "nothing was acknowledged for {stall:.1?}");
    say(&format!(
        "{kills} brokers killed in {taken:.0?} (seed {}), the longest stall {stall:.1?}; {} facts, {} decisions: {}",
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

/// Lets so many facts a second be published, and tells the longest time in which none was acknowledged.
fn pace(publisher: &Publisher, over: &AtomicBool) -> Duration {
    let (mut stall, mut acknowledged, mut since) = (Duration::ZERO, publisher.acknowledged(), moment());
    while !over.load(Ordering::SeqCst) {
        publisher.grant(FACTS_A_SECOND / LOOKS_A_SECOND);
        std::thread::sleep(Duration::from_millis(1_000 / LOOKS_A_SECOND));
        let now = publisher.acknowledged();
        if now > acknowledged {
            (acknowledged, since) = (now, moment());
        }
        assert!(!publisher.is_done(), "there were too few facts for so many kills");
        stall = stall.max(since.elapsed());
    }
    stall
}

fn kafka(verb: &str, node: u32) {
    let told = Command::new(Path::new(SCRIPT)).args([verb, &node.to_string()]).status().expect("the script is there");
    assert!(told.success(), "{verb} {node}");
}
