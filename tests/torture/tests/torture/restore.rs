//! Rooms that have lost what they had written down, stand on a log that has lost what they need, or are of a later build than
//! the log's decisions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::Teller;
use kit::lives::BIRTH;
use kit::upgrade::Next;
use machine::{Fold, Machine};
use runtime::admin::Admin;
use runtime::log::Log;
use runtime::room::RoomState;
use runtime::snapshots::{MemorySnapshots, SnapshotPlace, SnapshotStore, encode};
use runtime::{Code, RoomOptions, Shutdown, spawn};
use torture::dice::dice;
use torture::facts::{lived, lives};
use torture::ground::{copy, eventually, folder, say};
use torture::house::House;
use torture::late::Late;
use torture::of_every_room;
use torture::program::{Up, run, up};
use torture::proof::{Folder, Read};
use torture::publisher::Publisher;
use torture::states::{are_the_logs, folded, snapshots};
use wire::{Offset, Partition, PolicyAdopted};

/// How a process ends that cannot have its folders.
const CANNOT_WRITE: i32 = 73;

/// What can be wrong with snapshots.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Nobody has them any more.
    AllGone,
    /// The newest one ends early.
    NewestCut,
    /// A bit of the newest one is another.
    NewestFlipped,
    /// The newest one has no byte.
    NewestEmpty,
    /// A folder has the name of the newest one: nobody takes it for a snapshot, so there is nothing to be told of.
    NewestInTheWay,
    /// All are of a version that is not this one.
    AllOfAnotherVersion,
    /// All of them end early.
    AllCut,
}

#[test]
fn whatever_is_wrong_with_snapshots_every_room_comes_to_the_state_that_its_log_makes() {
    let data = lived_through(1_200);
    let log = Folder::at(data.path()).read();
    let wrongs = [
        Wrong::AllGone,
        Wrong::NewestCut,
        Wrong::NewestFlipped,
        Wrong::NewestEmpty,
        Wrong::NewestInTheWay,
        Wrong::AllOfAnotherVersion,
        Wrong::AllCut,
    ];
    for wrong in wrongs {
        let scratch = folder();
        copy(data.path(), scratch.path());
        of_every_room!(spoil(scratch.path(), wrong, &log));
        let up = Up::start(&mut up(scratch.path()));
        let end = up.settle();
        up.interrupt();
        let ended = up.end();
        assert_eq!(ended.code, Some(0), "{wrong:?}: {}", ended.said);
        let told = ended.said.lines().filter(|line| line.contains("RV0004")).count();
        assert!(
            matches!(wrong, Wrong::AllGone | Wrong::NewestInTheWay) || told >= 20,
            "{wrong:?}: five rooms with four partitions say so: {}",
            ended.said
        );
        let after = Folder::at(scratch.path()).read();
        let kept = after.0.iter().zip(&log.0).all(|(after, before)| after.starts_with(before));
        assert!(kept, "{wrong:?}: what stood on the log stands there");
        after.is_just(end);
        of_every_room!(are_the_logs(scratch.path(), &after));
    }
    say(&format!("{} kinds of trouble with the snapshots of a log of {} records", wrongs.len(), log.len()));
}

#[test]
fn a_place_for_snapshots_that_is_none_is_refused_by_its_code() {
    let data = folder();
    std::fs::write(data.path().join("snapshots"), b"a diary, perhaps").expect("the test's folder is writable");
    let ended = run(&mut up(data.path()));
    assert_eq!(ended.code, Some(CANNOT_WRITE), "{}", ended.said);
    assert!(ended.said.contains("RV0009"), "{}", ended.said);
}

#[test]
fn a_room_whose_log_starts_behind_its_snapshots_refuses_to_be_ready_by_its_code() {
    let data = lived_through(400);
    let log = Folder::at(data.path()).open().expect("it is whole");
    let read = Read((0..4).map(|partition| log.read(Partition(partition), Offset(0), usize::MAX).expect("it is whole")).collect());
    let shortest = read.0.iter().map(Vec::len).min().expect("there are partitions") as i64;
    of_every_room!(refuses(log.clone(), &read, Offset(shortest / 2)));
}

