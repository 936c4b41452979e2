//! Bytes that somebody made wrong, by accident or on purpose: they never panic, never make a length in them come true
//! in memory, and are refused with a reason or say something that is within its limits.
//!
//! Every mutant follows from `SEED` and its number. A mutant that fails is told with both.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wire::cloudevents::{self, Door};
use wire::{Event, Kind, Offset, Partition, RawRecord, StoredRecord, Timestamp, codec, limits};

use crate::sample;

const SEED: u64 = 20_261_122;
const MUTANTS: u64 = 120_000;
const JSON_MUTANTS: u64 = 20_000;
/// Bytes that a refusal may take as text: what it quotes is cut.
const REFUSAL_BYTES_MAX: usize = 1 << 10;

#[global_allocator]
static ALLOCATOR: Measured = Measured;

/// The system's allocator, remembering the largest allocation of each thread.
struct Measured;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Changes the bytes of a value in place.
type Mutate = fn(&mut Vec<u8>, &mut ChaCha8Rng);

/// What may happen to the bytes of a value.
const MUTATIONS: &[(&str, Mutate)] = &[
    ("truncation", |bytes, rng| bytes.truncate(rng.random_range(0..bytes.len()))),
    ("bit flip", |bytes, rng| {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8u32);
    }),
    ("varint overflow", |bytes, rng| insert(bytes, &[0xff; 11], rng)),
    ("negative length", |bytes, rng| overwrite(bytes, &varint(-rng.random_range(1..i64::MAX)), rng)),
    ("least length", |bytes, rng| overwrite(bytes, &varint(i64::MIN), rng)),
    ("huge length", |bytes, rng| overwrite(bytes, &varint(1 << rng.random_range(15..63u32)), rng)),
    ("length at the limit", |bytes, rng| overwrite(bytes, &varint(limits::VALUE_BYTES_MAX as i64 + rng.random_range(-1..2i64)), rng)),
    ("union index", |bytes, rng| overwrite(bytes, &varint(rng.random_range(-3..70)), rng)),
    ("bad UTF-8", |bytes, rng| overwrite(bytes, [&[0xff_u8][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80]][rng.random_range(0..3usize)], rng)),
    ("no number", |bytes, rng| {
        let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, -1.0];
        overwrite(bytes, &numbers[rng.random_range(0..numbers.len())].to_le_bytes(), rng);
    }),
    ("trailing bytes", |bytes, rng| bytes.extend((0..rng.random_range(1..20)).map(|_| rng.random::<u8>()))),
    ("wrong fingerprint", |bytes, rng| {
        let at = rng.random_range(0..codec::FRAMING_BYTES);
        bytes[at] = rng.random();
    }),
    ("another kind's framing", |bytes, rng| {
        let framing = codec::framing_of(Kind::ALL[rng.random_range(0..Kind::ALL.len())]);
        bytes[..codec::FRAMING_BYTES].copy_from_slice(&framing);
    }),
    ("lost bytes", |bytes, rng| {
        let from = rng.random_range(codec::FRAMING_BYTES..bytes.len());
        bytes.drain(from..rng.random_range(from..bytes.len()));
    }),
    ("repeated bytes", |bytes, rng| {
        let from = rng.random_range(codec::FRAMING_BYTES..bytes.len());
        let repeated = bytes[from..rng.random_range(from..bytes.len())].to_vec();
        insert(bytes, &repeated, rng);
    }),
    ("noise", |bytes, rng| bytes.iter_mut().skip(codec::FRAMING_BYTES).for_each(|byte| *byte = rng.random())),
];

#[test]
fn a_mutant_is_refused_with_a_reason_or_is_within_its_limits() {
    let well: Vec<RawRecord> = Kind::ALL.iter().map(|kind| event(*kind).to_raw()).collect();
    let mut codes: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut admitted = 0_u64;
    for number in 0..MUTANTS {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED ^ number.rotate_left(32));
        let mut raw = well[(number as usize / MUTATIONS.len()) % well.len()].clone();
        let mut value = raw.value.to_vec();
        let (mutation, mutate) = MUTATIONS[number as usize % MUTATIONS.len()];
        mutate(&mut value, &mut rng);
        raw.value = value.into();
        match survived(number, mutation, || judged(&raw)) {
            Some(code) => *codes.entry(code).or_default() += 1,
            None => admitted += 1,
        }
    }
    println!("{MUTANTS} mutants: {admitted} admitted, refused: {codes:?}");
    for code in ["unknown_framing", "unknown_schema", "undecodable", "trailing_bytes", "out_of_range", "malformed"] {
        assert!(codes.get(code).is_some_and(|count| *count > 100), "too few mutants end as {code}: {codes:?}");
    }
}

