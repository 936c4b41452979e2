use wire::Body;

use super::*;

#[test]
fn a_row_is_a_session_with_one_call_and_an_end_that_nobody_dated() {
    let facts = read(&mut azure(), &[r#"{"ts":"2023-11-16 18:17:03.9799600","tokens_in":4808,"tokens_out":10}"#]).expect("it is well");
    let [started, called, ended] = &facts[..] else { panic!("three facts: {facts:?}") };
    let at = Timestamp::parse("2023-11-16T18:17:03.97996Z");
    assert_eq!([started.at, called.at, ended.at], [at; 3]);
    assert_eq!([started.event.time, called.event.time, ended.event.time], [at, at, None]);
    let Body::ModelCalled(spent) = &called.event.body else { panic!("a call: {called:?}") };
    assert_eq!((spent.by, spent.tokens_in, spent.tokens_out), (Role::Agent, Some(4808), Some(10)));
    assert_eq!((spent.cost_usd, spent.latency_ms, spent.failed, spent.turn), (None, None, None, None));
    assert!(matches!(&started.event.body, Body::SessionStarted(told) if told.version.is_none()));
    assert!(matches!(&ended.event.body, Body::SessionEnded(told) if told.reason.is_none()));
    assert!(facts.iter().all(|fact| fact.event.key.as_str() == "code" && fact.event.subject == started.event.subject));
}

#[test]
fn milliseconds_count_from_the_epoch() {
    let facts = read(&mut mooncake(), &[r#"{"ts_ms":3000,"tokens_in":1,"tokens_out":2,"prefix_block_ids":[0,7]}"#]).expect("it is well");
    assert_eq!(facts[0].event.time, Timestamp::parse("2024-06-01T00:00:03Z"));
}

#[test]
fn rows_that_tell_the_same_are_rows_of_their_own_and_have_the_same_ids_the_next_time() {
    let row = r#"{"ts_ms":0,"tokens_in":1,"tokens_out":2}"#;
    let other = r#"{"ts_ms":0,"tokens_in":1,"tokens_out":3}"#;
    let first = ids(&read(&mut mooncake(), &[row, other, row]).expect("it is well"));
    assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 9, "{first:?}");
    assert_eq!(ids(&read(&mut mooncake(), &[row, other, row]).expect("it is well")), first);
    let grown = ids(&read(&mut mooncake(), &[row, other, row, row]).expect("it is well"));
    assert_eq!(grown[..9], first[..]);
    assert!(grown[9..].iter().all(|id| !first.contains(id)));
}

#[test]
fn rows_are_counted_anew_in_every_file() {
    let row = r#"{"ts_ms":0,"tokens_in":1,"tokens_out":2}"#;
    let mut reader = mooncake();
    let here = ids(&read(&mut reader, &[row]).expect("it is well"));
    reader.begin();
    assert_eq!(ids(&read(&mut reader, &[row]).expect("it is well")), here);
}

#[test]
fn what_is_not_read_is_counted() {
    let mut reader = mooncake();
    let rows = [r#"{"ts_ms":0,"tokens_in":1,"tokens_out":2,"prefix_block_ids":[0]}"#, r#"{"ts_ms":0,"tokens_in":1,"tokens_out":2}"#];
    read(&mut reader, &rows).expect("it is well");
    assert_eq!(reader.unread(), &BTreeMap::from([("prefix_block_ids".to_owned(), 1)]));
}

#[test]
fn a_fault_names_line_field_and_limit() {
    let cases = [
        (r#"{"tokens_in":1,"tokens_out":2}"#, "line 2, field ts_ms: it is missing"),
        (r#"{"ts_ms":"soon","tokens_in":1,"tokens_out":2}"#, "line 2, field ts_ms: it is no whole number"),
        (r#"{"ts_ms":4,"tokens_in":1,"tokens_out":2}"#, "line 2, field ts_ms: it is earlier than that of line 1; the rows of a trace"),
        (r#"{"ts_ms":-1,"tokens_in":1,"tokens_out":2}"#, "line 2, field ts_ms: it is -1; 0 at the least"),
        (r#"{"ts_ms":9000000000000000,"tokens_in":1,"tokens_out":2}"#, "are later than 2200-01-01T00:00:00"),
        (r#"{"ts_ms":9223372036854775807,"tokens_in":1,"tokens_out":2}"#, "are later than 2200-01-01T00:00:00"),
        (r#"{"ts_ms":5,"tokens_out":2}"#, "line 2, field tokens_in: it is missing"),
        (r#"{"ts_ms":5,"tokens_in":-1,"tokens_out":2}"#, "line 2, field tokens_in: it is -1; 0 to 1000000000 are taken"),
        (r#"{"ts_ms":5,"tokens_in":1,"tokens_out":1000000001}"#, "line 2, field tokens_out: it is 1000000001; 0 to 1000000000 are taken"),
        (r#"{"ts_ms":5,"tokens_in":1.5,"tokens_out":2}"#, "line 2, field tokens_in: it is no whole number"),
        (r#"[5,1,2]"#, "line 2: the line is no JSON object"),
    ];
    for (row, expected) in cases {
        let fault = read(&mut mooncake(), &[r#"{"ts_ms":5,"tokens_in":1,"tokens_out":2}"#, row]).expect_err(row).to_string();
        assert!(fault.contains(expected), "{row}: {fault}");
    }
}

fn azure() -> Arrivals {
    Arrivals::new(Calendar::Dated(Zone::UTC), "code".to_owned(), &Naming::default())
}

fn mooncake() -> Arrivals {
    let epoch = Timestamp::parse("2024-06-01T00:00:00Z").expect("it is a time");
    Arrivals::new(Calendar::Since(epoch), "chat".to_owned(), &Naming::default())
}

fn read(reader: &mut Arrivals, rows: &[&str]) -> Result<Vec<Fact>, Fault> {
    let mut facts = Vec::new();
    for (number, row) in (1..).zip(rows) {
        let place = Place { file: "t.jsonl".into(), line: number, turn: None };
        facts.extend(reader.row(&Line { place, bytes: row.as_bytes().to_vec() })?);
    }
    Ok(facts)
}

fn ids(facts: &[Fact]) -> Vec<String> {
    facts.iter().map(|fact| fact.event.id.to_string()).collect()
}
