//! `GET /v1/agents/{agent}/orders`.

use std::time::Duration;

use gateway::{GatewayOptions, ServeLimits};
use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;
use wire::{Offset, Partition};

use crate::accept::count;
use crate::house::{Answer, House, PATIENCE, harm, order};

/// One event of a stream of server-sent events.
#[derive(Debug, Default, PartialEq)]
struct Told {
    id: String,
    event: String,
    data: Value,
}

/// A stream of server-sent events as far as it was read.
struct Stream {
    response: Response,
    text: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_hears_its_own_orders_from_the_beginning_and_as_they_come() {
    let house = House::open().await;
    let (partition, first) = house.decide(&order("telecom", "o1"));
    house.decide(&order("airline", "elsewhere"));
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
    let mut stream = listen(&house, "/v1/agents/telecom/orders", None).await;
    let told = stream.next().await.expect("the first order");
    assert_eq!((told.id.as_str(), told.event.as_str()), (place(partition, first).as_str(), "mode.ordered"));
    assert_eq!(told.data["id"], "o1");
    assert_eq!(told.data["data"]["mode"], "human_only");
    let (partition, second) = house.decide(&order("telecom", "o2"));
    let told = stream.next().await.expect("the second order");
    assert_eq!((told.id, &told.data["id"]), (place(partition, second), &Value::from("o2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_comes_again_hears_only_what_it_missed() {
    let house = House::open().await;
    let (partition, first) = house.decide(&order("telecom", "o1"));
    house.decide(&order("telecom", "o2"));
    let mut stream = listen(&house, "/v1/agents/telecom/orders", Some(&place(partition, first))).await;
    assert_eq!(stream.next().await.expect("an order").data["id"], "o2");
    let mut stream = listen(&house, "/v1/agents/telecom/orders?from=now", Some(&place(partition, first))).await;
    assert_eq!(stream.next().await.expect("an order").data["id"], "o2", "the last id is the stronger word");
    let mut stream = listen(&house, "/v1/agents/telecom/orders?from=now", None).await;
    house.decide(&order("telecom", "o3"));
    assert_eq!(stream.next().await.expect("an order").data["id"], "o3");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_name_may_hold_anything() {
    let house = House::open().await;
    house.decide(&order("sierra/τ 2", "o1"));
    let mut stream = listen(&house, "/v1/agents/sierra%2F%CF%84%202/orders", None).await;
    assert_eq!(stream.next().await.expect("an order").data["id"], "o1");
    let long = format!("/v1/agents/{}/orders", "x".repeat(300));
    Answer::read(house.get(&long).await).await.is_problem(400, "bad_request", &[(None, "agent", "too_large")]);
    Answer::read(house.get("/v1/agents/%FF/orders").await).await.is_problem(400, "bad_request", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_event_id_that_names_no_order_is_refused() {
    let house = House::open().await;
    let (partition, _) = house.decide(&order("telecom", "o1"));
    let other = Partition((partition.0 + 1) % 4);
    let cases = [
        ("nonsense".to_owned(), "malformed"),
        (format!("{partition}:x"), "malformed"),
        (format!("{partition}:-1"), "malformed"),
        (format!("{partition}:0:0"), "malformed"),
        (format!("{partition}:99999999999999999999"), "malformed"),
        (place(other, Offset(0)), "wrong_partition"),
        (place(partition, Offset(1)), "out_of_range"),
    ];
    for (id, code) in cases {
        let request = house.client.get(house.url("/v1/agents/telecom/orders")).header("last-event-id", &id);
        let answer = Answer::read(request.send().await.expect("an answer")).await;
        answer.is_problem(400, "bad_request", &[(None, "last-event-id", code)]);
    }
    let answer = Answer::read(house.get("/v1/agents/telecom/orders?from=then&x=1").await).await;
    answer.is_problem(400, "bad_request", &[(None, "from", "out_of_range"), (None, "x", "unknown_field")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_says_that_it_is_still_there() {
    let options = GatewayOptions { keep_alive: Duration::from_millis(20), ..GatewayOptions::default() };
    let house = House::with(options, ServeLimits::default()).await;
    let mut stream = listen(&house, "/v1/agents/telecom/orders", None).await;
    stream.reach(": still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_well_when_the_server_goes_down() {
    let mut house = House::open().await;
    let mut stream = listen(&house, "/v1/agents/telecom/orders", None).await;
    house.decide(&order("telecom", "o1"));
    assert!(stream.next().await.is_some());
    house.shut_down();
    assert_eq!(stream.next().await, None);
    house.closed().await.expect("nothing was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_a_place_is_free_once_a_client_left() {
    let options = GatewayOptions { streams_max: 1, ..GatewayOptions::default() };
    let house = House::with(options, ServeLimits::default()).await;
    let stream = listen(&house, "/v1/agents/telecom/orders", None).await;
    let answer = Answer::read(house.get("/v1/agents/telecom/orders").await).await;
    answer.is_problem(503, "busy", &[]);
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
    drop(stream);
    let freed = async {
        while count(&house, "reeve_gateway_streams_open", &[]) > 0.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("the place of a client that left is free again");
    listen(&house, "/v1/agents/telecom/orders", None).await;
}

async fn listen(house: &House, path: &str, last_event_id: Option<&str>) -> Stream {
    let mut request = house.client.get(house.url(path));
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = timeout(PATIENCE, request.send()).await.expect("in time").expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Stream { response, text: String::new() }
}

fn place(partition: Partition, offset: Offset) -> String {
    format!("{partition}:{offset}")
}

impl Stream {
    /// The next event; `None` when the stream ended well.
    async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                if let Some(data) = field("data") {
                    let data = serde_json::from_str(data).expect("an event in JSON");
                    return Some(Told { id: field("id")?.to_owned(), event: field("event")?.to_owned(), data });
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    async fn reach(&mut self, text: &str) {
        while !self.text.contains(text) {
            assert!(self.read().await, "the stream ended before `{text}`: {}", self.text);
        }
    }

    async fn read(&mut self) -> bool {
        let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("in time").expect("a whole stream");
        self.text.push_str(&String::from_utf8_lossy(chunk.as_deref().unwrap_or_default()));
        chunk.is_some()
    }
}
