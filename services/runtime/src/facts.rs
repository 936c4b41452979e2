//! What the runtime has to tell its operator: a fact writes its log line and its counter together, so that they agree.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{debug, error, info, warn};
use wire::{Event, Kind, Offset, Partition, Refusal, Timestamp};

use crate::metrics::metrics;

/// Something that happened and is worth a line or a count.
pub trait Fact {
    /// Tells it, once.
    fn emit(self);
}

/// A record of a kind that the room reads, or of no known framing, was passed unread.
pub(crate) struct RecordUnreadable<'a> {
    pub(crate) room: &'static str,
    pub(crate) partition: Partition,
    pub(crate) offset: Offset,
    pub(crate) refusal: &'a Refusal,
}

/// Records by kind; those that are framed as no known kind come last.
#[derive(Clone, Debug)]
pub(crate) struct Counts([u64; Kind::ALL.len() + 1]);

/// A batch was folded.
pub(crate) struct RecordsFolded<'a> {
    pub(crate) room: &'static str,
    pub(crate) partition: Partition,
    pub(crate) counts: &'a Counts,
    pub(crate) appended: Timestamp,
}

/// A decision stands on the log.
pub(crate) struct DecisionPublished<'a> {
    pub(crate) room: &'static str,
    pub(crate) partition: Partition,
    pub(crate) offset: Offset,
    pub(crate) event: &'a Event,
}

/// A transaction ended.
pub(crate) struct TransactionEnded<'a> {
    pub(crate) room: &'static str,
    /// `committed`, `offsets`, `fenced`, `aborted`, `unknown` or `refused`.
    pub(crate) outcome: &'static str,
    pub(crate) decisions: usize,
    pub(crate) reason: Option<&'a str>,
}

/// A partition was handed to a room or taken from it.
pub(crate) struct PartitionMoved {
    pub(crate) room: &'static str,
    pub(crate) partition: Partition,
    /// `assigned`, `revoked` or `fenced`.
    pub(crate) kind: &'static str,
}

/// A partition's state stands again.
pub(crate) struct PartitionRestored {
    pub(crate) room: &'static str,
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) to: Offset,
    pub(crate) seconds: f64,
}

/// How far a room is behind.
pub(crate) struct LagMeasured {
    pub(crate) room: &'static str,
    pub(crate) partition: Partition,
    pub(crate) lag: i64,
    pub(crate) stalled_s: f64,
}

/// A lease came to this process, or was taken from it.
pub(crate) struct LeaseMoved {
    pub(crate) lease: &'static str,
    pub(crate) held: bool,
}

/// A client of Kafka's has measured itself for an interval.
pub(crate) struct ClientMeasured<'a> {
    pub(crate) client: &'a str,
    /// `consumer` or `producer`.
    pub(crate) kind: &'a str,
    /// By broker, the median and the 99th percentile of its round trips, in seconds.
    pub(crate) round_trips: &'a BTreeMap<i32, [f64; 2]>,
    /// Brokers that had round trips before and have none now.
    pub(crate) silent: &'a [i32],
    /// Records that wait for the brokers.
    pub(crate) queued: Option<u64>,
    pub(crate) is_member: bool,
    /// What it counted meanwhile.
    pub(crate) more: ClientCounts,
}

/// What a client counts, over all brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientCounts {
    /// Requests that could not be sent, or whose answer could not be read.
    pub(crate) errors: u64,
    /// Requests that were sent again.
    pub(crate) retries: u64,
    /// Requests that were not answered in time.
    pub(crate) timeouts: u64,
    /// Connections that ended, idle ones among them.
    pub(crate) disconnects: u64,
    /// Rebalances of the group that it is a member of.
    pub(crate) rebalances: u64,
}

/// A client of Kafka's is gone, with what it measured.
pub(crate) struct ClientEnded<'a> {
    pub(crate) client: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) brokers: &'a [i32],
}

/// Something became of a snapshot.
pub(crate) struct SnapshotTold<'a> {
    pub(crate) room: &'a str,
    pub(crate) partition: Partition,
    pub(crate) position: Offset,
    /// `written`, `restored`, `busy`, `failed` or `unreadable`.
    pub(crate) outcome: &'static str,
    pub(crate) reason: Option<&'a str>,
}

