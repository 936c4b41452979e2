//! Snapshots in an object store: the one door to `object_store`.
//!
//! The store is asynchronous, may be slow and may not answer at all; a pump must not wait for it. A thread of its own writes,
//! and a bounded channel keeps what it cannot do in time away from the room. What a restore asks is answered beside it, so
//! that no question waits for an upload, and every wait is bounded by [`Patience`].

use std::future::Future;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use tokio::runtime::{Handle, Runtime};
use tokio::time::Instant;
use wire::{Offset, Partition};

use super::{Disowned, Encode, SnapshotError, SnapshotPlace, SnapshotStore, bucket};
use crate::errors::chain;
use crate::facts::{Fact, SnapshotTold};
use crate::failpoints::{self, Failpoint};

/// Snapshots that wait to be written. More are refused: the next ones are as good.
const WAITING_MAX: usize = 2;
/// How long the end waits for what the system was asked and never answered, such as the look-up of a name.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// How long a store is waited for. A pump that restores waits for it: at most `answer` where the store is silent, which is
/// then asked nothing for as long as `left_alone`, and at most `transfer` for a snapshot that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the list of the snapshots of a partition, or for one to be removed.
    pub answer: Duration,
    /// For the bytes of one snapshot, up or down.
    pub transfer: Duration,
    /// For how long a store that did not answer, or is far away and failed, is asked nothing: all that would be asked fails at once.
    pub left_alone: Duration,
}

/// Snapshots below one prefix of an object store, such as a local folder. Dropping it writes what it has taken.
pub struct StoredSnapshots {
    jobs: Option<SyncSender<Job>>,
    runtime: Handle,
    shelf: Arc<Shelf>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    Write(SnapshotPlace, Encode),
    Flush(SyncSender<()>),
}

/// The store, and what is known of it.
struct Shelf {
    store: Arc<dyn ObjectStore>,
    /// Whether a network lies between: a failure there is the store's, not one file's.
    is_far: bool,
    patience: Patience,
    /// Until when it is asked nothing.
    silent_until: Mutex<Option<Instant>>,
    disowned: Disowned,
}

// === impl Patience ===

impl Default for Patience {
    /// A member of a group may be away from its poll for five minutes (Kafka's `max.poll.interval.ms`): this is far less.
    fn default() -> Self {
        Self { answer: Duration::from_secs(5), transfer: Duration::from_secs(60), left_alone: Duration::from_secs(30) }
    }
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
        Self::new(Arc::new(store), false, Patience::default())
    }

    /// Snapshots in a bucket of S3, or of a store that speaks as S3 does, below `prefix`. Its endpoint, region and keys are
    /// the `AWS_*` variables of the `environment`. Nothing is asked of it yet: it may be away when the process starts.
    ///
    /// # Errors
    /// [`SnapshotError::Store`] when the variables contradict each other, or the thread cannot be started.
    pub fn in_bucket(
        bucket: &str,
        prefix: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        patience: Patience,
    ) -> Result<Self, SnapshotError> {
        let store = bucket::open(bucket, prefix, environment, patience.transfer).map_err(|error| store_fails(&error))?;
        Self::new(store, true, patience)
    }

    fn new(store: Arc<dyn ObjectStore>, is_far: bool, patience: Patience) -> Result<Self, SnapshotError> {
        let mut building = tokio::runtime::Builder::new_multi_thread();
        let runtime = building.worker_threads(1).thread_name("snapshots-io").enable_all().build().map_err(|error| store_fails(&error))?;
        let shelf = Arc::new(Shelf { store, is_far, patience, silent_until: Mutex::default(), disowned: Disowned::default() });
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let (handle, written) = (runtime.handle().clone(), Arc::clone(&shelf));
        let thread = std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || work(runtime, &written, &waiting))
            .map_err(|error| store_fails(&error))?;
        Ok(Self { jobs: Some(jobs), runtime: handle, shelf, thread: Mutex::new(Some(thread)) })
    }

    /// Asks the store and waits for its answer, which is bounded by the patience.
    fn ask<T, A>(&self, question: impl FnOnce(Arc<Shelf>) -> A) -> Result<T, SnapshotError>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, SnapshotError>> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let asked = question(Arc::clone(&self.shelf));
        self.runtime.spawn(async move { answer.send(asked.await).ok() });
        answered.recv().map_err(|_| SnapshotError::Store { reason: "its thread has ended".to_owned() })?
    }

    fn jobs(&self) -> &SyncSender<Job> {
        self.jobs.as_ref().expect("it is taken only when self is dropped")
    }
}

