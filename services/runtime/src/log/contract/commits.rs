//! Decisions and offsets stand or fall together, and only the rightful member commits them.

use wire::{Offset, Partition};

use super::super::{CommitError, Log, LogError, Polled, Transaction};
use super::fixtures::{Member, append, drain, fact, ids, join, share, stable_offset, to, transaction, until};
use super::{PARTITIONS, Subject};

/// Both are there at once, for the group and for every reader.
///
/// # Panics
/// When the promise is broken, as everywhere here.
pub fn records_and_offsets_are_committed_together(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 0, &["fact"]);
    let mut consumer = join(&*log, "rooms", "a");
    drain(&mut *consumer);
    let decided = vec![to(0, fact("d0", "decided")), to(2, fact("d2", "decided")), to(0, fact("d3", "decided"))];
    let at = log.producer("room-0").expect("a producer").commit(transaction(&*consumer, decided, &[(0, 1), (1, 0)]));
    assert_eq!(at.expect("a member commits"), [Offset(1), Offset(0), Offset(2)]);
    assert_eq!(ids(&*log, 0), ["fact", "d0", "d3"]);
    assert_eq!(ids(&*log, 2), ["d2"]);
    assert_eq!(stable_offset(&mut *consumer, Partition(0)), Some(Offset(1)));
    assert_eq!(stable_offset(&mut *consumer, Partition(1)), Some(Offset(0)));
    assert_eq!(stable_offset(&mut *consumer, Partition(2)), None);
    let (echoes, positions) = drain(&mut *consumer);
    assert_eq!(echoes.len(), 3);
    let extent = consumer.extent(Partition(0)).expect("the log is reached");
    assert!(positions.contains(&(Partition(0), extent.high_watermark)), "{positions:?} reach {extent:?}, markers counted");
}

/// A log that took it would take a zombie's as well.
pub fn a_commit_without_membership_is_refused(subject: &mut impl Subject) {
    let log = subject.log();
    let records = vec![to(0, fact("d", "decided"))];
    let offsets = vec![(Partition(0), Offset(1))];
    let refused = log.producer("room-0").expect("a producer").commit(Transaction { records, offsets, membership: None });
    assert!(matches!(refused, Err(CommitError::NoMembership)), "{refused:?}");
    assert_nothing_stands(&*log);
}

/// It is told so by a revocation and may come back.
pub fn a_commit_of_an_expired_member_is_fenced(subject: &mut impl Subject) {
    let log = subject.log();
    let zombie = join(&*log, "rooms", "a");
    subject.expire("rooms", "a");
    until("a commit that nothing else stops was not fenced", || {
        let mut producer = log.producer("room-0").expect("a producer");
        match producer.commit(transaction(&*zombie, vec![to(0, fact("d", "decided"))], &[(0, 1)])) {
            Err(CommitError::Fenced { .. }) => Some(()),
            // Brokers may give a transaction up before they look at who commits it, when they are slow.
            Err(CommitError::Aborted { .. }) => None,
            other => panic!("nothing of an expired member's may be committed: {other:?}"),
        }
    });
    assert_nothing_stands(&*log);
}

/// A member that still acts for a generation that is over changes nothing.
pub fn a_commit_of_an_older_generation_is_fenced(subject: &mut impl Subject) {
    let log = subject.log();
    let mut first = Member::join(&*log, "rooms", "a");
    let stale = until("nothing was assigned", || {
        let assigned = matches!(first.hear(), Polled::Assigned(_));
        assigned.then(|| transaction(&*first.consumer, vec![to(0, fact("d", "decided"))], &[(0, 1)]))
    });
    let mut second = Member::join(&*log, "rooms", "b");
    share(&mut first, &mut second);
    let fenced = log.producer("room-0").expect("a producer").commit(stale);
    assert!(matches!(fenced, Err(CommitError::Fenced { .. })), "{fenced:?}");
    assert_nothing_stands(&*log);
    let live = transaction(&*first.consumer, vec![to(0, fact("d", "decided"))], &[(0, 1)]);
    log.producer("room-0").expect("a producer").commit(live).expect("a member of this generation commits");
    assert_eq!(ids(&*log, 0), ["d"]);
}

