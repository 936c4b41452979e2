//! The log in memory: the contract, and that its faults are those of a broker.

use std::sync::Arc;

use runtime::log::contract::fixtures::{START, append, fact, ids, join, to, transaction};
use runtime::log::contract::{PARTITIONS, Pending, Subject, reading};
use runtime::log::memory::{CommitFault, FaultPlan, MemoryLog, MemoryOptions};
use runtime::log::{CommitError, Consumer, Log, LogError, Polled, Producer};
use wire::{Offset, Partition, Timestamp};

mod contract {
    runtime::log_contract!(super::InMemory::new);
}

/// What crashes are those who use it: a broker lives on.
struct InMemory(Arc<MemoryLog>);

// === impl InMemory ===

impl InMemory {
    fn new() -> Self {
        Self(stormy(0, FaultPlan::default()))
    }
}

impl Subject for InMemory {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.0) as Arc<dyn Log>
    }

    fn set_now(&self, now: Timestamp) {
        self.0.set_now(now);
    }

    fn expire(&self, group: &str, member: &str) {
        self.0.expire(group, member);
    }

    fn crash(&mut self) {}

    fn pending(&self) -> Option<&dyn Pending> {
        Some(self)
    }
}

impl Pending for InMemory {
    fn hold_next_commit(&self, transactional_id: &str) {
        self.0.fail_next_commit(transactional_id, CommitFault::DelayedCommit);
    }

    fn arrive(&self, transactional_id: &str) {
        self.0.arrive(transactional_id);
    }
}

fn stormy(seed: u64, faults: FaultPlan) -> Arc<MemoryLog> {
    let options = MemoryOptions { partitions: PARTITIONS, seed, faults, start: START, ..MemoryOptions::default() };
    MemoryLog::new(options)
}

const P0: Partition = Partition(0);

#[test]
fn where_clocks_differ_dates_step_back_and_no_further_than_that() {
    const SKEW_US: i64 = 5;
    let options = MemoryOptions { partitions: PARTITIONS, start: START, skew_us: SKEW_US, ..MemoryOptions::default() };
    let subject = || InMemory(MemoryLog::new(options.clone()));
    let mut differing = subject();
    reading::nothing_is_dated_further_back_than_clocks_differ(&mut differing);
    let records = differing.0.read(P0, Offset(0), usize::MAX).expect("memory can be read");
    assert!(!records.is_sorted_by_key(|record| record.appended), "dates step back, or nothing was tried");
    reading::nobody_undercuts_the_time_that_an_extent_told(&mut subject());
}

#[test]
fn a_position_stays_before_the_marker_until_nothing_else_is_left() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    decide(&log, &*consumer, "d").expect("calm weather");
    assert_eq!(log.high_watermark(P0).expect("it exists"), Offset(2));
    assert!(matches!(consumer.poll(9), Ok(Polled::Records(P0, records, Offset(1))) if records.len() == 1));
    assert_eq!(consumer.poll(9).expect("the log is read"), Polled::Records(P0, Vec::new(), Offset(2)));
    assert_eq!(consumer.poll(9).expect("the log is read"), Polled::Nothing);
    assert_eq!(log.end(P0).expect("it exists"), Offset(1), "behind the record there is only its marker");
}

#[test]
fn an_aborted_commit_takes_offsets_and_is_read_by_nobody() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.fail_next_commit("room-0", CommitFault::Aborted);
    assert!(matches!(decide(&log, &*consumer, "d"), Err(CommitError::Aborted { .. })));
    assert_eq!(consumer.poll(9).expect("the log is read"), Polled::Records(P0, Vec::new(), Offset(2)));
    assert_eq!(consumer.committed(P0).expect("decided"), None);
    decide(&log, &*consumer, "d").expect("calm weather again");
    assert_eq!(ids(&*log, 0), ["d"]);
    assert_eq!(log.read(P0, Offset(0), 9).expect("the log is read")[0].offset, Offset(2));
}

#[test]
fn records_behind_an_open_transaction_are_held_back_and_the_high_watermark_knows_them() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.fail_next_commit("room-0", CommitFault::CrashBeforeCommit);
    assert!(matches!(decide(&log, &*consumer, "d"), Err(CommitError::Unknown { .. })));
    append(&*log, 0, &["behind"]);
    assert_eq!(consumer.poll(9).expect("the log is read"), Polled::Nothing);
    assert_eq!(consumer.extent(P0).expect("the log is reached").high_watermark, Offset(2));
    assert_eq!(log.end(P0).expect("it exists"), Offset(0));
    log.producer("room-0").expect("a successor");
    assert_eq!(ids(&*log, 0), ["behind"]);
    assert_eq!(log.fault_counts().undone_by_successor, 1);
}

