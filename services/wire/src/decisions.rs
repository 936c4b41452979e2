//! What Reeve's rooms decide. One struct per kind; the schemas in `schemas/` are the source of truth.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, IncidentId, SessionId, Timestamp, VersionId};
use crate::shared::{Automation, Basis, Layers, Level, Mode, Numbers};

/// Something is wrong with an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentOpened {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// How bad.
    pub level: Level,
    /// True while nobody confirmed the harm.
    pub provisional: bool,
    /// The version that is named as its cause; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The version that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<VersionId>,
    /// The session that it was seen in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Harms counted so far.
    pub harms: i64,
    /// The numbers that the rule saw when it first held.
    #[serde(default)]
    pub numbers: Numbers,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// An open incident got worse, or is now known better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentAggravated {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// How bad it is now.
    pub level: Level,
    /// How bad it was.
    pub from_level: Level,
    /// True while nobody confirmed the harm.
    pub provisional: bool,
    /// The version that is named as its cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The version that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<VersionId>,
    /// The session that it was seen in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Harms counted so far.
    pub harms: i64,
    /// The numbers that the rule saw when it first held.
    #[serde(default)]
    pub numbers: Numbers,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// An open incident got better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentEased {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// How bad it is now.
    pub level: Level,
    /// How bad it was.
    pub from_level: Level,
    /// Harms counted so far.
    pub harms: i64,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// An incident is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentResolved {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// The worst that it was.
    pub level: Level,
    /// Who resolved it; absent: it recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Harms counted in all.
    pub harms: i64,
    /// Seconds from its opener to its end, in the log's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_s: Option<f64>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// A platform shall let an agent do no more than this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeOrdered {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that it answers; absent: a person's wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<IncidentId>,
    /// The mode.
    pub mode: Mode,
    /// The mode before.
    pub from_mode: Mode,
    /// What the mode switches off, in words.
    #[serde(default, deserialize_with = "crate::bounded::texts")]
    pub switched_off: Vec<String>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// What would be ordered if Reeve might.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackProposed {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// Why it is only proposed.
    pub automation: Automation,
    /// The version that would be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<VersionId>,
    /// The version that would serve; absent: there is none to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_version: Option<VersionId>,
    /// The mode that would be ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// A platform shall go back to a version, all five layers of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackOrdered {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// The version that is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<VersionId>,
    /// The version to serve.
    pub to_version: VersionId,
    /// What that version is made of, as far as it was told.
    #[serde(default)]
    pub layers: Layers,
    /// How bad the incident is.
    pub level: Level,
    /// Seconds within which the platform must acknowledge.
    pub ack_timeout_s: i64,
    /// Seconds after that within which the version must be seen serving.
    pub verify_timeout_s: i64,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// The order was acknowledged in time, and the facts show the version serving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackVerified {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// The order.
    pub order_id: String,
    /// The version that was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<VersionId>,
    /// The version that serves.
    pub to_version: VersionId,
    /// Facts that show it.
    pub sightings: i64,
    /// Seconds from the order to the last of them, in the log's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_s: Option<f64>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// The order was not acknowledged, or not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackFailed {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The incident that this belongs to.
    pub incident_id: IncidentId,
    /// The order.
    pub order_id: String,
    /// The version that was to be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<VersionId>,
    /// The version that was to serve.
    pub to_version: VersionId,
    /// no_acknowledgement, refused, or not_serving.
    pub failure: String,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// A version served long enough without trouble to be gone back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionProven {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The version.
    pub version: VersionId,
    /// Outcomes that it reported.
    pub outcomes: i64,
    /// Seconds since it was first seen, in the log's time.
    pub served_s: i64,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// A session needs a human, or needs one more urgently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationRaised {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The escalation.
    pub escalation_id: String,
    /// The session.
    pub session_id: SessionId,
    /// 1 is the most urgent.
    pub priority: i64,
    /// What asked for it.
    pub trigger: String,
    /// The route that it takes.
    pub route: String,
    /// When a human must have taken it.
    pub due_at: Timestamp,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
    /// Seconds from this decision's `now` to `due_at`; absent: an earlier deadline stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla_s: Option<i64>,
    /// The priority before; absent: it was just raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_priority: Option<i64>,
    /// team, agent or person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_kind: Option<String>,
    /// Which one shall take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The policy topic that was touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Trend of the user's sentiment in -1..1; absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    /// Confidence in 0..1 that the agent stated last; absent: it stated none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Steps that the agent took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<i64>,
    /// Distinct tools that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systems: Option<i64>,
    /// Calls that it repeated after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// Calls of the agent that failed in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<i64>,
    /// The value that had to be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// Nobody took an escalation in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationOverdue {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The escalation.
    pub escalation_id: String,
    /// The session.
    pub session_id: SessionId,
    /// The deadline that passed.
    pub due_at: Timestamp,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// An escalation is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationClosed {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// The escalation.
    pub escalation_id: String,
    /// The session.
    pub session_id: SessionId,
    /// returned, ended or timed_out.
    pub outcome: String,
    /// Seconds until a human took it; absent: nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_s: Option<f64>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
}

