//! The figures: counted fact by fact, put together at the end.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use wire::{Body, DedupeKey, Kind, Role, Timestamp};

use super::money::Dollars;
use crate::failure::Failure;
use crate::import::RECORDED_PLATFORM;

/// The tool by which an agent hands a session to people.
const ESCALATING_TOOL: &str = "transfer_to_human_agents";
/// What a session ended of that does not tell.
const UNKNOWN_REASON: &str = "unknown";

/// Everything counted so far.
#[derive(Default)]
pub(super) struct Figures {
    /// Facts counted: one that the log holds twice still counts once.
    counted: BTreeSet<DedupeKey>,
    sessions: BTreeMap<SessionName, Session>,
    by_kind: BTreeMap<&'static str, u64>,
    user_messages: u64,
    agent_messages: u64,
    tool_calls: BTreeMap<String, u64>,
    tool_errors: Option<u64>,
    tokens_in: Option<i64>,
    tokens_out: Option<i64>,
    cost: Option<Dollars>,
}

/// Source and id: two sources may give sessions the same id.
type SessionName = (String, String);

#[derive(Default)]
struct Session {
    started: bool,
    version: Option<String>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    success: Option<bool>,
    reason: Option<String>,
    escalated: bool,
}

/// The key figures of all sessions.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    sessions: u64,
    success: u64,
    failure: u64,
    turns: u64,
    by_kind: BTreeMap<&'static str, u64>,
    user_messages: u64,
    agent_messages: u64,
    tool_calls: BTreeMap<String, u64>,
    tool_errors: Option<u64>,
    tokens_in: Option<i64>,
    tokens_out: Option<i64>,
    cost_usd: Option<f64>,
    escalated_sessions: u64,
    termination: BTreeMap<String, u64>,
    versions: BTreeMap<String, Served>,
    duration_s: Durations,
}

// === impl Report ===

impl Report {
    /// Whether no session was imported.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions == 0
    }

    /// Whether no session tells how it turned out.
    pub(super) fn tells_no_outcome(&self) -> bool {
        self.success + self.failure == 0
    }
}

/// What a version did.
#[derive(Debug, Default, Serialize)]
struct Served {
    sessions: u64,
    success: u64,
}

/// How long sessions took, over those that tell when they began and ended.
#[derive(Debug, Serialize)]
struct Durations {
    n: u64,
    p50: Option<f64>,
    p95: Option<f64>,
}

// === impl Figures ===

impl Figures {
    /// Counts a structured CloudEvent of the log; what no import published is passed over.
    ///
    /// # Errors
    /// When it is none that the log gives out.
    pub(super) fn count(&mut self, event: &Value) -> Result<(), Failure> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let unread = |why: &str| Failure::internal(format!("cannot read an event of the log: {why}"));
        let (Some(source), Some(id)) = (text("source"), text("id")) else { return Err(unread("it has no source or no id")) };
        let (Some(session), true) = (text("subject"), is_imported(source)) else { return Ok(()) };
        if !self.counted.insert(DedupeKey::of(source, id)) {
            return Ok(());
        }
        let Some(kind) = text("type").and_then(Kind::from_ce_type) else { return Ok(()) };
        let body = Body::deserialize_as(kind, &event["data"]).map_err(|error| unread(&error.to_string()))?;
        let time = text("time").and_then(Timestamp::parse);
        self.count_body(&body, (source.to_owned(), session.to_owned()), time);
        Ok(())
    }

    fn count_body(&mut self, body: &Body, name: SessionName, time: Option<Timestamp>) {
        let session = self.sessions.entry(name).or_default();
        match body {
            Body::SessionStarted(started) => {
                session.started = true;
                session.started_at = time;
                session.version = started.version.as_ref().map(ToString::to_string);
            }
            Body::MessagePosted(posted) => {
                self.turn("message");
                self.user_messages += u64::from(posted.role == Role::User);
                self.agent_messages += u64::from(posted.role == Role::Agent);
            }
            Body::ToolCalled(called) => {
                session.escalated |= called.tool == ESCALATING_TOOL;
                self.turn("tool_call");
                *self.tool_calls.entry(called.tool.clone()).or_default() += 1;
            }
            Body::ToolReturned(returned) => {
                self.turn("tool_result");
                if let Some(failed) = returned.failed {
                    *self.tool_errors.get_or_insert(0) += u64::from(failed);
                }
            }
            // What the customer's simulator spent is not the agent's.
            Body::ModelCalled(called) if called.by == Role::Agent => {
                sum(&mut self.tokens_in, called.tokens_in);
                sum(&mut self.tokens_out, called.tokens_out);
                if let Some(cost) = called.cost_usd {
                    self.cost.get_or_insert_default().add(Dollars::of(cost));
                }
            }
            // The first outcome counts; corrections are recorded.
            Body::OutcomeReported(outcome) => session.success = session.success.or(outcome.success),
            Body::SessionEnded(ended) => {
                session.ended_at = time;
                session.reason.clone_from(&ended.reason);
            }
            _ => {}
        }
    }

    fn turn(&mut self, kind: &'static str) {
        *self.by_kind.entry(kind).or_default() += 1;
    }

    /// The figures of everything counted.
    pub(super) fn report(self) -> Report {
        let sessions: Vec<Session> = self.sessions.into_values().filter(|session| session.started).collect();
        let with = |wanted: fn(&Session) -> bool| sessions.iter().filter(|session| wanted(session)).count() as u64;
        let mut termination: BTreeMap<String, u64> = BTreeMap::new();
        let mut versions: BTreeMap<String, Served> = BTreeMap::new();
        for session in &sessions {
            *termination.entry(session.reason.as_deref().unwrap_or(UNKNOWN_REASON).to_owned()).or_default() += 1;
            if let Some(version) = &session.version {
                let served = versions.entry(version.clone()).or_default();
                served.sessions += 1;
                served.success += u64::from(session.success == Some(true));
            }
        }
        Report {
            sessions: sessions.len() as u64,
            success: with(|session| session.success == Some(true)),
            failure: with(|session| session.success == Some(false)),
            turns: self.by_kind.values().sum(),
            by_kind: self.by_kind,
            user_messages: self.user_messages,
            agent_messages: self.agent_messages,
            tool_calls: self.tool_calls,
            tool_errors: self.tool_errors,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            cost_usd: self.cost.map(Dollars::rounded),
            escalated_sessions: with(|session| session.escalated),
            termination,
            versions,
            duration_s: Durations::of(&sessions),
        }
    }
}

