//! The pump against the log in memory, fault by fault. The simulator does all of it at once, over many seeds.

mod desk;
mod snapshots;

use std::collections::BTreeSet;

use desk::{Desk, SILENCE_S, World, agent, fact, harm, settle};
use machine::Fold;
use runtime::log::memory::{CommitFault, FaultPlan, MemoryOptions};
use runtime::log::{Addressed, Log};
use runtime::pump::{DECISIONS_PER_TRANSACTION_MAX, Pump, PumpOptions, Step};
use wire::{Event, Headers, Kind, Offset, Partition, RawRecord, Record, Timestamp, codec};

const ID: &str = "reeve.desk.0";

#[test]
fn a_debt_is_published_once_and_its_echo_settles_it() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    assert!(settle(&mut pump).restored);
    world.harm(1, 0);
    settle(&mut pump);
    let incidents = world.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].event.causation, Some("fact-1".into()));
    assert_eq!(incidents[0].body.basis().map(|basis| basis.asof), Some(Offset(0)));
    assert_eq!(pump.status().partitions[0].in_flight, 0);
    settle(&mut pump);
    assert_eq!(world.incidents().len(), 1);
}

#[test]
fn a_transaction_that_nobody_ends_is_told_by_how_long_it_holds_a_reader() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.harm(1, 0);
    settle(&mut pump);
    let stalled = |pump: &mut Pump<_>| pump.status().partitions[0].stalled_s;
    assert_eq!(stalled(&mut pump), 0.0, "it has read everything");
    // Somebody else's transaction, whose producer is gone.
    world.leave_a_transaction_open("somebody");
    settle(&mut pump);
    assert_eq!(stalled(&mut pump), 0.0, "it has just begun to wait");
    world.pass(4);
    settle(&mut pump);
    assert!((3.0..=4.0).contains(&stalled(&mut pump)), "{:?}", pump.status());
    world.pass(4);
    settle(&mut pump);
    assert_eq!(stalled(&mut pump), 0.0, "the log has undone it");
}

#[test]
fn nothing_is_asked_before_the_log_was_folded_to_its_end() {
    let mut world = World::new(2);
    let mut first = world.pump();
    settle(&mut first);
    (0..50).for_each(|second| world.harm(second, (second % 2) as u32));
    settle(&mut first);
    assert_eq!(world.incidents().len(), 50);
    drop(first);
    let mut second = world.pump();
    loop {
        let step = second.step().expect("calm weather");
        assert_eq!(step.published, 0, "the predecessor decided it all");
        if step.restored && step.idle {
            break;
        }
    }
    assert_eq!(world.incidents().len(), 50);
}

#[test]
fn what_a_lost_transaction_held_is_published_once_in_the_end_whatever_became_of_it() {
    for fault in [
        CommitFault::Aborted,
        CommitFault::CrashBeforeCommit,
        CommitFault::CrashAfterCommit,
        CommitFault::DelayedProduce,
        CommitFault::DelayedCommit,
        CommitFault::Fenced,
    ] {
        let mut world = World::new(2);
        let mut pump = world.pump();
        settle(&mut pump);
        world.harm(1, 0);
        world.harm(1, 1);
        world.log.fail_next_commit(ID, fault);
        let failed = (0..10).any(|_| pump.step().is_err());
        assert!(failed, "{fault:?} struck");
        world.harm(2, 0);
        settle(&mut pump);
        assert_once(&world, 3, &format!("{fault:?}"));
    }
}

#[test]
fn a_crash_at_any_fault_leaves_everything_owed_and_nothing_repeated() {
    for fault in [CommitFault::CrashBeforeCommit, CommitFault::CrashAfterCommit, CommitFault::DelayedProduce, CommitFault::DelayedCommit] {
        let mut world = World::new(1);
        let mut first = world.pump();
        settle(&mut first);
        world.harm(1, 0);
        world.log.fail_next_commit(ID, fault);
        assert!((0..10).any(|_| first.step().is_err()));
        drop(first);
        settle(&mut world.pump());
        assert_once(&world, 1, &format!("{fault:?}"));
    }
}

