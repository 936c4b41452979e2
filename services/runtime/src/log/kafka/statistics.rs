//! What Kafka's client measures of itself (librdkafka's `STATISTICS.md`), as far as an operator can use it and the rooms do not
//! measure it themselves: lag, stalls, transactions, restores and moved partitions are theirs.
//!
//! It is measured by those clients that are served between their records: members of groups, and producers. The reader of a
//! room waits at the broker for records, so that its round trips say nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use rdkafka::statistics::{Broker, Statistics, Window};

use crate::facts::{ClientCounts, ClientEnded, ClientMeasured, Fact};
use crate::log::locked;

/// The setting that says how often; it may be passed through, and 0 ends it.
pub(super) const INTERVAL: &str = "statistics.interval.ms";
/// How often if nobody says: as often as most ask for metrics.
pub(super) const INTERVAL_MS: &str = "15000";
const US_PER_S: f64 = 1e6;

/// What a client has told so far. It counts from its own beginning; a metric outlives it, and adds up.
#[derive(Default)]
pub(super) struct Measured(Mutex<Told>);

#[derive(Default)]
struct Told {
    client: String,
    kind: String,
    counts: ClientCounts,
    /// Brokers whose round trips are told now.
    brokers: BTreeSet<i32>,
}

// === impl Measured ===

impl Measured {
    /// Tells what changed since the last time.
    pub(super) fn tell(&self, statistics: &Statistics) {
        let mut told = locked(&self.0);
        let counts = ClientCounts::of(statistics);
        let more = counts.since(told.counts);
        let round_trips = round_trips(statistics);
        let measured: BTreeSet<i32> = round_trips.keys().copied().collect();
        let silent: Vec<i32> = told.brokers.difference(&measured).copied().collect();
        let (client, kind) = (statistics.client_id.as_str(), statistics.client_type.as_str());
        let queued = (kind == "producer").then_some(statistics.msg_cnt);
        let is_member = statistics.cgrp.is_some();
        ClientMeasured { client, kind, round_trips: &round_trips, silent: &silent, queued, is_member, more }.emit();
        *told = Told { client: client.to_owned(), kind: kind.to_owned(), counts, brokers: measured };
    }
}

impl Drop for Measured {
    /// What is gone measures nothing: its last figures would stand for ever.
    fn drop(&mut self) {
        let told = locked(&self.0);
        let brokers: Vec<i32> = told.brokers.iter().copied().collect();
        if !told.client.is_empty() {
            ClientEnded { client: &told.client, kind: &told.kind, brokers: &brokers }.emit();
        }
    }
}

// === impl ClientCounts ===

impl ClientCounts {
    fn of(statistics: &Statistics) -> Self {
        let sum = |of: fn(&Broker) -> u64| statistics.brokers.values().map(of).sum();
        let positive = |count: i64| u64::try_from(count).unwrap_or(0);
        Self {
            errors: sum(|broker| broker.txerrs + broker.rxerrs),
            retries: sum(|broker| broker.txretries),
            timeouts: sum(|broker| broker.req_timeouts),
            disconnects: sum(|broker| broker.disconnects.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)),
            rebalances: statistics.cgrp.as_ref().map_or(0, |group| positive(group.rebalance_cnt)),
        }
    }

    /// What came after `before`. A broker that is no longer known takes its counts with it.
    fn since(self, before: Self) -> Self {
        Self {
            errors: self.errors.saturating_sub(before.errors),
            retries: self.retries.saturating_sub(before.retries),
            timeouts: self.timeouts.saturating_sub(before.timeouts),
            disconnects: self.disconnects.saturating_sub(before.disconnects),
            rebalances: self.rebalances.saturating_sub(before.rebalances),
        }
    }
}

