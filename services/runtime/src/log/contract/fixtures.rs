//! What the tests say and how they read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::{Body, Event, Offset, Partition, PolicyAdopted, RawRecord, StoredRecord, Timestamp};

use super::super::{Addressed, Consumer, Log, LogError, Polled, Transaction};

/// Where a subject's clock stands at the start.
pub const START: Timestamp = Timestamp(1_000_000);
/// How long a test waits for what must come: a member of a group far away may be missed only when its session has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits between two questions.
const PAUSE: Duration = Duration::from_millis(1);

/// A fact with this id that says this. What it says is opaque to a log.
pub fn fact(id: &str, says: &str) -> RawRecord {
    RawRecord {
        key: Some(Bytes::from_static(b"agent-7")),
        headers: [("ce_id", id), ("ce_source", "/platforms/p/agents/agent-7"), ("ce_type", "test")].into(),
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
    until("nothing was assigned", || match consumer.poll(10).expect("the log is read") {
        Polled::Assigned(partitions) => {
            restore_from_offsets(consumer, &partitions);
            Some(partitions)
        }
        Polled::Nothing | Polled::Revoked(_) => None,
        records @ Polled::Records(..) => panic!("records before an assignment: {records:?}"),
    })
}

/// Seeks each partition to its committed offset, or to the start.
///
/// # Panics
/// When it cannot be read from there.
pub fn restore_from_offsets(consumer: &mut dyn Consumer, partitions: &[Partition]) {
    for partition in partitions {
        let from = stable_offset(consumer, *partition).unwrap_or(Offset(0));
        consumer.seek(*partition, from).expect("a committed offset can be read");
    }
}

/// The committed offset, asked for until nothing is pending on it.
///
/// # Panics
/// When it stays pending.
pub fn stable_offset(consumer: &mut dyn Consumer, partition: Partition) -> Option<Offset> {
    until("the offset stayed pending", || match consumer.committed(partition) {
        Ok(offset) => Some(offset),
        Err(LogError::OffsetPending { .. }) => None,
        Err(error) => panic!("{error}"),
    })
}

/// Everything that the consumer, which was just restored, is handed out until it stands at every high watermark, and
/// where it then stands per partition.
///
/// # Panics
/// When the group changes meanwhile, or it never gets there.
pub fn drain(consumer: &mut dyn Consumer) -> (Vec<StoredRecord>, Vec<(Partition, Offset)>) {
    let mut records = Vec::new();
    let there = |partition: &Partition| consumer.extent(*partition).is_ok();
    let partitions: Vec<Partition> = (0..super::PARTITIONS).map(Partition).take_while(there).collect();
    let mut positions: BTreeMap<Partition, Offset> = BTreeMap::new();
    for partition in &partitions {
        positions.insert(*partition, stable_offset(consumer, *partition).unwrap_or(Offset(0)));
    }
    until("the high watermarks were not reached", || {
        match consumer.poll(7).expect("the log is read") {
            Polled::Nothing => {}
            Polled::Records(partition, some, next) => {
                records.extend(some);
                positions.insert(partition, next);
            }
            other => panic!("the group changed: {other:?}"),
        }
        let mut end = |partition| consumer.extent(partition).expect("the log is reached").high_watermark;
        partitions.iter().all(|partition| positions[partition] >= end(*partition)).then_some(())
    });
    (records, positions.into_iter().collect())
}

/// The next records that the consumer is handed out, and where it then stands.
///
/// # Panics
/// When the group changes meanwhile, or nothing comes.
pub fn next_records(consumer: &mut dyn Consumer, max: usize) -> (Partition, Vec<StoredRecord>, Offset) {
    until("no records came", || match consumer.poll(max).expect("the log is read") {
        Polled::Nothing => None,
        Polled::Records(partition, records, next) => (!records.is_empty()).then_some((partition, records, next)),
        other => panic!("the group changed: {other:?}"),
    })
}

/// Whether a poll has nothing new to tell: at most how far a partition reaches.
///
/// # Panics
/// When the log cannot be read.
pub fn is_quiet(consumer: &mut dyn Consumer) -> bool {
    match consumer.poll(1).expect("the log is read") {
        Polled::Nothing => true,
        Polled::Records(_, records, _) => records.is_empty(),
        Polled::Assigned(_) | Polled::Revoked(_) => false,
    }
}

/// What `look` finds, asked again until it does.
///
/// # Panics
/// When it finds nothing in a minute; `otherwise` says what that means.
#[expect(clippy::disallowed_methods, reason = "a broker answers in its own time")]
pub fn until<T>(otherwise: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{otherwise} within {} s", PATIENCE.as_secs());
        std::thread::sleep(PAUSE);
    }
}

/// A member that notes what it is given, and reads each partition from its committed offset.
pub struct Member {
    /// The consumer.
    pub consumer: Box<dyn Consumer>,
    /// What it holds.
    pub held: BTreeSet<Partition>,
}

impl Member {
    /// Joins a group.
    ///
    /// # Panics
    /// When the log is not reached.
    pub fn join(log: &dyn Log, group: &str, member: &str) -> Self {
        Self { consumer: log.consumer(group, member).expect("the log is reached"), held: BTreeSet::new() }
    }

    /// Polls once. What it was told.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn hear(&mut self) -> Polled {
        let told = self.consumer.poll(2).expect("the log is read");
        match &told {
            Polled::Assigned(share) => {
                self.held.extend(share);
                restore_from_offsets(&mut *self.consumer, share);
            }
            Polled::Revoked(share) => self.held.retain(|partition| !share.contains(partition)),
            Polled::Nothing | Polled::Records(..) => {}
        }
        told
    }
}

/// Lets both members hear until each has a share and together they have everything.
///
/// # Panics
/// When both hold one partition at the same time, or it does not come to that.
pub fn share(first: &mut Member, second: &mut Member) {
    until("the partitions were not shared", || {
        for told in [first.hear(), second.hear()] {
            assert!(!matches!(told, Polled::Records(_, records, _) if !records.is_empty()), "nothing was appended");
        }
        assert!(first.held.is_disjoint(&second.held), "{:?} and {:?} overlap", first.held, second.held);
        let all = first.held.len() + second.held.len() == super::PARTITIONS as usize;
        (all && !first.held.is_empty() && !second.held.is_empty()).then_some(())
    });
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
