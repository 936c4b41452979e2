//! The room's own stories: what nobody can read is named once, with its place, and never too much of it at once.

mod archive;
mod failing;
mod leased;

use machine::{Decision, Fold, Folded, Machine, Unreadable};
use wire::{
    Body, Event, Kind, Offset, Partition, PolicyAdopted, RawRecord, Record, RecordRefused, Refusal, SessionEnded, StoredRecord, Timestamp,
};

use crate::Audit;
use crate::rules::SEVERAL;

#[test]
fn what_nobody_can_read_is_refused_once_with_its_place_and_reason() {
    let mut fold = new();
    assert_eq!(hear(&mut fold, 3, &Refusal::UnknownFraming), Folded::Applied);
    let owed = fold.owed(Timestamp(9));
    let [decision] = &owed[..] else { panic!("one refusal: {owed:?}") };
    let said = refusal(decision);
    assert_eq!((said.topic.as_str(), said.partition, said.offset, said.code.as_str()), ("agent-events", 0, 3, "unknown_framing"));
    assert_eq!((said.last_offset, said.records), (None, None));
    assert_eq!(said.basis.asof, Offset(3));
    fold.fold(&home(4, decision));
    assert_eq!((fold.owed(Timestamp::MAX).len(), fold.machine().next_due()), (0, None));
    assert_eq!(hear(&mut fold, 3, &Refusal::UnknownFraming), Folded::Behind, "the log may hand it out twice");
    assert_eq!(fold.owed(Timestamp::MAX), []);
}

#[test]
fn the_same_offset_of_another_topic_or_partition_has_another_id() {
    let id = |topic: &str, partition: u32| {
        let mut fold = Fold::<Audit>::new(Partition(partition));
        let stored = StoredRecord { partition: Partition(partition), ..stored(7) };
        fold.refuse(&Unreadable { topic, stored: &stored, refusal: &Refusal::UnknownFraming });
        fold.owed(Timestamp(9))[0].id.clone()
    };
    let ids = [id("agent-events", 0), id("agent-events", 1), id("others", 0), id("agent-events/1", 0)];
    for (index, one) in ids.iter().enumerate() {
        assert!(ids[index + 1..].iter().all(|other| other != one), "{ids:?}");
    }
    assert_eq!(ids[0], id("agent-events", 0), "and the same place the same id");
}

#[test]
fn a_record_that_names_its_agent_and_its_id_is_refused_under_both() {
    let mut fold = new();
    let event = fact("billing");
    let stored = StoredRecord { raw: event.to_raw(), ..stored(0) };
    fold.refuse(&Unreadable { topic: "agent-events", stored: &stored, refusal: &Refusal::WrongPartition { expected: 1, found: 0 } });
    let decision = &fold.owed(Timestamp(9))[0];
    assert_eq!((&decision.key, decision.causation.as_ref()), (&event.key, Some(&event.id)));
    let mut nameless = new();
    hear(&mut nameless, 0, &Refusal::UnknownFraming);
    let decision = &nameless.owed(Timestamp(9))[0];
    assert_eq!((decision.key.as_str(), decision.causation.as_ref()), ("audit", None));
}

#[test]
fn what_is_refused_of_one_agent_is_counted_and_not_told_to_others() {
    let mut fold = new();
    let stored = StoredRecord { raw: fact("billing").to_raw(), ..stored(0) };
    fold.refuse(&Unreadable { topic: "agent-events", stored: &stored, refusal: &Refusal::UnknownField { field: "salary".to_owned() } });
    let told = |agent: &str| {
        let line = fold.machine().standing(&agent.into(), Timestamp(9)).swap_remove(0);
        (line.state, line.n, line.detail.is_some_and(|detail| detail.contains("agent-events/0/0") && detail.contains("salary")))
    };
    assert_eq!(told("billing"), ("refused".to_owned(), Some(1), true));
    assert_eq!(told("support"), ("refused".to_owned(), Some(1), false));
    let mut nameless = new();
    hear(&mut nameless, 0, &Refusal::UnknownFraming);
    assert_eq!(nameless.machine().standing(&"billing".into(), Timestamp(9))[0].detail, None);
}

