//! Orders as a platform hears them: server-sent events, resumed after the last one that was heard.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use wire::Kind;

use crate::client::{Client, Lines};
use crate::failure::Failure;
use crate::output::text;
use crate::sentence::kind_name;

/// Orders that wait to be obeyed.
const WAITING_MAX: usize = 64;
/// How long a lost connection waits before it is made anew.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An order to a platform.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// Id of its record: what an acknowledgement names.
    pub(super) id: String,
    /// What is ordered.
    pub(super) what: Ordered,
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ordered {
    /// Let the agent do no more than this.
    Mode(String),
    /// Serve this version; the seconds within which to acknowledge.
    Version(String, u64),
}

/// Listens for the orders of `agent` until stopped, from after `last_heard` on.
pub(super) fn listen(
    client: Client,
    agent: String,
    mut last_heard: Option<String>,
    mut stopped: watch::Receiver<bool>,
) -> mpsc::Receiver<Order> {
    let (orders, heard) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let hearing = async {
            while !orders.is_closed() {
                if let Err(failure) = hear(&client, &agent, &mut last_heard, &orders).await {
                    tracing::debug!("{agent} listens again: {failure}");
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        };
        tokio::select! {
            () = hearing => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    });
    heard
}

async fn hear(client: &Client, agent: &str, last_heard: &mut Option<String>, orders: &mpsc::Sender<Order>) -> Result<(), Failure> {
    let mut lines = client.orders(agent, last_heard.as_deref()).await?;
    while let Some((id, event)) = next_event(&mut lines).await? {
        if let Some(order) = Order::read(&event)
            && orders.send(order).await.is_err()
        {
            return Ok(());
        }
        *last_heard = id.or(last_heard.take());
    }
    Ok(())
}

/// The next event of the stream with its id; comments keep the connection alive and say nothing.
async fn next_event(lines: &mut Lines) -> Result<Option<(Option<String>, Value)>, Failure> {
    let (mut id, mut said) = (None, String::new());
    while let Some(line) = lines.next().await? {
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => said.push_str(value),
            _ if line.is_empty() && !said.is_empty() => {
                let event = serde_json::from_str(&said).map_err(|error| Failure::internal(format!("an order is no JSON: {error}")))?;
                return Ok(Some((id, event)));
            }
            _ => {}
        }
    }
    Ok(None)
}

// === impl Order ===

impl Order {
    /// Reads an order from a structured CloudEvent; `None` for every other kind.
    pub(super) fn read(event: &Value) -> Option<Self> {
        let what = match Kind::from_name(kind_name(event))? {
            Kind::ModeOrdered => Ordered::Mode(text(event, "/data/mode").to_owned()),
            Kind::RollbackOrdered => {
                let seconds = event.pointer("/data/ack_timeout_s").and_then(Value::as_u64).unwrap_or(0);
                Ordered::Version(text(event, "/data/to_version").to_owned(), seconds)
            }
            _ => return None,
        };
        Some(Self { id: text(event, "/id").to_owned(), what })
    }

    /// The mode, where one is ordered.
    pub(super) fn mode(&self) -> Option<&str> {
        match &self.what {
            Ordered::Mode(mode) => Some(mode),
            Ordered::Version(..) => None,
        }
    }
}
