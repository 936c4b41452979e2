//! A schema registry beside Kafka: Confluent's own client proves the one of the tests, and what it publishes is folded.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use kit::registry::Registry;
use serde_json::{Value, json};
use wire::StoredRecord;

use crate::house::{PATIENCE, Up, get, reeve, said};
use crate::{brokers, ended, example, facts, has_kcat, python, records};

/// Under which a registry knows the schema of an ended session.
const SESSION_ENDED: &str = "io.reeve.events.SessionEnded";
/// Publishes one value as it is: brokers, topic, key, value in hexadecimal.
const PUBLISH: &str = "\
import sys
from confluent_kafka import Producer
brokers, topic, key, value = sys.argv[1:]
producer = Producer({'bootstrap.servers': brokers, 'partitioner': 'murmur2'})
producer.produce(topic, key=key, value=bytes.fromhex(value))
sys.exit(producer.flush(30))
";

#[test]
fn the_registry_of_the_tests_is_one_to_confluents_own_client() {
    let Some(python) = python() else { return };
    let registry = Registry::start();
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registry/client.py");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events/session.started.avsc");
    ended(Command::new(python).arg(client).arg(&registry.url).arg(schema), "");
}

#[test]
fn what_is_published_with_a_registrys_ids_waits_for_the_registry_and_is_folded_like_anything_else() {
    let Some(brokers) = brokers() else { return };
    let topic = format!("registry-{}", std::process::id());
    reeve(&["topics", "create", "--brokers", &brokers, "--topic", &topic, "--partitions", "3"], &[], 0);
    let Some(python) = python() else { return };
    let registry = Registry::start();
    let facts = published(&python, &brokers, &topic, &registry);

    registry.silence(true);
    let variables =
        [("REEVE_LOG_TOPIC", topic.as_str()), ("REEVE_KAFKA_NAMESPACE", topic.as_str()), ("REEVE_SCHEMA_REGISTRY_URL", &registry.url)];
    let listen = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").to_string();
    let arguments = ["--log", "kafka", "--brokers", &brokers, "--listen", &listen];
    // The command says that it is up when all rooms are restored, and that they are not before the registry answers.
    let (up, waits, is_up) = std::thread::scope(|scope| {
        let starting = scope.spawn(|| Up::start_with(&arguments, &variables));
        let waits = within_patience(|| readyz(&listen).is_some_and(|told| told.contains("RV0060")));
        let is_up = starting.is_finished();
        registry.silence(false);
        (starting.join().expect("it starts"), waits, is_up)
    });
    assert!(waits, "no room says what it waits for");
    assert!(!is_up, "it is up without the registry");

    // The rooms have folded it: they know the agent.
    let known = said(&reeve(&["status", "billing/eu", "--url", &up.url], &[], 0));
    assert!(known.contains("billing/eu"), "{known}");
    let tail = || -> Vec<Value> {
        let lines = said(&reeve(&["tail", "--json", "--url", &up.url], &[], 0));
        lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    };
    for fact in &facts {
        let records: Vec<Value> = tail().into_iter().filter(|record| record["id"] == fact["id"]).collect();
        assert_eq!(records.len(), 1, "{fact} stands there once: {records:?}");
        let data = fact["data"].as_object().expect("it has data");
        assert!(data.iter().all(|(name, value)| records[0]["data"][name] == *value), "{} says {fact}", records[0]);
    }
    let refused = || tail().into_iter().filter(|record| record["type"] == "io.reeve.record.refused.v1").collect::<Vec<_>>();
    assert_eq!(refused(), Vec::<Value>::new(), "nothing is refused because it had to wait");
    up.until("the registry has Reeve's schemas", || registry.subjects().contains(&"io.reeve.decisions.RollbackOrdered".to_owned()));

    if has_kcat() {
        up.until("the registry has the schema", || registry.subjects().contains(&SESSION_ENDED.to_owned()));
        ends_in_both_framings(&brokers, &topic, &registry, &tail);
        assert_eq!(refused(), Vec::<Value>::new(), "kcat's are facts like any other");
    }

    // An id that the registry does not have is refused once, by its place.
    let nowhere = format!("00{:08x}06", 4_711);
    ended(Command::new(&python).args(["-c", PUBLISH, &brokers, &topic, "billing", &nowhere]), "");
    up.until("the archive's room refuses it", || !refused().is_empty());
    let refused = refused();
    let said = &refused[0]["data"];
    assert_eq!((refused.len(), &said["code"], &said["topic"]), (1, &json!("unregistered_schema"), &json!(topic)), "{refused:?}");
    assert!(said["reason"].as_str().is_some_and(|reason| reason.contains("4711") && reason.contains("schema_registry.url")), "{said}");
}

