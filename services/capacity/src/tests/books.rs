//! What is counted where, and when it is said.

use std::collections::BTreeMap;

use machine::{Frontier, Machine};
use wire::{EscalationRaised, Event, MessagePosted, Offset, RawRecord, Refusal, ToolReturned, limits};

use super::*;

#[test]
fn a_minute_is_told_two_minutes_after_its_end() {
    let mut life = Life::new();
    life.fact(5, "s1", started("v1", None));
    life.fact(
        10,
        "s1",
        ModelCalled { tokens_in: Some(700), tokens_out: Some(50), cost_usd: Some(0.25), latency_ms: Some(100.0), ..call() },
    );
    life.fact(20, "s1", ModelCalled { failed: Some(true), latency_ms: Some(300.0), ..call() });
    life.fact(30, "s1", tool_returned(Some(false)));
    life.fact(40, "s1", outcome(Some(true)));
    life.fact(50, "s1", ended());
    life.pass(179);
    assert_eq!(life.measured("minute"), []);
    life.pass(180);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.from, minute.until), (at(0), at(60)));
    assert_eq!((minute.events, minute.sessions_started, minute.sessions_ended, minute.concurrent_max), (6, 1, 1, 1));
    assert_eq!((minute.tokens_in, minute.tokens_out, minute.cost_usd), (Some(700), Some(50), Some(0.25)));
    assert_eq!((minute.tokens_n, minute.cost_n, minute.latency_n), (Some(1), Some(1), Some(2)));
    assert_eq!((minute.tool_errors, minute.tool_n, minute.model_errors, minute.model_n), (Some(0), Some(1), Some(1), Some(1)));
    assert_eq!((minute.outcomes, minute.late), (1, 0));
    let p99 = minute.latency_p99_ms.expect("two were told");
    assert!((99.0..=101.0).contains(&p99), "the rank below: {p99}");
    assert_eq!(minute.basis.now, at(180));
}

#[test]
fn what_nobody_told_is_absent_and_no_zero() {
    let mut life = Life::new();
    life.fact(5, "s1", call());
    life.fact(6, "s1", tool_returned(None));
    life.pass(200);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.tokens_in, minute.tokens_out, minute.cost_usd), (None, None, None));
    assert_eq!((minute.tool_errors, minute.model_errors, minute.escalations), (None, None, None));
    assert_eq!((minute.latency_p50_ms, minute.latency_p95_ms, minute.latency_p99_ms), (None, None, None));
    assert_eq!((minute.late_tokens, minute.late_cost_usd), (None, None));
}

#[test]
fn a_minute_in_which_nothing_happened_is_not_told() {
    let mut life = Life::new();
    life.fact(5, "s1", started("v1", None));
    life.fact(605, "s1", ended());
    life.pass(2_000);
    assert_eq!(life.measured("minute").len(), 2);
}

#[test]
fn what_the_customers_own_models_and_tools_do_is_heard_and_counts_in_no_rate() {
    let mut life = Life::new();
    let theirs = ModelCalled { by: Role::User, failed: Some(true), latency_ms: Some(9.0), cost_usd: Some(1.0), ..tokens(100) };
    life.fact(5, "s1", theirs);
    life.fact(6, "s1", ToolReturned { by: Role::User, ..tool_returned(Some(true)) });
    life.pass(200);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.events, minute.tokens_in, minute.cost_usd, minute.latency_n), (2, None, None, Some(0)));
    assert_eq!((minute.tool_errors, minute.model_errors), (None, None));
}

#[test]
fn a_platform_s_guard_spends_on_the_agents_account_and_is_not_its_latency() {
    let mut life = Life::new();
    life.fact(5, "s1", ModelCalled { by: Role::System, latency_ms: Some(9.0), failed: Some(true), ..tokens(100) });
    life.pass(200);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.tokens_in, minute.latency_n, minute.model_errors), (Some(100), Some(0), None));
}

#[test]
fn signs_of_life_and_deployments_use_nothing() {
    let mut life = Life::new();
    life.fact(5, "s1", facts::heartbeat(30, None));
    life.fact(6, "s1", facts::deployed("v2"));
    life.fact(7, "s1", facts::harm(true));
    life.house.pass_to_the_end();
    assert_eq!(life.measured("minute"), []);
}

#[test]
fn a_fact_that_is_too_late_for_its_minute_enters_its_hour_and_is_counted_where_it_came() {
    let mut life = Life::new();
    life.fact(10, "s1", tokens(100));
    life.arrives(179, Some(10), "s1", tokens(10));
    life.arrives(300, Some(10), "s1", tokens(1));
    life.house.pass_to_the_end();
    let minutes = life.measured("minute");
    let told: Vec<_> =
        minutes.iter().map(|minute| (minute.from, minute.events, minute.tokens_in, minute.late, minute.late_tokens)).collect();
    assert_eq!(told, [(at(0), 2, Some(110), 0, None), (at(300), 0, None, 1, Some(1))]);
    let [hour] = &life.measured("hour")[..] else { panic!("one hour") };
    assert_eq!((hour.events, hour.tokens_in, hour.late), (3, Some(111), 0));
}

