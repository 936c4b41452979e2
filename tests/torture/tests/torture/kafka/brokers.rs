//! Of three brokers one is killed without a word and comes back, again and again: leaders and coordinators move, and what is
//! acknowledged stands on two others.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use runtime::log::contract::fixtures::{fact, to};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Extent, Log, Polled};
use torture::dice::{RngExt, dice, seed, tenth_or_whole};
use torture::facts::lived;
use torture::ground::{eventually, folder, moment, say};
use torture::kafka::{KafkaTopic, beside_a_cluster};
use torture::program::{Up, cpu_s};
use torture::proof::{Read, read_all, told};
use torture::publisher::Publisher;
use wire::{Kind, Partition};

use super::{finish_of_many, on};
use crate::killed::{BATCH, SENDERS};

/// Nothing is acknowledged for at most so long: a session of a broker (9 s), and the election after it.
const STALL_MAX: Duration = Duration::from_secs(15);
/// What a fact asks for at once is decided within so long. The brokers know after 9 s that one of them is gone; by then the sessions
/// are over (8 s) of all members whose group it coordinated, and they join anew. A transaction that one of them had begun hides what
/// follows it from all rooms until it is 5 s old, and then the partitions are restored. Twice that is allowed, and more.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);
/// Of a processor's time, with all that Reeve does besides. Brokers do not acknowledge for a third of it, in which a client that asks
/// itself without a pause whether it may go on keeps one busy for each partition.
const BUSY_MAX: f64 = 0.25;
/// How long a broker stays away, in milliseconds: some are back before they are missed.
const AWAY_MS: std::ops::Range<u64> = 500..12_000;
/// Facts a second, about: so few that they last as long as the brokers fall.
const FACTS_A_SECOND: u64 = 40;
const P0: Partition = Partition(0);
const LOOKS_A_SECOND: u64 = 10;
/// How often the brokers are asked how they stand while one comes back.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka/kafka");

#[test]
fn brokers_that_fall_and_come_back_lose_repeat_and_alter_nothing() {
    let Some(topic) = beside_a_cluster() else { return };
    let kills = tenth_or_whole(10, 30);
    let (mut dice, data) = (dice(), folder());
    let facts = lived(&mut dice, kills * 60 * FACTS_A_SECOND as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let begun = moment();
    let up = Up::start(&mut on(&topic, data.path()));
    publisher.find(Some(&up.url));
    let (over, stall_ms) = (AtomicBool::new(false), AtomicU64::new(0));
    let (stall, moved) = std::thread::scope(|scope| {
        scope.spawn(|| pace(&publisher, &over, &stall_ms));
        eventually("the first facts are taken", || (publisher.acknowledged() > 0).then_some(()));
        stall_ms.store(0, Ordering::SeqCst);
        let (mut longest, mut moved) = (Duration::ZERO, [0; 3]);
        for kill in 1..=kills {
            let away_ms = dice.random_range(AWAY_MS);
            let told = fall(&topic, dice.random_range(1..=3_u32), away_ms);
            (0..3).for_each(|which| moved[which] += told[which]);
            // One at a time: the next falls when this one is got over.
            let (before, later) = (publisher.acknowledged(), get_over(&topic, &publisher, &up));
            let stall = Duration::from_millis(stall_ms.swap(0, Ordering::SeqCst));
            longest = longest.max(stall);
            say(&format!(
                "{kill} of {kills} brokers killed, {:.0?}: away for {away_ms} ms, nothing taken for {stall:.1?}, rooms ready {later:.0?} later; {before} \
                 facts, {told:?} leaders moved",
                begun.elapsed(),
            ));
        }
        over.store(true, Ordering::SeqCst);
        (longest, moved)
    });
    let [leaders, of_groups, of_transactions] = moved;
    say(&format!(
        "{kills} brokers killed in {:.0?} (seed {}), the longest stall {stall:.1?}; {leaders} leaders moved, and coordinators of \
         {of_groups} partitions of groups and {of_transactions} of transactions",
        begun.elapsed(),
        seed()
    ));
    let busy = cpu_s(up.pid()) / begun.elapsed().as_secs_f64();
    up.interrupt();
    let ended = up.end();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    // An append whose answer a broker took with it may stand all the same, and is told again: no room folds it twice.
    let (judgement, repeats) = finish_of_many(&topic, data.path(), &facts, publisher);
    let late = latest(&topic.read());
    assert!(stall < STALL_MAX, "nothing was acknowledged for {stall:.1?}");
    assert!(late < DECIDED_WITHIN, "an escalation was raised {late:.1?} after what asked for it: {}", ended.said);
    assert!(busy < BUSY_MAX, "{busy:.2} of a processor's time went into waiting for brokers");
    assert!(moved.iter().all(|moved| *moved > 0), "nothing moved that was to: {moved:?}");
    say(&format!(
        "{} facts, {repeats} of them twice; {} decisions, an escalation {late:.1?} late at most, {busy:.2} of a processor: {}",
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind)
    ));
}

