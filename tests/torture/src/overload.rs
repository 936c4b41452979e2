//! A Reeve whose disk takes a fifth of what is published: what it answers, what it has in memory, and how long a harm waits.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::flood::{self, Flooded};
use crate::ground::{PATIENCE, moment, say};
use crate::program::{Up, memory_bytes, up};

/// Senders at once that find out what the disk takes: as many as the gateway lets append, and no more.
const SENDERS: usize = 64;
/// How long is looked for that.
const LOOK_S: u64 = 3;
/// A platform that is told to come again comes after this: sooner than it was told to, as an anxious one does.
const HARM_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(50);

/// How an overload is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long it lasts.
    pub seconds: u64,
    /// How much longer than by itself every flush takes.
    pub flush_ms: u64,
    /// How many times more is published than the disk takes.
    pub times: u64,
    /// Harms that are told before, and as many during it.
    pub harms: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Facts a second that the disk takes, one in a request.
    pub disk_per_s: u64,
    /// Facts a second that were published.
    pub published_per_s: u64,
    /// Facts that were accepted during the overload.
    pub accepted: usize,
    /// Facts that were told to come again.
    pub refused: u64,
    /// Memory when the overload began, and at its worst, in bytes.
    pub memory_before: u64,
    /// Memory at its worst.
    pub memory_max: u64,
    /// Milliseconds from a P1 harm to the order that answers it, unloaded and in order of length.
    pub unloaded_ms: Vec<u64>,
    /// The same during the overload.
    pub overloaded_ms: Vec<u64>,
    /// The ratio of the medians.
    pub p50_ratio: f64,
    /// The ratio of the longest.
    pub max_ratio: f64,
    /// Harms that were told to come again before they were taken.
    pub harms_refused: u64,
    /// What was answered and must not be.
    #[serde(skip)]
    pub wrong: Vec<String>,
    /// Ids of everything that was accepted.
    #[serde(skip)]
    pub ids: Vec<String>,
}

/// Runs `reeve up` in `folder` on a slow disk, overloads it, and lets it come to rest and end: the report, and a time at
/// which nothing was due.
pub fn measure(folder: &Path, options: Options) -> (Report, wire::Timestamp) {
    let slow = slow_disk(folder);
    let flush_ms = options.flush_ms.to_string();
    let up = Up::start(up(&folder.join("data")).env("LD_PRELOAD", &slow).env("SLOW_DISK_FLUSH_MS", flush_ms));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(overloaded(&up, options));
    let end = up.settle();
    up.interrupt();
    let ended = up.end();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    (report, end)
}

async fn overloaded(up: &Up, options: Options) -> Report {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client");
    let url = up.url.clone();
    let mut ids = prepare(&client, &url, options.harms * 2).await;
    let unloaded = harms_one_by_one(&client, &url, 0..options.harms).await;

    let closed = flood::closed(&client, &url, "look", SENDERS, LOOK_S).await;
    let disk_per_s = (closed.accepted.len() as u64 / LOOK_S).max(1);
    say(&format!("the disk takes {disk_per_s} facts a second, each in a request of its own; now {} times as many", options.times));

    let memory_before = up.memory_bytes().expect("it runs");
    let (memory_max, pid) = (Arc::new(AtomicU64::new(memory_before)), up.pid());
    let watching = tokio::spawn({
        let memory_max = Arc::clone(&memory_max);
        async move {
            while let Some(bytes) = memory_bytes(pid) {
                memory_max.fetch_max(bytes, Ordering::SeqCst);
                sleep(MEMORY_EVERY).await;
            }
        }
    });
    let apart = Duration::from_secs(options.seconds) / (options.harms as u32 + 1);
    let (flooded, overloaded) = tokio::join!(
        flood::open(&client, &url, "flood", disk_per_s * options.times, options.seconds),
        harms_at_their_times(&client, &url, options.harms..options.harms * 2, apart),
    );
    let published_per_s = (flooded.sent as f64 / flooded.took_s) as u64;
    watching.abort();

    let Flooded { accepted, refused, wrong, .. } = flooded;
    let harms_refused = overloaded.iter().map(|harm| harm.refused).sum();
    let in_order = |harms: &[Harm]| {
        let mut ms: Vec<u64> = harms.iter().map(|harm| harm.took_ms).collect();
        ms.sort_unstable();
        ms
    };
    let (unloaded_ms, overloaded_ms) = (in_order(&unloaded), in_order(&overloaded));
    let ratio = |of: &dyn Fn(&[u64]) -> u64| of(&overloaded_ms) as f64 / of(&unloaded_ms).max(1) as f64;
    let accepted_count = accepted.len();
    ids.extend(unloaded.into_iter().chain(overloaded).map(|harm| harm.id));
    // Whoever hung up on the first look does not know what became of its last facts; the others have to be there.
    ids.extend(closed.accepted.into_iter().chain(accepted));
    Report {
        disk_per_s,
        published_per_s,
        accepted: accepted_count,
        refused,
        memory_before,
        memory_max: memory_max.load(Ordering::SeqCst),
        p50_ratio: ratio(&|ms| ms[ms.len() / 2]),
        max_ratio: ratio(&|ms| ms[ms.len() - 1]),
        unloaded_ms,
        overloaded_ms,
        harms_refused,
        wrong: wrong.into_iter().chain(closed.wrong).map(|(what, count)| format!("{count} times {what}")).collect(),
        ids,
    }
}