/// What an agent used in a window of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityMeasured {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// Start of the window.
    pub from: Timestamp,
    /// End of the window.
    pub until: Timestamp,
    /// Sessions started.
    pub sessions_started: i64,
    /// Sessions ended.
    pub sessions_ended: i64,
    /// Most sessions at once.
    pub concurrent_max: i64,
    /// Facts counted.
    pub events: i64,
    /// Input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<i64>,
    /// Output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<i64>,
    /// Cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Median latency of model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_ms: Option<f64>,
    /// 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p95_ms: Option<f64>,
    /// Failed tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_errors: Option<i64>,
    /// Failed model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_errors: Option<i64>,
    /// Escalations raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalations: Option<i64>,
    /// Outcomes reported.
    pub outcomes: i64,
    /// Facts that came too late for their window.
    pub late: i64,
    /// What the decision rests on.
    pub basis: Basis,
    /// Length of the window: minute, hour or day; absent: minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_ms: Option<f64>,
    /// Model calls that told their latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_n: Option<i64>,
    /// Model calls that told tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_n: Option<i64>,
    /// Model calls that told their cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_n: Option<i64>,
    /// Tool calls that told whether they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_n: Option<i64>,
    /// Model calls that told whether they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_n: Option<i64>,
    /// Facts that were dated after their arrival, and counted in the minute of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<i64>,
    /// Tokens of the facts that came too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_tokens: Option<i64>,
    /// Cost of the facts that came too late, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_cost_usd: Option<f64>,
}

/// Where an agent's use is heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityForecast {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// What is forecast.
    pub measure: String,
    /// forecast or insufficient.
    pub state: String,
    /// The time that it is for.
    pub at: Timestamp,
    /// The value expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Lower end of the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
    /// The budget that is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Minutes that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
}

/// A budget is passed, or will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityWarned {
    /// The agent that this is about.
    pub agent_id: AgentId,
    /// What is budgeted.
    pub measure: String,
    /// The budget.
    pub budget: f64,
    /// The value now.
    pub value: f64,
    /// True: passed already; false: by the present trend.
    pub passed: bool,
    /// When, RFC 3339; absent: already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted_at: Option<String>,
    /// One sentence for people.
    pub summary: String,
    /// What the decision rests on.
    pub basis: Basis,
    /// The value expected at the horizon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// Lower end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Seconds that the trend was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon_s: Option<i64>,
    /// Minutes that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
}

/// A record on the log could not be read; its bytes are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRefused {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i64,
    /// Offset.
    pub offset: i64,
    /// Code of the refusal.
    pub code: String,
    /// What is wrong with it.
    pub reason: String,
    /// Told of several records at once: the offset of the last; offset is that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_offset: Option<i64>,
    /// How many records are told of, where they are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,
    /// What the decision rests on.
    pub basis: Basis,
}

/// A room has folded its partition this far, and owes nothing up to here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomWatermark {
    /// The room.
    pub room: String,
    /// The partition.
    pub partition: i64,
    /// What the decision rests on.
    pub basis: Basis,
}
