//! The door: who passes with which key, and what he may say and hear.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway::keys::{Key, Keys, KeysFile, Right, Scope, Secret};
use gateway::{GatewayOptions, Pace, ServeLimits};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use wire::Timestamp;

use crate::accept::count;
use crate::house::{Answer, BATCH, House, PATIENCE, STRUCTURED, harm, order};

/// 2026-01-01T00:00:00Z: before every test.
const LONG_AGO: Timestamp = Timestamp(1_767_225_600_000_000);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A gateway that asks for keys, which lie in a file.
struct Guarded {
    house: House,
    file: KeysFile,
    pace: Pace,
    _folder: TempDir,
}

// === who passes ===

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_is_asked_for_one() {
    let house = House::open().await;
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    let stray = house.client.get(house.url("/v1/events")).bearer_auth("nonsense").send().await.expect("an answer");
    assert_eq!(stray.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_good_key_is_told_so_and_nothing_else() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(everything());
    let text = secret.reveal();
    let last = if text.ends_with('0') { "1" } else { "0" };
    let forged = format!("Bearer {}{last}", &text[..text.len() - 1]);
    let unknown = format!("Bearer rvk_{}_{}", "0".repeat(12), "0".repeat(64));
    let wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer rvk_",
        "Basic cmVldmU6cmVldmU=",
        &format!("Bearer {}", &text[..text.len() - 1]),
        text,
        &forged,
        &unknown,
        &format!("Bearer {text} {text}"),
        &format!("Bearer {text},Bearer {text}"),
        &format!("Bearer\t{text}"),
        "Bearer \u{a0}\u{ff}",
    ];
    for wrong in wrong {
        for path in ["/v1/events", "/v1/agents/telecom/orders", "/v1/agents/nobody/orders", "/nothing"] {
            let value = HeaderValue::from_bytes(wrong.as_bytes()).expect("a header");
            let answer = guarded.house.client.get(guarded.house.url(path)).header(AUTHORIZATION, value).send().await.expect("an answer");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"reeve\", error=\"invalid_token\"", "{wrong}");
            Answer::read(answer).await.is_problem(401, "unauthorized", &[(None, "authorization", "unknown_key")]);
        }
    }
    let answer = guarded.house.client.get(guarded.house.url("/v1/events")).send().await.expect("an answer");
    assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"reeve\"");
    Answer::read(answer).await.is_problem(401, "unauthorized", &[(None, "authorization", "missing_key")]);
    guarded.publish(None, &harm("telecom", "a")).await.is_problem(401, "unauthorized", &[(None, "authorization", "missing_key")]);
    assert!(guarded.house.records().is_empty());
    guarded.publish(Some(&secret), &harm("telecom", "a")).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_in_one_request_are_none() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(everything());
    let value = format!("Bearer {}", secret.reveal());
    let request = guarded.house.client.get(guarded.house.url("/v1/events")).header(AUTHORIZATION, &value).header(AUTHORIZATION, &value);
    let answer = Answer::read(request.send().await.expect("an answer")).await;
    answer.is_problem(401, "unauthorized", &[(None, "authorization", "ambiguous_key")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_has_no_case_and_a_large_body_does_not_hide_the_answer() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(everything());
    let request = guarded.house.client.get(guarded.house.url("/v1/events")).header(AUTHORIZATION, format!("bEARER  {}", secret.reveal()));
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 200);
    let answer = guarded.house.post(BATCH, "x".repeat(6 << 20)).await;
    answer.is_problem(401, "unauthorized", &[(None, "authorization", "missing_key")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_passes_no_more() {
    let guarded = Guarded::open().await;
    let (key, secret) = Key::mint("old", everything(), LONG_AGO, Some(LONG_AGO.plus_s(60))).expect("a key");
    guarded.file.add(key, LONG_AGO).expect("added");
    guarded.until(&secret, |answer| answer.body["errors"][0]["code"] == "expired_key").await;
    let answer = guarded.publish(Some(&secret), &harm("telecom", "a")).await;
    answer.is_problem(401, "unauthorized", &[(None, "authorization", "expired_key")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_passes_no_more_and_its_streams_end() {
    let guarded = Guarded::open().await;
    let (secret, other) = (guarded.key(everything()), guarded.key(everything()));
    let listen = |path: &str| guarded.house.client.get(guarded.house.url(path)).bearer_auth(secret.reveal()).send();
    let orders = listen("/v1/agents/telecom/orders").await.expect("a stream");
    let lines = listen("/v1/events?follow=true").await.expect("a stream");
    assert_eq!((orders.status().as_u16(), lines.status().as_u16()), (200, 200));
    guarded.file.revoke(&id_of(&secret), LONG_AGO).expect("revoked");
    for stream in [orders, lines] {
        timeout(PATIENCE, stream.bytes()).await.expect("the stream ends").expect("in order");
    }
    let answer = guarded.get(&secret, "/v1/events").await;
    answer.is_problem(401, "unauthorized", &[(None, "authorization", "revoked_key")]);
    guarded.publish(Some(&other), &harm("telecom", "a")).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_shuts_the_door_to_who_came_without() {
    let guarded = Guarded::open().await;
    let stream = guarded.house.get("/v1/events?follow=true").await;
    assert_eq!(stream.status().as_u16(), 200);
    let secret = guarded.key(everything());
    timeout(PATIENCE, stream.bytes()).await.expect("the stream ends").expect("in order");
    guarded.until(&secret, |answer| answer.status.as_u16() == 200).await;
    guarded.publish(None, &harm("telecom", "a")).await.is_problem(401, "unauthorized", &[(None, "authorization", "missing_key")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_keys_cannot_be_trusted_nobody_passes() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(everything());
    guarded.until(&secret, |answer| answer.status.as_u16() == 200).await;
    let whole = std::fs::read(guarded.file.path()).expect("readable");
    std::fs::write(guarded.file.path(), &whole[..whole.len() / 2]).expect("written");
    guarded.until(&secret, |answer| answer.status.as_u16() == 503).await;
    let answer = guarded.get(&secret, "/v1/events").await;
    answer.is_problem(503, "keys_refused", &[]);
    assert_eq!(answer.retry_after.as_deref(), Some("5"));
    std::fs::write(guarded.file.path(), &whole).expect("written");
    guarded.until(&secret, |answer| answer.status.as_u16() == 200).await;
    std::fs::remove_file(guarded.file.path()).expect("removed");
    guarded.until(&secret, |answer| answer.status.as_u16() == 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_the_house_passes_whatever_the_file_says() {
    let (guarded, fleet) = Guarded::with_guest().await;
    guarded.publish(Some(&fleet), &harm("telecom", "a")).await.is_receipt(1, 0);
    guarded.key(everything());
    guarded.publish(Some(&fleet), &harm("telecom", "b")).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_contract_does_not_name_is_not_served() {
    let beside = Router::new().route("/secret", get(|| async { "told" })).route("/livez", get(|| async { "ok" }));
    let house = House::beside(GatewayOptions::default(), ServeLimits::default(), beside).await;
    Answer::read(house.get("/secret").await).await.is_problem(404, "not_found", &[]);
    assert_eq!(house.get("/livez").await.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_and_whether_it_lives_are_told_without_a_key() {
    let guarded = Guarded::open().await;
    guarded.key(everything());
    let contract = Answer::read(guarded.house.get("/v1/openapi.json").await).await;
    assert_eq!((contract.status.as_u16(), &contract.body["openapi"]), (200, &json!("3.1.0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_take_is_told_before_a_key_is_asked_for() {
    let guarded = Guarded::with_rooms().await;
    guarded.key(everything());
    for (path, allowed) in
        [("/readyz", "GET,HEAD"), ("/version", "GET,HEAD"), ("/v1/openapi.json", "GET,HEAD"), ("/v1/events", "GET,HEAD,POST")]
    {
        for method in [Method::TRACE, Method::DELETE, Method::OPTIONS] {
            let asked = guarded.house.client.request(method, guarded.house.url(path)).send().await.expect("an answer");
            let answer = Answer::read(asked).await;
            answer.is_problem(405, "method_not_allowed", &[]);
            assert_eq!(answer.allow.as_deref(), Some(allowed), "{path}");
        }
    }
    Answer::read(guarded.house.get("/version").await).await.is_problem(401, "unauthorized", &[(None, "authorization", "missing_key")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_rooms_stand_is_told_to_who_shows_a_good_key_and_whether_to_everybody() {
    let guarded = Guarded::with_rooms().await;
    let told = async |shown: Option<&str>| {
        let request = guarded.house.client.get(guarded.house.url("/readyz"));
        let request = shown.into_iter().fold(request, |request, secret| request.bearer_auth(secret));
        let answer = Answer::read(request.send().await.expect("an answer")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["ready"]), (200, &json!(true)));
        answer.body.get("rooms").is_some()
    };
    assert!(told(None).await, "without keys nobody is a stranger");
    let secret = guarded.key(everything());
    let forged = format!("{}0", secret.reveal());
    let unknown = format!("rvk_{}_{}", "0".repeat(12), "0".repeat(64));
    assert!(told(Some(secret.reveal())).await);
    for stranger in [None, Some(forged.as_str()), Some(unknown.as_str())] {
        assert!(!told(stranger).await, "{stranger:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_only_requests_that_name_this_machine_are_taken() {
    let guarded = Guarded::open().await;
    let ask = async |path: &str, host: &str| {
        let request = guarded.house.client.get(guarded.house.url(path)).header(HOST, host);
        request.send().await.expect("an answer")
    };
    for path in ["/v1/events", "/v1/agents/telecom/orders", "/v1/openapi.json", "/nothing"] {
        let answer = Answer::read(ask(path, "rebound.example:4780").await).await;
        answer.is_problem(421, "misdirected", &[(None, "host", "not_this_machine")]);
    }
    assert_eq!(ask("/v1/events", "localhost:4780").await.status().as_u16(), 200);
    // A key is what a page of somebody else's does not have.
    let secret = guarded.key(everything());
    let request = guarded.house.client.get(guarded.house.url("/v1/events")).header(HOST, "reeve.example").bearer_auth(secret.reveal());
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 200);
}

// === what he may ===

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_limited_to_agents_speaks_for_no_other() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(of_agents(&["telecom", "claims-*"]));
    guarded.publish(Some(&secret), &harm("telecom", "a")).await.is_receipt(1, 0);
    guarded.publish(Some(&secret), &harm("claims-eu", "b")).await.is_receipt(1, 0);
    let other = guarded.publish(Some(&secret), &harm("telecom2", "c")).await;
    other.is_problem(403, "forbidden", &[(None, "partitionkey", "agent_not_allowed")]);
    let mut keyed = harm("telecom", "d");
    keyed["source"] = "urn:somebody".into();
    keyed["partitionkey"] = "banking".into();
    let faults = [(None, "partitionkey", "agent_not_allowed"), (None, "source", "agent_not_allowed")];
    guarded.publish(Some(&secret), &keyed).await.is_problem(403, "forbidden", &faults);
    // A source that is nobody's would take ids away from whoever uses it.
    keyed["partitionkey"] = "telecom".into();
    guarded.publish(Some(&secret), &keyed).await.is_problem(403, "forbidden", &[(None, "source", "agent_not_allowed")]);
    let mut encoded = harm("telecom", "e");
    encoded["source"] = "/platforms/helpdesk/agents/%62anking".into();
    guarded.publish(Some(&secret), &encoded).await.is_problem(403, "forbidden", &[(None, "partitionkey", "agent_not_allowed")]);
    assert_eq!(guarded.house.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_limited_to_agents_speaks_for_the_people_that_it_names_and_for_nobody_else() {
    let guarded = Guarded::open().await;
    let word = |source: &str, author: &str, id: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": source, "type": "mode.set", "partitionkey": "telecom",
            "data": {"mode": "human_only", "author": author, "reason": "as agreed"},
        })
    };
    let (of_nobody, of_maria) = (guarded.key(of_agents(&["telecom"])), guarded.key(of_people(&["maria", "duty-*"])));
    let forged = guarded.publish(Some(&of_nobody), &word("/people/maria", "maria", "a")).await;
    forged.is_problem(403, "forbidden", &[(None, "source", "person_not_allowed")]);
    assert!(forged.body["detail"].as_str().is_some_and(|detail| detail.contains("`maria`")), "{forged:?}");
    // Neither does another source make it her word.
    for source in ["/platforms/helpdesk/agents/telecom", "/people/duty-1"] {
        let forged = guarded.publish(Some(&of_nobody), &word("/platforms/helpdesk/agents/telecom", "maria", "b")).await;
        forged.is_problem(403, "forbidden", &[(None, "data.author", "person_not_allowed")]);
        let forged = guarded.publish(Some(&of_maria), &word(source, "ines", "b")).await;
        forged.is_problem(403, "forbidden", &[(None, "data.author", "person_not_allowed")]);
    }
    for source in ["/people/mariah", "/people/maria/x", "/people/%6Daria", "/people/duty"] {
        let forged = guarded.publish(Some(&of_maria), &word(source, "maria", "c")).await;
        forged.is_problem(403, "forbidden", &[(None, "source", "person_not_allowed")]);
    }
    guarded.publish(Some(&of_maria), &word("/people/maria", "maria", "d")).await.is_receipt(1, 0);
    guarded.publish(Some(&of_maria), &word("/people/duty-1", "duty-2", "e")).await.is_receipt(1, 0);
    // Her ids are hers still, and who is limited to no agents speaks for everybody.
    let all = guarded.key(everything());
    guarded.publish(Some(&all), &word("/people/maria", "maria", "a")).await.is_receipt(1, 0);
    let of_one = guarded.key(Scope { people: vec!["ines".parse().expect("a name")], ..everything() });
    let forged = guarded.publish(Some(&of_one), &word("/people/maria", "maria", "f")).await;
    forged.is_problem(403, "forbidden", &[(None, "source", "person_not_allowed")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_event_of_another_agent_is_refused_whole_and_names_each_fault() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(of_agents(&["telecom"]));
    let mut broken = harm("telecom", "c");
    broken["data"] = json!({});
    let batch = Value::from(vec![harm("telecom", "a"), harm("banking", "b"), broken]);
    let faults =
        [(Some(1), "partitionkey", "agent_not_allowed"), (Some(2), "data.category", "missing"), (Some(2), "data.confirmed", "missing")];
    guarded.post(Some(&secret), BATCH, batch.to_string()).await.is_problem(403, "forbidden", &faults);
    assert!(guarded.house.records().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_form_is_judged_like_the_others() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(of_agents(&["telecom"]));
    let send = |source: &str| {
        let request = guarded.house.client.post(guarded.house.url("/v1/events")).bearer_auth(secret.reveal());
        let request = request.header("content-type", "application/json").header("ce-specversion", "1.0").header("ce-id", "a");
        request
            .header("ce-type", "io.reeve.harm.reported.v1")
            .header("ce-source", source)
            .body(harm("telecom", "a")["data"].to_string())
            .send()
    };
    let other = Answer::read(send("/platforms/helpdesk/agents/banking").await.expect("an answer")).await;
    other.is_problem(403, "forbidden", &[(None, "partitionkey", "agent_not_allowed")]);
    Answer::read(send("/platforms/helpdesk/agents/telecom").await.expect("an answer")).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_every_agent_is_not_for_a_key_of_some() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(Scope { people: vec!["ines".parse().expect("a name")], ..of_agents(&["incident"]) });
    let policy = json!({
        "specversion": "1.0", "id": "p", "source": "/people/ines", "type": "policy.adopted",
        "data": {"room": "incident", "version": "v1", "document": "x", "author": "ines", "reason": "as agreed"},
    });
    guarded.publish(Some(&secret), &policy).await.is_problem(403, "forbidden", &[(None, "type", "agent_not_allowed")]);
    let all = guarded.key(everything());
    guarded.publish(Some(&all), &policy).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_limited_to_kinds_says_and_hears_no_other() {
    let guarded = Guarded::open().await;
    let all = guarded.key(everything());
    let facts =
        guarded.key(Scope { kinds: vec!["session.started".parse().expect("a kind"), "words".parse().expect("a class")], ..everything() });
    guarded.publish(Some(&facts), &harm("telecom", "a")).await.is_problem(403, "forbidden", &[(None, "type", "kind_not_allowed")]);
    guarded.publish(Some(&all), &harm("telecom", "a")).await.is_receipt(1, 0);
    assert_eq!(guarded.lines(&facts, "/v1/events").await.len(), 0);
    assert_eq!(guarded.lines(&all, "/v1/events").await.len(), 1);
    let asked = guarded.get(&facts, "/v1/events?kind=harm.reported,mode.set").await;
    asked.is_problem(403, "forbidden", &[(None, "kind", "kind_not_allowed")]);
    let orders = guarded.get(&facts, "/v1/agents/telecom/orders?wait_s=0").await;
    orders.is_problem(403, "forbidden", &[(None, "kind", "kind_not_allowed"), (None, "kind", "kind_not_allowed")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_hears_of_its_agents_only_and_not_whether_there_are_others() {
    let guarded = Guarded::open().await;
    let (all, secret) = (guarded.key(everything()), guarded.key(of_agents(&["telecom"])));
    for (agent, id) in [("telecom", "a"), ("banking", "b"), ("telecom", "c")] {
        guarded.publish(Some(&all), &harm(agent, id)).await.is_receipt(1, 0);
    }
    guarded.house.decide(&order("banking", "o"));
    guarded.house.decide(&order("telecom", "p"));
    assert_eq!(guarded.lines(&all, "/v1/events").await.len(), 5);
    let heard = guarded.lines(&secret, "/v1/events").await;
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|event| event["partitionkey"] == "telecom"));
    assert!(guarded.text(&secret, "/v1/agents/telecom/orders?wait_s=0").await.contains("event: mode.ordered"));
    let of_other = |answer: Answer, agent: &str| {
        answer.is_problem(403, "forbidden", &[(None, "agent", "agent_not_allowed")]);
        answer.body.to_string().replace(agent, "AGENT")
    };
    for path in ["/v1/events?agent=", "/v1/agents/"] {
        let ask = async |agent: &str| {
            let end = if path.ends_with('/') { "/orders" } else { "" };
            of_other(guarded.get(&secret, &format!("{path}{agent}{end}")).await, agent)
        };
        assert_eq!(ask("banking").await, ask("nobody").await, "one exists and one does not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_right_is_told_which() {
    let guarded = Guarded::open().await;
    let reads = guarded.key(Scope { may: [Right::Read].into(), ..everything() });
    let publishes = guarded.key(Scope { may: [Right::Publish].into(), ..everything() });
    guarded.publish(Some(&reads), &harm("telecom", "a")).await.is_problem(403, "forbidden", &[(None, "authorization", "right_missing")]);
    guarded.publish(Some(&publishes), &harm("telecom", "a")).await.is_receipt(1, 0);
    guarded.get(&publishes, "/v1/events").await.is_problem(403, "forbidden", &[(None, "authorization", "right_missing")]);
    assert_eq!(guarded.lines(&reads, "/v1/events").await.len(), 1);
    let id = id_of(&reads);
    let labels = [("key", id.as_str()), ("outcome", "forbidden")];
    assert!(count(&guarded.house, "reeve_gateway_key_requests_total", &labels) >= 1.0);
}

// === how much ===

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_waits_as_long_as_he_is_told_and_then_passes() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(Scope { rate_per_s: NonZeroU32::new(400).expect("a rate"), ..everything() });
    guarded.until(&secret, |answer| answer.status.as_u16() == 200).await;
    guarded.pace.pass(Duration::from_secs(60));
    let batch = |from: usize| Value::from_iter((from..from + 1_000).map(|id| harm("telecom", &id.to_string()))).to_string();
    guarded.post(Some(&secret), BATCH, batch(0)).await.is_receipt(1_000, 0);
    let limited = guarded.publish(Some(&secret), &harm("telecom", "one")).await;
    limited.is_problem(429, "rate_limited", &[(None, "authorization", "rate_limited")]);
    assert_eq!(limited.retry_after.as_deref(), Some("1"), "whole seconds, rounded up");
    guarded.pace.pass(Duration::from_secs(1));
    // It is the events that count: there is room for the request, and for four hundred events less one.
    let limited = guarded.post(Some(&secret), BATCH, batch(1_000)).await;
    limited.is_problem(429, "rate_limited", &[(None, "authorization", "rate_limited")]);
    let after: u64 = limited.retry_after.expect("told").parse().expect("seconds");
    assert_eq!(after, 2, "601 more at 400 a second: the request is paid for once more");
    guarded.pace.pass(Duration::from_secs(after));
    guarded.post(Some(&secret), BATCH, batch(1_000)).await.is_receipt(1_000, 0);
    // Another key has a rate of its own.
    let other = guarded.key(everything());
    guarded.publish(Some(&other), &harm("telecom", "two")).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slowest_key_sends_a_full_batch_after_exactly_the_time_that_it_was_told() {
    let guarded = Guarded::open().await;
    let secret = guarded.key(Scope { rate_per_s: NonZeroU32::MIN, ..everything() });
    let batch = |from: usize| Value::from_iter((from..from + 1_000).map(|id| harm("telecom", &id.to_string()))).to_string();
    guarded.post(Some(&secret), BATCH, batch(0)).await.is_receipt(1_000, 0);
    guarded.pace.pass(Duration::from_secs(1));
    let limited = guarded.post(Some(&secret), BATCH, batch(1_000)).await;
    limited.is_problem(429, "rate_limited", &[(None, "authorization", "rate_limited")]);
    let after: u64 = limited.retry_after.expect("told").parse().expect("seconds");
    assert_eq!(after, 1_000, "all of it, and not the 999 that were short");
    guarded.pace.pass(Duration::from_secs(after));
    guarded.post(Some(&secret), BATCH, batch(1_000)).await.is_receipt(1_000, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_which_the_keys_cannot_be_trusted_gives_nobody_anything_anew() {
    let guarded = Guarded::open().await;
    let (slow, other) = (guarded.key(Scope { rate_per_s: NonZeroU32::MIN, ..everything() }), guarded.key(everything()));
    let batch = |from: usize| Value::from_iter((from..from + 1_000).map(|id| harm("telecom", &id.to_string()))).to_string();
    guarded.post(Some(&slow), BATCH, batch(0)).await.is_receipt(1_000, 0);
    let whole = std::fs::read(guarded.file.path()).expect("readable");
    for (bytes, status) in [(&whole[..whole.len() / 2], 503), (&whole[..], 200)] {
        std::fs::write(guarded.file.path(), bytes).expect("written");
        guarded.until(&other, |answer| answer.status.as_u16() == status).await;
    }
    let limited = guarded.post(Some(&slow), BATCH, batch(1_000)).await;
    limited.is_problem(429, "rate_limited", &[(None, "authorization", "rate_limited")]);
}

// === helpers ===

impl Guarded {
    async fn open() -> Self {
        Self::with_guest().await.0
    }

    /// And what operators ask of a process beside it.
    async fn with_rooms() -> Self {
        Self::beside(runtime::admin::router(runtime::admin::Admin::default())).await.0
    }

    /// And the key of a guest.
    async fn with_guest() -> (Self, Secret) {
        Self::beside(Router::new()).await
    }

    async fn beside(beside: Router) -> (Self, Secret) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeysFile::in_folder(folder.path());
        let pace = Pace::standing_still();
        let mut keys = Keys::watch(file.clone(), LOOK_EVERY, pace.clone()).expect("no keys yet");
        let guest = keys.guest("guest").expect("a key");
        let house = House::beside(GatewayOptions { keys, ..GatewayOptions::default() }, ServeLimits::default(), beside).await;
        (Self { house, file, pace, _folder: folder }, guest)
    }

    /// Makes a key; the gateway knows it when this returns.
    fn key(&self, scope: Scope) -> Secret {
        let (key, secret) = Key::mint("test", scope, LONG_AGO, None).expect("a key");
        self.file.add(key, LONG_AGO).expect("added");
        let known = tokio::task::block_in_place(|| {
            (0..4_000).any(|_| {
                std::thread::sleep(LOOK_EVERY);
                self.house.keys.knows(&id_of(&secret))
            })
        });
        assert!(known, "the gateway reads its keys anew");
        secret
    }

    async fn get(&self, secret: &Secret, path: &str) -> Answer {
        Answer::read(self.house.client.get(self.house.url(path)).bearer_auth(secret.reveal()).send().await.expect("an answer")).await
    }

    async fn text(&self, secret: &Secret, path: &str) -> String {
        let answer = self.house.client.get(self.house.url(path)).bearer_auth(secret.reveal()).send().await.expect("an answer");
        timeout(PATIENCE, answer.text()).await.expect("it ends").expect("text")
    }

    async fn lines(&self, secret: &Secret, path: &str) -> Vec<Value> {
        self.text(secret, path).await.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    async fn publish(&self, secret: Option<&Secret>, event: &Value) -> Answer {
        self.post(secret, STRUCTURED, event.to_string()).await
    }

    async fn post(&self, secret: Option<&Secret>, content_type: &str, body: String) -> Answer {
        let request = self.house.client.post(self.house.url("/v1/events")).header("content-type", content_type).body(body);
        let request = secret.map(|secret| secret.reveal()).into_iter().fold(request, |request, secret| request.bearer_auth(secret));
        Answer::read(request.send().await.expect("an answer")).await
    }

    /// Asks with a key until the answer is as it must become.
    async fn until(&self, secret: &Secret, is: impl Fn(&Answer) -> bool) {
        let asking = async {
            loop {
                let answer = Answer::read(
                    self.house
                        .client
                        .get(self.house.url("/v1/events?limit=1&from=now"))
                        .bearer_auth(secret.reveal())
                        .send()
                        .await
                        .expect("an answer"),
                )
                .await;
                if is(&answer) {
                    return;
                }
                self.pace.pass(Duration::from_secs(1));
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, asking).await.expect("the gateway reads its keys anew");
    }
}

fn everything() -> Scope {
    Scope::everything(gateway::keys::RATE_PER_S)
}

fn of_agents(agents: &[&str]) -> Scope {
    Scope { agents: agents.iter().map(|agent| agent.parse().expect("a name")).collect(), ..everything() }
}

fn of_people(people: &[&str]) -> Scope {
    Scope { people: people.iter().map(|person| person.parse().expect("a name")).collect(), ..of_agents(&["telecom"]) }
}

fn id_of(secret: &Secret) -> gateway::keys::KeyId {
    secret.id()
}
