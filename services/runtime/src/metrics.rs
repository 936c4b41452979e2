//! The one door to Prometheus: every metric of the runtime is named here, once.
//!
//! Labels are bounded: rooms, partitions, kinds and closed lists of outcomes. No agent and no session is ever a label.

use std::sync::LazyLock;

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// Version of this build, as `reeve_build_info` and `/version` tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Constant 1, labelled with the version.
pub const BUILD_INFO: &str = "reeve_build_info";
/// Records that rooms passed, skipped ones included, by kind.
pub const EVENTS_CONSUMED: &str = "reeve_events_consumed_total";
/// Records that a room could not read, by refusal.
pub const EVENTS_FAILED: &str = "reeve_events_failed_total";
/// Decisions committed, by kind.
pub const DECISIONS_PUBLISHED: &str = "reeve_decisions_published_total";
/// Transactions by outcome.
pub const TRANSACTIONS: &str = "reeve_transactions_total";
/// Records between a room's position and the end of the partition.
pub const CONSUMER_LAG: &str = "reeve_consumer_lag_records";
/// Seconds for which a room has not moved although there are records ahead of it.
pub const STALLED: &str = "reeve_consumer_stalled_seconds";
/// Append time of the last record folded.
pub const LAST_FOLDED: &str = "reeve_last_folded_timestamp_seconds";
/// Seconds from an assignment to the moment that its partition is restored.
pub const RESTORE_DURATION: &str = "reeve_state_restore_duration_seconds";
/// Partitions handed to and taken from rooms.
pub const REBALANCES: &str = "reeve_rebalances_total";
/// 1 while this process holds a lease, 0 while it is another's.
pub const LEASE_HELD: &str = "reeve_lease_held";
/// Seconds that round trips to a broker took in the last interval, by quantile, as Kafka's client measures them.
pub const KAFKA_ROUND_TRIP: &str = "reeve_kafka_round_trip_seconds";
/// Requests of Kafka's client that failed in some way, and connections that ended.
pub const KAFKA_FAILURES: &str = "reeve_kafka_failures_total";
/// Records that a producer has not delivered yet.
pub const KAFKA_QUEUED: &str = "reeve_kafka_queued_records";
/// Rebalances of the groups that this process has members in.
pub const KAFKA_REBALANCES: &str = "reeve_kafka_group_rebalances_total";
/// Snapshots by outcome.
pub const SNAPSHOTS: &str = "reeve_snapshots_total";
/// Attempts that were made again, by what was tried.
pub const RETRIES: &str = "reeve_retries_total";
/// 1 while a room holds nothing that is not restored.
pub const ROOM_READY: &str = "reeve_room_ready";
/// Rooms that ended by a panic.
pub const ROOM_PANICS: &str = "reeve_room_panics_total";
/// Invariants that did not hold, by law.
pub const LAW_VIOLATIONS: &str = "reeve_law_violations_total";

/// Every name above. Change this list only with the dashboards and alerts that use it in hand.
pub const ALL: &[&str] = &[
    BUILD_INFO,
    EVENTS_CONSUMED,
    EVENTS_FAILED,
    DECISIONS_PUBLISHED,
    TRANSACTIONS,
    CONSUMER_LAG,
    STALLED,
    LAST_FOLDED,
    RESTORE_DURATION,
    REBALANCES,
    LEASE_HELD,
    KAFKA_ROUND_TRIP,
    KAFKA_FAILURES,
    KAFKA_QUEUED,
    KAFKA_REBALANCES,
    SNAPSHOTS,
    RETRIES,
    ROOM_READY,
    ROOM_PANICS,
    LAW_VIOLATIONS,
];

/// From a restart on an empty log to a restore of many millions of records.
const RESTORE_BUCKETS_SECONDS: &[f64] = &[0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0];

/// The metrics of this process.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) events_consumed: IntCounterVec,
    pub(crate) events_failed: IntCounterVec,
    pub(crate) decisions_published: IntCounterVec,
    pub(crate) transactions: IntCounterVec,
    pub(crate) consumer_lag: IntGaugeVec,
    pub(crate) stalled: GaugeVec,
    pub(crate) last_folded: GaugeVec,
    pub(crate) restore_duration: HistogramVec,
    pub(crate) rebalances: IntCounterVec,
    pub(crate) lease_held: IntGaugeVec,
    pub(crate) kafka_round_trip: GaugeVec,
    pub(crate) kafka_failures: IntCounterVec,
    pub(crate) kafka_queued: IntGaugeVec,
    pub(crate) kafka_rebalances: IntCounterVec,
    pub(crate) snapshots: IntCounterVec,
    pub(crate) retries: IntCounterVec,
    pub(crate) room_ready: IntGaugeVec,
    pub(crate) room_panics: IntCounterVec,
    pub(crate) law_violations: IntCounterVec,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The registry of this process, for crates that have metrics of their own.
pub fn registry() -> &'static Registry {
    &METRICS.registry
}

/// Every metric of this process in Prometheus' text format.
pub fn text() -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry().gather(), &mut text).expect("names and labels were checked when they were registered");
    String::from_utf8(text).expect("the text format is UTF-8")
}

/// A histogram of latencies in seconds, with the buckets that all of Reeve's latencies share.
pub fn latency_seconds(name: &str, help: &str) -> Histogram {
    const BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec())).expect("names and buckets are constants")
}

pub(crate) fn metrics() -> &'static Metrics {
    &METRICS
}

