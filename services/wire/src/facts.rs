//! What agent platforms and people report. One struct per kind; the schemas in `schemas/` are the source of truth.

use serde::{Deserialize, Serialize};

use crate::ids::{IncidentId, Segment, Timestamp, VersionId};
use crate::shared::{Automation, Layers, Mode, NoteAction, Responsibility, Role};

/// A session of an agent began. Its id is the subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStarted {
    /// Version that serves it; absent: unversioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// What kind of task it is: sessions are compared within a segment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// Channel that it came in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Environment it runs in, such as production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// Somebody said something in a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagePosted {
    /// Who said it.
    pub role: Role,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Sentiment in -1..1 as the platform scored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    /// BCP 47 tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Index of the turn in the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// A model answered, or failed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCalled {
    /// Model requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_model: Option<String>,
    /// Whose call it was: a customer's simulator is not the agent.
    pub by: Role,
    /// Input tokens, cached ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<i64>,
    /// Output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<i64>,
    /// Cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Milliseconds to the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Whether the call failed; absent: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<bool>,
    /// Class of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Index of the turn in the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// A tool was called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCalled {
    /// Name of the tool.
    pub tool: String,
    /// Who called: what a customer's own tools do counts in no agent's rate.
    pub by: Role,
    /// The platform's id of the call; may repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Arguments as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Index of the turn in the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// A tool answered, or failed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolReturned {
    /// Name of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Who had called.
    pub by: Role,
    /// The platform's id of the call; may repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Whether it failed; absent: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<bool>,
    /// Class of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds to the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Index of the turn in the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// The agent decided something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionMade {
    /// What it decided to do.
    pub action: String,
    /// Why, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// What it had before it.
    #[serde(default, deserialize_with = "crate::bounded::texts")]
    pub context_refs: Vec<String>,
    /// Tools that it used.
    #[serde(default, deserialize_with = "crate::bounded::texts")]
    pub tools: Vec<String>,
    /// Confidence in 0..1 as it stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Index of the turn in the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<i64>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// How a session turned out. The first one counts; later ones are corrections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeReported {
    /// Whether the session did what it was for; absent: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Customer satisfaction, 1..5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csat: Option<f64>,
    /// Who brought it to its end, agent or human; absent: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_by: Option<Role>,
    /// Handling time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling_s: Option<f64>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// The agent did harm, or is said to have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HarmReported {
    /// What kind of harm.
    pub category: String,
    /// Whether somebody with the authority confirmed it.
    pub confirmed: bool,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<String>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// A security finding about an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingReported {
    /// What kind of finding, such as prompt_injection.
    pub category: String,
    /// As the finder rates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// A session came to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEnded {
    /// Why it ended, as the platform says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Version of the agent that did it; absent: the version that the session started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
}

/// A version of an agent was put into service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionDeployed {
    /// The version.
    pub version: VersionId,
    /// What it is made of.
    #[serde(default)]
    pub layers: Layers,
    /// The version that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<VersionId>,
    /// Who deployed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A platform answered an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandAcknowledged {
    /// Id of the order's record.
    pub order_id: String,
    /// Whether the platform carries it out.
    pub accepted: bool,
    /// Why not, or how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Version that serves from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_version: Option<VersionId>,
}

/// The platform of an agent is alive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformHeartbeat {
    /// Seconds until the next one at the latest.
    pub interval_s: i64,
    /// Version that serves now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_version: Option<VersionId>,
}

/// Facts can be heard again. Since `shut_since` none could be, so that nobody's silence in between is evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorOpened {
    /// Append time of the last record before the log was shut.
    pub shut_since: Timestamp,
}

/// A person dealt with an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentNoted {
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// What they did.
    pub action: NoteAction,
    /// Who.
    pub author: String,
    /// What they had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A person took an escalated session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationClaimed {
    /// The escalation.
    pub escalation_id: String,
    /// Who took it.
    pub author: String,
    /// What they had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A person gave an escalated session back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationReturned {
    /// The escalation.
    pub escalation_id: String,
    /// Who gave it back.
    pub author: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
}

/// A policy of a room came into force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyAdopted {
    /// The room that it is for.
    pub room: String,
    /// Version of the policy.
    pub version: String,
    /// The policy, as JSON text.
    pub document: String,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// A person vouched for a version: newer ones are compared with it, and it may be gone back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineDeclared {
    /// The version.
    pub version: VersionId,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// A person set how much an agent may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeSet {
    /// The mode.
    pub mode: Mode,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// A person allowed a version that was taken back to serve again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineLifted {
    /// The version.
    pub version: VersionId,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// A person set what Reeve may do about an agent by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutomationSet {
    /// What it may do.
    pub automation: Automation,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// A person was made to answer for an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountabilityAssigned {
    /// In which role.
    pub responsibility: Responsibility,
    /// Who.
    pub person: String,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// A person accepted what Reeve proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackAccepted {
    /// Id of the proposal's record.
    pub proposal_id: String,
    /// Who decided this, as their directory knows them.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
}
