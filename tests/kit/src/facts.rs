//! Builders of facts, short enough that a test reads as a story.

use wire::*;

/// A platform that tells of one agent. Its ids count up, so that a test's log is the same at every run.
#[derive(Clone, Debug)]
pub struct Teller {
    agent: AgentId,
    source: Source,
    told: u64,
}

// === impl Teller ===

impl Teller {
    /// A platform that tells of `agent`.
    pub fn new(agent: &str) -> Self {
        Self { agent: agent.into(), source: format!("/platforms/test/agents/{agent}").into(), told: 0 }
    }

    /// A person who speaks about `agent`.
    pub fn person(author: &str, agent: &str) -> Self {
        Self { agent: agent.into(), source: format!("/people/{author}").into(), told: 0 }
    }

    /// What its ids begin with.
    pub fn name(&self) -> &str {
        self.agent.as_str()
    }

    /// A fact that happened at `time`, about `session` if it is about one.
    pub fn tell(&mut self, time: Timestamp, session: Option<&str>, body: impl Into<Body>) -> Event {
        self.told += 1;
        Event {
            key: self.agent.clone(),
            source: self.source.clone(),
            id: format!("{}-{:05}", self.agent, self.told).into(),
            time: Some(time),
            subject: session.map(Into::into),
            causation: None,
            hops: 0,
            tenant: None,
            traceparent: None,
            body: body.into(),
        }
    }
}

/// `session.started`
pub fn started(version: &str, segment: Option<&str>) -> SessionStarted {
    SessionStarted { version: Some(version.into()), segment: segment.map(Into::into), channel: None, environment: None }
}

/// `session.ended`
pub fn ended() -> SessionEnded {
    SessionEnded { reason: Some("user_stop".to_owned()), version: None }
}

/// `outcome.reported`
pub fn outcome(success: Option<bool>) -> OutcomeReported {
    OutcomeReported { success, csat: None, handled_by: None, handling_s: None, version: None }
}

/// `tool.returned`, called by the agent
pub fn tool_returned(failed: Option<bool>) -> ToolReturned {
    ToolReturned {
        tool: Some("lookup".to_owned()),
        by: Role::Agent,
        call_id: None,
        result: None,
        failed,
        error: None,
        latency_ms: None,
        turn: None,
        version: None,
    }
}

/// `harm.reported`
pub fn harm(confirmed: bool) -> HarmReported {
    HarmReported { category: "wrong_refund".to_owned(), confirmed, description: None, reporter: None, version: None }
}

/// `platform.heartbeat`
pub fn heartbeat(interval_s: i64, serving: Option<&str>) -> PlatformHeartbeat {
    PlatformHeartbeat { interval_s, serving_version: serving.map(Into::into) }
}

/// `version.deployed`
pub fn deployed(version: &str) -> VersionDeployed {
    let layers = Layers { prompt: Some(format!("prompt of {version}")), model: Some("model-1".to_owned()), ..Layers::default() };
    VersionDeployed { version: version.into(), layers, previous: None, author: None, reason: None }
}

/// `baseline.declared`
pub fn baseline(version: &str) -> BaselineDeclared {
    BaselineDeclared { version: version.into(), author: "ann".to_owned(), reason: "it served us well".to_owned() }
}

/// `command.acknowledged`
pub fn acknowledged(order_id: &str, accepted: bool, serving: Option<&str>) -> CommandAcknowledged {
    CommandAcknowledged { order_id: order_id.to_owned(), accepted, reason: None, serving_version: serving.map(Into::into) }
}

/// `automation.set`
pub fn automation(automation: Automation) -> AutomationSet {
    AutomationSet { automation, author: "ann".to_owned(), reason: "by agreement".to_owned() }
}

/// `mode.set`
pub fn mode(mode: Mode) -> ModeSet {
    ModeSet { mode, author: "ann".to_owned(), reason: "by agreement".to_owned() }
}

/// `quarantine.lifted`
pub fn lifted(version: &str) -> QuarantineLifted {
    QuarantineLifted { version: version.into(), author: "ann".to_owned(), reason: "it was mended".to_owned() }
}

/// `incident.noted`
pub fn noted(incident_id: &str, action: NoteAction) -> IncidentNoted {
    IncidentNoted { incident_id: incident_id.into(), action, author: "ann".to_owned(), text: Some("seen".to_owned()) }
}

/// `message.posted` by the customer, as its platform scored it; it writes no text
pub fn felt(sentiment: Option<f64>, language: Option<&str>) -> MessagePosted {
    MessagePosted { role: Role::User, text: None, sentiment, language: language.map(str::to_owned), turn: None, version: None }
}

/// `message.posted` by the customer, whose platform scores nothing
pub fn said(text: &str, language: Option<&str>) -> MessagePosted {
    MessagePosted { text: Some(text.to_owned()), ..felt(None, language) }
}

/// `decision.made`
pub fn decided(confidence: Option<f64>) -> DecisionMade {
    DecisionMade {
        action: "answer".to_owned(),
        reasoning: None,
        context_refs: Vec::new(),
        tools: Vec::new(),
        confidence,
        turn: None,
        version: None,
    }
}

/// `tool.called`, by the agent
pub fn tool_called(tool: &str, arguments: Option<&str>) -> ToolCalled {
    ToolCalled { tool: tool.to_owned(), by: Role::Agent, call_id: None, arguments: arguments.map(str::to_owned), turn: None, version: None }
}

/// `model.called`, by the agent, telling no more than whether it failed
pub fn model_called(failed: Option<bool>) -> ModelCalled {
    ModelCalled {
        model: Some("model-1".to_owned()),
        served_model: None,
        by: Role::Agent,
        tokens_in: None,
        tokens_out: None,
        cost_usd: None,
        latency_ms: None,
        finish_reason: None,
        failed,
        error: None,
        turn: None,
        version: None,
    }
}

/// `model.called`, by the agent, that went well: tokens in and out, and milliseconds
pub fn model_used(tokens_in: i64, tokens_out: i64, latency_ms: Option<f64>) -> ModelCalled {
    ModelCalled { tokens_in: Some(tokens_in), tokens_out: Some(tokens_out), latency_ms, ..model_called(Some(false)) }
}

/// `finding.reported`
pub fn finding(category: &str) -> FindingReported {
    FindingReported { category: category.to_owned(), severity: None, description: None, version: None }
}

/// `escalation.claimed`
pub fn claimed(escalation_id: &str, author: &str) -> EscalationClaimed {
    EscalationClaimed { escalation_id: escalation_id.to_owned(), author: author.to_owned(), note: None }
}

/// `escalation.returned`
pub fn returned(escalation_id: &str, author: &str) -> EscalationReturned {
    EscalationReturned { escalation_id: escalation_id.to_owned(), author: author.to_owned(), resolution: Some("settled".to_owned()) }
}
