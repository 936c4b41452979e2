//! `POST /v1/events`: facts come in. A request is taken whole or not at all, and it is answered with 202 only after
//! the log has committed.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::{Extension, response::IntoResponse};
use runtime::log::{Addressed, AppendError, Appended, Log};
use serde::Serialize;
use wire::{Event, Kind, Offset, Partition, RawRecord, RecordId, Refusal, Source, limits};

use crate::Gateway;
use crate::access::unavailable;
use crate::body::{self, Taken};
use crate::door::{Caller, Known};
use crate::problem::{Fault, Problem, ProblemKind};
use crate::serve::Drain;
use crate::translate::{self, Form, Parsed};

/// What Reeve has to act on at once: harm, what has been found, and the answers to its orders.
const URGENT: &[Kind] = &[Kind::HarmReported, Kind::FindingReported, Kind::CommandAcknowledged];

/// What became of a request's events.
#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    /// Events that were new.
    accepted: u64,
    /// Events that stood on the log already.
    repeated: u64,
    /// Every record, in the order of the events; a kind that concerns every partition has one on each.
    records: Vec<Place>,
}

/// Where a record stands.
#[derive(Debug, Serialize)]
struct Place {
    id: RecordId,
    source: Source,
    partition: Partition,
    offset: Offset,
    repeated: bool,
}

/// An event that may pass, and its bytes.
struct Ready {
    event: Event,
    raw: RawRecord,
}

/// One record of the event at `position`.
struct Copy {
    position: usize,
    partition: Partition,
}

/// Takes events in.
pub(crate) async fn accept(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Known,
    drain: Option<Extension<Drain>>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    if drain.is_some_and(|Extension(drain)| drain.has_begun()) {
        return Err(Problem::new(ProblemKind::Draining, "the gateway is going down"));
    }
    let form = Form::of(&headers)?;
    let taken = body::read(body, form.bytes_max(), gateway.options.body_timeout, &gateway.bodies).await?;
    let (told_kind, bytes) = (headers.get("ce-type").cloned(), taken.bytes.clone());
    let is_urgent = move || is_urgent(told_kind.as_ref(), &bytes);
    let receipt = gateway.access.append(is_urgent, move |log| take(log, &caller, form, &headers, taken)).await?;
    gateway.metrics.accepted.inc_by(receipt.accepted);
    gateway.metrics.repeated.inc_by(receipt.repeated);
    Ok((StatusCode::ACCEPTED, Json(receipt)))
}

/// Whether a request says that it holds something that Reeve has to act on at once. It is looked at as it came, for to read
/// it properly is a part of what there is no room for; whoever says so of everything has a few turns more, and that is all.
fn is_urgent(told_kind: Option<&HeaderValue>, bytes: &[u8]) -> bool {
    match (told_kind, std::str::from_utf8(bytes)) {
        (Some(told), _) => URGENT.iter().any(|kind| told == kind.ce_type()),
        (None, Ok(text)) => URGENT.iter().any(|kind| text.contains(&format!("\"{}\"", kind.ce_type()))),
        (None, Err(_)) => false,
    }
}

/// Translates, checks and appends; blocks. The body keeps its room among all bodies until its events are on the log: they
/// take as much as it did, and who hangs up meanwhile makes no room for another.
fn take(log: &dyn Log, caller: &Caller, form: Form, headers: &HeaderMap, taken: Taken) -> Result<Receipt, Problem> {
    let parsed = translate::events(form, headers, &taken.bytes, log.now())?;
    caller.take_rest(parsed.len())?;
    let ready = whole(parsed, caller, form)?;
    let copies = copies(&ready, log.partitions());
    if copies.is_empty() {
        return Ok(Receipt::of(&ready, &copies, &[]));
    }
    let addressed = |copy: &Copy| Addressed { partition: copy.partition, record: ready[copy.position].raw.clone() };
    match log.append(copies.iter().map(addressed).collect()) {
        Ok(appended) => Ok(Receipt::of(&ready, &copies, &appended)),
        Err(AppendError::IdTaken(taken)) => Err(id_taken(&ready, taken.iter().map(|index| &copies[*index]), form)),
        Err(AppendError::Busy { retry_after_ms }) => {
            Err(Problem::new(ProblemKind::Busy, "the log is too busy").retry_after_ms(retry_after_ms))
        }
        Err(AppendError::Log(error)) => Err(unavailable(&error)),
    }
}

