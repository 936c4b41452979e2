//! The shape of each kind as its schema tells it, for whoever reads JSON: the door wants every fault of a value listed,
//! and a deserializer stops at the first.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::ids::Timestamp;
use crate::kinds::Kind;
use crate::limits::{self, Limit};
use crate::refusal::Refusal;

/// What a schema says about one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Flag,
    Whole,
    Real,
    Text,
    /// RFC 3339 in JSON.
    Time,
    Symbol(Vec<String>),
    List(Box<Shape>),
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// It may be null, which says the same as leaving it out.
    pub(crate) nullable: bool,
    /// It may be left out.
    pub(crate) defaulted: bool,
}

/// The shape of a kind's value.
pub(crate) fn of(kind: Kind) -> &'static Shape {
    static SHAPES: OnceLock<BTreeMap<Kind, Shape>> = OnceLock::new();
    &SHAPES.get_or_init(|| Kind::ALL.iter().map(|kind| (*kind, parse(kind.schema_text()))).collect())[&kind]
}

/// Everything that is wrong with `value` as the value of `kind`: unknown and missing fields, wrong types, limits.
pub(crate) fn faults(kind: Kind, value: &Value) -> Vec<Refusal> {
    let mut faults = Vec::new();
    Check { kind, faults: &mut faults }.value(of(kind), None, value, "data");
    faults
}

struct Check<'a> {
    kind: Kind,
    faults: &'a mut Vec<Refusal>,
}

// === impl Check ===

impl Check<'_> {
    fn value(&mut self, shape: &Shape, limit: Option<&'static Limit>, value: &Value, path: &str) {
        let field = || path.to_owned();
        let outside = match (shape, value) {
            (Shape::Record(fields), Value::Object(found)) => return self.record(fields, found, path),
            (Shape::List(shape), Value::Array(items)) => return self.list(shape, limit, items, path),
            (Shape::Flag, Value::Bool(_)) => None,
            (Shape::Text, Value::String(text)) => limit.and_then(|limit| limit.refuse_text(text, field)),
            (Shape::Symbol(known), Value::String(symbol)) => (!known.contains(symbol)).then(|| unknown_symbol(path, known, symbol)),
            (Shape::Time, Value::String(text)) => match Timestamp::parse(text) {
                Some(time) => limit.and_then(|limit| limit.refuse_whole(time.0, field)),
                None => Some(malformed(path, "it is no RFC 3339 time with an offset".to_owned())),
            },
            (Shape::Whole, Value::Number(number)) => match number.as_i64() {
                Some(found) => limit.and_then(|limit| limit.refuse_whole(found, field)),
                None => Some(malformed(path, format!("{number} is no whole number of 64 bits"))),
            },
            (Shape::Real, Value::Number(number)) => match number.as_f64() {
                Some(found) => limit.and_then(|limit| limit.refuse_real(found, field)),
                None => Some(malformed(path, format!("{number} is no number of double precision"))),
            },
            (expected, found) => Some(malformed(path, format!("{} is expected, found {}", expected.name(), name_of(found)))),
        };
        self.faults.extend(outside);
    }

    fn record(&mut self, fields: &[Field], found: &serde_json::Map<String, Value>, path: &str) {
        for field in fields {
            let path = format!("{path}.{}", field.name);
            match found.get(&field.name) {
                Some(Value::Null) if field.nullable => {}
                Some(value) => self.value(&field.shape, limits::of(self.kind, &field.name), value, &path),
                None if field.defaulted => {}
                None => self.faults.push(Refusal::Missing { field: path }),
            }
        }
        let unknown = found.keys().filter(|name| fields.iter().all(|field| field.name != **name));
        self.faults.extend(unknown.map(|name| Refusal::UnknownField { field: limits::quote(&format!("{path}.{name}")) }));
    }

    fn list(&mut self, shape: &Shape, limit: Option<&'static Limit>, items: &[Value], path: &str) {
        if let Some(fault) = limit.and_then(|limit| limit.refuse_items(items.len(), || path.to_owned())) {
            // One fault says it: a list far too long is not walked as well.
            self.faults.push(fault);
            return;
        }
        for (index, item) in items.iter().enumerate() {
            self.value(shape, limit.and_then(Limit::item), item, &format!("{path}[{index}]"));
        }
    }
}

// === impl Shape ===

impl Shape {
    fn name(&self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Whole | Self::Real => "a number",
            Self::Text | Self::Symbol(_) => "a text",
            Self::Time => "an RFC 3339 time",
            Self::List(_) => "a list",
            Self::Record(_) => "an object",
        }
    }
}

/// What a JSON value is, in words.
pub(crate) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn unknown_symbol(path: &str, known: &[String], found: &str) -> Refusal {
    limits::out_of_range(path, format!("one of {}", known.join(", ")), format!("`{}`", limits::quote(found)))
}

fn malformed(path: &str, reason: String) -> Refusal {
    Refusal::Malformed { field: path.to_owned(), reason: limits::quote(&reason) }
}

/// Reads the part of Avro's schema language that `schemas/` uses. That it is no more than this is checked by reading
/// every schema at the first use.
fn parse(schema: &str) -> Shape {
    let json: Value = serde_json::from_str(schema).expect("every schema in schemas/ is JSON");
    parse_type(&json, &mut BTreeMap::new())
}

fn parse_type(json: &Value, named: &mut BTreeMap<String, Shape>) -> Shape {
    let shape = match json {
        Value::String(name) => return parse_name(name, named),
        Value::Object(object) if object.get("logicalType").is_some_and(|logical| logical == "timestamp-micros") => return Shape::Time,
        Value::Object(object) => match object["type"].as_str().expect("a complex type names itself") {
            "array" => return Shape::List(Box::new(parse_type(&object["items"], named))),
            "enum" => Shape::Symbol(list(&object["symbols"]).iter().map(text).collect()),
            "record" => Shape::Record(list(&object["fields"]).iter().map(|field| parse_field(field, named)).collect()),
            name => return parse_name(name, named),
        },
        other => panic!("schemas/ holds a type that no reader knows: {other}"),
    };
    named.insert(text(&json["name"]), shape.clone());
    shape
}

fn parse_field(json: &Value, named: &mut BTreeMap<String, Shape>) -> Field {
    let (nullable, of) = match &json["type"] {
        // The union of null and one type is the only one in use.
        Value::Array(union) => (true, &union[1]),
        of => (false, of),
    };
    Field { name: text(&json["name"]), shape: parse_type(of, named), nullable, defaulted: json.get("default").is_some() }
}

fn parse_name(name: &str, named: &BTreeMap<String, Shape>) -> Shape {
    match name {
        "boolean" => Shape::Flag,
        "long" => Shape::Whole,
        "double" => Shape::Real,
        "string" => Shape::Text,
        // Names are unique without their namespace.
        reference => named[reference.rsplit('.').next().unwrap_or(reference)].clone(),
    }
}

fn list(json: &Value) -> &[Value] {
    json.as_array().expect("a schema's fields and symbols are lists")
}

fn text(json: &Value) -> String {
    json.as_str().expect("a schema's names are texts").to_owned()
}
