//! What the room goes by: defaults, and an adopted document read into a [`Policy`] with every fault listed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::{AgentId, limits};

/// The policy in force where none was adopted.
pub const DEFAULT_VERSION: &str = "default";

/// Agents that may have budgets of their own.
pub const AGENTS_MAX: usize = 1_000;

/// How far ahead a trend may be followed: as far as its history reaches back, which is an hour, less the three minutes from
/// the last that is closed to the present.
pub const HORIZON_S_MAX: i64 = 57 * 60;

/// Everything that the room may be told. No budget is a default: none fits an agent that nobody has looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its version, as the record that adopted it says.
    pub version: String,
    /// What every agent may use.
    pub budgets: BTreeMap<Measure, f64>,
    /// What one agent may use instead; `None`: it has no budget.
    pub agents: BTreeMap<String, BTreeMap<Measure, Option<f64>>>,
    /// How far ahead the trend is followed. A forecast reaches no further ahead than its history reaches back.
    pub horizon_s: i64,
    /// Minutes below [`Policy::CALM_SHARE`] of a budget after which passing it is news again.
    pub calm_minutes: i64,
    /// A session of which nothing is heard for so long is under way no more.
    pub session_timeout_s: i64,
}

/// What may have a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Input and output tokens of one minute.
    TokensPerMinute,
    /// US dollars of one day of UTC.
    CostUsdPerDay,
    /// Sessions under way at once.
    ConcurrentSessions,
}

// === impl Policy ===

impl Policy {
    /// Below this share of a budget a minute is calm.
    pub const CALM_SHARE: f64 = 0.8;

    /// The budget of an agent.
    pub fn budget(&self, agent: &AgentId, measure: Measure) -> Option<f64> {
        match self.agents.get(agent.as_str()).and_then(|own| own.get(&measure)) {
            Some(own) => *own,
            None => self.budgets.get(&measure).copied(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            budgets: BTreeMap::new(),
            agents: BTreeMap::new(),
            horizon_s: 1_800,
            calm_minutes: 10,
            session_timeout_s: 1_800,
        }
    }
}

// === impl Measure ===

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 3] = [Self::TokensPerMinute, Self::CostUsdPerDay, Self::ConcurrentSessions];

    /// Its name in policies and decisions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokensPerMinute => "tokens_per_minute",
            Self::CostUsdPerDay => "cost_usd_per_day",
            Self::ConcurrentSessions => "concurrent_sessions",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == name)
    }

    /// The largest budget that means anything: what the door lets in of one fact, a thousand times a minute.
    fn most(self) -> f64 {
        match self {
            Self::TokensPerMinute | Self::CostUsdPerDay => 1e12,
            Self::ConcurrentSessions => crate::sessions::SESSIONS_MAX as f64 - 1.0,
        }
    }
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a policy document: a JSON object of the fields of [`Policy`] that differ from the defaults.
///
/// # Errors
/// Everything that is wrong with it, a sentence each, so that one look mends it all.
pub fn check(document: &str) -> Result<Policy, Vec<String>> {
    let object = match serde_json::from_str(document) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(vec!["the document must be a JSON object".to_owned()]),
        Err(error) => return Err(vec![format!("the document is no JSON: {error}")]),
    };
    let mut reader = Reader { object, faults: Vec::new() };
    let policy = reader.policy();
    let faults = reader.finish();
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

/// Takes known fields out of a document; what is left over at the end is unknown.
struct Reader {
    object: Map<String, Value>,
    faults: Vec<String>,
}

// === impl Reader ===

