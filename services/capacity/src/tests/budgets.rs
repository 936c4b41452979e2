//! What is told of budgets: when they are passed, before they are, and when nobody can know.

use super::*;

const TOKENS: &str = r#"{"budgets": {"tokens_per_minute": 1000}}"#;

#[test]
fn a_burst_that_passes_a_budget_is_told_at_once_and_once() {
    let mut life = Life::under(TOKENS);
    for second in 0..30 {
        life.fact(second, "s1", tokens(100));
    }
    let [warned] = &life.warned()[..] else { panic!("{:#?}", life.warned()) };
    assert!(warned.passed && warned.value == 1_100.0 && warned.budget == 1_000.0, "{warned:?}");
    assert_eq!((warned.basis.now, warned.basis.rule.as_str(), warned.basis.causes.len()), (at(10), "budget_passed", 1));
    assert_eq!(warned.summary, "billing: 1100 tokens in the minute from 2026-01-01T00:00Z, and the budget is 1000 tokens a minute.");
}

#[test]
fn a_budget_that_is_just_used_up_is_not_passed() {
    let mut life = Life::under(TOKENS);
    life.fact(0, "s1", tokens(1_000));
    life.house.pass_to_the_end();
    assert_eq!(life.warned(), []);
}

#[test]
fn passing_is_news_again_only_after_ten_calm_minutes() {
    let mut life = Life::under(TOKENS);
    for minute in [0, 1, 5, 15, 26, 27] {
        // Step by step: near the budget first, then beyond it.
        for second in 0..20 {
            life.fact(60 * minute + second, "s1", tokens(100));
        }
    }
    assert_eq!(life.warned().iter().map(|warned| warned.basis.now).collect::<Vec<_>>(), [at(10), at(26 * 60 + 10)]);
}

#[test]
fn a_minute_near_the_budget_is_not_calm() {
    let mut life = Life::under(TOKENS);
    for (minute, used) in [(0, 2_000), (9, 900), (18, 900), (27, 2_000)] {
        life.fact(60 * minute, "s1", tokens(used));
    }
    assert_eq!(life.warned().len(), 1);
}

#[test]
fn no_budget_is_set_by_default_and_none_is_passed() {
    let mut life = Life::new();
    life.fact(0, "s1", ModelCalled { cost_usd: Some(1e6), ..tokens(1_000_000_000) });
    life.house.pass_to_the_end();
    assert_eq!((life.warned(), life.forecasts()), (vec![], vec![]));
}

