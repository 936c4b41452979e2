//! One value of each kind with every field told, made from its schema: what new golden records are written from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wire::{Body, Kind};

/// Numbers whose range does not hold the ones that [`of`] gives to any other field.
const NUMBERS: &[(&str, f64)] =
    &[("sentiment", -0.25), ("confidence", 0.75), ("csat", 4.5), ("ratio", 0.25), ("objective", 0.95), ("cost_usd", 0.0125)];

/// The value of a kind as JSON, every field of its schema in it.
pub(crate) fn of(kind: Kind) -> Value {
    let schema: Value = serde_json::from_str(kind.schema_text()).expect("a schema is JSON");
    value("", &schema, &mut BTreeMap::new())
}

/// The same as a body.
pub(crate) fn body(kind: Kind) -> Body {
    Body::deserialize_as(kind, of(kind)).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

fn value(field: &str, schema: &Value, named: &mut BTreeMap<String, Value>) -> Value {
    match schema {
        Value::String(name) => primitive(field, name).unwrap_or_else(|| value(field, &named[name].clone(), named)),
        Value::Array(union) => value(field, &union[1], named),
        schema => complex(field, schema, named),
    }
}

fn complex(field: &str, schema: &Value, named: &mut BTreeMap<String, Value>) -> Value {
    if let (Some(name), Some(space)) = (schema["name"].as_str(), schema["namespace"].as_str()) {
        named.insert(format!("{space}.{name}"), schema.clone());
    }
    match schema["type"].as_str().expect("a complex type names itself") {
        "record" => {
            let fields = schema["fields"].as_array().expect("a record has fields");
            let member = |field: &Value| {
                let name = field["name"].as_str().expect("a field has a name");
                (name.to_owned(), value(name, &field["type"], named))
            };
            Value::Object(fields.iter().map(member).collect::<Map<_, _>>())
        }
        "enum" => schema["symbols"][1].clone(),
        "array" => json!([value(field, &schema["items"], named), "another"]),
        "long" if schema["logicalType"] == "timestamp-micros" => json!("2026-11-22T08:00:00.000001Z"),
        other => panic!("field `{field}` has the type {other}, of which no sample is known"),
    }
}

fn primitive(field: &str, name: &str) -> Option<Value> {
    Some(match (field, name) {
        (_, "boolean") => json!(true),
        (_, "long") => json!(7),
        (_, "double") => json!(NUMBERS.iter().find(|(known, _)| *known == field).map_or(1.5, |(_, number)| *number)),
        ("agent_id", "string") => json!("telecom"),
        ("session_id", "string") => json!("7f9c2b1e-5d7a-4c55-9c0e-1f6f0a6b2d11"),
        ("version" | "to_version" | "serving_version", "string") => json!("ft:gpt-4.1-2025-04-14:sierra:tau2-full-sft:BzrYdMNm"),
        ("arguments", "string") => json!("{\"user_id\": \"j\u{f6}rg_2\"}"),
        (_, "string") => json!(format!("the {}", field.replace('_', " "))),
        _ => return None,
    })
}
