//! One session: what it has shown so far, and which of its facts call for a human.
//!
//! Texts are looked at and not kept. Whatever is kept of a platform's words is cut to a bound.

use serde::{Deserialize, Serialize};
use wire::{Body, DecisionMade, MessagePosted, RecordId, Role, Timestamp, short_digest};

use crate::episode::Episode;
use crate::policy::{InForce, Policy, SECURITY};
use crate::rules::{Effort, Trend};
use crate::sentiment;
use crate::signal::{Call, Sight, Trigger};

/// Distinct tools that a session tells apart. Further ones count as steps, not as systems.
pub(crate) const SYSTEMS_MAX: usize = 32;

/// Bytes that are kept of a segment's, a channel's or a language's name, for conditions to look at.
pub(crate) const LABEL_BYTES_MAX: usize = 128;

/// What a session has shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    segment: Option<String>,
    channel: Option<String>,
    language: Option<String>,
    pub(crate) trend: Trend,
    confidence: Option<f64>,
    work: Work,
    /// The open escalation.
    pub(crate) episode: Option<Box<Episode>>,
    /// The last one that closed: what still comes of it opens nothing.
    pub(crate) closed: Option<RecordId>,
    /// Whether one was ever raised.
    pub(crate) was_raised: bool,
    /// Whether it told who brought it to its end.
    pub(crate) told_outcome: bool,
    /// It ended: facts that come after call nobody.
    pub(crate) ended: bool,
}

/// What the agent did in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Work {
    called: u32,
    returned: u32,
    decided: u32,
    retries: u32,
    /// Calls of the agent that failed in a row.
    failures: u32,
    /// These failures called already.
    failures_called: bool,
    tools: Vec<Use>,
    /// It was found too involved already.
    is_too_much: bool,
}

/// What is known of a tool that the agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(Tool, bool, bool)", into = "(Tool, bool, bool)")]
struct Use {
    tool: Tool,
    /// Its last return told of a failure, and it was not called since.
    failed: bool,
    /// Its calls are told of: then a retry is a call, and a return is none.
    is_called: bool,
}

/// A tool, as a digest of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Tool(u64);

/// What the facts of an agent's sessions were, for people who ask why nobody was called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Turns of users with a score, sent or made.
    pub(crate) scored: u64,
    /// Turns of users without one.
    pub(crate) unscored: u64,
    /// Texts of users that were searched for topics.
    pub(crate) texts: u64,
    /// Decisions that stated a confidence.
    pub(crate) confidences: u64,
    /// Steps of agents.
    pub(crate) steps: u64,
    /// Calls of agents that told whether they failed.
    pub(crate) calls: u64,
}

// === impl Session ===

impl Session {
    /// A fact of this session. Which reasons to call a human it gives.
    pub(crate) fn saw(&mut self, body: &Body, in_force: &InForce, seen: &mut Seen) -> Vec<Call> {
        let before = self.work.effort().steps;
        let calls = self.shows(body, in_force, seen);
        seen.steps += u64::from(self.work.effort().steps.saturating_sub(before));
        calls
    }

    fn shows(&mut self, body: &Body, in_force: &InForce, seen: &mut Seen) -> Vec<Call> {
        let policy = in_force.policy();
        match body {
            Body::SessionStarted(started) => {
                self.segment = started.segment.as_ref().map(|segment| label(segment.as_str()));
                self.channel = started.channel.as_deref().map(label);
                Vec::new()
            }
            Body::MessagePosted(message) if message.role == Role::User => self.user_said(message, in_force, seen),
            Body::MessagePosted(message) if message.role == Role::Agent => self.gave_up(message.text.as_deref(), in_force),
            Body::DecisionMade(decision) => self.agent_decided(decision, in_force, seen),
            Body::ToolCalled(called) if called.by == Role::Agent => {
                self.work.called = self.work.called.saturating_add(1);
                self.work.calls_tool(Tool::of(&called.tool));
                let mut calls = self.gave_up(Some(&called.tool), in_force);
                calls.extend(self.too_much(policy));
                calls
            }
            Body::ToolReturned(returned) if returned.by == Role::Agent => {
                self.work.returned = self.work.returned.saturating_add(1);
                let tool = returned.tool.as_deref().map(Tool::of);
                tool.into_iter().for_each(|tool| self.work.tool_returned(tool, returned.failed));
                let mut calls: Vec<Call> = self.call_told(returned.failed, policy, seen).into_iter().collect();
                calls.extend(self.too_much(policy));
                calls
            }
            Body::ModelCalled(called) if called.by == Role::Agent => self.call_told(called.failed, policy, seen).into_iter().collect(),
            Body::FindingReported(_) => vec![Call::topic(SECURITY)],
            _ => Vec::new(),
        }
    }