#[test]
fn the_cost_of_a_day_is_judged_with_what_came_late_and_told_once_a_day() {
    let mut life = Life::under(r#"{"budgets": {"cost_usd_per_day": 10}}"#);
    life.fact(0, "s1", costs(6.0));
    life.fact(30_000, "s1", costs(3.0));
    assert_eq!(life.warned(), []);
    life.arrives(40_000, Some(10), "s1", costs(2.0));
    life.fact(50_000, "s1", costs(2.0));
    life.fact(86_400 + 10, "s1", costs(9.0));
    life.arrives(86_400 + 30, Some(86_390), "s1", costs(4.0));
    life.fact(86_400 + 40, "s1", costs(9.0));
    let told: Vec<_> = life.warned().iter().map(|warned| (warned.value, warned.basis.now)).collect();
    assert_eq!(told, [(11.0, at(40_000)), (18.0, at(86_440))]);
}

#[test]
fn too_many_sessions_at_once_are_told_once_while_they_last() {
    let mut life = Life::under(r#"{"budgets": {"concurrent_sessions": 3}, "session_timeout_s": 86400}"#);
    for session in 0..6 {
        life.fact(session, &format!("s{session}"), started("v1", None));
    }
    life.fact(3_000, "s9", started("v1", None));
    let [warned] = &life.warned()[..] else { panic!("{:#?}", life.warned()) };
    assert_eq!((warned.value, warned.basis.now), (4.0, at(3)));
    for session in 0..6 {
        life.fact(3_100, &format!("s{session}"), ended());
    }
    for session in 20..25 {
        life.fact(4_000, &format!("s{session}"), started("v1", None));
    }
    assert_eq!(life.warned().len(), 2);
}

#[test]
fn sessions_that_were_given_up_overnight_do_not_hide_the_next_rush() {
    let mut life = Life::under(r#"{"budgets": {"concurrent_sessions": 3}}"#);
    for session in 0..5 {
        life.fact(session, &format!("s{session}"), started("v1", None));
    }
    for session in 0..5 {
        life.fact(40_000 + session, &format!("t{session}"), started("v1", None));
    }
    assert_eq!(life.warned().iter().map(|warned| warned.basis.now).collect::<Vec<_>>(), [at(3), at(40_003)]);
}

/// 300 tokens in the first minute, 15 more in each: the budget is passed after 47.
#[test]
fn a_rising_trend_is_told_before_the_budget_is_passed() {
    let mut life = Life::under(TOKENS);
    let used = |minute: i64| 300 + 15 * minute + [7, -12, 3, 10, -8][(minute % 5) as usize];
    for minute in 0..50 {
        life.fact(60 * minute + 30, "s1", tokens(used(minute)));
    }
    let warned = life.warned();
    let [foretold, passed] = &warned[..] else { panic!("{warned:#?}") };
    assert!(!foretold.passed && passed.passed);
    let (low, expected, high) = (foretold.low.expect("low"), foretold.expected.expect("expected"), foretold.high.expect("high"));
    assert!(1_000.0 < low && low < expected && expected < high && high < 1_350.0, "{foretold:?}");
    assert!(foretold.basis.now <= at(60 * 35) && foretold.n.expect("n") >= 10, "{foretold:?}");
    let exhausted = Timestamp::parse(foretold.exhausted_at.as_deref().expect("when")).expect("a time");
    assert!((at(60 * 45)..at(60 * 49)).contains(&exhausted), "{exhausted}");
    assert_eq!(passed.basis.now, at(60 * 47 + 30));
}

#[test]
fn noise_around_a_level_is_no_trend() {
    let mut life = Life::under(TOKENS);
    let noise = [0, 90, -70, 40, -95, 60, 10, -30, 85, -60, 20];
    for minute in 0..600 {
        life.fact(60 * minute, "s1", tokens(880 + noise[(minute * 7 % 11) as usize]));
    }
    assert_eq!(life.warned(), []);
}

#[test]
fn a_steady_spender_is_told_when_the_day_will_not_do() {
    let mut life = Life::under(r#"{"budgets": {"cost_usd_per_day": 100}, "horizon_s": 3420}"#);
    for minute in 0..700 {
        life.fact(60 * minute, "s1", costs(if minute % 2 == 0 { 0.15 } else { 0.25 }));
    }
    let warned = life.warned();
    let [foretold, passed] = &warned[..] else { panic!("{warned:#?}") };
    assert!(!foretold.passed && passed.passed);
    // 500 minutes at 0.20 are 100 USD: it is known about an hour before.
    assert!((at(60 * 435)..at(60 * 455)).contains(&foretold.basis.now), "{}", foretold.basis.now);
    assert_eq!(passed.basis.now, at(60 * 500));
    assert!(foretold.value < 100.0 && foretold.low.expect("low") > 100.0);
}

#[test]
fn ten_minutes_are_too_little_history_and_that_is_said() {
    let mut life = Life::under(TOKENS);
    for minute in 0..12 {
        life.fact(60 * minute, "s1", tokens(100 + 100 * minute / 2));
    }
    life.pass(3_720);
    let [forecast] = &life.forecasts()[..] else { panic!("{:#?}", life.forecasts()) };
    assert_eq!((forecast.state.as_str(), forecast.value, forecast.low), ("insufficient", None, None));
    assert!(forecast.summary.contains("12 told it, where 10 must"), "{}", forecast.summary);
    assert!(forecast.summary.contains("what is known spans 12, where 81 are looked ahead"), "{}", forecast.summary);
    assert!(life.warned().iter().all(|warned| warned.passed), "{:#?}", life.warned());
}

#[test]
fn an_hour_of_history_is_a_forecast_with_its_interval() {
    let mut life = Life::under(TOKENS);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", tokens(100 + minute % 3));
    }
    life.pass(3_720);
    let [forecast] = &life.forecasts()[..] else { panic!("{:#?}", life.forecasts()) };
    assert_eq!((forecast.state.as_str(), forecast.n, forecast.at), ("forecast", Some(60), at(3_720 + 1_800)));
    let (low, value, high) = (forecast.low.expect("low"), forecast.value.expect("value"), forecast.high.expect("high"));
    assert!(98.0 < low && low < value && value < high && high < 104.0, "{forecast:?}");
}

#[test]
fn an_hour_that_is_over_is_no_history_of_the_next() {
    let mut life = Life::under(TOKENS);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", tokens(100 + minute % 3));
    }
    life.fact(7_300, "s1", ended());
    life.pass(20_000);
    let states: Vec<_> = life.forecasts().iter().map(|forecast| forecast.state.clone()).collect();
    assert_eq!(states, ["forecast", "insufficient"]);
}

/// The same rate to the end of the hour would be a forecast; half an hour of silence is none.
#[test]
fn a_forecast_reaches_no_further_beyond_the_last_figure_than_the_figures_reach_back() {
    let states = |minutes: std::ops::Range<i64>| {
        let mut life = Life::under(TOKENS);
        minutes.for_each(|minute| life.fact(60 * minute, "s1", tokens(100 + minute % 3)));
        life.pass(3_720);
        life.forecasts().iter().map(|forecast| forecast.state.clone()).collect::<Vec<_>>()
    };
    // The forecast is for minute 92.
    assert_eq!(states(0..46), ["insufficient"]);
    assert_eq!(states(0..47), ["forecast"]);
}

#[test]
fn minutes_that_told_no_tokens_lend_a_trend_of_tokens_no_length() {
    let mut life = Life::under(TOKENS);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", if minute < 30 { call() } else { tokens(100 + minute % 3) });
    }
    life.pass(3_720);
    let [forecast] = &life.forecasts()[..] else { panic!("{:#?}", life.forecasts()) };
    assert_eq!(forecast.state, "insufficient");
    assert!(forecast.summary.contains("30 told it, where 10 must, and what is known spans 30, where 33 are"), "{}", forecast.summary);
}

#[test]
fn what_never_told_a_cost_is_not_forecast_to_cost_nothing() {
    let mut life = Life::under(r#"{"budgets": {"cost_usd_per_day": 10}}"#);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", tool_returned(Some(false)));
    }
    life.pass(3_720);
    let [forecast] = &life.forecasts()[..] else { panic!("{:#?}", life.forecasts()) };
    assert_eq!((forecast.state.as_str(), forecast.value), ("insufficient", None));
}

#[test]
fn a_minute_without_any_call_is_a_zero_between_those_that_told_a_cost() {
    let mut life = Life::under(r#"{"budgets": {"cost_usd_per_day": 10}}"#);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", tool_returned(Some(false)));
        if minute % 3 == 0 {
            life.fact(60 * minute + 1, "s1", costs(0.03));
        }
    }
    life.pass(3_720);
    let [forecast] = &life.forecasts()[..] else { panic!("{:#?}", life.forecasts()) };
    // 20 calls of 3 cents are spent, and 33 minutes at a cent each are to come.
    let value = forecast.value.expect("twenty minutes told a cost");
    assert!((0.85..1.0).contains(&value), "{value}");
    assert_eq!(forecast.n, Some(60));
}

/// The budget is foretold to be passed one minute after the last that told what it used: no zero is put in its place.
#[test]
fn a_minute_that_told_no_tokens_foretells_nothing() {
    let document = r#"{"budgets": {"tokens_per_minute": 635}, "horizon_s": 600}"#;
    let warned_after = |last: ModelCalled| {
        let mut life = Life::under(document);
        (0..21).for_each(|minute| life.fact(60 * minute, "s1", tokens(300 + 10 * minute)));
        life.fact(60 * 21, "s1", last);
        life.house.pass_to_the_end();
        life.warned().iter().map(|warned| (warned.passed, warned.value)).collect::<Vec<_>>()
    };
    assert_eq!(warned_after(call()), []);
    assert_eq!(warned_after(tokens(510)), [(false, 510.0)]);
}

#[test]
fn a_budget_is_never_foretold_to_be_passed_before_the_warning() {
    let mut life = Life::under(r#"{"budgets": {"tokens_per_minute": 10000}, "horizon_s": 600}"#);
    for minute in 0..21 {
        life.fact(60 * minute, "s1", tokens(300 + 15 * minute));
    }
    // The line passes it in minute 20. Minute 18 closes next, when 21 begins.
    life.adopt(60 * 20 + 40, r#"{"budgets": {"tokens_per_minute": 590}, "horizon_s": 600}"#);
    life.house.pass_to_the_end();
    let [foretold] = &life.warned()[..] else { panic!("{:#?}", life.warned()) };
    assert_eq!((foretold.passed, foretold.basis.now), (false, at(60 * 21)));
    assert_eq!(foretold.exhausted_at, Some(at(60 * 21).to_string()));
}

#[test]
fn the_cost_of_a_day_is_never_foretold_to_be_passed_before_the_warning() {
    let mut life = Life::under(r#"{"budgets": {"cost_usd_per_day": 1000}, "horizon_s": 600}"#);
    for minute in 0..21 {
        life.fact(60 * minute, "s1", costs(1.0));
    }
    // 19 are spent by minute 18, and the line passes 20.5 in minute 20.
    life.adopt(60 * 20 + 40, r#"{"budgets": {"cost_usd_per_day": 20.5}, "horizon_s": 600}"#);
    life.house.pass_to_the_end();
    let [foretold] = &life.warned()[..] else { panic!("{:#?}", life.warned()) };
    assert_eq!((foretold.passed, foretold.basis.now), (false, at(60 * 21)));
    assert_eq!(foretold.exhausted_at, Some(at(60 * 21).to_string()));
}

#[test]
fn calls_that_tell_no_tokens_are_no_history_of_tokens() {
    let mut life = Life::under(TOKENS);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", call());
    }
    life.pass(3_720);
    assert_eq!(life.forecasts().iter().map(|forecast| forecast.state.as_str()).collect::<Vec<_>>(), ["insufficient"]);
    assert_eq!(life.standing("budget of 1000 tokens").0, "no_data");
}

#[test]
fn no_traffic_is_no_data_and_nothing_healthy() {
    let mut life = Life::under(TOKENS);
    life.pass(100_000);
    assert!(life.house.log().iter().all(|record| !record.body.kind().is_decision() || record.body.kind() == Kind::RoomWatermark));
    for matter in ["use this hour", "use today", "sessions at once", "budget of 1000 tokens"] {
        assert_eq!(life.standing(matter).0, "no_data", "{matter}");
    }
}

/// Some platforms never tell that a session began: none at once would be a number that nobody counted.
#[test]
fn without_any_start_of_a_session_their_number_is_unknown() {
    let mut life = Life::under(r#"{"budgets": {"concurrent_sessions": 3}}"#);
    for minute in 0..60 {
        life.fact(60 * minute, "s1", tokens(100));
    }
    for matter in ["sessions at once", "budget of 3 sessions"] {
        assert_eq!(life.standing(matter).0, "no_data", "{matter}");
    }
    let (_, hour) = life.standing("use this hour");
    assert!(!hour.contains("at once"), "{hour}");
    life.pass(3_720);
    assert_eq!(life.forecasts().iter().map(|forecast| forecast.state.as_str()).collect::<Vec<_>>(), ["insufficient"]);
    life.fact(3_721, "s2", started("v1", None));
    assert_eq!(life.standing("sessions at once").0, "counted");
    life.fact(3_722, "s2", ended());
    assert_eq!(life.standing("sessions at once").0, "counted", "none, and that is known now");
}

#[test]
fn an_agent_that_falls_silent_goes_back_to_no_data() {
    let mut life = Life::under(TOKENS);
    life.fact(0, "s1", tokens(2_000));
    assert_eq!(life.standing("budget of 1000 tokens").0, "passed");
    assert_eq!(life.standing("use this hour").0, "measured");
    life.pass(200_000);
    for matter in ["use this hour", "use today", "budget of 1000 tokens"] {
        assert_eq!(life.standing(matter).0, "no_data", "{matter}");
    }
}

#[test]
fn the_same_budget_adopted_again_is_not_passed_again_and_a_higher_one_is() {
    let mut life = Life::under(r#"{"budgets": {"cost_usd_per_day": 10}}"#);
    life.fact(0, "s1", costs(11.0));
    life.adopt(1, "{}");
    life.adopt(2, r#"{"budgets": {"cost_usd_per_day": 10}}"#);
    life.fact(3, "s1", costs(1.0));
    assert_eq!(life.warned().len(), 1);
    life.adopt(4, r#"{"budgets": {"cost_usd_per_day": 20}}"#);
    life.fact(5, "s1", costs(9.0));
    assert_eq!(life.warned().iter().map(|warned| warned.value).collect::<Vec<_>>(), [11.0, 21.0]);
}

/// Facts of a minute before the episode that is told already pass the new budget: one more is told, and no more.
#[test]
fn another_budget_that_is_passed_before_the_last_episode_is_told_once() {
    let mut life = Life::under(TOKENS);
    life.fact(60, "s1", tokens(1_001));
    life.adopt(90, r#"{"budgets": {"tokens_per_minute": 500}}"#);
    life.arrives(91, Some(50), "s1", tokens(600));
    life.arrives(92, Some(55), "s1", tokens(1));
    life.arrives(93, Some(56), "s1", tokens(1));
    assert_eq!(life.warned().iter().map(|warned| (warned.budget, warned.value)).collect::<Vec<_>>(), [(1_000.0, 1_001.0), (500.0, 600.0)]);
    assert_eq!(ids(&life).len(), 2);
}

#[test]
fn another_budget_that_is_foretold_before_the_last_episode_is_told_once() {
    let mut life = Life::under(r#"{"budgets": {"tokens_per_minute": 950}, "horizon_s": 600}"#);
    for minute in 0..15 {
        life.fact(60 * minute, "s1", tokens(300 + 50 * minute));
    }
    // 950 was passed in minute 14. Minutes 12, 13 and 14 have yet to close, and each foretells.
    life.adopt(60 * 14 + 40, r#"{"budgets": {"tokens_per_minute": 1100}, "horizon_s": 600}"#);
    life.house.pass_to_the_end();
    let told: Vec<_> = life.warned().iter().map(|warned| (warned.budget, warned.passed)).collect();
    assert_eq!(told, [(950.0, true), (1_100.0, false)]);
    assert_eq!(ids(&life).len(), 2);
}

fn ids(life: &Life) -> std::collections::BTreeSet<wire::RecordId> {
    life.house.said(Kind::CapacityWarned).into_iter().map(|record| record.id.clone()).collect()
}

#[test]
fn one_of_anything_is_no_plural() {
    let mut life = Life::under(r#"{"budgets": {"tokens_per_minute": 1, "concurrent_sessions": 1}}"#);
    life.fact(0, "s1", started("v1", None));
    life.fact(1, "s2", started("v1", None));
    life.fact(2, "s1", tokens(2));
    life.arrives(400, Some(3), "s1", tokens(1));
    life.fact(500, "s1", tokens(1));
    let said: Vec<String> = life.warned().into_iter().map(|warned| warned.summary).collect();
    assert_eq!(
        said,
        [
            "billing: 2 sessions at once, and the budget is 1 session at once.",
            "billing: 2 tokens in the minute from 2026-01-01T00:00Z, and the budget is 1 token a minute."
        ]
    );
    life.fact(4_000, "s1", started("v1", None));
    life.arrives(4_001, Some(3_500), "s1", tokens(1));
    let (_, hour) = life.standing("use this hour");
    assert!(hour.contains("1 session started, 0 ended, at most 1 at once") && hour.contains("1 fact came too late"), "{hour}");
    assert_eq!(life.standing("budget of 1 session at once").0, "within");
}

#[test]
fn a_policy_that_is_refused_changes_nothing_and_is_shown() {
    let mut life = Life::under(TOKENS);
    life.adopt(1, r#"{"budgets": {"tokens_per_minute": "plenty"}}"#);
    life.fact(2, "s1", tokens(1_001));
    assert_eq!(life.warned().len(), 1);
    let (_, words) = life.standing("policy of the capacity room");
    assert!(words.contains("was refused: budgets.tokens_per_minute"), "{words}");
}

#[test]
fn who_answers_for_the_agent_is_named() {
    let mut life = Life::under(TOKENS);
    let assigned = wire::AccountabilityAssigned {
        responsibility: wire::Responsibility::Operations,
        person: "olga".to_owned(),
        author: "ann".to_owned(),
        reason: "as agreed".to_owned(),
    };
    life.fact(0, "s1", assigned);
    life.fact(1, "s1", tokens(2_000));
    assert_eq!(life.warned()[0].basis.accountable, "operations: olga");
}
