//! `reeve up` on a topic of Apache Kafka, ended and stopped where it hurts, and begun anew beside its own remains: an open
//! transaction, members that have not expired, offsets that are undecided. What is left in the end is judged as on the
//! embedded log: every fact once, every decision as the oracle has it.

mod apart;
mod archive;
mod brokers;
mod failpoints;
mod held;
mod kills;
mod poison;
mod rebalances;
mod zombies;

use std::path::Path;
use std::process::Command;

use machine::oracle::Judgement;
use runtime::log::{Addressed, Log};
use torture::kafka::{KafkaTopic, PARTITIONS};
use torture::program::{Up, up};
use torture::publisher::Publisher;
use wire::Event;

use crate::killed::last_life;

/// `reeve up` on the topic.
fn on(topic: &KafkaTopic, data: &Path) -> Command {
    on_brokers(topic.brokers(), topic, data)
}

/// The same by another way to the broker.
fn on_brokers(brokers: &str, topic: &KafkaTopic, data: &Path) -> Command {
    let mut command = up(data);
    command.args(["--log", "kafka", "--brokers", brokers]).env("REEVE_LOG_TOPIC", topic.name());
    command.env("REEVE_KAFKA_NAMESPACE", format!("{}.", topic.name()));
    command
}

/// A fact, where its key says that it lies.
fn addressed(fact: &Event) -> Addressed {
    Addressed { partition: fact.partition(PARTITIONS), record: fact.to_raw() }
}

/// Appends facts as a gateway does. How many records they are.
fn append(log: &dyn Log, facts: &[Event]) -> usize {
    log.append(facts.iter().map(addressed).collect()).expect("they are new").len()
}

/// Sets where the topic and its archive are.
fn of_topic<'a>(command: &'a mut Command, topic: &KafkaTopic, data: &Path) -> &'a mut Command {
    command.envs([
        ("REEVE_LOG_KIND", "kafka"),
        ("REEVE_KAFKA_BROKERS", topic.brokers()),
        ("REEVE_LOG_TOPIC", topic.name()),
        ("REEVE_KAFKA_NAMESPACE", &format!("{}.", topic.name())),
        ("REEVE_ARCHIVE_EVERY_SECONDS", "1"),
    ]);
    command.env("REEVE_LOG_PATH", data).env("REEVE_ARCHIVE_PATH", data.join("archive"))
}

/// Lets a program end as it wishes.
fn drain(up: Up) {
    up.interrupt();
    let ended = up.end();
    assert_eq!(ended.code, Some(0), "it drains: {}", ended.said);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
}

/// The last life, which nobody disturbs: everything is published and decided. Then the topic is judged.
fn finish(topic: &KafkaTopic, data: &Path, facts: &[Event], publisher: Publisher) -> Judgement {
    let (judgement, repeats) = finish_of_many(topic, data, facts, publisher);
    assert_eq!(repeats, 0, "facts stand there more than once");
    judgement
}

/// The same where several gateways may have appended a fact at once, and how many records only repeat another one.
fn finish_of_many(topic: &KafkaTopic, data: &Path, facts: &[Event], publisher: Publisher) -> (Judgement, usize) {
    let caught_up = last_life(&mut on(topic, data), publisher, Up::catch_up);
    let log = topic.read();
    let repeats = log.holds(facts);
    (log.is_just_up_to(caught_up), repeats)
}
