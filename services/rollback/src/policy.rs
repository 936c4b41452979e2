//! What may be tuned: defaults, and the document of `policy.adopted` as a [`Policy`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Deadlines of orders, and what a version must show before it may be gone back to.
///
/// An order carries its own deadlines, so a new policy holds for orders given after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Seconds within which the platform must acknowledge an order.
    pub ack_timeout_s: i64,
    /// Seconds after the acknowledgement within which the version must be seen serving.
    pub verify_timeout_s: i64,
    /// Sightings of the version in a row that show it serving.
    pub sightings: u32,
    /// Outcomes after which a version may be proven.
    pub proof_outcomes: u32,
    /// Hours without P1 and P2, in the log's time, after which a version may be proven.
    pub proof_hours: i64,
}

/// The policy in force and its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InForce {
    pub(crate) version: String,
    pub(crate) policy: Policy,
}

/// A field of the document: its name, its least and its largest value, and the place of the number.
type Field = (&'static str, i64, i64, fn(&mut Policy, i64));

/// The shortest timeout is a transaction's longest life: an order must be able to come home before it is overdue.
const FIELDS: [Field; 5] = [
    ("ack_timeout_s", 5, 86_400, |policy, value| policy.ack_timeout_s = value),
    ("verify_timeout_s", 5, 7 * 86_400, |policy, value| policy.verify_timeout_s = value),
    ("sightings", 1, 16, |policy, value| policy.sightings = value as u32),
    ("proof_outcomes", 1, 1_000_000, |policy, value| policy.proof_outcomes = value as u32),
    ("proof_hours", 1, 24 * 365, |policy, value| policy.proof_hours = value),
];

/// Reads the document of a `policy.adopted` for the room `rollback`. What it does not mention keeps its default.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub fn check(document: &str) -> Result<Policy, Vec<String>> {
    let value: Value = serde_json::from_str(document).map_err(|error| vec![format!("the document is no JSON: {error}")])?;
    let Value::Object(fields) = value else {
        return Err(vec!["the document is no JSON object".to_owned()]);
    };
    let mut policy = Policy::default();
    let mut faults = Vec::new();
    for (name, value) in &fields {
        let Some((_, least, most, set)) = FIELDS.iter().find(|(known, ..)| known == name) else {
            let known: Vec<&str> = FIELDS.iter().map(|(known, ..)| *known).collect();
            faults.push(format!("`{name}` is no field of this policy; it has {}", known.join(", ")));
            continue;
        };
        match value.as_i64().filter(|value| (*least..=*most).contains(value)) {
            Some(value) => set(&mut policy, value),
            None => faults.push(format!("`{name}` is {value}; it must be a whole number from {least} to {most}")),
        }
    }
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self { ack_timeout_s: 60, verify_timeout_s: 600, sightings: 3, proof_outcomes: 200, proof_hours: 24 }
    }
}

// === impl InForce ===

impl Default for InForce {
    fn default() -> Self {
        Self { version: "default".to_owned(), policy: Policy::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_does_not_mention_keeps_its_default() {
        assert_eq!(check("{}"), Ok(Policy::default()));
        assert_eq!(check(r#"{"sightings": 5}"#), Ok(Policy { sightings: 5, ..Policy::default() }));
    }

    #[test]
    fn every_fault_of_a_document_is_listed() {
        let faults = check(r#"{"ack_timeout_s": 0, "patience": 3, "sightings": "many", "proof_hours": 1.5}"#).expect_err("four faults");
        assert_eq!(faults.len(), 4, "{faults:?}");
        for name in ["ack_timeout_s", "patience", "sightings", "proof_hours"] {
            assert!(faults.iter().any(|fault| fault.contains(name)), "{name} in {faults:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_policy() {
        assert!(check("").is_err());
        assert!(check("[1]").is_err());
    }
}
