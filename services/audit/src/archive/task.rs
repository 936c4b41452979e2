//! The archiver's thread: it looks at the log a few times a second, tries again what may succeed, and ends loudly by what
//! may not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime::beside::Beside;
use runtime::config::Config;
use runtime::errors::{Coded, Fate, chain};
use runtime::lease::Lease;
use runtime::lifecycle::Shutdown;
use runtime::log::Log;
use runtime::retry::Retry;
use runtime::room::RoomError;

use super::archiver::Archiver;
use super::cut::Limits;
use super::errors::ArchiveError;
use super::store::StoredShelf;

/// Name of the thread, in log lines, metrics and errors.
const NAME: &str = "archive";
/// How often the log is looked at, and the lease asked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked whether what rooms said last is decided.
const DECIDED_EVERY: Duration = Duration::from_millis(10);
/// Attempts at the last words of a store that fails. What stays unsaid is on the log, and the next start archives it; it is
/// an error all the same.
const FLUSHES_MAX: usize = 3;
/// Of the time for a drain, what may be spent on reading on, and on putting down what is open, in hundredths: a backlog is
/// left to the next start.
const READING_PERCENT: u32 = 40;
const CUTTING_PERCENT: u32 = 70;

/// Starts the archive of `log` as `config` says, and writes it while it holds the lease: on a log of one process from the start.
/// It ends after [`Beside::end`], when everything on the log is archived, or as much as the time for a drain allows; if it cannot
/// go on it asks `failed` to end the process.
///
/// # Errors
/// When the archive that is there cannot be gone on with.
pub fn begin(log: Arc<dyn Log>, config: &Config, failed: &Shutdown) -> Result<Beside, RoomError> {
    let limits = Limits::of_age(i64::try_from(config.archive.every.as_micros()).unwrap_or(i64::MAX));
    let (folder, ordinal) = (config.archive.path.clone(), config.instance_ordinal);
    // A store is waited for, which a thread that drives tasks must not do: opening has one of its own.
    let opening = std::thread::spawn(move || {
        let shelf = Arc::new(StoredShelf::in_folder(&folder)?);
        Archiver::under(Lease::wait(Arc::clone(&log), NAME, ordinal)?, log, shelf, limits)
    });
    let opened = opening.join().unwrap_or_else(|_| Err(ArchiveError::Store { reason: "opening it broke off".to_owned() }));
    let archiver = opened.map_err(|error| RoomError { room: NAME, code: error.code(), reason: chain(&error) })?;
    let grace = config.drain_timeout;
    Ok(Beside::spawn(NAME, failed.clone(), move |end| live(archiver, end, grace)))
}

/// Writes until it is wished to end, and then what is left. Records that it leaves to the next start.
pub(crate) fn live(mut archiver: Archiver, end: &Shutdown, grace: Duration) -> Result<u64, ArchiveError> {
    let mut retry = Retry::new(NAME);
    while !end.requested() {
        match archiver.step(&|| !end.requested()) {
            Ok(step) => {
                retry.succeeded();
                if !step.more {
                    pause(LOOK_EVERY, end);
                }
            }
            Err(error) if error.fate() == Fate::Retry => pause(retry.failed(&chain(&error)), end),
            Err(error) => return Err(error),
        }
    }
    let (reads, cuts) = (within(grace * READING_PERCENT / 100), within(grace * CUTTING_PERCENT / 100));
    wait_for_last_words(&mut archiver, &reads);
    let mut flushed = archiver.flush(&reads, &cuts);
    for _ in 1..FLUSHES_MAX {
        match &flushed {
            Err(error) if error.fate() == Fate::Retry => std::thread::sleep(retry.failed(&chain(error))),
            _ => break,
        }
        flushed = archiver.flush(&reads, &cuts);
    }
    if let Ok(waiting @ 1..) = flushed {
        tracing::info!(waiting, "{waiting} records on the log wait for the archive: the next start goes on with them");
    }
    flushed
}

/// A room's last commit was answered before the archive was asked to end, and may be marked on its partitions a moment later:
/// nobody can read it before. Where that cannot be told, what can be read is what there is.
fn wait_for_last_words(archiver: &mut Archiver, reads: &dyn Fn() -> bool) {
    while reads() && archiver.is_undecided().unwrap_or(false) {
        std::thread::sleep(DECIDED_EVERY);
    }
}

/// Whether so much time is left, from now on.
#[expect(clippy::disallowed_methods, reason = "a drain has an end in real time; where a segment ends is on the log's")]
fn within(time: Duration) -> impl Fn() -> bool {
    let until = Instant::now() + time;
    move || Instant::now() < until
}

/// Waits, but not past the wish to end.
#[expect(clippy::disallowed_methods, reason = "a thread waits in real time; nothing is decided by it")]
fn pause(wait: Duration, end: &Shutdown) {
    let until = Instant::now() + wait;
    while !end.requested() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}
