//! The document says what the table says, and keeps every word of its schemas.

use std::collections::BTreeSet;

use super::*;

#[test]
fn no_word_of_a_schema_is_lost_on_the_way_into_the_document() {
    for kind in wire::Kind::ALL {
        let schema = wire::json_schema::of(*kind);
        let kept = serde_json::to_value(read(schema.clone())).expect("JSON");
        assert_eq!(sorted(&kept), sorted(&schema), "{kind}");
    }
}

#[test]
fn every_operation_of_the_table_is_in_the_document_and_no_other() {
    let document = serde_json::to_value(written()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let told: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().expect("an item").keys().map(move |method| (path.clone(), method.to_uppercase())))
        .collect();
    let table: BTreeSet<_> = OPERATIONS.iter().map(|operation| (operation.path.to_owned(), operation.method.to_string())).collect();
    assert_eq!(told, table);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = serde_json::to_value(written()).expect("JSON");
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let place = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn what_asks_for_nothing_says_so_and_everything_else_asks_for_a_key() {
    let document = serde_json::to_value(written()).expect("JSON");
    for operation in OPERATIONS {
        let told = &document["paths"][operation.path][operation.method.as_str().to_lowercase()];
        assert_eq!(told["security"].is_null(), operation.asks == Asks::Nothing, "{}", operation.path);
        assert_eq!(told["responses"]["401"].is_null(), operation.asks == Asks::Nothing, "{}", operation.path);
        let has_right = matches!(operation.asks, Asks::Of(_));
        assert_eq!(told["responses"]["403"].is_object(), has_right, "{}", operation.path);
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

/// With numbers as doubles and lists of names in order: 1 and 1.0 are the same bound.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect(),
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| json!(number)),
        other => other.clone(),
    }
}
