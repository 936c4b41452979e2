use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::{AgentId, Body, HarmReported, Headers, Kind, Offset, Partition, RawRecord, SessionId, StoredRecord, Timestamp, codec};

const PUBLIC: Door = Door::Public;

fn session_started() -> Value {
    json!({
        "specversion": "1.0",
        "id": "1",
        "source": "/platforms/acme/agents/telecom%20eu",
        "type": "io.reeve.session.started.v1",
        "time": "2026-11-22T08:00:00Z",
        "subject": "s-1",
        "somethingelse": {"deep": true},
        "data": {"version": "ft:gpt/1", "channel": "chat"},
    })
}

fn with(changes: Value) -> Vec<u8> {
    let mut event = session_started();
    for (name, value) in changes.as_object().expect("an object") {
        event[name] = value.clone();
    }
    serde_json::to_vec(&event).expect("json")
}

fn faults(changes: Value) -> Vec<String> {
    parse_structured(&with(changes), PUBLIC).expect_err("refused").iter().map(ToString::to_string).collect()
}

#[test]
fn a_structured_event_is_read_with_its_agent_from_the_source() {
    let event = parse_structured(&with(json!({"tenant": "t", "causationid": "c", "subject": "s-1"})), PUBLIC).expect("well");
    assert_eq!(event.key, AgentId::from("telecom eu"));
    assert_eq!(event.subject, Some(SessionId::from("s-1")));
    assert_eq!(event.time, Timestamp::parse("2026-11-22T08:00:00Z"));
    assert_eq!((event.tenant.as_deref(), event.hops), (Some("t"), 0));
    assert_eq!(event.body.kind(), Kind::SessionStarted);
    let bare = parse_structured(&with(json!({"type": "session.started"})), PUBLIC).expect("well");
    assert_eq!(bare.body, event.body);
}

#[test]
fn every_fault_of_an_event_is_listed() {
    let found = faults(json!({
        "specversion": "0.3",
        "id": "",
        "source": null,
        "type": "model.called",
        "time": "yesterday",
        "subject": null,
        "data": {"by": "robot", "tokens_in": -1, "tokens_out": 1.5, "latency_ms": "fast", "colour": "red", "cost_usd": 2e6},
    }));
    assert_eq!(
        found,
        [
            "specversion is `0.3`, allowed is `1.0`",
            "data.by is `robot`, allowed is one of agent, user, tool, system, human, other",
            "data.tokens_in is -1, allowed is 0 to 1000000000",
            "data.tokens_out is not well formed: 1.5 is no whole number of 64 bits",
            "data.cost_usd is 2000000, allowed is 0 to 1000000",
            "data.latency_ms is not well formed: a number is expected, found a text",
            "data.colour is not known here",
            "partitionkey is missing",
            "time is not well formed: it is no RFC 3339 time with an offset",
            "subject is missing",
            "source is missing",
            "id is not well formed: it is empty; what is not known is left out",
        ]
    );
}

#[test]
fn a_missing_field_and_a_missing_value_are_named() {
    assert_eq!(faults(json!({"type": "tool.called", "data": {"by": "agent"}})), ["data.tool is missing"]);
    assert_eq!(faults(json!({"data": null})), ["data is missing"]);
    assert_eq!(faults(json!({"data": "{}"})), ["data is not well formed: an object is expected, found a text"]);
    assert_eq!(faults(json!({"type": "no.such"})), ["`no.such` is no kind of record that this version of Reeve knows"]);
}

#[test]
fn two_names_for_the_agent_contradict_each_other() {
    assert_eq!(faults(json!({"partitionkey": "airline"})), ["partitionkey contradicts source"]);
    let told = parse_structured(&with(json!({"partitionkey": "a", "source": "/people/ada"})), PUBLIC).expect("well");
    assert_eq!(told.key, AgentId::from("a"));
    assert_eq!(faults(json!({"source": "/people/ada"})), ["partitionkey is missing"]);
}

#[test]
fn a_policy_is_keyed_by_its_room() {
    let policy = json!({"room": "incident", "version": "2", "document": "{}", "author": "ada", "reason": "quieter"});
    let event = with(json!({"type": "policy.adopted", "source": "/people/ada", "subject": null, "data": policy}));
    assert_eq!(parse_structured(&event, PUBLIC).expect("well").key, AgentId::from("incident"));
    let other = json!({"type": "policy.adopted", "source": "/people/ada", "partitionkey": "rollback", "data": policy});
    assert_eq!(faults(other), ["partitionkey contradicts data.room"]);
}

#[test]
fn only_reeve_decides() {
    let basis = json!({"asof": 1, "now": "2026-11-22T08:00:00Z", "rule": "r", "policy": "1", "causes": [], "accountable": "operations"});
    let data = json!({"room": "incident", "partition": 0, "basis": basis});
    let changes = json!({"type": "room.watermark", "source": "/reeve/incident", "partitionkey": "incident", "hops": 3, "data": data});
    assert_eq!(
        faults(changes.clone()),
        [
            "type is not well formed: `room.watermark` is for Reeve to say",
            "source is not well formed: `/reeve` is for Reeve's own decisions",
        ]
    );
    assert_eq!(parse_structured(&with(changes), Door::Trusted).expect("well").hops, 3);
}

