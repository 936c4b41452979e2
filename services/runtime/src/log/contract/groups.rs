//! A partition has one reader at a time in each group.

use std::collections::BTreeSet;

use wire::{Offset, Partition};

use super::super::{Consumer, Log, Polled, Producer, Transaction};
use super::fixtures::{Member, append, fact, is_quiet, join, restore, share, stable_offset, to, transaction, until};
use super::{PARTITIONS, Subject};

/// And both hold an even share in the end.
///
/// # Panics
/// When the promise is broken, as everywhere here.
pub fn a_partition_is_revoked_before_another_member_has_it(subject: &mut impl Subject) {
    let log = subject.log();
    let mut first = Member::join(&*log, "rooms", "a");
    until("nothing was assigned", || {
        first.hear();
        (first.held.len() as u32 == PARTITIONS).then_some(())
    });
    let mut second = Member::join(&*log, "rooms", "b");
    for _ in 0..3 {
        assert_eq!(second.hear(), Polled::Nothing, "everything is still the first one's");
        assert!(first.consumer.membership().is_some(), "whoever was not told yet is still a member");
    }
    share(&mut first, &mut second);
}

/// Members come and go while records come in; each works, commits what it did and restores from there. Every fact is
/// worked on by exactly one commit.
pub fn two_live_members_read_nothing_twice(subject: &mut impl Subject) {
    const FACTS: u32 = 40;
    let log = subject.log();
    let mut first = Worker::new(&*log, "a");
    let mut second: Option<Worker<'_>> = None;
    for round in 0..FACTS {
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
    let done = until("something was left out", || {
        first.work();
        let done: Vec<String> = (0..PARTITIONS).flat_map(|partition| super::fixtures::ids(&*log, partition)).collect();
        let done: Vec<String> = done.into_iter().filter(|id| id.starts_with("done-")).collect();
        (done.len() >= FACTS as usize).then_some(done)
    });
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), done.len(), "something was done twice: {done:?}");
    assert_eq!(done.len(), FACTS as usize);
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
    let lost = revoked(&mut *older);
    assert_eq!(lost.len() as u32, PARTITIONS);
    assert!((0..5).all(|_| matches!(older.poll(1), Ok(Polled::Nothing))));
    drop(older);
    assert!(is_quiet(&mut *newer), "the older one's end concerns nobody");
}

/// It hears that it lost everything, and then what it has now.
pub fn an_expired_member_comes_back_by_itself(subject: &mut impl Subject) {
    let log = subject.log();
    let mut member = join(&*log, "rooms", "a");
    let before = member.membership();
    subject.expire("rooms", "a");
    assert_eq!(revoked(&mut *member).len() as u32, PARTITIONS);
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

/// What the consumer loses, once it hears of it.
fn revoked(consumer: &mut dyn Consumer) -> Vec<Partition> {
    until("nothing was revoked", || match consumer.poll(1).expect("the log is read") {
        Polled::Revoked(lost) => Some(lost),
        _ => None,
    })
}

/// Reads facts and commits one record for each, with the position after it.
struct Worker<'a> {
    log: &'a dyn Log,
    name: &'a str,
    member: Member,
    producer: Box<dyn Producer>,
}

// === impl Worker ===

impl<'a> Worker<'a> {
    fn new(log: &'a dyn Log, name: &'a str) -> Self {
        let member = Member::join(log, "rooms", name);
        Self { log, name, member, producer: log.producer(name).expect("a producer") }
    }

    fn work(&mut self) {
        let Polled::Records(partition, records, next) = self.member.hear() else { return };
        let ids = super::fixtures::ids_of(&records);
        let facts = ids.iter().filter(|id| id.starts_with("fact-"));
        let done = facts.map(|id| to(partition.0, fact(&format!("done-{id}"), "done"))).collect();
        let work = transaction(&*self.member.consumer, done, &[(partition.0, next.0)]);
        if self.producer.commit(work).is_err() {
            // Its generation ended before it heard of it: what it did does not stand, and is done again by whoever is next.
            self.producer = self.log.producer(self.name).expect("a producer");
            let held: Vec<Partition> = self.member.held.iter().copied().collect();
            super::fixtures::restore_from_offsets(&mut *self.member.consumer, &held);
        }
    }
}
