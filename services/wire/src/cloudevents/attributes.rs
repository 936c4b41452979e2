//! From attributes and content to an event, or to the list of everything that is wrong with them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::{Door, is_avro, is_json, malformed, refused};
use crate::codec;
use crate::ids::{AgentId, Timestamp};
use crate::kinds::{Body, Kind};
use crate::limits;
use crate::record::Event;
use crate::refusal::Refusal;
use crate::shape;

/// The attributes that Reeve reads, as text. Every other one is an extension that it ignores.
#[derive(Default)]
pub(super) struct Attributes {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    time: Option<String>,
    subject: Option<String>,
    partitionkey: Option<String>,
    causationid: Option<String>,
    tenant: Option<String>,
    traceparent: Option<String>,
    hops: Option<String>,
    datacontenttype: Option<String>,
}

/// What came as the event's value.
pub(super) enum Content {
    Absent,
    /// Something whose fault is listed already.
    Refused,
    Json(Value),
    Framed(Vec<u8>),
}

// === impl Attributes ===

impl Attributes {
    /// Takes the members of an event in JSON apart.
    pub(super) fn of_members(members: Map<String, Value>, faults: &mut Vec<Refusal>) -> (Self, Content) {
        let mut attributes = Self::default();
        let (mut data, mut data_base64) = (None, None);
        for (name, value) in members {
            match (name.as_str(), value) {
                // The specification: null says the same as leaving it out.
                (_, Value::Null) => {}
                ("data", value) => data = Some(value),
                ("data_base64", value) => data_base64 = Some(value),
                (known, value) => attributes.take(known, value, faults),
            }
        }
        let content = match (data, data_base64) {
            (Some(_), Some(_)) => refused(Refusal::Contradiction { field: "data_base64".to_owned(), other: "data".to_owned() }, faults),
            (None, None) => Content::Absent,
            (Some(value), None) => match attributes.media_type() {
                Some(media) if !is_json(&media) => refused(malformed("datacontenttype", "`data` is JSON"), faults),
                _ => Content::Json(value),
            },
            (None, Some(value)) => attributes.framed(&value).unwrap_or_else(|fault| refused(fault, faults)),
        };
        (attributes, content)
    }

