//! A whole house on the embedded log, as `reeve up` runs it but for the gateway: every room on a thread of its own, the
//! archive beside them, snapshots and all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::Shutdown;
use runtime::beside::Beside;
use runtime::config::{Config, Layers, LogConfig};
use runtime::decide::{open_log, room_options};
use runtime::log::{Addressed, Log};
use runtime::room::{RoomHandle, spawn};
use tempfile::TempDir;
use wire::{Event, Kind, Partition};

use crate::Failure;
use crate::watch::Watch;

/// Events of one append: as many as a batch may have at the door.
const BATCH_EVENTS: usize = wire::limits::BATCH_EVENTS_MAX;
/// How often somebody looks whether the rooms have come to the end.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Longer than any round takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A house that runs.
pub(crate) struct House {
    /// Its log.
    pub(crate) log: Arc<dyn Log>,
    rooms: Vec<RoomHandle>,
    archive: Beside,
    end: Shutdown,
    /// Records that each room of this process had passed before this house was opened.
    passed_before: Vec<f64>,
    facts_before: Vec<f64>,
    _folder: TempDir,
}

// === impl House ===

impl House {
    /// Opens a house on an empty log, and waits until every room is ready.
    pub(crate) fn open() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        Self::of(config(folder.path())?, folder)
    }

    /// Opens a house on another log, which nobody has read yet, and waits until every room is ready.
    pub(crate) fn on(log: LogConfig) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        Self::of(Config { log, ..config(folder.path())? }, folder)
    }

    fn of(config: Config, folder: TempDir) -> Result<Self, Failure> {
        let log = open_log(&config.log)?;
        let (options, end) = (room_options(&config)?, Shutdown::new());
        let archive = audit::archive::begin(Arc::clone(&log), &config, &end)?;
        let [passed_before, facts_before] = [|_: &str| true, is_fact].map(passed);
        let one =
            |room: fn(Arc<dyn Log>, runtime::RoomOptions, Shutdown) -> RoomHandle| room(Arc::clone(&log), options.clone(), end.clone());
        let rooms = vec![
            one(spawn::<incident::Incident>),
            one(spawn::<rollback::Rollback>),
            one(spawn::<capacity::Capacity>),
            one(spawn::<audit::Audit>),
            one(spawn::<escalation::Escalation>),
        ];
        let house = Self { log, rooms, archive, end, passed_before, facts_before, _folder: folder };
        until(|| house.rooms.iter().all(RoomHandle::ready), "the rooms are not ready")?;
        Ok(house)
    }

    /// Publishes events in their order, and returns when they are on the disk.
    pub(crate) fn publish(&self, events: &[Event]) -> Result<(), Failure> {
        for batch in events.chunks(BATCH_EVENTS) {
            let partitions = self.log.partitions();
            let addressed = batch.iter().map(|event| Addressed { partition: event.partition(partitions), record: event.to_raw() });
            self.log.append(addressed.collect())?;
        }
        Ok(())
    }

    /// Waits until every room has passed everything that lies on the log, the answers to it included.
    pub(crate) fn until_folded(&self) -> Result<(), Failure> {
        until(
            || {
                let ends = (0..self.log.partitions()).filter_map(|partition| self.log.end(Partition(partition)).ok());
                let end: f64 = ends.map(|end| end.0 as f64).sum();
                passed(|_| true).iter().zip(&self.passed_before).all(|(now, before)| now - before >= end)
            },
            "the rooms did not come to the end of the log",
        )
    }

    /// Facts that every room has passed.
    pub(crate) fn facts_passed(&self) -> usize {
        let passed = passed(is_fact).into_iter().zip(&self.facts_before).map(|(now, before)| now - before);
        passed.fold(f64::INFINITY, f64::min) as usize
    }

    /// Ends it in good order.
    pub(crate) fn close(self) -> Result<(), Failure> {
        self.end.request();
        self.rooms.iter().try_for_each(RoomHandle::join)?;
        self.archive.end();
        self.archive.join()?;
        Ok(())
    }
}

/// Records of these kinds that the rooms of this process have passed, as their own counters say.
fn passed(counts: fn(&str) -> bool) -> Vec<f64> {
    let services = ["incident", "rollback", "capacity", "audit", "escalation"];
    let mut passed = vec![0.0; services.len()];
    let families = runtime::metrics::registry().gather();
    for family in families.iter().filter(|family| family.name() == runtime::metrics::EVENTS_CONSUMED) {
        for metric in family.get_metric() {
            let label = |name: &str| metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value());
            let place = services.iter().position(|service| *service == label("room"));
            if let Some(place) = place.filter(|_| counts(label("event_type"))) {
                passed[place] += metric.get_counter().get_value();
            }
        }
    }
    passed
}

/// Whether a kind is one of those that platforms and people publish, once.
fn is_fact(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.name() == name && !kind.is_reeves_own() && !kind.is_broadcast())
}

fn config(folder: &Path) -> Result<Config, Failure> {
    let mut layers = Layers::default();
    layers.flag("log.path", &folder.display().to_string());
    Ok(Config::of(&layers)?)
}

fn until(mut done: impl FnMut() -> bool, otherwise: &str) -> Result<(), Failure> {
    let watch = Watch::begin();
    while !done() {
        if watch.wall() > PATIENCE {
            return Err(Failure(format!("{otherwise} within {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
