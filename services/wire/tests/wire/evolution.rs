//! The Rust types and the schemas say the same, down to every field and every symbol.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wire::{Body, Kind};

use crate::sample;

#[test]
fn a_value_with_every_field_goes_through_avro_and_json_unchanged() {
    for kind in Kind::ALL {
        let sample = sample::of(*kind);
        let body = sample::body(*kind);
        assert_eq!(serde_json::to_value(&body).expect("json"), sample, "{kind}");
        assert_eq!(wire::codec::decode(&wire::codec::encode(&body)), Ok(body), "{kind}");
    }
}

#[test]
fn a_value_without_its_optional_fields_goes_through_avro_unchanged() {
    for kind in Kind::ALL {
        let schema: Value = serde_json::from_str(kind.schema_text()).expect("a schema is JSON");
        let mut least = sample::of(*kind);
        for field in fields(&schema).iter().filter(|field| field.get("default").is_some()) {
            least.as_object_mut().expect("an object").remove(name(field));
        }
        let body = Body::deserialize_as(*kind, least).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(wire::codec::decode(&wire::codec::encode(&body)), Ok(body), "{kind}");
    }
}

#[test]
fn the_rust_types_have_the_fields_of_the_schemas_and_no_other() {
    for kind in Kind::ALL {
        let schema: Value = serde_json::from_str(kind.schema_text()).expect("a schema is JSON");
        let names = fields(&schema).iter().map(|field| name(field).to_owned()).collect();
        assert_eq!(offered(*kind, json!({"no_such": 0})), names, "{kind}");
        for field in fields(&schema).iter().filter(|field| field["type"]["type"] == "record") {
            let names: BTreeSet<String> = fields(&field["type"]).iter().map(|field| name(field).to_owned()).collect();
            assert_eq!(offered(*kind, json!({name(field): {"no_such": 0}})), names, "{kind}.{}", name(field));
        }
    }
}

#[test]
fn the_rust_enums_have_the_symbols_of_the_schemas_and_no_other() {
    for kind in Kind::ALL {
        let schema: Value = serde_json::from_str(kind.schema_text()).expect("a schema is JSON");
        for field in fields(&schema).iter().filter(|field| field["type"]["type"] == "enum") {
            let symbols = field["type"]["symbols"].as_array().expect("an enum has symbols");
            let symbols = symbols.iter().map(|symbol| symbol.as_str().expect("a symbol is a text").to_owned()).collect();
            assert_eq!(offered(*kind, json!({name(field): "no_such"})), symbols, "{kind}.{}", name(field));
        }
    }
}

/// What the Rust type of a kind would have taken instead of `no_such`: serde names it all, each in backticks.
fn offered(kind: Kind, value: Value) -> BTreeSet<String> {
    let told = Body::deserialize_as(kind, value).expect_err("nothing is called so").to_string();
    assert!(told.contains("`no_such`"), "{kind}: {told}");
    told.split('`').skip(1).step_by(2).filter(|name| *name != "no_such").map(str::to_owned).collect()
}

fn fields(schema: &Value) -> &[Value] {
    schema["fields"].as_array().expect("a record has fields")
}

fn name(field: &Value) -> &str {
    field["name"].as_str().expect("a field has a name")
}
