//! Every service is a process of its own on one topic, as in a cluster: recorded sessions are brought in through the gateway, and
//! what is told and decided is what one Reeve on its embedded log tells and decides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use torture::facts;
use torture::ground::{folder, free_address, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::{Up, reeve, run, service, up};
use torture::proof::{Folder, Read, told};
use wire::Kind;

/// The rooms, each by the program that is it.
const ROOMS: [&str; 5] = ["incident", "rollback", "escalation", "capacity", "audit"];
/// What is decided by how many minutes of log time pass, which are others at every import.
const BY_THE_MINUTE: [Kind; 4] = [Kind::CapacityMeasured, Kind::CapacityForecast, Kind::CapacityWarned, Kind::RoomWatermark];

#[test]
fn services_that_are_processes_of_their_own_tell_and_decide_what_one_reeve_does() {
    let Some(recording) = facts::recording() else { return };
    let Some(topic) = beside_a_broker() else { return };
    let data = folder();
    let gateway = Up::start(&mut on_topic("gateway", &topic, data.path(), "127.0.0.1:0"));
    let rooms: Vec<(String, Up)> = ROOMS.iter().map(|name| begin(name, &topic, data.path())).collect();
    let ended = run(reeve(&["import", "--json", "--url", &gateway.url]).arg(&recording));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let urls: Vec<&str> = rooms.iter().map(|(url, _)| url.as_str()).collect();
    let end = gateway.settle_with(&urls);
    let figures = figures(&["--url", &gateway.url]);
    for (_, up) in rooms.into_iter().chain([(gateway.url.clone(), gateway)]) {
        up.interrupt();
        let ended = up.end();
        assert_eq!(ended.code, Some(0), "it drains: {}", ended.said);
        assert!(!ended.said.contains("panicked"), "{}", ended.said);
    }
    let apart = topic.read();
    let judgement = apart.is_just(end);

    let (together, figures_together) = in_one(&recording);
    assert_eq!(figures, figures_together, "the key figures are those of the embedded log");
    assert_eq!(decided(&apart), decided(&together), "the decisions are those of the embedded log");
    say(&format!("{} records by six processes; {} decisions: {}", apart.len(), judgement.decisions, told(&judgement.by_kind)));
}

/// A room's process, and where it answers.
fn begin(name: &str, topic: &KafkaTopic, data: &Path) -> (String, Up) {
    let address = free_address();
    (format!("http://{address}"), Up::begin(&mut on_topic(name, topic, data, &address)))
}

/// A service on the topic, with a folder of its own.
fn on_topic(name: &str, topic: &KafkaTopic, data: &Path, address: &str) -> Command {
    let mut command = service(name);
    command.args(["--log-kind", "kafka", "--kafka-brokers", topic.brokers(), "--log-topic", topic.name()]);
    command.args(["--kafka-namespace", &format!("{}.", topic.name()), "--listen-address", address, "--log-path"]);
    command.arg(data.join(name));
    command
}

/// The same recording on an embedded log: its records and key figures.
fn in_one(recording: &Path) -> (Read, Value) {
    let data = folder();
    let up = Up::start(&mut up(data.path()));
    let ended = run(reeve(&["import", "--json", "--url", &up.url]).arg(recording));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    up.settle();
    let figures = figures(&["--url", &up.url]);
    up.interrupt();
    assert_eq!(up.end().code, Some(0));
    (Folder::at(data.path()).read(), figures)
}

fn figures(of: &[&str]) -> Value {
    let ended = run(reeve(&["kpis", "--json"]).args(of));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let start = ended.said.find('{').expect("an object");
    serde_json::from_str(&ended.said[start..]).expect("JSON")
}

/// What was decided: each episode's opening, course and end, by kind and by its derived id.
fn decided(read: &Read) -> BTreeMap<Kind, BTreeSet<String>> {
    let mut decided: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    for record in read.records().filter(|record| record.body.kind().is_decision() && !BY_THE_MINUTE.contains(&record.body.kind())) {
        decided.entry(record.body.kind()).or_default().insert(record.id.to_string());
    }
    decided
}
