//! A gateway whose log is busy, does not answer, or breaks down.

use std::sync::Arc;
use std::time::Duration;

use gateway::{GatewayOptions, ServeLimits};
use reqwest::Client;
use runtime::log::{Addressed, AppendError, Appended, Consumer, Log, LogError, Producer};
use tokio::sync::oneshot;
use wire::{Offset, Partition, StoredRecord, Timestamp};

use crate::house::{Answer, STRUCTURED, harm, spawn};

/// What every call comes to.
#[derive(Clone, Copy)]
enum Sickness {
    Busy,
    Unavailable,
    Storage,
    Gone,
    Panic,
}

struct SickLog(Sickness);

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_log_says_when_to_come_again() {
    let answer = publish(Sickness::Busy).await;
    answer.is_problem(503, "busy", &[]);
    assert_eq!(answer.retry_after.as_deref(), Some("3"), "2,500 ms are three whole seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_is_told() {
    for sickness in [Sickness::Unavailable, Sickness::Storage] {
        let answer = publish(sickness).await;
        answer.is_problem(503, "log_unavailable", &[]);
        assert_eq!(answer.retry_after.as_deref(), Some("5"));
        for path in ["/v1/events", "/v1/events?from=now", "/v1/agents/telecom/orders?from=now"] {
            get(sickness, path).await.is_problem(503, "log_unavailable", &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_has_dropped_is_gone() {
    get(Sickness::Gone, "/v1/events").await.is_problem(410, "gone", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_breaks_down_takes_nobody_with_it() {
    publish(Sickness::Panic).await.is_problem(500, "broken", &[]);
    get(Sickness::Panic, "/v1/events").await.is_problem(503, "log_unavailable", &[]);
}

async fn publish(sickness: Sickness) -> Answer {
    ask(sickness, |client, url| {
        client.post(format!("{url}/v1/events")).header("content-type", STRUCTURED).body(harm("telecom", "a").to_string())
    })
    .await
}

async fn get(sickness: Sickness, path: &str) -> Answer {
    ask(sickness, |client, url| client.get(format!("{url}{path}"))).await
}

async fn ask(sickness: Sickness, request: impl FnOnce(&Client, &str) -> reqwest::RequestBuilder) -> Answer {
    let (_stop, stopped) = oneshot::channel();
    let (address, _) = spawn(Arc::new(SickLog(sickness)), GatewayOptions::default(), ServeLimits::default(), stopped).await;
    let client = Client::new();
    Answer::read(request(&client, &format!("http://{address}")).send().await.expect("an answer")).await
}

impl SickLog {
    fn fails<T>(&self) -> Result<T, LogError> {
        let partition = Partition(0);
        match self.0 {
            Sickness::Panic => panic!("the log breaks down, as this test wants it to"),
            Sickness::Storage => Err(LogError::Storage { reason: "the disk is full".to_owned() }),
            Sickness::Gone => Err(LogError::OffsetGone { partition, start: Offset(7), asked: Offset(0) }),
            Sickness::Busy | Sickness::Unavailable => Err(LogError::Unavailable { reason: "nobody answers".to_owned() }),
        }
    }
}

impl Log for SickLog {
    fn topic(&self) -> &str {
        "agent-events"
    }

    fn partitions(&self) -> u32 {
        1
    }

    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-06-01T00:00:00Z").expect("a time")
    }

    fn consumer(&self, _: &str, _: &str) -> Result<Box<dyn Consumer>, LogError> {
        self.fails()
    }

    fn producer(&self, _: &str) -> Result<Box<dyn Producer>, LogError> {
        self.fails()
    }

    fn append(&self, _: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        match self.0 {
            Sickness::Busy => Err(AppendError::Busy { retry_after_ms: 2_500 }),
            _ => Ok(self.fails()?),
        }
    }

    fn read(&self, _: Partition, _: Offset, _: usize) -> Result<Vec<StoredRecord>, LogError> {
        self.fails()
    }

    fn end(&self, _: Partition) -> Result<Offset, LogError> {
        if matches!(self.0, Sickness::Gone) { Ok(Offset(9)) } else { self.fails() }
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        std::thread::sleep(timeout);
        seen
    }
}
