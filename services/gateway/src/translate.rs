//! From a request to events: the three forms of CloudEvents over HTTP, and all that is wrong with what came.

use std::fmt;

use axum::http::HeaderMap;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;
use wire::cloudevents::json::{self, Strict, ValuesLeft};
use wire::cloudevents::{self, Door};
use wire::{Event, Refusal, Timestamp, limits};

use crate::body::{content_type, unsupported};
use crate::problem::{FAULTS_LISTED_MAX, Fault, Problem, ProblemKind};

/// Bytes of a body that holds one event.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a body that holds a list of events.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// 2^53: up to here every whole number is a double.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// What may be written in a content type.
const CONTENT_TYPES: &str =
    "application/cloudevents+json, application/cloudevents-batch+json, or with ce-* headers application/json or application/avro";

/// How events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One event in JSON.
    Structured,
    /// A list of events in JSON.
    Batched,
    /// Attributes in headers, the value as JSON.
    BinaryJson,
    /// Attributes in headers, the value as framed Avro.
    BinaryAvro,
}

/// An event, or everything that is wrong with it.
pub(crate) type Parsed<T = Event> = Result<T, Vec<Refusal>>;

/// The events of a request whose body was read, each by itself.
///
/// # Errors
/// 400 when the body is not what its content type says, 413 when it holds too many events or values.
pub(crate) fn events(form: Form, headers: &HeaderMap, bytes: &[u8], now: Timestamp) -> Result<Vec<Parsed>, Problem> {
    match form {
        Form::Structured => match value("body", bytes)? {
            value @ Value::Object(_) => Ok(vec![structured(value, now)]),
            _ => Err(malformed("body", "an event in JSON is an object")),
        },
        Form::Batched => list(bytes, now),
        Form::BinaryJson if bytes.is_empty() => Ok(vec![binary(headers, bytes, now)]),
        Form::BinaryJson => {
            let mut value = value("data", bytes)?;
            let whole = whole_numbers(&mut value).then(|| value.to_string());
            Ok(vec![binary(headers, whole.as_deref().map_or(bytes, str::as_bytes), now)])
        }
        Form::BinaryAvro => Ok(vec![binary(headers, bytes, now)]),
    }
}

fn structured(mut value: Value, now: Timestamp) -> Parsed {
    whole_numbers(&mut value);
    let future = value.get("time").and_then(Value::as_str).and_then(|time| future(time, now));
    joined(cloudevents::parse_value(value, Door::Public), future)
}

fn binary(headers: &HeaderMap, bytes: &[u8], now: Timestamp) -> Parsed {
    let time = headers.get("ce-time").and_then(|time| time.to_str().ok());
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    joined(cloudevents::parse_binary(pairs, bytes, Door::Public), time.and_then(|time| future(time, now)))
}

/// Writes 1.0 as 1: to JSON Schema, and to who writes every number as a double, they are one number.
///
/// Returns whether there was any.
fn whole_numbers(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|found| number.is_f64() && found.fract() == 0.0 && found.abs() <= WHOLE_MAX);
            // Within these bounds a double holds every whole number exactly.
            whole.inspect(|whole| *number = (*whole as i64).into()).is_some()
        }
        Value::Array(items) => items.iter_mut().fold(false, |any, item| whole_numbers(item) | any),
        Value::Object(members) => members.values_mut().fold(false, |any, member| whole_numbers(member) | any),
        _ => false,
    }
}

/// The event, unless something is wrong with it, be it in its form or in what only this door refuses.
fn joined(parsed: Parsed, also: Option<Refusal>) -> Parsed {
    match (parsed, also) {
        (Ok(event), None) => Ok(event),
        (parsed, also) => Err(parsed.err().into_iter().flatten().chain(also).collect()),
    }
}

/// Nobody reports what is still to come. Clocks differ: a little is let pass.
///
/// Judged by the text and not by the event, so that it is told beside whatever else is wrong with it.
fn future(time: &str, now: Timestamp) -> Option<Refusal> {
    let latest = now.plus_s(limits::FUTURE_SECONDS_MAX);
    let found = Timestamp::parse(time).filter(|time| *time > latest)?;
    Some(Refusal::OutOfRange { field: "time".to_owned(), limit: format!("{latest} at the latest"), found: found.to_string() })
}

/// The JSON of one event, or of its value.
fn value(field: &str, bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.is_empty() {
        return Err(malformed(field, "the body is empty"));
    }
    json::read(field, bytes).map_err(|refusal| match refusal {
        Refusal::Malformed { reason, .. } => not_json(field, &reason),
        many => Problem::of(ProblemKind::TooLarge, Fault::from(&many)),
    })
}

