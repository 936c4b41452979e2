//! The single facts that simulated sessions are made of.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use wire::{Body, MessagePosted, ModelCalled, OutcomeReported, Role, SessionEnded, SessionStarted, ToolCalled, ToolReturned, VersionId};

/// US dollars of a million tokens, in and out, of the simulated model.
const USD_PER_MILLION_IN: f64 = 2.0;
const USD_PER_MILLION_OUT: f64 = 8.0;

/// A kind of task.
pub(super) struct Task {
    /// The segment that it belongs to.
    pub(super) segment: &'static str,
    /// What the customer asks for.
    pub(super) asks: &'static str,
    /// The tool that it takes.
    pub(super) tool: &'static str,
}

pub(super) fn started(version: Option<&VersionId>, task: &Task) -> Body {
    let environment = Some("simulation".to_owned());
    SessionStarted { version: version.cloned(), segment: Some(task.segment.into()), channel: Some("chat".to_owned()), environment }.into()
}

/// What a customer says, and in what mood.
pub(super) fn asked(text: &str, sentiment: f64, turn: i64) -> Body {
    message(Role::User, text, Some(sentiment), turn)
}

/// What the agent says; nobody scores its mood.
pub(super) fn answered(text: &str, turn: i64) -> Body {
    message(Role::Agent, text, None, turn)
}

fn message(role: Role, text: &str, sentiment: Option<f64>, turn: i64) -> Body {
    let text = Some(text.to_owned());
    MessagePosted { role, text, sentiment, language: Some("en".to_owned()), turn: Some(turn), version: None }.into()
}

/// A model call, `slower` and `longer` than it should be by these factors.
pub(super) fn model_called(slower: f64, longer: f64, rng: &mut ChaCha8Rng) -> Body {
    let grown = |tokens: f64| (tokens * longer).round() as i64;
    let (tokens_in, tokens_out) = (grown(rng.random_range(400.0..1_600.0)), grown(rng.random_range(40.0..240.0)));
    let cost_usd = (tokens_in as f64 * USD_PER_MILLION_IN + tokens_out as f64 * USD_PER_MILLION_OUT) / 1e6;
    ModelCalled {
        model: Some("simulated".to_owned()),
        served_model: None,
        by: Role::Agent,
        tokens_in: Some(tokens_in),
        tokens_out: Some(tokens_out),
        cost_usd: Some(cost_usd),
        latency_ms: Some((rng.random_range(200.0..900.0_f64) * slower).round()),
        finish_reason: Some("stop".to_owned()),
        failed: Some(false),
        error: None,
        turn: Some(1),
        version: None,
    }
    .into()
}

/// A call for one customer; who that is tells one call from another.
pub(super) fn tool_called(task: &Task, customer: u32) -> Body {
    let arguments = Some(format!(r#"{{"customer":"c-{customer}"}}"#));
    ToolCalled { tool: task.tool.to_owned(), by: Role::Agent, call_id: None, arguments, turn: Some(1), version: None }.into()
}

pub(super) fn tool_returned(task: &Task, failed: bool, rng: &mut ChaCha8Rng) -> Body {
    ToolReturned {
        tool: Some(task.tool.to_owned()),
        by: Role::Agent,
        call_id: None,
        result: None,
        failed: Some(failed),
        error: failed.then(|| "timeout".to_owned()),
        latency_ms: Some(f64::from(rng.random_range(20_u32..120))),
        turn: Some(1),
        version: None,
    }
    .into()
}

pub(super) fn outcome(success: bool, by: Role, rng: &mut ChaCha8Rng) -> Body {
    OutcomeReported {
        success: Some(success),
        csat: None,
        handled_by: Some(by),
        handling_s: Some(f64::from(rng.random_range(20_u32..90))),
        version: None,
    }
    .into()
}

pub(super) fn ended(reason: &str) -> Body {
    SessionEnded { reason: Some(reason.to_owned()), version: None }.into()
}