/// The newer one works, whatever the older one tries.
pub fn an_older_producer_is_fenced_and_leaves_nothing(subject: &mut impl Subject) {
    let log = subject.log();
    let consumer = join(&*log, "rooms", "a");
    let mut older = log.producer("room-0").expect("a producer");
    let mut newer = log.producer("room-0").expect("a producer");
    let mut other = log.producer("room-1").expect("a producer");
    let decided = |id| transaction(&*consumer, vec![to(0, fact(id, "decided"))], &[]);
    newer.commit(decided("newer")).expect("the newer producer commits");
    let fenced = older.commit(decided("older"));
    assert!(matches!(fenced, Err(CommitError::Fenced { .. })), "{fenced:?}");
    other.commit(decided("other")).expect("a producer of another id is not concerned");
    newer.commit(decided("newer again")).expect("the newer producer goes on");
    assert_eq!(ids(&*log, 0), ["newer", "other", "newer again"]);
}

/// All or none.
pub fn a_commit_with_one_stray_record_commits_nothing(subject: &mut impl Subject) {
    let log = subject.log();
    let consumer = join(&*log, "rooms", "a");
    let records = vec![to(0, fact("d", "decided")), to(PARTITIONS, fact("stray", "decided"))];
    let stray = log.producer("room-0").expect("a producer").commit(transaction(&*consumer, records, &[(0, 1)]));
    assert!(matches!(stray, Err(CommitError::Aborted { .. })), "{stray:?}");
    drop(consumer);
    assert_nothing_stands(&*log);
}

/// Require-stable: a successor waits for what its predecessor may still commit, and then sees it.
///
/// A log that decides every commit before it answers has no such moment. Then it must say so, and answer at once.
pub fn an_offset_is_pending_until_its_transaction_is_decided(subject: &mut impl Subject) {
    let log = subject.log();
    let predecessor = join(&*log, "rooms", "a");
    let decided = transaction(&*predecessor, vec![to(0, fact("d", "decided"))], &[(0, 7)]);
    let mut producer = log.producer("room-0").expect("a producer");
    let Some(pending) = subject.pending() else {
        producer.commit(decided).expect("a member commits");
        drop(predecessor);
        let mut successor = join(&*log, "rooms", "a");
        assert_eq!(successor.committed(Partition(0)).expect("decided before it was answered"), Some(Offset(7)));
        return;
    };
    pending.hold_next_commit("room-0");
    assert!(matches!(producer.commit(decided), Err(CommitError::Unknown { .. })));
    drop(predecessor);
    let mut successor = log.consumer("rooms", "b").expect("the log is reached");
    while successor.membership().is_none() {
        successor.poll(1).expect("the log is read");
    }
    let undecided = successor.committed(Partition(0));
    assert!(matches!(undecided, Err(LogError::OffsetPending { partition: Partition(0) })), "{undecided:?}");
    assert_eq!(successor.committed(Partition(1)).expect("nothing is pending there"), None);
    assert_eq!(ids(&*log, 0), Vec::<String>::new());
    pending.arrive("room-0");
    // What was committed is marked on each partition by itself.
    assert_eq!(stable_offset(&mut *successor, Partition(0)), Some(Offset(7)));
    until("the record is not shown", || (!log.is_undecided(Partition(0)).expect("the log is reached")).then_some(()));
    assert_eq!(ids(&*log, 0), ["d"]);
}

/// Before a producer of the same id is there, what the older one left is committed or undone, and stays so.
pub fn a_successor_decides_what_its_predecessor_left(subject: &mut impl Subject) {
    let log = subject.log();
    let mut consumer = join(&*log, "rooms", "a");
    let decided = transaction(&*consumer, vec![to(0, fact("d", "decided"))], &[(0, 7)]);
    let mut predecessor = log.producer("room-0").expect("a producer");
    if let Some(pending) = subject.pending() {
        pending.hold_next_commit("room-0");
        assert!(matches!(predecessor.commit(decided), Err(CommitError::Unknown { .. })));
    } else {
        predecessor.commit(decided).expect("a member commits");
    }
    log.producer("room-0").expect("a successor");
    let offset = consumer.committed(Partition(0)).expect("nothing is pending once a successor is there");
    assert_eq!(ids(&*log, 0).len(), usize::from(offset.is_some()), "records and offsets were decided together");
    if let Some(pending) = subject.pending() {
        pending.arrive("room-0");
        assert_eq!(consumer.committed(Partition(0)).expect("still decided"), offset);
        assert_eq!(ids(&*log, 0).len(), usize::from(offset.is_some()), "what came late was let in");
    }
}

fn assert_nothing_stands(log: &dyn Log) {
    for partition in 0..PARTITIONS {
        assert_eq!(ids(log, partition), Vec::<String>::new());
    }
    let mut observer = log.consumer("rooms", "observer").expect("the log is reached");
    assert_eq!(stable_offset(&mut *observer, Partition(0)), None);
}
