//! An explanation as a tree: for people with lines, for scripts as nested JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Found, causes};
use crate::output::{moment, text};
use crate::sentence::{kind_name, said};
use crate::terminal::broken;

/// The tree from `root` down, a record a line, its rule and numbers below it; lines are broken at `columns`, if any.
pub(super) fn readable(root: &str, found: &Found, columns: Option<usize>) -> String {
    let mut tree = Tree { found, columns: columns.unwrap_or(usize::MAX), told: BTreeSet::new(), lines: Vec::new() };
    tree.grow(root, &Branch { first: String::new(), rest: String::new() });
    tree.lines.join("\n")
}

/// The same as nested objects: `record`, and `causes` where it has any.
pub(super) fn json(root: &str, found: &Found) -> Value {
    nested(root, found, &mut BTreeSet::new())
}

/// A tree that is told.
struct Tree<'a> {
    found: &'a Found,
    columns: usize,
    /// Ids of records that are told: each is told once.
    told: BTreeSet<String>,
    lines: Vec<String>,
}

/// What stands before a record's first line, and before its further ones.
struct Branch {
    first: String,
    rest: String,
}

// === impl Tree ===

impl Tree<'_> {
    fn grow(&mut self, id: &str, Branch { first, rest }: &Branch) {
        let Some(event) = self.found.get(id) else {
            self.lines.push(format!("{first}{id} (not on this log)"));
            return;
        };
        if !self.told.insert(id.to_owned()) {
            self.lines.push(format!("{first}{} {id} (told above)", kind_name(event)));
            return;
        }
        let causes = causes(event);
        let below = format!("{rest}{}", if causes.is_empty() { "  " } else { "│ " });
        self.lines.push(broken(&headline(event), self.columns, first, &format!("{below}  ")));
        for detail in details(event) {
            self.lines.push(broken(&detail, self.columns, &below, &format!("{below}  ")));
        }
        for (index, cause) in causes.iter().enumerate() {
            let (turn, down) = if index + 1 == causes.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.grow(cause, &Branch { first: format!("{rest}{turn}"), rest: format!("{rest}{down}") });
        }
    }
}

// === helpers ===

fn headline(event: &Value) -> String {
    let session = event.get("subject").and_then(Value::as_str).map(|session| format!(", session {session}")).unwrap_or_default();
    let at = moment(text(event, "/recordedtime"));
    let head = format!("{} of {}{session} at {at}", kind_name(event), text(event, "/partitionkey"));
    if event.pointer("/data/basis").is_some() { head } else { format!("{head}: {}", said(event)) }
}

/// What a decision says, by which rule, and the numbers that it saw. A fact says all of it in its headline.
fn details(event: &Value) -> Vec<String> {
    let Some(basis) = event.pointer("/data/basis") else { return Vec::new() };
    let mut details = vec![said(event)];
    let rule = format!(
        "rule {}, policy {}, {} answers for what follows",
        text(basis, "/rule"),
        text(basis, "/policy"),
        text(basis, "/accountable")
    );
    details.push(rule);
    let figures = [numbers(event), figures(event)];
    details.extend(figures.into_iter().filter(|told| !told.is_empty()));
    details.push(format!("knew partition {} up to offset {}, at {}", event["partition"], basis["asof"], text(basis, "/now")));
    details.push(format!("id {}", text(event, "/id")));
    for episode in ["incident", "escalation"] {
        details.extend(event.pointer(&format!("/data/{episode}_id")).and_then(Value::as_str).map(|id| format!("{episode} {id}")));
    }
    details
}

/// The numbers that a decision saw, each with its name; empty where it saw none.
pub(crate) fn numbers(event: &Value) -> String {
    let Some(numbers) = event.pointer("/data/numbers").and_then(Value::as_object) else { return String::new() };
    let told: Vec<_> = numbers.iter().map(|(name, value)| format!("{name} {}", number(value))).collect();
    told.join(", ")
}

