//! A platform that hears on the topic what Reeve orders: `examples/orders.py`, as it stands.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use kit::registry::Registry;
use serde_json::{Value, json};
use wire::{Body, Kind, Mode, Record};

use crate::house::{Up, get, reeve, until};
use crate::{brokers, ended, example, history, python, readable, records, without_nulls};

/// Agents of the platform; the name of one has to be encoded in a source.
const OURS: [&str; 2] = ["billing/eu", "claims"];
/// An agent of another platform.
const THEIRS: &str = "helpdesk";
/// Publishes records as they are, one a line: key, headers and value, in hexadecimal. One that is aborted stands on the topic like
/// any other, and is not there for whoever reads what is committed.
const PUBLISH: &str = "\
import json, sys
from confluent_kafka import Producer
brokers, topic = sys.argv[1:]
settings = {'bootstrap.servers': brokers, 'partitioner': 'murmur2'}
for line in sys.stdin:
    record = json.loads(line)
    headers = [(name, bytes.fromhex(value)) for name, value in record['headers'].items()]
    aborted = {'transactional.id': topic, 'transaction.timeout.ms': 10000} if record['is_aborted'] else {}
    producer = Producer({**settings, **aborted})
    if record['is_aborted']:
        producer.init_transactions(30)
        producer.begin_transaction()
    producer.produce(topic, key=record['key'], headers=headers, value=bytes.fromhex(record['value']))
    if producer.flush(30):
        sys.exit('not on the log within 30 s')
    if record['is_aborted']:
        producer.abort_transaction(30)
";

#[test]
fn an_order_reaches_a_platform_by_the_topic_and_its_answer_closes_the_rollback() {
    let (Some(brokers), Some(python)) = (brokers(), python()) else { return };
    let topic = format!("orders-{}", std::process::id());
    reeve(&["topics", "create", "--brokers", &brokers, "--topic", &topic, "--partitions", "3"], &[], 0);
    let variables = [("REEVE_LOG_TOPIC", topic.as_str()), ("REEVE_KAFKA_NAMESPACE", topic.as_str())];
    let up = Up::start_with(&["--log", "kafka", "--brokers", &brokers], &variables);
    let start = || Platform::start(&python, &brokers, &topic, &["--obey", "acme", "--agent", OURS[0], "--agent", OURS[1]]);
    let say = |facts: &[Value]| publish(&python, &brokers, &topic, facts);
    let log = || readable(&records(&brokers, &topic));

    let platform = start();
    for agent in [&OURS[..], &[THEIRS]].concat() {
        say(&history(agent));
    }
    up.until("our rollbacks are answered", || OURS.iter().all(|agent| answers(&log(), &rollback_of(&log(), agent)) == 1));
    for agent in OURS {
        say(&sessions(agent));
    }
    up.until("our rollbacks are verified, and what follows from it is answered", || {
        let log = log();
        OURS.iter().all(|agent| is_verified(&log, agent) && orders(&log, &[agent]).iter().all(|order| answers(&log, &id(order)) == 1))
    });
    let ordered = orders(&log(), &OURS);
    until("all of it is printed", || platform.told().len() >= ordered.len());
    let (ending, told) = platform.interrupted();
    assert!(ending.success(), "{ending}");
    agree(&log(), &told);
    as_told_by_the_gateway(&up, &told);
    assert_eq!(answers(&log(), &rollback_of(&log(), THEIRS)), 0, "what is ordered of another agent is not ours to answer");

    // What the group is done with is not heard again: it goes on with what is new.
    let platform = start();
    say(&[json!({"source": "/people/ann", "id": "mode-1", "partitionkey": OURS[1], "type": "io.reeve.mode.set.v1",
                 "data": {"mode": "human_only", "author": "ann", "reason": "a test"}})]);
    up.until("the person's wish is ordered and answered", || {
        let log = log();
        let orders = orders(&log, &[OURS[1]]);
        !platform.told().is_empty() && orders.iter().all(|order| answers(&log, &id(order)) == 1)
    });
    let (_, told_then) = platform.interrupted();
    assert_eq!((told_then.len(), &told_then[0]["data"]["mode"]), (1, &json!("human_only")), "{told_then:?}");
    agree(&log(), &[told, told_then].concat());
}

