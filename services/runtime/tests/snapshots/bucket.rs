//! Snapshots in a bucket that several members share.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Arc, Once};
use std::time::Duration;

use kit::upgrade::Next;
use machine::Fold;
use runtime::log::{Extent, Log};
use runtime::pump::{Pump, PumpOptions};
use runtime::snapshots::{Patience, SnapshotError, SnapshotPlace, SnapshotStore, StoredSnapshots, newest};
use wire::{Offset, Partition};

use super::super::assert_once;
use super::super::desk::{Desk, World, settle};
use super::s3::{Bucket, Weather};

/// So short that a silent bucket does not make the tests long; and whoever was silent is left alone for the whole test.
const SHORT: Patience = Patience { answer: Duration::from_secs(2), transfer: Duration::from_secs(2), left_alone: Duration::from_secs(600) };

#[test]
fn a_fold_goes_to_a_bucket_and_comes_back_as_it_was() {
    let bucket = Bucket::open();
    let mut world = World::new(1);
    let (state, position) = lived(&mut world, &bucket, 0);
    assert_eq!(bucket.names(), [format!("rooms/desk/0/{:020}.snapshot", position.0)]);
    let elsewhere = store(&bucket, Patience::default());
    let restored = newest::<Desk>(&elsewhere, &*world.log, Partition(0), extent(&world)).expect("it is believed");
    assert_eq!((restored.fold, restored.position), (state, position));
    for second in 30..40 {
        lived(&mut world, &bucket, second);
    }
    assert_eq!(elsewhere.positions("desk", Partition(0)).expect("calm weather").len(), 3, "the newest are kept");
    assert_eq!(bucket.names().len(), 3);
}

#[test]
fn two_versions_of_a_room_share_a_bucket_and_neither_reads_the_others() {
    let bucket = Bucket::open();
    let mut world = World::new(1);
    lived(&mut world, &bucket, 0);
    let own = store(&bucket, Patience::default());
    assert!(newest::<Next<Desk>>(&own, &*world.log, Partition(0), extent(&world)).is_none(), "it is of the first version");
    let mut pump = Pump::<Next<Desk>>::new(world.log.clone(), options(Arc::new(own), 0));
    world.harm(30, 0);
    while !pump.step().expect("calm weather").restored {}
    pump.drain().expect("calm weather");
    let store = store(&bucket, Patience::default());
    let positions = store.positions("desk", Partition(0)).expect("calm weather");
    assert_eq!(positions.len(), 2, "one of each");
    let read_by_the_next = newest::<Next<Desk>>(&store, &*world.log, Partition(0), extent(&world)).expect("its own");
    let read_by_the_first = newest::<Desk>(&store, &*world.log, Partition(0), extent(&world)).expect("its own");
    assert_eq!([read_by_the_next.position, read_by_the_first.position], [positions[0], positions[1]]);
}

#[test]
fn a_bucket_that_fails_or_is_silent_is_told_by_its_code_and_costs_only_the_folding() {
    // One that says that it fails is asked again, twice. Then each is left alone, for all eight partitions.
    for (weather, asked) in [(Weather::Silent, 1), (Weather::Failing, 3), (Weather::Missing, 1)] {
        let bucket = Bucket::open();
        let mut world = World::new(8);
        (0..8).for_each(|partition| world.harm(1, partition));
        let mut pump = world.pump_with(options(Arc::new(store(&bucket, Patience::default())), 0));
        settle(&mut pump);
        pump.drain().expect("calm weather");
        let states = states_of(&pump);
        drop(pump);
        assert_eq!(bucket.names().len(), 8);

        bucket.turn(weather);
        bucket.asked();
        let mut pump = world.pump_with(options(Arc::new(store(&bucket, SHORT)), 0));
        let told = told(|| {
            settle(&mut pump);
        });
        assert_eq!(told.matches("RV0004").count(), 8, "{weather:?}: {told}");
        assert_eq!(bucket.asked(), asked, "{weather:?}");
        assert_eq!(states_of(&pump), states, "{weather:?}");
        assert_once(&world, 8, "whatever the weather");
        pump.drain().expect("the log is well");
    }
}

#[test]
fn a_question_does_not_wait_for_an_upload_that_hangs() {
    let bucket = Bucket::open();
    let mut world = World::new(1);
    lived(&mut world, &bucket, 0);
    let store = store(&bucket, Patience { transfer: Duration::from_secs(600), ..Patience::default() });
    bucket.turn(Weather::SilentWhenWritten);
    bucket.asked();
    assert!(store.put(place(Offset(7_000)), Box::new(|| vec![0; 64])));
    // The upload is under way, and has not ended when the question was answered.
    while bucket.asked() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(store.positions("desk", Partition(0)).expect("it is answered").len(), 1);
    // Its thread waits for the upload that never ends: it is left to the end of the program.
    std::mem::forget(store);
}

