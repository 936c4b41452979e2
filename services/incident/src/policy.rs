//! What the room goes by: defaults, and an adopted document read into a [`Policy`] with every fault listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rules;

/// The policy in force where none was adopted.
pub const DEFAULT_VERSION: &str = "default";

/// Everything that the room may be told. Durations are seconds of the log's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its version, as the record that adopted it says.
    pub version: String,
    /// A session without an outcome is given up this long after its start.
    pub session_timeout_s: i64,
    /// An outcome may come this long after its session ended.
    pub outcome_grace_s: i64,
    /// Evidence at which a version is named: false alarms are bounded by its inverse.
    pub regression_e: f64,
    /// Further properties of a session that are compared like its success, each by its own test.
    pub criteria: BTreeSet<Criterion>,
    /// The longest session that counts as in time.
    pub in_time_s: Option<i64>,
    /// A version that last served this long before it got a new version to be compared with is history.
    pub candidate_horizon_s: i64,
    /// Share of good facts that each signal owes; a signal without one is not watched.
    pub objectives: BTreeMap<Signal, f64>,
    /// A model call longer than this is slow.
    pub slow_ms: Option<f64>,
    /// Pairs of windows, each with the factor of the budget at which it fires.
    pub rows: Vec<Row>,
    /// Facts needed in the long window.
    pub facts_min: u64,
    /// Bad facts needed in the long window.
    pub bad_min: u64,
    /// Bad facts needed in the short window.
    pub bad_short_min: u64,
    /// Facts needed in the short window before a burn may be called over.
    pub clear_facts_min: u64,
    /// A fact that comes later than this is in no window.
    pub lateness_s: i64,
    /// Missed intervals after which a platform that sends heartbeats is silent.
    pub silence_factor: i64,
    /// Heartbeats in a row that end a silence.
    pub beats_to_recover: u64,
    /// Time without harm before a harm is over.
    pub harm_quiet_s: i64,
    /// Facts that must follow a harm before it is over.
    pub harm_facts: u64,
    /// Sessions that must start after a harm before it is over.
    pub harm_sessions: u64,
    /// Sessions in a row that a version must not have served before its fault is over.
    pub away_sessions: u64,
    /// How long nothing may be wrong before an incident is resolved.
    pub sustain_s: i64,
    /// Sessions that must start meanwhile: their absence is no recovery.
    pub sustain_sessions: u64,
}

/// What a rate or an objective is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Tool calls of the agent that failed.
    Tool,
    /// Model calls of the agent that failed.
    Model,
    /// Sessions that did not succeed.
    Success,
    /// Model calls of the agent that took too long.
    Slowness,
}

/// What is compared between the sessions of two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The session did what it was for.
    Success,
    /// No tool or model call of the agent failed in it.
    ErrorFree,
    /// The agent brought it to its end, not a human.
    NotEscalated,
    /// It ended in time.
    InTime,
}

/// A long window that says that it is real, a short one that says that it is still so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Burn rate at which both windows fire.
    pub factor: f64,
    /// Length of the long window.
    pub long_s: i64,
    /// Length of the short window.
    pub short_s: i64,
}

/// Most pairs of windows that a policy may set.
pub const ROWS_MAX: usize = 4;
/// The longest window, in seconds: what the room keeps of an agent's facts.
pub const WINDOW_SECONDS_MAX: i64 = 6 * 3_600;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

// === impl Policy ===

impl Policy {
    /// What is compared: success always, and what the policy adds.
    pub(crate) fn compared(&self) -> impl Iterator<Item = Criterion> + '_ {
        let further = self.criteria.iter().copied().filter(|criterion| *criterion != Criterion::Success);
        std::iter::once(Criterion::Success).chain(further)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            session_timeout_s: 30 * 60,
            outcome_grace_s: 5 * 60,
            regression_e: 100.0,
            criteria: BTreeSet::new(),
            in_time_s: None,
            candidate_horizon_s: 7 * DAY_S,
            objectives: BTreeMap::from([(Signal::Tool, 0.95), (Signal::Model, 0.95)]),
            slow_ms: None,
            rows: vec![Row { factor: 14.4, long_s: HOUR_S, short_s: 5 * 60 }, Row { factor: 6.0, long_s: 6 * HOUR_S, short_s: 30 * 60 }],
            facts_min: 30,
            bad_min: 5,
            bad_short_min: 3,
            clear_facts_min: 10,
            lateness_s: 120,
            silence_factor: 3,
            beats_to_recover: 3,
            harm_quiet_s: 30 * 60,
            harm_facts: 30,
            harm_sessions: 5,
            away_sessions: 10,
            sustain_s: 10 * 60,
            sustain_sessions: 10,
        }
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
    let mut faults = reader.finish();
    faults.extend(contradictions(&policy));
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

