//! Every service is a process of its own on one topic, as in a cluster: recorded sessions are brought in through the gateway, and
//! what is told and decided is what one Reeve on its embedded log tells and decides. And any of them is killed at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use torture::dice::{RngExt, dice, seed, tenth_or_whole};
use torture::facts;
use torture::ground::{bar, eventually, folder, free_address, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::{Up, reeve, run, service, up};
use torture::proof::{Folder, Read, told};
use torture::publisher::Publisher;
use wire::Kind;

use super::{drain, of_topic};
use crate::killed::{BATCH, SENDERS, corpus};

/// The rooms, each by the program that is it.
const ROOMS: [&str; 5] = ["incident", "rollback", "escalation", "capacity", "audit"];
/// Kills of each service, and facts of all of them: half of those that may be published from one kill to the next may be at
/// once, and half just before it comes.
const KILLS: (usize, usize) = (10, 200);
const FACTS: (usize, usize) = (100_000, 1_000_000);
/// Records after which each takes a snapshot of a state that grows with the facts: so often that nearly every life begins with one.
const SNAPSHOT_EVERY_RECORDS: (usize, usize) = (100, 1_000);
/// How long it is from one kill to the next, and how long before it facts are on their way, at most.
const NEXT_KILL_MAX_MS: u64 = 1_500;
const ON_THEIR_WAY_MAX_MS: u64 = 12;
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
    rooms.into_iter().map(|(_, up)| up).chain([gateway]).for_each(drain);
    let apart = topic.read();
    let judgement = apart.is_just(end);

    let (together, figures_together) = in_one(&recording);
    assert_eq!(figures, figures_together, "the key figures are those of the embedded log");
    assert_eq!(decided(&apart), decided(&together), "the decisions are those of the embedded log");
    say(&format!("{} records by six processes; {} decisions: {}", apart.len(), judgement.decisions, told(&judgement.by_kind)));
}

#[test]
fn services_of_which_any_is_killed_at_any_time_lose_repeat_and_alter_nothing() {
    let Some(topic) = beside_a_broker() else { return };
    let (mut dice, data, services) = (dice(), folder(), ["gateway"].into_iter().chain(ROOMS).collect::<Vec<_>>());
    let kills = services.len() * tenth_or_whole(KILLS.0, KILLS.1);
    let facts = corpus(&mut dice, tenth_or_whole(FACTS.0, FACTS.1));
    let a_kill = (facts.len() / (kills + 1)) as u64;
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let mut house: Vec<Service> = services.iter().map(|name| Service::begin(name, &topic, data.path())).collect();
    publisher.find(Some(&house[0].url));
    let (bar, begun) = (bar("kills of services", kills as u64), moment());
    let (mut granted, mut met_on_their_way) = (a_kill, 0);
    publisher.grant(granted);
    // Whole batches are taken, and the last of them may not be.
    eventually("the first facts are taken", || (publisher.acknowledged() + BATCH as u64 > granted).then_some(()));
    for kill in 0..kills {
        for wait_max_ms in [NEXT_KILL_MAX_MS, ON_THEIR_WAY_MAX_MS] {
            publisher.grant(a_kill / 2);
            granted += a_kill / 2;
            std::thread::sleep(Duration::from_millis(dice.random_range(0..wait_max_ms)));
        }
        let killed = kill % services.len();
        met_on_their_way += usize::from(services[killed] == "gateway" && publisher.acknowledged() < granted);
        house[killed].is_killed_and_begun_anew(&topic, data.path());
        bar.inc(1);
    }
    bar.finish_and_clear();
    let (taken, answers_lost) = (begun.elapsed(), publisher.repeated());
    publisher.grant_all();
    publisher.join();
    let urls: Vec<String> = house[1..].iter().map(|service| service.url.clone()).collect();
    let gateway = house[0].up.as_ref().expect("it lives");
    let caught_up = gateway.catch_up_with(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    // The archive's comes last: what other rooms say at their end is archived, too.
    house.into_iter().filter_map(|service| service.up).for_each(drain);

    assert!(met_on_their_way > 0, "the gateway was never killed while facts were on their way");
    let log = topic.read();
    log.holds_once(&facts);
    let judgement = log.is_just_up_to(caught_up);
    let mut check = reeve(&["audit", "check"]);
    let checked = run(of_topic(&mut check, &topic, &data.path().join("audit")));
    assert_eq!(checked.code, Some(0), "the archive is the topic: {}", checked.said);
    say(&format!(
        "{kills} kills of {} services in {taken:.0?} (seed {}); {met_on_their_way} of the gateway with facts on their way; {} facts, of \
         {answers_lost} the first answer was lost; {} decisions: {}",
        services.len(),
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

/// A service that keeps its address over its lives.
struct Service {
    name: String,
    address: String,
    url: String,
    /// While it lives.
    up: Option<Up>,
}

// === impl Service ===

impl Service {
    fn begin(name: &str, topic: &KafkaTopic, data: &Path) -> Self {
        let address = free_address();
        let up = Some(Self::live(name, &address, topic, data));
        Self { name: name.to_owned(), url: format!("http://{address}"), address, up }
    }

    fn live(name: &str, address: &str, topic: &KafkaTopic, data: &Path) -> Up {
        let mut command = on_topic(name, topic, data, address);
        let snapshot_every = tenth_or_whole(SNAPSHOT_EVERY_RECORDS.0, SNAPSHOT_EVERY_RECORDS.1).to_string();
        command.envs([("REEVE_SNAPSHOTS_EVERY_RECORDS", snapshot_every.as_str()), ("REEVE_ARCHIVE_EVERY_SECONDS", "1")]);
        let mut up = Up::begin(&mut command);
        up.url = format!("http://{address}");
        up
    }

    fn is_killed_and_begun_anew(&mut self, topic: &KafkaTopic, data: &Path) {
        let mut up = self.up.take().expect("it lives");
        let ended_by_itself = up.ended();
        let ended = up.kill();
        assert!(!ended_by_itself && !ended.said.contains("panicked"), "{}: {}", self.name, ended.said);
        self.up = Some(Self::live(&self.name, &self.address, topic, data));
    }
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
