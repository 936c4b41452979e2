//! How this room puts its decisions: ids, basis, numbers, and a sentence for people.

use std::fmt;

use machine::{Debt, Machine};
use wire::record::decision_id;
use wire::{AgentId, Basis, Body, CapacityForecast, CapacityMeasured, CapacityWarned, Offset, Record, RecordId, Responsibility, Timestamp};

use crate::episode::Episode;
use crate::machine::Capacity;
use crate::policy::{Measure, Policy};
use crate::rules::Resolution;
use crate::usage::{Told, Usage};
use crate::watch::{Forecast, Outlook};

/// What every decision about an agent needs beside its numbers.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) agent: &'a AgentId,
    pub(crate) policy: &'a Policy,
    /// Who answers for the agent's operation.
    pub(crate) operator: Option<&'a str>,
}

/// What gives rise to a decision.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    causation: RecordId,
    /// One more than its own.
    hops: u8,
    /// What is said of the window that closed, where one did: a cause beside the record.
    measured: Option<RecordId>,
}

// === impl Desk ===

impl Desk<'_> {
    pub(crate) fn budget(&self, measure: Measure) -> Option<f64> {
        self.policy.budget(self.agent, measure)
    }

    fn id(&self, opener: Timestamp, name: &str, ordinal: u64) -> RecordId {
        decision_id(Capacity::SERVICE, self.agent.as_str(), &opener.to_string(), name, ordinal)
    }

    fn measured_id(&self, length: Resolution, index: i64) -> RecordId {
        self.id(length.start(index), &format!("measured.{}", length.as_str()), 0)
    }

    /// What a decision rests on; `asof` and `now` are stamped when it is asked for.
    fn basis(&self, rule: &str, trigger: &Trigger) -> Basis {
        let role = Responsibility::Operations.as_str();
        Basis {
            asof: Offset::BEFORE_ALL,
            now: Timestamp(0),
            rule: rule.to_owned(),
            policy: self.policy.version.clone(),
            causes: [Some(&trigger.causation), trigger.measured.as_ref()].into_iter().flatten().map(ToString::to_string).collect(),
            accountable: self.operator.map_or_else(|| role.to_owned(), |person| format!("{role}: {person}")),
        }
    }

    fn debt(&self, id: RecordId, trigger: &Trigger, body: impl Into<Body>) -> Debt {
        let (key, causation) = (self.agent.clone(), Some(trigger.causation.clone()));
        Debt { id, key, subject: None, causation, hops: trigger.hops, body: body.into() }
    }
}

// === impl Trigger ===

impl Trigger {
    /// A fact.
    pub(crate) fn record(record: &Record) -> Self {
        Self { causation: record.id.clone(), hops: record.hops.saturating_add(1), measured: None }
    }

    /// A window that closed: the record that opened it, and what is said of the window itself.
    pub(crate) fn window(opener: &RecordId, hops: u8, length: Resolution, index: i64, desk: Desk<'_>) -> Self {
        Self { causation: opener.clone(), hops: hops.saturating_add(1), measured: Some(desk.measured_id(length, index)) }
    }
}

/// `capacity.measured`: one per window, whenever it is asked for.
pub(crate) fn measured(length: Resolution, index: i64, usage: &Usage, trigger: &Trigger, desk: Desk<'_>) -> Debt {
    let [p50, p95, p99] = usage.latencies.quantiles([0.5, 0.95, 0.99]);
    let told = |n: u64, value: u64| (n > 0).then(|| signed(value));
    let failed = |calls: Told| told(calls.n, calls.failed);
    // Itself is no cause of it.
    let trigger = Trigger { measured: None, ..trigger.clone() };
    let body = CapacityMeasured {
        agent_id: desk.agent.clone(),
        from: length.start(index),
        until: length.end(index),
        sessions_started: signed(usage.started),
        sessions_ended: signed(usage.ended),
        concurrent_max: usage.concurrent_max.map_or(0, signed),
        events: signed(usage.events),
        tokens_in: usage.spent.tokens_in.map(signed),
        tokens_out: usage.spent.tokens_out.map(signed),
        cost_usd: usage.spent.cost_usd(),
        latency_p50_ms: p50,
        latency_p95_ms: p95,
        tool_errors: failed(usage.tools),
        model_errors: failed(usage.models),
        // None is not said: that nobody asked for a human is not known of a room that may not have looked.
        escalations: told(usage.escalations, usage.escalations),
        outcomes: signed(usage.outcomes),
        late: signed(usage.late),
        basis: desk.basis("measured", &trigger),
        window: Some(length.as_str().to_owned()),
        latency_p99_ms: p99,
        latency_n: Some(signed(usage.latencies.count())),
        tokens_n: Some(signed(usage.tokens_n)),
        cost_n: Some(signed(usage.cost_n)),
        tool_n: Some(signed(usage.tools.n)),
        model_n: Some(signed(usage.models.n)),
        ahead: Some(signed(usage.ahead)),
        late_tokens: usage.late_spent.tokens().map(signed),
        late_cost_usd: usage.late_spent.cost_usd(),
    };
    desk.debt(desk.measured_id(length, index), &trigger, body)
}

/// `capacity.warned` of a budget that is passed.
///
/// It was passed in `place`, a minute or a day, which may lie long after the episode began.
pub(crate) fn passed(measure: Measure, episode: &Episode, place: i64, value: f64, trigger: &Trigger, desk: Desk<'_>) -> Debt {
    let summary = format!("{}: {}, and the budget is {}.", desk.agent, in_words(measure, value, place), amount(measure, episode.budget));
    let body = CapacityWarned {
        agent_id: desk.agent.clone(),
        measure: measure.to_string(),
        budget: episode.budget,
        value,
        passed: true,
        exhausted_at: None,
        summary,
        basis: desk.basis("budget_passed", trigger),
        expected: None,
        low: None,
        high: None,
        horizon_s: None,
        n: None,
    };
    desk.debt(desk.id(begun(measure, episode), &format!("{measure}.passed"), episode.ordinal), trigger, body)
}