/// By broker, the median and the 99th percentile of the round trips of the last interval, in seconds. A broker to which no request
/// went is not there: that is no round trip of no time. One that is reached by two connections, for instance as a coordinator, is
/// told by its slower one.
fn round_trips(statistics: &Statistics) -> BTreeMap<i32, [f64; 2]> {
    let mut slowest: BTreeMap<i32, &Window> = BTreeMap::new();
    for broker in statistics.brokers.values().filter(|broker| broker.nodeid >= 0) {
        if let Some(window) = broker.rtt.as_ref().filter(|window| window.cnt > 0) {
            let known = slowest.entry(broker.nodeid).or_insert(window);
            if known.p99 < window.p99 {
                *known = window;
            }
        }
    }
    slowest.into_iter().map(|(broker, window)| (broker, [window.p50, window.p99].map(|us| us as f64 / US_PER_S))).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::ConsumerGroup;

    use super::*;
    use crate::metrics;

    #[test]
    fn round_trips_are_told_by_broker_and_not_at_all_where_there_were_none() {
        let measured = Measured::default();
        measured.tell(&of("round-trips", &[broker(1, 4, 2_000), broker(1, 9, 5_000), broker(2, 0, 0), broker(-1, 5, 9_000)]));
        let text = told("round-trips");
        let series = |broker: u32, quantile: &str| {
            let labels = format!("{{broker=\"{broker}\",client=\"round-trips\",kind=\"producer\",quantile=\"{quantile}\"}}");
            text.iter().find_map(|line| line.strip_prefix(&format!("reeve_kafka_round_trip_seconds{labels} ")).map(str::to_owned))
        };
        assert_eq!((series(1, "0.5").as_deref(), series(1, "0.99").as_deref()), (Some("0.0025"), Some("0.005")), "{text:?}");
        assert_eq!(series(2, "0.99"), None);
        assert!(text.iter().all(|line| !line.contains("broker=\"-1\"")), "an address is no broker: {text:?}");
        measured.tell(&of("round-trips", &[broker(1, 0, 0)]));
        assert!(told("round-trips").iter().all(|line| !line.contains("round_trip")), "it is silent now: {:?}", told("round-trips"));
    }

    #[test]
    fn what_a_client_counts_from_its_beginning_adds_up_over_clients() {
        let failing = |retries| Broker { txretries: retries, req_timeouts: 1, ..broker(1, 1, 1) };
        let first = Measured::default();
        first.tell(&of("counting", &[failing(3)]));
        first.tell(&of("counting", &[failing(5)]));
        first.tell(&of("counting", &[]));
        drop(first);
        Measured::default().tell(&of("counting", &[failing(2)]));
        let count = |what: &str| {
            let series = format!("reeve_kafka_failures_total{{client=\"counting\",kind=\"producer\",what=\"{what}\"}} ");
            told("counting").iter().find_map(|line| line.strip_prefix(&series).map(str::to_owned))
        };
        assert_eq!((count("retries").as_deref(), count("timeouts").as_deref()), (Some("7"), Some("2")), "{:?}", told("counting"));
    }

    #[test]
    fn only_members_have_rebalances_and_only_producers_records_that_wait_and_what_ends_leaves_no_figure() {
        let (member, producer) = (Measured::default(), Measured::default());
        let cgrp = Some(ConsumerGroup { rebalance_cnt: 2, ..ConsumerGroup::default() });
        member.tell(&Statistics { cgrp, client_type: "consumer".to_owned(), ..of("a-member", &[broker(1, 1, 1)]) });
        producer.tell(&Statistics { msg_cnt: 7, ..of("a-producer", &[]) });
        assert!(told("a-member").contains(&"reeve_kafka_group_rebalances_total{client=\"a-member\"} 2".to_owned()));
        assert!(told("a-member").iter().all(|line| !line.contains("queued")), "{:?}", told("a-member"));
        assert!(told("a-producer").contains(&"reeve_kafka_queued_records{client=\"a-producer\"} 7".to_owned()));
        assert!(told("a-producer").iter().all(|line| !line.contains("rebalances")), "{:?}", told("a-producer"));
        drop((member, producer));
        let figures = [told("a-member"), told("a-producer")].concat();
        assert!(figures.iter().all(|line| !line.contains("round_trip") && !line.contains("queued")), "{figures:?}");
    }

    fn of(client: &str, brokers: &[Broker]) -> Statistics {
        let brokers = brokers.iter().enumerate().map(|(nth, broker)| (nth.to_string(), broker.clone())).collect();
        Statistics { client_id: client.to_owned(), client_type: "producer".to_owned(), brokers, ..Statistics::default() }
    }

    /// A broker whose slowest round trips took `us`, and whose others half of it.
    fn broker(nodeid: i32, cnt: i64, us: i64) -> Broker {
        Broker { nodeid, rtt: Some(Window { cnt, p50: us / 2, p99: us, ..Window::default() }), ..Broker::default() }
    }

    /// The lines of the metrics that are about this client.
    fn told(client: &str) -> Vec<String> {
        metrics::text().lines().filter(|line| line.contains(&format!("client=\"{client}\""))).map(str::to_owned).collect()
    }
}
