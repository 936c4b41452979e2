//! What may ask for a human, and what a route is chosen by.

use serde::{Deserialize, Serialize};
use wire::Responsibility;

/// Why a session needs a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Trigger {
    /// A topic of the policy was touched: no score outvotes it.
    Policy,
    /// The agent's calls fail in a row, or it says that it cannot.
    AgentFailure,
    /// The user's mood turned bad.
    Sentiment,
    /// The user's mood could not be told for too many turns in a row.
    SentimentUnknown,
    /// The agent is not sure of what it does.
    Confidence,
    /// The session has become too involved.
    Complexity,
}

/// One reason to call a human, found at one record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) trigger: Trigger,
    /// The topic, if a policy topic is the reason.
    pub(crate) topic: Option<String>,
    /// The value that had to be reached, if there is one.
    pub(crate) threshold: Option<f64>,
}

/// What a session shows at the record that calls: what conditions see, and what the decision tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sight {
    pub(crate) sentiment: Option<f64>,
    pub(crate) confidence: Option<f64>,
    pub(crate) segment: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) steps: u32,
    pub(crate) systems: u32,
    pub(crate) retries: u32,
    pub(crate) failures: u32,
}

// === impl Trigger ===

impl Trigger {
    /// Every trigger; of several at one record with equally urgent routes, the first of these speaks.
    pub(crate) const ALL: [Self; 6] =
        [Self::Policy, Self::AgentFailure, Self::Sentiment, Self::SentimentUnknown, Self::Confidence, Self::Complexity];

    /// Its name in decisions and conditions.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::AgentFailure => "agent_failure",
            Self::Sentiment => "sentiment",
            Self::SentimentUnknown => "sentiment_unknown",
            Self::Confidence => "confidence",
            Self::Complexity => "complexity",
        }
    }

    /// The trigger of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == name)
    }
}

// === impl Call ===

impl Call {
    pub(crate) fn of(trigger: Trigger, threshold: Option<f64>) -> Self {
        Self { trigger, topic: None, threshold }
    }

    pub(crate) fn topic(name: &str) -> Self {
        Self { topic: Some(name.to_owned()), ..Self::of(Trigger::Policy, None) }
    }

    /// Who answers for what happens next, by role.
    pub(crate) fn responsibility(&self) -> Responsibility {
        responsibility(self.topic.as_deref())
    }
}

/// Whoever the topic is the business of, else those who run the agent.
pub(crate) fn responsibility(topic: Option<&str>) -> Responsibility {
    match topic {
        Some("legal" | "compliance") => Responsibility::Legal,
        _ => Responsibility::Operations,
    }
}
