//! Records: an event in memory, its bytes on the log (CloudEvents 1.0 Kafka binary mode), and both with their place.

use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::codec;
use crate::headers::Headers;
use crate::ids::{AgentId, Offset, Partition, RecordId, SessionId, Source, Timestamp};
use crate::kinds::{Body, Kind};
use crate::limits;
use crate::names::Names;
use crate::partitioner::partition_of;
use crate::refusal::Refusal;
use crate::registered::registered_by_header;

/// One thing that was said: who, when by their clock, about what, and the value itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The record key: the agent that it is about; for broadcasts and watermarks the room.
    pub key: AgentId,
    /// Who published it.
    pub source: Source,
    /// Unique within `source`.
    pub id: RecordId,
    /// When it happened by the publisher's clock. Absent where the publisher does not know.
    pub time: Option<Timestamp>,
    /// The session that it belongs to.
    pub subject: Option<SessionId>,
    /// The record that caused it, on decisions.
    pub causation: Option<RecordId>,
    /// How many decisions lead from the first fact to this record; 0 on facts.
    pub hops: u8,
    /// The tenant, where the publisher names one.
    pub tenant: Option<String>,
    /// The W3C trace that it is part of.
    pub traceparent: Option<String>,
    /// What is said.
    pub body: Body,
}

/// A record as it is handed to a log: nothing of it is interpreted there.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RawRecord {
    /// The key's bytes; a record of Reeve's always has one.
    pub key: Option<Bytes>,
    /// Header names and values, in order.
    pub headers: Headers,
    /// The framed value.
    pub value: Bytes,
}

/// A record as a log hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its partition.
    pub partition: Partition,
    /// Its offset there.
    pub offset: Offset,
    /// When the log appended it: the only time that decisions are judged by.
    pub appended: Timestamp,
    /// Its bytes.
    pub raw: RawRecord,
}

/// An event with its place on the log: what a machine folds.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its partition.
    pub partition: Partition,
    /// Its offset there.
    pub offset: Offset,
    /// When the log appended it.
    pub appended: Timestamp,
    /// What was said.
    pub event: Event,
}

/// `source` and `id` as one value: two records with the same key are the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DedupeKey(pub [u8; 16]);

// === impl Event ===

impl Event {
    /// The bytes of this event, as every publisher of Reeve writes them.
    pub fn to_raw(&self) -> RawRecord {
        let time = self.time.map(|time| time.to_string());
        let hops = (self.hops > 0).then(|| self.hops.to_string());
        let headers = [
            ("ce_specversion", Some("1.0")),
            ("ce_id", Some(self.id.as_str())),
            ("ce_source", Some(self.source.as_str())),
            ("ce_type", Some(self.body.kind().ce_type())),
            ("content-type", Some("application/avro")),
            ("ce_time", time.as_deref()),
            ("ce_subject", self.subject.as_ref().map(SessionId::as_str)),
            ("ce_causationid", self.causation.as_ref().map(RecordId::as_str)),
            ("ce_hops", hops.as_deref()),
            ("ce_tenant", self.tenant.as_deref()),
            ("traceparent", self.traceparent.as_deref()),
        ];
        RawRecord {
            key: Some(Bytes::copy_from_slice(self.key.as_str().as_bytes())),
            headers: headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            value: codec::encode(&self.body).into(),
        }
    }

    /// Reads an event from a record's bytes and checks it against the limits.
    ///
    /// # Errors
    /// The first thing that is wrong with it. An unknown kind is [`Refusal::UnknownKind`]; it is no fault of the record.
    pub fn from_raw(raw: &RawRecord) -> Result<Self, Refusal> {
        Self::from_raw_among(raw, &mut Names::forgotten())
    }

    fn from_raw_among(raw: &RawRecord, names: &mut Names) -> Result<Self, Refusal> {
        limits::check_size("value", limits::VALUE_BYTES_MAX, raw.value.len())?;
        let body = codec::decode(&raw.value).map_err(|refusal| named_by_header(raw).unwrap_or(refusal))?;
        let key = raw.key.as_deref().ok_or_else(|| missing("key"))?;
        let attributes = Attributes::read(raw)?;
        let event = Self {
            key: names.take(utf8("key", key)?),
            source: names.take(attributes.source.ok_or_else(|| missing("ce_source"))?),
            id: attributes.id.ok_or_else(|| missing("ce_id"))?.into(),
            time: attributes.time,
            subject: attributes.subject.map(|subject| names.take(subject)),
            causation: attributes.causation.map(Into::into),
            hops: attributes.hops.unwrap_or(0),
            tenant: attributes.tenant.map(Into::into),
            traceparent: attributes.traceparent.map(Into::into),
            body,
        };
        match limits::check(&event).into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(event),
        }
    }

    /// `source` and `id` as one value.
    pub fn dedupe_key(&self) -> DedupeKey {
        DedupeKey::of(self.source.as_str(), self.id.as_str())
    }

    /// The opener of an episode as [`decision_id`] takes it: source and id, so that equal ids of two platforms differ.
    pub fn opener(&self) -> String {
        self.dedupe_key().to_string()
    }

    /// The partition that its key chooses. Decisions go where they are owed instead, and broadcasts everywhere.
    pub fn partition(&self, partitions: u32) -> Partition {
        partition_of(self.key.as_str().as_bytes(), partitions)
    }

    /// Whether it may trigger a decision: past the hop cap a record is folded, but starts nothing new.
    pub fn may_trigger(&self) -> bool {
        self.hops < limits::HOPS_MAX
    }
}