#[test]
fn a_million_unreadable_records_are_a_thousand_refusals_and_a_run() {
    const RECORDS: i64 = 1_000_000;
    let mut fold = new();
    for offset in 0..RECORDS {
        hear(&mut fold, offset, &Refusal::UnknownFraming);
    }
    let owed = fold.owed(Timestamp(9));
    assert_eq!(owed.len(), 1_000);
    let mut written = Vec::new();
    ciborium::into_writer(fold.machine(), &mut written).expect("plain values");
    assert!(written.len() < Audit::BYTES_PER_AGENT_MAX / 8, "{} bytes", written.len());
    fold.fold(&home(RECORDS, &owed[0]));
    let run = fold.owed(Timestamp(9)).pop().expect("the rest");
    let said = refusal(&run);
    assert_eq!((said.offset, said.last_offset, said.records), (1_000, Some(RECORDS - 1), Some(RECORDS - 1_000)));
    assert_eq!(said.code, "unknown_framing");
    let told: i64 = owed.iter().chain([&run]).map(|decision| refusal(decision).records.unwrap_or(1)).sum();
    assert_eq!(told, RECORDS, "each is told once");
}

#[test]
fn a_run_that_is_owed_grows_no_more_and_the_next_one_begins() {
    let mut fold = new();
    fold.fold(&adopted(0, r#"{"told_singly_max": 1}"#));
    hear(&mut fold, 1, &Refusal::UnknownFraming);
    hear(&mut fold, 2, &Refusal::UnknownFraming);
    hear(&mut fold, 3, &Refusal::TrailingBytes { found: 1 });
    let first = fold.owed(Timestamp(9));
    fold.fold(&home(4, &first[0]));
    hear(&mut fold, 5, &Refusal::UnknownFraming);
    let second = fold.owed(Timestamp(9));
    let said = refusal(&second[0]);
    assert_eq!((said.offset, said.last_offset, said.records, said.code.as_str()), (2, Some(3), Some(2), SEVERAL));
    fold.fold(&home(6, &second[0]));
    let third = fold.owed(Timestamp(9));
    assert_eq!((third.len(), refusal(&third[0]).offset, refusal(&third[0]).records), (1, 5, None));
}

#[test]
fn a_faulty_policy_leaves_the_one_in_force_and_is_told() {
    let mut fold = new();
    fold.fold(&adopted(0, r#"{"told_singly_max": 2}"#));
    fold.fold(&adopted(1, r#"{"told_singly_max": "all"}"#));
    for offset in 2..9 {
        hear(&mut fold, offset, &Refusal::UnknownFraming);
    }
    assert_eq!(fold.owed(Timestamp(9)).len(), 2);
    let lines = fold.machine().standing(&"billing".into(), Timestamp(9));
    assert_eq!((lines[0].state.as_str(), lines[0].n), ("refused", Some(7)));
    assert!(lines[1].detail.as_ref().is_some_and(|detail| detail.contains("told_singly_max")), "{lines:?}");
}

#[test]
fn what_a_record_says_of_itself_is_quoted_and_never_longer_than_a_quote() {
    let mut fold = new();
    let long = Refusal::UnknownField { field: "x".repeat(100_000) };
    hear(&mut fold, 0, &long);
    assert!(refusal(&fold.owed(Timestamp(9))[0]).reason.len() <= wire::limits::QUOTE_BYTES_MAX);
}

fn new() -> Fold<Audit> {
    Fold::new(Partition(0))
}

fn hear(fold: &mut Fold<Audit>, offset: i64, refusal: &Refusal) -> Folded {
    fold.refuse(&Unreadable { topic: "agent-events", stored: &stored(offset), refusal })
}

fn stored(offset: i64) -> StoredRecord {
    StoredRecord { partition: Partition(0), offset: Offset(offset), appended: Timestamp(1), raw: RawRecord::default() }
}

fn refusal(decision: &Decision) -> &RecordRefused {
    match &decision.body {
        Body::RecordRefused(refused) => refused,
        other => panic!("{:?} is no refusal", other.kind()),
    }
}

fn home(offset: i64, decision: &Decision) -> Record {
    Record { partition: Partition(0), offset: Offset(offset), appended: Timestamp(9), event: decision.to_event(Audit::SERVICE) }
}

pub(super) fn fact(agent: &str) -> Event {
    Event {
        key: agent.into(),
        source: "/platforms/tests".into(),
        id: "fact-1".into(),
        time: None,
        subject: Some("s".into()),
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: SessionEnded { reason: None, version: None }.into(),
    }
}

fn adopted(offset: i64, document: &str) -> Record {
    let body = PolicyAdopted {
        room: Audit::SERVICE.to_owned(),
        version: format!("v{offset}"),
        document: document.to_owned(),
        author: "ann".to_owned(),
        reason: "as agreed".to_owned(),
    };
    let event = Event { id: format!("policy-{offset}").into(), body: body.into(), ..fact("audit") };
    assert_eq!(event.body.kind(), Kind::PolicyAdopted);
    Record { partition: Partition(0), offset: Offset(offset), appended: Timestamp(1), event }
}
