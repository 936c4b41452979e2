//! What may happen to a record around its value: its key, its headers, its place.

use bytes::Bytes;
use rand::RngExt;
use wire::partitioner::partition_of;
use wire::{Partition, limits};

use super::{Expected, Mutation};

use Expected::{Either, Read, Refused};

/// Headers that are read as text.
const TEXTS: &[&str] = &["ce_id", "ce_source", "ce_subject", "ce_causationid", "ce_tenant", "traceparent"];
/// Headers that are read.
const READ: &[&str] = &["ce_id", "ce_source", "ce_subject", "ce_causationid", "ce_tenant", "traceparent", "ce_time", "ce_hops"];

pub(super) const MUTATIONS: &[Mutation] = &[
    ("no key", |making| {
        making.raw.key = None;
        Some(Refused("missing"))
    }),
    ("empty key", |making| {
        making.raw.key = Some(Bytes::new());
        Some(Refused("malformed"))
    }),
    ("key that is no text", |making| {
        making.raw.key = Some(Bytes::from_static(b"tele\xffcom"));
        Some(Refused("malformed"))
    }),
    ("endless key", |making| {
        making.raw.key = Some(vec![b'k'; making.rng.random_range(limits::AGENT_BYTES_MAX + 1..1 << 16)].into());
        Some(Refused("too_large"))
    }),
    ("somebody else's key", |making| {
        let key = format!("agent-{}", making.rng.random_range(0..50_u32));
        let stays = partition_of(key.as_bytes(), making.partitions) == making.partition;
        making.raw.key = Some(key.into_bytes().into());
        Some(if stays || !making.well.has_a_home() { Read } else { Refused("wrong_partition") })
    }),
    ("wrong partition", |making| {
        making.partition = Partition(making.partition.0 + making.rng.random_range(1..1_000));
        Some(if making.well.has_a_home() { Refused("wrong_partition") } else { Read })
    }),
    ("no headers at all", |making| {
        making.headers.clear();
        Some(Refused("missing"))
    }),
    ("header left out", |making| {
        let name = making.one_of(READ);
        making.header(name)?;
        making.headers.retain(|(known, _)| known != name);
        let needed = matches!(name, "ce_id" | "ce_source") || name == "ce_subject" && limits::needs_subject(making.well.kind);
        Some(if needed { Refused("missing") } else { Read })
    }),
    ("header given twice", |making| {
        let name = making.one_of(READ);
        let again = making.header(name)?.clone();
        let again = if making.rng.random() { again } else { "another".into() };
        let at = making.rng.random_range(0..=making.headers.len());
        making.headers.insert(at, (name.to_owned(), again));
        Some(Refused("malformed"))
    }),
    ("endless header", |making| {
        let name = making.one_of(READ);
        let text = vec![b'h'; making.rng.random_range(limits::SOURCE_BYTES_MAX + 1..1 << 18)];
        *making.header(name)? = text.into();
        Some(if TEXTS.contains(&name) { Refused("too_large") } else { Refused("malformed") })
    }),
    ("header that is no text", |making| {
        let name = making.one_of(READ);
        *making.header(name)? = Bytes::from_static(b"\xc3\x28");
        Some(Refused("malformed"))
    }),
    ("empty header", |making| {
        let name = making.one_of(READ);
        *making.header(name)? = Bytes::new();
        Some(Refused("malformed"))
    }),
    ("time that is none", |making| {
        let time = making.one_of(&[
            "yesterday",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00",
            "1e9",
            "-009999-01-01T00:00:00Z",
            "99999-01-01T00:00:00Z",
        ]);
        *making.header("ce_time")? = time.into();
        Some(Refused("malformed"))
    }),
    ("time of another age", |making| {
        let time = making.one_of(&["1969-12-31T23:59:59Z", "2200-01-01T00:00:01Z", "9999-01-01T00:00:00Z", "0000-01-01T00:00:00Z"]);
        *making.header("ce_time")? = time.into();
        Some(Refused("out_of_range"))
    }),
    ("hops that are none", |making| {
        let hops = making.one_of(&["256", "-1", "one", "1.0", "0x1", " 1"]);
        making.headers.retain(|(name, _)| name != "ce_hops");
        making.headers.push(("ce_hops".to_owned(), hops.into()));
        Some(Refused("malformed"))
    }),
    ("hops beyond the cap", |making| {
        making.headers.retain(|(name, _)| name != "ce_hops");
        making.headers.push(("ce_hops".to_owned(), "255".into()));
        Some(Read)
    }),
    ("headers that nobody reads", |making| {
        for number in 0..making.rng.random_range(1..200_u32) {
            making.headers.push((format!("x-{number}"), vec![number as u8; 1 << making.rng.random_range(0..12_u32)].into()));
        }
        Some(Read)
    }),
    ("headers of another", |making| {
        making.headers = super::headers_of(&making.other.stored.raw);
        Some(Either)
    }),
    ("value of another", |making| {
        making.raw.value = making.other.stored.raw.value.clone();
        Some(Either)
    }),
    ("id of another", |making| {
        let id = making.other.stored.raw.header("ce_id")?.to_owned();
        *making.header("ce_id")? = id.into();
        Some(Read)
    }),
];