#[test]
fn what_is_dated_and_cannot_be_read_yet_is_not_taken_for_silence() {
    let Some(topic) = beside_a_cluster() else { return };
    let log = KafkaLog::open(topic.options().clone()).expect("the topic is there");
    let mut observer = eventually("a member", || {
        let mut observer = log.consumer("observers", "observer").ok()?;
        eventually("an assignment", || matches!(observer.poll(1), Ok(Polled::Assigned(_))).then_some(()));
        Some(observer)
    });
    let append = |id: &str| log.append(vec![to(0, fact(id, id))]);
    eventually("a first record", || append("before").ok());
    let leader = eventually("a leader", || topic.leaders()).0[0][0];
    let fallen = (1..=3).find(|node| i32::try_from(*node) != Ok(leader)).expect("there are three");
    kafka("kill", fallen);
    let told = std::thread::scope(|scope| {
        let hidden = scope.spawn(|| eventually("what the fallen copy holds up", || append("hidden").ok()));
        let mut told = Vec::new();
        while !hidden.is_finished() {
            told.extend(observer.recent_extent(P0));
            std::thread::sleep(Duration::from_millis(20));
        }
        told
    });
    kafka("wake", fallen);
    eventually("every copy is in sync again", || (topic.in_sync() == Some(3)).then_some(()));
    let records = read_all(&*log, P0).expect("the topic can be read");
    for extent in &told {
        let mut later = records.iter().filter(|record| record.offset >= extent.high_watermark);
        assert!(later.all(|record| record.appended >= extent.quiet_until), "{extent:?} was undercut: {records:?}");
    }
    // What stood there by then and could not be seen, although it was dated before the look.
    let hides = |extent: &&Extent| {
        let asked = extent.quiet_until.0 + i64::try_from(topic.options().replication_lag_max.as_micros()).expect("it is short");
        records.iter().any(|record| record.offset >= extent.high_watermark && record.appended.0 < asked)
    };
    let hiding = told.iter().filter(hides).count();
    assert!(hiding > 0, "the copy that had fallen held nothing up: {} looks", told.len());
    say(&format!("of {} looks at a partition one copy of which had fallen, {hiding} met what could not be read yet", told.len()));
}

/// One broker is killed and comes back; how many leaders moved away from it or elsewhere, of each sort.
fn fall(topic: &KafkaTopic, node: u32, away_ms: u64) -> [usize; 3] {
    let before = eventually("everything has a leader", || topic.leaders());
    kafka("kill", node);
    std::thread::sleep(Duration::from_millis(away_ms));
    kafka("wake", node);
    // Each look is a new client's, and those who start a broker need the processor.
    let seldom = || std::thread::sleep(LOOK_EVERY);
    eventually("every copy is in sync again", || {
        seldom();
        (topic.in_sync() == Some(3)).then_some(())
    });
    let after = eventually("everything has a leader", || {
        seldom();
        topic.leaders()
    });
    before.moved(&after)
}

/// Waits until facts are taken again and the rooms are ready; how much later they are. Where that is long it says what it waits for.
fn get_over(topic: &KafkaTopic, publisher: &Publisher, up: &Up) -> Duration {
    let before = publisher.acknowledged();
    eventually("facts are taken again", || (publisher.acknowledged() > before).then_some(()));
    let (taken_again, mut said) = (moment(), false);
    eventually("the rooms are ready again", || {
        std::thread::sleep(LOOK_EVERY);
        let told = up.get("/readyz").ok().map(|(_, told)| told);
        let is_ready = told.as_ref().is_some_and(|told| told["ready"] == true);
        if !is_ready && !said && taken_again.elapsed() > DECIDED_WITHIN / 2 {
            said = true;
            say(&format!("not ready yet: {}; behind what is undecided: {:?}", told.unwrap_or_default(), undecided(topic)));
        }
        is_ready.then_some(())
    });
    taken_again.elapsed()
}

/// Partitions whose end nobody can read, for a transaction is undecided before it.
fn undecided(topic: &KafkaTopic) -> Vec<Partition> {
    let Ok(log) = KafkaLog::open(topic.options().clone()) else { return Vec::new() };
    (0..log.partitions()).map(Partition).filter(|partition| log.is_undecided(*partition).is_ok_and(|is| is)).collect()
}

/// How long the latest escalation came after what asked for it, by the brokers' dates: the one decision of many that waits for no
/// time to pass.
fn latest(read: &Read) -> Duration {
    let dates: BTreeMap<_, _> = read.records().map(|record| (record.id.clone(), record.appended)).collect();
    let raised = read.records().filter(|record| record.body.kind() == Kind::EscalationRaised);
    let late_us = raised.filter_map(|record| Some(record.appended.since_us(*dates.get(record.causation.as_ref()?)?)));
    Duration::from_micros(late_us.max().expect("escalations are raised").unsigned_abs())
}

/// Lets so many facts a second be published, and notes the longest time in which none was acknowledged.
fn pace(publisher: &Publisher, over: &AtomicBool, stall_ms: &AtomicU64) {
    let (mut acknowledged, mut since) = (publisher.acknowledged(), moment());
    while !over.load(Ordering::SeqCst) {
        publisher.grant(FACTS_A_SECOND / LOOKS_A_SECOND);
        std::thread::sleep(Duration::from_millis(1_000 / LOOKS_A_SECOND));
        let now = publisher.acknowledged();
        if now > acknowledged {
            (acknowledged, since) = (now, moment());
        }
        assert!(!publisher.is_done(), "there were too few facts for so many kills");
        stall_ms.fetch_max(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

fn kafka(verb: &str, node: u32) {
    let told = Command::new(Path::new(SCRIPT)).args([verb, &node.to_string()]).status().expect("the script is there");
    assert!(told.success(), "{verb} {node}");
}
