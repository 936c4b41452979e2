//! Snapshots in an object store: the one door to `object_store`.
//!
//! The store is asynchronous and may be slow; a pump is neither. A thread of its own does the waiting, and a bounded
//! channel keeps what it cannot do in time away from the room.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use wire::{Offset, Partition};

use super::{Encode, SnapshotError, SnapshotPlace, SnapshotStore, dropped};
use crate::facts::{Fact, SnapshotTold};
use crate::failpoints::{self, Failpoint};

/// Snapshots that wait to be written. More are refused: the next ones are as good.
const WAITING_MAX: usize = 2;

/// Snapshots below one prefix of an object store, such as a local folder. Dropping it writes what it has taken.
pub struct StoredSnapshots {
    jobs: Option<SyncSender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    Positions(&'static str, Partition, SyncSender<Result<Vec<Offset>, SnapshotError>>),
    Read(SnapshotPlace, SyncSender<Result<Vec<u8>, SnapshotError>>),
    Write(SnapshotPlace, Encode),
    Flush(SyncSender<()>),
}

// === impl StoredSnapshots ===

impl StoredSnapshots {
    /// Snapshots in a local folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`SnapshotError::Store`] when the folder cannot be had.
    pub fn in_folder(folder: &Path) -> Result<Self, SnapshotError> {
        std::fs::create_dir_all(folder).map_err(|error| store_fails(&error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| store_fails(&error))?;
        Self::new(Arc::new(store))
    }

    /// Snapshots in any object store.
    ///
    /// # Errors
    /// [`SnapshotError::Store`] when its thread cannot be started.
    pub fn new(store: Arc<dyn ObjectStore>) -> Result<Self, SnapshotError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| store_fails(&error))?;
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || work(&runtime, &*store, &waiting))
            .map_err(|error| store_fails(&error))?;
        Ok(Self { jobs: Some(jobs), thread: Mutex::new(Some(thread)) })
    }

    /// Asks the thread and waits for its answer.
    fn ask<T>(&self, job: impl FnOnce(SyncSender<T>) -> Job) -> Result<T, SnapshotError> {
        let gone = || SnapshotError::Store { reason: "its thread has ended".to_owned() };
        let (answer, answered) = sync_channel(1);
        self.jobs().send(job(answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())
    }

    fn jobs(&self) -> &SyncSender<Job> {
        self.jobs.as_ref().expect("it is taken only when self is dropped")
    }
}

impl SnapshotStore for StoredSnapshots {
    fn positions(&self, service: &'static str, partition: Partition) -> Result<Vec<Offset>, SnapshotError> {
        self.ask(|answer| Job::Positions(service, partition, answer))?
    }

    fn read(&self, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError> {
        self.ask(|answer| Job::Read(place.clone(), answer))?
    }

    fn put(&self, place: SnapshotPlace, encode: Encode) -> bool {
        let told = place.clone();
        let taken = self.jobs().try_send(Job::Write(place, encode)).is_ok();
        if !taken {
            tell(&told, "busy", None);
        }
        taken
    }

    fn put_last(&self, place: SnapshotPlace, encode: Encode) {
        let told = place.clone();
        if self.jobs().send(Job::Write(place, encode)).is_err() {
            tell(&told, "failed", Some("its thread has ended"));
        }
    }

    fn flush(&self) {
        // An error means that the thread has ended: there is nothing left to wait for.
        self.ask(Job::Flush).ok();
    }
}

impl Drop for StoredSnapshots {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread.join().ok();
        }
    }
}

/// Does the jobs in order until the last sender is gone. Whoever no longer waits for an answer gets none.
fn work(runtime: &tokio::runtime::Runtime, store: &dyn ObjectStore, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Positions(service, partition, answer) => drop(answer.send(runtime.block_on(positions(store, service, partition)))),
            Job::Read(place, answer) => drop(answer.send(runtime.block_on(read(store, &place)))),
            Job::Write(place, encode) => match runtime.block_on(write(store, &place, encode())) {
                Ok(()) => tell(&place, "written", None),
                Err(error) => tell(&place, "failed", Some(&error.to_string())),
            },
            Job::Flush(answer) => drop(answer.send(())),
        }
    }
}

async fn positions(store: &dyn ObjectStore, service: &str, partition: Partition) -> Result<Vec<Offset>, SnapshotError> {
    let folder = ObjectPath::from(format!("{service}/{partition}"));
    let objects: Vec<_> = store.list(Some(&folder)).try_collect().await.map_err(|error| store_fails(&error))?;
    let mut positions: Vec<Offset> = objects.iter().filter_map(|object| position_of(&object.location)).collect();
    positions.sort_unstable_by(|one, other| other.cmp(one));
    Ok(positions)
}

async fn read(store: &dyn ObjectStore, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError> {
    let object = store.get(&path_of(place)).await.map_err(|error| store_fails(&error))?;
    object.bytes().await.map(Vec::from).map_err(|error| store_fails(&error))
}

async fn write(store: &dyn ObjectStore, place: &SnapshotPlace, bytes: Vec<u8>) -> Result<(), SnapshotError> {
    failpoints::pass(Failpoint::SnapshotBefore);
    store.put(&path_of(place), bytes.into()).await.map_err(|error| store_fails(&error))?;
    failpoints::pass(Failpoint::SnapshotAfter);
    for position in dropped(positions(store, place.service, place.partition).await?, place.position) {
        let old = SnapshotPlace { position, ..place.clone() };
        store.delete(&path_of(&old)).await.map_err(|error| store_fails(&error))?;
    }
    Ok(())
}

fn path_of(place: &SnapshotPlace) -> ObjectPath {
    ObjectPath::from(format!("{}/{}/{:020}.snapshot", place.service, place.partition, place.position.0))
}

fn position_of(path: &ObjectPath) -> Option<Offset> {
    path.filename()?.strip_suffix(".snapshot")?.parse().ok().map(Offset)
}

fn tell(place: &SnapshotPlace, outcome: &'static str, reason: Option<&str>) {
    SnapshotTold { room: place.service, partition: place.partition, position: place.position, outcome, reason }.emit();
}

fn store_fails(error: &dyn std::fmt::Display) -> SnapshotError {
    SnapshotError::Store { reason: error.to_string() }
}
