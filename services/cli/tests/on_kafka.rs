//! Reeve on Apache Kafka as a platform meets it that writes to the topic itself: the examples, run as they stand.
//! `REEVE_KAFKA_BROKERS` names a broker; without one every test here is passed over, and says so.

#[path = "house/mod.rs"]
mod house;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::house::{Up, reeve, said, told};

/// What `examples/publish.py` asks for, pinned.
const PACKAGES: &[&str] = &["confluent-kafka==2.16.1", "fastavro==1.13.1"];

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
    let has_kcat = Command::new("kcat").arg("-V").output().is_ok();
    if has_kcat {
        ended(Command::new(example("publish.sh")).args([&brokers, "billing", "s-1", &topic]), "");
        ended(Command::new("kcat").args(["-P", "-b", &brokers, "-t", &topic, "-p", "2", "-k", "billing"]), "no record\n");
    } else {
        eprintln!("SKIPPED: there is no kcat, so its example was not run");
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
    let python = kit::python::with(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("publisher"), PACKAGES);
    if python.is_none() {
        eprintln!("SKIPPED: there is no python3, so nobody foreign published");
    }
    python
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
