//! `POST /v1/events`.

use futures::StreamExt;
use serde_json::{Value, json};
use wire::Kind;

use crate::house::{Answer, BATCH, House, PARTITIONS, STRUCTURED, harm};

#[tokio::test(flavor = "multi_thread")]
async fn a_structured_event_is_on_the_log_when_it_is_answered() {
    let house = House::open().await;
    let answer = house.publish(&harm("telecom", "a")).await;
    answer.is_receipt(1, 0);
    let records = house.records();
    assert_eq!(records.len(), 1);
    let (record, place) = (&records[0], &answer.body["records"][0]);
    assert_eq!(record.raw.kind(), Some(Kind::HarmReported));
    assert_eq!(record.raw.key.as_deref(), Some(b"telecom".as_slice()));
    let expected = json!({
        "id": "a", "source": "/platforms/helpdesk/agents/telecom",
        "partition": record.partition.0, "offset": record.offset.0, "repeated": false,
    });
    assert_eq!(place, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_forms_of_one_event_are_one_event() {
    let house = House::open().await;
    let event = harm("telecom", "a");
    house.publish(&event).await.is_receipt(1, 0);
    house.post(BATCH, json!([event]).to_string()).await.is_receipt(0, 1);
    binary(&house, "application/json", event["data"].to_string().into_bytes()).await.is_receipt(0, 1);
    let avro = house.records()[0].raw.value.to_vec();
    binary(&house, "application/avro", avro).await.is_receipt(0, 1);
    assert_eq!(house.records().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_types_may_name_utf_8_in_any_case() {
    let house = House::open().await;
    house.post("Application/CloudEvents+JSON; Charset=\"UTF-8\"", harm("telecom", "a").to_string()).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_again_adds_nothing_and_another_body_is_refused() {
    let house = House::open().await;
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    let again = house.publish(&harm("telecom", "a")).await;
    again.is_receipt(0, 1);
    assert_eq!(again.body["records"][0]["repeated"], true);
    let mut other = harm("telecom", "a");
    other["data"]["confirmed"] = json!(false);
    house.publish(&other).await.is_problem(409, "id_taken", &[(None, "id", "id_taken")]);
    let mut elsewhere = other;
    elsewhere["source"] = json!("/platforms/shop/agents/telecom");
    house.publish(&elsewhere).await.is_receipt(1, 0);
    assert_eq!(house.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_senders_of_one_event_leave_one_record() {
    let house = House::open().await;
    let event = harm("telecom", "a");
    let answers = futures::future::join_all((0..10).map(|_| house.publish(&event))).await;
    let accepted: u64 = answers.iter().map(|answer| answer.body["accepted"].as_u64().expect("a receipt")).sum();
    assert_eq!((accepted, house.records().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_repeats_and_adds_in_one() {
    let house = House::open().await;
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    let batch = json!([harm("telecom", "a"), harm("airline", "b"), harm("airline", "b"), harm("retail", "c")]);
    house.post(BATCH, batch.to_string()).await.is_receipt(2, 2);
    house.post(BATCH, "[]").await.is_receipt(0, 0);
    assert_eq!(house.records().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_fault_adds_nothing_and_every_fault_is_listed() {
    let house = House::open().await;
    let mut faulty = harm("telecom", "b");
    faulty["data"] = json!({"category": "", "confirmed": "yes", "describtion": "?"});
    let mut late = harm("telecom", "d");
    late["time"] = json!("2999-01-01T00:00:00Z");
    late.as_object_mut().expect("an object").remove("specversion");
    let batch = json!([harm("telecom", "a"), faulty, 7, late, harm("retail", "e")]);
    let answer = house.post(BATCH, batch.to_string()).await;
    let faults: Vec<_> = answer.body["errors"].as_array().expect("faults").iter().map(|fault| (&fault["index"], &fault["field"])).collect();
    for expected in [(1, "data.category"), (1, "data.confirmed"), (1, "data.describtion"), (2, "body"), (3, "specversion"), (3, "time")] {
        assert!(faults.contains(&(&json!(expected.0), &json!(expected.1))), "{expected:?} is not among {}", answer.body);
    }
    assert_eq!(answer.status.as_u16(), 422);
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_taken_id_adds_nothing_and_names_each() {
    let house = House::open().await;
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    let mut other = harm("telecom", "a");
    other["data"]["category"] = json!("insult");
    let mut twin = harm("retail", "new");
    twin["data"]["category"] = json!("insult");
    let batch = json!([harm("airline", "x"), other, harm("retail", "new"), twin]);
    let answer = house.post(BATCH, batch.to_string()).await;
    answer.is_problem(409, "id_taken", &[(Some(1), "id", "id_taken"), (Some(3), "id", "id_taken")]);
    assert_eq!(house.records().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_stands_once_on_every_partition() {
    let house = House::open().await;
    let policy = json!({
        "specversion": "1.0", "id": "p1", "source": "/people/ada", "type": "policy.adopted",
        "data": {"room": "incident", "version": "2", "document": "{}", "author": "ada", "reason": "calmer"},
    });
    let answer = house.publish(&policy).await;
    answer.is_receipt(1, 0);
    assert_eq!(answer.body["records"].as_array().expect("places").len(), PARTITIONS as usize);
    house.publish(&policy).await.is_receipt(0, 1);
    let mut places: Vec<_> = house.records().iter().map(|record| (record.partition.0, record.offset.0)).collect();
    places.sort_unstable();
    assert_eq!(places, [(0, 0), (1, 0), (2, 0), (3, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_told_so() {
    let house = House::open().await;
    for body in ["", "{", "nonsense", "[1]", "\"text\"", "{} {}", "\u{0}", &"[".repeat(10_000)] {
        let answer = house.post(STRUCTURED, body.to_owned()).await;
        answer.is_problem(400, "malformed", &[(None, "body", "malformed")]);
    }
    for body in ["", "{", "{}", "[1 2]", "[] []"] {
        house.post(BATCH, body.to_owned()).await.is_problem(400, "malformed", &[(None, "body", "malformed")]);
    }
    house.post(STRUCTURED, vec![0xff, 0xfe]).await.is_problem(400, "malformed", &[(None, "body", "malformed")]);
    binary(&house, "application/json", b"{".to_vec()).await.is_problem(400, "malformed", &[(None, "data", "malformed")]);
    binary(&house, "application/avro", b"{}".to_vec()).await.is_problem(400, "malformed", &[(None, "data", "unknown_framing")]);
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_cut_anywhere_is_refused() {
    let house = House::open().await;
    let text = harm("telecom", "a").to_string();
    for end in 0..text.len() {
        house.post(STRUCTURED, text[..end].to_owned()).await.is_problem(400, "malformed", &[(None, "body", "malformed")]);
    }
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_nothing_lists_all_that_is_missing() {
    let house = House::open().await;
    let answer = house.publish(&json!({})).await;
    let missing: Vec<_> = answer.body["errors"].as_array().expect("faults").iter().map(|fault| fault["field"].as_str()).collect();
    for field in ["specversion", "type", "source", "id"] {
        assert!(missing.contains(&Some(field)), "{field} is not among {}", answer.body);
    }
    assert_eq!((answer.status.as_u16(), house.records().len()), (422, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_formed_and_wrong_names_field_and_limit() {
    let house = House::open().await;
    let refused = |field: &'static str, value: Value| {
        let mut event = harm("telecom", "a");
        match field.strip_prefix("data.") {
            Some(inner) => event["data"][inner] = value,
            None => event[field] = value,
        }
        let house = &house;
        async move { house.publish(&event).await }
    };
    refused("type", json!("io.reeve.harm.imagined.v1")).await.is_problem(422, "refused", &[(None, "type", "unknown_kind")]);
    refused("specversion", json!("0.3")).await.is_problem(422, "refused", &[(None, "specversion", "out_of_range")]);
    refused("time", json!("yesterday")).await.is_problem(422, "refused", &[(None, "time", "malformed")]);
    let foreign = refused("source", json!("/reeve/incident")).await;
    foreign.is_problem(422, "refused", &[(None, "partitionkey", "missing"), (None, "source", "malformed")]);
    refused("id", json!("")).await.is_problem(422, "refused", &[(None, "id", "malformed")]);
    refused("data.category", json!(7)).await.is_problem(422, "refused", &[(None, "data.category", "malformed")]);
    refused("data.severity", json!("x")).await.is_problem(422, "refused", &[(None, "data.severity", "unknown_field")]);
    let long = refused("data.category", json!("x".repeat(300))).await;
    long.is_problem(422, "refused", &[(None, "data.category", "too_large")]);
    assert_eq!(long.body["errors"][0]["limit"], 256);
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_is_one_however_it_is_written() {
    let house = House::open().await;
    let called = |turn: &str| {
        format!(
            r#"{{"specversion": "1.0", "id": "a", "source": "/platforms/helpdesk/agents/telecom", "type": "tool.called", "subject": "s1",
                "data": {{"arguments": "{{}}", "by": "agent", "turn": {turn}, "tool": "refund", "call_id": null, "version": null}}}}"#
        )
    };
    house.post(STRUCTURED, called("1.0")).await.is_receipt(1, 0);
    house.post(STRUCTURED, called("1")).await.is_receipt(0, 1);
    house.post(BATCH, format!("[{}]", called("1e0"))).await.is_receipt(0, 1);
    for broken in ["1.5", "1e300", "9007199254740993.0e5"] {
        house.post(STRUCTURED, called(broken)).await.is_problem(422, "refused", &[(None, "data.turn", "malformed")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_time_of_rfc_3339_is_taken_and_no_other_text() {
    let house = House::open().await;
    let dated = |id: usize, time: &str| {
        let mut event = harm("telecom", &id.to_string());
        event["time"] = time.into();
        event
    };
    let good = [
        "2000-01-01T00:00:00Z",
        "2026-01-01t10:00:00z",
        "2026-01-01T10:00:00.5Z",
        "2026-01-01T10:00:00.123456789-00:00",
        "2026-01-01T10:00:00+23:59",
        "2016-12-31T23:59:60Z",
        "2024-02-29T00:00:00Z",
    ];
    for (id, time) in good.iter().enumerate() {
        house.publish(&dated(id, time)).await.is_receipt(1, 0);
    }
    for time in ["", "2026", "2026-01-01", "2026-01-01T10:00:00", "2026-02-29T10:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T10:00:00Z "] {
        house.publish(&dated(99, time)).await.is_problem(422, "refused", &[(None, "time", "malformed")]);
    }
    assert_eq!(house.records().len(), good.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_future_is_refused_and_the_past_is_not() {
    let house = House::open().await;
    let dated = |id: &str, seconds: i64| {
        let mut event = harm("telecom", id);
        event["time"] = json!(runtime::log::Log::now(house.log.as_ref()).plus_s(seconds).to_string());
        event
    };
    let answer = house.publish(&dated("far", 330)).await;
    answer.is_problem(422, "refused", &[(None, "time", "out_of_range")]);
    assert!(answer.body["errors"][0]["limit"].as_str().is_some_and(|limit| limit.ends_with("at the latest")));
    house.publish(&dated("near", 270)).await.is_receipt(1, 0);
    house.publish(&dated("old", -40_000_000)).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_a_room() {
    let house = House::open().await;
    let mut decision = crate::house::order("telecom", "forged");
    house.publish(&decision).await.is_problem(422, "refused", &[(None, "type", "malformed"), (None, "source", "malformed")]);
    decision["source"] = json!("/platforms/helpdesk/agents/telecom");
    house.publish(&decision).await.is_problem(422, "refused", &[(None, "type", "malformed")]);
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_is_not_taken() {
    let house = House::open().await;
    let types = [
        "text/plain",
        "application/json",
        "application/avro",
        "application/cloudevents+avro",
        "application/cloudevents+json; charset=latin1",
        "",
    ];
    for content_type in types {
        let answer = house.post(content_type, harm("telecom", "a").to_string()).await;
        answer.is_problem(415, "unsupported_type", &[(None, "content-type", "unsupported")]);
        assert!(answer.body["errors"][0]["limit"].is_string(), "{answer:?}");
    }
    let request = house.client.post(house.url("/v1/events")).header("content-type", STRUCTURED).header("content-encoding", "gzip");
    let answer = Answer::read(request.body("x").send().await.expect("an answer")).await;
    answer.is_problem(415, "unsupported_type", &[(None, "content-encoding", "unsupported")]);
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_refused() {
    let house = House::open().await;
    let answer = house.post(STRUCTURED, vec![b' '; (1 << 20) + 1]).await;
    answer.is_problem(413, "too_large", &[(None, "body", "too_large")]);
    assert_eq!(answer.body["errors"][0]["limit"], 1 << 20);
    let answer = house.post(BATCH, vec![b' '; (8 << 20) + 1]).await;
    answer.is_problem(413, "too_large", &[(None, "body", "too_large")]);
    assert_eq!(answer.body["errors"][0]["limit"], 8 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_turns_out_too_large_is_refused() {
    let house = House::open().await;
    let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16])).take(20);
    let answer = house.post(STRUCTURED, reqwest::Body::wrap_stream(chunks)).await;
    answer.is_problem(413, "too_large", &[(None, "body", "too_large")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_too_many_events_is_refused() {
    let house = House::open().await;
    let events = |count: usize| Value::from_iter((0..count).map(|index| harm("telecom", &index.to_string()))).to_string();
    let answer = house.post(BATCH, events(1_001)).await;
    answer.is_problem(413, "too_large", &[(None, "body", "too_large")]);
    assert_eq!(answer.body["errors"][0]["limit"], 1_000);
    assert_eq!(house.records().len(), 0);
    house.post(BATCH, events(1_000)).await.is_receipt(1_000, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_are_told_as_problems() {
    let house = House::open().await;
    Answer::read(house.get("/v1/nothing").await).await.is_problem(404, "not_found", &[]);
    Answer::read(house.get("/v1/agents/telecom").await).await.is_problem(404, "not_found", &[]);
    let deleted = house.client.delete(house.url("/v1/events")).send().await.expect("an answer");
    let answer = Answer::read(deleted).await;
    answer.is_problem(405, "method_not_allowed", &[]);
    assert_eq!(answer.allow.as_deref(), Some("GET,HEAD,POST"));
    let posted = house.client.post(house.url("/v1/agents/telecom/orders")).send().await.expect("an answer");
    Answer::read(posted).await.is_problem(405, "method_not_allowed", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_and_what_was_refused_is_counted() {
    let house = House::open().await;
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    house.publish(&harm("telecom", "a")).await.is_receipt(0, 1);
    house.publish(&json!({})).await;
    house.post("text/plain", "x").await;
    assert_eq!(count(&house, "reeve_gateway_events_accepted_total", &[]), 1.0);
    assert_eq!(count(&house, "reeve_gateway_events_repeated_total", &[]), 1.0);
    assert!(count(&house, "reeve_gateway_faults_total", &[("code", "missing")]) >= 4.0);
    assert_eq!(count(&house, "reeve_gateway_faults_total", &[("code", "unsupported")]), 1.0);
    let route = ("route", "/v1/events");
    assert_eq!(count(&house, "reeve_http_requests_total", &[route, ("method", "POST"), ("code", "202")]), 2.0);
    assert_eq!(count(&house, "reeve_http_requests_total", &[route, ("method", "POST"), ("code", "415")]), 1.0);
}

/// The value of a counter with at least these labels.
pub(crate) fn count(house: &House, name: &str, labels: &[(&str, &str)]) -> f64 {
    let families = house.registry.gather();
    let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
    let has = |metric: &prometheus::proto::Metric, (name, value): &(&str, &str)| {
        metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
    };
    let found = metrics.filter(|metric| labels.iter().all(|label| has(metric, label)));
    found.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
}

async fn binary(house: &House, content_type: &str, body: Vec<u8>) -> Answer {
    let event = harm("telecom", "a");
    let mut request = house.client.post(house.url("/v1/events")).header("content-type", content_type).body(body);
    for attribute in ["specversion", "id", "source", "type", "time"] {
        request = request.header(format!("ce-{attribute}"), event[attribute].as_str().expect("a text"));
    }
    Answer::read(request.send().await.expect("an answer")).await
}
