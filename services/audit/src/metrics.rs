//! What the archive counts, so that anybody can compute `on the log - stored - refused`: what is not archived yet.

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts};
use wire::{Offset, Partition};

use crate::archive::Totals;

/// Records on the log, by partition: those in the archive, and offsets that follow them.
pub const RECORDS_ON_LOG: &str = "reeve_audit_records_on_log";
/// Records in the archive that somebody can read, by partition, since the archive began.
pub const RECORDS_STORED: &str = "reeve_audit_records_stored_total";
/// Records in the archive that nobody can read, by partition, since the archive began.
pub const RECORDS_REFUSED: &str = "reeve_audit_records_refused_total";
/// Offsets of the log that the archive does not reach yet, by partition.
pub const LAG_RECORDS: &str = "reeve_audit_lag_records";
/// Segments put down by this process.
pub const SEGMENTS_WRITTEN: &str = "reeve_audit_segments_written_total";
/// Bytes of them.
pub const SEGMENT_BYTES: &str = "reeve_audit_segment_bytes_total";

/// Every name. Changed only together with the dashboards and alerts that read them.
pub const ALL: &[&str] = &[RECORDS_ON_LOG, RECORDS_STORED, RECORDS_REFUSED, LAG_RECORDS, SEGMENTS_WRITTEN, SEGMENT_BYTES];

struct Metrics {
    on_log: IntGaugeVec,
    stored: IntCounterVec,
    refused: IntCounterVec,
    lag: IntGaugeVec,
    segments: IntCounter,
    bytes: IntCounter,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// An archive was opened that holds so much: counters go on where an earlier process left them.
pub(crate) fn began(partition: Partition, totals: Totals) {
    let label = partition.to_string();
    for (counter, total) in [(&METRICS.stored, totals.stored), (&METRICS.refused, totals.refused)] {
        let counter = counter.with_label_values(&[&label]);
        counter.reset();
        counter.inc_by(total);
    }
}

/// A segment of so many bytes was put down.
pub(crate) fn written(bytes: usize) {
    METRICS.segments.inc();
    METRICS.bytes.inc_by(bytes as u64);
}

/// Records of a segment are in the archive.
pub(crate) fn archived(partition: Partition, counts: Totals) {
    let label = partition.to_string();
    METRICS.stored.with_label_values(&[&label]).inc_by(counts.stored);
    METRICS.refused.with_label_values(&[&label]).inc_by(counts.refused);
}

/// The log ends there, and the archive holds so much, up to `next`. On Kafka markers take offsets too: what is behind the archive's
/// last record and before the log's is no lag.
pub(crate) fn on_log(partition: Partition, end: Offset, next: Offset, archived: Totals) {
    let label = partition.to_string();
    let lag = (end.0 - next.0).max(0);
    METRICS.on_log.with_label_values(&[&label]).set(archived.sum() as i64 + lag);
    METRICS.lag.with_label_values(&[&label]).set(lag);
}

/// Another process writes the archive now: it has the figures.
pub(crate) fn handed_over(partition: Partition) {
    let label = partition.to_string();
    // Whatever is not there was never told.
    for counter in [&METRICS.stored, &METRICS.refused] {
        counter.remove_label_values(&[&label]).ok();
    }
    for gauge in [&METRICS.on_log, &METRICS.lag] {
        gauge.remove_label_values(&[&label]).ok();
    }
}

// === impl Metrics ===

impl Metrics {
    fn new() -> Self {
        let partition = &["partition"];
        Self {
            on_log: kept(IntGaugeVec::new(Opts::new(RECORDS_ON_LOG, "Records on the log."), partition)),
            stored: kept(IntCounterVec::new(Opts::new(RECORDS_STORED, "Records in the archive that can be read."), partition)),
            refused: kept(IntCounterVec::new(Opts::new(RECORDS_REFUSED, "Records in the archive that nobody can read."), partition)),
            lag: kept(IntGaugeVec::new(Opts::new(LAG_RECORDS, "Offsets of the log that the archive does not reach yet."), partition)),
            segments: kept(IntCounter::new(SEGMENTS_WRITTEN, "Segments put down.")),
            bytes: kept(IntCounter::new(SEGMENT_BYTES, "Bytes of segments put down.")),
        }
    }
}

fn kept<C: Collector + Clone + 'static>(made: prometheus::Result<C>) -> C {
    let collector = made.expect("names and labels are constants, checked by the test below");
    runtime::metrics::registry().register(Box::new(collector.clone())).expect("every name is registered once");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_dashboards_rely_on() {
        let fixture: Vec<_> = include_str!("../metrics.txt").lines().collect();
        assert_eq!(ALL, fixture, "change metrics.txt only with a dashboard change in hand");
        began(Partition(7), Totals { stored: 5, refused: 2 });
        on_log(Partition(7), Offset(12), Offset(10), Totals { stored: 5, refused: 2 });
        written(10);
        let text = runtime::metrics::text();
        for line in [
            "reeve_audit_records_on_log{partition=\"7\"} 9",
            "reeve_audit_records_stored_total{partition=\"7\"} 5",
            "reeve_audit_records_refused_total{partition=\"7\"} 2",
            "reeve_audit_lag_records{partition=\"7\"} 2",
        ] {
            assert!(text.contains(line), "`{line}` is not in\n{text}");
        }
        assert!(ALL.iter().all(|name| text.contains(name)), "{text}");
        handed_over(Partition(7));
        assert!(!runtime::metrics::text().contains("{partition=\"7\"}"));
    }
}