#[test]
fn orders_are_heard_in_every_framing_once_and_again_where_they_could_not_be_told() {
    let (Some(brokers), Some(python)) = (brokers(), python()) else { return };
    let topic = format!("framings-{}", std::process::id());
    reeve(&["topics", "create", "--brokers", &brokers, "--topic", &topic, "--partitions", "3"], &[], 0);
    let registry = Registry::start();
    let lines = framed(&registry).iter().map(|record| format!("{record}\n")).collect::<String>();
    ended(Command::new(&python).args(["-c", PUBLISH, &brokers, &topic]), &lines);

    // Whoever cannot read one ends there, and says where.
    let unable = Platform::start(&python, &brokers, &topic, &["--group", "unable"]);
    let (ending, told, why) = unable.ended();
    assert_eq!((ending.code(), ids(&told)), (Some(1), vec!["single".to_owned()]), "{why}");
    let stored = records(&brokers, &topic);
    let number = stored.iter().flatten().find(|stored| stored.raw.header("ce_id") == Some("number")).expect("it stands there");
    let place = format!("{}/{} ", number.partition, number.offset);
    assert!(why.contains(&place) && why.contains("--registry"), "{why}");

    // Nobody reads what the first one prints, so that it ends at the first order: the next one of its group begins with that.
    let with_registry = ["--registry", &registry.url];
    let mut unheard = Platform::command(&python, &brokers, &topic, &with_registry).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let unheard = unheard.as_mut().expect("it starts");
    drop(unheard.stdout.take());
    assert!(!ending_of(unheard).success(), "it could tell nobody");
    let platform = Platform::start(&python, &brokers, &topic, &with_registry);
    until("the last order is printed", || platform.told().iter().any(|order| order["id"] == "mode"));
    let (_, told) = platform.interrupted();
    assert_eq!(ids(&told), ["single", "number", "guid", "number-in-header", "guid-in-header", "mode"], "{told:#?}");
    for order in &told {
        let kind = if order["id"] == "mode" { Kind::ModeOrdered } else { Kind::RollbackOrdered };
        assert_eq!(order["data"], golden(kind)["value"], "{order:#}");
    }
}

// === helpers ===

/// A platform that hears orders until it is interrupted.
struct Platform {
    child: Child,
    told: Arc<Mutex<Vec<Value>>>,
    /// Reads what it prints.
    reader: Option<JoinHandle<()>>,
}

// === impl Platform ===

impl Platform {
    fn start(python: &Path, brokers: &str, topic: &str, arguments: &[&str]) -> Self {
        let mut command = Self::command(python, brokers, topic, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let told = Arc::new(Mutex::new(Vec::new()));
        let (out, heard) = (BufReader::new(child.stdout.take().expect("piped")), Arc::clone(&told));
        let reader = std::thread::spawn(move || {
            for line in out.lines() {
                let order = serde_json::from_str(&line.expect("text")).expect("each line is JSON");
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(order);
            }
        });
        Self { child, told, reader: Some(reader) }
    }

    fn command(python: &Path, brokers: &str, topic: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(python);
        command.arg(example("orders.py")).args(["--brokers", brokers, "--topic", topic, "--group", topic]).args(arguments);
        command
    }

    /// The orders that it printed so far.
    fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it ends when it is told to, and all that it printed.
    fn interrupted(self) -> (ExitStatus, Vec<Value>) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(status.success(), "it was running");
        let (ending, told, _) = self.ended();
        (ending, told)
    }

