//! What may be tuned: defaults, and the document of `policy.adopted` as a [`Policy`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the room tells what nobody can read. That it tells it is no matter of policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Refusals of a partition that may be owed at once, each told by itself. What comes while so many are owed is told
    /// as one run.
    pub told_singly_max: usize,
}

/// The policy in force and its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InForce {
    pub(crate) version: String,
    pub(crate) policy: Policy,
}

/// The least and the most that `told_singly_max` may be. The most is what a ledger of this room may hold.
const TOLD_SINGLY: std::ops::RangeInclusive<u64> = 1..=4_000;

/// Reads the document of a `policy.adopted` for the room `audit`. What it does not mention keeps its default.
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
        match (name.as_str(), value.as_u64().filter(|number| TOLD_SINGLY.contains(number))) {
            ("told_singly_max", Some(number)) => policy.told_singly_max = number as usize,
            ("told_singly_max", None) => {
                let (least, most) = (TOLD_SINGLY.start(), TOLD_SINGLY.end());
                faults.push(format!("`{name}` is {value}; it must be a whole number from {least} to {most}"));
            }
            _ => faults.push(format!("`{name}` is no field of this policy; it has told_singly_max")),
        }
    }
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self { told_singly_max: 1_000 }
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
        assert_eq!(check(r#"{"told_singly_max": 7}"#), Ok(Policy { told_singly_max: 7 }));
    }

    #[test]
    fn every_fault_is_listed() {
        assert_eq!(check(r#"{"told_singly_max": 0, "silent": true}"#).map_err(|faults| faults.len()), Err(2));
        assert_eq!(check(r#"{"told_singly_max": 4001}"#).map_err(|faults| faults.len()), Err(1));
        assert!(check("[]").is_err() && check("nothing").is_err());
    }
}
