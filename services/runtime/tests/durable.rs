//! The pump on the embedded log: what a crash leaves is restored, and nothing is lost or repeated by it.

mod desk;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use desk::{Desk, SILENCE_S, decisions, fact, harm, settle};
use machine::Fold;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions, OwnedClock};
use runtime::log::{Addressed, Log};
use runtime::pump::{Pump, PumpOptions};
use runtime::snapshots::StoredSnapshots;
use tempfile::TempDir;
use wire::{Body, Kind, Partition, SessionStarted, Timestamp};

const LIVES: u64 = 6;

#[test]
fn a_room_that_crashes_again_and_again_decides_everything_once() {
    let clock = OwnedClock::starting_at(Timestamp(0).plus_s(1));
    let snapshots = TempDir::new().expect("a folder");
    let mut folder = TempDir::new().expect("a folder");
    let mut ends: Vec<Fold<Desk>> = Vec::new();
    for life in 0..LIVES {
        let log = open(folder.path(), &clock);
        let mut pump = pump(&log, snapshots.path());
        // What the life before left owed is decided by this one.
        settle(&mut pump);
        ends.iter().for_each(|fold| assert!(pump.state(Partition(0)).is_some_and(|state| state.asof() >= fold.asof())));
        say(&*log, 3 * life, "none", harm("tests"));
        let started = SessionStarted { version: None, segment: None, channel: None, environment: None };
        say(&*log, 3 * life + 1, &format!("silent-{life}"), started.into());
        settle(&mut pump);
        clock.set(clock.now().plus_s(SILENCE_S));
        settle(&mut pump);
        if life % 2 == 0 {
            pump.drain().expect("it is in order");
        }
        say(&*log, 3 * life + 2, "none", harm("tests"));
        // Cut at another place of the round each time: told, folded, decided, decided and folded.
        for _ in 0..life {
            pump.step().expect("the disk is in order");
        }
        ends.extend(pump.state(Partition(0)).cloned());
        folder = what_a_crash_leaves(folder.path());
    }
    let log = open(folder.path(), &clock);
    let restored = machine_of(pump(&log, snapshots.path()));
    let incidents: Vec<_> = decisions(&*log).into_iter().filter(|record| record.body.kind() == Kind::IncidentOpened).collect();
    let ids: BTreeSet<_> = incidents.iter().map(|record| record.id.clone()).collect();
    assert_eq!((incidents.len() as u64, ids.len() as u64), (3 * LIVES, 3 * LIVES), "two harms and a silence in each life, each once");
    assert_eq!(restored, machine_of(Pump::new(log.clone(), PumpOptions::default())), "snapshot and log agree");
}

/// What the room thinks in the end.
fn machine_of(mut pump: Pump<Desk>) -> Desk {
    settle(&mut pump);
    pump.state(Partition(0)).expect("it is alone, so the partition is its own").machine().clone()
}

fn open(folder: &Path, clock: &Arc<OwnedClock>) -> Arc<EmbeddedLog> {
    let options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions: 1, clock: Clock::Owned(Arc::clone(clock)) };
    EmbeddedLog::open(folder, options).expect("what was left can be opened")
}

fn pump(log: &Arc<EmbeddedLog>, snapshots: &Path) -> Pump<Desk> {
    let store = StoredSnapshots::in_folder(snapshots).expect("it may be written");
    let options = PumpOptions { snapshots: Some(Arc::new(store)), ..PumpOptions::default() };
    Pump::new(log.clone(), options)
}

fn say(log: &dyn Log, nth: u64, session: &str, body: Body) {
    let record = fact(nth, 0, session, body).to_raw();
    log.append(vec![Addressed { partition: Partition(0), record }]).expect("a new fact is appended");
}

/// The file as it is, copied while it is open and in use.
fn what_a_crash_leaves(folder: &Path) -> TempDir {
    let copy = TempDir::new().expect("a folder");
    std::fs::copy(folder.join("log.redb"), copy.path().join("log.redb")).expect("the file is copied");
    copy
}
