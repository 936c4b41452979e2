//! From start to drain: the wish to stop, and the signals that express it.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// The wish that everything come to an end in good order. Clones share it; it is never taken back.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

/// Exit code of a process that was told twice to stop and did not wait for its drain: 128 + SIGINT.
const EXIT_TOLD_TWICE: i32 = 130;

// === impl Shutdown ===

impl Shutdown {
    /// Nobody wishes to stop yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Wishes to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody wishes to stop.
    pub fn requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody wishes to stop.
    pub async fn wait(&self) {
        let mut wishes = self.0.subscribe();
        wishes.wait_for(|wish| *wish).await.expect("the sender lives as long as self");
    }

    /// Requests a shutdown at the first SIGTERM or SIGINT; at the second the process ends at once.
    ///
    /// Both handlers are installed even where the process was started with SIGINT ignored, as a shell does for what a
    /// script puts into the background: Ctrl-C has to drain there too.
    ///
    /// # Errors
    /// The operating system's, when it refuses a handler. Must be called inside a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "told twice to stop, it must not wait for the drain")]
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if shutdown.requested() {
                    warn!(signal = name, "{name} again: ending without waiting for the drain");
                    std::process::exit(EXIT_TOLD_TWICE);
                }
                info!(signal = name, "{name}: draining");
                shutdown.request();
            }
        });
        Ok(())
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_wakes_whoever_waits_and_stays() {
        let shutdown = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.wait().await }
        });
        assert!(!shutdown.requested());
        shutdown.request();
        waiting.await.expect("the wish was heard");
        assert!(shutdown.requested());
        shutdown.wait().await;
    }
}
