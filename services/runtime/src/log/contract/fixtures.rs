//! What the tests say and how they read.

use bytes::Bytes;
use wire::{Body, Event, Offset, Partition, PolicyAdopted, RawRecord, StoredRecord, Timestamp};

use super::super::{Addressed, Consumer, Log, LogError, Polled, Transaction};

/// Where a subject's clock stands at the start.
pub const START: Timestamp = Timestamp(1_000_000);
/// Polls without an answer after which a test gives up.
const PATIENCE_POLLS: usize = 1_000;

/// A fact with this id that says this. What it says is opaque to a log.
pub fn fact(id: &str, says: &str) -> RawRecord {
    let header = |name: &'static str, value: &str| (name.into(), Bytes::copy_from_slice(value.as_bytes()));
    RawRecord {
        key: Some(Bytes::from_static(b"agent-7")),
        headers: vec![header("ce_id", id), header("ce_source", "/platforms/p/agents/agent-7"), header("ce_type", "test")],
        value: Bytes::copy_from_slice(says.as_bytes()),
    }
}

/// A policy, which goes to every partition.
pub fn broadcast(id: &str) -> RawRecord {
    let said = |text: &str| text.to_owned();
    let policy =
        PolicyAdopted { room: said("incident"), version: said("1"), document: said("{}"), author: said("dana"), reason: said("a test") };
    let event = Event {
        key: "incident".into(),
        source: "/people/dana".into(),
        id: id.into(),
        time: None,
        subject: None,
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: Body::PolicyAdopted(policy),
    };
    event.to_raw()
}

/// `record`, addressed to a partition.
pub fn to(partition: u32, record: RawRecord) -> Addressed {
    Addressed { partition: Partition(partition), record }
}

/// Appends facts to a partition, one append each; each says its own id.
///
/// # Panics
/// When the log refuses one.
pub fn append(log: &dyn Log, partition: u32, ids: &[&str]) {
    for id in ids {
        log.append(vec![to(partition, fact(id, id))]).expect("a new fact is appended");
    }
}

/// Joins a group and restores: every partition that is assigned is read from its committed offset.
///
/// # Panics
/// When nothing is assigned.
pub fn join(log: &dyn Log, group: &str, member: &str) -> Box<dyn Consumer> {
    let mut consumer = log.consumer(group, member).expect("the log is reached");
    restore(&mut *consumer);
    consumer
}

/// Polls until partitions are assigned, and seeks each to its committed offset, or to the start. The partitions.
///
/// # Panics
/// When nothing is assigned, or records come before an assignment.
pub fn restore(consumer: &mut dyn Consumer) -> Vec<Partition> {
    for _ in 0..PATIENCE_POLLS {
        match consumer.poll(10).expect("the log is read") {
            Polled::Assigned(partitions) => {
                for partition in &partitions {
                    let from = stable_offset(consumer, *partition).unwrap_or(Offset(0));
                    consumer.seek(*partition, from).expect("a committed offset can be read");
                }
                return partitions;
            }
            Polled::Nothing | Polled::Revoked(_) => {}
            records @ Polled::Records(..) => panic!("records before an assignment: {records:?}"),
        }
    }
    panic!("nothing was assigned in {PATIENCE_POLLS} polls");
}

/// The committed offset, asked for until nothing is pending on it.
///
/// # Panics
/// When it stays pending.
pub fn stable_offset(consumer: &mut dyn Consumer, partition: Partition) -> Option<Offset> {
    for _ in 0..PATIENCE_POLLS {
        match consumer.committed(partition) {
            Ok(offset) => return offset,
            Err(LogError::OffsetPending { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the offset of partition {partition} stayed pending");
}

/// Everything that the consumer is handed out until there is nothing more, and where it then stands per partition.
///
/// # Panics
/// When the group changes meanwhile, or it never ends.
pub fn drain(consumer: &mut dyn Consumer) -> (Vec<StoredRecord>, Vec<(Partition, Offset)>) {
    let mut records = Vec::new();
    let mut positions: Vec<(Partition, Offset)> = Vec::new();
    for _ in 0..PATIENCE_POLLS {
        match consumer.poll(7).expect("the log is read") {
            Polled::Nothing => return (records, positions),
            Polled::Records(partition, some, next) => {
                records.extend(some);
                positions.retain(|(known, _)| *known != partition);
                positions.push((partition, next));
            }
            other => panic!("the group changed: {other:?}"),
        }
    }
    panic!("the log goes on for ever");
}

/// A commit of these records and offsets by `consumer`.
pub fn transaction(consumer: &dyn Consumer, records: Vec<Addressed>, offsets: &[(u32, i64)]) -> Transaction {
    let offsets = offsets.iter().map(|(partition, offset)| (Partition(*partition), Offset(*offset))).collect();
    Transaction { records, offsets, membership: consumer.membership() }
}

/// The ids of all committed records of a partition.
///
/// # Panics
/// When the log cannot be read.
pub fn ids(log: &dyn Log, partition: u32) -> Vec<String> {
    let mut records = Vec::new();
    let mut from = Offset(0);
    while from < log.end(Partition(partition)).expect("the partition exists") {
        let some = log.read(Partition(partition), from, 5).expect("the log is read");
        from = some.last().expect("there are records before the end").offset.next();
        records.extend(some);
    }
    ids_of(&records)
}

/// The ids of these records.
pub fn ids_of(records: &[StoredRecord]) -> Vec<String> {
    records.iter().map(|record| record.raw.header("ce_id").unwrap_or("none").to_owned()).collect()
}
