//! Bytes that somebody made wrong, by accident or on purpose: they never panic, never make a length in them come true
//! in memory, and are refused with a reason or say something that is within its limits.
//!
//! Every mutant follows from `SEED` and its number. A mutant that fails is told with both.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use kit::mutants::{Expected, Mutator, varint};
use kit::{golden, torture};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wire::cloudevents::{self, Door};
use wire::partitioner::partition_of;
use wire::{Event, Kind, Names, Offset, Partition, RawRecord, Record, StoredRecord, Timestamp, codec, limits};

use crate::sample;

const SEED: u64 = 20_261_122;
/// All of them; a tenth as a rule.
const MUTANTS: u64 = 1_000_000;
const PARTITIONS: u32 = 4;
const JSON_MUTANTS: u64 = 20_000;
/// Bytes that a refusal may take as text: what it quotes is cut.
const REFUSAL_BYTES_MAX: usize = 1 << 10;

#[global_allocator]
static ALLOCATOR: Measured = Measured;

/// The system's allocator, remembering the largest allocation of each thread.
struct Measured;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    /// Those of every record that was read before: who keeps them reads the same.
    static NAMES: RefCell<Names> = RefCell::default();
}

#[test]
fn a_mutant_is_refused_with_the_right_reason_or_is_within_its_limits() {
    let mutator = Mutator::new(SEED, PARTITIONS, golden::records());
    let (mut codes, mut read, mutants) = (BTreeMap::<&'static str, u64>::new(), 0_u64, torture::scaled(MUTANTS));
    let mut wrong = BTreeMap::new();
    for mutant in (0..mutants).map(|number| mutator.mutant(number)) {
        let code = survived(mutant.number, mutant.mutation, || judged(&mutant.stored));
        let is_right = match mutant.expected {
            Expected::Read => code.is_none(),
            Expected::Refused(right) => code == Some(right),
            Expected::ReadOr(right) => code.is_none_or(|code| code == right),
            Expected::NotRead => code.is_some(),
            Expected::Either => true,
        };
        let (number, mutation) = (mutant.number, mutant.mutation);
        if !is_right {
            let told = || format!("mutant {number} shall be {:?} and is {code:?}: {:?}", mutant.expected, mutant.stored);
            wrong.entry(mutation).or_insert_with(told);
        }
        match code {
            Some(code) => *codes.entry(code).or_default() += 1,
            None => read += 1,
        }
    }
    assert!(wrong.is_empty(), "seed {SEED}, the first of each mutation: {wrong:#?}");
    println!("{mutants} mutants of {} records: {read} read, refused: {codes:?}", mutator.wells());
    for code in ["unknown_framing", "unknown_schema", "undecodable", "trailing_bytes", "out_of_range", "malformed", "missing", "too_large"]
    {
        assert!(codes.get(code).is_some_and(|count| *count > mutants / 200), "too few mutants end as {code}: {codes:?}");
    }
    assert!(read > mutants / 20, "too few mutants are read");
}

#[test]
fn a_record_that_ends_anywhere_too_early_is_refused() {
    let mut cut = 0;
    for raw in golden::records() {
        for bytes in 0..raw.value.len() {
            let short = stored(RawRecord { value: raw.value.slice(..bytes), ..raw.clone() }, 0);
            let code = survived(bytes as u64, "cut", || judged(&short));
            let right = if bytes < codec::FRAMING_BYTES { "unknown_framing" } else { "undecodable" };
            assert_eq!(code, Some(right), "{:?} cut after {bytes} bytes", raw.kind());
            cut += 1;
        }
    }
    println!("cut {cut} times");
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
                    assert_eq!(judged(&at_home(wrong)), Some("out_of_range"), "{kind} at byte {place}");
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
    assert_eq!(survived(0, "a million texts", || judged(&at_home(raw.clone()))), Some("undecodable"));
    let raw = RawRecord { value: Bytes::from(vec![0; limits::VALUE_BYTES_MAX + 1]), ..raw };
    assert_eq!(survived(0, "too large", || judged(&at_home(raw))), Some("too_large"));
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

/// Reads a record as a room would, and as the gateway would take it; the code of the refusal, if it is refused.
fn judged(stored: &StoredRecord) -> Option<&'static str> {
    let read = Record::read_placed(stored, PARTITIONS);
    NAMES.with_borrow_mut(|names| assert_eq!(Record::read_placed_among(stored, PARTITIONS, names), read));
    let refusal = match read {
        Ok(record) => {
            assert_eq!(limits::check(&record), []);
            assert_eq!(codec::decode(&codec::encode(&record.body)).as_ref(), Ok(&record.body));
            assert_eq!(Event::from_raw(&record.to_raw()).as_ref(), Ok(&record.event));
            knocked(&stored.raw, true);
            return None;
        }
        Err(refusal) => refusal,
    };
    is_told(&refusal);
    // It lies on the log all the same, and is shown as what it is.
    let is_elsewhere = matches!(refusal, wire::Refusal::WrongPartition { .. });
    assert!(is_elsewhere || stored.raw.value.len() > 4_096 || cloudevents::to_structured(stored, "t", None)["refusal"].is_string());
    knocked(&stored.raw, is_elsewhere);
    Some(refusal.code())
}

/// Knocks at the gateway's door with the same attributes and value: what no room can read does not come in.
fn knocked(raw: &RawRecord, is_well: bool) {
    let named = |name: &str| match name.strip_prefix("ce_") {
        Some(attribute) => format!("ce-{attribute}"),
        None if name == "traceparent" => "ce-traceparent".to_owned(),
        None => name.to_owned(),
    };
    let mut headers: Vec<(String, &[u8])> = raw.headers.iter().map(|(name, text)| (named(name), text)).collect();
    headers.extend(raw.key.as_deref().map(|key| ("ce-partitionkey".to_owned(), key)));
    match cloudevents::parse_binary(headers.iter().map(|(name, text)| (name.as_str(), *text)), &raw.value, Door::Trusted) {
        Ok(event) => {
            assert_eq!(limits::check(&event), []);
            // At a door the key may be told by the source, and an attribute may be percent-encoded.
            assert!(
                is_well || raw.key.is_none() || raw.headers.iter().any(|(_, text)| !text.iter().all(u8::is_ascii_graphic)),
                "{event:?}"
            );
        }
        Err(faults) => faults.iter().for_each(is_told),
    }
}

fn at_home(raw: RawRecord) -> StoredRecord {
    let partition = partition_of(raw.key.as_deref().unwrap_or_default(), PARTITIONS);
    stored(raw, partition.0)
}

fn stored(raw: RawRecord, partition: u32) -> StoredRecord {
    StoredRecord { partition: Partition(partition), offset: Offset(0), appended: Timestamp(0), raw }
}

/// A refusal names what is wrong, in few words.
fn is_told(refusal: &wire::Refusal) {
    let told = refusal.to_string();
    assert!(!told.is_empty() && told.len() <= REFUSAL_BYTES_MAX, "{} bytes of refusal: {told}", told.len());
    match refusal {
        wire::Refusal::TooLarge { field, limit, found } => assert!(!field.is_empty() && found > limit, "{told}"),
        wire::Refusal::OutOfRange { field, limit, found } => assert!(![field, limit, found].iter().any(|text| text.is_empty()), "{told}"),
        wire::Refusal::Malformed { field, reason } | wire::Refusal::Undecodable { kind: field, reason } => {
            assert!(!field.is_empty() && !reason.is_empty(), "{told}");
        }
        wire::Refusal::Missing { field } | wire::Refusal::UnknownField { field } => assert!(!field.is_empty(), "{told}"),
        _ => {}
    }
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
