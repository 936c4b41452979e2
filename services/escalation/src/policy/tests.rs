use super::*;

#[test]
fn an_empty_document_is_the_default_and_the_default_is_sound() {
    assert_eq!(check("{}"), Ok(Policy::default()));
    let written = serde_json::to_value(Policy::default()).expect("it is JSON");
    assert!(written["routes"].as_array().is_some_and(|routes| routes.len() > 3));
}

#[test]
fn every_fault_is_listed_at_once() {
    let faults = check(
        r#"{"colour": 3, "confidence_min": 7, "failures_max": 0, "sentiment": {"alpha": 0, "enter": 0.5, "leave": 0.2, "mood": 1},
            "topics": [{"name": "legal", "phrases": ["..."]}, {"name": "legal"}, {"phrases": []}],
            "routes": [{"name": "a", "when": "true", "priority": 0, "sla_s": 1, "target": {"team": ""}}]}"#,
    )
    .expect_err("faulty");
    let expected = [
        "colour:",
        "confidence_min:",
        "failures_max:",
        "sentiment.alpha:",
        "sentiment.mood:",
        "sentiment: leave",
        "topics: a phrase",
        "topics: `legal` has no phrase",
        "topics: there are two",
        "topics[2].name:",
        "routes[0].priority:",
        "routes[0].sla_s:",
        "routes[0].target:",
        "routes: there is none",
    ];
    for fault in expected {
        assert!(faults.iter().any(|found| found.starts_with(fault)), "{fault} is not in {faults:#?}");
    }
}

#[test]
fn null_switches_a_trigger_off() {
    let policy = check(r#"{"confidence_min": null}"#).expect("sound");
    assert_eq!(policy.confidence_min, None);
    assert!(policy.triggers().all(|trigger| trigger != Trigger::Confidence));
    let faults = check(
        r#"{"confidence_min": 0, "routes": [
        {"name": "unsure", "when": "trigger == \"confidence\"", "priority": 1, "sla_s": 60, "target": {"team": "x"}},
        {"name": "all", "when": "true", "priority": 1, "sla_s": 60, "target": {"team": "x"}}]}"#,
    )
    .expect_err("no confidence is below 0");
    assert!(faults.len() == 1 && faults[0].contains("`unsure`"), "{faults:?}");
}

#[test]
fn a_deadline_that_could_never_be_missed_is_a_fault() {
    let document = |sla_s: i64| {
        format!(
            r#"{{"open_timeout_s": 600, "routes": [{{"name": "all", "when": "true", "priority": 1, "sla_s": {sla_s},
            "target": {{"team": "x"}}}}]}}"#
        )
    };
    assert!(check(&document(599)).is_ok());
    let faults = check(&document(600)).expect_err("it times out first");
    assert!(faults.len() == 1 && faults[0].contains("`all`") && faults[0].contains("open_timeout_s (600)"), "{faults:?}");
}

#[test]
fn a_topic_that_nothing_touches_is_a_fault_but_a_finding_touches_security() {
    let faults = check(
        r#"{"topics": [{"name": "tax"}, {"name": "security"}], "routes": [{"name": "all", "when": "true", "priority": 1,
        "sla_s": 60, "target": {"team": "x"}}]}"#,
    );
    assert_eq!(faults, Err(vec!["topics: `tax` has no phrase, so nothing would ever touch it".to_owned()]));
}

#[test]
fn a_checked_policy_is_written_as_its_document_is() {
    let mut written = serde_json::to_value(Policy::default()).expect("it is JSON");
    assert!(written["sentiment"]["alpha"].is_number(), "{written}");
    written.as_object_mut().map(|fields| fields.remove("version"));
    assert_eq!(check(&written.to_string()), Ok(Policy::default()));
}

#[test]
fn a_policy_comes_back_from_a_snapshot_with_all_that_is_derived_from_it() {
    let in_force = checked(
        r#"{"topics": [{"name": "tax", "phrases": ["tax office"]}], "routes": [{"name": "tax", "when": "topic == \"tax\"",
        "priority": 1, "sla_s": 60, "target": {"person": "ann"}}, {"name": "rest", "when": "true", "priority": 2, "sla_s": 60,
        "target": {"agent": "triage"}}]}"#,
        "7",
    )
    .expect("sound");
    let mut bytes = Vec::new();
    ciborium::into_writer(&in_force, &mut bytes).expect("plain values");
    let back: InForce = ciborium::from_reader(bytes.as_slice()).expect("as it was written");
    assert_eq!(back, in_force);
    assert_eq!(back.topics_in("the TAX office!").collect::<Vec<_>>(), ["tax"]);
    let taken = back.conditions().take(&crate::signal::Call::topic("tax"), &crate::signal::Sight::default());
    assert_eq!((taken.place, back.policy().version.as_str()), (0, "7"));
}