/// On a log whose first records are gone, the room of `M` is ready with a snapshot behind them, and with none refuses to be.
fn refuses<M: Machine>(log: Arc<dyn Log>, read: &Read, start: Offset) {
    let late = Late::new(log, start);
    for (position, is_ready) in [(None, false), (Some(start.previous()), false), (Some(start), true)] {
        let snapshots = MemorySnapshots::default();
        for (partition, position) in (0..4).filter_map(|partition| Some((Partition(partition), position?))) {
            let fold: Fold<M> = folded(read, partition, position);
            snapshots.put(SnapshotPlace { service: M::SERVICE, partition, position }, Box::new(move || encode(&fold, position)));
        }
        let (wish, options) = (Shutdown::new(), RoomOptions { snapshots: Some(Arc::new(snapshots)), ..RoomOptions::default() });
        let room = spawn::<M>(late.clone(), options, wish.clone());
        let admin = Admin::new(vec![room.clone()]);
        eventually("a verdict", || (room.ended() || room.ready()).then_some(()));
        let what = format!("{} with a snapshot at {position:?} on a log that starts at {start}", M::SERVICE);
        assert_eq!(admin.ready(), is_ready, "{what}: {:?}", room.status());
        wish.request();
        match (is_ready, room.join()) {
            (true, ended) => assert_eq!(ended, Ok(()), "{what}"),
            (false, ended) => {
                let error = ended.expect_err("it refused");
                assert_eq!((error.code, room.status().state), (Code::OffsetGone, RoomState::Failed(Code::OffsetGone)), "{what}: {error}");
                assert!(error.reason.contains(&format!("starts at {start}, offset 0 is gone")), "{what}: {error}");
            }
        }
    }
}

#[test]
fn an_upgrade_owes_nothing_of_an_old_log_and_a_new_rule_acts_from_the_record_that_adopts_it() {
    of_every_room!(upgrade());
}

/// A policy under which an old life would have been another one.
fn strict(service: &str) -> &'static str {
    match service {
        "incident" => r#"{"regression_e": 20.0, "facts_min": 5, "harm_quiet_s": 60}"#,
        "rollback" => r#"{"ack_timeout_s": 5, "proof_outcomes": 1, "proof_hours": 1}"#,
        "capacity" => {
            r#"{"budgets": {"tokens_per_minute": 600, "cost_usd_per_day": 0.02, "concurrent_sessions": 2}, "horizon_s": 600, "calm_minutes": 1}"#
        }
        "escalation" => r#"{"confidence_min": 0.99, "failures_max": 1}"#,
        _ => r#"{"told_singly_max": 1}"#,
    }
}