#[test]
fn a_commit_whose_answer_was_lost_stands() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.fail_next_commit("room-0", CommitFault::CrashAfterCommit);
    assert!(matches!(decide(&log, &*consumer, "d"), Err(CommitError::Unknown { .. })));
    assert_eq!(ids(&*log, 0), ["d"]);
    assert_eq!(consumer.committed(P0).expect("decided"), Some(Offset(7)));
}

#[test]
fn an_offset_is_pending_while_its_records_are_still_on_their_way() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.fail_next_commit("room-0", CommitFault::DelayedProduce);
    assert!(matches!(decide(&log, &*consumer, "d"), Err(CommitError::Unknown { .. })));
    assert_eq!(log.high_watermark(P0).expect("it exists"), Offset(0), "no watermark tells of it");
    assert!(matches!(consumer.committed(P0), Err(LogError::OffsetPending { .. })));
    log.arrive("room-0");
    assert_eq!(consumer.committed(P0).expect("decided"), Some(Offset(7)));
    assert_eq!(ids(&*log, 0), ["d"]);
}

#[test]
fn records_of_an_older_epoch_that_come_late_are_refused() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.fail_next_commit("room-0", CommitFault::DelayedProduce);
    assert!(matches!(decide(&log, &*consumer, "d"), Err(CommitError::Unknown { .. })));
    log.producer("room-0").expect("a successor");
    log.arrive("room-0");
    assert_eq!(log.high_watermark(P0).expect("it exists"), Offset(0));
    assert_eq!(consumer.committed(P0).expect("decided"), None);
    assert_eq!(log.fault_counts().late_produce_fenced, 1);
}

#[test]
fn a_transaction_that_nobody_ends_is_undone_after_five_seconds_and_its_producer_fenced() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.fail_next_commit("room-0", CommitFault::CrashBeforeCommit);
    assert!(decide(&log, &*consumer, "d").is_err());
    log.set_now(Timestamp(START.plus_s(5).0 - 1));
    assert_eq!(log.pending(), ["room-0"]);
    log.set_now(START.plus_s(5));
    assert_eq!(log.pending(), Vec::<String>::new());
    assert_eq!(consumer.committed(P0).expect("decided"), None);
    assert_eq!(log.fault_counts().timed_out, 1);
}

#[test]
fn a_producer_that_was_fenced_from_elsewhere_commits_nothing() {
    let log = stormy(0, FaultPlan::default());
    let consumer = join(&*log, "rooms", "a");
    let mut producer = log.producer("room-0").expect("a producer");
    log.fence_producer("room-0");
    let fenced = producer.commit(transaction(&*consumer, vec![to(0, fact("d", "decided"))], &[(0, 7)]));
    assert!(matches!(fenced, Err(CommitError::Fenced { .. })), "{fenced:?}");
    assert_eq!(ids(&*log, 0), Vec::<String>::new());
}

#[test]
fn a_producer_is_good_for_nothing_after_a_failure() {
    let log = stormy(0, FaultPlan::default());
    let consumer = join(&*log, "rooms", "a");
    let mut producer = log.producer("room-0").expect("a producer");
    log.fail_next_commit("room-0", CommitFault::Aborted);
    let decided = || transaction(&*consumer, vec![to(0, fact("d", "decided"))], &[(0, 7)]);
    assert!(matches!(producer.commit(decided()), Err(CommitError::Aborted { .. })));
    assert!(matches!(producer.commit(decided()), Err(CommitError::Fenced { .. })));
}

#[test]
fn a_stalled_partition_hands_out_nothing_new_until_the_stall_ends() {
    let log = stormy(0, FaultPlan::default());
    let mut consumer = join(&*log, "rooms", "a");
    log.stall(P0, 3).expect("it exists");
    append(&*log, 0, &["a"]);
    assert_eq!(consumer.extent(P0).expect("the log is reached").high_watermark, Offset(1));
    assert_eq!([consumer.poll(9), consumer.poll(9)].map(|polled| polled.expect("the log is read")), [Polled::Nothing, Polled::Nothing]);
    assert!(matches!(consumer.poll(9), Ok(Polled::Records(P0, records, _)) if records.len() == 1));
}