/// Faults that only show when the fields are seen together.
fn contradictions(policy: &Policy) -> Vec<String> {
    let mut faults = Vec::new();
    for (signal, objective) in &policy.objectives {
        let most = rules::burn_rate_max(*objective);
        for row in policy.rows.iter().filter(|row| most < row.factor) {
            faults.push(format!(
                "objectives.{signal}: at {objective} a budget burns at most {most:.2} times as fast as it lasts, so the row with factor {} \
                 can never fire (it needs at least {:.4}): compare the outcomes with the objective by a one-sample e-process instead",
                row.factor,
                1.0 - 1.0 / row.factor,
            ));
        }
    }
    for row in policy.rows.iter().filter(|row| row.short_s > row.long_s) {
        faults.push(format!("rows: the short window of {} s is longer than the long one of {} s", row.short_s, row.long_s));
    }
    if policy.objectives.contains_key(&Signal::Slowness) && policy.slow_ms.is_none() {
        faults.push("slow_ms: an objective for slowness needs the milliseconds from which a call is slow".to_owned());
    }
    if policy.criteria.contains(&Criterion::InTime) && policy.in_time_s.is_none() {
        faults.push("in_time_s: the criterion in_time needs the seconds within which a session must end".to_owned());
    }
    faults
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
            session_timeout_s: self.whole("session_timeout_s", 60, 7 * DAY_S, standard.session_timeout_s),
            outcome_grace_s: self.whole("outcome_grace_s", 0, DAY_S, standard.outcome_grace_s),
            regression_e: self.real("regression_e", 20.0, 1e9).unwrap_or(standard.regression_e),
            criteria: self.criteria().unwrap_or(standard.criteria),
            in_time_s: self.optional_whole("in_time_s", 1, 7 * DAY_S),
            candidate_horizon_s: self.whole("candidate_horizon_s", 0, 366 * DAY_S, standard.candidate_horizon_s),
            objectives: self.objectives(standard.objectives),
            slow_ms: self.real("slow_ms", 1.0, 3_600_000.0),
            rows: self.rows().unwrap_or(standard.rows),
            facts_min: self.count("facts_min", standard.facts_min),
            bad_min: self.count("bad_min", standard.bad_min),
            bad_short_min: self.count("bad_short_min", standard.bad_short_min),
            clear_facts_min: self.count("clear_facts_min", standard.clear_facts_min),
            lateness_s: self.whole("lateness_s", 1, HOUR_S, standard.lateness_s),
            silence_factor: self.whole("silence_factor", 2, 100, standard.silence_factor),
            beats_to_recover: self.count("beats_to_recover", standard.beats_to_recover),
            harm_quiet_s: self.whole("harm_quiet_s", 60, 7 * DAY_S, standard.harm_quiet_s),
            harm_facts: self.count("harm_facts", standard.harm_facts),
            harm_sessions: self.count("harm_sessions", standard.harm_sessions),
            away_sessions: self.count("away_sessions", standard.away_sessions),
            sustain_s: self.whole("sustain_s", 60, 7 * DAY_S, standard.sustain_s),
            sustain_sessions: self.count("sustain_sessions", standard.sustain_sessions),
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.faults.extend(self.object.keys().map(|unknown| format!("{unknown}: there is no such field")));
        self.faults
    }

    fn whole(&mut self, field: &str, min: i64, max: i64, standard: i64) -> i64 {
        self.optional_whole(field, min, max).unwrap_or(standard)
    }

    fn count(&mut self, field: &str, standard: u64) -> u64 {
        self.optional_whole(field, 1, 1_000_000).map_or(standard, i64::unsigned_abs)
    }

    fn optional_whole(&mut self, field: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.object.remove(field)?;
        let found = value.as_i64().filter(|found| (min..=max).contains(found));
        if found.is_none() {
            self.faults.push(format!("{field}: {value} is no whole number from {min} to {max}"));
        }
        found
    }

    fn real(&mut self, field: &str, min: f64, max: f64) -> Option<f64> {
        let value = self.object.remove(field)?;
        let found = value.as_f64().filter(|found| (min..=max).contains(found));
        if found.is_none() {
            self.faults.push(format!("{field}: {value} is no number from {min} to {max}"));
        }
        found
    }

    fn criteria(&mut self) -> Option<BTreeSet<Criterion>> {
        let value = self.object.remove("criteria")?;
        let found = serde_json::from_value(value);
        found.map_err(|error| self.faults.push(format!("criteria: {error}"))).ok()
    }

    fn objectives(&mut self, standard: BTreeMap<Signal, f64>) -> BTreeMap<Signal, f64> {
        let Some(value) = self.object.remove("objectives") else { return standard };
        let told: BTreeMap<Signal, Option<f64>> = match serde_json::from_value(value) {
            Ok(told) => told,
            Err(error) => {
                self.faults.push(format!("objectives: {error}"));
                return standard;
            }
        };
        let mut objectives = standard;
        for (signal, objective) in told {
            match objective {
                None => drop(objectives.remove(&signal)),
                Some(share) if share > 0.0 && share < 1.0 => drop(objectives.insert(signal, share)),
                Some(share) => self.faults.push(format!("objectives.{signal}: {share} is no share between 0 and 1")),
            }
        }
        objectives
    }

    fn rows(&mut self) -> Option<Vec<Row>> {
        let value = self.object.remove("rows")?;
        let rows: Vec<Row> = match serde_json::from_value(value) {
            Ok(rows) => rows,
            Err(error) => {
                self.faults.push(format!("rows: {error}"));
                return None;
            }
        };
        if rows.is_empty() || rows.len() > ROWS_MAX {
            self.faults.push(format!("rows: there must be 1 to {ROWS_MAX}"));
        }
        for row in &rows {
            let lengths = 60..=WINDOW_SECONDS_MAX;
            let is_sound =
                row.factor > 0.0 && row.factor <= 1_000.0 && [row.long_s, row.short_s].iter().all(|length_s| lengths.contains(length_s));
            if !is_sound {
                self.faults.push(format!("rows: a factor is at most 1000 and a window 60 to {WINDOW_SECONDS_MAX} seconds long"));
            }
        }
        Some(rows)
    }
}