/// Something failed and is tried again.
pub(crate) struct Retried<'a> {
    pub(crate) target: &'static str,
    pub(crate) wait: Duration,
    pub(crate) reason: &'a str,
}

/// A room is ready, or no longer.
pub(crate) struct ReadinessChanged {
    pub(crate) room: &'static str,
    pub(crate) ready: bool,
}

/// A room ended for good.
pub(crate) struct RoomFailed<'a> {
    pub(crate) room: &'static str,
    pub(crate) code: &'static str,
    pub(crate) reason: &'a str,
    pub(crate) panicked: bool,
}

/// An invariant did not hold.
pub(crate) struct LawViolated<'a> {
    pub(crate) law: &'static str,
    pub(crate) detail: &'a str,
}

// === impl Counts ===

impl Counts {
    pub(crate) fn count(&mut self, kind: Option<Kind>) {
        self.0[kind.map_or(Kind::ALL.len(), |kind| kind as usize)] += 1;
    }

    /// The kinds that were counted, and how often each.
    fn iter(&self) -> impl Iterator<Item = (Option<Kind>, u64)> {
        let kinds = Kind::ALL.iter().copied().map(Some).chain([None]);
        kinds.zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self([0; Kind::ALL.len() + 1])
    }
}

// === impl Fact ===

impl Fact for RecordUnreadable<'_> {
    fn emit(self) {
        let Self { room, partition, offset, refusal } = self;
        metrics().events_failed.with_label_values(&[room, refusal.code()]).inc();
        warn!(room, %partition, %offset, reason = refusal.code(), "record {partition}:{offset} cannot be read and is passed: {refusal}");
    }
}

impl Fact for RecordsFolded<'_> {
    fn emit(self) {
        let Self { room, partition, counts, appended } = self;
        for (kind, count) in counts.iter() {
            let kind = kind.map_or("unknown", Kind::name);
            metrics().events_consumed.with_label_values(&[room, kind]).inc_by(count);
        }
        metrics().last_folded.with_label_values(&[room, &partition.to_string()]).set(appended.0 as f64 / 1e6);
        debug!(room, %partition, %appended, records = counts.0.iter().sum::<u64>(), "folded");
    }
}

impl Fact for DecisionPublished<'_> {
    fn emit(self) {
        let Self { room, partition, offset, event } = self;
        let kind = event.body.kind().name();
        metrics().decisions_published.with_label_values(&[room, kind]).inc();
        if event.body.kind() == Kind::RoomWatermark {
            debug!(room, kind, %partition, %offset, id = %event.id, "{kind} published");
        } else {
            info!(room, kind, %partition, %offset, id = %event.id, agent = %event.key, "{kind} of agent {} published", event.key);
        }
    }
}

impl Fact for TransactionEnded<'_> {
    fn emit(self) {
        let Self { room, outcome, decisions, reason } = self;
        metrics().transactions.with_label_values(&[room, outcome]).inc();
        match reason {
            None => debug!(room, outcome, decisions, "transaction {outcome}"),
            Some(reason) => warn!(room, outcome, decisions, "transaction {outcome}, what it held stays owed: {reason}"),
        }
    }
}

impl Fact for PartitionMoved {
    fn emit(self) {
        let Self { room, partition, kind } = self;
        metrics().rebalances.with_label_values(&[room, kind]).inc();
        if kind != "assigned" {
            let labels = [room, &partition.to_string()];
            metrics().consumer_lag.remove_label_values(&labels).ok();
            metrics().stalled.remove_label_values(&labels).ok();
            metrics().last_folded.remove_label_values(&labels).ok();
        }
        info!(room, %partition, "partition {partition} {kind}");
    }
}

impl Fact for PartitionRestored {
    fn emit(self) {
        let Self { room, partition, from, to, seconds } = self;
        metrics().restore_duration.with_label_values(&[room]).observe(seconds);
        info!(room, %partition, %from, %to, seconds, "partition {partition} restored from offset {from} to {to}");
    }
}

impl Fact for LagMeasured {
    fn emit(self) {
        let labels = [self.room, &self.partition.to_string()];
        metrics().consumer_lag.with_label_values(&labels).set(self.lag);
        metrics().stalled.with_label_values(&labels).set(self.stalled_s);
    }
}

