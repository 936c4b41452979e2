//! The whole house as a program: a fleet over HTTP, an incident, a rollback and its verification as the command shows
//! them; then an interrupt, a restart, and more of the same.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::ground::{fail, folder, json, json_lines, reeve, say, succeed, tail};
use crate::running::{Running, Up};

/// How long a version may take to go bad and be dealt with, on a machine that has other things to do.
const STORY_PATIENCE: Duration = Duration::from_secs(150);
/// One life of an incident, in the order in which it is told.
const STORY: [&str; 4] = ["incident.opened", "rollback.ordered", "command.acknowledged", "rollback.verified"];

#[test]
fn a_bad_deploy_is_noticed_taken_back_and_verified_and_again_after_a_restart() {
    let data = folder();
    let up = Up::start(data.path(), &["--fleet", "bad-deploy"]);
    let order = watch_the_story(&up, "the first run");

    let agent = order["partitionkey"].as_str().expect("an order is about an agent");
    let standing = json(reeve(["status", agent, "--json", "--url"]).arg(&up.url));
    assert_eq!(standing["agents"][0]["agent"], json!(agent), "{standing}");
    let id = order["id"].as_str().expect("an order has an id");
    let explained = succeed(reeve(["explain", id, "--url"]).arg(&up.url));
    for part in ["rollback.ordered", "incident.opened"] {
        assert!(explained.contains(part), "{part} is part of the explanation: {explained}");
    }
    let incident = order["data"]["incident_id"].as_str().expect("an order names its incident");
    succeed(reeve(["incident", "ack", incident, "--author", "ines", "--url"]).arg(&up.url));
    let held = fail(reeve(["kpis", "--data"]).arg(data.path()), 75);
    assert!(held.contains("RV"), "a folder that is held is refused with a code: {held}");
    assert_eq!(up.interrupt(), Some(0), "an interrupt is an end like any other");

    let before = tail(data.path(), &["version.deployed"]);
    let known: BTreeSet<String> = before.iter().map(|event| event["data"]["version"].to_string()).collect();
    let up = Up::start(data.path(), &["--fleet", "bad-deploy"]);
    let follow = Running::start(reeve(["tail", "--follow", "--json", "--kind", "version.deployed", "--url"]).arg(&up.url));
    let fresh = follow.json_that("new version", STORY_PATIENCE, |event| !known.contains(&event["data"]["version"].to_string()));
    say(&format!("after the restart the fleet deploys {}", fresh["data"]["version"]));
    let after = json_lines(reeve(["tail", "--json", "--kind", "version.deployed", "--url"]).arg(&up.url));
    assert!(before.iter().all(|event| has(&after, event)), "what was on the log is still there");
    drop(follow);
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn bad_input_of_every_class_is_answered_with_its_problem() {
    let data = folder();
    let up = Up::start(data.path(), &[]);
    let event = |id: &str, told: Value| {
        json!({
            "specversion": "1.0", "id": id, "source": "/platforms/test/agents/a", "type": "io.reeve.message.posted.v1",
            "subject": "s-1", "partitionkey": "a", "data": told,
        })
        .to_string()
    };
    let said = |text: &str| event("1", json!({"role": "user", "text": text}));
    const STRUCTURED: &str = "application/cloudevents+json";
    let cases = [
        (STRUCTURED, said("hello"), StatusCode::ACCEPTED),
        (STRUCTURED, said("hello"), StatusCode::ACCEPTED),
        (STRUCTURED, said("something else"), StatusCode::CONFLICT),
        (STRUCTURED, "{".to_owned(), StatusCode::BAD_REQUEST),
        // Small enough to be read to its end and thrown away: beyond that the sender may be cut off before its answer.
        (STRUCTURED, "x".repeat(8 << 20), StatusCode::PAYLOAD_TOO_LARGE),
        ("text/plain", said("hello"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (STRUCTURED, event("2", json!({"role": "user", "mood": "fine"})), StatusCode::UNPROCESSABLE_ENTITY),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        for (content_type, body, expected) in cases {
            let start: String = body.chars().take(80).collect();
            let request = client.post(format!("{}/v1/events", up.url)).header("content-type", content_type).body(body);
            let answer = request.send().await.unwrap_or_else(|error| panic!("{expected} for {start}: {error:?}"));
            assert_eq!(answer.status(), expected, "{content_type}: {start}");
            assert_problem(answer, expected).await;
        }
        let answer = client.get(format!("{}/v1/nowhere", up.url)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_problem(answer, StatusCode::NOT_FOUND).await;
    });
    assert_eq!(up.interrupt(), Some(0));
}

/// Follows the log until one incident was opened, answered, acknowledged and verified; the order.
fn watch_the_story(up: &Up, run: &str) -> Value {
    let mut command = reeve(["tail", "--follow", "--json"]);
    STORY.iter().for_each(|kind| {
        command.args(["--kind", kind]);
    });
    let follow = Running::start(command.args(["--url", &up.url]));
    let is = |event: &Value, kind: &str| event["type"] == json!(format!("io.reeve.{kind}.v1"));
    let opened = follow.json_that("incident", STORY_PATIENCE, |event| is(event, "incident.opened"));
    let incident = &opened["data"]["incident_id"];
    let ordered =
        follow.json_that("order", STORY_PATIENCE, |event| is(event, "rollback.ordered") && event["data"]["incident_id"] == *incident);
    let answers = |event: &Value| event["data"]["order_id"] == ordered["id"];
    let acknowledged = follow.json_that("acknowledgement", STORY_PATIENCE, |event| is(event, "command.acknowledged") && answers(event));
    let verified = follow.json_that("verification", STORY_PATIENCE, |event| is(event, "rollback.verified") && answers(event));
    for told in [&opened, &ordered, &acknowledged, &verified] {
        let at = told["recordedtime"].as_str().unwrap_or_default();
        say(&format!("{run}: {at} {} of {}", told["type"].as_str().unwrap_or_default(), told["partitionkey"]));
    }
    ordered
}

async fn assert_problem(answer: reqwest::Response, expected: StatusCode) {
    if expected.is_success() {
        return;
    }
    let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!(content_type, "application/problem+json", "{expected}");
    let problem: Value = answer.json().await.expect("a problem is JSON");
    assert_eq!(problem["status"], json!(expected.as_u16()), "{problem}");
}

fn has(events: &[Value], event: &Value) -> bool {
    events.iter().any(|known| known["id"] == event["id"] && known["source"] == event["source"])
}
