//! What a room goes by before anybody has adopted a policy stays as it is. A log is folded again from its beginning after an
//! upgrade, and nothing on it says which build wrote it: another default would judge it anew, and owe what nobody owed then.
//!
//! So a rule that comes later is off until a policy adopts it: its field is `null`, or empty, by default. `golden/defaults.json` holds
//! those that a log may have been judged by.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

#[test]
fn no_default_changes_and_a_rule_that_comes_later_is_off_until_a_policy_adopts_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/defaults.json");
    let golden: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(path).expect("it is there")).expect("it is JSON");
    let now = [
        ("incident", fields(incident::policy::Policy::default())),
        ("rollback", fields(rollback::policy::Policy::default())),
        ("capacity", fields(capacity::policy::Policy::default())),
        ("escalation", fields(escalation::policy::Policy::default())),
        ("audit", fields(audit::policy::Policy::default())),
    ];
    let faults: Vec<String> = now.iter().flat_map(|(room, now)| changed(room, &golden[*room], now)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_default_that_changes_and_a_rule_that_is_on_are_told() {
    let golden = json!({"harm_quiet_s": 60, "gone": 1});
    let now = json!({"harm_quiet_s": 30, "later": null, "at_once": 0.5});
    let told = changed("incident", &golden, now.as_object().expect("it is one"));
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, part) in told.iter().zip(["`gone` was 1", "`harm_quiet_s` was 60 and is 30", "`at_once` is new and 0.5"]) {
        assert!(told.contains(part), "{told}");
    }
}

fn fields(policy: impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(fields)) => fields,
        other => panic!("a policy has fields: {other:?}"),
    }
}

fn changed(room: &str, golden: &Value, now: &Map<String, Value>) -> Vec<String> {
    let golden = golden.as_object().expect("a room's defaults are fields");
    let another = |(name, was): (&String, &Value)| match now.get(name) {
        Some(is) if is == was => None,
        Some(is) => Some(format!("{room}: `{name}` was {was} and is {is}: old logs would be judged anew")),
        None => Some(format!("{room}: `{name}` was {was} and is gone: old policies name it")),
    };
    let new = |(name, is): (&String, &Value)| {
        let is_off = is.is_null() || *is == json!([]) || *is == json!({});
        let is_on = !golden.contains_key(name) && !is_off;
        is_on.then(|| format!("{room}: `{name}` is new and {is}: a rule that comes later is off until a policy adopts it"))
    };
    golden.iter().filter_map(another).chain(now.iter().filter_map(new)).collect()
}
