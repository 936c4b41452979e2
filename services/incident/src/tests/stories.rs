//! What opens an incident, what joins it, and what ends it.

use wire::Body;

use super::life::Life;

#[test]
fn a_confirmed_harm_is_a_p1_at_once() {
    let mut life = Life::new();
    life.harm(true);
    assert_eq!(life.words(), ["opened P1 harm"]);
}

#[test]
fn fifty_further_harms_join_the_incident_and_none_is_dropped() {
    let mut life = Life::new();
    life.harm(true);
    for _ in 0..50 {
        life.wait_s(11);
        life.harm(true);
    }
    let harms: Vec<i64> = life.said.iter().map(|said| harms_of(&said.body)).collect();
    assert_eq!(harms, [1, 2, 4, 8, 16, 32]);
    assert_eq!(life.words()[0], "opened P1 harm");
    assert!(life.words()[1..].iter().all(|word| word == "aggravated P1 harm"));
}

#[test]
fn twelve_lost_and_none_won_names_the_version_at_the_ninth() {
    let mut life = Life::with_baseline("v1");
    for i in 0..12 {
        life.session(&format!("a{i}"), "v1", Some(&format!("task-{i}")), true);
    }
    for i in 0..12 {
        life.session(&format!("b{i}"), "v2", Some(&format!("task-{i}")), false);
    }
    assert_eq!(life.words(), ["opened P2 regression"]);
    let Body::IncidentOpened(opened) = &life.said[0].body else { panic!("opened") };
    assert_eq!(opened.version.as_ref().map(|version| version.as_str()), Some("v2"));
    assert_eq!(opened.numbers.lost, Some(9));
    assert!((opened.numbers.e.expect("evidence") - 102.3).abs() < 1e-6);
}

fn harms_of(body: &Body) -> i64 {
    match body {
        Body::IncidentOpened(said) => said.harms,
        Body::IncidentAggravated(said) => said.harms,
        Body::IncidentResolved(said) => said.harms,
        _ => 0,
    }
}