/// The events as records, if nothing is wrong with any of them; else every fault of every event. One that the caller has
/// no right to decides the answer, whatever is wrong with the others.
fn whole(parsed: Vec<Parsed>, caller: &Caller, form: Form) -> Result<Vec<Ready>, Problem> {
    let mut ready = Vec::with_capacity(parsed.len());
    let mut faults = Vec::new();
    let mut kind = ProblemKind::Refused;
    for (position, parsed) in parsed.into_iter().enumerate() {
        match parsed.and_then(Ready::of) {
            Ok(event) => {
                let forbidden = caller.faults_of(&event.event);
                if !forbidden.is_empty() {
                    kind = ProblemKind::Forbidden;
                }
                faults.extend(forbidden.into_iter().map(|fault| fault.at(form.index(position))));
                ready.push(event);
            }
            Err(refusals) => {
                if kind == ProblemKind::Refused && refusals.iter().any(is_no_avro) {
                    kind = ProblemKind::Malformed;
                }
                faults.extend(refusals.iter().map(|refusal| Fault::from(refusal).at(form.index(position))));
            }
        }
    }
    if faults.is_empty() { Ok(ready) } else { Err(Problem::of_all(kind, faults)) }
}

/// Whether a body is not even what its content type says.
fn is_no_avro(refusal: &Refusal) -> bool {
    use Refusal::{TrailingBytes, Undecodable, UnknownFraming, UnregisteredSchema};
    matches!(refusal, UnknownFraming | UnregisteredSchema { .. } | Undecodable { .. } | TrailingBytes { .. })
}

/// Where each event goes: to the partition of its key, or to every one.
fn copies(ready: &[Ready], partitions: u32) -> Vec<Copy> {
    let mut copies = Vec::with_capacity(ready.len());
    for (position, Ready { event, .. }) in ready.iter().enumerate() {
        if event.body.kind().is_broadcast() {
            copies.extend((0..partitions).map(|partition| Copy { position, partition: Partition(partition) }));
        } else {
            copies.push(Copy { position, partition: event.partition(partitions) });
        }
    }
    copies
}

fn id_taken<'a>(ready: &[Ready], taken: impl Iterator<Item = &'a Copy>, form: Form) -> Problem {
    let positions: BTreeSet<usize> = taken.map(|copy| copy.position).collect();
    let fault = |position: usize| {
        let event = &ready[position].event;
        let refusal = Refusal::IdTaken { source_name: event.source.to_string(), id: event.id.to_string() };
        Fault::from(&refusal).at(form.index(position))
    };
    Problem::of_all(ProblemKind::IdTaken, positions.into_iter().map(fault).collect())
}

// === impl Ready ===

impl Ready {
    fn of(event: Event) -> Parsed<Self> {
        let raw = event.to_raw();
        // The limits of the fields do not promise that of the whole, and a larger value is one that no room reads.
        match limits::check_size("data", limits::VALUE_BYTES_MAX, raw.value.len()) {
            Ok(()) => Ok(Self { event, raw }),
            Err(refusal) => Err(vec![refusal]),
        }
    }
}

// === impl Receipt ===

impl Receipt {
    fn of(ready: &[Ready], copies: &[Copy], appended: &[Appended]) -> Self {
        let mut is_new = vec![false; ready.len()];
        let mut records = Vec::with_capacity(appended.len());
        for (copy, stands) in copies.iter().zip(appended) {
            let event = &ready[copy.position].event;
            // Copies are committed together: where one is new, the event is.
            is_new[copy.position] |= !stands.repeated;
            let (id, source) = (event.id.clone(), event.source.clone());
            records.push(Place { id, source, partition: copy.partition, offset: stands.offset, repeated: stands.repeated });
        }
        let accepted = is_new.iter().filter(|is_new| **is_new).count();
        Self { accepted: accepted as u64, repeated: (ready.len() - accepted) as u64, records }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_acted_on_at_once_is_known_by_its_type_and_not_by_what_is_said() {
        let header = HeaderValue::from_static("io.reeve.harm.reported.v1");
        assert!(is_urgent(Some(&header), b""));
        assert!(is_urgent(None, br#"[{"type": "io.reeve.session.ended.v1"}, {"type":"io.reeve.harm.reported.v1"}]"#));
        assert!(!is_urgent(Some(&HeaderValue::from_static("io.reeve.message.posted.v1")), br#""io.reeve.harm.reported.v1""#));
        assert!(!is_urgent(None, br#"{"data": {"text": "is \"io.reeve.harm.reported.v1\" urgent?"}}"#));
        assert!(!is_urgent(None, &[0xff]));
    }
}
