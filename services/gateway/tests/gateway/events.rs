//! `GET /v1/events`.

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::house::{Answer, BATCH, House, PATIENCE, harm, order};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_told_a_record_a_line_in_order_of_append() {
    let house = House::open().await;
    assert_eq!(lines(&house, "").await, Vec::<Value>::new());
    for (index, agent) in ["telecom", "airline", "retail", "telecom"].into_iter().enumerate() {
        house.publish(&harm(agent, &index.to_string())).await.is_receipt(1, 0);
    }
    let told = lines(&house, "").await;
    assert_eq!(ids(&told), ["0", "1", "2", "3"]);
    let first = &told[0];
    assert_eq!(first["data"], harm("telecom", "0")["data"]);
    for (name, value) in
        [("specversion", "1.0"), ("type", "io.reeve.harm.reported.v1"), ("topic", "agent-events"), ("partitionkey", "telecom")]
    {
        assert_eq!(first[name], value);
    }
    assert!(first["partition"].is_u64() && first["offset"].is_u64() && first["recordedtime"].is_string() && first["cursor"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_it() {
    let house = House::open().await;
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    house.publish(&harm("airline", "b")).await.is_receipt(1, 0);
    house.publish(&started("telecom", "c", "s1")).await.is_receipt(1, 0);
    house.decide(&order("telecom", "d"));
    for (query, expected) in [
        ("?agent=telecom", vec!["a", "c", "d"]),
        ("?agent=tele", vec![]),
        ("?kind=harm.reported", vec!["a", "b"]),
        ("?kind=harm.reported,mode.ordered", vec!["a", "b", "d"]),
        ("?kind=mode.ordered&kind=session.started", vec!["c", "d"]),
        ("?kind=harm.reported&agent=airline", vec!["b"]),
        ("?id=b", vec!["b"]),
        ("?session=s1", vec!["c"]),
        ("?session=s2", vec![]),
        ("?limit=2", vec!["a", "b"]),
        ("?agent=telecom&limit=2&follow=true", vec!["a", "c"]),
    ] {
        assert_eq!(ids(&lines(&house, query).await), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_on_after_its_record() {
    let house = House::open().await;
    let batch: Vec<_> = (0..50).map(|index| harm(["telecom", "airline", "retail"][index % 3], &index.to_string())).collect();
    house.post(BATCH, json!(batch).to_string()).await.is_receipt(50, 0);
    let told = lines(&house, "").await;
    for (index, line) in told.iter().enumerate() {
        let rest = lines(&house, &format!("?from={}", line["cursor"].as_str().expect("a cursor"))).await;
        assert_eq!(ids(&rest), ids(&told[index + 1..]));
    }
    let last = told.last().expect("a line")["cursor"].as_str().expect("a cursor").to_owned();
    house.publish(&harm("telecom", "new")).await.is_receipt(1, 0);
    assert_eq!(ids(&lines(&house, &format!("?from={last}&follow=true&limit=1")).await), ["new"]);
    assert_eq!(lines(&house, "?from=now").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_what_is_yet_to_come() {
    let mut house = House::open().await;
    house.publish(&harm("telecom", "before")).await.is_receipt(1, 0);
    let mut response = house.get("/v1/events?follow=true&from=now").await;
    let mut all = house.get("/v1/events?follow=true").await;
    let mut text = String::new();
    for id in ["one", "two", "three"] {
        house.publish(&harm("telecom", id)).await.is_receipt(1, 0);
        hear(&mut response, &mut text, id).await;
    }
    assert_eq!(ids(&parse(&text)), ["one", "two", "three"]);
    let mut text = String::new();
    hear(&mut all, &mut text, "three").await;
    assert_eq!(ids(&parse(&text)), ["before", "one", "two", "three"]);
    house.shut_down();
    for stream in [&mut response, &mut all] {
        assert_eq!(timeout(PATIENCE, stream.chunk()).await.expect("in time").expect("ended well"), None);
    }
    house.closed().await.expect("nothing was cut");
}

/// Reads a stream until it has told of `id`. One that is shut down ends where it is, so what it owes is heard before.
async fn hear(stream: &mut reqwest::Response, text: &mut String, id: &str) {
    while !text.contains(&format!("\"id\":\"{id}\"")) {
        let chunk = timeout(PATIENCE, stream.chunk()).await.expect("in time").expect("whole");
        text.push_str(&String::from_utf8_lossy(&chunk.expect("more")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_told_in_pieces_and_whole() {
    let house = House::open().await;
    for batch in 0..12 {
        let events: Vec<_> = (0..1_000).map(|index| harm(&format!("agent{}", index % 7), &format!("{batch}-{index}"))).collect();
        house.post(BATCH, json!(events).to_string()).await.is_receipt(1_000, 0);
    }
    let told = lines(&house, "").await;
    assert_eq!(told.len(), 12_000);
    let times: Vec<_> = told.iter().map(|line| line["recordedtime"].as_str().expect("a time")).collect();
    assert!(times.is_sorted());
    let distinct: std::collections::BTreeSet<_> = ids(&told).into_iter().collect();
    assert_eq!(distinct.len(), 12_000);
    // The last record only: every turn before passes without a line.
    assert_eq!(ids(&lines(&house, "?id=11-999").await), ["11-999"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_are_not_well_formed_are_refused() {
    let house = House::open().await;
    for (query, faults) in [
        ("?kind=nonsense", vec![(None, "kind", "unknown_kind")]),
        ("?agnet=telecom", vec![(None, "agnet", "unknown_field")]),
        ("?limit=0&follow=maybe", vec![(None, "limit", "out_of_range"), (None, "follow", "out_of_range")]),
        ("?limit=-1", vec![(None, "limit", "out_of_range")]),
        ("?limit=9223372036854775808", vec![(None, "limit", "out_of_range")]),
        ("?from=nonsense", vec![(None, "from", "malformed")]),
        ("?from=99.0.0.0", vec![(None, "from", "out_of_range")]),
        ("?id=", vec![(None, "id", "malformed")]),
        ("?id=a&id=b", vec![(None, "id", "malformed")]),
    ] {
        let answer = Answer::read(house.get(&format!("/v1/events{query}")).await).await;
        answer.is_problem(400, "bad_request", &faults);
    }
}

async fn lines(house: &House, query: &str) -> Vec<Value> {
    let response = house.get(&format!("/v1/events{query}")).await;
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"application/x-ndjson".parse().expect("a value")));
    parse(&timeout(PATIENCE, response.text()).await.expect("in time").expect("whole"))
}

fn parse(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["id"].as_str().expect("an id")).collect()
}

fn started(agent: &str, id: &str, session: &str) -> Value {
    let mut event = harm(agent, id);
    event["type"] = json!("io.reeve.session.started.v1");
    event["subject"] = json!(session);
    event["data"] = json!({"version": "v1"});
    event
}
