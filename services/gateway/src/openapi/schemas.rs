//! The shapes of what is sent and answered. Those of events come from `schemas/` and the table of limits.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use wire::json_schema::{name, of, or_null};
use wire::{Kind, limits};

/// What names an agent, so that the record's key need not be told.
const OF_AN_AGENT: &str = "^/platforms/[A-Za-z0-9._~-]{1,200}/agents/[A-Za-z0-9._~-]{1,200}$";
/// Any other source, but those of Reeve itself.
const OF_NO_AGENT: &str = r"^(?!/platforms/)(?!/reeve$)(?!/reeve/)[^\u0000-\u001f\u007f-\u009f]+$";

/// RFC 3339 within the years in which a fact may have happened, for those who take `format` for a remark only.
const TIME: &str = r"^2[01][0-9]{2}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$";

/// Every named schema.
pub(super) fn all() -> Vec<(String, RefOr<Schema>)> {
    let mut all = vec![
        ("Batch".to_owned(), json!({ "type": "array", "items": to("Event"), "maxItems": limits::BATCH_EVENTS_MAX })),
        ("Receipt".to_owned(), receipt()),
        ("Problem".to_owned(), problem()),
        ("Report".to_owned(), report()),
        ("Readiness".to_owned(), readiness()),
        ("Version".to_owned(), version()),
        ("Document".to_owned(), json!({ "type": "object", "required": ["openapi", "info", "paths"] })),
        ("Text".to_owned(), json!({ "type": "string" })),
        ("Lines".to_owned(), json!({ "type": "string", "description": "One structured CloudEvent a line." })),
        ("Stream".to_owned(), stream()),
    ];
    let mut events = Vec::new();
    for kind in Kind::ALL.iter().filter(|kind| !kind.is_reeves_own()) {
        let title = title(*kind);
        all.push((title.clone(), of(*kind)));
        for (form, schema) in forms(*kind) {
            events.push(to(&format!("{title}{form}")));
            all.push((format!("{title}{form}"), schema));
        }
    }
    all.push(("Event".to_owned(), json!({ "anyOf": events })));
    all.into_iter().map(|(name, schema)| (name, read(schema))).collect()
}

/// A JSON Schema as the document holds it.
pub(super) fn read(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema).expect("the schemas of this page are ones that OpenAPI knows")
}

/// Names of kinds, in a list.
pub(super) fn kinds() -> Value {
    let names: Vec<_> = Kind::ALL.iter().flat_map(|kind| [kind.name(), kind.ce_type()]).collect();
    json!({ "type": "array", "items": { "type": "string", "enum": names } })
}

/// Where a reading goes on.
pub(super) fn cursor() -> Value {
    json!({ "type": "string", "format": "reeve-cursor", "pattern": r"^(now|[0-9]{1,18}(\.[0-9]{1,18})*)?$" })
}

/// An event of a kind, in the forms in which its agent may be told.
fn forms(kind: Kind) -> Vec<(&'static str, Value)> {
    let agents = json!({ "type": "string", "minLength": 1, "maxLength": limits::SOURCE_BYTES_MAX, "pattern": OF_AN_AGENT });
    let others = json!({ "type": "string", "minLength": 1, "maxLength": limits::SOURCE_BYTES_MAX, "pattern": OF_NO_AGENT });
    // A partition key is the agent's name or, in what concerns every agent, the room's: where another place says it, it
    // may be left out and must not say otherwise.
    let told_elsewhere = json!({ "type": "null" });
    if kind.is_broadcast() {
        return vec![("Event", event(kind, others, told_elsewhere, false))];
    }
    vec![
        ("EventBySource", event(kind, agents, told_elsewhere, false)),
        ("EventByKey", event(kind, others, name(limits::AGENT_BYTES_MAX), true)),
    ]
}