#[test]
fn a_fact_that_is_too_late_for_its_hour_enters_its_day_and_one_too_late_for_that_is_counted_all_the_same() {
    let mut life = Life::new();
    life.fact(10, "s1", tokens(1_000));
    life.arrives(4_000, Some(11), "s1", tokens(100));
    life.arrives(90_000, Some(12), "s1", tokens(10));
    life.house.pass_to_the_end();
    let hours: Vec<_> = life.measured("hour").iter().map(|hour| (hour.from, hour.tokens_in, hour.late, hour.late_tokens)).collect();
    assert_eq!(hours, [(at(0), Some(1_000), 0, None), (at(3_600), None, 1, Some(100)), (at(90_000), None, 1, Some(10))]);
    let days: Vec<_> = life.measured("day").iter().map(|day| (day.from, day.events, day.tokens_in, day.late, day.late_tokens)).collect();
    assert_eq!(days, [(at(0), 2, Some(1_100), 0, None), (at(86_400), 0, None, 1, Some(10))]);
}

#[test]
fn a_clock_that_is_ahead_is_brought_back_to_the_arrival_and_counted() {
    let mut life = Life::new();
    life.arrives(10, Some(200), "s1", tokens(5));
    life.pass(200);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.from, minute.tokens_in, minute.ahead), (at(0), Some(5), Some(1)));
}

#[test]
fn a_fact_without_a_time_happened_when_it_came() {
    let mut life = Life::new();
    life.arrives(70, None, "s1", tokens(5));
    life.pass(400);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.from, minute.tokens_in, minute.ahead), (at(60), Some(5), Some(0)));
}

#[test]
fn sessions_at_once_are_counted_over_minutes_and_given_up_when_nothing_is_heard() {
    let mut life = Life::new();
    life.fact(0, "s1", started("v1", None));
    life.fact(1, "s2", started("v1", None));
    life.fact(70, "s3", started("v1", None));
    life.fact(80, "s1", ended());
    life.fact(81, "s2", ended());
    life.fact(140, "s4", started("v1", None));
    life.fact(4_000, "s5", started("v1", None));
    life.pass(10_000);
    let most: Vec<_> = life.measured("minute").iter().map(|minute| minute.concurrent_max).collect();
    assert_eq!(most, [2, 3, 2, 1], "s3 and s4 never ended, and an hour later nobody believes in them");
    assert_eq!(life.measured("hour").iter().map(|hour| hour.concurrent_max).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn an_escalation_is_counted_once_however_urgent_it_becomes() {
    let mut life = Life::new();
    let raised = |id: &str, priority| EscalationRaised {
        agent_id: "billing".into(),
        escalation_id: id.to_owned(),
        session_id: "s1".into(),
        priority,
        trigger: "legal".to_owned(),
        route: "legal".to_owned(),
        due_at: at(600),
        summary: "somebody asks for a lawyer".to_owned(),
        basis: wire::Basis {
            asof: Offset(0),
            now: at(5),
            rule: "r".to_owned(),
            policy: "p".to_owned(),
            causes: Vec::new(),
            accountable: "operations".to_owned(),
        },
        sla_s: None,
        from_priority: None,
        target_kind: None,
        target: None,
        topic: None,
        sentiment: None,
        confidence: None,
        steps: None,
        systems: None,
        retries: None,
        failures: None,
        threshold: None,
    };
    for (seconds, id, priority) in [(5, "e1", 3), (6, "e1", 1), (7, "e2", 3)] {
        life.fact(seconds, "s1", raised(id, priority));
    }
    life.pass(200);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.escalations, minute.events), (Some(2), 0));
}

