//! What a pump does with snapshots: which it believes, and that it leaves one of everything it folded.

mod bucket;
mod foreign;
mod s3;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use machine::Fold;
use runtime::pump::PumpOptions;
use runtime::snapshots::{Encode, MemorySnapshots, SnapshotError, SnapshotPlace, SnapshotStore, StoredSnapshots, encode};
use wire::{Offset, Partition};

use super::assert_once;
use super::desk::{Desk, World, settle};

#[test]
fn a_restart_folds_the_tail_behind_the_newest_readable_snapshot() {
    let store = Arc::new(MemorySnapshots::default());
    let options = || PumpOptions { snapshots: Some(store.clone()), snapshot_every_records: 10, ..PumpOptions::default() };
    let mut world = World::new(1);
    let mut first = world.pump_with(options());
    settle(&mut first);
    for second in 0..60 {
        world.harm(second, 0);
        settle(&mut first);
    }
    first.drain().expect("calm weather");
    let state = first.state(Partition(0)).expect("held").clone();
    drop(first);
    assert_eq!(store.len(), 3, "the newest are kept");

    let folded = |world: &World| {
        let mut pump = world.pump_with(options());
        let mut folded = 0;
        loop {
            let step = pump.step().expect("calm weather");
            folded += step.folded;
            if step.restored && step.idle {
                assert_eq!(pump.state(Partition(0)), Some(&state));
                return folded;
            }
        }
    };
    assert_eq!(folded(&world), 0, "the last snapshot stands at the end");
    let newest = store.positions("desk", Partition(0)).expect("memory")[0];
    store.damage(|place, bytes| {
        if place.position == newest {
            bytes.truncate(bytes.len() - 1)
        }
    });
    let tail = folded(&world);
    assert!((1..60).contains(&tail), "an older snapshot stands: {tail}");
    store.damage(|_, bytes| bytes[0] ^= 1);
    assert!(folded(&world) > 100, "without any, the log is folded from its start");
    assert_once(&world, 60, "and nothing is decided again");
}

#[test]
fn a_snapshot_that_knows_more_than_the_log_is_not_believed() {
    let store = Arc::new(MemorySnapshots::default());
    let position = Offset(1_000);
    let place = SnapshotPlace { service: "desk", partition: Partition(0), position };
    assert!(store.put(place, Box::new(move || encode(&Fold::<Desk>::new(Partition(0)), position))));
    let mut world = World::new(1);
    let mut pump = world.pump_with(PumpOptions { snapshots: Some(store), ..PumpOptions::default() });
    settle(&mut pump);
    world.harm(1, 0);
    settle(&mut pump);
    assert_once(&world, 1, "it began at the start");
}

#[test]
fn a_snapshot_of_another_log_is_not_believed_when_this_one_has_grown_past_it() {
    let store = Arc::new(MemorySnapshots::default());
    let options = || PumpOptions { snapshots: Some(store.clone()), ..PumpOptions::default() };
    let mut other = World::new(1);
    let mut pump = other.pump_with(options());
    settle(&mut pump);
    (0..30).for_each(|second| other.harm(second, 0));
    settle(&mut pump);
    pump.drain().expect("calm weather");
    assert_eq!(store.len(), 1);

    let mut world = World::new(1);
    let mut pump = world.pump();
    (0..60).for_each(|second| world.harm(1_000 + second, 0));
    settle(&mut pump);
    let state = pump.state(Partition(0)).expect("held").clone();
    drop(pump);
    let mut pump = world.pump_with(options());
    settle(&mut pump);
    assert_eq!(pump.state(Partition(0)), Some(&state));
    assert_once(&world, 60, "it began at the start of this log");
}

#[test]
fn snapshots_of_another_log_do_not_crowd_out_those_of_this_one() {
    let store = Arc::new(MemorySnapshots::default());
    for nth in 1..=5 {
        let position = Offset(1_000 * nth);
        let place = SnapshotPlace { service: "desk", partition: Partition(0), position };
        assert!(store.put(place, Box::new(move || encode(&Fold::<Desk>::new(Partition(0)), position))));
    }
    let mut world = World::new(1);
    let mut pump = world.pump_with(PumpOptions { snapshots: Some(store.clone()), ..PumpOptions::default() });
    settle(&mut pump);
    world.harm(1, 0);
    settle(&mut pump);
    pump.drain().expect("calm weather");
    let position = pump.status().partitions[0].position;
    assert_eq!(store.positions("desk", Partition(0)).expect("memory"), [position]);
}

#[test]
fn a_drain_hands_over_every_partition_however_few_snapshots_the_store_takes_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(StoredSnapshots::in_folder(folder.path()).expect("it may be written"));
    let mut world = World::new(8);
    let mut pump = world.pump_with(PumpOptions { snapshots: Some(store.clone()), ..PumpOptions::default() });
    settle(&mut pump);
    (0..8).for_each(|partition| world.harm(1, partition));
    settle(&mut pump);
    pump.drain().expect("calm weather");
    let kept = (0..8).filter(|partition| !store.positions("desk", Partition(*partition)).expect("readable").is_empty());
    assert_eq!(kept.count(), 8);
}

#[test]
fn a_drain_hands_over_its_state_also_where_others_keep_the_store_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(StoredSnapshots::in_folder(folder.path()).expect("it may be written"));
    let mut world = World::new(4);
    let mut pump = world.pump_with(PumpOptions { snapshots: Some(store.clone()), ..PumpOptions::default() });
    settle(&mut pump);
    (0..4).for_each(|partition| world.harm(1, partition));
    settle(&mut pump);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for position in (0..).map(Offset).take_while(|_| !over.load(Ordering::SeqCst)) {
                store.put(SnapshotPlace { service: "neighbour", partition: Partition(0), position }, Box::new(|| vec![0; 1 << 16]));
            }
        });
        pump.drain().expect("calm weather");
        over.store(true, Ordering::SeqCst);
    });
    let kept = (0..4).filter(|partition| !store.positions("desk", Partition(*partition)).expect("readable").is_empty());
    assert_eq!(kept.count(), 4);
}

/// A store that always has too much to do, but for whoever waits.
#[derive(Default)]
struct Crowded(MemorySnapshots);

impl SnapshotStore for Crowded {
    fn positions(&self, service: &'static str, partition: Partition) -> Result<Vec<Offset>, SnapshotError> {
        self.0.positions(service, partition)
    }

    fn read(&self, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError> {
        self.0.read(place)
    }

    fn put(&self, _: SnapshotPlace, _: Encode) -> bool {
        false
    }

    fn put_last(&self, place: SnapshotPlace, encode: Encode) {
        self.0.put(place, encode);
    }

    fn disown(&self, place: SnapshotPlace) {
        self.0.disown(place);
    }
}

#[test]
fn a_snapshot_that_was_turned_away_is_taken_at_the_latest_by_the_drain() {
    let store = Arc::new(Crowded::default());
    let mut world = World::new(1);
    let options = PumpOptions { snapshots: Some(store.clone()), snapshot_every_records: 1, ..PumpOptions::default() };
    let mut pump = world.pump_with(options);
    world.harm(1, 0);
    settle(&mut pump);
    assert!(store.0.is_empty(), "the store had too much to do when it was due");
    pump.drain().expect("calm weather");
    assert_eq!(store.0.len(), 1);
}