/// A harm that was answered.
struct Harm {
    id: String,
    took_ms: u64,
    /// How often it was told to come again.
    refused: u64,
}

/// Tells a harm of each agent, each once the one before was answered.
async fn harms_one_by_one(client: &Client, url: &str, agents: std::ops::Range<usize>) -> Vec<Harm> {
    let mut harms = Vec::new();
    for number in agents {
        harms.push(answered(client, url, number).await);
    }
    harms
}

/// Tells a harm of each agent, so far apart, whether or not the one before was answered: a harm that waits must not put off the
/// next one until the flood is over.
async fn harms_at_their_times(client: &Client, url: &str, agents: std::ops::Range<usize>, apart: Duration) -> Vec<Harm> {
    let mut telling = JoinSet::new();
    for (number, nth) in agents.zip(1..) {
        let (client, url) = (client.clone(), url.to_owned());
        telling.spawn(async move {
            sleep(apart * nth).await;
            answered(&client, &url, number).await
        });
    }
    telling.join_all().await
}

async fn answered(client: &Client, url: &str, number: usize) -> Harm {
    timeout(PATIENCE, harm(client, url, number)).await.expect("an order comes")
}

/// Tells a harm of an agent that serves a new version, and waits for the order that answers it.
async fn harm(client: &Client, url: &str, number: usize) -> Harm {
    let (agent, id) = (format!("harmed-{number}"), format!("harm-{number}"));
    let orders = client.get(format!("{url}/v1/agents/{agent}/orders?from=now")).send().await.expect("whoever obeys is let listen");
    assert_eq!(orders.status().as_u16(), 200, "whoever obeys is let listen");
    let told = json!({
        "specversion": "1.0", "id": id, "source": format!("/platforms/helpdesk/agents/{agent}"), "type": "io.reeve.harm.reported.v1",
        "partitionkey": agent, "data": {"category": "wrong_refund", "confirmed": true, "version": "v2"},
    });
    let (begun, mut refused) = (moment(), 0);
    while !flood::answer(client, url, &told).await.expect("a harm is taken, or told to come again") {
        refused += 1;
        sleep(HARM_AGAIN_AFTER).await;
    }
    let mut orders = orders;
    let mut heard = String::new();
    while !heard.contains("ordered") {
        let chunk = orders.chunk().await.expect("the stream goes on").expect("an order comes before the stream ends");
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    Harm { id, took_ms: begun.elapsed().as_millis() as u64, refused }
}

/// Agents that may be rolled back: a good version, one after it, and the leave to act. Ids of what was told.
async fn prepare(client: &Client, url: &str, agents: usize) -> Vec<String> {
    let (mut ids, mut events) = (Vec::new(), Vec::new());
    for number in 0..agents {
        let agent = format!("harmed-{number}");
        let mut tell = |name: &str, kind: &str, who: &str, subject: Option<&str>, data: Value| {
            let id = format!("{agent}-{name}");
            let mut event = json!({
                "specversion": "1.0", "id": id, "source": format!("{who}{agent}"), "type": format!("io.reeve.{kind}.v1"),
                "partitionkey": agent, "data": data,
            });
            if let Some(subject) = subject {
                event["subject"] = json!(subject);
            }
            ids.push(id);
            event
        };
        let (platform, ann) = ("/platforms/helpdesk/agents/", "/people/ann/");
        let word = |more: Value| {
            let mut word = json!({"author": "ann", "reason": "to be rolled back if need be"});
            word.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
            word
        };
        let layers = json!({"model": "model-1"});
        let told = [
            tell("v1", "version.deployed", platform, None, json!({"version": "v1", "layers": layers})),
            tell("baseline", "baseline.declared", ann, None, word(json!({"version": "v1"}))),
            tell("enforce", "automation.set", ann, None, word(json!({"automation": "enforce"}))),
            tell("v2", "version.deployed", platform, None, json!({"version": "v2", "layers": layers, "previous": "v1"})),
            tell("session", "session.started", platform, Some("s-1"), json!({"version": "v2"})),
        ];
        events.extend(told);
    }
    assert_eq!(flood::answer(client, url, &json!(events)).await, Ok(true), "{events:?}");
    ids
}

/// What makes flushes slow, built for this machine. A linker is here, or nothing of this would be.
fn slow_disk(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("slow_disk.c"), folder.join("slow_disk.so"));
    std::fs::write(&source, include_str!("slow_disk.c")).expect("the test's folder is writable");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compile.status().is_ok_and(|status| status.success()), "`cc` builds {}", source.display());
    library
}