// === impl Record ===

impl Record {
    /// Reads a stored record.
    ///
    /// # Errors
    /// As [`Event::from_raw`].
    pub fn read(stored: &StoredRecord) -> Result<Self, Refusal> {
        let event = Event::from_raw(&stored.raw)?;
        Ok(Self { partition: stored.partition, offset: stored.offset, appended: stored.appended, event })
    }

    /// Reads a stored record of a topic that has so many `partitions`, and holds it against where it lies: facts and
    /// words lie where their key belongs. Broadcasts lie on every partition, and decisions where they were owed.
    ///
    /// # Errors
    /// As [`Event::from_raw`], and [`Refusal::WrongPartition`].
    pub fn read_placed(stored: &StoredRecord, partitions: u32) -> Result<Self, Refusal> {
        Self::read_placed_among(stored, partitions, &mut Names::forgotten())
    }

    /// The same for a reader of many records, who keeps the names that they repeat.
    ///
    /// # Errors
    /// As [`Record::read_placed`].
    pub fn read_placed_among(stored: &StoredRecord, partitions: u32, names: &mut Names) -> Result<Self, Refusal> {
        let event = Event::from_raw_among(&stored.raw, names)?;
        let kind = event.body.kind();
        if !kind.is_decision() && !kind.is_broadcast() {
            let expected = event.partition(partitions);
            if expected != stored.partition {
                return Err(Refusal::WrongPartition { expected: expected.0, found: stored.partition.0 });
            }
        }
        Ok(Self { partition: stored.partition, offset: stored.offset, appended: stored.appended, event })
    }
}

/// A record is read like its event: `record.body`, `record.subject`.
impl Deref for Record {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

// === impl RawRecord ===

impl RawRecord {
    /// A record of one piece of memory, of which key, headers and value are views.
    pub fn joined<N: AsRef<str>, V: AsRef<[u8]>>(key: Option<&[u8]>, headers: impl IntoIterator<Item = (N, V)>, value: &[u8]) -> Self {
        /// The headers of a publisher take so much, mostly.
        const HEADERS_BYTES: usize = 384;
        let key_bytes = key.map(<[u8]>::len);
        let mut whole = Vec::with_capacity(key_bytes.unwrap_or(0) + HEADERS_BYTES + value.len());
        whole.extend_from_slice(key.unwrap_or_default());
        headers.into_iter().for_each(|(name, value)| Headers::pack(name.as_ref(), value.as_ref(), &mut whole));
        let value_at = whole.len();
        whole.extend_from_slice(value);
        let mut whole = Bytes::from(whole);
        let value = whole.split_off(value_at);
        let key = key_bytes.map(|bytes| whole.split_to(bytes));
        Self { key, headers: Headers::of_packed(whole), value }
    }

    /// The first header of this name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?).ok()
    }

    /// The agent that its key names, where it is a name.
    pub fn agent(&self) -> Option<AgentId> {
        self.name("partitionkey", std::str::from_utf8(self.key.as_deref()?).ok()?).map(AgentId::from)
    }

    /// The id that it says it has, where it is one.
    pub fn id(&self) -> Option<RecordId> {
        self.name("id", self.header("ce_id")?).map(RecordId::from)
    }

    fn name<'a>(&self, attribute: &str, text: &'a str) -> Option<&'a str> {
        limits::attribute(attribute, text).is_none().then_some(text)
    }

    /// The kind that its value is framed as, without reading anything else of it.
    pub fn kind(&self) -> Option<Kind> {
        codec::kind_of(&self.value)
    }

    /// `source` and `id` as one value, where both are told.
    pub fn dedupe_key(&self) -> Option<DedupeKey> {
        Some(DedupeKey::of(self.header("ce_source")?, self.header("ce_id")?))
    }

    /// A digest of what the record says: the same source and id with another one is another event.
    ///
    /// The time is part of it, the trace is not: a repeated request is a new trace of the same event.
    pub fn body_digest(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.key.as_deref().unwrap_or_default());
        for name in ["ce_type", "ce_time", "ce_subject", "ce_tenant"] {
            part(self.header(name).unwrap_or_default().as_bytes());
        }
        part(&self.value);
        first_16(&hash.finalize())
    }

    /// Bytes that it takes, for limits and counters.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Bytes::len) + headers + self.value.len()
    }
}

