//! What Kafka's client measures of itself comes out as metrics, and goes with it.

use runtime::log::Log;
use runtime::log::contract::fixtures::{fact, join, to, transaction, until};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::metrics;

use super::OnKafka;

#[test]
fn what_the_client_measures_of_itself_is_told_while_it_lives() {
    if !super::is_there() {
        return;
    }
    let mut options: KafkaOptions = OnKafka::new().options;
    options.settings.insert("statistics.interval.ms".to_owned(), "100".to_owned());
    let log = until("the topic cannot be opened", || KafkaLog::open(options.clone()).ok());
    let mut member = join(&*log, "measured", "measured-0");
    let mut producer = log.producer("measured").expect("the broker is there");
    let id = format!("{}measured", options.namespace);
    let (mut of_member, mut of_producer, mut commits) = (false, false, 0);
    // A round trip is told of an interval in which there was one: of either at another moment, and of a client that is idle never.
    until("nothing was measured", || {
        commits += 1;
        let said = fact(&format!("a-{commits}"), "a");
        producer.commit(transaction(&*member, vec![to(0, said)], &[(0, commits)])).expect("nobody disturbs it");
        // It is told of its rebalances between two polls.
        let _ = member.poll(0);
        let has_round_trips = |client: &str| figures("reeve_kafka_round_trip_seconds", client).iter().any(|seconds| *seconds > 0.0);
        of_member |= has_round_trips("measured-0");
        of_producer |= has_round_trips(&id);
        let rebalanced = figures("reeve_kafka_group_rebalances_total", "measured-0").iter().any(|count| *count >= 1.0);
        (of_member && of_producer && rebalanced).then_some(())
    });
    until("not everything was delivered", || (figures("reeve_kafka_queued_records", &id) == [0.0]).then_some(()));
    drop((member, producer));
    let left = [figures("reeve_kafka_round_trip_seconds", "measured-0"), figures("reeve_kafka_round_trip_seconds", &id)].concat();
    assert!(left.is_empty(), "who is gone measures nothing: {left:?}");
}

/// Every figure of a metric that is about this client.
fn figures(metric: &str, client: &str) -> Vec<f64> {
    let of_client = format!("client=\"{client}\"");
    let text = metrics::text();
    let lines = text.lines().filter(|line| line.starts_with(metric) && line.contains(&of_client));
    lines.map(|line| line.rsplit(' ').next().and_then(|figure| figure.parse().ok()).expect("a number")).collect()
}