#[test]
fn a_binary_event_has_its_attributes_in_headers() {
    let headers: [(&str, &[u8]); 8] = [
        ("Host", b"localhost"),
        ("Content-Type", b"Application/JSON; charset=utf-8"),
        ("CE-SpecVersion", b"1.0"),
        ("ce-id", b"\"a\\\"b%20c\""),
        ("ce-source", b"/people/%C3%A9va"),
        ("ce-type", b"harm.reported"),
        ("ce-partitionkey", b"telecom%25"),
        ("ce-unheard-of", b"x"),
    ];
    let body = br#"{"category": "privacy", "confirmed": true}"#;
    let event = parse_binary(headers, body, PUBLIC).expect("well");
    assert_eq!((event.id.as_str(), event.source.as_str(), event.key.as_str()), ("a\"b c", "/people/\u{e9}va", "telecom%"));

    let framed = codec::encode(&event.body);
    let mut avro = headers;
    avro[1].1 = b"application/avro";
    assert_eq!(parse_binary(avro, &framed, PUBLIC).expect("well"), event);
    avro[5].1 = b"session.ended";
    let found = parse_binary(avro, &framed, PUBLIC).expect_err("refused");
    assert!(found.contains(&Refusal::Contradiction { field: "data".to_owned(), other: "type".to_owned() }), "{found:?}");
}

#[test]
fn a_binary_event_that_is_wrong_everywhere_is_told_so() {
    let headers: [(&str, &[u8]); 4] =
        [("content-type", b"text/plain"), ("ce-id", b"%ff"), ("ce-type", b"harm.reported"), ("ce-type", b"x")];
    let found: Vec<String> = parse_binary(headers, b"{}", PUBLIC).expect_err("refused").iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "id is not well formed: the header is not UTF-8 once it is percent-decoded",
            "type is not well formed: the header is given twice",
            "content-type is not well formed: application/json or application/avro is expected",
            "specversion is missing",
            "partitionkey is missing",
            "source is missing",
            "id is missing",
        ]
    );
}

#[test]
fn what_is_read_back_is_what_was_told() {
    let event = parse_structured(&with(json!({})), PUBLIC).expect("well");
    let stored =
        StoredRecord { partition: Partition(2), offset: Offset(7), appended: Timestamp(1_800_000_000_000_000), raw: event.to_raw() };
    let shown = to_structured(&stored, "agent-events", Some("c7"));
    assert_eq!(shown["offset"], json!(7));
    assert_eq!(shown["partition"], json!(2));
    assert_eq!(shown["topic"], json!("agent-events"));
    assert_eq!(shown["recordedtime"], json!("2027-01-15T08:00:00.000000Z"));
    assert_eq!(shown["cursor"], json!("c7"));
    assert_eq!(shown["partitionkey"], json!("telecom eu"));
    assert_eq!(shown["data"], json!({"version": "ft:gpt/1", "channel": "chat"}));
    assert_eq!(parse_structured(&serde_json::to_vec(&shown).expect("json"), PUBLIC), Ok(event));
}

#[test]
fn a_record_that_cannot_be_read_is_shown_with_its_bytes_and_the_reason() {
    let headers = Headers::from([("ce_id", &b"x"[..]), ("ce_source", b"\xff")]);
    let raw = RawRecord { key: None, headers, value: Bytes::from_static(b"\x00\x01") };
    let shown = to_structured(&StoredRecord { partition: Partition(0), offset: Offset(1), appended: Timestamp(0), raw }, "t", None);
    assert_eq!((&shown["id"], &shown["source"]), (&json!("x"), &json!("/reeve/log")));
    assert_eq!(shown["data_base64"], json!("AAE="));
    assert_eq!(shown["refusal"], json!("unknown_framing: the value starts with neither `C3 01` nor a registered schema id"));
    assert!(shown.get("data").is_none() && shown.get("cursor").is_none());
}

#[test]
fn framed_avro_travels_in_json_as_base64() {
    let body =
        Body::from(HarmReported { category: "privacy".to_owned(), confirmed: true, description: None, reporter: None, version: None });
    let mut event = session_started();
    event["type"] = json!("harm.reported");
    event["datacontenttype"] = json!("application/avro");
    event.as_object_mut().expect("an object").remove("data");
    event["data_base64"] = json!(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, codec::encode(&body)));
    let bytes = serde_json::to_vec(&event).expect("json");
    assert_eq!(parse_structured(&bytes, PUBLIC).expect("well").body, body);
}

#[test]
fn a_name_survives_its_way_through_a_source() {
    let source = platform_source("acme", "a/b %\u{e9}");
    assert_eq!(source.as_str(), "/platforms/acme/agents/a%2Fb%20%25%C3%A9");
    let event = parse_structured(&with(json!({"source": source.as_str()})), PUBLIC).expect("well");
    assert_eq!(event.key.as_str(), "a/b %\u{e9}");
}