fn event(kind: Kind, source: Value, partitionkey: Value, key_is_needed: bool) -> Value {
    let id = || or_null(name(limits::ID_BYTES_MAX));
    let in_session = limits::needs_subject(kind);
    let subject = name(limits::SESSION_BYTES_MAX);
    let mut required = vec!["specversion", "id", "source", "type", "data"];
    required.extend(in_session.then_some("subject"));
    required.extend(key_is_needed.then_some("partitionkey"));
    let properties = json!({
        "specversion": { "type": "string", "enum": ["1.0"] },
        "id": name(limits::ID_BYTES_MAX),
        "source": source,
        "type": { "type": "string", "enum": [kind.ce_type(), kind.name()] },
        "time": { "type": ["string", "null"], "format": "date-time", "pattern": TIME },
        "subject": if in_session { subject } else { or_null(subject) },
        "partitionkey": partitionkey,
        "causationid": id(),
        "tenant": id(),
        "traceparent": id(),
        "datacontenttype": { "type": ["string", "null"], "enum": ["application/json", null] },
        "data": to(&title(kind)),
    });
    json!({ "type": "object", "properties": properties, "required": required })
}

/// One event of a stream: OpenAPI 3.1 has no word for the whole of it.
fn stream() -> Value {
    let properties = json!({
        "id": { "type": "string", "pattern": "^[0-9]+:[0-9]+$" },
        "event": { "type": "string", "enum": crate::orders::ORDERS.iter().map(|kind| kind.name()).collect::<Vec<_>>() },
        "data": { "type": "string", "description": "The structured CloudEvent." },
    });
    json!({ "type": "object", "description": "Each server-sent event.", "properties": properties, "required": ["id", "event", "data"] })
}

fn receipt() -> Value {
    let place = closed(
        json!({
            "id": { "type": "string" },
            "source": { "type": "string" },
            "partition": { "type": "integer", "minimum": 0 },
            "offset": { "type": "integer", "minimum": 0 },
            "repeated": { "type": "boolean" },
        }),
        &[],
    );
    let count = || json!({ "type": "integer", "minimum": 0 });
    closed(json!({ "accepted": count(), "repeated": count(), "records": { "type": "array", "items": place } }), &[])
}

fn problem() -> Value {
    let fault = closed(
        json!({
            "index": { "type": "integer", "minimum": 0, "description": "Position of the event in the batch." },
            "field": { "type": "string", "description": "Attribute, header, parameter, or path into `data`." },
            "code": { "type": "string", "description": "Stable name of the fault." },
            "limit": { "type": ["string", "number"], "description": "The limit that was passed." },
            "detail": { "type": "string" },
        }),
        &["index", "limit"],
    );
    closed(
        json!({
            "type": { "type": "string", "pattern": "^urn:reeve:problem:[a-z_]+$" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string" },
            "errors": { "type": "array", "items": fault, "description": "Every fault of every event." },
            "errors_omitted": { "type": "integer", "minimum": 1 },
        }),
        &["errors", "errors_omitted"],
    )
}

fn report() -> Value {
    let count = || json!({ "type": ["integer", "null"], "minimum": 0 });
    let text = || json!({ "type": ["string", "null"] });
    let standing = closed(
        json!({
            "room": { "type": "string" },
            "matter": { "type": "string" },
            "state": { "type": "string" },
            "n": count(),
            "needed": count(),
            "missing": text(),
            "detail": text(),
        }),
        &[],
    );
    let agent = closed(json!({ "agent": { "type": "string" }, "standings": { "type": "array", "items": standing } }), &[]);
    closed(json!({ "agents": { "type": "array", "items": agent } }), &[])
}

fn readiness() -> Value {
    closed(json!({ "ready": { "type": "boolean" }, "rooms": { "type": "array", "items": { "type": "object" } } }), &["rooms"])
}

fn version() -> Value {
    closed(json!({ "name": { "type": "string" }, "version": { "type": "string" } }), &[])
}

/// An object of these members and no other; those that are not named optional are always there.
fn closed(properties: Value, optional: &[&str]) -> Value {
    let required: Vec<_> =
        properties.as_object().map(Map::keys).into_iter().flatten().filter(|name| !optional.contains(&name.as_str())).cloned().collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn to(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// `session.started` is `SessionStarted`.
fn title(kind: Kind) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    kind.name().split(['.', '_']).map(capital).collect()
}
