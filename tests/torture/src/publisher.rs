//! A publisher as a good platform is one: it sends its facts until each was answered with 202, the same again after every
//! answer that it did not get, and it never waits for an answer longer than it has to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use wire::Event;

use crate::ground::eventually;

const BATCH: &str = "application/cloudevents-batch+json";
/// How long it waits before it tries again where nobody listens: long enough to leave the processor to whoever starts.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(10);
/// An answer that takes longer will not come.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(6);

/// It runs until everything was answered.
pub struct Publisher {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    batches: Vec<Vec<Value>>,
    next: AtomicUsize,
    /// Where Reeve is now; nothing while it is nowhere.
    address: Mutex<Option<String>>,
    /// Facts that may be sent so far.
    granted: AtomicU64,
    /// Facts of the batches that were taken up.
    taken: AtomicU64,
    acknowledged: AtomicU64,
    repeated: AtomicU64,
    answers: Mutex<BTreeMap<String, u64>>,
    given_up: AtomicBool,
}

// === impl Publisher ===

impl Publisher {
    /// Publishes these facts in batches of `batch`, by `senders` at once, which keep to the order in which they begin.
    pub fn begin(facts: &[Event], batch: usize, senders: usize) -> Self {
        let batches = facts.chunks(batch).map(|facts| facts.iter().map(reeve::fact::structured).collect()).collect();
        let shared = Arc::new(Shared {
            batches,
            next: AtomicUsize::new(0),
            address: Mutex::new(None),
            granted: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            answers: Mutex::default(),
            given_up: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || publish(&shared, senders)
        });
        Self { shared, thread }
    }

    /// Reeve listens here from now on, or nowhere.
    pub fn find(&self, address: Option<&str>) {
        *self.shared.address.lock().expect("nobody panics with it") = address.map(str::to_owned);
    }

    /// Lets it send so many facts more.
    pub fn grant(&self, facts: u64) {
        self.shared.granted.fetch_add(facts, Ordering::SeqCst);
    }

    /// Lets it send everything.
    pub fn grant_all(&self) {
        self.shared.granted.store(u64::MAX / 2, Ordering::SeqCst);
    }

    /// Facts that were answered with 202.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Facts that stood on the log already when they were answered: their first answer was lost.
    pub fn repeated(&self) -> u64 {
        self.shared.repeated.load(Ordering::SeqCst)
    }

    /// Answers by what they were, and those that did not come.
    pub fn answers(&self) -> BTreeMap<String, u64> {
        self.shared.answers.lock().expect("nobody panics with it").clone()
    }

    /// Whether it sends no more.
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Sends nothing more that it has not begun.
    pub fn give_up(&self) {
        self.shared.given_up.store(true, Ordering::SeqCst);
    }

    /// Waits until everything was answered.
    pub fn join(self) -> BTreeMap<String, u64> {
        eventually("the last answer", || self.thread.is_finished().then_some(()));
        self.thread.join().expect("every answer was one that a publisher goes on after");
        self.shared.answers.lock().expect("nobody panics with it").clone()
    }
}

fn publish(shared: &Arc<Shared>, senders: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = Client::builder().no_proxy().timeout(ANSWER_TIME_MAX).build().expect("a client");
        let mut sending = tokio::task::JoinSet::new();
        (0..senders).for_each(|_| drop(sending.spawn(Arc::clone(shared).send(client.clone()))));
        while let Some(sent) = sending.join_next().await {
            sent.expect("every answer was one that a publisher goes on after");
        }
    });
}

// === impl Shared ===

impl Shared {
    async fn send(self: Arc<Self>, client: Client) {
        loop {
            let next = self.next.fetch_add(1, Ordering::SeqCst);
            let Some(batch) = self.batches.get(next) else { return };
            let facts = batch.len() as u64;
            let before = self.taken.fetch_add(facts, Ordering::SeqCst);
            let body = serde_json::to_vec(batch).expect("facts are JSON");
            while !self.given_up.load(Ordering::SeqCst) {
                if before + facts <= self.granted.load(Ordering::SeqCst) && self.is_taken(&client, &body).await {
                    self.acknowledged.fetch_add(facts, Ordering::SeqCst);
                    break;
                }
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
        }
    }

    /// Sends a batch once; whether it was taken.
    async fn is_taken(&self, client: &Client, body: &[u8]) -> bool {
        let Some(url) = self.address.lock().expect("nobody panics with it").clone() else { return false };
        let request = client.post(format!("{url}/v1/events")).header("content-type", BATCH).body(body.to_vec());
        let Ok(answer) = request.send().await else { return self.note("no answer") };
        let status = answer.status().as_u16();
        let Ok(told) = answer.bytes().await else { return self.note("half an answer") };
        let told: Value = serde_json::from_slice(&told).unwrap_or_default();
        match status {
            202 => {
                self.repeated.fetch_add(told["repeated"].as_u64().unwrap_or(0), Ordering::SeqCst);
                !self.note("202")
            }
            // Reeve says itself that it goes on, or that it goes down.
            429 | 503 => self.note(&format!("{status} {}", told["type"].as_str().unwrap_or("without a problem"))),
            _ => panic!("facts that are well formed are answered with {status}: {told}"),
        }
    }

    fn note(&self, what: &str) -> bool {
        *self.answers.lock().expect("nobody panics with it").entry(what.to_owned()).or_default() += 1;
        false
    }
}
