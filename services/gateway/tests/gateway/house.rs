//! A gateway on a real embedded log and a real port, and what it takes to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gateway::keys::Keys;
use gateway::{GatewayOptions, ServeLimits, router, serve};
use reqwest::{Client, Response, StatusCode};
use runtime::log::Log;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wire::cloudevents::{self, Door};
use wire::{Offset, Partition, StoredRecord};

pub(crate) const PARTITIONS: u32 = 4;
/// How long a test waits for what must come: it is the end of a failing test, not the pace of a passing one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) client: Client,
    pub(crate) registry: prometheus::Registry,
    pub(crate) keys: Keys,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(GatewayOptions::default(), ServeLimits::default()).await
    }

    pub(crate) async fn with(options: GatewayOptions, limits: ServeLimits) -> Self {
        Self::beside(options, limits, Router::new()).await
    }

    /// A gateway and other routes beside its own.
    pub(crate) async fn beside(options: GatewayOptions, limits: ServeLimits, beside: Router) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log_options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions: PARTITIONS, clock: Clock::Wall };
        let log = EmbeddedLog::open(folder.path(), log_options).expect("a log");
        let (registry, keys) = (options.registry.clone(), options.keys.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, served) = serving(router(Arc::clone(&log) as Arc<dyn Log>, options, beside), limits, stopped).await;
        Self { address, log, client: Client::new(), registry, keys, stop: Some(stop), served, _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn post(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(self.url("/v1/events")).header("content-type", content_type).body(body);
        Answer::read(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn publish(&self, event: &Value) -> Answer {
        self.post(STRUCTURED, event.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        timeout(PATIENCE, self.client.get(self.url(path)).send()).await.expect("in time").expect("an answer")
    }

    /// Appends what only rooms publish.
    pub(crate) fn decide(&self, decision: &Value) -> (Partition, Offset) {
        let event = cloudevents::parse_structured(decision.to_string().as_bytes(), Door::Trusted).expect("a decision");
        let partition = event.partition(PARTITIONS);
        let record = runtime::log::Addressed { partition, record: event.to_raw() };
        let appended = self.log.append(vec![record]).expect("appended");
        (partition, appended[0].offset)
    }

    /// Every record on the log.
    pub(crate) fn records(&self) -> Vec<StoredRecord> {
        (0..PARTITIONS).flat_map(|partition| self.log.read(Partition(partition), Offset(0), 10_000).expect("readable")).collect()
    }

    /// Sends bytes as they are and returns everything that comes back until the connection ends.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request).await.expect("sent");
        read_to_end(&mut stream).await
    }

    pub(crate) fn shut_down(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn closed(mut self) -> std::io::Result<()> {
        timeout(PATIENCE, &mut self.served).await.expect("in time").expect("no panic")
    }
}

/// Whatever a test asked for, the contract names every answer that it got.
impl Drop for House {
    fn drop(&mut self) {
        let undeclared = crate::accept::count(self, "reeve_gateway_undeclared_answers_total", &[]);
        assert!(std::thread::panicking() || undeclared == 0.0, "{undeclared} answers are not in the contract");
    }
}

/// What a gateway answered, in whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) allow: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (content_type, retry_after, allow) = (header("content-type").unwrap_or_default(), header("retry-after"), header("allow"));
        let status = response.status();
        let body = response.bytes().await.expect("a body");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        Self { status, content_type, retry_after, allow, body }
    }

    /// The answer is a problem of this status and type with these faults: index, field and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, kind: &str, faults: &[(Option<u64>, &str, &str)]) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(self.body["type"], format!("urn:reeve:problem:{kind}"));
        assert_eq!(self.body["status"], status);
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{self:?}");
        let empty = Vec::new();
        let errors = self.body["errors"].as_array().unwrap_or(&empty);
        let found: Vec<_> = errors
            .iter()
            .map(|fault| (fault["index"].as_u64(), fault["field"].as_str().expect("field"), fault["code"].as_str().expect("code")))
            .collect();
        assert_eq!(found, faults, "{}", self.body);
    }

    #[track_caller]
    pub(crate) fn is_receipt(&self, accepted: u64, repeated: u64) {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{self:?}");
        assert_eq!((&self.body["accepted"], &self.body["repeated"]), (&json!(accepted), &json!(repeated)), "{self:?}");
    }
}

/// A gateway over any log, until `stopped`.
pub(crate) async fn spawn(
    log: Arc<dyn Log>,
    options: GatewayOptions,
    limits: ServeLimits,
    stopped: oneshot::Receiver<()>,
) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
    serving(router(log, options, Router::new()), limits, stopped).await
}

async fn serving(router: Router, limits: ServeLimits, stopped: oneshot::Receiver<()>) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(serve(listener, router, async { drop(stopped.await) }, limits));
    (address, served)
}

pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn harm(agent: &str, id: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("/platforms/helpdesk/agents/{agent}"),
        "type": "io.reeve.harm.reported.v1",
        "time": "2026-01-01T10:00:00Z",
        "data": {"category": "wrong_refund", "confirmed": true, "description": "paid out twice"},
    })
}

pub(crate) fn order(agent: &str, id: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/reeve/rollback",
        "type": "io.reeve.mode.ordered.v1",
        "partitionkey": agent,
        "time": "2026-01-01T10:00:01Z",
        "data": {
            "agent_id": agent,
            "mode": "human_only",
            "from_mode": "normal",
            "switched_off": ["refunds"],
            "summary": "People answer alone.",
            "basis": {"asof": 0, "now": "2026-01-01T10:00:01Z", "rule": "p1", "policy": "default", "causes": ["c"], "accountable": "owner"},
        },
    })
}