// === impl Durations ===

impl Durations {
    fn of(sessions: &[Session]) -> Self {
        let lasted = |session: &Session| Some(session.ended_at?.since_us(session.started_at?));
        let mut lasted_us: Vec<i64> = sessions.iter().filter_map(lasted).collect();
        lasted_us.sort_unstable();
        Self { n: lasted_us.len() as u64, p50: nearest_rank_s(&lasted_us, 0.5), p95: nearest_rank_s(&lasted_us, 0.95) }
    }
}

// === helpers ===

/// The value at `sorted[ceil(q * n) - 1]`, in seconds.
fn nearest_rank_s(sorted_us: &[i64], q: f64) -> Option<f64> {
    let rank = (q * sorted_us.len() as f64).ceil() as usize;
    sorted_us.get(rank.checked_sub(1)?).map(|lasted_us| *lasted_us as f64 / 1e6)
}

fn sum(total: &mut Option<i64>, told: Option<i64>) {
    if let Some(told) = told {
        *total = Some(total.unwrap_or(0).saturating_add(told));
    }
}

/// Whether an import published it: every recorded session has a platform of that name.
fn is_imported(source: &str) -> bool {
    let platform = source.strip_prefix("/platforms/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    platform.strip_prefix(RECORDED_PLATFORM).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOURCE: &str = "/platforms/recorded-x-1/agents/travel";

    #[test]
    fn a_figure_that_nobody_tells_is_null_and_one_that_is_told_as_nothing_is_zero() {
        let told = |data: Value| counted(&[("session.started", "1", json!({})), ("tool.returned", "2", data)]);
        assert_eq!(told(json!({"by": "agent"}))["tool_errors"], Value::Null);
        assert_eq!(told(json!({"by": "agent", "failed": false}))["tool_errors"], json!(0));
        assert_eq!(told(json!({"by": "agent"}))["cost_usd"], Value::Null);
    }

    #[test]
    fn a_fact_that_the_log_holds_twice_counts_once() {
        let fact = ("tool.called", "1", json!({"by": "user", "tool": "transfer_to_human_agents"}));
        let report = counted(&[("session.started", "0", json!({})), fact.clone(), fact]);
        assert_eq!((&report["turns"], &report["escalated_sessions"]), (&json!(1), &json!(1)));
    }

    #[test]
    fn what_the_customers_simulator_spent_is_not_the_agents() {
        let spent = |by: &str, id| ("model.called", id, json!({"by": by, "tokens_in": 7, "cost_usd": 0.5}));
        let report = counted(&[("session.started", "0", json!({})), spent("user", "1"), spent("agent", "2")]);
        assert_eq!((&report["tokens_in"], &report["cost_usd"], &report["tokens_out"]), (&json!(7), &json!(0.5), &Value::Null));
    }

    #[test]
    fn sessions_that_no_import_published_are_passed_over() {
        let mut figures = Figures::default();
        for source in ["/platforms/shop/agents/a", "/platforms/recordedly/agents/a", "/people/ann"] {
            figures.count(&event(source, "session.started", "1", json!({}))).expect("readable");
        }
        assert_eq!(figures.report().sessions, 0);
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_exact_to_the_microsecond() {
        assert_eq!(nearest_rank_s(&[], 0.5), None);
        assert_eq!(nearest_rank_s(&[27_199_475], 0.95), Some(27.199_475));
        assert_eq!(nearest_rank_s(&[1_000_000, 2_000_000, 3_000_000, 4_000_000], 0.5), Some(2.0));
    }

    fn counted(events: &[(&str, &str, Value)]) -> Value {
        let mut figures = Figures::default();
        for (kind, id, data) in events {
            figures.count(&event(SOURCE, kind, id, data.clone())).expect("readable");
        }
        serde_json::to_value(figures.report()).expect("JSON")
    }

    fn event(source: &str, kind: &str, id: &str, data: Value) -> Value {
        json!({"source": source, "id": id, "type": format!("io.reeve.{kind}.v1"), "subject": "s", "data": data})
    }
}
