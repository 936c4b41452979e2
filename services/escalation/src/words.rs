//! How this room puts its decisions: ids, basis, and a sentence for people. Nothing that a platform wrote is in it but
//! the session's id.

use machine::{Debt, Machine};
use wire::record::decision_id;
use wire::{
    AgentId, Basis, Body, EscalationClosed, EscalationOverdue, EscalationRaised, Offset, Record, RecordId, Responsibility, SessionId,
    Timestamp,
};

use crate::agent::Desk;
use crate::episode::{Due, Episode, RAISES_MAX};
use crate::machine::Escalation;
use crate::policy::Route;
use crate::signal::{Call, Sight, Trigger};

/// How an escalation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Returned,
    Ended,
    TimedOut,
}

/// The id of the escalation that a record opens, which is that of its first call, too.
pub(crate) fn escalation_id(agent: &AgentId, opener: &Record) -> RecordId {
    decision_id(Escalation::SERVICE, agent.as_str(), &opener.opener(), "escalation.raised", 0)
}

/// The id of an escalation's call after `raises` others.
pub(crate) fn raised_id(agent: &AgentId, escalation: &RecordId, raises: u32) -> RecordId {
    match raises {
        0 => escalation.clone(),
        raises => decision_id(Escalation::SERVICE, agent.as_str(), escalation.as_str(), "escalation.raised", u64::from(raises)),
    }
}

/// The id of what says that an escalation's deadline of this number was missed.
pub(crate) fn overdue_id(agent: &AgentId, escalation: &RecordId, number: u64) -> RecordId {
    decision_id(Escalation::SERVICE, agent.as_str(), escalation.as_str(), "escalation.overdue", number)
}

/// How many calls of an escalation came before this one, as its id says; none if it is not of this room's making.
pub(crate) fn raises_of(agent: &AgentId, escalation: &RecordId, raised: &RecordId) -> u32 {
    (1..=RAISES_MAX).find(|raises| raised_id(agent, escalation, *raises) == *raised).unwrap_or(0)
}

/// What a call says.
pub(crate) struct Said<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) record: &'a Record,
    pub(crate) call: &'a Call,
    pub(crate) sight: &'a Sight,
    pub(crate) route: &'a Route,
    /// The priority before; absent: it is the first call.
    pub(crate) from_priority: Option<i64>,
    pub(crate) due: Due,
}

impl Desk<'_> {
    /// `escalation.raised`. Its `due_at` is the deadline that stands, or [`UNDATED`]; [`dated`] makes it sooner when it is
    /// asked for.
    pub(crate) fn raised(&self, episode: &Episode, said: &Said<'_>) -> Debt {
        let Said { session, record, call, sight, route, from_priority, due } = *said;
        let known = |count: u32| (count > 0).then_some(i64::from(count));
        let target = &route.target;
        let human = if from_priority.is_some() { "a human more urgently" } else { "a human" };
        let within = due.sla_s.map_or_else(|| "by its deadline".to_owned(), |sla_s| format!("within {sla_s} s"));
        let body = EscalationRaised {
            agent_id: self.agent.clone(),
            escalation_id: episode.id.to_string(),
            session_id: session.clone(),
            priority: route.priority,
            trigger: call.trigger.as_str().to_owned(),
            route: route.name.clone(),
            due_at: due.before.unwrap_or(UNDATED),
            summary: format!(
                "{}: session {session} needs {human}: {}; {} {} shall take it {within}, priority {}.",
                self.agent,
                because(call, sight),
                target.kind(),
                target.name(),
                route.priority
            ),
            basis: self.basis(call.trigger.as_str(), &episode.policy, episode.role, episode.causes()),
            sla_s: due.sla_s,
            from_priority,
            target_kind: Some(target.kind().to_owned()),
            target: Some(target.name().to_owned()),
            topic: call.topic.clone(),
            sentiment: sight.sentiment,
            confidence: sight.confidence,
            steps: known(sight.steps),
            systems: known(sight.systems),
            retries: known(sight.retries),
            failures: known(sight.failures),
            threshold: call.threshold,
        };
        self.debt(episode.raised.clone(), session, record.id.clone(), record.hops.saturating_add(1), body)
    }

    /// `escalation.overdue`
    pub(crate) fn overdue(&self, episode: &Episode, session: &SessionId, due_at: Timestamp, number: u64) -> Debt {
        let body = EscalationOverdue {
            agent_id: self.agent.clone(),
            escalation_id: episode.id.to_string(),
            session_id: session.clone(),
            due_at,
            summary: format!("{}: nobody took session {session} in time, priority {}, {}.", self.agent, episode.priority, episode.route),
            basis: self.basis("not_claimed_in_time", &episode.policy, episode.role, episode.causes()),
        };
        self.debt(overdue_id(self.agent, &episode.id, number), session, episode.raised.clone(), episode.hops.saturating_add(1), body)
    }

    /// `escalation.closed`, by `record` or by time.
    pub(crate) fn closed(&self, episode: &Episode, session: &SessionId, outcome: Outcome, record: Option<&Record>) -> Debt {
        let waited_s = episode.waited_s();
        let waited = match (&episode.claim, waited_s) {
            (None, _) => "no human had taken it".to_owned(),
            (Some(_), None) => "a human took it before its call was on the log".to_owned(),
            (Some(_), Some(waited_s)) => format!("a human took it after {waited_s:.0} s"),
        };
        let causes = episode.causes().chain(record.map(|record| &record.id));
        let body = EscalationClosed {
            agent_id: self.agent.clone(),
            escalation_id: episode.id.to_string(),
            session_id: session.clone(),
            outcome: outcome.as_str().to_owned(),
            waited_s,
            summary: format!("{}: the escalation of session {session} is over, {}; {waited}.", self.agent, outcome.in_words()),
            basis: self.basis(outcome.as_str(), &episode.policy, episode.role, causes),
        };
        let id = decision_id(Escalation::SERVICE, self.agent.as_str(), episode.id.as_str(), "escalation.closed", 0);
        let (cause, hops) = record.map_or((&episode.raised, episode.hops), |record| (&record.id, record.hops));
        self.debt(id, session, cause.clone(), hops.saturating_add(1), body)
    }

    fn basis<'a>(&self, rule: &str, policy: &str, role: Responsibility, causes: impl Iterator<Item = &'a RecordId>) -> Basis {
        let name = role.as_str();
        let accountable = self.people.get(&role).map_or_else(|| name.to_owned(), |person| format!("{name}: {person}"));
        Basis {
            asof: Offset::BEFORE_ALL,
            now: Timestamp(0),
            rule: rule.to_owned(),
            policy: policy.to_owned(),
            causes: causes.map(ToString::to_string).collect(),
            accountable,
        }
    }

    fn debt(&self, id: RecordId, session: &SessionId, causation: RecordId, hops: u8, body: impl Into<Body>) -> Debt {
        Debt { id, key: self.agent.clone(), subject: Some(session.clone()), causation: Some(causation), hops, body: body.into() }
    }
}