// === impl Signal ===

impl Signal {
    /// Its name in policies and rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Model => "model",
            Self::Success => "success",
            Self::Slowness => "slowness",
        }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Criterion ===

impl Criterion {
    /// What is lost where a version is worse by it, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Success => "sessions that succeed",
            Self::ErrorFree => "sessions free of errors",
            Self::NotEscalated => "sessions without a human",
            Self::InTime => "sessions that end in time",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_default() {
        assert_eq!(check("{}"), Ok(Policy::default()));
    }

    #[test]
    fn every_fault_is_listed_at_once() {
        let faults = check(r#"{"sustain_s": -1, "regression_e": "high", "colour": 3, "objectives": {"tool": 1.5}}"#).expect_err("faulty");
        for field in ["sustain_s", "regression_e", "colour", "objectives.tool"] {
            assert!(faults.iter().any(|fault| fault.starts_with(field)), "{field} is not in {faults:?}");
        }
    }

    #[test]
    fn an_objective_that_can_never_fire_is_refused_with_advice() {
        let faults = check(r#"{"objectives": {"success": 0.9}}"#).expect_err("can never fire");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("one-sample e-process") && faults[0].contains("0.9306"), "{faults:?}");
        assert!(check(r#"{"objectives": {"success": 0.94}}"#).is_ok());
    }

    #[test]
    fn a_signal_can_be_left_unwatched() {
        let policy = check(r#"{"objectives": {"tool": null}}"#).expect("valid");
        assert_eq!(policy.objectives, BTreeMap::from([(Signal::Model, 0.95)]));
    }

    #[test]
    fn slowness_and_timeliness_need_their_limits() {
        assert_eq!(check(r#"{"objectives": {"slowness": 0.95}, "criteria": ["in_time"]}"#).expect_err("no limits").len(), 2);
    }
}
