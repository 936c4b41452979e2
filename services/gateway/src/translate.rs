//! From a request to events: the three forms of CloudEvents over HTTP, and all that is wrong with what came.

use std::fmt;

use axum::http::HeaderMap;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use wire::cloudevents::{self, Door};
use wire::{Event, Refusal, Timestamp, limits};

use crate::body::{content_type, unsupported};
use crate::problem::{Fault, Problem, ProblemKind};

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
/// 400 when the body is not what its content type says, 413 when it holds too many events.
pub(crate) fn events(form: Form, headers: &HeaderMap, bytes: &[u8], now: Timestamp) -> Result<Vec<Parsed>, Problem> {
    match form {
        Form::Structured => match json("body", bytes, serde_json::from_slice(bytes))? {
            value @ Value::Object(_) => Ok(vec![structured(value, now)]),
            _ => Err(malformed("body", "an event in JSON is an object")),
        },
        Form::Batched => {
            let values = list(bytes)?;
            Ok(values.into_iter().map(|value| structured(value, now)).collect())
        }
        Form::BinaryJson | Form::BinaryAvro => {
            if form == Form::BinaryJson && !bytes.is_empty() {
                json("data", bytes, serde_json::from_slice::<IgnoredAny>(bytes))?;
            }
            Ok(vec![binary(headers, bytes, now)])
        }
    }
}

fn structured(mut value: Value, now: Timestamp) -> Parsed {
    whole_numbers(&mut value);
    let future = value.get("time").and_then(Value::as_str).and_then(|time| future(time, now));
    joined(cloudevents::parse_value(value, Door::Public), future)
}

fn binary(headers: &HeaderMap, bytes: &[u8], now: Timestamp) -> Parsed {
    let time = headers.get("ce-time").and_then(|time| time.to_str().ok());
    let whole = with_whole_numbers(headers, bytes);
    let bytes = whole.as_deref().unwrap_or(bytes);
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

/// The body of the binary form in JSON, where it holds whole numbers that were written as doubles.
fn with_whole_numbers(headers: &HeaderMap, bytes: &[u8]) -> Option<Vec<u8>> {
    if !matches!(Form::of(headers), Ok(Form::BinaryJson)) {
        return None;
    }
    let mut value = serde_json::from_slice(bytes).ok()?;
    whole_numbers(&mut value).then(|| value.to_string().into_bytes())
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

/// The members of a JSON list. One that is too long is not kept to its end.
fn list(bytes: &[u8]) -> Result<Vec<Value>, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Bounded.deserialize(&mut deserializer).and_then(|values| deserializer.end().map(|()| values));
    json("body", bytes, read)?.ok_or_else(|| {
        let limit = limits::BATCH_EVENTS_MAX;
        Problem::of(
            ProblemKind::TooLarge,
            Fault::new("body", "too_large", format!("at most {limit} events are taken at once")).limit(limit),
        )
    })
}

/// What was read as JSON, or where it ceases to be JSON.
fn json<T>(field: &str, bytes: &[u8], read: serde_json::Result<T>) -> Result<T, Problem> {
    read.map_err(|error| match bytes.is_empty() {
        true => malformed(field, "the body is empty"),
        false => malformed(field, &format!("it is not the JSON that is expected: {error}")),
    })
}

fn malformed(field: &str, detail: &str) -> Problem {
    Problem::of(ProblemKind::Malformed, Fault::new(field, "malformed", detail))
}

/// Reads a list of at most `BATCH_EVENTS_MAX` values; a longer one is `None`.
struct Bounded;

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

// === impl Bounded ===

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = Option<Vec<Value>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Option<Vec<Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = members.next_element()? {
            values.push(value);
            if values.len() > limits::BATCH_EVENTS_MAX {
                while members.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
        }
        Ok(Some(values))
    }
}