/// No deadline stands.
const UNDATED: Timestamp = Timestamp(0);

/// A call with its deadline: so many seconds from when it is decided, unless a sooner one stands. What people cannot
/// know yet is not due.
pub(crate) fn dated(mut body: Body) -> Body {
    if let Body::EscalationRaised(EscalationRaised { due_at, sla_s: Some(sla_s), basis, .. }) = &mut body {
        let own = basis.now.plus_s(*sla_s);
        *due_at = if *due_at == UNDATED { own } else { own.min(*due_at) };
    }
    body
}

// === impl Outcome ===

impl Outcome {
    /// The symbol on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Ended => "ended",
            Self::TimedOut => "timed_out",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Returned => "it was given back",
            Self::Ended => "the session ended",
            Self::TimedOut => "nothing more was heard of it",
        }
    }
}

/// Why a human is needed, for people.
fn because(call: &Call, sight: &Sight) -> String {
    let trend = || sight.sentiment.map_or_else(|| "unknown".to_owned(), |trend| format!("{trend:.2}"));
    let threshold = || call.threshold.map_or_else(String::new, |threshold| format!("{threshold}"));
    match (call.trigger, &call.topic) {
        (Trigger::Policy, Some(topic)) => format!("it touches the topic {topic}"),
        (Trigger::Policy, None) => "it touches a topic of the policy".to_owned(),
        (Trigger::AgentFailure, _) if call.threshold.is_some() => {
            format!("{} of the agent failed in a row", counted(sight.failures, "call"))
        }
        (Trigger::AgentFailure, _) => "the agent says that it cannot go on".to_owned(),
        (Trigger::Sentiment, _) => format!("the user's mood has come to {} (at {} somebody is called)", trend(), threshold()),
        (Trigger::SentimentUnknown, _) => {
            let turns = call.threshold.map_or(0, |turns| turns as u32);
            format!("the user's mood could not be told for {}", counted(turns, "turn"))
        }
        (Trigger::Confidence, _) => {
            let stated = sight.confidence.map_or_else(String::new, |stated| format!("{stated}"));
            format!("the agent is sure of its decision by {stated} only ({} is asked for)", threshold())
        }
        (Trigger::Complexity, _) => {
            let retries = if sight.retries == 1 { "1 retry".to_owned() } else { format!("{} retries", sight.retries) };
            format!("it has come to {}, {} and {retries}", counted(sight.steps, "step"), counted(sight.systems, "system"))
        }
    }
}

/// So many of a thing, in words.
fn counted(count: u32, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}
