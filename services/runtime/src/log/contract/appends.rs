//! Facts are appended once, all or none, and dated by the log.

use std::collections::BTreeMap;

use wire::{Offset, Partition, Timestamp};

use super::super::{AppendError, Appended, Log};
use super::fixtures::{START, append, broadcast, fact, ids, join, to, transaction, until};
use super::{PARTITIONS, Subject};

/// The answer to a repeat is the place of the record that stands.
///
/// # Panics
/// When the promise is broken, as everywhere here.
pub fn a_repeat_adds_nothing_and_says_where_the_first_stands(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 1, &["before", "again"]);
    let again = log.append(vec![to(1, fact("new", "new")), to(1, fact("again", "again"))]).expect("a repeat is no error");
    assert_eq!(again, [Appended { offset: Offset(2), repeated: false }, Appended { offset: Offset(1), repeated: true }]);
    assert_eq!(ids(&*log, 1), ["before", "again", "new"]);
}

/// All conflicts are told at once, and the rest of the append is not appended either.
pub fn an_id_with_another_body_is_refused_with_every_place_and_nothing_is_appended(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 0, &["a", "b"]);
    let refused = log.append(vec![
        to(0, fact("c", "c")),
        to(0, fact("a", "something else")),
        to(0, fact("d", "d")),
        to(0, fact("d", "d, but otherwise")),
        to(0, fact("b", "b")),
    ]);
    assert!(matches!(&refused, Err(AppendError::IdTaken(places)) if *places == [1, 3]), "{refused:?}");
    assert_eq!(ids(&*log, 0), ["a", "b"]);
    append(&*log, 0, &["c", "d"]);
    assert_eq!(ids(&*log, 0), ["a", "b", "c", "d"]);
}

/// The same fact twice in one append is a repeat like any other.
pub fn a_repeat_within_one_append_is_one_record(subject: &mut impl Subject) {
    let log = subject.log();
    let twice = log.append(vec![to(2, fact("a", "a")), to(2, fact("a", "a"))]).expect("a repeat is no error");
    assert_eq!(twice, [Appended { offset: Offset(0), repeated: false }, Appended { offset: Offset(0), repeated: true }]);
    assert_eq!(ids(&*log, 2), ["a"]);
}

/// Copies of a broadcast on other partitions are no repeats; a second copy on the same one is.
pub fn a_broadcast_is_one_record_on_each_partition(subject: &mut impl Subject) {
    let log = subject.log();
    let copies = || (0..PARTITIONS).map(|partition| to(partition, broadcast("policy-1"))).collect::<Vec<_>>();
    let first = log.append(copies()).expect("a new broadcast");
    assert!(first.iter().all(|appended| !appended.repeated), "{first:?}");
    let second = log.append(copies()).expect("a repeated broadcast");
    assert!(second.iter().all(|appended| appended.repeated), "{second:?}");
    assert!((0..PARTITIONS).all(|partition| ids(&*log, partition) == ["policy-1"]));
}

/// What a room decided stands under its id like a fact.
pub fn an_append_cannot_take_the_id_of_a_decision(subject: &mut impl Subject) {
    let log = subject.log();
    let consumer = join(&*log, "rooms", "a");
    let decided = transaction(&*consumer, vec![to(0, fact("decision", "as decided"))], &[]);
    let at = log.producer("room-0").expect("a producer").commit(decided).expect("a member commits");
    let taken = log.append(vec![to(0, fact("decision", "as forged"))]);
    assert!(matches!(taken, Err(AppendError::IdTaken(_))), "{taken:?}");
    let repeated = log.append(vec![to(0, fact("decision", "as decided"))]).expect("a repeat is no error");
    assert_eq!(repeated, [Appended { offset: at[0], repeated: true }]);
}

/// What passes the door has to find room on the log.
pub fn a_record_as_large_as_the_wire_allows_stands(subject: &mut impl Subject) {
    let log = subject.log();
    let says = "x".repeat(wire::limits::VALUE_BYTES_MAX);
    log.append(vec![to(0, fact("large", &says))]).expect("there is room for it");
    let stored = log.read(Partition(0), Offset(0), 1).expect("the log is read");
    assert_eq!(stored[0].raw.value, says.as_bytes());
    let consumer = join(&*log, "rooms", "a");
    let decided = transaction(&*consumer, vec![to(0, fact("large-decision", &says))], &[(0, 1)]);
    log.producer("room-0").expect("a producer").commit(decided).expect("a decision may be as large");
    assert_eq!(ids(&*log, 0), ["large", "large-decision"]);
}

