//! The way from the fleet to the gateway: one queue, so that facts arrive in the order in which they happened.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::Event;

use crate::client::Client;
use crate::fact;
use crate::target::Rejected;

/// Facts that wait for the gateway at most; beyond it the simulated platforms wait, as real ones would.
const WAITING_MAX: usize = 4_096;
/// Facts in one request.
const BATCH_MAX: usize = 200;
/// How long facts are gathered before they are sent.
const GATHER: Duration = Duration::from_millis(100);
/// How long a failed request waits before it is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often a batch is sent again before it is given up.
const TRIES: u32 = 60;

/// The queue and the task that empties it.
pub(super) struct Outbox {
    facts: mpsc::Sender<Event>,
    posting: JoinHandle<()>,
}

// === impl Outbox ===

impl Outbox {
    /// Starts to post to `client` whatever is put in.
    pub(super) fn open(client: Client) -> Self {
        let (facts, waiting) = mpsc::channel(WAITING_MAX);
        Self { facts, posting: tokio::spawn(post_all(client, waiting)) }
    }

    /// A way to put facts in.
    pub(super) fn sender(&self) -> mpsc::Sender<Event> {
        self.facts.clone()
    }

    /// Waits until everything that was put in is posted. All other senders must be gone.
    pub(super) async fn close(self) {
        drop(self.facts);
        if let Err(error) = self.posting.await {
            tracing::warn!("the fleet stopped posting: {error}");
        }
    }
}

async fn post_all(client: Client, mut waiting: mpsc::Receiver<Event>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let events: Vec<_> = batch.drain(..).map(|event| fact::structured(&event)).collect();
        post(&client, &events).await;
        tokio::time::sleep(GATHER).await;
    }
}

/// Ids make it safe to send a batch again: what stands already is not added.
async fn post(client: &Client, events: &[Value]) {
    for _ in 0..TRIES {
        match client.publish(events).await {
            Ok(_) => return,
            Err(Rejected::Faults(faults)) => {
                for (index, fault) in faults {
                    tracing::warn!("the gateway refuses event {index} of the fleet: {fault}");
                }
                return;
            }
            Err(Rejected::Failed(failure)) => {
                tracing::debug!("the fleet tries again: {failure}");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
    tracing::warn!("the fleet gives up {} facts: the gateway does not take them", events.len());
}
