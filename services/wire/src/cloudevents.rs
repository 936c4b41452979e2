//! CloudEvents 1.0 in JSON, as events come in over HTTP (structured, batched and binary) and as the log is read by
//! people and scripts (structured, a record a line). Pure functions: bytes in, an event or every fault of it out.
//!
//! What is unknown to Reeve is treated in two ways: extensions are ignored, as the specification wants; a field of
//! `data` that the kind does not have is refused, for a misspelt field would otherwise be a fact that nobody hears.

mod attributes;
pub mod json;
mod render;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use self::attributes::{Attributes, Content};
use crate::ids::Source;
use crate::limits;
use crate::record::Event;
use crate::refusal::Refusal;

pub use self::attributes::agent_of;
pub use self::render::to_structured;

/// Media type of one event in JSON.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// Media type of a list of events in JSON.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// Who stands at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Anybody: facts of platforms and words of people. Decisions are Reeve's own to say.
    Public,
    /// Whoever holds the log anyway: decisions too, with the hops that they carry.
    Trusted,
}

/// Reads one event in the structured JSON form.
///
/// # Errors
/// Every fault of it.
pub fn parse_structured(json: &[u8], door: Door) -> Result<Event, Vec<Refusal>> {
    parse_value(json::read("body", json).map_err(|fault| vec![fault])?, door)
}

/// Reads one event in the binary form: attributes in `ce-*` headers, the value in the body, as JSON or as framed Avro.
/// Other headers are not looked at.
///
/// # Errors
/// Every fault of it, attributes named without `ce-`.
pub fn parse_binary<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>, body: &[u8], door: Door) -> Result<Event, Vec<Refusal>> {
    let mut faults = Vec::new();
    let attributes = Attributes::of_headers(headers, &mut faults);
    let content = match attributes.media_type() {
        _ if body.is_empty() => Content::Absent,
        // Asked before it is copied.
        Some(media) if is_avro(&media) => match limits::check_size("data", limits::VALUE_BYTES_MAX, body.len()) {
            Ok(()) => Content::Framed(body.to_vec()),
            Err(fault) => refused(fault, &mut faults),
        },
        Some(media) if is_json(&media) => match json::read("data", body) {
            Ok(value) => Content::Json(value),
            Err(fault) => refused(fault, &mut faults),
        },
        Some(_) => refused(malformed("content-type", "application/json or application/avro is expected"), &mut faults),
        None => refused(Refusal::Missing { field: "content-type".to_owned() }, &mut faults),
    };
    attributes.into_event(content, door, faults)
}

/// The source of an agent's facts: `/platforms/<platform>/agents/<agent>`, both names percent-encoded.
pub fn platform_source(platform: &str, agent: &str) -> Source {
    /// What RFC 3986 leaves unreserved.
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let encoded = |text| utf8_percent_encode(text, SEGMENT);
    Source::from(format!("/platforms/{}/agents/{}", encoded(platform), encoded(agent)))
}

/// Reads one event in the structured form whose JSON is parsed already.
///
/// # Errors
/// Every fault of it.
pub fn parse_value(value: Value, door: Door) -> Result<Event, Vec<Refusal>> {
    let Value::Object(members) = value else {
        return Err(vec![malformed("body", "an event in JSON is an object")]);
    };
    let mut faults = Vec::new();
    let (attributes, content) = Attributes::of_members(members, &mut faults);
    attributes.into_event(content, door, faults)
}

/// Remembers a fault of the value, so that the rest of the event is still looked at.
fn refused(fault: Refusal, faults: &mut Vec<Refusal>) -> Content {
    faults.push(fault);
    Content::Refused
}

fn is_json(media: &str) -> bool {
    media == "application/json" || media.ends_with("+json")
}

fn is_avro(media: &str) -> bool {
    media == "application/avro"
}

fn malformed(field: &str, reason: &str) -> Refusal {
    Refusal::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