/// The room of `M`, upgraded in the middle of its life.
fn upgrade<M: Machine>() {
    let mut house = House::new(BIRTH);
    of_every_room!(move_in_unless_upgraded(&mut house, "none of them yet"));
    let (early, late) = (lives(&mut dice(), 900), lives(&mut dice(), 1_800).split_off(900));
    early.iter().enumerate().for_each(|(number, (time, event))| house.tell_of(number, *time, event));
    house.pass_to(house.now().plus_s(7_200));
    house.move_out();
    let (before, decided) = (house.read(), house.decided(M::SERVICE, Offset(0)).len());
    assert!(house.snapshots() > 0, "there are snapshots that the upgrade cannot read");

    // The new build starts: no time has passed, so that nothing has fallen due, and nothing is owed but what is new.
    house.move_in::<Next<M>>();
    of_every_room!(move_in_unless_upgraded(&mut house, M::SERVICE));
    house.rest();
    let end = before.end();
    assert!(house.read() == before, "{} owes nothing of what was decided before: {:?}", M::SERVICE, house.decided(M::SERVICE, end));

    let adopted = PolicyAdopted {
        room: M::SERVICE.to_owned(),
        version: "strict".to_owned(),
        document: strict(M::SERVICE).to_owned(),
        author: "ann".to_owned(),
        reason: "to be tried".to_owned(),
    };
    let now = house.now();
    house.tell(now, &Teller::person("ann", M::SERVICE).tell(now, None, adopted));
    let owed = house.decided(M::SERVICE, end);
    assert!(owed.is_empty(), "{}: the rule that was adopted judges what was before it: {owed:?}", M::SERVICE);

    let shift = house.now().since_us(BIRTH);
    let shift_s = shift / 1_000_000 + 1;
    late.iter().enumerate().for_each(|(number, (time, event))| house.tell_of(number, time.plus_s(shift_s), event));
    house.pass_to(house.now().plus_s(7_200));
    let new = house.decided(M::SERVICE, end);
    let under = |record: &wire::Record| record.body.basis().map(|basis| basis.policy.clone()).unwrap_or_default();
    let strict = new.iter().filter(|record| under(record).contains("strict")).count();
    say(&format!(
        "{}: {decided} decisions before the upgrade, none by it, {} after it, {strict} of them by the policy adopted then",
        M::SERVICE,
        new.len()
    ));
    assert!(decided > 0 && strict > 0, "{} decided before and after", M::SERVICE);
    house.move_out();
    house.read().is_just(house.now());
}

fn move_in_unless_upgraded<M: Machine>(house: &mut House, upgraded: &str) {
    if M::SERVICE != upgraded {
        house.move_in::<M>();
    }
}

/// A folder in which a Reeve has lived and ended in good order. It was started twice, so that there are older snapshots.
fn lived_through(count: usize) -> tempfile::TempDir {
    let (data, facts) = (folder(), lived(&mut dice(), count));
    for half in facts.chunks(facts.len().div_ceil(2)) {
        let up = Up::start(&mut up(data.path()));
        let publisher = Publisher::begin(half, 40, 4);
        publisher.find(Some(&up.url));
        publisher.grant_all();
        publisher.join();
        up.settle();
        up.interrupt();
        let ended = up.end();
        assert!(ended.code == Some(0) && !ended.said.contains("RV00"), "{}", ended.said);
    }
    data
}

/// Does something to the snapshots of the room of `M`.
fn spoil<M: Machine>(data: &Path, wrong: Wrong, log: &Read) {
    for partition in (0..4).map(Partition) {
        let there = snapshots::<M>(&data.join("snapshots"), partition);
        assert!(there.len() > 1, "{} has an older snapshot of {partition}: {:?}", M::SERVICE, torture::ground::files(data));
        let (position, newest) = there[0].clone();
        let rewrite = |path: &PathBuf, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = std::fs::read(path).expect("it is there");
            change(&mut bytes);
            std::fs::write(path, bytes).expect("the test's folder is writable");
        };
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
        match wrong {
            Wrong::AllGone => there.iter().for_each(|(_, path)| std::fs::remove_file(path).expect("it is there")),
            Wrong::NewestCut => rewrite(&newest, &cut),
            Wrong::NewestFlipped => rewrite(&newest, &|bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }),
            Wrong::NewestEmpty => rewrite(&newest, &|bytes| bytes.clear()),
            Wrong::NewestInTheWay => {
                std::fs::remove_file(&newest).expect("it is there");
                std::fs::create_dir(&newest).expect("the test's folder is writable");
                std::fs::write(newest.join("in-the-way"), b"").expect("the test's folder is writable");
            }
            Wrong::AllOfAnotherVersion => {
                there.iter().skip(1).for_each(|(_, path)| std::fs::remove_file(path).expect("it is there"));
                let fold: Fold<Next<M>> = folded(log, partition, position);
                std::fs::write(&newest, encode(&fold, position)).expect("the test's folder is writable");
            }
            Wrong::AllCut => there.iter().for_each(|(_, path)| rewrite(path, &cut)),
        }
    }
}
