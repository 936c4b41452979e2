//! What several kinds share: levels, modes, roles, and what every decision carries.

use serde::{Deserialize, Serialize};

use crate::ids::{Offset, Timestamp};

/// How bad an incident is: P1 harm, P2 degraded, P3 anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// `P1`
    P1,
    /// `P2`
    P2,
    /// `P3`
    P3,
}

impl Level {
    /// The symbol on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much an agent may do on its own, from everything to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `normal`
    Normal,
    /// `investigation`
    Investigation,
    /// `reduced`
    Reduced,
    /// `human_only`
    HumanOnly,
}

impl Mode {
    /// The symbol on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Investigation => "investigation",
            Self::Reduced => "reduced",
            Self::HumanOnly => "human_only",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What Reeve may do about an agent by itself: say what it would order, wait for a person, or order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Automation {
    /// `observe`
    Observe,
    /// `propose`
    Propose,
    /// `enforce`
    Enforce,
}

impl Automation {
    /// The symbol on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Propose => "propose",
            Self::Enforce => "enforce",
        }
    }
}

impl std::fmt::Display for Automation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who posted, called or spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `agent`
    Agent,
    /// `user`
    User,
    /// `tool`
    Tool,
    /// `system`
    System,
    /// `human`
    Human,
    /// `other`
    Other,
}

impl Role {
    /// The symbol on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tool => "tool",
            Self::System => "system",
            Self::Human => "human",
            Self::Other => "other",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person did about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteAction {
    /// `ack`
    Ack,
    /// `comment`
    Comment,
    /// `resolve`
    Resolve,
    /// `review`
    Review,
}

impl NoteAction {
    /// The symbol on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Comment => "comment",
            Self::Resolve => "resolve",
            Self::Review => "review",
        }
    }
}

impl std::fmt::Display for NoteAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The five roles that answer for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Responsibility {
    /// `executive`
    Executive,
    /// `product_owner`
    ProductOwner,
    /// `ai_ml`
    AiMl,
    /// `operations`
    Operations,
    /// `legal`
    Legal,
}

impl Responsibility {
    /// The symbol on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executive => "executive",
            Self::ProductOwner => "product_owner",
            Self::AiMl => "ai_ml",
            Self::Operations => "operations",
            Self::Legal => "legal",
        }
    }
}

impl std::fmt::Display for Responsibility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a decision rests on: enough to compute it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Offset of the last record of the partition that the room had folded; -1 before the first.
    pub asof: Offset,
    /// The partition's frontier when the decision was made.
    pub now: Timestamp,
    /// The rule that asked for it.
    pub rule: String,
    /// Version of the policy in force.
    pub policy: String,
    /// Ids of up to 20 records that it rests on, the opener first.
    #[serde(default, deserialize_with = "crate::bounded::texts")]
    pub causes: Vec<String>,
    /// The role that answers for what happens next.
    pub accountable: String,
}

/// Numbers behind a decision. What a rule does not use is absent, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// Facts counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// Bad ones among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<i64>,
    /// bad / n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Length of the long window in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<i64>,
    /// Facts in the short window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_short: Option<i64>,
    /// Bad ones in the short window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_short: Option<i64>,
    /// Burn rate of the long window: ratio / (1 - objective).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn: Option<f64>,
    /// The value that had to be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The objective in the policy, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<f64>,
    /// Discordant pairs that the newer version won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub won: Option<i64>,
    /// Discordant pairs that it lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
    /// Pairs compared, concordant ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<i64>,
    /// E-value of the paired test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<f64>,
    /// Seconds without a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_s: Option<i64>,
    /// The statistic of a chart that looks for drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<f64>,
    /// The mean of what was measured since it began to drift; a share for yes or no, the geometric mean for amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The same of the version's own baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_mean: Option<f64>,
    /// Observations in that baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_n: Option<i64>,
    /// How often the same was done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<i64>,
}

/// The five layers of a version; what a platform does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// Version of the prompt templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Version of the knowledge base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_base: Option<String>,
    /// Version of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Version of the integration settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}