    /// What conditions look at.
    pub(crate) fn sight(&self) -> Sight {
        let Effort { steps, systems, retries } = self.work.effort();
        Sight {
            sentiment: self.trend.value,
            confidence: self.confidence,
            segment: self.segment.clone(),
            channel: self.channel.clone(),
            language: self.language.clone(),
            steps,
            systems,
            retries,
            failures: self.work.failures,
        }
    }

    /// A human has dealt with it: what was shown before calls nobody again.
    pub(crate) fn begin_anew(&mut self) {
        self.trend = Trend::default();
        self.confidence = None;
        self.work = Work::default();
    }

    /// It ended. Nothing of it matters any more but that it did.
    pub(crate) fn end(&mut self) {
        let Self { closed, was_raised, told_outcome, .. } = std::mem::take(self);
        *self = Self { closed, was_raised, told_outcome, ended: true, ..Self::default() };
    }

    fn user_said(&mut self, message: &MessagePosted, in_force: &InForce, seen: &mut Seen) -> Vec<Call> {
        let policy = in_force.policy();
        let language = message.language.as_deref().or(policy.language.as_deref());
        if let Some(language) = language {
            self.language = Some(label(&language.split(['-', '_']).next().unwrap_or_default().to_lowercase()));
        }
        let text = message.text.as_deref();
        let sent = message.sentiment.filter(|sent| (-1.0..=1.0).contains(sent));
        // Which language an untagged text is in is assumed, unless its letters say otherwise.
        let may_score = |text: &&str| message.language.is_some() || sentiment::is_latin(text);
        let score = sent.or_else(|| text.filter(may_score).and_then(|text| sentiment::score(text, language)));
        let mut calls: Vec<Call> = Vec::new();
        if let Some(text) = text {
            seen.texts += 1;
            calls.extend(in_force.topics_in(text).map(Call::topic));
        }
        calls.extend(self.mood(score, policy, seen));
        calls
    }

    fn mood(&mut self, score: Option<f64>, policy: &Policy, seen: &mut Seen) -> Option<Call> {
        let Some(score) = score else {
            seen.unscored += 1;
            let turns = policy.mood.unknown_turns.map(f64::from);
            return self.trend.saw_unknown(&policy.mood).then(|| Call::of(Trigger::SentimentUnknown, turns));
        };
        seen.scored += 1;
        self.trend.saw(score, &policy.mood).then(|| Call::of(Trigger::Sentiment, Some(policy.mood.enter)))
    }

    fn agent_decided(&mut self, decision: &DecisionMade, in_force: &InForce, seen: &mut Seen) -> Vec<Call> {
        let policy = in_force.policy();
        self.work.decided = self.work.decided.saturating_add(1);
        let mut calls = self.gave_up(Some(&decision.action), in_force);
        // What is not stated is not known: it neither calls, nor does the last statement stand for it.
        self.confidence = decision.confidence.filter(|stated| (0.0..=1.0).contains(stated));
        seen.confidences += u64::from(self.confidence.is_some());
        let least = policy.confidence_min.filter(|least| self.confidence.is_some_and(|stated| stated < *least));
        calls.extend(least.map(|least| Call::of(Trigger::Confidence, Some(least))));
        calls.extend(self.too_much(policy));
        calls
    }

