//! What may be wrong with an agent, at which record it showed, and what a decision about it needs beside it.

use machine::{Debt, Shelf, columns};
use serde::{Deserialize, Serialize};
use wire::{
    AgentId, Basis, Body, DedupeKey, IncidentAggravated, IncidentOpened, Level, Numbers, Offset, Record, RecordId, Responsibility,
    SessionId, Timestamp, VersionId,
};

use crate::policy::{Criterion, Measure, Policy, Signal};

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Rule {
    /// Somebody reported harm.
    Harm,
    /// An error budget burns.
    Burn(Signal),
    /// A platform that sends heartbeats stopped.
    Silence,
    /// A version loses against one that is vouched for.
    Regression(Criterion),
    /// A rollback did not come about.
    RollbackFailed,
    /// An error budget burns slowly.
    Ticket(Signal),
    /// The sessions of a version are no longer what they were.
    Drift(Measure),
    /// Far fewer of them succeed than did.
    Drop,
    /// An agent calls the same again and again.
    Loop,
    /// A kind of failure that was rare has become frequent.
    Signature,
}

/// The record at which something was judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) id: RecordId,
    pub(crate) key: DedupeKey,
    pub(crate) at: Timestamp,
    pub(crate) hops: u8,
    /// False past the hop cap: it is folded, and starts nothing.
    pub(crate) may: bool,
    /// When time alone brought it about: the deadline that passed since that record.
    pub(crate) deadline: Option<Timestamp>,
}

/// Something that is wrong, with the numbers that say so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) level: Level,
    /// Nobody confirmed it yet.
    pub(crate) provisional: bool,
    pub(crate) version: Option<VersionId>,
    pub(crate) against: Option<VersionId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) numbers: Numbers,
    pub(crate) evidence: Vec<RecordId>,
    pub(crate) summary: String,
}

/// What every decision about an agent needs beside its finding.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) agent: &'a AgentId,
    pub(crate) policy: &'a Policy,
    pub(crate) people: &'a Shelf<Responsibility, String>,
    /// Whether the escalation room was ever heard of on this partition.
    pub(crate) hears_escalations: bool,
}

columns!(Trigger { id, key, at, hops, may, deadline });
columns!(Finding { rule, level, provisional, version, against, session, numbers, evidence, summary });

// === impl Rule ===

impl Rule {
    /// Its name in decisions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Harm => "harm",
            Self::Burn(Signal::Tool) => "burn_tool",
            Self::Burn(Signal::Model) => "burn_model",
            Self::Burn(Signal::Success) => "burn_success",
            Self::Burn(Signal::Slowness) => "burn_slowness",
            Self::Silence => "silence",
            Self::Regression(Criterion::Success) => "regression",
            Self::Regression(Criterion::ErrorFree) => "regression_error_free",
            Self::Regression(Criterion::NotEscalated) => "regression_not_escalated",
            Self::Regression(Criterion::InTime) => "regression_in_time",
            Self::RollbackFailed => "rollback_failed",
            Self::Ticket(Signal::Tool) => "ticket_tool",
            Self::Ticket(Signal::Model) => "ticket_model",
            Self::Ticket(Signal::Success) => "ticket_success",
            Self::Ticket(Signal::Slowness) => "ticket_slowness",
            Self::Drift(Measure::Outcome) => "drift_outcome",
            Self::Drift(Measure::Latency) => "drift_latency",
            Self::Drift(Measure::Tokens) => "drift_tokens",
            Self::Drift(Measure::Escalation) => "drift_escalation",
            Self::Drop => "drop",
            Self::Loop => "loop",
            Self::Signature => "signature",
        }
    }

    /// The rule of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        const ALL: [Rule; 22] = [
            Rule::Harm,
            Rule::Burn(Signal::Tool),
            Rule::Burn(Signal::Model),
            Rule::Burn(Signal::Success),
            Rule::Burn(Signal::Slowness),
            Rule::Silence,
            Rule::Regression(Criterion::Success),
            Rule::Regression(Criterion::ErrorFree),
            Rule::Regression(Criterion::NotEscalated),
            Rule::Regression(Criterion::InTime),
            Rule::RollbackFailed,
            Rule::Ticket(Signal::Tool),
            Rule::Ticket(Signal::Model),
            Rule::Ticket(Signal::Success),
            Rule::Ticket(Signal::Slowness),
            Rule::Drift(Measure::Outcome),
            Rule::Drift(Measure::Latency),
            Rule::Drift(Measure::Tokens),
            Rule::Drift(Measure::Escalation),
            Rule::Drop,
            Rule::Loop,
            Rule::Signature,
        ];
        ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// Who answers by default: those who build the agent for what it does, those who run it for whether it runs.
    pub(crate) fn responsibility(self) -> Responsibility {
        match self {
            Self::Harm | Self::Burn(Signal::Success) | Self::Ticket(Signal::Success) | Self::Regression(_) => Responsibility::AiMl,
            Self::Drift(_) | Self::Drop | Self::Loop => Responsibility::AiMl,
            Self::Burn(_) | Self::Ticket(_) | Self::Silence | Self::RollbackFailed | Self::Signature => Responsibility::Operations,
        }
    }
}

