//! The log from asynchronous code: its calls block, so they run on threads of their own, of which there is a bounded number.

use std::sync::Arc;
use std::time::Duration;

use runtime::errors::Coded;
use runtime::log::{Log, LogError};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::problem::{Problem, ProblemKind};

/// Appends at once. Further ones are told to come again, never put into a queue.
const APPENDS_MAX: usize = 64;
/// Appends at once beyond those, for what Reeve has to act on at once: so that a flood of talk keeps no harm out.
const URGENT_MAX: usize = 16;
/// Reads at once. Further ones wait for their turn: each is short.
const READS_MAX: usize = 8;
/// How long an answer waits for the log. What was given to it goes on; the same request again tells what became of it.
const APPEND_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the follower waits for one change of the log before it looks whether anybody still listens.
const TICK_TIME_MAX: Duration = Duration::from_millis(250);

/// Ids make it safe to ask again: what was committed is only told to be so.
const UNKNOWN_OUTCOME: &str = "the log has not said what became of the events: send the same again to hear it";

/// A log, for any number of tasks.
#[derive(Clone)]
pub(crate) struct Access {
    log: Arc<dyn Log>,
    appends: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    ticks: watch::Receiver<u64>,
}

// === impl Access ===

impl Access {
    /// Opens the doors of `log` and starts the one thread that follows it for every stream.
    pub(crate) fn new(log: Arc<dyn Log>) -> Self {
        let ticks = follow(Arc::clone(&log));
        let turns = |turns| Arc::new(Semaphore::new(turns));
        Self { log, appends: turns(APPENDS_MAX), urgent: turns(URGENT_MAX), reads: turns(READS_MAX), ticks }
    }

    /// The log itself, for what does not block.
    pub(crate) fn log(&self) -> &dyn Log {
        self.log.as_ref()
    }

    /// Runs work that appends on a thread of its own, and returns when the log has committed. Whether it is urgent is asked
    /// only where there is no room otherwise.
    ///
    /// # Errors
    /// 503, when too much is under way or the log answers too late; else what `work` fails with.
    pub(crate) async fn append<T: Send + 'static>(
        &self,
        is_urgent: impl FnOnce() -> bool,
        work: impl FnOnce(&dyn Log) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = match Arc::clone(&self.appends).try_acquire_owned() {
            Err(_) if is_urgent() => Arc::clone(&self.urgent).try_acquire_owned(),
            turn => turn,
        };
        let Ok(turn) = turn else {
            return Err(Problem::new(ProblemKind::Busy, format!("{APPENDS_MAX} appends are under way")));
        };
        let log = Arc::clone(&self.log);
        let appending = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the request: who hangs up does not make room for another append.
            let _turn = turn;
            work(log.as_ref())
        });
        match timeout(APPEND_TIME_MAX, appending).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Problem::new(ProblemKind::Broken, UNKNOWN_OUTCOME)),
            Err(_) => Err(Problem::new(ProblemKind::Busy, UNKNOWN_OUTCOME)),
        }
    }

    /// Runs a read of the log on a thread of its own.
    ///
    /// # Errors
    /// What `read` fails with; a read that breaks down is storage that fails.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Log) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let turn = Arc::clone(&self.reads).acquire_owned().await.expect("the turns are never closed");
        let log = Arc::clone(&self.log);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(log.as_ref())
        });
        reading.await.unwrap_or_else(|error| Err(LogError::Storage { reason: error.to_string() }))
    }

    /// Changes whenever something was committed.
    ///
    /// A reader marks it seen *before* it reads, so that what is committed meanwhile wakes it at once.
    pub(crate) fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.clone()
    }
}

/// What a log's failure is to a client.
pub(crate) fn unavailable(error: &LogError) -> Problem {
    match error {
        LogError::OffsetGone { .. } => Problem::new(ProblemKind::Gone, error.to_string()),
        _ => {
            let code = error.code();
            tracing::error!(%error, code = code.number(), "the log fails: {error}");
            Problem::new(ProblemKind::LogUnavailable, format!("{code}: {error}"))
        }
    }
}

/// One thread waits for the log, for as long as anybody listens.
fn follow(log: Arc<dyn Log>) -> watch::Receiver<u64> {
    let (sender, ticks) = watch::channel(0);
    let follower = move || {
        let mut seen = 0;
        while !sender.is_closed() {
            let state = log.wait(seen, TICK_TIME_MAX);
            if state != seen {
                seen = state;
                sender.send_replace(state);
            }
        }
    };
    std::thread::Builder::new().name("gateway-follower".to_owned()).spawn(follower).expect("the system gives a thread at start");
    ticks
}
