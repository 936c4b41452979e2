//! The server: a bounded number of connections, none of which may be slow without end, and a drain that ends streams.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes that are read from a connection ahead of their use. A head that came in one piece may be larger.
const READ_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// How long what still comes is thrown away once the last answer is written. A system that closes a connection with unread
/// bytes tells its peer so by a reset, and a peer that hears of it forgets the answer that it has not read yet.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
/// Bytes that are thrown away at once.
const LINGER_BYTES: usize = 16 << 10;
/// How long to wait after the system refused a connection, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one server may be made to bear.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Connections at once. Further ones wait in the system's queue until one is free.
    pub connections_max: usize,
    /// How long a request's head may take, and how long a connection may stand idle before one.
    pub header_timeout: Duration,
    /// How long a reader may take nothing of what is written to it.
    pub stall_timeout: Duration,
    /// How long open requests may take to end once the server goes down.
    pub drain_timeout: Duration,
}

/// Told to whoever serves a request, so that streams end when the server goes down.
///
/// Absent where the router is served by something else: its streams then end with their connections.
#[derive(Clone, Debug)]
pub(crate) struct Drain(watch::Receiver<bool>);

/// A connection whose reader may not stand still for longer than `patience`, and whose writer may finish what it says.
struct Impatient {
    stream: TcpStream,
    patience: Duration,
    drain: Drain,
    /// Runs while a write waits for the reader.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs from the last answer on, while the peer still writes.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// Serves `router` until `shutdown` completes, then lets open requests end; streams are ended by the server.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when connections were still open after `drain_timeout`; they were cut.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>, limits: ServeLimits) -> io::Result<()> {
    let (going_down, drain) = watch::channel(false);
    let router = router.layer(Extension(Drain(drain.clone())));
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        // Going down comes first, or a flood of connections could put it off; reaping comes before accepting, so that
        // ended connections never pile up.
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, slot) = accept(&listener, &slots) => {
                connections.spawn(connection(stream, slot, router.clone(), Drain(drain.clone()), limits.clone()));
            }
        }
    }
    drop(listener);
    going_down.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    timeout(limits.drain_timeout, all_ended).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("connections were cut after {} s of draining", limits.drain_timeout.as_secs_f32()))
    })
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the slots are never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, slot: OwnedSemaphorePermit, router: Router, drain: Drain, limits: ServeLimits) {
    let _slot = slot;
    // Orders are small and urgent: they do not wait to be sent together.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Impatient { stream, patience: limits.stall_timeout, drain: drain.clone(), stalled: None, lingering: None });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(READ_BUFFER_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(io, TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = drain.wait() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early: {error}");
    }
}

// === impl ServeLimits ===

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            header_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

// === impl Drain ===

impl Drain {
    /// Whether the server is going down.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the server goes down.
    pub(crate) async fn wait(&self) {
        // A sender that is gone is a server that is gone.
        let _ = self.0.clone().wait_for(|down| *down).await;
    }
}

// === impl Impatient ===

impl Impatient {
    /// Starts, goes on with, or forgets the wait for the reader.
    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader takes nothing")))
    }

    /// Throws away what still comes, until nothing comes any more or it takes too long. A server that goes down waits for
    /// nobody.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.drain.has_begun() {
            return Poll::Ready(());
        }
        let end = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER_TIME_MAX)));
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut thrown_away = [0; LINGER_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            // The runtime makes a task that reads on and on wait for its turn.
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        self.linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};

    use super::*;
    use crate::GatewayOptions;

    /// A request can come in on a connection that stood open when the server began to go down. Its handlers are told so
    /// here, and the connection is not, so that it does.
    #[tokio::test]
    async fn who_comes_while_the_server_goes_down_is_told_to_come_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let log_options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions: 1, clock: Clock::Wall };
        let log = EmbeddedLog::open(folder.path(), log_options).expect("a log");
        let (_down, begun) = watch::channel(true);
        let router = crate::router(log, GatewayOptions::default(), Router::new()).layer(Extension(Drain(begun)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let _served = tokio::spawn(serve(listener, router, std::future::pending(), ServeLimits::default()));

        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let requests = [
            client.post(format!("{url}/v1/events")).header("content-type", "application/cloudevents+json").body("{}"),
            client.get(format!("{url}/v1/events?follow=true")),
            client.get(format!("{url}/v1/agents/telecom/orders")),
        ];
        for request in requests {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 503, "{answer:?}");
            assert_eq!(answer.headers()["retry-after"], "5", "{answer:?}");
            assert_eq!(answer.headers()["connection"], "close", "{answer:?}");
            let problem = answer.text().await.expect("a problem");
            assert!(problem.contains("urn:reeve:problem:draining"), "{problem}");
        }
    }
}