#[test]
fn a_mutant_of_the_headers_is_refused_with_a_reason_or_is_within_its_limits() {
    for number in 0..20_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED ^ number);
        let mut raw = event(Kind::SessionStarted).to_raw();
        let at = rng.random_range(0..=raw.headers.len());
        let mut bytes = raw.headers.get(at).map_or_else(|| raw.key.clone().expect("it has a key"), |(_, value)| value.clone()).to_vec();
        match rng.random_range(0..3u32) {
            0 => bytes.truncate(rng.random_range(0..bytes.len())),
            1 => bytes.resize(rng.random_range(0..5_000), b'x'),
            _ => bytes.iter_mut().for_each(|byte| *byte = if rng.random_bool(0.2) { rng.random() } else { *byte }),
        }
        match raw.headers.get_mut(at) {
            Some((_, value)) => *value = bytes.into(),
            None => raw.key = Some(bytes.into()),
        }
        survived(number, "header", || judged(&raw));
    }
}

#[test]
fn what_is_no_number_is_refused_wherever_a_number_is() {
    let mut struck = 0;
    for kind in Kind::ALL {
        let raw = event(*kind).to_raw();
        for number in [1.5_f64, 0.75, 4.5, -0.25, 0.25, 0.95, 0.0125] {
            let places = raw.value.windows(8).enumerate().filter(|(_, bytes)| *bytes == number.to_le_bytes());
            for (place, _) in places {
                for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    let mut value = raw.value.to_vec();
                    value[place..place + 8].copy_from_slice(&wrong.to_le_bytes());
                    let wrong = RawRecord { value: value.into(), ..raw.clone() };
                    assert_eq!(judged(&wrong), Some("out_of_range"), "{kind} at byte {place}");
                    struck += 1;
                }
            }
        }
    }
    let numbers: usize = Kind::ALL.iter().map(|kind| kind.schema_text().matches("\"double\"").count()).sum();
    assert_eq!(struck, 3 * numbers, "every field of the schemas that holds a real number is struck");
}

#[test]
fn a_value_of_a_million_empty_texts_takes_no_more_memory_than_a_value_may_have() {
    let mut value = codec::framing_of(Kind::DecisionMade).to_vec();
    value.extend([2, b'x', 0]);
    value.extend(varint(1_000_000));
    value.resize(limits::VALUE_BYTES_MAX, 0);
    let raw = RawRecord { value: value.into(), ..event(Kind::DecisionMade).to_raw() };
    assert_eq!(survived(0, "a million texts", || judged(&raw)), Some("undecodable"));
    let raw = RawRecord { value: Bytes::from(vec![0; limits::VALUE_BYTES_MAX + 1]), ..raw };
    assert_eq!(survived(0, "too large", || judged(&raw)), Some("too_large"));
}

#[test]
fn a_mutant_in_json_is_refused_with_a_reason_or_is_within_its_limits() {
    let well: Vec<Vec<u8>> = Kind::ALL.iter().map(|kind| structured(*kind)).collect();
    let mut admitted = 0;
    for number in 0..JSON_MUTANTS {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED ^ number);
        let mut json = well[number as usize % well.len()].clone();
        let at = rng.random_range(0..json.len());
        let odd: [&[u8]; 8] = [b"null", b"\"", b"1e999", b"-1", b"{}", b"[[", b"\\ud800", b"\xff"];
        match rng.random_range(0..4u32) {
            0 => json.truncate(at),
            1 => json[at] = rng.random(),
            2 => drop(json.splice(at..at, odd[rng.random_range(0..odd.len())].iter().copied())),
            _ => drop(json.drain(at..rng.random_range(at..json.len()))),
        }
        survived(number, "JSON", || match cloudevents::parse_structured(&json, Door::Trusted) {
            Ok(event) => {
                assert_eq!(limits::check(&event), []);
                admitted += 1;
            }
            Err(faults) => faults.iter().for_each(is_told),
        });
    }
    assert!(admitted > 100 && admitted < JSON_MUTANTS / 2, "{admitted} were admitted");
}

