//! Reeve on Apache Kafka as a platform meets it that writes to the topic, and reads it, itself: the examples, run as they stand.
//! `REEVE_KAFKA_BROKERS` names a broker; without one every test here is passed over, and says so.

#[path = "house/mod.rs"]
mod house;
#[path = "orders/mod.rs"]
mod orders;
#[path = "registry/mod.rs"]
mod registry;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use machine::oracle::{Oracle, Read};
use machine::room::room;
use runtime::log::Log;
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use serde_json::{Value, json};
use wire::{Body, Kind, Offset, Partition, Record, StoredRecord, Timestamp};

use crate::house::{Up, exit_of, reeve, said, told};

/// What `examples/publish.py` asks for, pinned.
const PACKAGES: &[&str] = &["confluent-kafka[avro,schemaregistry]==2.16.1", "fastavro==1.13.1"];

#[test]
fn what_the_examples_publish_stands_on_the_log_and_what_is_no_record_is_refused_by_its_place() {
    let Some(brokers) = brokers() else { return };
    let topic = format!("examples-{}", std::process::id());
    let made = reeve(&["topics", "create", "--brokers", &brokers, "--topic", &topic, "--partitions", "3", "--json"], &[], 0);
    let made: Value = serde_json::from_str(&said(&made)).expect("JSON");
    assert_eq!((&made["created"], &made["partitions"]), (&json!(true), &json!(3)), "{made}");

    let facts = facts();
    let Some(python) = python() else { return };
    let lines = facts.iter().map(|fact| format!("{fact}\n")).collect::<String>();
    let told = ended(Command::new(python).arg(example("publish.py")).args(["--brokers", &brokers, "--topic", &topic]), &lines);
    assert_eq!(told, format!("{} facts stand on {topic}\n", facts.len()));
    let has_kcat = has_kcat();
    if has_kcat {
        ended(Command::new(example("publish.sh")).args([&brokers, "billing", "s-1", &topic]), "");
        ended(Command::new("kcat").args(["-P", "-b", &brokers, "-t", &topic, "-p", "2", "-k", "billing"]), "no record\n");
    }

    let variables = [("REEVE_LOG_TOPIC", topic.as_str()), ("REEVE_KAFKA_NAMESPACE", topic.as_str())];
    let up = Up::start_with(&["--log", "kafka", "--brokers", &brokers], &variables);
    let tail = || -> Vec<Value> {
        let lines = said(&reeve(&["tail", "--json", "--url", &up.url], &[], 0));
        lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    };
    for fact in &facts {
        let records = tail();
        let there: Vec<_> = records.iter().filter(|record| record["id"] == fact["id"]).collect();
        assert_eq!(there.len(), 1, "{fact} stands there once");
        for name in ["source", "type", "subject"] {
            assert_eq!(there[0][name], fact[name], "{name} of {}", there[0]);
        }
        let data = fact["data"].as_object().expect("it has data");
        assert!(data.iter().all(|(name, value)| there[0]["data"][name] == *value), "{} says {fact}", there[0]);
    }
    if has_kcat {
        let of_shell = tail().into_iter().filter(|record| record["source"] == "/platforms/shell/agents/billing").collect::<Vec<_>>();
        assert!(of_shell.len() == 1 && of_shell[0]["data"]["reason"] == "finished", "{of_shell:?}");
        let refused = || tail().into_iter().filter(|record| record["type"] == "io.reeve.record.refused.v1").collect::<Vec<_>>();
        up.until("the archive's room refuses it", || !refused().is_empty());
        let refused = refused();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!((&refused[0]["data"]["topic"], &refused[0]["data"]["partition"]), (&json!(topic), &json!(2)), "{refused:?}");
    }
}

