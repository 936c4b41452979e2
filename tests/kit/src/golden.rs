//! The golden records of `schemas/golden/`: one of every kind and version.

use std::fs;
use std::path::Path;

use serde_json::Value;
use wire::{Event, RawRecord, Timestamp, cloudevents, codec};

/// All of them as records of one agent, each with every attribute told.
///
/// # Panics
/// When one cannot be read.
pub fn records() -> Vec<RawRecord> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("schemas/golden is there").map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    files.iter().map(|file| record(&fs::read_to_string(file).expect("it can be read"))).collect()
}

fn record(text: &str) -> RawRecord {
    let golden: Value = serde_json::from_str(text).expect("a golden record is JSON");
    let value = bytes_of(golden["framed_hex"].as_str().expect("it has a value"));
    let event = Event {
        key: "telecom".into(),
        source: cloudevents::platform_source("acme", "telecom"),
        id: "019ab000-0000-7000-8000-000000000001".into(),
        time: Timestamp::parse("2026-11-22T08:00:00Z"),
        subject: Some("s-1".into()),
        causation: Some("c".into()),
        hops: 1,
        tenant: Some("t".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        body: codec::decode(&value).expect("a golden record is read for ever"),
    };
    RawRecord { value: value.into(), ..event.to_raw() }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}