#[test]
fn what_waits_for_its_copies_is_dated_and_nobody_sees_it_nor_takes_its_time_for_quiet() {
    const LAG_US: i64 = 9_000_000;
    let faults = FaultPlan { unreplicated: 1.0, ..FaultPlan::default() };
    let log = MemoryLog::new(MemoryOptions { faults, replication_lag_us: LAG_US, ..MemoryOptions::default() });
    let mut consumer = join(&*log, "rooms", "a");
    append(&*log, 0, &["a"]);
    log.set_now(Timestamp(LAG_US));
    let extent = consumer.extent(P0).expect("the log is reached");
    assert_eq!((extent.high_watermark, extent.quiet_until), (Offset(0), Timestamp(0)), "it was dated 0");
    assert!(matches!(consumer.poll(9), Ok(Polled::Nothing)));
    log.set_now(Timestamp(LAG_US + 1));
    assert_eq!(consumer.extent(P0).expect("the log is reached").high_watermark, Offset(1), "no copy is waited for any longer");
    assert!(matches!(consumer.poll(9), Ok(Polled::Records(P0, records, _)) if records[0].appended == Timestamp(0)));
}

#[test]
fn a_platform_that_publishes_by_itself_may_publish_twice() {
    let log = stormy(0, FaultPlan { duplicated: 1.0, ..FaultPlan::default() });
    let offsets = log.publish_unchecked(vec![to(0, fact("a", "a")), to(0, fact("b", "b"))]).expect("they exist");
    assert_eq!(offsets, [Offset(0), Offset(1)]);
    assert_eq!(ids(&*log, 0), ["a", "b", "a", "b"]);
    log.set_faults(FaultPlan::default());
    log.publish_unchecked(vec![to(0, fact("a", "otherwise"))]).expect("nothing is compared");
    assert_eq!(log.fault_counts().duplicated, 2);
}

#[test]
fn what_is_done_under_weather_of_its_own_meets_the_same_whatever_was_done_before() {
    let stormy_plan = FaultPlan { duplicated: 0.5, ..FaultPlan::default() };
    let met = |before: usize| -> Vec<u64> {
        let log = stormy(7, stormy_plan);
        let publish = |id: &str| drop(log.publish_unchecked(vec![to(0, fact(id, "x"))]).expect("the log takes it"));
        (0..before).for_each(|nth| publish(&format!("before-{nth}")));
        (0..32)
            .map(|chance| {
                let known = log.fault_counts().duplicated;
                log.turn_weather(chance, stormy_plan);
                publish(&format!("fact-{chance}"));
                log.fault_counts().duplicated - known
            })
            .collect()
    };
    let alone = met(0);
    assert!(alone.contains(&0) && alone.contains(&1), "{alone:?}");
    assert_eq!(met(5), alone);
    let log = stormy(7, stormy_plan);
    log.turn_weather(7, FaultPlan::default());
    (0..32).for_each(|nth| drop(log.publish_unchecked(vec![to(0, fact(&nth.to_string(), "x"))]).expect("the log takes it")));
    assert_eq!(log.fault_counts().duplicated, 0);
}

/// Two workers do each fact once, in any weather, as long as they do what every room must: restore when the offsets are
/// stable, discard a producer that failed. So the faults are a broker's, and none of them breaks what a broker promises.
#[test]
fn in_any_weather_everything_is_done_exactly_once() {
    let mut struck = std::collections::BTreeMap::new();
    for seed in 0..60 {
        let (log, _) = a_storm(seed);
        let done: Vec<String> = (0..PARTITIONS).flat_map(|partition| ids(&*log, partition)).collect();
        let mut done: Vec<&String> = done.iter().filter(|id| id.starts_with("done-")).collect();
        let all = done.len();
        done.sort();
        done.dedup();
        assert_eq!((all, done.len()), (FACTS, FACTS), "seed {seed}: {:?}", log.fault_counts());
        log.fault_counts().iter().for_each(|(name, count)| *struck.entry(name).or_insert(0) += count);
    }
    // Nobody publishes unchecked here, all clocks agree, and no copy is waited for.
    let not_here = ["duplicated", "dated_back", "unreplicated"];
    let never: Vec<_> = struck.iter().filter(|(name, count)| **count == 0 && !not_here.contains(name)).collect();
    assert!(never.is_empty(), "these never struck: {never:?} of {struck:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let stories = [7, 7, 8].map(|seed| {
        let (log, trace) = a_storm(seed);
        (trace, log.fault_counts())
    });
    assert_eq!(stories[0], stories[1]);
    assert_ne!(stories[0], stories[2]);
}

const FACTS: usize = 30;