#[test]
fn a_successor_under_another_name_waits_for_what_its_predecessor_left_pending() {
    let mut world = World::new(1);
    let mut first = world.pump();
    settle(&mut first);
    world.harm(1, 0);
    world.log.fail_next_commit(ID, CommitFault::DelayedProduce);
    assert!((0..10).any(|_| first.step().is_err()));
    drop(first);
    let mut second = world.pump_with(PumpOptions { ordinal: 1, ..PumpOptions::default() });
    for _ in 0..20 {
        let step = second.step().expect("waiting is no error");
        assert!(!step.restored && step.published == 0, "a transaction is pending on its offset");
    }
    world.log.arrive(ID);
    settle(&mut second);
    assert_once(&world, 1, "after it arrived");
}

#[test]
fn a_reader_who_lags_never_takes_an_unread_acknowledgement_for_silence() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.started(0, 0, "s");
    settle(&mut pump);
    world.log.stall(Partition(0), 50).expect("it exists");
    world.ended(SILENCE_S / 2, 0, "s");
    world.log.set_now(Timestamp(0).plus_s(10 * SILENCE_S));
    for _ in 0..200 {
        pump.step().expect("calm weather");
    }
    assert_eq!(world.incidents(), [], "the session ended in time");
}

#[test]
fn every_deadline_before_a_record_is_asked_before_the_record_is_folded() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.started(0, 0, "one");
    world.started(40, 0, "two");
    world.ended(200, 0, "one");
    world.ended(201, 0, "two");
    settle(&mut pump);
    let basis: Vec<_> = world.incidents().iter().filter_map(|record| record.body.basis().cloned()).collect();
    let seen: Vec<(Offset, Timestamp)> = basis.iter().map(|basis| (basis.asof, basis.now)).collect();
    let at = |seconds| Timestamp(0).plus_s(seconds);
    assert_eq!(seen, [(Offset(1), at(SILENCE_S)), (Offset(1), at(40 + SILENCE_S))]);
}

#[test]
fn a_decision_goes_to_the_partition_that_owed_it_whatever_its_key_would_choose() {
    let mut world = World::new(4);
    let mut pump = world.pump();
    settle(&mut pump);
    (0..4).for_each(|partition| world.harm(1, partition));
    settle(&mut pump);
    for incident in world.incidents() {
        assert_eq!(incident.key, agent(incident.partition, 4));
    }
    assert_once(&world, 4, "one in each");
}

#[test]
fn partitions_move_between_members_and_nothing_is_decided_twice() {
    let mut world = World::new(4);
    let mut first = world.pump();
    settle(&mut first);
    let mut second = world.pump_with(PumpOptions { ordinal: 1, ..PumpOptions::default() });
    for second_of_time in 1..40 {
        world.harm(second_of_time, (second_of_time % 4) as u32);
        if second_of_time % 7 == 0 {
            world.log.rebalance("reeve.desk");
        }
        (0..3).for_each(|_| drop((first.step(), second.step())));
    }
    for _ in 0..5 {
        settle(&mut first);
        settle(&mut second);
    }
    assert_once(&world, 39, "two members");
    assert_eq!(first.status().partitions.len() + second.status().partitions.len(), 4);
}

#[test]
fn a_fenced_member_publishes_nothing_and_restores_when_it_is_assigned_again() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.harm(1, 0);
    // The fact is folded; before the decision is committed, the member's session ends.
    world.log.fail_next_commit(ID, CommitFault::Fenced);
    assert!((0..10).any(|_| pump.step().is_err()));
    assert_eq!(world.incidents(), []);
    assert!(settle(&mut pump).restored);
    assert_once(&world, 1, "after it came back");
}

