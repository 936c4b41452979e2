//! Facts as this command says them: an event, and its structured CloudEvent as the gateway takes it.

use serde_json::{Value, json};
use uuid::Uuid;
use wire::{Body, Event, SessionId, Timestamp};

/// A fact of now about `agent`, with a new id.
pub fn event(source: &str, agent: &str, body: impl Into<Body>) -> Event {
    Event {
        key: agent.into(),
        source: source.into(),
        id: Uuid::now_v7().to_string().into(),
        time: Some(now()),
        subject: None,
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: body.into(),
    }
}

/// The structured CloudEvent (1.0, JSON format) of an event that is no decision.
pub fn structured(event: &Event) -> Value {
    let mut value = json!({
        "specversion": "1.0",
        "id": event.id.as_str(),
        "source": event.source.as_str(),
        "type": event.body.kind().ce_type(),
        "partitionkey": event.key.as_str(),
        "datacontenttype": "application/json",
        "data": event.body,
    });
    if let Some(time) = event.time {
        value["time"] = json!(time);
    }
    if let Some(session) = event.subject.as_ref().map(SessionId::as_str) {
        value["subject"] = json!(session);
    }
    value
}

/// The wall clock.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}