#[test]
fn a_house_runs_over_tls_by_a_password_and_a_wrong_one_is_told_and_not_shown() {
    let Some(secured) = secured() else { return };
    let read = |name: &str| std::fs::read_to_string(secured.join(name)).expect("it is told").trim().to_owned();
    let (brokers, user, ca) = (read("SASL"), read("user"), secured.join("ca.pem"));
    let (user, password) = user.split_once(':').expect("name and password");
    let folder = tempfile::tempdir().expect("a folder");
    let properties = |name: &str, password: &str| {
        let file = folder.path().join(name);
        let said = format!(
            "security.protocol=SASL_SSL\nssl.ca.location={}\nsasl.mechanism=SCRAM-SHA-512\nsasl.username={user}\nsasl.password={password}\n",
            ca.display()
        );
        std::fs::write(&file, said).expect("written");
        file.display().to_string()
    };
    let topic = format!("secured-{}", std::process::id());
    let right = properties("right.properties", password);
    let variables = [("REEVE_KAFKA_PROPERTIES", right.as_str()), ("REEVE_LOG_TOPIC", &topic), ("REEVE_KAFKA_NAMESPACE", &topic)];
    reeve(&["topics", "create", "--brokers", &brokers, "--partitions", "2"], &variables, 0);
    let checked = reeve(&["topics", "check", "--brokers", &brokers, "--json"], &variables, 0);
    assert_eq!(serde_json::from_str::<Value>(&said(&checked)).expect("JSON")["partitions"], json!(2));
    let up = Up::start_with(&["--log", "kafka", "--brokers", &brokers], &variables);
    reeve(&["baseline", "set", "billing", "v1", "--author", "dana", "--reason", "a test", "--url", &up.url], &[], 0);
    up.until("what was said stands on the log", || said(&reeve(&["tail", "--json", "--url", &up.url], &[], 0)).contains("billing"));
    drop(up);

    let wrong_password = "not-alices-password";
    let wrong = properties("wrong.properties", wrong_password);
    let variables = [("REEVE_KAFKA_PROPERTIES", wrong.as_str()), ("REEVE_LOG_TOPIC", &topic)];
    let data = folder.path().join("data").display().to_string();
    for arguments in
        [&["topics", "check"][..], &["topics", "create"], &["up", "--log", "kafka", "--data", &data, "--listen", "127.0.0.1:0"]]
    {
        let output = reeve(&[arguments, &["--brokers", &brokers]].concat(), &variables, 69);
        let told = format!("{}{}", said(&output), told(&output));
        assert!(told.contains("error RV0010: ") && told.contains("`sasl.password`"), "{told}");
        assert!(!told.contains(wrong_password) && !told.contains(password), "{told}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its broker is")]
fn secured() -> Option<PathBuf> {
    let secured = std::env::var("KAFKA_SECURED").ok().filter(|folder| !folder.is_empty());
    if secured.is_none() {
        eprintln!("passed over: KAFKA_SECURED names no secure listeners (`KAFKA_SECURE=1 deploy/kafka/kafka run` does)");
    }
    secured.map(PathBuf::from)
}

/// Partitions of a topic, and of the wider one that it is replayed into.
const BEFORE: u32 = 4;
const AFTER: u32 = 7;
const AGENTS: usize = 8;
/// A run that a failpoint ends has no exit code.
const KILLED: i32 = -1;

#[test]
fn a_topic_is_replayed_into_a_wider_one_through_two_kills_and_is_lived_on_there() {
    let Some(brokers) = brokers() else { return };
    let (old, wide) = (format!("old-{}", std::process::id()), format!("wide-{}", std::process::id()));
    for (topic, partitions) in [(&old, "4"), (&wide, "7")] {
        reeve(&["topics", "create", "--brokers", &brokers, "--topic", topic, "--partitions", partitions], &[], 0);
    }
    does_not_grow(&brokers, &old);
    live(&brokers, &old);

    let migrate = ["migrate", "--brokers", &brokers, "--from", &old, "--to", &wide, "--batch", "15", "--json"];
    // Once behind a write that was committed, and once within a transaction that nobody decides.
    assert_eq!(exit_of(&migrate, &[("REEVE_FAILPOINT", "commit.after:3")]), KILLED);
    let there = records(&brokers, &wide).iter().map(Vec::len).sum::<usize>();
    assert!(there > 15, "{there} records are there after three writes");
    assert_eq!(exit_of(&migrate, &[("REEVE_FAILPOINT", "commit.before:2")]), KILLED);
    let on_wide = ["up", "--listen", "127.0.0.1:0", "--log", "kafka", "--brokers", &brokers];
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("REEVE_LOG_TOPIC", wide.as_str()), ("REEVE_LOG_PATH", house::text(folder.path()))];
    assert_eq!(exit_of(&on_wide, &variables), 65, "nobody lives on half a topic");
    let told: Value = serde_json::from_str(&said(&reeve(&migrate, &[], 0))).expect("JSON");
    assert_eq!((&told["whole"], &told["differing"], &told["vague_decisions"]), (&json!(true), &json!(0), &json!(0)), "{told:#}");
    assert!(told["stood_there"].as_u64().is_some_and(|there| there > 15) && told["written"].as_u64() > Some(0), "{told:#}");
    let again: Value = serde_json::from_str(&said(&reeve(&migrate, &[], 0))).expect("JSON");
    assert_eq!(
        (&again["whole"], &again["written"], &again["to"]["records"]),
        (&json!(true), &json!(0), &told["to"]["records"]),
        "{again:#}"
    );
    reeve(&["topics", "check", "--brokers", &brokers, "--topic", &wide], &[], 0);

    let (lived, moved) = (records(&brokers, &old), records(&brokers, &wide));
    for agent in (0..AGENTS).map(agent) {
        assert_eq!(life(&lived, &agent), life(&moved, &agent), "{agent}");
    }
    live_on(&brokers, &wide, &moved);
}

