//! A partition has one reader at a time in each group.

use std::collections::BTreeSet;

use wire::{Offset, Partition};

use super::super::{Consumer, Log, Polled, Producer, Transaction};
use super::fixtures::{append, fact, join, restore, stable_offset, to, transaction};
use super::{PARTITIONS, Subject};

/// And both hold an even share in the end.
///
/// # Panics
/// When the promise is broken, as everywhere here.
pub fn a_partition_is_revoked_before_another_member_has_it(subject: &mut impl Subject) {
    let log = subject.log();
    let mut first = join(&*log, "rooms", "a");
    let mut second = log.consumer("rooms", "b").expect("the log is reached");
    for _ in 0..3 {
        assert_eq!(second.poll(1).expect("the log is read"), Polled::Nothing, "everything is still the first one's");
        assert!(first.membership().is_some(), "whoever was not told yet is still a member");
    }
    let revoked = first.poll(1).expect("the log is read");
    assert_eq!(revoked, Polled::Revoked((0..PARTITIONS).map(Partition).collect()));
    assert_eq!(first.membership(), None);
    let shares = [restore(&mut *second), restore(&mut *first)];
    assert!(shares.iter().all(|share| !share.is_empty()), "{shares:?}");
    let all: BTreeSet<Partition> = shares.iter().flatten().copied().collect();
    assert_eq!(all.len(), shares.iter().map(Vec::len).sum::<usize>(), "{shares:?} overlap");
    assert_eq!(all.len() as u32, PARTITIONS);
}

/// Members come and go while records come in; each works, commits what it did and restores from there. Every fact is
/// worked on by exactly one commit.
pub fn two_live_members_read_nothing_twice(subject: &mut impl Subject) {
    let log = subject.log();
    let mut first = Worker::new(&*log, "a");
    let mut second: Option<Worker<'_>> = None;
    for round in 0..40 {
        let id = format!("fact-{round}");
        log.append(vec![to(round % PARTITIONS, fact(&id, &id))]).expect("a new fact is appended");
        match round {
            10 | 28 => second = Some(Worker::new(&*log, "b")),
            20 => second = None,
            _ => {}
        }
        first.work();
        second.iter_mut().for_each(Worker::work);
    }
    drop(second);
    (0..20).for_each(|_| first.work());
    let done: Vec<String> = (0..PARTITIONS).flat_map(|partition| super::fixtures::ids(&*log, partition)).collect();
    let done: Vec<&String> = done.iter().filter(|id| id.starts_with("done-")).collect();
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), done.len(), "something was done twice: {done:?}");
    assert_eq!(done.len(), 40, "something was left out: {done:?}");
}

/// Its partitions go to those who stay, without anybody waiting for it.
pub fn a_dropped_consumer_leaves_its_group(subject: &mut impl Subject) {
    let log = subject.log();
    let first = join(&*log, "rooms", "a");
    drop(first);
    let mut second = log.consumer("rooms", "b").expect("the log is reached");
    assert_eq!(restore(&mut *second).len() as u32, PARTITIONS);
}

/// The older one loses everything and stays out; it does not fight for its place.
pub fn a_namesake_takes_the_place_of_the_older_instance(subject: &mut impl Subject) {
    let log = subject.log();
    let mut older = join(&*log, "rooms", "a");
    let stale: Transaction = transaction(&*older, vec![to(0, fact("d", "decided"))], &[(0, 1)]);
    let mut newer = log.consumer("rooms", "a").expect("the log is reached");
    assert_eq!(restore(&mut *newer).len() as u32, PARTITIONS);
    assert!(log.producer("room-0").expect("a producer").commit(stale).is_err());
    assert!(matches!(older.poll(1), Ok(Polled::Revoked(lost)) if lost.len() as u32 == PARTITIONS));
    assert!((0..5).all(|_| matches!(older.poll(1), Ok(Polled::Nothing))));
    drop(older);
    assert!(matches!(newer.poll(1), Ok(Polled::Nothing)), "the older one's end concerns nobody");
}

/// It hears that it lost everything, and then what it has now.
pub fn an_expired_member_comes_back_by_itself(subject: &mut impl Subject) {
    let log = subject.log();
    let mut member = join(&*log, "rooms", "a");
    let before = member.membership();
    subject.expire("rooms", "a");
    assert!(matches!(member.poll(1), Ok(Polled::Revoked(_))));
    assert_eq!(restore(&mut *member).len() as u32, PARTITIONS);
    assert_ne!(member.membership(), before);
    log.producer("room-0").expect("a producer").commit(transaction(&*member, Vec::new(), &[(0, 1)])).expect("a member again");
}

/// Nor of each other's members.
pub fn groups_know_nothing_of_each_others_offsets(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 0, &["a"]);
    let mut incident = join(&*log, "incident", "a");
    let mut rollback = join(&*log, "rollback", "a");
    let mut producer = log.producer("incident-0").expect("a producer");
    producer.commit(transaction(&*incident, Vec::new(), &[(0, 1)])).expect("a member commits");
    assert_eq!(stable_offset(&mut *incident, Partition(0)), Some(Offset(1)));
    assert_eq!(stable_offset(&mut *rollback, Partition(0)), None);
}

/// Reads facts and commits one record for each, with the position after it.
struct Worker<'a> {
    log: &'a dyn Log,
    consumer: Box<dyn Consumer>,
    producer: Box<dyn Producer>,
}

// === impl Worker ===

impl<'a> Worker<'a> {
    fn new(log: &'a dyn Log, name: &str) -> Self {
        let consumer = log.consumer("rooms", name).expect("the log is reached");
        Self { log, consumer, producer: log.producer(name).expect("a producer") }
    }

    fn work(&mut self) {
        match self.consumer.poll(2).expect("the log is read") {
            Polled::Nothing | Polled::Revoked(_) => {}
            Polled::Assigned(share) => {
                for partition in share {
                    let from = stable_offset(&mut *self.consumer, partition).unwrap_or(Offset(0));
                    self.consumer.seek(partition, from).expect("a committed offset can be read");
                }
            }
            Polled::Records(partition, records, next) => {
                let ids = super::fixtures::ids_of(&records);
                let facts = ids.iter().filter(|id| id.starts_with("fact-"));
                let done = facts.map(|id| to(partition.0, fact(&format!("done-{id}"), "done"))).collect();
                let work = transaction(&*self.consumer, done, &[(partition.0, next.0)]);
                assert_eq!(self.log.partitions(), PARTITIONS);
                self.producer.commit(work).expect("a live member commits");
            }
        }
    }
}
