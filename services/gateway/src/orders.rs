//! `GET /v1/agents/{agent}/orders`: what Reeve orders of one agent, as server-sent events, so that a platform without
//! Kafka can obey. Every order is told once to each connection, in the order of the log, and none is skipped.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use runtime::log::LogError;
use wire::{Kind, Offset, Partition, StoredRecord, cloudevents, partitioner};

use crate::Gateway;
use crate::access::unavailable;
use crate::contract::ORDERS_ROUTE;
use crate::door::Known;
use crate::problem::{Fault, Problem, ProblemKind};
use crate::query::{WAIT, wait};
use crate::serve::Drain;
use crate::stream::{self, End, Outlet};

/// What an agent's platform has to obey.
pub(crate) const ORDERS: &[Kind] = &[Kind::ModeOrdered, Kind::RollbackOrdered];
/// Records read at once.
const PAGE_RECORDS: usize = 64;
/// When a client that lost its connection should come again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// The orders of one agent that are told on one connection.
struct Orders {
    agent: String,
    partition: Partition,
    next: Offset,
}

/// How a client wishes to listen.
#[derive(Debug, Default)]
struct Wish {
    from_now: bool,
    wait: Option<Duration>,
}

/// Answers with the agent's orders: from the log's beginning, after `Last-Event-ID`, or from now on (`?from=now`).
pub(crate) async fn orders(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Known,
    drain: Option<Extension<Drain>>,
    agent: Result<Path<String>, PathRejection>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let agent = agent_in_path(agent)?;
    caller.check_agent(&agent)?;
    // Some of the orders would be none that could be relied on.
    caller.check_kinds(ORDERS)?;
    let partition = partitioner::partition_of(agent.as_bytes(), gateway.access.log().partitions());
    let wish = Wish::read(query)?;
    let next = match last_event_id(&headers, partition)? {
        Some(last) => after(&gateway, partition, last).await?,
        None if wish.from_now => end_of(&gateway, partition).await?,
        None => Offset(0),
    };
    let (outlet, pieces) = stream::open(&gateway, caller, drain.map(|Extension(drain)| drain), wish.wait, ORDERS_ROUTE)?;
    let keep_alive = KeepAlive::new().interval(gateway.options.keep_alive).text("still here");
    tokio::spawn(async move {
        let mut outlet = outlet;
        let told = Orders { agent, partition, next }.tell(&gateway, &mut outlet).await;
        let Err(end) = told;
        outlet.end(Err(end)).await;
    });
    Ok(Sse::new(pieces).keep_alive(keep_alive).into_response())
}

// === impl Orders ===

impl Orders {
    /// Tells every order that there is and that will be, until the client or the server is gone.
    async fn tell(mut self, gateway: &Gateway, outlet: &mut Outlet<Event>) -> Result<Infallible, End> {
        outlet.write(Event::default().retry(RECONNECT_AFTER)).await?;
        loop {
            outlet.look();
            let page = self.page(gateway).await?;
            let Some(last) = page.last() else {
                outlet.wait().await?;
                continue;
            };
            self.next = last.offset.next();
            for stored in page.iter().filter(|stored| self.concerns(stored)) {
                outlet.write(told(stored, gateway.access.log().topic())).await?;
            }
        }
    }

    /// The next records of the partition. What the log no longer has is no order that could still be obeyed.
    async fn page(&self, gateway: &Gateway) -> Result<Vec<StoredRecord>, LogError> {
        let (partition, next) = (self.partition, self.next);
        gateway
            .access
            .read(move |log| match log.read(partition, next, PAGE_RECORDS) {
                Err(LogError::OffsetGone { start, .. }) if next == Offset(0) => log.read(partition, start, PAGE_RECORDS),
                page => page,
            })
            .await
    }

