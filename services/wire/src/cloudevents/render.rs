//! A record of the log as one structured CloudEvent, for people and scripts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::record::{Event, StoredRecord};
use crate::refusal::Refusal;

/// Headers of a record that are shown as attributes when the record itself cannot be read.
const SHOWN: &[(&str, &str)] = &[
    ("ce_id", "id"),
    ("ce_source", "source"),
    ("ce_type", "type"),
    ("ce_time", "time"),
    ("ce_subject", "subject"),
    ("ce_causationid", "causationid"),
    ("ce_tenant", "tenant"),
];

/// The record as a structured CloudEvent: its value as `data`, its place as the extensions `topic`, `partition`,
/// `offset` and `recordedtime`, its key as `partitionkey`, and the position after it as `cursor`, where one is given.
///
/// A record that cannot be read is shown too: its bytes as `data_base64`, and why as the extension `refusal`.
pub fn to_structured(stored: &StoredRecord, topic: &str, cursor: Option<&str>) -> Value {
    let mut members = match Event::from_raw(&stored.raw) {
        Ok(event) => readable(&event),
        Err(refusal) => unreadable(stored, topic, &refusal),
    };
    members.insert("specversion".to_owned(), "1.0".into());
    members.insert("topic".to_owned(), topic.into());
    members.insert("partition".to_owned(), stored.partition.0.into());
    members.insert("offset".to_owned(), stored.offset.0.into());
    members.insert("recordedtime".to_owned(), stored.appended.to_string().into());
    insert(&mut members, "cursor", cursor);
    Value::Object(members)
}

fn readable(event: &Event) -> Map<String, Value> {
    let mut members = Map::new();
    insert(&mut members, "id", Some(event.id.as_str()));
    insert(&mut members, "source", Some(event.source.as_str()));
    insert(&mut members, "type", Some(event.body.kind().ce_type()));
    insert(&mut members, "partitionkey", Some(event.key.as_str()));
    insert(&mut members, "time", event.time.map(|time| time.to_string()).as_deref());
    insert(&mut members, "subject", event.subject.as_ref().map(|subject| subject.as_str()));
    insert(&mut members, "causationid", event.causation.as_ref().map(|id| id.as_str()));
    insert(&mut members, "tenant", event.tenant.as_deref());
    insert(&mut members, "traceparent", event.traceparent.as_deref());
    if event.hops > 0 {
        members.insert("hops".to_owned(), event.hops.into());
    }
    members.insert("datacontenttype".to_owned(), "application/json".into());
    members.insert("data".to_owned(), json!(event.body));
    members
}

fn unreadable(stored: &StoredRecord, topic: &str, refusal: &Refusal) -> Map<String, Value> {
    let raw = &stored.raw;
    let mut members = Map::new();
    // A CloudEvent has an id, a source and a type: a record without them is known by its place.
    insert(&mut members, "id", Some(&format!("{topic}/{}/{}", stored.partition, stored.offset)));
    insert(&mut members, "source", Some("/reeve/log"));
    insert(&mut members, "type", Some("io.reeve.unreadable"));
    for (header, attribute) in SHOWN {
        insert(&mut members, attribute, raw.header(header));
    }
    insert(&mut members, "partitionkey", raw.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()));
    insert(&mut members, "datacontenttype", Some(raw.header("content-type").unwrap_or("application/octet-stream")));
    insert(&mut members, "data_base64", Some(&BASE64_STANDARD.encode(&raw.value)));
    insert(&mut members, "refusal", Some(&format!("{}: {refusal}", refusal.code())));
    members
}

fn insert(members: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    members.extend(value.map(|value| (name.to_owned(), value.into())));
}
