//! `GET /v1/events`: the log as people and scripts read it, one structured CloudEvent a line, in the order of append.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Pairs, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use runtime::log::merge::{Cursor, Merged};
use runtime::log::{Log, LogError};
use wire::{Partition, cloudevents};

use crate::Gateway;
use crate::access::unavailable;
use crate::contract::EVENTS_ROUTE;
use crate::door::{Caller, Known};
use crate::problem::{Fault, Problem, ProblemKind};
use crate::query::{From, Query};
use crate::serve::Drain;
use crate::stream::{self, End, Outlet};

/// Media type of one JSON text a line.
const LINES: &str = "application/x-ndjson";
/// Records that are looked at in one turn at the log; then others have theirs.
const TURN_RECORDS_MAX: usize = 8_192;
/// Records asked for at once: how far a turn overshoots when its lines are enough.
const BATCH_RECORDS: usize = 128;
/// Bytes of lines that are made in one turn, and one line more.
const TURN_BYTES_MAX: usize = 512 << 10;

/// A reading of the log that is under way.
struct Reading {
    query: Query,
    caller: Caller,
    cursor: Cursor,
    /// Lines told so far.
    told: u64,
}

/// What one turn at the log brought.
struct Turn {
    lines: Vec<u8>,
    /// Whether nothing more stood on the log.
    reached_end: bool,
}

/// Answers with the records that pass the filter, up to the end of the log, or going on with it.
pub(crate) async fn events(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Known,
    drain: Option<Extension<Drain>>,
    pairs: Result<Pairs<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let Pairs(pairs) = pairs.map_err(|rejection| Problem::new(ProblemKind::BadRequest, rejection.body_text()))?;
    let query = Query::read(pairs)?;
    query.filter.check(&caller)?;
    let cursor = start(&gateway, &query.from).await?;
    let drain = drain.map(|Extension(drain)| drain);
    let (outlet, pieces) = stream::open::<Bytes>(&gateway, caller.clone(), drain, query.wait, EVENTS_ROUTE)?;
    // The first turn is taken before the answer begins, so that a log that cannot be read is told by a status.
    let mut outlet = outlet;
    outlet.look();
    let (reading, first) = Reading { query, caller, cursor, told: 0 }.turn(&gateway).await.map_err(|error| unavailable(&error))?;
    tokio::spawn(async move {
        let told = reading.tell(first, &gateway, &mut outlet).await;
        outlet.end(told).await;
    });
    Ok(([(header::CONTENT_TYPE, LINES), (header::CACHE_CONTROL, "no-cache")], Body::from_stream(pieces)).into_response())
}

async fn start(gateway: &Gateway, from: &From) -> Result<Cursor, Problem> {
    let ends =
        gateway.access.read(|log| (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect::<Result<Vec<_>, _>>());
    let ends = ends.await.map_err(|error| unavailable(&error))?;
    let limit = ends.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    let refused = |code, detail: String| Problem::of(ProblemKind::BadRequest, Fault::new("from", code, detail).limit(limit.as_str()));
    match from {
        From::Beginning => Ok(Cursor::start()),
        From::Now => Ok(Cursor::parse(&limit).expect("offsets with dots between them are a cursor")),
        From::Cursor(text) => {
            let cursor = Cursor::parse(text).map_err(|error| refused("malformed", error.to_string()))?;
            let beyond = (0..).map(Partition).zip(&ends).any(|(partition, end)| cursor.next(partition) > *end);
            // Waiting there would pass over records in silence.
            if beyond { Err(refused("out_of_range", "the cursor is of another log".to_owned())) } else { Ok(cursor) }
        }
    }
}

// === impl Reading ===

impl Reading {
    /// Tells what the turns bring until there is nothing more to tell.
    async fn tell(mut self, first: Turn, gateway: &Gateway, outlet: &mut Outlet<Bytes>) -> Result<(), End> {
        let mut turn = first;
        loop {
            if !turn.lines.is_empty() {
                outlet.write(turn.lines.into()).await?;
            }
            if self.is_told_enough() || turn.reached_end && !self.query.follow {
                return Ok(());
            }
            if turn.reached_end {
                outlet.wait().await?;
            }
            outlet.look();
            (self, turn) = self.turn(gateway).await?;
        }
    }

    async fn turn(mut self, gateway: &Gateway) -> Result<(Self, Turn), LogError> {
        gateway.access.read(move |log| self.read(log).map(|turn| (self, turn))).await
    }

    /// Reads on until the turn is over; blocks.
    fn read(&mut self, log: &dyn Log) -> Result<Turn, LogError> {
        let mut turn = Turn { lines: Vec::new(), reached_end: false };
        let mut merged = Merged::new(log, self.cursor.clone());
        for _ in 0..TURN_RECORDS_MAX / BATCH_RECORDS {
            let batch = merged.next_batch(BATCH_RECORDS)?;
            turn.reached_end = batch.is_empty();
            for record in &batch {
                if self.is_told_enough() || turn.lines.len() >= TURN_BYTES_MAX {
                    return Ok(turn);
                }
                self.cursor.pass(record);
                if self.query.filter.passes(record) && self.caller.may_read(record) {
                    self.told += 1;
                    let line = cloudevents::to_structured(record, log.topic(), Some(&self.cursor.to_string()));
                    turn.lines.extend_from_slice(line.to_string().as_bytes());
                    turn.lines.push(b'\n');
                }
            }
            if turn.reached_end {
                break;
            }
        }
        Ok(turn)
    }

    fn is_told_enough(&self) -> bool {
        self.query.limit.is_some_and(|limit| self.told >= limit)
    }
}