// === impl DedupeKey ===

impl DedupeKey {
    /// The key of `source` and `id`: the first 16 bytes of SHA-256 over both, each with its length.
    pub fn of(source: &str, id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [source, id] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(first_16(&hash.finalize()))
    }
}

impl std::fmt::Display for DedupeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The id of a decision: UUIDv5 of service, key, id of the record that opened the episode, name and ordinal.
///
/// Never random and never counted: whoever folds the same log derives the same id.
pub fn decision_id(service: &str, key: &str, opener: &str, name: &str, ordinal: u64) -> RecordId {
    /// UUIDv5 of the DNS name `reeve.io`: the root of every id that Reeve derives.
    const ROOT: Uuid = Uuid::from_u128(0x6f1c_2a4e_58f1_5d0b_9f43_7a6d_1be0_c3d5);
    let name = serde_json::to_vec(&(service, key, opener, name, ordinal)).expect("texts and a number are JSON");
    RecordId::from(Uuid::new_v5(&ROOT, &name).to_string())
}

/// The headers that Reeve reads, found in one pass.
#[derive(Default)]
struct Attributes<'a> {
    id: Option<&'a str>,
    source: Option<&'a str>,
    time: Option<Timestamp>,
    subject: Option<&'a str>,
    causation: Option<&'a str>,
    hops: Option<u8>,
    tenant: Option<&'a str>,
    traceparent: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// A header that is given twice says two things: whoever takes the first and whoever takes the last would know two
    /// records, and one of them might be a repeat.
    fn read(raw: &'a RawRecord) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for (name, value) in &raw.headers {
            let text = || utf8(name, value);
            match name {
                "ce_id" => once(name, &mut found.id, text()?)?,
                "ce_source" => once(name, &mut found.source, text()?)?,
                "ce_subject" => once(name, &mut found.subject, text()?)?,
                "ce_causationid" => once(name, &mut found.causation, text()?)?,
                "ce_tenant" => once(name, &mut found.tenant, text()?)?,
                "traceparent" => once(name, &mut found.traceparent, text()?)?,
                "ce_time" => {
                    let time = Timestamp::parse(text()?).ok_or_else(|| malformed(name, "it is no RFC 3339 time"))?;
                    once(name, &mut found.time, time)?;
                }
                "ce_hops" => {
                    let hops = text()?.parse().map_err(|_| malformed(name, "it is no number from 0 to 255"))?;
                    once(name, &mut found.hops, hops)?;
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(malformed(name, "the header is given twice")),
    }
}

fn utf8<'a>(field: &str, bytes: &'a [u8]) -> Result<&'a str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| malformed(field, "it is not UTF-8"))
}

/// A bare value may begin like anything: where a header names its schema, nothing else is the matter with it.
fn named_by_header(raw: &RawRecord) -> Option<Refusal> {
    let id = registered_by_header(&raw.headers).filter(|_| !codec::is_single_object(&raw.value))?;
    Some(Refusal::UnregisteredSchema { id })
}

fn missing(field: &str) -> Refusal {
    Refusal::Missing { field: field.to_owned() }
}

fn malformed(field: &str, reason: &str) -> Refusal {
    Refusal::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

fn first_16(digest: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Basis, DoorOpened, RoomWatermark, SessionEnded};

    #[test]
    fn facts_lie_where_their_key_belongs_and_broadcasts_and_decisions_anywhere() {
        const PARTITIONS: u32 = 4;
        let basis = Basis {
            asof: Offset(0),
            now: Timestamp(0),
            rule: "r".to_owned(),
            policy: "p".to_owned(),
            causes: Vec::new(),
            accountable: "a".to_owned(),
        };
        let places = |body: Body| -> Vec<bool> {
            let event = Event {
                key: "billing".into(),
                source: "/platforms/tests".into(),
                id: "1".into(),
                time: None,
                subject: Some("s".into()),
                causation: None,
                hops: 0,
                tenant: None,
                traceparent: None,
                body,
            };
            let home = event.partition(PARTITIONS);
            let read = |partition| {
                let stored = StoredRecord { partition, offset: Offset(0), appended: Timestamp(0), raw: event.to_raw() };
                Record::read_placed(&stored, PARTITIONS)
            };
            let away = Partition((home.0 + 1) % PARTITIONS);
            let found = read(away);
            assert!(found.is_ok() || found == Err(Refusal::WrongPartition { expected: home.0, found: away.0 }), "{found:?}");
            vec![read(home).is_ok(), found.is_ok()]
        };
        assert_eq!(places(SessionEnded { reason: None, version: None }.into()), [true, false]);
        assert_eq!(places(DoorOpened { shut_since: Timestamp(0) }.into()), [true, true]);
        assert_eq!(places(RoomWatermark { room: "r".to_owned(), partition: 0, basis }.into()), [true, true]);
    }
}
