//! What every stream shares: a bounded outlet to its client, a place among the streams, and a wait that ends in time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use runtime::log::LogError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::Gateway;
use crate::door::Caller;
use crate::metrics::IntGauge;
use crate::problem::{Problem, ProblemKind};
use crate::serve::Drain;

/// Pieces that wait for a slow client; then the reader of the log waits, too. A piece of lines is half a mebibyte.
const PIECES_MAX: usize = 1;
/// The longest that a client may have its stream wait before it ends; without such a wait it has no end.
pub(crate) const WAIT_SECONDS_MAX: u64 = 3_600;

/// Where a stream writes. The stream ends when this is dropped.
pub(crate) struct Outlet<T> {
    pieces: mpsc::Sender<Result<T, io::Error>>,
    ticks: watch::Receiver<u64>,
    drain: Option<Drain>,
    caller: Caller,
    /// How long it waits for something new; `None`: without end.
    patience: Option<Duration>,
    _place: Place,
}

/// Why nothing more is written.
pub(crate) enum End {
    /// The client is gone or its key no longer good, or the server goes down: a stream that ends here ends well.
    Over,
    /// The log cannot be read: the stream is broken off, so that nobody takes it for complete.
    Failed(LogError),
}

/// One of the streams that may be open at once.
struct Place {
    _permit: OwnedSemaphorePermit,
    open: IntGauge,
}

/// Opens a stream of `route`.
///
/// # Errors
/// 503 when too many are open or the server goes down.
pub(crate) fn open<T>(
    gateway: &Gateway,
    caller: Caller,
    drain: Option<Drain>,
    patience: Option<Duration>,
    route: &str,
) -> Result<(Outlet<T>, impl Stream<Item = Result<T, io::Error>> + use<T>), Problem> {
    if drain.as_ref().is_some_and(Drain::has_begun) {
        return Err(Problem::new(ProblemKind::Draining, "the gateway is going down"));
    }
    let Ok(permit) = Arc::clone(&gateway.streams).try_acquire_owned() else {
        return Err(Problem::new(ProblemKind::Busy, "too many streams are open"));
    };
    let open = gateway.metrics.streams_open.with_label_values(&[route]);
    open.inc();
    let (pieces, stream) = mpsc::channel(PIECES_MAX);
    let outlet = Outlet { pieces, ticks: gateway.access.ticks(), drain, caller, patience, _place: Place { _permit: permit, open } };
    Ok((outlet, ReceiverStream::new(stream)))
}

// === impl Outlet ===

impl<T> Outlet<T> {
    /// Writes a piece once the client has room for it.
    ///
    /// # Errors
    /// [`End::Over`] when nobody takes it any more.
    pub(crate) async fn write(&self, piece: T) -> Result<(), End> {
        tokio::select! {
            biased;
            () = going_down(&self.drain) => Err(End::Over),
            () = self.caller.ended() => Err(End::Over),
            written = self.pieces.send(Ok(piece)) => written.map_err(|_| End::Over),
        }
    }

    /// Marks what was committed so far as seen. To be called *before* the log is read, so that whatever is committed
    /// after the reading ends the next wait.
    pub(crate) fn look(&mut self) {
        self.ticks.mark_unchanged();
    }

    /// Waits until something was committed since the last [`look`](Self::look).
    ///
    /// # Errors
    /// [`End::Over`] when the client or the server is gone, or nothing came for as long as the client wished to wait.
    pub(crate) async fn wait(&mut self) -> Result<(), End> {
        tokio::select! {
            biased;
            () = going_down(&self.drain) => Err(End::Over),
            () = self.caller.ended() => Err(End::Over),
            () = self.pieces.closed() => Err(End::Over),
            changed = self.ticks.changed() => changed.map_err(|_| End::Over),
            () = patience_over(self.patience) => Err(End::Over),
        }
    }

    /// Ends the stream, well or broken off.
    pub(crate) async fn end(self, told: Result<(), End>) {
        if let Err(End::Failed(error)) = told {
            tracing::error!(%error, "a stream was broken off: {error}");
            let _ = self.pieces.send(Err(io::Error::other(error))).await;
        }
    }
}

async fn patience_over(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

async fn going_down(drain: &Option<Drain>) {
    match drain {
        Some(drain) => drain.wait().await,
        None => std::future::pending().await,
    }
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        Self::Failed(error)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}