impl SnapshotStore for StoredSnapshots {
    fn positions(&self, service: &'static str, partition: Partition) -> Result<Vec<Offset>, SnapshotError> {
        self.ask(|shelf| async move { shelf.positions(service, partition).await })
    }

    fn read(&self, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError> {
        let place = place.clone();
        self.ask(|shelf| async move { shelf.read(&place).await })
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

    fn disown(&self, place: SnapshotPlace) {
        self.shelf.disowned.note(place);
    }

    fn flush(&self) {
        let (answer, answered) = sync_channel(1);
        if self.jobs().send(Job::Flush(answer)).is_ok() {
            // An error means that the thread has ended: there is nothing left to wait for.
            answered.recv().ok();
        }
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

/// Does the jobs in order until the last sender is gone.
fn work(runtime: Runtime, shelf: &Shelf, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Write(place, encode) => match runtime.block_on(shelf.write(&place, encode)) {
                Ok(()) => tell(&place, "written", None),
                Err(error) => tell(&place, "failed", Some(&error.to_string())),
            },
            Job::Flush(answer) => drop(answer.send(())),
        }
    }
    runtime.shutdown_timeout(ENDS_WITHIN);
}

// === impl Shelf ===

impl Shelf {
    async fn positions(&self, service: &str, partition: Partition) -> Result<Vec<Offset>, SnapshotError> {
        let folder = ObjectPath::from(format!("{service}/{partition}"));
        let listed = self.store.list(Some(&folder)).try_collect::<Vec<_>>();
        let objects = self.within(self.patience.answer, listed).await?;
        let mut positions: Vec<Offset> = objects.iter().filter_map(|object| position_of(&object.location)).collect();
        positions.sort_unstable_by(|one, other| other.cmp(one));
        Ok(positions)
    }

    async fn read(&self, place: &SnapshotPlace) -> Result<Vec<u8>, SnapshotError> {
        let path = path_of(place);
        let read = async { self.store.get(&path).await?.bytes().await };
        self.within(self.patience.transfer, read).await.map(Vec::from)
    }

    /// Asks what there is before it writes: a store that is silent costs an answer's time, and neither an upload's nor the
    /// making of the bytes.
    async fn write(&self, place: &SnapshotPlace, encode: Encode) -> Result<(), SnapshotError> {
        let there = self.positions(place.service, place.partition).await?;
        let bytes = encode();
        failpoints::pass(Failpoint::SnapshotBefore);
        self.within(self.patience.transfer, self.store.put(&path_of(place), bytes.into())).await?;
        failpoints::pass(Failpoint::SnapshotAfter);
        for position in self.disowned.dropped([there, vec![place.position]].concat(), place) {
            self.remove(&SnapshotPlace { position, ..place.clone() }).await?;
        }
        Ok(())
    }

    async fn remove(&self, place: &SnapshotPlace) -> Result<(), SnapshotError> {
        let path = path_of(place);
        let removed = async {
            match self.store.delete(&path).await {
                // Another member has removed it already.
                Err(Error::NotFound { .. }) => Ok(()),
                removed => removed,
            }
        };
        self.within(self.patience.answer, removed).await
    }

    async fn within<T>(&self, bound: Duration, asked: impl Future<Output = object_store::Result<T>>) -> Result<T, SnapshotError> {
        if self.silent_until().is_some_and(|until| Instant::now() < until) {
            return Err(SnapshotError::Store { reason: "it did not answer a moment ago, and is left alone for a while".to_owned() });
        }
        match tokio::time::timeout(bound, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // Where one object is missing, or may not be had, the store is well.
                if self.is_far && matches!(error, Error::Generic { .. }) {
                    self.leave_alone();
                }
                Err(store_fails(&error))
            }
            Err(_) => {
                self.leave_alone();
                Err(SnapshotError::Store { reason: format!("it did not answer within {} ms", bound.as_millis()) })
            }
        }
    }

    fn leave_alone(&self) {
        let until = Instant::now() + self.patience.left_alone;
        *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn silent_until(&self) -> Option<Instant> {
        *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn store_fails(error: &dyn std::error::Error) -> SnapshotError {
    SnapshotError::Store { reason: chain(error) }
}
