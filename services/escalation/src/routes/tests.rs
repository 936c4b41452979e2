use super::*;
use crate::policy::{check, checked};
use crate::signal::Trigger;

fn document(routes: &[(&str, &str)]) -> String {
    let routes: Vec<serde_json::Value> = routes
        .iter()
        .map(|(name, when)| serde_json::json!({"name": name, "when": when, "priority": 2, "sla_s": 60, "target": {"team": "support"}}))
        .collect();
    serde_json::json!({ "routes": routes }).to_string()
}

fn faults(routes: &[(&str, &str)]) -> Vec<String> {
    check(&document(routes)).expect_err("it should be refused")
}

fn taken(routes: &[(&str, &str)], call: &Call, sight: &Sight) -> (String, u64) {
    let in_force = checked(&document(routes), "1").unwrap_or_else(|faults| panic!("{faults:?}"));
    let taken = in_force.conditions().take(call, sight);
    (in_force.policy().routes[taken.place].name.clone(), taken.failed.map_or(0, |(_, count)| count))
}

#[test]
fn the_first_route_that_matches_is_taken() {
    let routes =
        [("angry", r#"trigger == "sentiment" && sentiment < -0.5"#), ("vip", r#"segment in ["gold", "platinum"]"#), ("rest", "true")];
    let sight = Sight { sentiment: Some(-0.6), segment: Some("gold".to_owned()), ..Sight::default() };
    assert_eq!(taken(&routes, &Call::of(Trigger::Sentiment, None), &sight).0, "angry");
    assert_eq!(taken(&routes, &Call::of(Trigger::Confidence, None), &sight).0, "vip");
    assert_eq!(taken(&routes, &Call::of(Trigger::Confidence, None), &Sight::default()).0, "rest");
}

#[test]
fn what_is_absent_is_null_and_comparing_it_is_counted_and_matches_nothing() {
    let routes = [("sad", "sentiment < -0.5"), ("unknown", "sentiment == null"), ("rest", "true")];
    let call = Call::of(Trigger::Confidence, None);
    assert_eq!(taken(&routes, &call, &Sight::default()), ("unknown".to_owned(), 1));
    let sad = Sight { sentiment: Some(-1.0), ..Sight::default() };
    assert_eq!(taken(&routes, &call, &sad), ("sad".to_owned(), 0));
    let guarded = [("sad", "sentiment != null && sentiment < -0.5"), ("rest", "true")];
    assert_eq!(taken(&guarded, &call, &Sight::default()), ("rest".to_owned(), 0));
}

#[test]
fn numbers_are_compared_whether_they_are_whole_or_not() {
    let routes = [("many", "steps > 3.5 || failures >= 2"), ("calm", "confidence >= 1"), ("rest", "true")];
    let call = Call::of(Trigger::Complexity, None);
    assert_eq!(taken(&routes, &call, &Sight { steps: 4, ..Sight::default() }).0, "many");
    assert_eq!(taken(&routes, &call, &Sight { steps: 3, confidence: Some(1.0), ..Sight::default() }).0, "calm");
}

#[test]
fn a_route_behind_one_that_takes_everything_is_refused_with_its_name() {
    let faults = faults(&[("all", "true"), ("late", r#"trigger == "policy""#), ("rest", "true")]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("`late`") && faults[0].contains("`all`"), "{faults:?}");
    assert!(faults[1].contains("`rest`") && faults[1].contains("`all`"), "{faults:?}");
}

#[test]
fn a_route_that_several_shadow_together_is_refused_with_all_their_names() {
    let faults =
        faults(&[("few", "steps < 10"), ("many", "steps >= 10 && steps < 100"), ("some", "steps > 3 && steps <= 50"), ("rest", "true")]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(["`some`", "`few`", "`many`"].iter().all(|name| faults[0].contains(name)), "{faults:?}");
    let gap = [
        ("few", "steps < 10"),
        ("many", "steps > 10"),
        ("ten", "steps > 3 && steps <= 50"),
        ("rest", r#"trigger == "policy""#),
        ("last", "true"),
    ];
    let faults = self::faults(&gap);
    assert_eq!(faults.len(), 2, "ten steps are neither few nor many, and nothing is left for the others: {faults:?}");
}

#[test]
fn a_route_that_nothing_can_match_is_refused() {
    for never in ["steps > 5 && steps < 6", r#"trigger == "sentiment" && topic == "legal""#, r#"segment == "a" && segment == "b""#, "false"]
    {
        let faults = faults(&[("never", never), ("rest", "true")]);
        assert_eq!(faults.len(), 1, "{never}: {faults:?}");
        assert!(faults[0].contains("can never match, whatever"), "{never}: {faults:?}");
    }
}

#[test]
fn a_score_that_calls_lies_beyond_its_threshold_and_routes_are_judged_by_that() {
    let faults = faults(&[("mild", r#"trigger == "sentiment" && sentiment > -0.3"#), ("rest", "true")]);
    assert!(faults[0].contains("`mild`"), "{faults:?}");
    assert!(check(&document(&[("mild", r#"trigger == "sentiment" && sentiment > -0.6"#), ("rest", "true")])).is_ok());
}

#[test]
fn a_topic_or_a_trigger_that_does_not_exist_matches_nothing() {
    for never in [r#"topic == "taxes""#, r#"trigger == "boredom""#, r#"trigger == "sentiment_unknown""#] {
        assert!(faults(&[("never", never), ("rest", "true")])[0].contains("`never`"), "{never}");
    }
}

#[test]
fn too_many_combinations_are_judged_in_pairs_and_still_find_a_lone_shadow() {
    let wide = |variable: &str| (0..30).map(|at| format!("{variable} == {}", at * 3)).collect::<Vec<_>>().join(" || ");
    let wide = format!("({}) && ({})", wide("steps"), wide("systems"));
    let wider = r#"(retries in [1, 4, 7, 10, 13, 16, 19]) && failures > 3"#;
    let faults = faults(&[
        ("wide", &wide),
        ("wider", wider),
        ("gold", r#"segment == "gold""#),
        ("late", r#"segment == "gold" && steps > 3"#),
        ("rest", "true"),
    ]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("`late`") && faults[0].contains("`gold`"), "{faults:?}");
}

#[test]
fn unknown_names_functions_and_arithmetic_are_refused_all_at_once() {
    let faults = faults(&[
        ("unknown", "mood < 3"),
        ("call", r#"segment.startsWith("x")"#),
        ("sum", "steps + retries > 3"),
        ("loop", "[1, 2].exists(x, x > 1)"),
        ("text", "steps == \"many\""),
        ("both", "steps > retries"),
        ("broken", "steps >"),
        ("rest", "true"),
    ]);
    for name in ["unknown", "call", "sum", "loop", "text", "both", "broken"] {
        assert!(faults.iter().any(|fault| fault.starts_with(&format!("route {name}:"))), "{name} in {faults:?}");
    }
}

#[test]
fn a_condition_that_is_too_long_or_too_deep_is_refused_before_it_is_parsed() {
    let long = format!("steps > 1 || {}", "steps > 1 || ".repeat(400)) + "true";
    let deep = format!("{}true{}", "(".repeat(33), ")".repeat(33));
    let choices = format!("{}true", "true ? true : ".repeat(33));
    let row = vec!["steps == 1"; 200].join(" || ");
    let signs = format!("{}true", "!".repeat(4_000));
    for (condition, word) in [(&long, "bytes"), (&deep, "nested"), (&choices, "nested")] {
        assert!(faults(&[("x", condition), ("rest", "true")])[0].contains(word), "{word}");
    }
    assert!(check(&document(&[("x", &row), ("rest", "true")])).is_ok(), "a long row is flat");
    assert_eq!(faults(&[("x", &signs), ("rest", "true")]).len(), 1, "whatever the parser makes of it");
}

#[test]
fn the_worst_conditions_are_answered_on_a_quarter_of_a_normal_stack() {
    const STACK_BYTES: usize = 512 << 10;
    let brackets = |inner: &str| format!("{}{inner}{}", "(".repeat(32), ")".repeat(32));
    let fill = |unit: &str| unit.repeat(4_096 / unit.len() - 8);
    let worst = [
        brackets(&format!("{}true", "!".repeat(4_000))),
        brackets(&format!("{}1 > 0", "-".repeat(4_000))),
        format!("1{}", fill("<1")),
        format!("1{}", fill("+1")),
        format!("steps{}", fill(".a")),
        format!("steps{}", fill("[1]")),
        format!("steps{}", fill("()")),
        format!("true{}", fill("||true")),
        format!("true{}", fill("||1<1&&1")),
        "(!".repeat(32) + "true" + &")".repeat(32),
        format!("steps in {}1{}", "[".repeat(32), "]".repeat(32)),
        format!("{}true", "true?true:".repeat(32)),
        format!("{}true{}", "true?".repeat(32), ":true".repeat(32)),
        fill("("),
        fill("!"),
    ];
    let judged = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || worst.iter().map(|condition| check(&document(&[("x", condition), ("rest", "true")])).is_err()).collect::<Vec<_>>());
    let judged = judged.expect("a thread").join().expect("an answer");
    assert!(judged.iter().all(|is_refused| *is_refused), "{judged:?}");
}

#[test]
fn a_policy_that_compares_with_too_many_values_is_refused_and_says_so() {
    let wide = |at: usize| {
        let values =
            |variable: &str| format!("{variable} in [{}]", (0..20).map(|n| (n * 3 + at * 70).to_string()).collect::<Vec<_>>().join(", "));
        format!("{} && {}", values("steps"), values("systems"))
    };
    let names: Vec<String> = (0..30).map(|at| format!("r{at}")).collect();
    let conditions: Vec<String> = (0..30).map(wide).collect();
    let mut routes: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(conditions.iter().map(String::as_str)).collect();
    routes.push(("rest", "true"));
    let faults = faults(&routes);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("too many values") && faults[0].ends_with("200000 may be"), "{faults:?}");
}

#[test]
fn a_text_that_no_session_shows_is_refused() {
    let long = "x".repeat(129);
    let long = format!(r#"segment == "{long}""#);
    assert!(faults(&[("x", &long), ("rest", "true")])[0].contains("can never match, whatever"));
    for tag in ["en-US", "EN", ""] {
        let faults = faults(&[("x", &format!(r#"language == "{tag}""#)), ("rest", "true")]);
        assert!(faults[0].contains("first subtag in lower case"), "{faults:?}");
    }
    let nothing = [("nothing", "segment == \"\\u0000\""), ("other", "segment != null && segment != \"\\u0000\""), ("rest", "true")];
    assert!(check(&document(&nothing)).is_ok(), "a mentioned text is not taken for an unmentioned one");
}

#[test]
fn without_a_catch_all_somebody_would_be_left_without() {
    assert!(faults(&[("some", "steps > 3")]).iter().any(|fault| fault.contains("must be `true`")));
    assert!(check(r#"{"routes": []}"#).expect_err("none").iter().any(|fault| fault.contains("routes: there is none")));
}