/// Another number of partitions is told, and how to come by it.
fn does_not_grow(brokers: &str, topic: &str) {
    let again = reeve(&["topics", "create", "--brokers", brokers, "--topic", topic, "--partitions", "7", "--json"], &[], 65);
    let again: Value = serde_json::from_str(&said(&again)).expect("JSON");
    let finding = &again["findings"][0];
    assert_eq!((&finding["setting"], &finding["is"]), (&json!("partitions"), &json!("4")), "{again:#}");
    let grown = said(&reeve(&["topics", "grow", "--brokers", brokers, "--topic", topic, "--partitions", "7"], &[], 65));
    assert!(grown.contains("part of the wire") && grown.contains(&format!("reeve migrate --brokers {brokers} --from {topic}")), "{grown}");
}

/// Agents that do harm after a policy was adopted, until the rooms have dealt with all of them.
fn live(brokers: &str, topic: &str) {
    let variables = [("REEVE_LOG_TOPIC", topic), ("REEVE_KAFKA_NAMESPACE", topic)];
    let up = Up::start_with(&["--log", "kafka", "--brokers", brokers], &variables);
    let policy = json!({"specversion": "1.0", "source": "/people/ann", "id": "policy-2", "partitionkey": "escalation",
        "type": "io.reeve.policy.adopted.v1",
        "data": {"room": "escalation", "version": "2", "document": "{}", "author": "ann", "reason": "a test"}});
    publish(&up, &[policy]);
    for agent in (0..AGENTS).map(agent) {
        publish(&up, &history(&agent));
    }
    let dealt_with = || {
        let said = readable(&records(brokers, topic));
        let agents = (0..AGENTS).map(agent).filter(|agent| {
            let of = |kind: Kind| said.iter().any(|record| record.key.as_str() == agent && record.body.kind() == kind);
            of(Kind::IncidentOpened) && of(Kind::RollbackOrdered)
        });
        agents.count() == AGENTS && all_rooms_came_by(&said, BEFORE)
    };
    up.until("every agent is taken back, and every room says how far it has come", dealt_with);
}

/// The rooms begin anew on the wider topic: they say nothing of old, and decide what is new.
fn live_on(brokers: &str, topic: &str, moved: &[Vec<StoredRecord>]) {
    let variables = [("REEVE_LOG_TOPIC", topic), ("REEVE_KAFKA_NAMESPACE", topic)];
    let up = Up::start_with(&["--log", "kafka", "--brokers", brokers], &variables);
    let begun: Vec<Offset> = moved.iter().map(|records| records.last().map_or(Offset(0), |last| last.offset.next())).collect();
    let since = || -> Vec<Record> {
        readable(&records(brokers, topic)).into_iter().filter(|record| record.offset >= begun[record.partition.0 as usize]).collect()
    };
    up.until("every room has come by", || all_rooms_came_by(&since(), AFTER));
    let decided = |record: &&Record| record.body.kind().is_decision() && record.body.kind() != Kind::RoomWatermark;
    let anew: Vec<Record> = since().iter().filter(decided).cloned().collect();
    assert!(anew.is_empty(), "nothing old is decided anew: {anew:#?}");
    publish(&up, &history("newcomer"));
    let ordered = |record: &Record| record.key.as_str() == "newcomer" && record.body.kind() == Kind::RollbackOrdered;
    up.until("what is new is decided", || since().iter().any(ordered));
    assert!(since().iter().filter(decided).all(|record| record.key.as_str() == "newcomer"), "and nothing else");
    drop(up);
    let rooms = vec![
        room::<incident::Incident> as fn(_) -> _,
        room::<rollback::Rollback>,
        room::<capacity::Capacity>,
        room::<audit::Audit>,
        room::<escalation::Escalation>,
    ];
    let mut oracle = Oracle::new(topic, &rooms);
    for stored in records(brokers, topic).iter().flatten() {
        oracle.take(&Arc::new(Read::of(stored.clone(), AFTER)));
    }
    let late = |objection: &&machine::oracle::Objection| objection.offset >= begun[objection.partition.0 as usize];
    let objections: Vec<_> = oracle.judgement().objections.iter().filter(late).collect();
    assert!(objections.is_empty(), "the oracle objects to what was decided there: {objections:#?}");
}

/// Whether each of the five rooms has a watermark on each partition.
fn all_rooms_came_by(records: &[Record], partitions: u32) -> bool {
    let rooms: std::collections::BTreeSet<_> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::RoomWatermark(watermark) => Some((record.partition, watermark.room.clone())),
            _ => None,
        })
        .collect();
    rooms.len() == 5 * partitions as usize
}

fn agent(nth: usize) -> String {
    format!("agent-{nth}")
}