    /// Collects `ce-*` headers.
    pub(super) fn of_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>, faults: &mut Vec<Refusal>) -> Self {
        let mut attributes = Self::default();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            let name = match name.strip_prefix("ce-") {
                Some("datacontenttype") => continue,
                Some(attribute) => attribute,
                None if name == "content-type" => "datacontenttype",
                None => continue,
            };
            let Some(slot) = attributes.slot(name) else { continue };
            match header_text(value) {
                Some(_) if slot.is_some() => faults.push(malformed(name, "the header is given twice")),
                Some(text) => *slot = Some(text),
                None => faults.push(malformed(name, "the header is not UTF-8 once it is percent-decoded")),
            }
        }
        attributes
    }

    /// The media type of the value, in lower case and without parameters.
    pub(super) fn media_type(&self) -> Option<String> {
        let media = self.datacontenttype.as_deref()?.split(';').next().unwrap_or_default();
        Some(media.trim().to_ascii_lowercase())
    }

    /// The event, if nothing at all is wrong with it.
    pub(super) fn into_event(self, content: Content, door: Door, mut faults: Vec<Refusal>) -> Result<Event, Vec<Refusal>> {
        let faults = &mut faults;
        self.check_specversion(faults);
        let kind = self.kind(door, faults);
        let body = kind.and_then(|kind| body_of(kind, content, faults));
        let key = self.key(kind, body.as_ref(), faults);
        let time = self.time(kind, faults);
        let hops = self.hops(door, faults);
        let subject = self.subject;
        faults.extend(kind.and_then(|kind| limits::subject_missing(kind, subject.is_some())));
        let source = required("source", self.source, faults).filter(|source| !is_reserved(source, door, faults));
        let id = required("id", self.id, faults);
        let mut optional = |name: &str, text: Option<String>| {
            faults.extend(text.as_deref().and_then(|text| limits::attribute(name, text)));
            text
        };
        let (subject, causation) = (optional("subject", subject), optional("causationid", self.causationid));
        let (tenant, traceparent) = (optional("tenant", self.tenant), optional("traceparent", self.traceparent));
        match (key, source, id, body) {
            (Some(key), Some(source), Some(id), Some(body)) if faults.is_empty() => Ok(Event {
                key,
                source: source.into(),
                id: id.into(),
                time,
                subject: subject.map(Into::into),
                causation: causation.map(Into::into),
                hops,
                tenant,
                traceparent,
                body,
            }),
            _ => Err(std::mem::take(faults)),
        }
    }

    fn take(&mut self, name: &str, value: Value, faults: &mut Vec<Refusal>) {
        let Some(slot) = self.slot(name) else { return };
        match value {
            Value::String(text) => *slot = Some(text),
            Value::Number(number) if name == "hops" => *slot = Some(number.to_string()),
            other => faults.push(malformed(name, &format!("a text is expected, found {}", shape::name_of(&other)))),
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "time" => &mut self.time,
            "subject" => &mut self.subject,
            "partitionkey" => &mut self.partitionkey,
            "causationid" => &mut self.causationid,
            "tenant" => &mut self.tenant,
            "traceparent" => &mut self.traceparent,
            "hops" => &mut self.hops,
            "datacontenttype" => &mut self.datacontenttype,
            _ => return None,
        })
    }

    fn framed(&self, value: &Value) -> Result<Content, Refusal> {
        if !self.media_type().is_some_and(|media| is_avro(&media)) {
            return Err(malformed("datacontenttype", "`data_base64` holds application/avro"));
        }
        let text = value.as_str().ok_or_else(|| malformed("data_base64", "a text is expected"))?;
        BASE64_STANDARD.decode(text).map(Content::Framed).map_err(|_| malformed("data_base64", "it is not base64"))
    }

    fn check_specversion(&self, faults: &mut Vec<Refusal>) {
        match self.specversion.as_deref() {
            Some("1.0") => {}
            Some(other) => faults.push(limits::out_of_range("specversion", "`1.0`".to_owned(), format!("`{}`", limits::quote(other)))),
            None => faults.push(missing("specversion")),
        }
    }

    fn kind(&self, door: Door, faults: &mut Vec<Refusal>) -> Option<Kind> {
        let Some(name) = self.kind.as_deref() else {
            faults.push(missing("type"));
            return None;
        };
        let Some(kind) = Kind::from_ce_type(name).or_else(|| Kind::from_name(name)) else {
            faults.push(Refusal::UnknownKind { found: limits::quote(name) });
            return None;
        };
        if door == Door::Public && kind.is_reeves_own() {
            faults.push(malformed("type", &format!("`{kind}` is for Reeve to say")));
        }
        Some(kind)
    }

    /// The record key: the agent by the attribute or by the source, for broadcasts the room that they are for.
    fn key(&self, kind: Option<Kind>, body: Option<&Body>, faults: &mut Vec<Refusal>) -> Option<AgentId> {
        let told = self.partitionkey.clone();
        let (other, meant) = match body {
            Some(Body::PolicyAdopted(policy)) => ("data.room", Some(policy.room.clone())),
            _ => ("source", self.source.as_deref().and_then(agent_of)),
        };
        let key = match (told, meant) {
            (Some(told), Some(meant)) if told != meant => {
                faults.push(Refusal::Contradiction { field: "partitionkey".to_owned(), other: other.to_owned() });
                return None;
            }
            (None, None) if kind.is_some_and(Kind::is_broadcast) => return None,
            (told, meant) => told.or(meant),
        };
        required("partitionkey", key, faults).map(AgentId::from)
    }

    fn time(&self, kind: Option<Kind>, faults: &mut Vec<Refusal>) -> Option<Timestamp> {
        let text = self.time.as_deref()?;
        let time = Timestamp::parse(text);
        match time {
            Some(time) => faults.extend(kind.and_then(|kind| limits::time_attribute(kind, time))),
            None => faults.push(malformed("time", "it is no RFC 3339 time with an offset")),
        }
        time
    }

    fn hops(&self, door: Door, faults: &mut Vec<Refusal>) -> u8 {
        match self.hops.as_deref() {
            Some(text) if door == Door::Trusted => text.parse().unwrap_or_else(|_| {
                faults.push(malformed("hops", "it is no number from 0 to 255"));
                0
            }),
            _ => 0,
        }
    }
}