    /// By the first bytes of the value and the key alone: most records are no orders.
    fn concerns(&self, stored: &StoredRecord) -> bool {
        stored.raw.kind().is_some_and(|kind| ORDERS.contains(&kind)) && stored.raw.key.as_deref() == Some(self.agent.as_bytes())
    }
}

fn told(order: &StoredRecord, topic: &str) -> Event {
    let kind = order.raw.kind().map_or("unknown", Kind::name);
    let event = cloudevents::to_structured(order, topic, None);
    Event::default().id(format!("{}:{}", order.partition, order.offset)).event(kind).data(event.to_string())
}

/// The agent that a path names.
///
/// # Errors
/// 400, when it is no name of an agent.
pub fn agent_in_path(agent: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(agent) = agent.map_err(|rejection| Problem::new(ProblemKind::BadRequest, rejection.body_text()))?;
    match wire::limits::check_name("agent", wire::limits::AGENT_BYTES_MAX, &agent) {
        Ok(()) => Ok(agent),
        Err(refusal) => Err(Problem::of(ProblemKind::BadRequest, Fault::from(&refusal))),
    }
}

impl Wish {
    fn read(query: Result<Query<Vec<(String, String)>>, QueryRejection>) -> Result<Self, Problem> {
        let Query(pairs) = query.map_err(|rejection| Problem::new(ProblemKind::BadRequest, rejection.body_text()))?;
        let mut wish = Self::default();
        let mut faults = Vec::new();
        for (name, value) in &pairs {
            match (name.as_str(), value.as_str()) {
                ("from", "now") => wish.from_now = true,
                ("from", found) => faults.push(Fault::new("from", "out_of_range", format!("from is `{found}`")).limit("now")),
                (WAIT, value) => match wait(value) {
                    Ok(wait) => wish.wait = Some(wait),
                    Err(fault) => faults.push(fault),
                },
                (unknown, _) => {
                    faults.push(Fault::new(unknown, "unknown_field", "there is no such parameter").limit(format!("from, {WAIT}")));
                }
            }
        }
        if faults.is_empty() { Ok(wish) } else { Err(Problem::of_all(ProblemKind::BadRequest, faults)) }
    }
}

/// The place of the last order that the client saw.
fn last_event_id(headers: &HeaderMap, partition: Partition) -> Result<Option<Offset>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    let place = value.to_str().ok().and_then(|text| text.split_once(':'));
    let place = place.and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    match place {
        Some((found, _)) if Partition(found) != partition => Err(bad_last_event_id(
            "wrong_partition",
            format!("partition {found} holds no order of this agent"),
            format!("{partition}:<offset>"),
        )),
        Some((_, offset)) if (0..i64::MAX).contains(&offset) => Ok(Some(Offset(offset))),
        _ => Err(bad_last_event_id("malformed", "it is not the id of an order".to_owned(), format!("{partition}:<offset>"))),
    }
}

/// The offset after `last`. One that the log has not reached is of another log: waiting for it would skip orders.
async fn after(gateway: &Gateway, partition: Partition, last: Offset) -> Result<Offset, Problem> {
    let end = end_of(gateway, partition).await?;
    if last >= end {
        let detail = format!("partition {partition} ends before {end}: the id is of another log");
        return Err(bad_last_event_id("out_of_range", detail, format!("{partition}:{}", end.previous())));
    }
    // Asked for here, so that a gap is an answer and not a stream that breaks off.
    let first = gateway.access.read(move |log| log.read(partition, last.next(), 1)).await;
    first.map(|_| last.next()).map_err(|error| unavailable(&error))
}

async fn end_of(gateway: &Gateway, partition: Partition) -> Result<Offset, Problem> {
    gateway.access.read(move |log| log.end(partition)).await.map_err(|error| unavailable(&error))
}

fn bad_last_event_id(code: &'static str, detail: String, limit: String) -> Problem {
    Problem::of(ProblemKind::BadRequest, Fault::new("last-event-id", code, detail).limit(limit))
}