#[test]
fn more_debts_than_a_transaction_takes_are_published_in_order_in_several() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    let sessions = DECISIONS_PER_TRANSACTION_MAX * 2 + 7;
    (0..sessions).for_each(|nth| world.started(0, 0, &format!("{nth:05}")));
    settle(&mut pump);
    world.log.set_now(Timestamp(0).plus_s(2 * SILENCE_S));
    let published: Vec<usize> = (0..10).map(|_| pump.step().expect("calm weather").published).filter(|count| *count > 0).collect();
    assert!(published.iter().all(|count| *count <= DECISIONS_PER_TRANSACTION_MAX), "{published:?}");
    settle(&mut pump);
    assert_once(&world, sessions, "all of them");
}

#[test]
fn shortly_after_a_transaction_decisions_go_out_with_those_of_the_next_records_and_else_at_once() {
    let mut world = World::new(2);
    let mut pump = world.pump();
    settle(&mut pump);
    let mut published = |world: &mut World, at_s| -> Vec<usize> {
        // Each poll hands out records of one partition.
        (0..2).for_each(|partition| world.harm(at_s, partition));
        let steps: Vec<Step> = std::iter::repeat_with(|| pump.step().expect("calm weather")).take_while(|step| !step.idle).collect();
        assert!(steps.iter().all(|step| !step.waits || step.published == 0), "{steps:?}");
        steps.iter().map(|step| step.published).filter(|count| *count > 0).collect()
    };
    assert_eq!(published(&mut world, 1), [1, 1], "the first waits for nobody, and the second is no longer beside it");
    assert_eq!(published(&mut world, 1), [2], "both wait for each other");
    assert_eq!(published(&mut world, 2), [1, 1], "a second later the first waits for nobody");
    assert_once(&world, 6, "all of them");
}

#[test]
fn where_transactions_are_slow_decisions_wait_for_each_other_longer_so_that_those_take_a_twentieth_of_the_time() {
    let published = |commit_us, later_us| -> Vec<usize> {
        let mut world = World::with(MemoryOptions { partitions: 2, commit_us, ..MemoryOptions::default() });
        let mut pump = world.pump();
        settle(&mut pump);
        world.harm_now(0);
        while pump.step().expect("calm weather").published == 0 {}
        world.log.set_now(Timestamp(world.log.now().0 + later_us));
        // Each poll hands out records of one partition.
        (0..2).for_each(|partition| world.harm_now(partition));
        let steps = std::iter::repeat_with(|| pump.step().expect("calm weather")).take_while(|step| !step.idle);
        let published: Vec<usize> = steps.map(|step| step.published).filter(|count| *count > 0).collect();
        assert_once(&world, 3, "all of them");
        published
    };
    let (alone, together) = ([1, 1], [2]);
    assert_eq!(published(2_000, 49_000), together);
    assert_eq!(published(2_000, 51_000), alone, "a quick one costs little");
    assert_eq!(published(10_000, 199_000), together);
    assert_eq!(published(10_000, 201_000), alone);
    assert_eq!(published(2_000_000, 499_000), together);
    assert_eq!(published(2_000_000, 501_000), alone, "half a second is enough for anybody");
}

#[test]
fn what_is_owed_and_waits_is_told_as_due_now() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.harm(1, 0);
    settle(&mut pump);
    let (now, due) = (Timestamp(0).plus_s(1), |pump: &mut Pump<_>| pump.status().partitions[0].next_due);
    assert!(due(&mut pump).is_none_or(|due| due > now), "nothing is owed: {:?}", due(&mut pump));
    world.harm(1, 0);
    assert!(pump.step().expect("calm weather").waits);
    assert_eq!(due(&mut pump), Some(now));
}

#[test]
fn what_a_transaction_has_no_room_for_waits_for_nothing_further() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    let harms = 2 * DECISIONS_PER_TRANSACTION_MAX;
    (0..harms).for_each(|_| world.harm(0, 0));
    let steps: Vec<Step> = std::iter::repeat_with(|| pump.step().expect("calm weather")).take_while(|step| !step.idle).collect();
    let told: Vec<&Step> = steps.iter().skip_while(|step| step.published == 0).take_while(|step| step.published > 0).collect();
    assert_eq!(told.iter().map(|step| step.published).sum::<usize>(), harms, "one transaction after the other: {steps:?}");
    assert!(told.iter().any(|step| step.folded > 0), "what came home meanwhile was no reason to wait: {steps:?}");
    assert_once(&world, harms, "all of them");
}

