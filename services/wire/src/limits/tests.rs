use super::*;
use crate::shape::{self, Shape};
use crate::{Body, DecisionMade, MessagePosted, ModelCalled, Role, SessionStarted, ToolCalled};

fn event(body: impl Into<Body>) -> Event {
    Event {
        key: "telecom".into(),
        source: "/platforms/acme/agents/telecom".into(),
        id: "1".into(),
        time: None,
        subject: Some("s".into()),
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: body.into(),
    }
}

fn session_started(version: &str, segment: &str) -> SessionStarted {
    SessionStarted { version: Some(version.into()), segment: Some(segment.into()), channel: None, environment: None }
}

fn told(faults: &[Refusal]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_of_every_schema_has_a_limit_of_its_own_type() {
    for kind in Kind::ALL {
        let Shape::Record(fields) = shape::of(*kind) else { panic!("{kind} is no record") };
        has_limits(*kind, fields);
    }
}

fn has_limits(kind: Kind, fields: &[shape::Field]) {
    for field in fields {
        let limit = of(kind, &field.name);
        let fits = match (&field.shape, limit) {
            (Shape::Flag | Shape::Symbol(_), _) => true,
            (Shape::Record(inner), _) => {
                has_limits(kind, inner);
                true
            }
            (Shape::Text, Some(Limit::Name { .. } | Limit::Text { .. })) => true,
            (Shape::Whole, Some(Limit::Whole { .. })) => true,
            (Shape::Real, Some(Limit::Real { .. })) => true,
            (Shape::Time, Some(Limit::Time)) => true,
            (Shape::List(item), Some(Limit::List { item: limit, .. })) => {
                **item == Shape::Text && matches!(limit, Limit::Name { .. } | Limit::Text { .. })
            }
            _ => false,
        };
        assert!(fits, "field `{}` of {kind} has no limit that fits it in limits.rs: {limit:?}", field.name);
    }
}

#[test]
fn no_field_stands_in_the_table_twice_or_for_nothing() {
    let mut names: Vec<&str> = FIELDS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    let all = Kind::ALL.iter().map(|kind| kind.schema_text()).collect::<String>();
    for name in &names {
        assert!(all.contains(&format!("\"name\": \"{name}\"")), "no schema has a field `{name}`");
    }
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a field has two limits");
}

#[test]
fn an_event_within_its_limits_always_fits_into_a_record() {
    for kind in Kind::ALL {
        let bytes = most_bytes(*kind, shape::of(*kind), None);
        assert!(bytes <= VALUE_BYTES_MAX, "{kind} may take {bytes} bytes");
    }
}

/// An upper bound of what a value within its limits takes in Avro.
fn most_bytes(kind: Kind, shape: &Shape, limit: Option<&Limit>) -> usize {
    const NUMBER: usize = 10;
    match (shape, limit) {
        (Shape::Record(fields), _) => fields.iter().map(|field| 1 + most_bytes(kind, &field.shape, of(kind, &field.name))).sum(),
        (Shape::List(item), Some(Limit::List { items_max, item: limit })) => 2 * NUMBER + items_max * most_bytes(kind, item, Some(limit)),
        (Shape::Text, Some(Limit::Name { bytes_max } | Limit::Text { bytes_max })) => NUMBER + bytes_max,
        _ => NUMBER,
    }
}

#[test]
fn what_recordings_hold_is_admitted() {
    let version = "ft:gpt-4.1-2025-04-14:sierra:tau2-full-sft:BzrYdMNm/b";
    assert_eq!(check(&event(session_started(version, &"x".repeat(1 << 10)))), []);
    let text = "\u{1f600}\n".repeat(64 << 10).into_bytes();
    let text = String::from_utf8(text[..64 << 10].to_vec()).unwrap_or_else(|_| "x\0\u{1b}".repeat(16 << 10));
    let posted =
        MessagePosted { role: Role::User, text: Some(text.clone()), sentiment: None, language: None, turn: Some(205), version: None };
    assert_eq!(check(&event(posted)), []);
    let called = ToolCalled { tool: "think".to_owned(), by: Role::Agent, call_id: None, arguments: Some(text), turn: None, version: None };
    assert_eq!(check(&event(called)), []);
}

#[test]
fn every_fault_is_listed_with_its_path() {
    let mut decided = event(DecisionMade {
        action: String::new(),
        reasoning: Some("x".repeat(TEXT_BYTES_MAX + 1)),
        context_refs: vec![String::new(); LIST_ITEMS_MAX + 1],
        tools: vec!["a".to_owned(), "b\n".to_owned()],
        confidence: Some(f64::NAN),
        turn: Some(-1),
        version: Some("".into()),
    });
    decided.subject = None;
    decided.id = "x".repeat(257).into();
    decided.time = Some(Timestamp(0));
    assert_eq!(
        told(&check(&decided)),
        [
            "id has 257 bytes, at most 256 are taken",
            "subject is missing",
            "time is 1970-01-01T00:00:00.000000Z, allowed is 2000-01-01T00:00:00.000000Z to 2200-01-01T00:00:00.000000Z",
            "data.action is not well formed: it is empty; what is not known is left out",
            "data.reasoning has 262145 bytes, at most 262144 are taken",
            "data.context_refs is 65 items, allowed is at most 64 items",
            "data.tools[1] is not well formed: it holds control characters",
            "data.confidence is NaN, allowed is 0 to 1",
            "data.turn is -1, allowed is 0 to 1000000",
            "data.version is not well formed: it is empty; what is not known is left out",
        ]
    );
}

#[test]
fn numbers_that_nobody_counted_are_refused() {
    let called = |tokens: i64, cost: f64, latency: f64| ModelCalled {
        model: None,
        served_model: None,
        by: Role::Agent,
        tokens_in: Some(tokens),
        tokens_out: None,
        cost_usd: Some(cost),
        latency_ms: Some(latency),
        finish_reason: None,
        failed: None,
        error: None,
        turn: None,
        version: None,
    };
    assert_eq!(check(&event(called(1_000_000_000, 1e6, 0.0))), []);
    let found = check(&event(called(1_000_000_001, f64::INFINITY, -0.5)));
    assert_eq!(found.iter().map(Refusal::code).collect::<Vec<_>>(), ["out_of_range"; 3]);
}

#[test]
fn a_clock_may_be_ahead_by_five_minutes_and_no_more() {
    let now = Timestamp(1_800_000_000_000_000);
    let mut event = event(session_started("1", "s"));
    assert_eq!(check_time(&event, now), Ok(()));
    event.time = Some(now.plus_s(300));
    assert_eq!(check_time(&event, now), Ok(()));
    event.time = Some(now.plus_s(301));
    assert_eq!(check_time(&event, now).map_err(|fault| fault.code()), Err("out_of_range"));
}

#[test]
fn a_quote_is_cut_between_characters() {
    assert_eq!(quote("short"), "short");
    let long = quote(&"\u{1f600}".repeat(100));
    assert!(long.len() <= QUOTE_BYTES_MAX && long.ends_with("..."), "{long}");
}