// === impl Trigger ===

impl Trigger {
    pub(crate) fn of(record: &Record, key: DedupeKey) -> Self {
        Self { id: record.id.clone(), key, at: record.appended, hops: record.hops, may: record.may_trigger(), deadline: None }
    }

    /// A deadline that passed since this record, at whose door is laid what it brings about.
    pub(crate) fn at_deadline(self, due: Timestamp) -> Self {
        Self { at: due, deadline: Some(due), ..self }
    }

    /// What the ids of an incident that opens here derive from. Several deadlines may pass since one record, and an incident
    /// that it opened may be over by then: each has a name of its own.
    pub(crate) fn opener(&self) -> String {
        self.deadline.map_or_else(|| self.key.to_string(), |due| format!("{}:{}", self.key, due.0))
    }
}

// === impl Desk ===

impl Desk<'_> {
    /// What a decision rests on; `asof` and `now` are stamped when it is asked for.
    pub(crate) fn basis(&self, rule: &str, responsibility: Responsibility, causes: Vec<String>) -> Basis {
        let role = responsibility.as_str();
        let accountable = self.people.get(&responsibility).map_or_else(|| role.to_owned(), |person| format!("{role}: {person}"));
        Basis {
            asof: Offset::BEFORE_ALL,
            now: Timestamp(0),
            rule: rule.to_owned(),
            policy: self.policy.version.clone(),
            causes,
            accountable,
        }
    }

    pub(crate) fn debt(&self, id: RecordId, trigger: &Trigger, body: impl Into<Body>) -> Debt {
        let (key, causation) = (self.agent.clone(), Some(trigger.id.clone()));
        Debt { id, key, subject: None, causation, hops: trigger.hops.saturating_add(1), body: body.into() }
    }
}

// === impl Finding ===

impl Finding {
    /// What an opening tells, if its rule is known here.
    pub(crate) fn opened(said: &IncidentOpened) -> Option<Self> {
        Some(Self {
            rule: Rule::from_name(&said.basis.rule)?,
            level: said.level,
            provisional: said.provisional,
            version: said.version.clone(),
            against: said.against.clone(),
            session: said.session_id.clone(),
            numbers: said.numbers.clone(),
            evidence: evidence_of(&said.basis),
            summary: said.summary.clone(),
        })
    }

    /// What an aggravation tells likewise.
    pub(crate) fn aggravated(said: &IncidentAggravated) -> Option<Self> {
        Some(Self {
            rule: Rule::from_name(&said.basis.rule)?,
            level: said.level,
            provisional: said.provisional,
            version: said.version.clone(),
            against: said.against.clone(),
            session: said.session_id.clone(),
            numbers: said.numbers.clone(),
            evidence: evidence_of(&said.basis),
            summary: said.summary.clone(),
        })
    }

    /// A finding about the agent as a whole.
    pub(crate) fn of(rule: Rule, level: Level, numbers: Numbers) -> Self {
        Self {
            rule,
            level,
            provisional: false,
            version: None,
            against: None,
            session: None,
            numbers,
            evidence: Vec::new(),
            summary: String::new(),
        }
    }
}

fn evidence_of(basis: &Basis) -> Vec<RecordId> {
    basis.causes.iter().map(|cause| cause.as_str().into()).collect()
}