#[test]
fn a_record_that_cannot_be_read_is_passed_and_the_room_goes_on() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    let cut = RawRecord {
        key: Some("agent-0".into()),
        headers: Headers::default(),
        value: codec::framing_of(Kind::HarmReported).to_vec().into(),
    };
    let noise = RawRecord { key: None, headers: Headers::default(), value: vec![7; 30].into() };
    let records = [cut, noise].map(|record| Addressed { partition: Partition(0), record });
    world.log.publish_unchecked(records.to_vec()).expect("it exists");
    world.harm(1, 0);
    settle(&mut pump);
    assert_once(&world, 1, "behind two unreadable records");
    assert!(pump.state(Partition(0)).is_some_and(|fold| fold.asof() >= Offset(3)), "the echo was folded behind them");
}

#[test]
fn a_fact_on_a_partition_that_its_key_does_not_choose_is_passed_by_every_room() {
    let mut world = World::new(2);
    let mut pump = world.pump();
    settle(&mut pump);
    let at_home = fact(900, 0, "none", harm("tests"));
    let stray = Event { key: agent(Partition(0), 2), ..at_home };
    let to = |partition| Addressed { partition: Partition(partition), record: stray.to_raw() };
    world.log.publish_unchecked(vec![to(1)]).expect("it exists");
    world.harm(1, 1);
    settle(&mut pump);
    assert_once(&world, 1, "the stray is nobody's");
    world.log.publish_unchecked(vec![to(0)]).expect("it exists");
    settle(&mut pump);
    assert_once(&world, 2, "and where its key belongs it counts, for nobody has folded it");
}

#[test]
fn with_nothing_owed_offsets_are_committed_twice_a_second_at_most() {
    let world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    // It asks for the group's offsets and is given nothing else: the only partition stays where it is.
    let mut observer = world.log.consumer("reeve.desk", "observer").expect("the log is reached");
    let mut seen = BTreeSet::new();
    for tenth in 0..100 {
        // What is no fact for this room moves its position, and nothing else.
        world.log.set_now(Timestamp(tenth * 100_000));
        world.log.publish_unchecked(vec![Addressed { partition: Partition(0), record: strange() }]).expect("it exists");
        (0..3).for_each(|_| assert_eq!(pump.step().expect("calm weather").published, 0));
        seen.extend(observer.committed(Partition(0)).expect("nothing is pending"));
    }
    assert!((18..=21).contains(&seen.len()), "{} commits in ten seconds: {seen:?}", seen.len());
    world.log.set_now(Timestamp(20_000_000));
    settle(&mut pump);
    assert_eq!(
        observer.committed(Partition(0)).expect("nothing is pending"),
        Some(Offset(100)),
        "the last ones follow without a new record"
    );
}

#[test]
fn a_member_that_was_replaced_with_its_hands_full_does_not_fence_its_successor() {
    let mut world = World::new(1);
    let mut older = world.pump();
    settle(&mut older);
    world.started(0, 0, "one");
    world.started(40, 0, "two");
    world.ended(200, 0, "one");
    world.ended(201, 0, "two");
    // It has decided the first silence and stands before the second, with two records in hand.
    assert!((0..40).any(|_| older.step().is_ok_and(|step| step.published > 0)));
    let mut newer = world.pump();
    settle(&mut newer);
    assert!((0..10).any(|_| older.step().is_err()), "it learns that it was replaced");
    (0..10).for_each(|_| assert_eq!(older.step().expect("it keeps out").published, 0));
    world.harm(300, 0);
    (0..10).for_each(|_| assert!(newer.step().is_ok(), "nobody fenced it"));
    assert_once(&world, 3, "two silences and a harm");
}