/// The events of a JSON list. Each is translated as soon as it was read, so that never more than one of them stands in
/// memory as JSON, which takes many times the bytes of its text.
fn list(bytes: &[u8], now: Timestamp) -> Result<Vec<Parsed>, Problem> {
    if bytes.is_empty() {
        return Err(malformed("body", "the body is empty"));
    }
    let mut events = Events { now, parsed: Vec::new(), faults: 0, too_many: None };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = deserializer.deserialize_seq(&mut events).and_then(|()| deserializer.end());
    match (events.too_many, read) {
        (Some(too_many), _) => Err(too_many),
        (None, Err(error)) => Err(not_json("body", &error.to_string())),
        (None, Ok(())) => Ok(events.parsed),
    }
}

fn not_json(field: &str, reason: &str) -> Problem {
    malformed(field, &format!("it is not the JSON that is expected: {reason}"))
}

fn malformed(field: &str, detail: &str) -> Problem {
    Problem::of(ProblemKind::Malformed, Fault::new(field, "malformed", detail))
}

/// The events of a list while it is read.
struct Events {
    now: Timestamp,
    parsed: Vec<Parsed>,
    /// How much is wrong with them.
    faults: usize,
    /// What the list, or one of its events, has too many of.
    too_many: Option<Problem>,
}

// === impl Form ===

impl Form {
    /// The form that a request's headers announce.
    ///
    /// # Errors
    /// 415.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let found = content_type(headers)?;
        let has_attributes = headers.keys().any(|name| name.as_str().starts_with("ce-"));
        match (found.essence.as_str(), has_attributes) {
            (cloudevents::STRUCTURED, _) => Ok(Self::Structured),
            (cloudevents::BATCH, _) => Ok(Self::Batched),
            ("application/json", true) => Ok(Self::BinaryJson),
            ("application/avro", true) => Ok(Self::BinaryAvro),
            ("", _) => Err(unsupported("content-type", "a content type must be told", CONTENT_TYPES)),
            ("application/json" | "application/avro", false) => {
                let detail = format!("{} is taken with the event's attributes in ce-* headers only", found.essence);
                Err(unsupported("content-type", &detail, CONTENT_TYPES))
            }
            (other, _) => Err(unsupported("content-type", &format!("`{other}` is not taken"), CONTENT_TYPES)),
        }
    }

    /// The most that a body of this form may have.
    pub(crate) fn bytes_max(self) -> usize {
        match self {
            Self::Batched => BATCH_BYTES_MAX,
            Self::Structured | Self::BinaryJson | Self::BinaryAvro => EVENT_BYTES_MAX,
        }
    }

    /// How faults name the event at `position`: only events of a list have one.
    pub(crate) fn index(self, position: usize) -> Option<usize> {
        (self == Self::Batched).then_some(position)
    }
}

// === impl Events ===

impl Events {
    /// Keeps an event. Beyond what an answer lists, of each faulty one a single fault is kept.
    fn keep(&mut self, mut parsed: Parsed) {
        if let Err(refusals) = &mut parsed {
            refusals.truncate(FAULTS_LISTED_MAX.saturating_sub(self.faults).max(1));
            self.faults += refusals.len();
        }
        self.parsed.push(parsed);
    }

    fn too_many_events() -> Problem {
        let limit = limits::BATCH_EVENTS_MAX;
        let detail = format!("at most {limit} events are taken at once");
        Problem::of(ProblemKind::TooLarge, Fault::new("body", "too_large", detail).limit(limit))
    }

    fn too_many_values(position: usize) -> Problem {
        let fault = Fault::from(&json::too_many("body")).at(Form::Batched.index(position));
        Problem::of(ProblemKind::TooLarge, fault)
    }
}

impl<'de> Visitor<'de> for &mut Events {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        loop {
            let mut left = ValuesLeft::default();
            let value = match members.next_element_seed(Strict(&mut left)) {
                Ok(Some(value)) => value,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.too_many = left.are_used_up().then(|| Events::too_many_values(self.parsed.len()));
                    return Err(error);
                }
            };
            if self.parsed.len() == limits::BATCH_EVENTS_MAX {
                self.too_many = Some(Events::too_many_events());
                return Err(A::Error::custom("too many events"));
            }
            self.keep(structured(value, self.now));
        }
    }
}
