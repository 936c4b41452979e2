//! What one simulated session consists of: facts, and when each is reported.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use wire::{Body, MessagePosted, ModelCalled, OutcomeReported, Role, SessionEnded, SessionStarted, ToolCalled, ToolReturned, VersionId};

/// How often a session of a good version succeeds.
pub(super) const SUCCESS_OF_GOOD: f64 = 0.95;
/// How often a tool fails whatever the version: well inside the objective of 95 %.
const TOOL_FAILURE: f64 = 0.01;

/// Kinds of tasks, in turn, so that every version meets the same mix.
const SEGMENTS: [Task; 4] = [
    Task { segment: "refund", asks: "I was charged twice, please give one back.", tool: "ledger.search" },
    Task { segment: "address-change", asks: "I have moved, here is my new address.", tool: "customer.update" },
    Task { segment: "invoice-copy", asks: "Please send me the invoice of March again.", tool: "invoice.fetch" },
    Task { segment: "cancellation", asks: "I want to cancel my contract.", tool: "contract.read" },
];

struct Task {
    segment: &'static str,
    asks: &'static str,
    tool: &'static str,
}

/// A session to be played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    /// The version that serves it; none: a human does.
    pub(super) version: Option<&'a VersionId>,
    /// How many of this version came before it.
    pub(super) ordinal: usize,
    /// How often such a session succeeds.
    pub(super) success: f64,
}

// === impl Session ===

impl Session<'_> {
    /// Its facts, each with the time since its start.
    pub(super) fn facts(&self, rng: &mut ChaCha8Rng) -> Vec<(Duration, Body)> {
        let task = &SEGMENTS[self.ordinal % SEGMENTS.len()];
        let pace = Duration::from_millis(rng.random_range(120..240));
        let mut facts = vec![started(self.version, task), asked(task)];
        if self.version.is_some() {
            facts.extend([model_called(rng), tool_called(task), tool_returned(task, rng.random_bool(TOOL_FAILURE), rng), answered()]);
        }
        facts.push(outcome(rng.random_bool(self.success), self.version.is_some(), rng));
        facts.push(SessionEnded { reason: Some("completed".to_owned()), version: None }.into());
        facts.into_iter().enumerate().map(|(index, body)| (pace * index as u32, body)).collect()
    }
}

fn started(version: Option<&VersionId>, task: &Task) -> Body {
    let environment = Some("simulation".to_owned());
    SessionStarted { version: version.cloned(), segment: Some(task.segment.into()), channel: Some("chat".to_owned()), environment }.into()
}

fn asked(task: &Task) -> Body {
    said(Role::User, task.asks, 0)
}

fn answered() -> Body {
    said(Role::Agent, "Done. Is there anything else?", 1)
}

fn said(role: Role, text: &str, turn: i64) -> Body {
    let text = Some(text.to_owned());
    MessagePosted { role, text, sentiment: None, language: Some("en".to_owned()), turn: Some(turn), version: None }.into()
}

fn model_called(rng: &mut ChaCha8Rng) -> Body {
    ModelCalled {
        model: Some("simulated".to_owned()),
        served_model: None,
        by: Role::Agent,
        tokens_in: Some(rng.random_range(400..1_600)),
        tokens_out: Some(rng.random_range(40..240)),
        cost_usd: None,
        latency_ms: Some(f64::from(rng.random_range(200_u32..900))),
        finish_reason: Some("stop".to_owned()),
        failed: Some(false),
        error: None,
        turn: Some(1),
        version: None,
    }
    .into()
}

fn tool_called(task: &Task) -> Body {
    let arguments = Some("{}".to_owned());
    ToolCalled { tool: task.tool.to_owned(), by: Role::Agent, call_id: None, arguments, turn: Some(1), version: None }.into()
}

fn tool_returned(task: &Task, failed: bool, rng: &mut ChaCha8Rng) -> Body {
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

fn outcome(success: bool, by_agent: bool, rng: &mut ChaCha8Rng) -> Body {
    OutcomeReported {
        success: Some(success || !by_agent),
        csat: None,
        handled_by: Some(if by_agent { Role::Agent } else { Role::Human }),
        handling_s: Some(f64::from(rng.random_range(20_u32..90))),
        version: None,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use wire::Kind;

    use super::*;

    fn kinds(session: Session<'_>) -> Vec<Kind> {
        session.facts(&mut ChaCha8Rng::seed_from_u64(1)).iter().map(|(_, body)| body.kind()).collect()
    }

    #[test]
    fn every_session_begins_tells_its_outcome_and_ends() {
        let version = VersionId::from("v1");
        for version in [Some(&version), None] {
            let kinds = kinds(Session { version, ordinal: 3, success: 0.5 });
            assert_eq!(kinds.first(), Some(&Kind::SessionStarted));
            assert_eq!(kinds[kinds.len() - 2..], [Kind::OutcomeReported, Kind::SessionEnded]);
        }
    }

    #[test]
    fn what_a_human_handles_calls_no_model() {
        assert!(!kinds(Session { version: None, ordinal: 0, success: 0.5 }).contains(&Kind::ModelCalled));
    }

    #[test]
    fn every_fact_of_a_session_passes_the_limits() {
        let version = VersionId::from("v1");
        let session = Session { version: Some(&version), ordinal: 0, success: 0.5 };
        for (_, body) in session.facts(&mut ChaCha8Rng::seed_from_u64(7)) {
            let mut event = crate::fact::event("/platforms/simulation/agents/billing", "billing", body);
            event.subject = Some("s-1".into());
            assert_eq!(wire::limits::check(&event), []);
        }
    }
}