#[test]
fn who_asks_a_room_that_has_nothing_to_do_hears_of_the_present() {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.harm(1, 0);
    settle(&mut pump);
    let an_hour_later = Timestamp(0).plus_s(3_601);
    world.log.set_now(an_hour_later);
    assert_eq!(pump.standing(&"agent-0".into())[0].detail, Some(an_hour_later.to_string()));
}

#[test]
fn under_all_faults_at_once_every_harm_is_answered_exactly_once_and_no_clock_falls() {
    let faults = FaultPlan {
        aborted: 0.1,
        crash_before_commit: 0.05,
        crash_after_commit: 0.05,
        delayed_produce: 0.05,
        delayed_commit: 0.05,
        fenced: 0.05,
        rebalanced: 0.02,
        lagged: 0.1,
        stalled: 0.05,
        duplicated: 0.1,
        unreplicated: 0.0,
    };
    for seed in 0..60 {
        let mut world = World::with_faults(2, seed, faults);
        let options = |ordinal| PumpOptions { ordinal, ..PumpOptions::default() };
        let mut pumps: Vec<Pump<Desk>> = (0..2).map(|ordinal| world.pump_with(options(ordinal))).collect();
        for second in 1..80_i64 {
            world.harm(second * 2, (second % 2) as u32);
            world.started(second * 2, (second % 2) as u32, &format!("s{second}"));
            for pump in &mut pumps {
                (0..second % 5).for_each(|_| drop(pump.step()));
            }
            if second % 23 == 0 {
                let crashed = (second % 2) as usize;
                pumps[crashed] = world.pump_with(options(crashed as u32));
            }
        }
        world.log.heal();
        for round in 0..40 {
            world.log.set_now(Timestamp(0).plus_s(1_000 + round * 10));
            for pump in &mut pumps {
                settle(pump);
            }
        }
        assert_once(&world, 79 * 2, &format!("seed {seed}, faults {:?}", world.log.fault_counts()));
        assert_no_clock_falls(&world, seed);
        assert_every_decision_is_owed(&world, seed);
    }
}

/// A record of no known framing, which is passed.
fn strange() -> RawRecord {
    RawRecord { key: None, headers: Headers::default(), value: vec![0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8].into() }
}

fn assert_once(world: &World, expected: usize, when: &str) {
    let incidents = world.incidents();
    let ids: BTreeSet<&str> = incidents.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids.len(), incidents.len(), "repeated, {when}");
    assert_eq!(incidents.len(), expected, "lost or invented, {when}");
}

fn assert_no_clock_falls(world: &World, seed: u64) {
    for partition in (0..world.log.partitions()).map(Partition) {
        let mut last = (Offset::BEFORE_ALL, Timestamp::MIN);
        for decision in world.decisions().iter().filter(|record| record.partition == partition) {
            let basis = decision.body.basis().expect("it is a decision");
            assert!(basis.asof < decision.offset, "seed {seed}: {decision:?} knew its own future");
            assert!(basis.asof >= last.0 && basis.now >= last.1, "seed {seed}: {basis:?} after {last:?}");
            last = (basis.asof, basis.now);
        }
    }
}

/// The oracle: each decision equals an element of what a fold up to its `asof` owes at its `now`.
fn assert_every_decision_is_owed(world: &World, seed: u64) {
    for partition in (0..world.log.partitions()).map(Partition) {
        let stored = world.log.read(partition, Offset(0), usize::MAX).expect("memory");
        let records: Vec<Record> = stored.iter().filter_map(|stored| Record::read(stored).ok()).collect();
        for decision in records.iter().filter(|record| record.body.kind().is_decision()) {
            let basis = decision.body.basis().expect("it is a decision");
            let mut fold = Fold::<Desk>::new(partition);
            for record in records.iter().take_while(|record| record.offset <= basis.asof) {
                fold.fold(record);
            }
            fold.skip(basis.asof, fold.appended());
            let owed = fold.owed(basis.now);
            assert!(owed.iter().any(|owed| owed.to_event("desk") == decision.event), "seed {seed}: {decision:?} was not owed: {owed:?}");
        }
    }
}
