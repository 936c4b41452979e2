//! What the room goes by: defaults, and an adopted document read into a [`Policy`] with every fault listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::reader::Reader;
use crate::rules;

mod reader;

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
    /// Pairs of longer windows, whose burn is a matter for a ticket and not for a page.
    pub tickets: Vec<Row>,
    /// Standard deviations by which the bad facts of a ticket's long window exceed what the objective allows.
    pub ticket_margin_sd: f64,
    /// What is watched for drift.
    pub drifts: BTreeSet<Measure>,
    /// The first observations of a version in a segment are its own baseline: so many.
    pub drift_baseline: u64,
    /// Observations of a version in a segment between false alarms of drift, on average and at least.
    pub drift_run_length: f64,
    /// The growth of an amount that is looked for, in standard deviations of the baseline.
    pub drift_shift_sd: f64,
    /// The growth of a share that is looked for, as a factor of its odds.
    pub drift_odds: f64,
    /// How much more of a version's sessions fail than in its baseline, as a share of all, for drift to be a drop of success.
    pub drop_share: f64,
    /// Calls of one tool with the same arguments in one session that are a loop.
    pub loop_calls: u64,
    /// Calls that must be known before a kind of failure can be called rare.
    pub signature_history: u64,
    /// Calls in which a kind of failure may become frequent.
    pub signature_block: u64,
    /// Failures of one kind in a block that are frequent.
    pub signature_frequent: u64,
    /// The largest share of all calls before the block at which a kind of failure is rare.
    pub signature_rare: f64,
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

/// What is watched for drift, session by session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Whether it failed.
    Outcome,
    /// Mean time of the agent's model calls, in milliseconds.
    Latency,
    /// Tokens of the agent's model calls, in and out.
    Tokens,
    /// Whether a human was called for.
    Escalation,
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
/// The longest window of a page, in seconds: what the room keeps of an agent's facts by the minute.
pub const WINDOW_SECONDS_MAX: i64 = 6 * 3_600;
/// The longest window of a ticket, in seconds: what the room keeps by the quarter of an hour.
pub const TICKET_SECONDS_MAX: i64 = 3 * 24 * 3_600;
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
            tickets: vec![
                Row { factor: 3.0, long_s: DAY_S, short_s: 2 * HOUR_S },
                Row { factor: 1.0, long_s: 3 * DAY_S, short_s: 6 * HOUR_S },
            ],
            ticket_margin_sd: 3.0,
            drifts: Measure::ALL.into(),
            drift_baseline: 100,
            drift_run_length: 100_000.0,
            drift_shift_sd: 1.0,
            drift_odds: 3.0,
            drop_share: 0.15,
            loop_calls: 12,
            signature_history: 1_000,
            signature_block: 200,
            signature_frequent: 10,
            signature_rare: 0.005,
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
        for row in policy.rows.iter().chain(&policy.tickets).filter(|row| most < row.factor) {
            faults.push(format!(
                "objectives.{signal}: at {objective} a budget burns at most {most:.2} times as fast as it lasts, so the row with factor {} \
                 can never fire (it needs at least {:.4}): compare the outcomes with the objective by a one-sample e-process instead",
                row.factor,
                1.0 - 1.0 / row.factor,
            ));
        }
    }
    for row in policy.rows.iter().chain(&policy.tickets).filter(|row| row.short_s > row.long_s) {
        faults.push(format!("rows, tickets: the short window of {} s is longer than the long one of {} s", row.short_s, row.long_s));
    }
    if policy.objectives.contains_key(&Signal::Slowness) && policy.slow_ms.is_none() {
        faults.push("slow_ms: an objective for slowness needs the milliseconds from which a call is slow".to_owned());
    }
    if policy.criteria.contains(&Criterion::InTime) && policy.in_time_s.is_none() {
        faults.push("in_time_s: the criterion in_time needs the seconds within which a session must end".to_owned());
    }
    if policy.signature_frequent > policy.signature_block {
        faults.push(format!(
            "signature_frequent: a block of {} calls never holds {} failures, so that nothing could become frequent",
            policy.signature_block, policy.signature_frequent
        ));
    }
    if policy.signature_rare * policy.signature_block as f64 >= policy.signature_frequent as f64 {
        faults.push(format!(
            "signature_rare: a share of {} is as frequent as {} failures in {} calls, so that the same would be rare and frequent",
            policy.signature_rare, policy.signature_frequent, policy.signature_block
        ));
    }
    faults
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

// === impl Measure ===

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Outcome, Self::Latency, Self::Tokens, Self::Escalation];

    /// Its name in policies and rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Latency => "latency",
            Self::Tokens => "tokens",
            Self::Escalation => "escalation",
        }
    }

    /// What grows where it drifts, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Outcome => "share of sessions that fail",
            Self::Latency => "time of a model call",
            Self::Tokens => "tokens of a session",
            Self::Escalation => "share of sessions that call for a human",
        }
    }

    /// Whether a session answers it with yes or no, and not with an amount.
    pub fn is_share(self) -> bool {
        matches!(self, Self::Outcome | Self::Escalation)
    }
}

impl std::fmt::Display for Measure {
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
    fn a_ticket_row_or_a_signature_that_can_never_fire_is_refused() {
        let faults = check(r#"{"tickets": [{"factor": 30, "long_s": 86400, "short_s": 7200}]}"#).expect_err("can never fire");
        assert_eq!(faults.len(), 2, "for tools and for models: {faults:?}");
        assert!(faults.iter().all(|fault| fault.contains("can never fire")), "{faults:?}");
        assert_eq!(check(r#"{"signature_block": 50, "signature_frequent": 60}"#).expect_err("can never fire").len(), 1);
        assert_eq!(check(r#"{"signature_rare": 0.1}"#).expect_err("rare and frequent").len(), 1);
        assert!(check(r#"{"tickets": [{"factor": 1, "long_s": 259201, "short_s": 60}]}"#).is_err(), "so much is not kept");
    }

    #[test]
    fn tickets_and_drifts_can_be_left_out() {
        let policy = check(r#"{"tickets": [], "drifts": ["latency"]}"#).expect("valid");
        assert_eq!((policy.tickets.len(), policy.drifts), (0, BTreeSet::from([Measure::Latency])));
        assert!(check(r#"{"rows": []}"#).is_err(), "pages cannot");
    }

    #[test]
    fn slowness_and_timeliness_need_their_limits() {
        assert_eq!(check(r#"{"objectives": {"slowness": 0.95}, "criteria": ["in_time"]}"#).expect_err("no limits").len(), 2);
    }
}