impl Reader {
    fn policy(&mut self) -> Policy {
        let standard = Policy::default();
        Policy {
            version: standard.version,
            budgets: self.budgets(),
            agents: self.agents(),
            horizon_s: self.whole("horizon_s", 600, HORIZON_S_MAX, standard.horizon_s),
            calm_minutes: self.whole("calm_minutes", 1, 1_440, standard.calm_minutes),
            session_timeout_s: self.whole("session_timeout_s", 60, 7 * 86_400, standard.session_timeout_s),
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.faults.extend(self.object.keys().map(|unknown| format!("{unknown}: there is no such field")));
        self.faults
    }

    fn whole(&mut self, field: &str, min: i64, max: i64, standard: i64) -> i64 {
        let Some(value) = self.object.remove(field) else { return standard };
        value.as_i64().filter(|found| (min..=max).contains(found)).unwrap_or_else(|| {
            self.faults.push(format!("{field}: {value} is no whole number from {min} to {max}"));
            standard
        })
    }

    fn budgets(&mut self) -> BTreeMap<Measure, f64> {
        let Some(value) = self.object.remove("budgets") else { return BTreeMap::new() };
        let told = self.measures("budgets", &value);
        told.into_iter().filter_map(|(measure, budget)| Some((measure, budget?))).collect()
    }

    fn agents(&mut self) -> BTreeMap<String, BTreeMap<Measure, Option<f64>>> {
        let agents = match self.object.remove("agents") {
            None => return BTreeMap::new(),
            Some(Value::Object(agents)) => agents,
            Some(other) => {
                self.faults.push(format!("agents: {other} is no object of agents and their budgets"));
                return BTreeMap::new();
            }
        };
        if agents.len() > AGENTS_MAX {
            self.faults.push(format!("agents: {} have budgets of their own, and at most {AGENTS_MAX} may", agents.len()));
            return BTreeMap::new();
        }
        let mut own = BTreeMap::new();
        for (agent, value) in agents {
            if agent.is_empty() || agent.len() > limits::AGENT_BYTES_MAX {
                self.faults.push(format!("agents: the name of an agent has 1 to {} bytes, not {}", limits::AGENT_BYTES_MAX, agent.len()));
                continue;
            }
            let budgets = self.measures(&format!("agents.{agent}"), &value);
            own.insert(agent, budgets);
        }
        own
    }

    fn measures(&mut self, path: &str, value: &Value) -> BTreeMap<Measure, Option<f64>> {
        let Value::Object(told) = value else {
            self.faults.push(format!("{path}: {value} is no object of measures and their budgets"));
            return BTreeMap::new();
        };
        let mut budgets = BTreeMap::new();
        for (name, budget) in told {
            let Some(measure) = Measure::from_name(name) else {
                let known = Measure::ALL.map(Measure::as_str).join(", ");
                self.faults.push(format!("{path}.{name}: nothing of this name is measured; there is {known}"));
                continue;
            };
            let number = budget.as_f64().filter(|budget| *budget > 0.0 && *budget <= measure.most());
            if number.is_none() && !budget.is_null() {
                self.faults.push(format!("{path}.{name}: {budget} is no budget above 0 and up to {}", measure.most()));
            }
            budgets.insert(measure, number);
        }
        budgets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_default_and_the_default_has_no_budget() {
        assert_eq!(check("{}"), Ok(Policy::default()));
        assert!(Measure::ALL.iter().all(|measure| Policy::default().budget(&"a".into(), *measure).is_none()));
    }

    #[test]
    fn every_fault_is_listed_at_once() {
        let faults = check(
            r#"{"budgets": {"tokens_per_minute": -1, "cost_usd_per_day": "much", "tea": 3}, "horizon_s": 7200, "colour": 3,
                "agents": {"": {}, "billing": {"concurrent_sessions": 1e9}, "travel": 7}, "calm_minutes": 0}"#,
        )
        .expect_err("faulty");
        for field in [
            "budgets.tokens_per_minute",
            "budgets.cost_usd_per_day",
            "budgets.tea",
            "horizon_s",
            "colour",
            "agents: ",
            "agents.billing.concurrent_sessions",
            "agents.travel",
            "calm_minutes",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(field)), "{field} is not in {faults:#?}");
        }
        assert_eq!(faults.len(), 9);
    }

    #[test]
    fn an_agent_may_have_its_own_budget_or_none() {
        let document = r#"{"budgets": {"tokens_per_minute": 100, "concurrent_sessions": 5},
            "agents": {"billing": {"tokens_per_minute": 7, "concurrent_sessions": null}}}"#;
        let policy = check(document).expect("valid");
        let of = |agent: &str, measure| policy.budget(&agent.into(), measure);
        assert_eq!((of("billing", Measure::TokensPerMinute), of("travel", Measure::TokensPerMinute)), (Some(7.0), Some(100.0)));
        assert_eq!((of("billing", Measure::ConcurrentSessions), of("travel", Measure::ConcurrentSessions)), (None, Some(5.0)));
    }

    #[test]
    fn a_forecast_further_ahead_than_history_is_kept_is_refused() {
        assert!(check(r#"{"horizon_s": 3420}"#).is_ok());
        assert_eq!(check(r#"{"horizon_s": 3421}"#).expect_err("too far").len(), 1);
    }
}