// === impl Metrics ===

impl Metrics {
    fn new() -> Self {
        let registry = Registry::new();
        let build = kept(&registry, IntGaugeVec::new(Opts::new(BUILD_INFO, "Constant 1, labelled with the version."), &["version"]));
        build.with_label_values(&[VERSION]).set(1);
        let counter = |name: &str, help: &str, labels: &[&str]| kept(&registry, IntCounterVec::new(Opts::new(name, help), labels));
        let gauge = |name: &str, help: &str, labels: &[&str]| kept(&registry, IntGaugeVec::new(Opts::new(name, help), labels));
        let restore = HistogramOpts::new(RESTORE_DURATION, "Seconds from an assignment to the moment that its partition is restored.")
            .buckets(RESTORE_BUCKETS_SECONDS.to_vec());
        Self {
            events_consumed: counter(EVENTS_CONSUMED, "Records that rooms passed, skipped ones included.", &["room", "event_type"]),
            events_failed: counter(EVENTS_FAILED, "Records that a room could not read.", &["room", "reason"]),
            decisions_published: counter(DECISIONS_PUBLISHED, "Decisions committed.", &["room", "kind"]),
            transactions: counter(TRANSACTIONS, "Transactions by outcome.", &["room", "outcome"]),
            consumer_lag: gauge(CONSUMER_LAG, "Records between a room's position and the partition's end.", &["room", "partition"]),
            stalled: kept(
                &registry,
                GaugeVec::new(
                    Opts::new(STALLED, "Seconds for which a room has not moved although there are records ahead of it."),
                    &["room", "partition"],
                ),
            ),
            last_folded: kept(
                &registry,
                GaugeVec::new(Opts::new(LAST_FOLDED, "Append time of the last record folded."), &["room", "partition"]),
            ),
            restore_duration: kept(&registry, HistogramVec::new(restore, &["room"])),
            rebalances: counter(REBALANCES, "Partitions handed to and taken from rooms.", &["room", "kind"]),
            lease_held: gauge(LEASE_HELD, "1 while this process holds a lease, 0 while it is another's.", &["lease"]),
            kafka_round_trip: kept(
                &registry,
                GaugeVec::new(
                    Opts::new(KAFKA_ROUND_TRIP, "Seconds that round trips to a broker took in the last interval, by quantile."),
                    &["client", "kind", "broker", "quantile"],
                ),
            ),
            kafka_failures: counter(
                KAFKA_FAILURES,
                "Requests to brokers that failed, and connections that ended.",
                &["client", "kind", "what"],
            ),
            kafka_queued: gauge(KAFKA_QUEUED, "Records that a producer has not delivered yet.", &["client"]),
            kafka_rebalances: counter(KAFKA_REBALANCES, "Rebalances of the groups that this process has members in.", &["client"]),
            snapshots: counter(SNAPSHOTS, "Snapshots by outcome.", &["room", "outcome"]),
            retries: counter(RETRIES, "Attempts that were made again.", &["target"]),
            room_ready: gauge(ROOM_READY, "1 while a room holds nothing that is not restored.", &["room"]),
            room_panics: counter(ROOM_PANICS, "Rooms that ended by a panic.", &["room"]),
            law_violations: counter(LAW_VIOLATIONS, "Invariants that did not hold.", &["law"]),
            registry,
        }
    }
}

fn kept<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("names and labels are constants, checked by the test below");
    registry.register(Box::new(collector.clone())).expect("every name is registered once");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What dashboards and alerts rely on. Change it only with their change in hand.
    const FIXTURE: &str = include_str!("../metrics.txt");

    #[test]
    fn names_and_labels_are_those_that_dashboards_rely_on() {
        let metrics = Metrics::new();
        let collectors: Vec<Box<dyn Collector>> = vec![
            Box::new(metrics.events_consumed),
            Box::new(metrics.events_failed),
            Box::new(metrics.decisions_published),
            Box::new(metrics.transactions),
            Box::new(metrics.consumer_lag),
            Box::new(metrics.stalled),
            Box::new(metrics.last_folded),
            Box::new(metrics.restore_duration),
            Box::new(metrics.rebalances),
            Box::new(metrics.lease_held),
            Box::new(metrics.kafka_round_trip),
            Box::new(metrics.kafka_failures),
            Box::new(metrics.kafka_queued),
            Box::new(metrics.kafka_rebalances),
            Box::new(metrics.snapshots),
            Box::new(metrics.retries),
            Box::new(metrics.room_ready),
            Box::new(metrics.room_panics),
            Box::new(metrics.law_violations),
        ];
        let mut lines: Vec<String> = collectors
            .iter()
            .flat_map(|collector| collector.desc())
            .map(|desc| format!("{}{{{}}}\n", desc.fq_name, desc.variable_labels.join(",")))
            .collect();
        lines.push("reeve_build_info{version}\n".to_owned());
        lines.sort();
        assert_eq!(lines.concat(), FIXTURE);
        let mut names: Vec<&str> = ALL.to_vec();
        names.sort_unstable();
        let told: Vec<&str> = FIXTURE.lines().filter_map(|line| line.split('{').next()).collect();
        assert_eq!(names, told, "ALL and the fixture name the same metrics");
    }

    #[test]
    fn the_version_is_told_in_the_text_format() {
        assert!(text().contains(&format!("reeve_build_info{{version=\"{VERSION}\"}} 1")), "{}", text());
    }
}
