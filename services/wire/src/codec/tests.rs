use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::{SchemaId, SessionStarted, Timestamp};

#[test]
fn a_value_comes_back_as_it_went() {
    let body = session_started(None);
    let bytes = encode(&body);
    assert_eq!(kind_of(&bytes), Some(Kind::SessionStarted));
    assert_eq!(decode(&bytes), Ok(body));
}

#[test]
fn times_are_microseconds_in_avro_and_rfc_3339_in_json() {
    assert_eq!(serde_json::to_string(&Timestamp(1_500_000)).expect("json"), "\"1970-01-01T00:00:01.500000Z\"");
}

#[test]
fn every_schema_has_a_fingerprint_of_its_own() {
    assert_eq!(codec().readers.len(), Kind::ALL.len() + HISTORY.len());
    let fingerprints = codec().fingerprints.iter().map(|(fingerprint, _)| fingerprint).collect::<BTreeSet<_>>();
    assert_eq!(fingerprints.len(), codec().fingerprints.len());
    for (kind, text) in HISTORY {
        assert_eq!(can_read(text, kind.schema_text()), Ok(()), "{kind}");
    }
}

#[test]
fn a_value_of_an_older_schema_is_read_with_todays_defaults() {
    let (old, bytes) = written_before_environment();
    assert_eq!(old.decode(&bytes), Ok(session_started(None)));
    // Without its schema in the history the same bytes are refused, not guessed at.
    assert_eq!(decode(&bytes).map_err(|fault| fault.code()), Err("unknown_schema"));
}

#[test]
fn a_value_that_names_a_registrys_id_is_refused_with_the_setting_by_which_it_is_read() {
    let value = [&[0, 0, 0, 0, 7][..], &encode(&session_started(None))[FRAMING_BYTES..]].concat();
    assert_eq!((kind_of(&value), registered(&value)), (None, Some((SchemaId::Number(7), &value[5..]))));
    let refusal = decode(&value).expect_err("nobody said which schema that is");
    assert_eq!(refusal, Refusal::UnregisteredSchema { id: SchemaId::Number(7) });
    assert!(refusal.to_string().contains("`schema_registry.url`"), "{refusal}");
    assert_eq!((registered(&value[..4]), decode(&value[..4])), (None, Err(Refusal::UnknownFraming)));
}

#[test]
fn a_schema_has_the_framing_of_its_text_however_that_is_laid_out() {
    for kind in Kind::ALL {
        let compact = serde_json::from_str::<Value>(kind.schema_text()).expect("JSON").to_string();
        assert_eq!(framing_of_schema(&compact), Ok(framing_of(*kind)), "{kind}");
    }
    assert!(framing_of_schema("{}").is_err());
}