    fn gave_up(&self, text: Option<&str>, in_force: &InForce) -> Vec<Call> {
        text.filter(|text| in_force.gives_up(text)).map(|_| Call::of(Trigger::AgentFailure, None)).into_iter().collect()
    }

    /// A call of the agent that told whether it failed. One that did not tell breaks no row.
    fn call_told(&mut self, failed: Option<bool>, policy: &Policy, seen: &mut Seen) -> Option<Call> {
        let failed = failed?;
        seen.calls += 1;
        self.work.failures = if failed { self.work.failures.saturating_add(1) } else { 0 };
        // A policy may lower the limit below what was seen.
        let most = policy.failures_max;
        let is_too_many = self.work.failures >= most;
        let had_called = std::mem::replace(&mut self.work.failures_called, is_too_many);
        (is_too_many && !had_called).then(|| Call::of(Trigger::AgentFailure, Some(f64::from(most))))
    }

    fn too_much(&mut self, policy: &Policy) -> Option<Call> {
        let limit = self.work.effort().over(&policy.complexity)?;
        let was_too_much = std::mem::replace(&mut self.work.is_too_much, true);
        (!was_too_much).then(|| Call::of(Trigger::Complexity, Some(f64::from(limit))))
    }
}

// === impl Work ===

impl Work {
    fn effort(&self) -> Effort {
        // A platform may tell of calls, of returns, or of both.
        let steps = self.called.max(self.returned).saturating_add(self.decided);
        Effort { steps, systems: self.tools.len() as u32, retries: self.retries }
    }

    fn calls_tool(&mut self, tool: Tool) {
        let Some(known) = self.used(tool) else { return };
        known.is_called = true;
        if std::mem::take(&mut known.failed) {
            self.retries = self.retries.saturating_add(1);
        }
    }

    fn tool_returned(&mut self, tool: Tool, told: Option<bool>) {
        let Some(known) = self.used(tool) else { return };
        // Of two calls at once both may fail, and neither repeats the other: where calls are told of, they are counted.
        let is_retry = known.failed && !known.is_called;
        known.failed = told == Some(true);
        if is_retry {
            self.retries = self.retries.saturating_add(1);
        }
    }

    /// What is known of this tool; `None`: there are too many to tell.
    fn used(&mut self, tool: Tool) -> Option<&mut Use> {
        let place = match self.tools.iter().position(|known| known.tool == tool) {
            Some(place) => place,
            None if self.tools.len() == SYSTEMS_MAX => return None,
            None => {
                self.tools.push(Use { tool, failed: false, is_called: false });
                self.tools.len() - 1
            }
        };
        self.tools.get_mut(place)
    }
}

// === impl Use ===

/// In a snapshot there are very many, and none of them needs the names of its fields.
impl From<Use> for (Tool, bool, bool) {
    fn from(Use { tool, failed, is_called }: Use) -> Self {
        (tool, failed, is_called)
    }
}

impl From<(Tool, bool, bool)> for Use {
    fn from((tool, failed, is_called): (Tool, bool, bool)) -> Self {
        Self { tool, failed, is_called }
    }
}

// === impl Tool ===

impl Tool {
    fn of(name: &str) -> Self {
        Self(short_digest("tool", name))
    }
}

fn label(text: &str) -> String {
    text[..text.floor_char_boundary(LABEL_BYTES_MAX)].to_owned()
}

/// When a session that is heard of at `at` is forgotten.
pub(crate) fn idle_at(session: &Session, at: Timestamp, policy: &Policy) -> Timestamp {
    /// An ended session is still known for so long: facts that were overtaken by its end find it ended.
    const ENDED_KNOWN_S: i64 = 300;
    at.plus_s(if session.ended { ENDED_KNOWN_S.min(policy.idle_s) } else { policy.idle_s })
}
