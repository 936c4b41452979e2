//! A publisher that asks of nobody how much he can bear: it sends so many facts a second, each in a request of its own, each
//! once, and writes down what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::ground::moment;

/// Requests at once. A flood that is not answered at all is held back by this, and says so in how many it sent.
const REQUESTS_MAX: usize = 512;
/// How often a share of a second's facts is sent.
const TICK: Duration = Duration::from_millis(10);
const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

/// What became of a flood.
#[derive(Clone, Debug, Default)]
pub struct Flooded {
    /// Facts that were sent.
    pub sent: u64,
    /// Seconds that it took.
    pub took_s: f64,
    /// Ids of those that were answered with 202.
    pub accepted: Vec<String>,
    /// Answers with 429 and 503.
    pub refused: u64,
    /// Answers that are none of these, or lack what they have to have, by what they were.
    pub wrong: BTreeMap<String, u64>,
}

/// Sends as fast as answers come, by so many at once, until `seconds` have passed; facts accepted.
pub async fn closed(client: &Client, url: &str, name: &str, senders: usize, seconds: u64) -> Flooded {
    let (count, flooded) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Flooded::default())));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..senders {
        let (client, url, name, count, flooded) =
            (client.clone(), url.to_owned(), name.to_owned(), Arc::clone(&count), Arc::clone(&flooded));
        sending.spawn(async move {
            loop {
                let id = format!("{name}-{}", count.fetch_add(1, Ordering::SeqCst));
                send(&client, &url, id, &flooded).await;
            }
        });
    }
    sleep(Duration::from_secs(seconds)).await;
    sending.shutdown().await;
    flooded.lock().await.clone()
}

/// Sends `per_s` facts a second for so many seconds, whatever is answered.
pub async fn open(client: &Client, url: &str, name: &str, per_s: u64, seconds: u64) -> Flooded {
    let (turns, flooded) = (Arc::new(Semaphore::new(REQUESTS_MAX)), Arc::new(Mutex::new(Flooded::default())));
    let (begun, mut ticks) = (moment(), interval(TICK));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let tick_ms = TICK.as_millis() as u64;
    let mut number = 0;
    for tick in 1..=seconds * 1_000 / tick_ms {
        ticks.tick().await;
        while number < per_s * tick * tick_ms / 1_000 {
            let turn = Arc::clone(&turns).acquire_owned().await.expect("it is never closed");
            let (client, url, id, flooded) = (client.clone(), url.to_owned(), format!("{name}-{number}"), Arc::clone(&flooded));
            tokio::spawn(async move {
                send(&client, &url, id, &flooded).await;
                drop(turn);
            });
            number += 1;
        }
    }
    let took_s = begun.elapsed().as_secs_f64();
    let _all = turns.acquire_many(REQUESTS_MAX as u32).await.expect("it is never closed");
    let flooded = flooded.lock().await.clone();
    Flooded { took_s, ..flooded }
}

async fn send(client: &Client, url: &str, id: String, flooded: &Mutex<Flooded>) {
    let told = answer(client, url, &fact(&id)).await;
    let mut flooded = flooded.lock().await;
    flooded.sent += 1;
    match told {
        Ok(true) => flooded.accepted.push(id),
        Ok(false) => flooded.refused += 1,
        Err(wrong) => *flooded.wrong.entry(wrong).or_default() += 1,
    }
}

/// Publishes an event, or a list of them, once: whether it was taken.
///
/// # Errors
/// What came instead of 202, or of 429 or 503 as they have to be.
pub async fn answer(client: &Client, url: &str, event: &Value) -> Result<bool, String> {
    let form = if event.is_array() { BATCH } else { STRUCTURED };
    let request = client.post(format!("{url}/v1/events")).header("content-type", form).body(event.to_string());
    let answer = request.send().await.map_err(|error| format!("no answer: {error:?}"))?;
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, retry_after, content_type) = (answer.status().as_u16(), header("retry-after"), header("content-type"));
    let body = answer.bytes().await.map_err(|error| format!("half an answer: {error:?}"))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        202 if body["records"].as_array().is_some_and(|records| !records.is_empty()) => Ok(true),
        429 | 503
            if retry_after.parse::<u64>().is_ok_and(|seconds| seconds > 0)
                && content_type == "application/problem+json"
                && body["status"] == status =>
        {
            Ok(false)
        }
        _ => Err(format!("{status}, retry-after `{retry_after}`, {content_type}: {body}")),
    }
}

/// What a flood is of: talk, in sessions of a few hundred agents.
fn fact(id: &str) -> Value {
    let agent = id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 300;
    json!({
        "specversion": "1.0", "id": id, "source": format!("/platforms/flood/agents/flood-{agent}"), "type": "io.reeve.message.posted.v1",
        "subject": format!("s-{agent}"), "partitionkey": format!("flood-{agent}"),
        "data": {"role": "user", "text": "where is my order, and why does nobody tell me anything about it?"},
    })
}