fn body_of(kind: Kind, content: Content, faults: &mut Vec<Refusal>) -> Option<Body> {
    let body = match content {
        Content::Refused => return None,
        Content::Absent => Err(vec![missing("data")]),
        Content::Json(value) => json_body(kind, value),
        Content::Framed(value) => framed_body(kind, &value),
    };
    body.map_err(|found| faults.extend(found)).ok()
}

fn json_body(kind: Kind, value: Value) -> Result<Body, Vec<Refusal>> {
    let found = shape::faults(kind, &value);
    if !found.is_empty() {
        return Err(found);
    }
    Body::deserialize_as(kind, value).map_err(|error| vec![malformed("data", &limits::quote(&error.to_string()))])
}

fn framed_body(kind: Kind, value: &[u8]) -> Result<Body, Vec<Refusal>> {
    limits::check_size("data", limits::VALUE_BYTES_MAX, value.len()).map_err(|fault| vec![fault])?;
    let body = codec::decode(value).map_err(|fault| vec![fault])?;
    let mut found = Vec::new();
    if body.kind() != kind {
        found.push(Refusal::Contradiction { field: "data".to_owned(), other: "type".to_owned() });
    }
    limits::check_body(&body, &mut found);
    if found.is_empty() { Ok(body) } else { Err(found) }
}

/// A text that must be there and within its limit.
fn required(name: &str, text: Option<String>, faults: &mut Vec<Refusal>) -> Option<String> {
    let fault = match &text {
        Some(text) => limits::attribute(name, text),
        None => Some(missing(name)),
    };
    faults.extend(fault);
    text
}

/// Nobody outside speaks in the name of a room.
fn is_reserved(source: &str, door: Door, faults: &mut Vec<Refusal>) -> bool {
    let reserved = door == Door::Public && (source == "/reeve" || source.starts_with("/reeve/"));
    if reserved {
        faults.push(malformed("source", "`/reeve` is for Reeve's own decisions"));
    }
    reserved
}

/// The agent in a source of the form `/platforms/<platform>/agents/<agent>`, decoded.
pub fn agent_of(source: &str) -> Option<String> {
    let mut steps = source.strip_prefix("/platforms/")?.split('/');
    let (_platform, agents, agent) = (steps.next()?, steps.next()?, steps.next()?);
    if agents != "agents" || agent.is_empty() || steps.next().is_some() {
        return None;
    }
    percent_decode(agent.as_bytes()).decode_utf8().ok().map(|agent| agent.into_owned())
}

/// A header's value as the HTTP binding writes it: maybe quoted, and percent-encoded once.
fn header_text(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let plain = match quoted {
        Some(inner) => unescaped(inner),
        None => value.to_vec(),
    };
    percent_decode(&plain).decode_utf8().ok().map(|text| text.into_owned())
}

/// A quoted string of RFC 7230 without its backslashes.
fn unescaped(inner: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == b'\\' { *bytes.next().unwrap_or(byte) } else { *byte });
    }
    plain
}

fn missing(field: &str) -> Refusal {
    Refusal::Missing { field: field.to_owned() }
}
