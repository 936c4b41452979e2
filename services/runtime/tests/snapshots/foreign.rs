//! Snapshots in a bucket that is not of our making, which speaks TLS and checks every signature: where `deploy/bucket/bucket
//! run` has one.

use std::sync::Arc;

use runtime::pump::PumpOptions;
use runtime::snapshots::{Patience, SnapshotError, SnapshotPlace, SnapshotStore, StoredSnapshots, newest};
use wire::{Offset, Partition};

use super::super::desk::{Desk, World, settle};

/// The bucket and how it is reached.
struct Foreign {
    name: String,
    environment: Vec<(String, String)>,
}

#[test]
fn a_fold_goes_by_tls_to_a_foreign_bucket_and_comes_back_as_it_was() {
    let Some(bucket) = Foreign::here() else { return };
    let mut world = World::new(1);
    let mut lived = |seconds: std::ops::Range<i64>| {
        let options = PumpOptions { snapshots: Some(Arc::new(bucket.store("lived", &[]))), ..PumpOptions::default() };
        let mut pump = world.pump_with(options);
        settle(&mut pump);
        seconds.for_each(|second| world.harm(second, 0));
        settle(&mut pump);
        pump.drain().expect("calm weather");
        (pump.state(Partition(0)).expect("held").clone(), pump.status().partitions[0].position)
    };
    let last = (0..5).map(|life| lived(10 * life..10 * life + 10)).last().expect("five lives");
    let store = bucket.store("lived", &[]);
    let extent = runtime::log::Log::consumer(&*world.log, "others", "reader").and_then(|mut reader| reader.extent(Partition(0)));
    let restored = newest::<Desk>(&store, &*world.log, Partition(0), extent.expect("the log is there")).expect("it is believed");
    assert_eq!((restored.fold, restored.position), last);
    assert_eq!(store.positions("desk", Partition(0)).expect("it answers").len(), 3, "the newest are kept, the others removed");
    assert_eq!(bucket.store("elsewhere", &[]).positions("desk", Partition(0)).expect("it answers"), []);
}

#[test]
fn a_secret_that_is_another_one_is_refused_and_nothing_is_left() {
    let Some(bucket) = Foreign::here() else { return };
    let forger = || bucket.store("forged", &[("AWS_SECRET_ACCESS_KEY", "another")]);
    let writer = forger();
    assert!(writer.put(desk_at(100), Box::new(|| vec![0; 64])));
    writer.flush();
    let Err(SnapshotError::Store { reason }) = forger().positions("desk", Partition(0)) else { panic!("its signature is checked") };
    assert!(reason.contains("403") && !reason.contains("another"), "{reason}");
    assert_eq!(bucket.store("forged", &[]).positions("desk", Partition(0)).expect("it answers"), []);
}

#[test]
fn a_bucket_whose_certificate_names_somebody_else_is_told_nothing() {
    let Some(bucket) = Foreign::here() else { return };
    let endpoint = bucket.told("AWS_ENDPOINT_URL").replace("localhost", "127.0.0.1");
    let misled = bucket.store("misled", &[("AWS_ENDPOINT_URL", &endpoint)]);
    let Err(SnapshotError::Store { reason }) = misled.positions("desk", Partition(0)) else { panic!("it is not who it says") };
    assert!(reason.contains("certificate verify failed"), "{reason}");
}

fn desk_at(position: i64) -> SnapshotPlace {
    SnapshotPlace { service: "desk", partition: Partition(0), position: Offset(position) }
}

// === impl Foreign ===

impl Foreign {
    /// `None` where there is none, which is said.
    #[expect(clippy::disallowed_methods, reason = "a test is told where its bucket is")]
    fn here() -> Option<Self> {
        let Ok(name) = std::env::var("REEVE_BUCKET") else {
            eprintln!("passed over: REEVE_BUCKET names no bucket (`deploy/bucket/bucket run` has one)");
            return None;
        };
        let variables = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
        Some(Self { name, environment: variables.collect() })
    }

    fn told(&self, variable: &str) -> &str {
        self.environment.iter().find(|(name, _)| name == variable).map_or("", |(_, value)| value)
    }

    /// A store below a prefix, by these variables instead of its own.
    fn store(&self, prefix: &str, instead: &[(&str, &str)]) -> StoredSnapshots {
        let own = self.environment.iter().filter(|(name, _)| instead.iter().all(|(other, _)| other != name)).cloned();
        let instead = instead.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        StoredSnapshots::in_bucket(&self.name, prefix, own.chain(instead), Patience::default()).expect("its address is in order")
    }
}