#[test]
fn a_silent_bucket_fails_what_is_put_without_making_its_bytes() {
    let bucket = Bucket::open();
    bucket.turn(Weather::Silent);
    let store = store(&bucket, SHORT);
    let place = SnapshotPlace { service: "nowhere", ..place(Offset(1)) };
    assert!(store.put(place, Box::new(|| panic!("they are made for nobody"))));
    store.flush();
    let failed = "reeve_snapshots_total{outcome=\"failed\",room=\"nowhere\"} 1";
    assert!(runtime::metrics::text().contains(failed), "it is told");
    let Err(SnapshotError::Store { reason }) = store.positions("desk", Partition(0)) else { panic!("it is silent") };
    assert!(reason.contains("left alone"), "{reason}");
}

#[test]
fn who_takes_a_partition_over_begins_where_its_last_owner_stood_when_it_was_taken_away() {
    let bucket = Bucket::open();
    let mut world = World::new(2);
    let kept = Arc::new(store(&bucket, Patience::default()));
    let mut first = world.pump_with(options(kept.clone(), 0));
    settle(&mut first);
    (0..40).for_each(|second| world.harm(second, (second % 2) as u32));
    settle(&mut first);
    assert!(bucket.names().is_empty(), "none is due");

    let taken = Arc::new(store(&bucket, Patience::default()));
    let mut second = world.pump_with(options(taken, 1));
    second.step().expect("calm weather");
    while first.status().partitions.len() == 2 {
        first.step().expect("calm weather");
    }
    // A revocation waits for no upload; whether it has ended is the store's to know.
    kept.flush();
    assert!(!bucket.names().is_empty(), "whoever gave it up left its state");
    let mut folded = 0;
    loop {
        let step = second.step().expect("calm weather");
        folded += step.folded;
        if step.restored && step.idle && !second.status().partitions.is_empty() {
            break;
        }
        first.step().expect("calm weather");
    }
    assert_eq!(folded, 0, "the snapshot stands at the end");
    assert_once(&world, 40, "two owners, one after the other");
}

#[test]
fn a_former_owner_that_writes_late_leaves_what_the_new_owner_wrote() {
    let bucket = Bucket::open();
    let (former, new) = (store(&bucket, Patience::default()), store(&bucket, Patience::default()));
    let put = |store: &StoredSnapshots, position: i64| {
        store.put_last(place(Offset(position)), Box::new(|| vec![0; 64]));
        store.flush();
        new.positions("desk", Partition(0)).expect("calm weather").iter().map(|position| position.0).collect::<Vec<_>>()
    };
    for position in [100, 200, 300] {
        put(&new, position);
    }
    assert_eq!(put(&former, 50), [300, 200, 100, 50]);
    assert_eq!(put(&former, 60), [300, 200, 100, 60, 50]);
    assert_eq!(put(&new, 400), [400, 300, 200], "the owner removes what is older than its own");
    // What it has found to be of another log itself it removes, but not before it has one of this log.
    new.disown(place(Offset(400)));
    new.disown(place(Offset(200)));
    assert_eq!(bucket.names().len(), 3);
    assert_eq!(put(&new, 350), [350, 300]);
    // One that was written there since is another one.
    new.disown(place(Offset(350)));
    assert_eq!(put(&new, 350), [350, 300]);
}

fn place(position: Offset) -> SnapshotPlace {
    SnapshotPlace { service: "desk", partition: Partition(0), position }
}

fn store(bucket: &Bucket, patience: Patience) -> StoredSnapshots {
    StoredSnapshots::in_bucket(bucket.name(), "rooms", bucket.environment(), patience).expect("its address is in order")
}

fn options(store: Arc<StoredSnapshots>, ordinal: u32) -> PumpOptions {
    PumpOptions { ordinal, snapshots: Some(store), ..PumpOptions::default() }
}

/// Lets a room live through ten harms from second `at_s` on, and end in good order; its state and place.
fn lived(world: &mut World, bucket: &Bucket, at_s: i64) -> (Fold<Desk>, Offset) {
    let mut pump = world.pump_with(options(Arc::new(store(bucket, Patience::default())), 0));
    settle(&mut pump);
    (0..10).for_each(|second| world.harm(at_s + second, 0));
    settle(&mut pump);
    pump.drain().expect("calm weather");
    (pump.state(Partition(0)).expect("held").clone(), pump.status().partitions[0].position)
}

fn states_of(pump: &Pump<Desk>) -> Vec<Fold<Desk>> {
    (0..8).map(|partition| pump.state(Partition(partition)).expect("held").clone()).collect()
}

fn extent(world: &World) -> Extent {
    world.log.consumer("others", "reader").and_then(|mut reader| reader.extent(Partition(0))).expect("the log is there")
}

thread_local! {
    /// Lines that this thread wrote.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What this thread writes into its log while it does something. Every thread has a log of its own, under one subscriber: one
/// for the time being would not hear of what another thread was the first to say.
fn told(does: impl FnOnce()) -> String {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| Lines).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).expect("nobody else of this program sets one");
    });
    LINES.take();
    does();
    String::from_utf8(LINES.take()).expect("UTF-8")
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