/// Not even the records that could be appended are.
pub fn an_append_to_a_partition_that_does_not_exist_adds_nothing(subject: &mut impl Subject) {
    let log = subject.log();
    let stray = log.append(vec![to(0, fact("a", "a")), to(PARTITIONS, fact("b", "b"))]);
    assert!(matches!(stray, Err(AppendError::Log(_))), "{stray:?}");
    assert_eq!(ids(&*log, 0), Vec::<String>::new());
    assert!(log.read(Partition(PARTITIONS), Offset(0), 1).is_err());
    assert!(log.end(Partition(PARTITIONS)).is_err());
}

/// A clock that is told an earlier time stays where it is. A log whose clock is its own dates what is appended between two
/// looks at it between them.
pub fn append_times_follow_the_clock_and_never_fall(subject: &mut impl Subject) {
    let log = subject.log();
    let times = |partition| -> Vec<Timestamp> {
        log.read(Partition(partition), Offset(0), 10).expect("the log is read").iter().map(|record| record.appended).collect()
    };
    if !subject.sets_the_clock() {
        let before = log.now();
        append(&*log, 0, &["a", "b", "c"]);
        let dates = times(0);
        assert!(dates.is_sorted() && dates.len() == 3, "{dates:?}");
        assert!(dates[0] >= before, "{dates:?} after {before:?}");
        until("the clock stands still", || (log.now() > dates[2]).then_some(()));
        return;
    }
    assert_eq!(log.now(), START);
    append(&*log, 0, &["a"]);
    subject.set_now(START.plus_s(60));
    append(&*log, 0, &["b"]);
    subject.set_now(START.plus_s(30));
    append(&*log, 0, &["c"]);
    append(&*log, 1, &["d"]);
    subject.set_now(START.plus_s(61));
    append(&*log, 0, &["e"]);
    assert_eq!(times(0), [START, START.plus_s(60), START.plus_s(60), START.plus_s(61)]);
    assert_eq!(times(1), [START.plus_s(60)]);
}

/// Eight threads append at once, repeats and conflicts among them; each hears of its own records, and every place that
/// was told holds the record that it was told for.
pub fn every_one_of_many_appenders_is_answered_for_its_own(subject: &mut impl Subject) {
    const THREADS: usize = 8;
    const APPENDS: usize = 20;
    let log = subject.log();
    let appender = |thread: usize| {
        let log = subject.log();
        move || -> Vec<(String, u32, Appended)> { (0..APPENDS).flat_map(|round| append_two(&*log, thread, round)).collect() }
    };
    let answers: Vec<(String, u32, Appended)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(appender(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no appender panics")).collect()
    });
    let mut fresh: BTreeMap<String, usize> = BTreeMap::new();
    for (id, partition, appended) in answers {
        let stored = log.read(Partition(partition), appended.offset, 1).expect("the log is read");
        assert_eq!(stored[0].raw.header("ce_id"), Some(id.as_str()));
        *fresh.entry(id).or_default() += usize::from(!appended.repeated);
    }
    assert!(fresh.values().all(|count| *count == 1), "each fact is new exactly once: {fresh:?}");
    assert_eq!(fresh.len(), THREADS * APPENDS + APPENDS);
    let stored: usize = (0..PARTITIONS).map(|partition| ids(&*log, partition).len()).sum();
    assert_eq!(stored, fresh.len());
}

/// One record of this thread's own, and one that every thread tells.
fn append_two(log: &dyn Log, thread: usize, round: usize) -> Vec<(String, u32, Appended)> {
    let partition = (round as u32) % PARTITIONS;
    let (own, shared) = (format!("own-{thread}-{round}"), format!("shared-{round}"));
    let told = log.append(vec![to(partition, fact(&own, "own")), to(partition, fact(&shared, "shared"))]).expect("room in the queue");
    let conflict = log.append(vec![to(partition, fact("never", "told")), to(partition, fact(&shared, "otherwise"))]);
    assert!(matches!(&conflict, Err(AppendError::IdTaken(places)) if *places == [1]), "{conflict:?}");
    [own, shared].into_iter().zip(told).map(|(id, appended)| (id, partition, appended)).collect()
}