/// One kind of fact by kcat, as a single object and by the id of its schema: three ends of sessions, each read as that.
fn ends_in_both_framings(brokers: &str, topic: &str, registry: &Registry, tail: &impl Fn() -> Vec<Value>) {
    let answer = get(&registry.url, &format!("/subjects/{SESSION_ENDED}/versions/latest"), "");
    let (_, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let id = serde_json::from_str::<Value>(body).expect("JSON")["id"].as_u64().expect("a number");
    let (given, number) = (id.to_string(), format!("00{id:08x}"));
    let framings = [
        ("s-single", &[][..], "c301"),
        ("s-asked", &["--registry", &registry.url], &number),
        ("s-given", &["--schema-id", &given], &number),
    ];
    for (session, how, _) in framings {
        ended(Command::new(example("publish.sh")).args(how).args([brokers, "billing", session, topic]), "");
    }
    let (told, stored) = (tail(), records(brokers, topic));
    for (session, _, framing) in framings {
        let [end] = &told.iter().filter(|record| record["subject"] == session).collect::<Vec<_>>()[..] else {
            panic!("{session}: {told:#?}")
        };
        assert_eq!((&end["type"], &end["data"]["reason"]), (&json!("io.reeve.session.ended.v1"), &json!("finished")), "{end:#}");
        let is_it = |record: &&StoredRecord| record.raw.header("ce_subject") == Some(session);
        let value = &stored.iter().flatten().find(is_it).expect("it stands there").raw.value;
        let begins = value.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(begins.starts_with(framing), "{session} begins with {begins}");
    }
}

/// Publishes facts as Confluent's serializers frame them, by the numbers of schemas, and others by GUIDs in headers. All of them.
fn published(python: &Path, brokers: &str, topic: &str, registry: &Registry) -> Vec<Value> {
    let renamed = |mut fact: Value| {
        fact["id"] = json!(format!("{}-by-guid", fact["id"].as_str().expect("a text")));
        fact
    };
    let (by_number, by_guid): (Vec<Value>, Vec<Value>) = (facts(), facts().into_iter().map(renamed).collect());
    for (facts, how) in [(&by_number, &[][..]), (&by_guid, &["--ids-in-headers"])] {
        let lines = facts.iter().map(|fact| format!("{fact}\n")).collect::<String>();
        let whereto = ["--brokers", brokers, "--topic", topic, "--registry", &registry.url];
        let told = ended(Command::new(python).arg(example("publish.py")).args(whereto).args(how), &lines);
        assert_eq!(told, format!("{} facts stand on {topic}\n", facts.len()));
    }
    assert_eq!(registry.subjects().len(), by_number.len(), "a subject for each kind: {:?}", registry.subjects());
    [by_number, by_guid].concat()
}

/// What `/readyz` says, if anybody listens.
fn readyz(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok().map(|_| answer)
}

#[allow(clippy::disallowed_methods, reason = "how long a test waits is measured")]
fn within_patience(is: impl Fn() -> bool) -> bool {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        if is() {
            return true;
        }
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