/// Facts, two workers and every fault, then calm weather until all is done. What the workers were handed.
fn a_storm(seed: u64) -> (Arc<MemoryLog>, Vec<String>) {
    let often = 0.08;
    let faults = FaultPlan {
        aborted: often,
        crash_before_commit: often,
        crash_after_commit: often,
        delayed_produce: often,
        delayed_commit: often,
        fenced: often,
        rebalanced: 0.01,
        lagged: often,
        stalled: 0.02,
        duplicated: 0.0,
        unreplicated: 0.0,
    };
    let log = stormy(seed, faults);
    let mut workers = [Worker::new(&log, "a"), Worker::new(&log, "b")];
    let mut trace = Vec::new();
    for round in 0..400_u32 {
        if (round as usize) < FACTS {
            let id = format!("fact-{round}");
            log.publish_unchecked(vec![to(round % PARTITIONS, fact(&id, &id))]).expect("it exists");
        }
        log.set_now(START.plus_s(i64::from(round)));
        if round % 25 == 24 {
            workers[(round as usize / 25) % 2].act_as_a_zombie();
        }
        workers.iter_mut().for_each(|worker| trace.push(worker.step()));
    }
    log.heal();
    (0..400).for_each(|_| workers.iter_mut().for_each(|worker| trace.push(worker.step())));
    (log, trace)
}

/// Does each fact once and commits that with its offset.
struct Worker {
    log: Arc<MemoryLog>,
    id: &'static str,
    consumer: Box<dyn Consumer>,
    producer: Option<Box<dyn Producer>>,
    /// Partitions whose stable offset is not known yet.
    restoring: Vec<Partition>,
    held: Vec<Partition>,
    failures: u32,
    /// Steps that it sleeps still.
    sleeps: u32,
}

// === impl Worker ===

impl Worker {
    fn new(log: &Arc<MemoryLog>, id: &'static str) -> Self {
        let consumer = log.consumer("workers", id).expect("the log is reached");
        Self { log: Arc::clone(log), id, consumer, producer: None, restoring: Vec::new(), held: Vec::new(), failures: 0, sleeps: 0 }
    }

    fn step(&mut self) -> String {
        if self.sleeps > 0 {
            self.sleeps -= 1;
            return format!("{} sleeps", self.id);
        }
        let polled = self.consumer.poll(3).expect("the log is read");
        let told = format!("{} {polled:?}", self.id);
        match polled {
            Polled::Nothing => {}
            Polled::Assigned(partitions) => {
                self.restoring.clone_from(&partitions);
                self.held = partitions;
            }
            Polled::Revoked(_) => {
                self.restoring.clear();
                self.held.clear();
            }
            Polled::Records(partition, records, next) if !self.restoring.contains(&partition) => self.work(partition, &records, next),
            Polled::Records(..) => {}
        }
        if self.sleeps == 0 && self.consumer.membership().is_some() {
            self.producer.get_or_insert_with(|| self.log.producer(self.id).expect("a producer"));
            let consumer = &mut self.consumer;
            self.restoring.retain(|partition| match consumer.committed(*partition) {
                Ok(offset) => consumer.seek(*partition, offset.unwrap_or(Offset(0))).is_err(),
                Err(_) => true,
            });
        }
        told
    }

    fn work(&mut self, partition: Partition, records: &[wire::StoredRecord], next: Offset) {
        let facts = records.iter().filter_map(|record| record.raw.header("ce_id")).filter(|id| id.starts_with("fact-"));
        let done: Vec<_> = facts.map(|id| to(partition.0, fact(&format!("done-{id}"), "done"))).collect();
        if done.is_empty() {
            return;
        }
        let work = transaction(&*self.consumer, done, &[(partition.0, next.0)]);
        if self.producer.as_mut().is_none_or(|producer| producer.commit(work).is_err()) {
            self.producer = None;
            self.restoring.clone_from(&self.held);
            // Every second failure is the end of its session, too: what it left open is met by the other one, or by nobody
            // until the broker's patience ends.
            self.failures += 1;
            if self.failures.is_multiple_of(2) {
                self.log.expire("workers", self.id);
                self.sleeps = 9;
            }
        }
    }

    /// Its session ends, it does not notice, and tries to commit what nobody else did.
    fn act_as_a_zombie(&mut self) {
        let Some(mut producer) = self.producer.take().filter(|_| self.consumer.membership().is_some()) else { return };
        self.log.expire("workers", self.id);
        let stale = transaction(&*self.consumer, vec![to(0, fact("done-by-a-zombie", "done"))], &[(0, 1_000)]);
        assert!(matches!(producer.commit(stale), Err(CommitError::Fenced { .. })));
    }
}

fn decide(log: &MemoryLog, consumer: &dyn Consumer, id: &str) -> Result<Vec<Offset>, CommitError> {
    log.producer("room-0").expect("a producer").commit(transaction(consumer, vec![to(0, fact(id, "decided"))], &[(0, 7)]))
}
