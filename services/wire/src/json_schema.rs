//! The value of each kind as JSON Schema (draft 2020-12, as OpenAPI 3.1 has it), for whoever writes clients: made from
//! `schemas/` and from the table of limits, so that it says what the door checks.
//!
//! It cannot say everything: limits are of bytes where JSON Schema counts characters, and a time has a range.

use serde_json::{Map, Value, json};

use crate::kinds::Kind;
use crate::limits::{self, Limit};
use crate::shape::{self, Field, Shape};

/// A name: not empty, and free of control characters.
const NAME_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";

/// The schema of a kind's value.
pub fn of(kind: Kind) -> Value {
    value(kind, shape::of(kind), None, false)
}

/// The schema of a text that identifies something, of at most so many bytes.
pub fn name(bytes_max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": bytes_max, "pattern": NAME_PATTERN })
}

/// The same schema, and null, which says the same as leaving the value out.
pub fn or_null(schema: Value) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    if let Some(kind) = members.get("type").cloned() {
        members.insert("type".to_owned(), json!([kind, "null"]));
    }
    if let Some(Value::Array(symbols)) = members.get_mut("enum") {
        symbols.push(Value::Null);
    }
    Value::Object(members)
}

fn value(kind: Kind, shape: &Shape, limit: Option<&Limit>, nullable: bool) -> Value {
    let schema = match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole => whole(limit),
        Shape::Real => real(limit),
        Shape::Text => text(limit),
        Shape::Time => json!({ "type": "string", "format": "date-time" }),
        Shape::Symbol(symbols) => json!({ "type": "string", "enum": symbols }),
        Shape::List(item) => list(kind, item, limit),
        Shape::Record(fields) => record(kind, fields),
    };
    if nullable { or_null(schema) } else { schema }
}

fn record(kind: Kind, fields: &[Field]) -> Value {
    let schema_of = |field: &Field| (field.name.clone(), value(kind, &field.shape, limits::of(kind, &field.name), field.nullable));
    let properties: Map<_, _> = fields.iter().map(schema_of).collect();
    let required: Vec<_> = fields.iter().filter(|field| !field.defaulted).map(|field| field.name.as_str()).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn list(kind: Kind, item: &Shape, limit: Option<&Limit>) -> Value {
    let mut schema = json!({ "type": "array", "items": value(kind, item, limit.and_then(Limit::item), false) });
    if let Some(Limit::List { items_max, .. }) = limit {
        schema["maxItems"] = json!(items_max);
    }
    schema
}

fn text(limit: Option<&Limit>) -> Value {
    match limit {
        Some(Limit::Name { bytes_max }) => name(*bytes_max),
        Some(Limit::Text { bytes_max }) => json!({ "type": "string", "maxLength": bytes_max }),
        _ => json!({ "type": "string" }),
    }
}

fn whole(limit: Option<&Limit>) -> Value {
    match limit {
        Some(Limit::Whole { min, max }) => json!({ "type": "integer", "format": "int64", "minimum": min, "maximum": max }),
        _ => json!({ "type": "integer", "format": "int64" }),
    }
}

fn real(limit: Option<&Limit>) -> Value {
    let mut schema = json!({ "type": "number", "format": "double" });
    let Some(Limit::Real { min, max }) = limit else { return schema };
    // The greatest numbers of double precision stand for no bound but that of JSON's own numbers.
    if *min > f64::MIN {
        schema["minimum"] = json!(min);
    }
    if *max < f64::MAX {
        schema["maximum"] = json!(max);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_with_its_limits_and_with_what_it_needs() {
        let schema = of(Kind::HarmReported);
        assert_eq!(schema["required"], json!(["category", "confirmed"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["category"], name(256));
        assert_eq!(schema["properties"]["reporter"], or_null(name(256)));
        assert_eq!(schema["properties"]["confirmed"], json!({ "type": "boolean" }));
        let described = &schema["properties"]["description"];
        assert_eq!(*described, json!({ "type": ["string", "null"], "maxLength": limits::TEXT_BYTES_MAX }));
    }

    #[test]
    fn a_symbol_that_may_be_null_lists_null() {
        let schema = or_null(json!({ "type": "string", "enum": ["a"] }));
        assert_eq!(schema, json!({ "type": ["string", "null"], "enum": ["a", null] }));
    }

    #[test]
    fn every_kind_has_a_schema_whose_every_field_has_a_type() {
        for kind in Kind::ALL {
            let schema = of(*kind);
            let properties = schema["properties"].as_object().expect("a value is an object");
            assert!(properties.values().all(|schema| !schema["type"].is_null()), "{kind}: {schema}");
        }
    }
}
