//! The server under clients that are slow, rude or many.

use std::time::Duration;

use gateway::{GatewayOptions, ServeLimits};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::accept::count;
use crate::house::{House, PATIENCE, harm, read_to_end};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn who_never_ends_its_head_is_cut_off() {
    let limits = ServeLimits { header_timeout: SHORT, ..ServeLimits::default() };
    let house = House::with(GatewayOptions::default(), limits).await;
    let mut stream = TcpStream::connect(house.address).await.expect("a connection");
    stream.write_all(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\n").await.expect("sent");
    read_to_end(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_cut_off() {
    let limits = ServeLimits { header_timeout: SHORT, ..ServeLimits::default() };
    let house = House::with(GatewayOptions::default(), limits).await;
    let mut stream = TcpStream::connect(house.address).await.expect("a connection");
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_its_body_too_slowly_is_told_and_cut_off() {
    let options = GatewayOptions { body_timeout: SHORT, ..GatewayOptions::default() };
    let house = House::with(options, ServeLimits::default()).await;
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\ncontent-length: 100\r\n\r\n{";
    let answer = house.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:reeve:problem:body_too_slow") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_a_long_answer_is_cut_off() {
    let limits = ServeLimits { stall_timeout: SHORT, ..ServeLimits::default() };
    let house = House::with(GatewayOptions { streams_max: 1, ..GatewayOptions::default() }, limits).await;
    // Many times more than the buffers of both ends hold.
    for batch in 0..40 {
        let events = (0..10).map(|index| {
            let mut event = harm("telecom", &format!("{batch}-{index}"));
            event["data"]["description"] = "x".repeat(100 << 10).into();
            event
        });
        house.post("application/cloudevents-batch+json", Value::from_iter(events).to_string()).await.is_receipt(10, 0);
    }
    let mut stream = TcpStream::connect(house.address).await.expect("a connection");
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let cut = async {
        while count(&house, "reeve_http_requests_total", &[("method", "GET")]) < 1.0
            || count(&house, "reeve_gateway_streams_open", &[]) > 0.0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, cut).await.expect("a stream whose client takes nothing comes to an end");
    let mut taken = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut taken)).await.expect("the connection ends");
    assert!(taken.len() < 400 * (100 << 10), "the answer was cut, not finished: {} bytes came", taken.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_and_the_server_goes_on() {
    let house = House::open().await;
    let long_header = format!("GET /v1/events HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200 << 10));
    let many_headers = format!("GET /v1/events HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let bad_chunk = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let two_lengths = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}";
    let cases = [
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "HTTP/1.1 400 "),
        ("NONSENSE\r\n\r\n", "HTTP/1.1 400 "),
        (two_lengths, "HTTP/1.1 400 "),
        (bad_chunk, "HTTP/1.1 400 "),
        (&long_header, "HTTP/1.1 431 "),
        (&many_headers, "HTTP/1.1 431 "),
    ];
    for (request, expected) in cases {
        let mut stream = TcpStream::connect(house.address).await.expect("a connection");
        // A server that has read enough may close before everything is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = vec![0; expected.len()];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), expected, "{:.40}", request);
    }
    house.publish(&harm("telecom", "a")).await.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_one_go_are_answered_in_their_order() {
    let house = House::open().await;
    let body = harm("telecom", "a").to_string();
    let post = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let last = "GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = house.raw(format!("{post}{post}{last}").as_bytes()).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|part| &part[..3]).collect();
    assert_eq!(statuses, ["202", "202", "404"]);
    assert_eq!(house.records().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_slow_senders_do_not_keep_a_quick_one_out_for_long() {
    let limits = ServeLimits { connections_max: 64, header_timeout: SHORT, ..ServeLimits::default() };
    let house = House::with(GatewayOptions::default(), limits).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(house.address).await.expect("a connection");
        stream.write_all(b"POST ").await.expect("sent");
        slow.push(stream);
    }
    let answer = timeout(PATIENCE, house.publish(&harm("telecom", "a"))).await.expect("a turn");
    answer.is_receipt(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_take_bounded_room_together() {
    let options = GatewayOptions { bodies_bytes_max: 64, ..GatewayOptions::default() };
    let house = House::with(options, ServeLimits::default()).await;
    let answer = house.publish(&harm("telecom", "a")).await;
    answer.is_problem(503, "busy", &[]);
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_before_the_server_ends() {
    let mut house = House::open().await;
    let body = harm("telecom", "a").to_string();
    let (begun, rest) = body.split_at(20);
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\nexpect: 100-continue";
    let mut stream = TcpStream::connect(house.address).await.expect("a connection");
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes()).await.expect("sent");
    // The server asks for the body: the request is under way.
    let mut asked = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut asked)).await.expect("in time").expect("HTTP/1.1 100 Continue");
    stream.write_all(begun.as_bytes()).await.expect("sent");
    house.shut_down();
    stream.write_all(rest.as_bytes()).await.expect("sent");
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    house.closed().await.expect("nothing was cut");
}