impl Fact for LeaseMoved {
    fn emit(self) {
        let Self { lease, held } = self;
        metrics().lease_held.with_label_values(&[lease]).set(i64::from(held));
        info!(lease, held, "the lease of the {lease} is {}", if held { "held" } else { "another's" });
    }
}

/// Of round trips, in their order.
const QUANTILES: [&str; 2] = ["0.5", "0.99"];

impl Fact for ClientMeasured<'_> {
    fn emit(self) {
        let Self { client, kind, round_trips, silent, queued, is_member, more } = self;
        for (broker, quantiles) in round_trips {
            for (quantile, seconds) in QUANTILES.iter().zip(quantiles) {
                metrics().kafka_round_trip.with_label_values(&[client, kind, &broker.to_string(), quantile]).set(*seconds);
            }
        }
        forget_round_trips(client, kind, silent);
        let failures = [("errors", more.errors), ("retries", more.retries), ("timeouts", more.timeouts), ("disconnects", more.disconnects)];
        for (what, count) in failures {
            metrics().kafka_failures.with_label_values(&[client, kind, what]).inc_by(count);
        }
        if is_member {
            metrics().kafka_rebalances.with_label_values(&[client]).inc_by(more.rebalances);
        }
        if let Some(queued) = queued {
            metrics().kafka_queued.with_label_values(&[client]).set(i64::try_from(queued).unwrap_or(i64::MAX));
        }
    }
}

impl Fact for ClientEnded<'_> {
    fn emit(self) {
        let Self { client, kind, brokers } = self;
        forget_round_trips(client, kind, brokers);
        // A consumer has none.
        metrics().kafka_queued.remove_label_values(&[client]).ok();
    }
}

fn forget_round_trips(client: &str, kind: &str, brokers: &[i32]) {
    for (broker, quantile) in brokers.iter().flat_map(|broker| QUANTILES.map(|quantile| (broker, quantile))) {
        // It may be gone already, with another client of the same name.
        metrics().kafka_round_trip.remove_label_values(&[client, kind, &broker.to_string(), quantile]).ok();
    }
}

impl Fact for SnapshotTold<'_> {
    fn emit(self) {
        let Self { room, partition, position, outcome, reason } = self;
        metrics().snapshots.with_label_values(&[room, outcome]).inc();
        match reason {
            None => debug!(room, %partition, %position, "snapshot of partition {partition} at {position} {outcome}"),
            Some(reason) => {
                warn!(room, %partition, %position, code = "RV0004", "snapshot of partition {partition} at {position} {outcome}: {reason}");
            }
        }
    }
}

impl Fact for Retried<'_> {
    fn emit(self) {
        let Self { target, wait, reason } = self;
        metrics().retries.with_label_values(&[target]).inc();
        let wait_ms = wait.as_millis() as u64;
        warn!(target_name = target, wait_ms, "{target} is tried again in {wait_ms} ms: {reason}");
    }
}

impl Fact for ReadinessChanged {
    fn emit(self) {
        let Self { room, ready } = self;
        metrics().room_ready.with_label_values(&[room]).set(i64::from(ready));
        info!(room, ready, "room {room} is {}", if ready { "ready" } else { "not ready" });
    }
}

impl Fact for RoomFailed<'_> {
    fn emit(self) {
        let Self { room, code, reason, panicked } = self;
        if panicked {
            metrics().room_panics.with_label_values(&[room]).inc();
        }
        metrics().room_ready.with_label_values(&[room]).set(0);
        error!(room, code, "room {room} stopped ({code}): {reason}");
    }
}

impl Fact for LawViolated<'_> {
    fn emit(self) {
        let Self { law, detail } = self;
        metrics().law_violations.with_label_values(&[law]).inc();
        error!(law, code = "RV0014", "law {law} does not hold: {detail}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;

    #[test]
    fn a_partition_that_was_taken_away_leaves_no_figure() {
        let (room, partition) = ("leaving", Partition(3));
        let figures = || metrics::text().lines().filter(|line| line.contains("partition=\"3\",room=\"leaving\"")).count();
        LagMeasured { room, partition, lag: 7, stalled_s: 9.0 }.emit();
        assert_eq!(figures(), 2, "{}", metrics::text());
        PartitionMoved { room, partition, kind: "revoked" }.emit();
        assert_eq!(figures(), 0, "{}", metrics::text());
    }
}
