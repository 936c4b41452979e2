//! A room as a thread: it answers, it tells how it stands, it drains, and its panic is heard.

mod desk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use desk::{Desk, World, agent};
use runtime::admin::{Admin, router};
use runtime::room::{AskError, RoomState};
use runtime::snapshots::{SnapshotStore, StoredSnapshots};
use runtime::{Code, RoomHandle, RoomOptions, Shutdown, spawn};
use tower::ServiceExt;
use wire::Partition;

/// Far longer than anything here takes: whoever waits longer has found a fault.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_room_answers_while_it_works_and_drains_when_asked() {
    let mut world = World::new(2);
    let shutdown = Shutdown::new();
    let room = spawn::<Desk>(world.log.clone(), RoomOptions::default(), shutdown.clone());
    eventually("ready", || room.ready());
    world.started(1, 0, "s");
    world.harm(2, 1);
    eventually("an incident", || world.incidents().len() == 1);
    let mut agents = [agent(Partition(0), 2), agent(Partition(1), 2)];
    agents.sort();
    assert_eq!(room.agents().await.expect("it runs"), agents);
    shutdown.request();
    assert_eq!(room.join(), Ok(()));
    assert_eq!(room.status().state, RoomState::Drained);
    assert_eq!(room.agents().await, Err(AskError::Ended));
}

#[tokio::test]
async fn a_standing_is_told_by_whoever_drives_the_agents_partition() {
    let mut world = World::new(1);
    let shutdown = Shutdown::new();
    let room = spawn::<Desk>(world.log.clone(), RoomOptions::default(), shutdown.clone());
    eventually("ready", || room.ready());
    world.started(1, 0, "s");
    eventually("folded", || room.status().pump.partitions.iter().any(|partition| partition.position.0 > 0));
    let standing = room.standing(&"agent-0".into()).await.expect("it runs");
    assert_eq!(standing[0].n, Some(1));
    shutdown.request();
    assert_eq!(room.join(), Ok(()));
}

#[tokio::test]
async fn who_asks_about_many_agents_does_not_wait_for_each_of_them() {
    let world = World::new(1);
    let shutdown = Shutdown::new();
    let room = spawn::<Desk>(world.log.clone(), RoomOptions::default(), shutdown.clone());
    eventually("ready", || room.ready());
    let begun = started();
    for _ in 0..100 {
        room.standing(&"agent-0".into()).await.expect("it runs");
    }
    // An idle room looks up ten times a second: each would have waited for the next look.
    assert!(begun.elapsed() < Duration::from_secs(4), "100 answers took {:?}", begun.elapsed());
    shutdown.request();
    assert_eq!(room.join(), Ok(()));
}

#[tokio::test]
async fn a_panic_makes_the_process_unready_and_names_its_page() {
    let mut world = World::new(1);
    let shutdown = Shutdown::new();
    let room = spawn::<Desk>(world.log.clone(), RoomOptions::default(), shutdown);
    eventually("ready", || room.ready());
    let admin = router(Admin::new(vec![room.clone()]));
    assert_eq!(get(&admin, "/readyz").await.0, StatusCode::OK);

    world.harm_of(1, 0, "panic");
    eventually("its end", || room.ended());
    let error = room.join().expect_err("it panicked");
    assert_eq!(error.code, Code::RoomPanicked);
    assert!(error.reason.contains("the desk was told to panic"), "{error}");
    let (status, text) = get(&admin, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("\"failed\":\"RV0007\"") && text.contains("told to panic"), "{text}");
    assert_eq!(get(&admin, "/livez").await.0, StatusCode::OK);
    let metrics = get(&admin, "/metrics").await.1;
    assert!(metrics.contains("reeve_room_panics_total{room=\"desk\"}"), "{metrics}");
    assert!(get(&admin, "/version").await.1.contains("\"version\":"));
}

#[test]
fn snapshots_in_a_folder_outlive_the_process_and_only_the_newest_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(1);
    for round in 0..5 {
        let store = Arc::new(StoredSnapshots::in_folder(folder.path()).expect("it may be written"));
        let options = RoomOptions { snapshots: Some(store.clone()), ..RoomOptions::default() };
        let shutdown = Shutdown::new();
        let room = spawn::<Desk>(world.log.clone(), options, shutdown.clone());
        eventually("ready", || room.ready());
        world.harm(round, 0);
        eventually("an incident", || world.incidents().len() as i64 == round + 1);
        eventually("its echo", || room.status().pump.partitions.iter().all(|partition| partition.lag == 0 && partition.in_flight == 0));
        shutdown.request();
        assert_eq!(room.join(), Ok(()));
        let kept = store.positions("desk", Partition(0)).expect("it can be read");
        assert_eq!(kept.len() as i64, (round + 1).min(3), "{kept:?}");
        assert!(kept.is_sorted_by(|newer, older| newer > older), "{kept:?}");
    }
    let restored = restore_progress(&world, folder.path());
    assert!(restored.ready());
}

/// A room that begins at the newest snapshot of the folder.
fn restore_progress(world: &World, folder: &std::path::Path) -> RoomHandle {
    let store = Arc::new(StoredSnapshots::in_folder(folder).expect("it may be written"));
    let newest = store.positions("desk", Partition(0)).expect("it can be read")[0];
    let shutdown = Shutdown::new();
    let room = spawn::<Desk>(world.log.clone(), RoomOptions { snapshots: Some(store), ..RoomOptions::default() }, shutdown);
    eventually("ready", || room.ready());
    assert!(room.status().pump.partitions[0].position >= newest);
    room
}

async fn get(admin: &axum::Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).expect("a path");
    let response = admin.clone().oneshot(request).await.expect("a router answers");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("it is short");
    (status, String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

/// When a test began to wait.
#[expect(clippy::disallowed_methods, reason = "a test of threads measures how long it waits for them")]
fn started() -> Instant {
    Instant::now()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = started();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