/// An agent that served well, and whose next version does harm.
fn history(agent: &str) -> Vec<Value> {
    let told = |source: String, id: String, kind: &str, subject: Option<&str>, data: Value| {
        json!({"specversion": "1.0", "source": source, "id": format!("{agent}-{id}"), "partitionkey": agent, "subject": subject,
               "type": format!("io.reeve.{kind}.v1"), "data": data})
    };
    let fact = |id: &str, kind: &str, subject: Option<&str>, data| {
        told(format!("/platforms/acme/agents/{}", agent.replace('/', "%2F")), id.to_owned(), kind, subject, data)
    };
    let word = |id: &str, kind: &str, data| told("/people/ann".to_owned(), id.to_owned(), kind, None, data);
    vec![
        fact("1", "version.deployed", None, json!({"version": "v1", "layers": {"prompt": "one"}})),
        word("2", "baseline.declared", json!({"version": "v1", "author": "ann", "reason": "it served us well"})),
        word("3", "automation.set", json!({"automation": "enforce", "author": "ann", "reason": "by agreement"})),
        fact("4", "session.started", Some("s-1"), json!({"version": "v1"})),
        fact("5", "outcome.reported", Some("s-1"), json!({"success": true})),
        fact("6", "session.ended", Some("s-1"), json!({})),
        fact("7", "version.deployed", None, json!({"version": "v2", "layers": {"prompt": "two"}})),
        fact("8", "session.started", Some("s-2"), json!({"version": "v2"})),
        fact("9", "harm.reported", Some("s-2"), json!({"category": "wrong_refund", "confirmed": true})),
    ]
}

fn publish(up: &Up, facts: &[Value]) {
    let lines = facts.iter().map(|fact| format!("{}\n", without_nulls(fact))).collect::<String>();
    ended(Command::new(env!("CARGO_BIN_EXE_reeve")).args(["publish", "-", "--url", &up.url]), &lines);
}

fn without_nulls(fact: &Value) -> Value {
    let fields = fact.as_object().expect("it is an event").iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// Everything on a topic, partition by partition.
fn records(brokers: &str, topic: &str) -> Vec<Vec<StoredRecord>> {
    let log = KafkaLog::open(KafkaOptions::new(brokers, topic)).expect("the topic is there");
    let all = |partition: u32| log.read(Partition(partition), Offset(0), usize::MAX).expect("it can be read");
    (0..log.partitions()).map(all).collect()
}

fn readable(log: &[Vec<StoredRecord>]) -> Vec<Record> {
    log.iter().flatten().filter_map(|stored| Record::read_placed(stored, log.len() as u32).ok()).collect()
}

/// What stands about an agent, in order, but for where its decisions were asked.
fn life(log: &[Vec<StoredRecord>], agent: &str) -> Vec<(Timestamp, wire::Event)> {
    let mut about = readable(log);
    about.retain(|record| record.key.as_str() == agent);
    for record in &mut about {
        if let Some(basis) = record.event.body.basis_mut() {
            assert!(basis.asof < record.offset, "{} knew more than stood there", record.event.id);
            basis.asof = Offset(0);
        }
    }
    about.into_iter().map(|record| (record.appended, record.event)).collect()
}

/// A session of an agent whose name has to be encoded in its source.
fn facts() -> Vec<Value> {
    let fact = |id: &str, kind: &str, data: Value| {
        json!({"source": "/platforms/acme/agents/billing%2Feu", "id": id, "type": format!("io.reeve.{kind}.v1"), "subject": "s-1",
               "time": "2026-03-01T12:00:00Z", "data": data})
    };
    vec![
        fact("1", "session.started", json!({"version": "v1", "segment": "refund"})),
        fact("2", "message.posted", json!({"role": "user", "text": "où est ma commande ?", "language": "fr", "sentiment": -0.25})),
        fact("3", "outcome.reported", json!({"success": true, "handled_by": "agent"})),
    ]
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its broker is")]
fn brokers() -> Option<String> {
    let brokers = std::env::var("REEVE_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!("passed over: REEVE_KAFKA_BROKERS names no broker (`make kafka` starts one)");
    }
    brokers
}

fn python() -> Option<PathBuf> {
    // The tests run at once, and the environment is made by one of them.
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| kit::python::with(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("publisher"), PACKAGES));
    if python.is_none() {
        eprintln!("SKIPPED: there is no python3, so nobody foreign published");
    }
    python.clone()
}

fn has_kcat() -> bool {
    let has_kcat = Command::new("kcat").arg("-V").output().is_ok();
    if !has_kcat {
        eprintln!("SKIPPED: there is no kcat, so its example was not run");
    }
    has_kcat
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// What a program says that reads `input` and ends well.
fn ended(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    said(&output)
}