#[test]
fn a_schema_has_the_fingerprint_that_avro_gives_it_where_a_field_has_a_logical_type_as_well() {
    let framed = |logical: &str| {
        let text = format!(r#"{{"type": "record", "name": "at", "fields": [{{"name": "at", "type": ["null", {logical}]}}]}}"#);
        framing_of_schema(&text)
    };
    assert_eq!(framed(r#"{"type": "long", "logicalType": "timestamp-micros"}"#), framed(r#""long""#));
    assert_ne!(framed(r#""long""#), framed(r#""int""#));
    // As fastavro 1.12 computes it.
    assert_eq!(hex(&framing_of(Kind::ModeOrdered)), "c301d03d4d7f18ccca45");
}

#[test]
fn a_decision_that_was_framed_by_the_librarys_fingerprint_is_read_as_before() {
    let before = framing_by_the_library(codec().today(Kind::ModeOrdered).schema);
    assert_ne!(before, framing_of(Kind::ModeOrdered));
    assert_eq!(kind_of(&before), Some(Kind::ModeOrdered));
    for kind in Kind::ALL.iter().filter(|kind| !kind.is_reeves_own()) {
        assert_eq!(framing_by_the_library(codec().today(*kind).schema), framing_of(*kind), "{kind}: one fingerprint was always enough");
    }
}

#[test]
fn an_older_value_that_is_cut_off_is_never_read_as_absent_fields() {
    let (old, bytes) = written_before_environment();
    for end in FRAMING_BYTES..bytes.len() {
        assert_eq!(old.decode(&bytes[..end]).map_err(|fault| fault.code()), Err("undecodable"), "cut at {end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(old.decode(&longer), Err(Refusal::TrailingBytes { found: 1 }));
}

#[test]
fn a_breaking_change_is_refused_with_the_field_that_breaks() {
    let today = Kind::ModelCalled.schema_text();
    let edited = |edit: &dyn Fn(&mut Vec<Value>)| edited(today, edit);
    let broken = [
        ("tokens_in", edited(&|fields| at(fields, "tokens_in")["type"][1] = "string".into())),
        ("cost_usd", edited(&|fields| at(fields, "cost_usd")["type"] = "double".into())),
        ("served", edited(&|fields| rename(at(fields, "served_model"), "served"))),
        ("by", edited(&|fields| at(fields, "by")["type"] = "long".into())),
        ("by", edited(&|fields| drop_symbol(at(fields, "by")))),
    ];
    for (field, schema) in broken {
        let told = can_read(today, &schema).expect_err(field);
        assert!(told.contains(&format!("`{field}`")), "{told}");
    }
    // What may change: a field goes, a field with a default comes, a field gets another name and an alias.
    assert_eq!(can_read(today, &edited(&|fields| fields.retain(|field| field["name"] != "error"))), Ok(()));
    assert_eq!(can_read(&edited(&|fields| fields.retain(|field| field["name"] != "error")), today), Ok(()));
    let aliased = edited(&|fields| {
        at(fields, "served_model")["aliases"] = Value::Array(vec!["served_model".into()]);
        at(fields, "served_model")["name"] = "served".into();
    });
    assert_eq!(can_read(today, &aliased), Ok(()));
}

#[test]
fn a_field_inside_a_field_is_named_with_its_path() {
    let today = Kind::RoomWatermark.schema_text();
    let changed = today.replace("\"accountable\"", "\"answers\"");
    assert_eq!(can_read(today, &changed), Err("field `basis.answers` is not in what was written and has no default".to_owned()));
}

fn session_started(environment: Option<&str>) -> Body {
    Body::from(SessionStarted {
        version: Some("ft:gpt/1".into()),
        segment: None,
        channel: Some("chat".to_owned()),
        environment: environment.map(str::to_owned),
    })
}

/// A codec that knows what `session.started` was before it told the environment, and a value of that time.
fn written_before_environment() -> (Codec, Vec<u8>) {
    let text = edited(Kind::SessionStarted.schema_text(), &|fields| fields.retain(|field| field["name"] != "environment"));
    let codec = Codec::new(&[(Kind::SessionStarted, text.leak())]);
    let old = codec.readers.iter().find(|known| known.is_old).expect("it was given one");
    // Today's bytes end with the union index of the environment, which is null here; before it they are the same.
    let today = encode(&session_started(None));
    let (environment, datum) = today[FRAMING_BYTES..].split_last().expect("it has fields");
    assert_eq!(*environment, 0);
    let bytes = [old.framing.as_slice(), datum].concat();
    (codec, bytes)
}

fn edited(schema: &str, edit: &dyn Fn(&mut Vec<Value>)) -> String {
    let mut json: Value = serde_json::from_str(schema).expect("a schema is JSON");
    edit(json["fields"].as_array_mut().expect("a record has fields"));
    json.to_string()
}

fn at<'a>(fields: &'a mut [Value], name: &str) -> &'a mut Value {
    fields.iter_mut().find(|field| field["name"] == name).expect("the field is there")
}

fn rename(field: &mut Value, name: &str) {
    let members = field.as_object_mut().expect("a field is an object");
    members.insert("name".to_owned(), name.into());
    members.remove("default");
}

/// Takes a symbol away, and the default that would stand in for it.
fn drop_symbol(field: &mut Value) {
    field["type"]["symbols"].as_array_mut().expect("an enum has symbols").pop();
    field["type"].as_object_mut().expect("an enum is an object").remove("default");
}