/// `capacity.warned` of a budget that will be passed.
pub(crate) fn foretold(measure: Measure, episode: &Episode, value: f64, forecast: &Forecast, trigger: &Trigger, desk: Desk<'_>) -> Debt {
    let exhausted_at = forecast.passed_in.map(|minute| Resolution::Minute.start(minute));
    let summary = format!(
        "{}: at the present trend {} will pass the budget of {}{}: {} expected by {} ({} to {} with 90 %), from {} minutes.",
        desk.agent,
        name_in_words(measure),
        amount(measure, episode.budget),
        exhausted_at.map_or_else(String::new, |at| format!(" at about {}", short(at))),
        amount(measure, forecast.expected.value),
        short(forecast.at),
        amount(measure, forecast.expected.low),
        amount(measure, forecast.expected.high),
        forecast.n,
    );
    let body = CapacityWarned {
        agent_id: desk.agent.clone(),
        measure: measure.to_string(),
        budget: episode.budget,
        value,
        passed: false,
        exhausted_at: exhausted_at.map(|at| at.to_string()),
        summary,
        basis: desk.basis("budget_trend", trigger),
        expected: Some(forecast.expected.value),
        low: Some(forecast.expected.low),
        high: Some(forecast.expected.high),
        horizon_s: Some(desk.policy.horizon_s),
        n: Some(forecast.n as i64),
    };
    desk.debt(desk.id(begun(measure, episode), &format!("{measure}.foretold"), episode.ordinal), trigger, body)
}

/// `capacity.forecast` at the end of an hour.
pub(crate) fn forecast(measure: Measure, hour: i64, at: Timestamp, outlook: &Outlook, trigger: &Trigger, desk: Desk<'_>) -> Debt {
    let (state, forecast, said) = match outlook {
        Outlook::Insufficient(missing) => {
            ("insufficient", None, format!("nobody can tell where {} leads: {missing}", name_in_words(measure)))
        }
        Outlook::Expected(forecast) => ("forecast", Some(forecast), expectation(measure, forecast)),
    };
    let expected = forecast.map(|forecast| forecast.expected);
    let body = CapacityForecast {
        agent_id: desk.agent.clone(),
        measure: measure.to_string(),
        state: state.to_owned(),
        at: forecast.map_or(at.plus_s(desk.policy.horizon_s), |forecast| forecast.at),
        value: expected.map(|expected| expected.value),
        low: expected.map(|expected| expected.low),
        high: expected.map(|expected| expected.high),
        summary: format!("{}: {said}.", desk.agent),
        basis: desk.basis("trend", trigger),
        budget: desk.budget(measure),
        n: forecast.map(|forecast| forecast.n as i64),
    };
    desk.debt(desk.id(Resolution::Hour.start(hour), &format!("forecast.{measure}"), 0), trigger, body)
}

/// What is expected, in words.
pub(crate) fn expectation(measure: Measure, forecast: &Forecast) -> String {
    format!(
        "{} expected by {} ({} to {} with 90 %), from {} minutes",
        amount(measure, forecast.expected.value),
        short(forecast.at),
        amount(measure, forecast.expected.low),
        amount(measure, forecast.expected.high),
        forecast.n
    )
}

/// An amount of what is measured, with its unit.
pub(crate) fn amount(measure: Measure, value: f64) -> String {
    match measure {
        Measure::TokensPerMinute => counted(format_args!("{value:.0}"), "token a minute", "tokens a minute"),
        Measure::CostUsdPerDay => format!("{value:.2} USD"),
        Measure::ConcurrentSessions => counted(format_args!("{value:.0}"), "session at once", "sessions at once"),
    }
}

/// A count and what is counted, by its name for one of it or for any other number.
pub(crate) fn counted(count: impl fmt::Display, one: &str, many: &str) -> String {
    let count = count.to_string();
    let name = if count == "1" { one } else { many };
    format!("{count} {name}")
}

/// A time to the minute.
pub(crate) fn short(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..16).map_or_else(|| text.clone(), |minute| format!("{minute}Z"))
}

/// A count as the wire has it: beyond its limit it is the limit.
pub(crate) fn signed(count: u64) -> i64 {
    const COUNT_MAX: i64 = 1 << 53;
    i64::try_from(count).unwrap_or(COUNT_MAX).min(COUNT_MAX)
}

fn in_words(measure: Measure, value: f64, place: i64) -> String {
    match measure {
        Measure::TokensPerMinute => {
            let tokens = counted(format_args!("{value:.0}"), "token", "tokens");
            format!("{tokens} in the minute from {}", short(Resolution::Minute.start(place)))
        }
        Measure::CostUsdPerDay => format!("{value:.2} USD spent on {}", &short(Resolution::Day.start(place))[..10]),
        Measure::ConcurrentSessions => amount(measure, value),
    }
}

fn name_in_words(measure: Measure) -> &'static str {
    match measure {
        Measure::TokensPerMinute => "the use of tokens",
        Measure::CostUsdPerDay => "the cost of the day",
        Measure::ConcurrentSessions => "the number of sessions at once",
    }
}

/// When an episode began.
fn begun(measure: Measure, episode: &Episode) -> Timestamp {
    match measure {
        Measure::CostUsdPerDay => Resolution::Day.start(episode.since),
        Measure::TokensPerMinute | Measure::ConcurrentSessions => Resolution::Minute.start(episode.since),
    }
}
