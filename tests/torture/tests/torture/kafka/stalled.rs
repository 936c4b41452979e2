//! A transaction that nobody ends keeps every reader from what follows it. Whoever looks at the metrics sees that while it lasts, and
//! the brokers end it.

use runtime::failpoints::{Failpoint, VARIABLE};
use runtime::log::kafka::KafkaLog;
use torture::dice::dice;
use torture::ground::{eventually, folder, free_address, moment, say};
use torture::kafka::{KafkaTopic, PARTITIONS, beside_a_broker};
use torture::program::{Up, metric, service};
use torture::publisher::Publisher;
use wire::Event;

use super::{append, on};
use crate::killed::{BATCH, SENDERS, corpus};

/// Facts before the end of a Reeve that leaves a transaction open, and after it.
const FACTS: usize = 400;
const STALLED: &str = "reeve_consumer_stalled_seconds";
const LAG: &str = "reeve_consumer_lag_records";

#[test]
fn a_transaction_that_nobody_ends_shows_in_the_metrics_of_who_waits_for_it() {
    let Some(topic) = beside_a_broker() else { return };
    let (data, facts) = (folder(), corpus(&mut dice(), 2 * FACTS));
    let (before, after) = facts.split_at(facts.len() / 2);
    // It reads in a group of its own, so that nobody's end is its own.
    let (observer, url) = observer(&topic);
    let figures = |name: &str| {
        let of = |partition| metric(&url, &format!("{name}{{partition=\"{partition}\",room=\"rollback\"}}"));
        (0..PARTITIONS).map(of).collect::<Option<Vec<f64>>>()
    };
    eventually("an observer who has read everything", || figures(LAG).filter(|lag| lag.iter().all(|lag| *lag == 0.0)));
    leave_a_transaction_open(&topic, before, data.path());
    let open = moment();
    KafkaLog::open(topic.options().clone()).map(|log| append(&*log, after)).expect("the topic is there");
    // It is ended 5 s after its last record, or a sweep of the brokers later: what was never seen by then is never seen.
    let stalled = eventually("a reader that is told to be stalled", || figures(STALLED)?.into_iter().find(|seconds| *seconds > 0.0));
    let seen = open.elapsed();
    eventually("an end of it", || (figures(STALLED)?.iter().chain(&figures(LAG)?).all(|figure| *figure == 0.0)).then_some(()));
    say(&format!(
        "a transaction was left open; {seen:.1?} later a room told of {stalled:.1} s, and {:.1?} after it began all was read",
        open.elapsed()
    ));
    observer.kill();
}

/// A room by itself, which meets nothing but records.
fn observer(topic: &KafkaTopic) -> (Up, String) {
    let address = free_address();
    let mut command = service("rollback");
    command.args(["--log-kind", "kafka", "--kafka-brokers", topic.brokers(), "--log-topic", topic.name()]);
    command.args(["--kafka-namespace", "observer.", "--listen-address", &address, "--log-path"]).arg(folder().path());
    (Up::begin(&mut command), format!("http://{address}"))
}

/// A Reeve that ends when its decisions stand on the topic and are not committed.
fn leave_a_transaction_open(topic: &KafkaTopic, facts: &[Event], data: &std::path::Path) {
    let publisher = Publisher::begin(facts, BATCH, SENDERS);
    let mut up = Up::start(on(topic, data).env(VARIABLE, format!("{}:3", Failpoint::CommitBefore.name())));
    publisher.find(Some(&up.url));
    publisher.grant_all();
    eventually("an end between a decision and its commit", || up.ended().then_some(()));
    publisher.give_up();
    publisher.join();
    assert_eq!(up.end().code, None, "it did not end by itself");
}