#[test]
fn the_sample_of_every_kind_is_within_its_limits() {
    for kind in Kind::ALL {
        assert_eq!(Event::from_raw(&event(*kind).to_raw()), Ok(event(*kind)), "{kind}");
    }
}

#[test]
fn an_event_that_is_well_is_checked_without_an_allocation() {
    for kind in Kind::ALL {
        let event = event(*kind);
        // The table is indexed once for the process.
        assert_eq!(limits::check(&event), []);
        LARGEST.set(0);
        let faults = limits::check(&event);
        assert_eq!((faults.len(), LARGEST.get()), (0, 0), "{kind}");
    }
}

/// Reads a record as a room would; the code of the refusal, if it is refused.
fn judged(raw: &RawRecord) -> Option<&'static str> {
    let refusal = match Event::from_raw(raw) {
        Ok(event) => {
            assert_eq!(limits::check(&event), []);
            assert_eq!(codec::decode(&codec::encode(&event.body)).as_ref(), Ok(&event.body));
            return None;
        }
        Err(refusal) => refusal,
    };
    is_told(&refusal);
    let stored = StoredRecord { partition: Partition(0), offset: Offset(0), appended: Timestamp(0), raw: raw.clone() };
    assert!(raw.value.len() > 4_096 || cloudevents::to_structured(&stored, "t", None)["refusal"].is_string());
    Some(refusal.code())
}

fn is_told(refusal: &wire::Refusal) {
    let told = refusal.to_string();
    assert!(!told.is_empty() && told.len() <= REFUSAL_BYTES_MAX, "{} bytes of refusal: {told}", told.len());
}

/// Runs `judge`, and holds it to its word about panics and memory.
fn survived<T>(number: u64, mutation: &str, judge: impl FnOnce() -> T) -> T {
    LARGEST.set(0);
    let judged = catch_unwind(AssertUnwindSafe(judge));
    let largest = LARGEST.get();
    assert!(largest <= limits::VALUE_BYTES_MAX, "mutant {number} of seed {SEED} ({mutation}) allocated {largest} bytes at once");
    judged.unwrap_or_else(|_| panic!("mutant {number} of seed {SEED} ({mutation}) panicked"))
}

fn event(kind: Kind) -> Event {
    Event {
        key: "telecom".into(),
        source: cloudevents::platform_source("acme", "telecom"),
        id: "019ab000-0000-7000-8000-000000000001".into(),
        time: Timestamp::parse("2026-11-22T08:00:00Z"),
        subject: Some("s-1".into()),
        causation: Some("c".into()),
        hops: 1,
        tenant: Some("t".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        body: sample::body(kind),
    }
}

fn structured(kind: Kind) -> Vec<u8> {
    let stored = StoredRecord { partition: Partition(0), offset: Offset(0), appended: Timestamp(0), raw: event(kind).to_raw() };
    let mut json = cloudevents::to_structured(&stored, "agent-events", None);
    if kind.is_broadcast() {
        json["partitionkey"] = json["data"]["room"].clone();
    }
    if kind.is_broadcast() || kind.is_decision() {
        json["source"] = "/reeve/incident".into();
    }
    serde_json::to_vec(&json).expect("json")
}

/// Avro's long: zigzag, seven bits a byte.
fn varint(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn insert(bytes: &mut Vec<u8>, new: &[u8], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(codec::FRAMING_BYTES..=bytes.len());
    bytes.splice(at..at, new.iter().copied());
}

/// Writes over as many bytes as the new ones are, or fewer at the end; the framing stays.
fn overwrite(bytes: &mut Vec<u8>, new: &[u8], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(codec::FRAMING_BYTES..bytes.len());
    let end = (at + new.len()).min(bytes.len());
    bytes.splice(at..end, new.iter().copied());
}

// === impl Measured ===

#[allow(unsafe_code, reason = "an allocator cannot be written without; every call is handed to the system's as it came")]
// SAFETY: `System` keeps the contract; the counter neither allocates nor unwinds.
unsafe impl GlobalAlloc for Measured {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn note(size: usize) {
    // A thread on its way out has no counter any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}