    /// How it ends, all that it printed, and why.
    fn ended(mut self) -> (ExitStatus, Vec<Value>, String) {
        let ending = ending_of(&mut self.child);
        self.reader.take().expect("it was not waited for").join().expect("it read to the end");
        let why = std::io::read_to_string(self.child.stderr.take().expect("piped")).expect("text");
        (ending, self.told(), why)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // One that ended by itself is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

fn ending_of(child: &mut Child) -> ExitStatus {
    let mut ending = None;
    until("the platform ends", || {
        ending = child.try_wait().expect("it can be waited for");
        ending.is_some()
    });
    ending.expect("it ended")
}

fn publish(python: &Path, brokers: &str, topic: &str, facts: &[Value]) {
    let lines = facts.iter().map(|fact| format!("{}\n", without_nulls(fact))).collect::<String>();
    ended(Command::new(python).arg(example("publish.py")).args(["--brokers", brokers, "--topic", topic]), &lines);
}

/// Sessions that begin on the version that was gone back to, as many as a rollback is verified by.
fn sessions(agent: &str) -> Vec<Value> {
    let session = |nth: usize| {
        json!({"source": format!("/platforms/acme/agents/{}", agent.replace('/', "%2F")), "id": format!("{agent}-again-{nth}"),
               "type": "io.reeve.session.started.v1", "subject": format!("again-{nth}"), "data": {"version": "v1"}})
    };
    (0..3).map(session).collect()
}

/// What the log holds of orders to these agents.
fn orders(log: &[Record], agents: &[&str]) -> Vec<Record> {
    let is_order = |record: &&Record| {
        [Kind::ModeOrdered, Kind::RollbackOrdered].contains(&record.body.kind()) && agents.contains(&record.key.as_str())
    };
    log.iter().filter(is_order).cloned().collect()
}

fn rollback_of(log: &[Record], agent: &str) -> String {
    orders(log, &[agent]).iter().find(|order| order.body.kind() == Kind::RollbackOrdered).map(id).unwrap_or_default()
}

fn is_verified(log: &[Record], agent: &str) -> bool {
    let is_it = |record: &Record| matches!(&record.body, Body::RollbackVerified(it) if it.order_id == rollback_of(log, agent).as_str());
    let is_reduced = |record: &Record| matches!(&record.body, Body::ModeOrdered(it) if it.mode == Mode::Reduced);
    log.iter().any(is_it) && orders(log, &[agent]).iter().any(is_reduced)
}

fn answers(log: &[Record], order: &str) -> usize {
    log.iter().filter(|record| matches!(&record.body, Body::CommandAcknowledged(it) if it.order_id == order)).count()
}

/// Each order of ours on the log was told once, as it stands there, and answered once in our name.
fn agree(log: &[Record], told: &[Value]) {
    let (mut standing, mut heard) = (orders(log, &OURS).iter().map(id).collect::<Vec<_>>(), ids(told));
    standing.sort();
    heard.sort();
    assert_eq!(heard, standing, "each is told once");
    for order in orders(log, &OURS) {
        let line = told.iter().find(|line| line["id"] == id(&order)).expect("it is among them");
        let place = (&line["partitionkey"], &line["partition"], &line["offset"]);
        assert_eq!(place, (&json!(order.key.as_str()), &json!(order.partition.0), &json!(order.offset.0)), "{line:#}");
        let serves = match &order.body {
            Body::RollbackOrdered(body) => Some(body.to_version.as_str()),
            _ => None,
        };
        assert!(serves.is_none() || serves == Some("v1") && line["data"]["to_version"] == "v1", "{line:#}");
        let is_its = |record: &&Record| record.event.id.as_str() == format!("answer-{}", id(&order));
        let answer = log.iter().find(is_its).expect("it is answered");
        assert_eq!(answer.source.as_str(), format!("/platforms/acme/agents/{}", order.key.as_str().replace('/', "%2F")));
        let Body::CommandAcknowledged(said) = &answer.body else { panic!("no answer: {answer:?}") };
        assert_eq!((said.accepted, said.serving_version.as_ref().map(|version| version.as_str())), (true, serves), "{said:?}");
    }
}

/// What the gateway tells of an agent's orders is what was told here.
fn as_told_by_the_gateway(up: &Up, told: &[Value]) {
    for agent in OURS {
        let stream = get(&up.url, &format!("/v1/agents/{}/orders?wait_s=0", agent.replace('/', "%2F")), "");
        let events = stream.lines().filter_map(|line| line.strip_prefix("data: "));
        let theirs: Vec<Value> = events.map(|event| serde_json::from_str(event).expect("JSON")).collect();
        let ours: Vec<&Value> = told.iter().filter(|order| order["partitionkey"] == agent).collect();
        assert_eq!(ids(&theirs), ours.iter().map(|order| order["id"].as_str().expect("text")).collect::<Vec<_>>(), "{stream}");
        for (theirs, ours) in theirs.iter().zip(ours) {
            for name in ["source", "type", "partition", "offset", "causationid", "data"] {
                assert_eq!(theirs[name], ours[name], "{name} of {ours:#}");
            }
        }
    }
}

/// An order in every framing, one of them twice, and what is none; at the end one of another kind.
fn framed(registry: &Registry) -> Vec<Value> {
    let schema = include_str!("../../../../schemas/decisions/rollback.ordered.avsc");
    let id = registry.register("io.reeve.decisions.RollbackOrdered", "AVRO", schema);
    let single = golden(Kind::RollbackOrdered)["framed_hex"].as_str().expect("text").to_owned();
    let bare = &single[20..];
    let (number, guid) = (format!("00{id:08x}"), format!("01{}", registry.guid(id).simple()));
    let ordered = "io.reeve.rollback.ordered.v1";
    let mode = golden(Kind::ModeOrdered)["framed_hex"].as_str().expect("text").to_owned();
    vec![
        record("fact", "io.reeve.session.ended.v1", "c3010dd60d1ab0fe2fbe0000", None, false),
        record("aborted", ordered, &single, None, true),
        record("single", ordered, &single, None, false),
        record("number", ordered, &format!("{number}{bare}"), None, false),
        record("guid", ordered, &format!("{guid}{bare}"), None, false),
        record("number-in-header", ordered, bare, Some(&number), false),
        record("guid-in-header", ordered, bare, Some(&guid), false),
        record("single", ordered, &format!("{number}{bare}"), None, false),
        record("mode", "io.reeve.mode.ordered.v1", &mode, None, false),
    ]
}

fn record(id: &str, kind: &str, value: &str, schema_id: Option<&str>, is_aborted: bool) -> Value {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut headers = json!({"ce_id": hex(id), "ce_source": hex("/reeve/rollback"), "ce_type": hex(kind)});
    if let Some(schema_id) = schema_id {
        headers["__value_schema_id"] = json!(schema_id);
    }
    json!({"key": "telecom", "headers": headers, "value": value, "is_aborted": is_aborted})
}

fn golden(kind: Kind) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../schemas/golden/{}.v1.json", kind.name()));
    serde_json::from_str(&std::fs::read_to_string(file).expect("it is there")).expect("JSON")
}

fn ids(orders: &[Value]) -> Vec<String> {
    orders.iter().map(|order| order["id"].as_str().expect("it has an id").to_owned()).collect()
}

fn id(record: &Record) -> String {
    record.event.id.to_string()
}