/// What a decision tells in figures beside its numbers: amounts, and the times that it names.
fn figures(event: &Value) -> String {
    let Some(fields) = event.get("data").and_then(Value::as_object) else { return String::new() };
    let told = fields.iter().filter_map(|(name, value)| match value {
        Value::Number(_) => Some(format!("{name} {}", number(value))),
        Value::String(time) if TIMES.contains(&name.as_str()) => Some(format!("{name} {}", moment(time))),
        _ => None,
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Fields of decisions that are times.
const TIMES: [&str; 5] = ["due_at", "exhausted_at", "from", "until", "at"];

/// Numbers for people: four significant digits are enough to see what happened; `--json` has them all.
fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(real) if !value.is_i64() && real.abs() >= 1e15 => format!("{real:.3e}"),
        Some(real) if !value.is_i64() && real.abs() >= 100.0 => format!("{real:.1}"),
        Some(real) if !value.is_i64() => format!("{real:.4}"),
        _ => value.to_string(),
    }
}

fn nested(id: &str, found: &Found, told: &mut BTreeSet<String>) -> Value {
    let Some(event) = found.get(id) else { return json!({ "id": id, "missing": true }) };
    if !told.insert(id.to_owned()) {
        return json!({ "id": id, "told_above": true });
    }
    let mut node = Map::new();
    node.insert("id".to_owned(), json!(id));
    node.insert("record".to_owned(), event.clone());
    let causes: Vec<_> = causes(event).iter().map(|cause| nested(cause, found, told)).collect();
    if !causes.is_empty() {
        node.insert("causes".to_owned(), Value::Array(causes));
    }
    Value::Object(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let opened = json!({
            "id": "d1", "type": "io.reeve.incident.opened.v1", "partitionkey": "billing", "partition": 1, "recordedtime": "t2",
            "data": {"summary": "v2 is worse", "numbers": {"e": 102.4, "lost": 9},
                     "basis": {"rule": "regression", "policy": "default", "accountable": "product_owner", "asof": 4, "now": "t1",
                               "causes": ["f1", "f2", "f1"]}}
        });
        let fact = json!({"id": "f1", "type": "io.reeve.outcome.reported.v1", "partitionkey": "billing", "subject": "s1",
                          "recordedtime": "t0", "data": {"success": false}});
        Found::from([("d1".to_owned(), opened), ("f1".to_owned(), fact)])
    }

    #[test]
    fn a_decision_is_told_with_rule_numbers_and_facts() {
        let told = readable("d1", &found(), None);
        for part in ["incident.opened of billing", "rule regression, policy default", "e 102.4, lost 9", "session s1", "success=false"] {
            assert!(told.contains(part), "`{part}` is not in\n{told}");
        }
    }

    #[test]
    fn what_a_decision_tells_in_figures_of_its_own_is_told() {
        let raised = json!({
            "id": "e1", "type": "io.reeve.escalation.raised.v1", "partitionkey": "billing", "partition": 1, "recordedtime": "t2",
            "data": {"summary": "s-1 needs a human", "escalation_id": "x", "priority": 2, "sentiment": -0.75, "threshold": -0.4,
                     "due_at": "2026-03-01T12:00:07.000000Z", "basis": {"rule": "sentiment", "asof": 4}}
        });
        let told = readable("e1", &Found::from([("e1".to_owned(), raised)]), None);
        for part in ["due_at 2026-03-01T12:00:07.000Z", "priority 2", "sentiment -0.7500", "threshold -0.4000", "escalation x"] {
            assert!(told.contains(part), "`{part}` is not in\n{told}");
        }
    }

    #[test]
    fn a_cause_that_the_log_lacks_is_said_to_be_missing() {
        assert!(readable("d1", &found(), None).contains("f2 (not on this log)"));
        assert_eq!(json("d1", &found())["causes"][1], json!({"id": "f2", "missing": true}));
    }
}
