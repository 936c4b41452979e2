//! A gateway with keys on a real embedded log and a real port, and what must be true of it after an attack.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gateway::keys::{Key, Keys, KeysFile, Right, Scope, Secret};
use gateway::{GatewayOptions, Pace, ServeLimits, router, serve};
use kit::process;
use prometheus::Registry;
use reqwest::Client;
use runtime::log::Log;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use wire::{Offset, Partition, Timestamp};

use crate::book::Book;

pub(crate) const PARTITIONS: u32 = 4;
/// How long a test waits for what must come: it is the end of a failing test, not the pace of a passing one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long the gateway waits for a head and for a body.
pub(crate) const SHORT: Duration = Duration::from_secs(2);
/// 2026-01-01T00:00:00Z: before every test.
const LONG_AGO: Timestamp = Timestamp(1_767_225_600_000_000);
/// Where who behaves well speaks from.
const POLITE: &str = "/platforms/polite/agents/polite";

/// Keys, as they are sent.
pub(crate) struct Secrets {
    pub(crate) everything: String,
    /// Of the agent `telecom` alone.
    pub(crate) telecom: String,
    /// May not publish.
    pub(crate) reader: String,
    pub(crate) expired: String,
    pub(crate) revoked: String,
}

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) secrets: Secrets,
    pub(crate) book: Book,
    log: Arc<EmbeddedLog>,
    registry: Registry,
    client: Client,
    _folder: TempDir,
}

// === impl House ===

impl House {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log_options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions: PARTITIONS, clock: Clock::Wall };
        let log = EmbeddedLog::open(folder.path(), log_options).expect("a log");
        let file = KeysFile::in_folder(folder.path());
        let secrets = Secrets::in_file(&file);
        let registry = Registry::new();
        let keys = Keys::watch(file, gateway::keys::LOOK_EVERY, Pace::default()).expect("good keys");
        let options = GatewayOptions { registry: registry.clone(), keys, body_timeout: SHORT, ..GatewayOptions::default() };
        let router = router(Arc::clone(&log) as Arc<dyn Log>, options, Router::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let limits = ServeLimits { header_timeout: SHORT, ..ServeLimits::default() };
        tokio::spawn(serve(listener, router, std::future::pending(), limits));
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { address, secrets, book: Book::default(), log, registry, client, _folder: folder }
    }

    /// Publishes one event and reads one, as it should be done; whether both were done.
    pub(crate) async fn polite(&self, number: u64) -> bool {
        let id = format!("polite-{number}");
        let event = json!({
            "specversion": "1.0", "id": id, "source": POLITE, "type": "harm.reported",
            "data": {"category": "wrong_refund", "confirmed": false},
        });
        let url = format!("http://{}/v1/events", self.address);
        let posted = self.client.post(&url).bearer_auth(&self.secrets.everything).timeout(PATIENCE);
        let posted = posted.header("content-type", wire::cloudevents::STRUCTURED).body(event.to_string()).send().await;
        let read = self.client.get(format!("{url}?limit=1")).bearer_auth(&self.secrets.everything).timeout(PATIENCE).send().await;
        self.book.accepted(POLITE, &id, 1);
        posted.is_ok_and(|answer| answer.status() == 202) && read.is_ok_and(|answer| answer.status() == 200)
    }

    /// Every event that was answered with 202 stands there once, and nothing does that was not.
    pub(crate) fn log_holds_what_was_accepted_and_nothing_else(&self) {
        let mut seen = Vec::new();
        for partition in (0..PARTITIONS).map(Partition) {
            let mut next = Offset(0);
            loop {
                let page = self.log.read(partition, next, 1_000).expect("it can be read");
                let Some(last) = page.last() else { break };
                next = last.offset.next();
                for stored in &page {
                    let record = wire::Record::read_placed(stored, PARTITIONS).expect("what was accepted can be read");
                    seen.push((record.source.to_string(), record.id.to_string()));
                }
            }
        }
        self.book.is_kept_by(seen);
    }

    /// The gateway's own counters: as many accepted, no answer that the contract does not name, nothing broken.
    pub(crate) fn counters_say_so(&self) {
        let counted = self.count("reeve_gateway_events_accepted_total") as usize;
        // Who went away before the answer may have been counted or not.
        let (sure, perhaps) = self.book.events();
        assert!((sure..=sure + perhaps).contains(&counted), "{counted} events counted, {sure} answered with 202, {perhaps} in doubt");
        assert_eq!(self.count("reeve_gateway_undeclared_answers_total"), 0.0);
    }

    /// No stream, no connection and no file is left open.
    pub(crate) async fn is_left_alone(&self, files_before: Option<usize>) {
        let left = || (self.count("reeve_gateway_streams_open"), process::open_files());
        // The polite client keeps a connection or two.
        let is_alone =
            |(streams, files): &(f64, Option<usize>)| *streams == 0.0 && files.zip(files_before).is_none_or(|(now, then)| now <= then + 8);
        for _ in 0..PATIENCE.as_millis() / 20 {
            if is_alone(&left()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("streams and files left: {:?}, before: {files_before:?}", left());
    }

    fn count(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        metrics.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

// === impl Secrets ===

impl Secrets {
    fn in_file(file: &KeysFile) -> Self {
        let everything = || Scope::everything(NonZeroU32::new(1_000_000).expect("it is not zero"));
        let add = |scope: Scope, until: Option<Timestamp>| -> Secret {
            let (key, secret) = Key::mint("test", scope, LONG_AGO, until).expect("a key");
            file.add(key, LONG_AGO).expect("added");
            secret
        };
        let telecom = Scope { agents: vec!["telecom".parse().expect("a name")], ..everything() };
        let reader = Scope { may: [Right::Read].into(), ..everything() };
        let revoked = add(everything(), None);
        file.revoke(&revoked.id(), LONG_AGO).expect("revoked");
        Self {
            everything: add(everything(), None).reveal().to_owned(),
            telecom: add(telecom, None).reveal().to_owned(),
            reader: add(reader, None).reveal().to_owned(),
            expired: add(everything(), Some(LONG_AGO.plus_s(60))).reveal().to_owned(),
            revoked: revoked.reveal().to_owned(),
        }
    }
}
