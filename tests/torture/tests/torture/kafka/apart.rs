//! Every service is a process of its own on one topic, as in a cluster: recorded sessions are brought in through the gateway, and
//! what is told and decided, and what the rooms hold in the end, is what one Reeve on its embedded log makes of them. And any of them is killed at any time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use machine::WATERMARK_EVERY_S;
use serde_json::Value;
use torture::alike::Outcome;
use torture::dice::{RngExt, dice, seed, tenth_or_whole};
use torture::facts;
use torture::ground::{bar, eventually, folder, free_address, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::{Up, reeve, run, service, up};
use torture::proof::{Folder, Read, told};
use torture::publisher::Publisher;
use wire::{Kind, Timestamp};

use super::{drain, of_topic};
use crate::killed::{BATCH, SENDERS, corpus};

/// The rooms, each by the program that is it.
const ROOMS: [&str; 5] = ["incident", "rollback", "escalation", "capacity", "audit"];
/// The version of the recordings that others are compared with.
const BASELINE: &str = "gpt-4.1";
/// Kinds that the recordings make rooms decide.
const SEEN: [Kind; 4] = [Kind::IncidentOpened, Kind::ModeOrdered, Kind::EscalationRaised, Kind::EscalationClosed];
/// Whatever a room has folded it has said by then. Its word is waited for twice: before the first session, for nobody waits for a
/// room that was never heard of, and after the last, for what waits for a word is held until it comes.
const LOOKED_AT_WITHIN_S: i64 = WATERMARK_EVERY_S + 2;
/// Kills of each service, and facts of all of them: half of those that may be published from one kill to the next may be at
/// once, and half just before it comes.
const KILLS: (usize, usize) = (10, 200);
const FACTS: (usize, usize) = (100_000, 1_000_000);
/// Records after which each takes a snapshot of a state that grows with the facts: so often that nearly every life begins with one.
const SNAPSHOT_EVERY_RECORDS: (usize, usize) = (100, 1_000);
/// How long it is from one kill to the next, and how long before it facts are on their way, at most.
const NEXT_KILL_MAX_MS: u64 = 1_500;
const ON_THEIR_WAY_MAX_MS: u64 = 12;

#[test]
fn services_that_are_processes_of_their_own_tell_and_decide_what_one_reeve_does() {
    let Some(recordings) = facts::recordings() else { return };
    let Some(topic) = beside_a_broker() else { return };
    // Side by side, for much of both is waiting.
    let ((apart, end, figures), (together, other_end, other_figures)) = std::thread::scope(|scope| {
        let together = scope.spawn(|| in_one(&recordings));
        (in_six(&recordings, &topic), together.join().expect("one Reeve takes the recordings"))
    });
    let (judgement, other_judgement) = (apart.is_just(end), together.is_just(other_end));
    assert_eq!(figures, other_figures, "the key figures are those of the embedded log");
    for kind in SEEN {
        assert!(judgement.by_kind.contains_key(&kind), "nobody decided {kind}: {}", told(&judgement.by_kind));
    }
    let (outcome, other) = (Outcome::of(&apart), Outcome::of(&together));
    for (place, looked) in outcome.looked.iter().chain(&other.looked) {
        assert!(looked, "{place:?} has not said that it has folded every fact");
    }
    let by_kind = [&judgement, &other_judgement].map(|judgement| told(&judgement.by_kind));
    assert_eq!(outcome.difference(&other), None, "{by_kind:?}");
    say(&format!(
        "{} files, {} records by six processes, {} by one; the states of {} rooms and partitions; {} decisions: {}",
        recordings.len(),
        apart.len(),
        together.len(),
        outcome.states.len(),
        judgement.decisions,
        told(&judgement.by_kind)
    ));
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

/// The recordings by a gateway and rooms that are processes of their own: the topic's records, when nothing was owed, and the key
/// figures.
fn in_six(recordings: &[PathBuf], topic: &KafkaTopic) -> (Read, Timestamp, Value) {
    let data = folder();
    let gateway = Up::start(&mut on_topic("gateway", topic, data.path(), "127.0.0.1:0"));
    let rooms: Vec<(String, Up)> = ROOMS.iter().map(|name| begin(name, topic, data.path())).collect();
    let urls: Vec<&str> = rooms.iter().map(|(url, _)| url.as_str()).collect();
    gateway.settle_for(&urls, LOOKED_AT_WITHIN_S);
    import(recordings, &gateway);
    let end = gateway.settle_for(&urls, LOOKED_AT_WITHIN_S);
    let figures = figures(&["--url", &gateway.url]);
    rooms.into_iter().map(|(_, up)| up).chain([gateway]).for_each(drain);
    (topic.read(), end, figures)
}

/// The same of one Reeve on its embedded log.
fn in_one(recordings: &[PathBuf]) -> (Read, Timestamp, Value) {
    let data = folder();
    let up = Up::start(&mut up(data.path()));
    up.settle_for(&[&up.url], LOOKED_AT_WITHIN_S);
    import(recordings, &up);
    let end = up.settle_for(&[&up.url], LOOKED_AT_WITHIN_S);
    let figures = figures(&["--url", &up.url]);
    drain(up);
    (Folder::at(data.path()).read(), end, figures)
}

/// Brings them in. With a baseline versions are compared with each other, and one of them loses.
fn import(recordings: &[PathBuf], into: &Up) {
    let ended = run(reeve(&["import", "--json", "--baseline", BASELINE, "--url", &into.url]).args(recordings));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

fn figures(of: &[&str]) -> Value {
    let ended = run(reeve(&["kpis", "--json"]).args(of));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let start = ended.said.find('{').expect("an object");
    serde_json::from_str(&ended.said[start..]).expect("JSON")
}
