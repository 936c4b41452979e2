//! What was answered stands after any crash, between any two calls.

use wire::{Offset, Partition};

use super::super::Log;
use super::fixtures::{append, drain, fact, ids, ids_of, join, stable_offset, to, transaction};
use super::{PARTITIONS, Subject};

/// Steps of the history that is cut.
const STEPS: usize = 12;

/// The same history is cut after each of its steps, and told to its end after the crash. It ends the same every time.
///
/// # Panics
/// When the promise is broken, as everywhere here.
pub fn after_a_crash_everything_that_was_answered_stands(subject: &mut impl Subject) {
    for cut in 0..=STEPS {
        // Each history has a partition's worth of names of its own, so that one log serves them all.
        let name = |what: &str, step: usize| format!("{cut}-{what}-{step}");
        let mut before = Vec::new();
        for step in 0..STEPS {
            if step == cut {
                subject.crash();
                let log = subject.log();
                let stored: Vec<String> = (0..PARTITIONS).flat_map(|partition| ids(&*log, partition)).collect();
                assert!(before.iter().all(|id| stored.contains(id)), "{before:?} were answered, {stored:?} stand");
            }
            before.extend(one_step(&*subject.log(), &format!("group-{cut}"), step, name));
        }
        let log = subject.log();
        let mut consumer = join(&*log, &format!("group-{cut}"), "worker");
        assert_eq!(stable_offset(&mut *consumer, Partition(1)), Some(Offset(STEPS as i64 - 1)));
        let stored: Vec<String> = (0..PARTITIONS).flat_map(|partition| ids(&*log, partition)).collect();
        let mut of_this: Vec<&String> = stored.iter().filter(|id| id.starts_with(&format!("{cut}-"))).collect();
        of_this.sort();
        let mut told: Vec<&String> = before.iter().collect();
        told.sort();
        assert_eq!(of_this, told);
    }
}

/// The facts that no commit covered are read again; those that one covered are not.
pub fn a_room_resumes_where_its_last_commit_left_it(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 1, &["a", "b", "c"]);
    let mut consumer = join(&*log, "rooms", "a");
    drain(&mut *consumer);
    let decided = transaction(&*consumer, vec![to(1, fact("d", "decided"))], &[(1, 2)]);
    log.producer("room-0").expect("a producer").commit(decided).expect("a member commits");
    drop(log);
    subject.crash();
    // The consumer of before the crash is still held: nobody closed it.
    let log = subject.log();
    subject.expire("rooms", "a");
    let (records, _) = drain(&mut *join(&*log, "rooms", "b"));
    assert_eq!(ids_of(&records), ["c", "d"]);
    drop(consumer);
    append(&*log, 1, &["e"]);
    assert_eq!(ids(&*log, 1), ["a", "b", "c", "d", "e"]);
}

/// Epochs outlive a crash: the second life of a producer is newer than the first.
pub fn a_producer_of_before_the_crash_is_fenced_by_its_successor(subject: &mut impl Subject) {
    let log = subject.log();
    let mut older = log.producer("room-0").expect("a producer");
    older.commit(transaction(&*join(&*log, "rooms", "a"), vec![to(0, fact("first", "life"))], &[])).expect("a member commits");
    subject.crash();
    let log = subject.log();
    let consumer = join(&*log, "rooms", "a");
    let mut newer = log.producer("room-0").expect("a producer");
    newer.commit(transaction(&*consumer, vec![to(0, fact("second", "life"))], &[])).expect("the successor commits");
    assert!(older.commit(transaction(&*consumer, vec![to(0, fact("zombie", "life"))], &[])).is_err());
    assert_eq!(ids(&*log, 0), ["first", "second"]);
}

/// An append or a commit, by the step; the ids that it was answered for.
fn one_step(log: &dyn Log, group: &str, step: usize, name: impl Fn(&str, usize) -> String) -> Vec<String> {
    let partition = (step as u32) % PARTITIONS;
    if step.is_multiple_of(2) {
        let facts = [name("fact", step), name("twin", step)];
        log.append(facts.iter().map(|id| to(partition, fact(id, id))).collect()).expect("new facts are appended");
        return facts.into();
    }
    let mut consumer = join(log, group, "worker");
    let decision = name("decision", step);
    let decided = transaction(&*consumer, vec![to(partition, fact(&decision, "decided"))], &[(1, step as i64)]);
    log.producer(group).expect("a producer").commit(decided).expect("a member commits");
    assert_eq!(stable_offset(&mut *consumer, Partition(1)), Some(Offset(step as i64)));
    vec![decision]
}
