//! A segment that another build wrote is believed by its rows, whatever that build knew.

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType};
use runtime::errors::{Code, Coded};
use wire::{AgentId, Body, Event, RawRecord, SessionEnded, StoredRecord, Timestamp};

use super::columns::SCHEMA;
use super::*;

const PARTITIONS: u32 = 4;
/// Written once, by the build that began this format. It is never written anew.
const GOLDEN: &[u8] = include_bytes!("golden/format-1.parquet");
/// The SHA-256 of its rows.
const GOLDEN_SHA256: &str = "90ff1bcf075d338d433898238fae2bdfca62dfee1774c8aa043eb369a06368a4";

#[test]
fn a_segment_of_the_first_build_is_read_for_ever() {
    let expected = segment();
    let golden = Segment::decode(&expected.name, &Bytes::from_static(GOLDEN)).expect("it was whole when it was written");
    assert_eq!((&golden.name, &golden.records), (&expected.name, &expected.records));
    assert_eq!((golden.sha256.as_str(), golden.totals), (GOLDEN_SHA256, Totals { stored: 103, refused: 12 }));
    Segment::prove(&expected.name, &Bytes::from_static(GOLDEN), PARTITIONS).expect("and no build takes it for altered");
}

#[test]
fn what_another_build_says_beside_the_records_may_differ_both_ways() {
    let segment = segment();
    let told: Vec<Told> = segment.records.iter().map(Told::of).collect();
    assert!(told[0].kind.is_some() && told[2].kind.is_none() && segment.refusals[0].is_none() && segment.refusals[2].is_some());
    // It knew nothing of the kind of a record that this build can read, and can read what this one cannot.
    let mut says = told.clone();
    says[0] = Told::default();
    says[2] = Told { kind: Some("thought.recorded".into()), id: Some("thought-1".into()), time: Some(1), ..Told::default() };
    let mut judged = segment.clone();
    judged.refusals = vec![Some("unknown_framing".to_owned()), None, None, None];
    judged.totals = Totals { stored: 104, refused: 11 };
    let bytes = file(&judged, "reeve version 9.9.9 (build another)", |group| said(&says, &judged.refusals, group));
    let decoded = Segment::decode(&segment.name, &bytes).expect("its rows are what they were");
    assert_eq!((&decoded.records, &decoded.refusals, decoded.totals), (&segment.records, &judged.refusals, judged.totals));
    let (_, otherwise) = Segment::prove(&segment.name, &bytes, PARTITIONS).expect("a difference is no fault");
    assert_eq!(otherwise, 3, "two kinds and a refusal that this build would add");
    // Of this very build such a file is none.
    let bytes = file(&judged, writing::created_by(), |group| said(&says, &judged.refusals, group));
    assert_eq!(code(Segment::prove(&segment.name, &bytes, PARTITIONS).map(drop)), Some(Code::ArchiveAltered));
}

#[test]
fn a_build_may_have_fewer_columns_or_more() {
    let mut segment = segment();
    let more = SCHEMA.replace("\n}", "\n  OPTIONAL BYTE_ARRAY tenant (STRING);\n}");
    let bytes = writing::written(&segment, "reeve version 9.9.9", &more, |group| {
        writing::record_columns(&segment, group)?;
        said(&segment.records.iter().map(Told::of).collect::<Vec<_>>(), &segment.refusals, group)?;
        writing::optional::<ByteArrayType>(group, vec![Some(ByteArray::from("acme")); segment.records.len()])
    });
    let decoded = Segment::decode(&segment.name, &bytes.expect("it is encoded").into()).expect("a column more is no fault");
    assert_eq!(decoded, segment);

    segment.refusals = vec![None; segment.records.len()];
    segment.totals = Totals { stored: 105, refused: 10 };
    let fewer = format!("{}\n}}", SCHEMA.split_once("\n  OPTIONAL BYTE_ARRAY kind").expect("the first that is beside the record").0);
    let bytes = writing::written(&segment, "reeve version 0.0.1", &fewer, |group| writing::record_columns(&segment, group));
    let decoded = Segment::decode(&segment.name, &bytes.expect("it is encoded").into()).expect("columns fewer are no fault");
    assert_eq!(decoded, segment);
}

#[test]
fn a_schema_that_is_no_kin_and_a_count_that_no_range_has_are_refused() {
    let segment = segment();
    let other = SCHEMA.replace("REQUIRED INT64 offset", "REQUIRED INT64 place");
    let bytes = writing::written(&segment, "reeve version 9.9.9", &other, |group| {
        writing::record_columns(&segment, group)?;
        said(&segment.records.iter().map(Told::of).collect::<Vec<_>>(), &segment.refusals, group)
    });
    assert_eq!(code(Segment::decode(&segment.name, &bytes.expect("it is encoded").into())), Some(Code::ArchiveAltered));
    // Four rows cannot lie at three offsets: that is seen before a row is decoded.
    let narrow = SegmentName { first: segment.name.last.previous().previous(), ..segment.name.clone() };
    let bytes = segment.encode().expect("it is encoded").into();
    let told = Segment::decode(&narrow, &bytes).expect_err("it has a row too many").to_string();
    assert!(told.contains("it says that it has 4 rows"), "{told}");
}

/// Four records: two that can be read, one that is framed as nothing known, one that is empty.
fn segment() -> Segment {
    let raw = |number: i64| match number {
        2 => RawRecord { key: None, headers: [("ce_id", b"\xff")].into(), value: Bytes::from_static(b"no record") },
        3 => RawRecord::default(),
        _ => ended(number).to_raw(),
    };
    let at = |number: i64| StoredRecord {
        partition: Partition(ended(0).partition(PARTITIONS).0),
        offset: Offset(120 + number),
        appended: Timestamp(1_700_000_000_000_000 + number),
        raw: raw(number),
    };
    let before = Totals { stored: 101, refused: 10 };
    Segment::of("agent-events", PARTITIONS, Offset(118), (0..4).map(at).collect(), before).expect("it has records")
}

fn ended(number: i64) -> Event {
    Event {
        key: AgentId::from("billing"),
        source: "/platforms/acme".into(),
        id: format!("fact-{number}").as_str().into(),
        time: Some(Timestamp(1_600_000_000_000_000)),
        subject: Some("s-1".into()),
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: Body::from(SessionEnded { reason: None, version: None }),
    }
}

fn file(segment: &Segment, created_by: &str, said: impl FnOnce(&mut writing::Group<'_>) -> parquet::errors::Result<()>) -> Bytes {
    let written = writing::written(segment, created_by, SCHEMA, |group| {
        writing::record_columns(segment, group)?;
        said(group)
    });
    written.expect("it is encoded").into()
}

fn said(told: &[Told], refusals: &[Option<String>], group: &mut writing::Group<'_>) -> parquet::errors::Result<()> {
    writing::said_columns(told, refusals, group)
}

fn code<T>(done: Result<T, ArchiveError>) -> Option<Code> {
    done.err().map(|error| error.code())
}