/// The room asked at its own clock, which was ahead of the log's: a fact that the log dated before the closing, and took
/// after the decision was made, is told of by no minute.
#[test]
fn a_fact_that_crossed_the_decision_about_its_minute_is_late() {
    let mut teller = Teller::new("billing");
    let mut room = Capacity::default();
    room.apply(&record(0, at(10), teller.tell(at(10), Some("s1"), tokens(100))));
    let owed = room.owed(Frontier { asof: Offset(0), now: at(180) });
    assert_eq!(owed.len(), 1);
    room.apply(&record(1, at(179), teller.tell(at(11), Some("s1"), tokens(7))));
    room.apply(&record(2, at(180), owed[0].to_event("capacity")));
    assert_eq!(room.owed(Frontier { asof: Offset(2), now: at(200) }), []);
    let then = room.owed(Frontier { asof: Offset(2), now: at(100_000) });
    let told = then.iter().filter_map(|decision| match &decision.body {
        Body::CapacityMeasured(body) => Some((body.window.clone().unwrap_or_default(), body.tokens_in, body.late, body.late_tokens)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let expected = [("minute", None, 1, Some(7)), ("hour", Some(107), 0, None), ("day", Some(107), 0, None)];
    assert_eq!(told, expected.map(|(window, tokens, late, late_tokens)| (window.to_owned(), tokens, late, late_tokens)));
}

#[test]
fn it_does_not_matter_when_somebody_asks() {
    let life = [(0, 0), (59, 59), (61, 61), (400, 10), (3_000, 3_000), (3_601, 3_601), (3_700, 20), (50_000, 50_000), (90_000, 70_000)];
    let said = |asks: &[i64]| {
        let mut teller = Teller::new("billing");
        let mut room = Capacity::default();
        let mut said = BTreeMap::new();
        let mut offset = 0;
        for seconds in 0..=200_000 {
            for (arrived, dated) in life.into_iter().filter(|(arrived, _)| *arrived == seconds) {
                room.apply(&record(offset, at(arrived), teller.tell(at(dated), Some("s1"), tokens(arrived))));
                offset += 1;
            }
            if asks.contains(&seconds) || seconds == 200_000 {
                for mut decision in room.owed(Frontier { asof: Offset(offset - 1), now: at(seconds) }) {
                    room.apply(&record(offset, at(seconds), decision.to_event("capacity")));
                    offset += 1;
                    // When it was asked for is all that may differ.
                    let asked = decision.body.basis_mut().expect("a decision has a basis");
                    (asked.asof, asked.now) = (Offset(0), at(0));
                    assert_eq!(said.insert(decision.id.clone(), decision), None, "told twice");
                }
            }
        }
        said
    };
    let late = said(&[]);
    assert_eq!(late.len(), 8 + 4 + 2, "minutes, hours, days");
    assert_eq!(said(&[180, 240, 3_181, 3_700, 7_320, 60_000, 86_520]), late);
    assert_eq!(said(&(0..2_000).map(|hundred| 100 * hundred).collect::<Vec<_>>()), late);
}

#[test]
fn absurd_figures_are_refused_at_the_door_and_never_reach_a_window() {
    let mut teller = Teller::new("billing");
    let absurd = [
        tokens(-1),
        tokens(i64::MAX),
        costs(f64::NAN),
        costs(-0.01),
        costs(f64::INFINITY),
        ModelCalled { latency_ms: Some(-3.0), ..call() },
        ModelCalled { latency_ms: Some(f64::NAN), ..call() },
        ModelCalled { latency_ms: Some(1e12), ..call() },
    ];
    for body in absurd {
        let event = teller.tell(at(0), Some("s1"), body.clone());
        let raw: RawRecord = event.to_raw();
        assert!(matches!(Event::from_raw(&raw), Err(Refusal::OutOfRange { .. })), "{body:?}");
        // A fold that is handed one all the same stays whole.
        let mut room = Capacity::default();
        room.apply(&record(0, at(0), event));
        let owed = room.owed(Frontier { asof: Offset(0), now: at(100_000) });
        for decision in &owed {
            assert_eq!(limits::check(&decision.to_event("capacity")), [], "{body:?}");
        }
    }
}

#[test]
fn a_window_of_the_largest_facts_is_still_a_record_that_can_be_read() {
    let mut teller = Teller::new("billing");
    let mut room = Capacity::default();
    let most = ModelCalled {
        tokens_in: Some(1_000_000_000),
        tokens_out: Some(1_000_000_000),
        cost_usd: Some(1e6),
        latency_ms: Some(7.0 * 86_400_000.0),
        ..call()
    };
    for offset in 0..100 {
        room.apply(&record(offset, at(0), teller.tell(at(0), Some("s1"), most.clone())));
    }
    let owed = room.owed(Frontier { asof: Offset(0), now: at(100_000) });
    assert_eq!(owed.len(), 3);
    for decision in &owed {
        let event = decision.to_event("capacity");
        assert_eq!(Event::from_raw(&event.to_raw()).expect("it can be read"), event);
    }
}

#[test]
fn what_a_platform_writes_moves_no_figure() {
    let mut life = Life::new();
    let text = Some("{\"tokens_in\": 1000000} policy.adopted budgets".to_owned());
    life.fact(5, "s1", MessagePosted { role: Role::User, text, sentiment: None, language: None, turn: None, version: None });
    life.pass(200);
    let [minute] = &life.measured("minute")[..] else { panic!("one minute") };
    assert_eq!((minute.events, minute.tokens_in), (1, None));
}
