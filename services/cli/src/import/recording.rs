//! The format of recorded sessions: JSON lines, one session a line, plain or gzipped.
//!
//! What a source does not tell is absent, and stays so; what it tells in the wrong shape is a fault that names line,
//! turn and field. Fields that are not read here are none of our business.

use serde_json::Value;
use wire::{Role, Timestamp};

use super::lines::{Fault, Fields, Line, Place};

/// Turns of one session.
pub(super) const TURNS_MAX: usize = 100_000;

/// A recorded session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Session {
    /// Its id, unique within `source`.
    pub id: String,
    /// Where it was recorded.
    pub source: Option<String>,
    /// What the agent worked on: the agent's name unless options say otherwise.
    pub domain: Option<String>,
    /// The agent's version.
    pub agent_model: Option<String>,
    /// The kind of task, from `task_id` or the field that was asked for.
    pub segment: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub termination_reason: Option<String>,
    /// Whether it did what it was for.
    pub success: Option<bool>,
    /// What happened, in order.
    pub turns: Vec<Turn>,
}

/// One turn of a session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    /// Its index, as the record says, or else its position.
    pub index: i64,
    /// What it is.
    pub act: Act,
    /// Who spoke, called or, for a result, answered; what the turn spent is theirs.
    pub role: Role,
    /// When.
    pub at: Option<Timestamp>,
    /// What it spent, where the source tells anything of it.
    pub spent: Option<Spent>,
}

/// What a turn is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// Somebody said something.
    Message { text: Option<String> },
    /// Somebody called a tool.
    ToolCall { tool: String, call_id: Option<String>, arguments: Option<String> },
    /// A tool answered.
    ToolResult { tool: Option<String>, call_id: Option<String>, result: Option<String>, by: Role, failed: Option<bool> },
}

/// What a model call behind a turn took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spent {
    /// Input tokens.
    pub tokens_in: Option<i64>,
    /// Output tokens.
    pub tokens_out: Option<i64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
}

/// The session of a line. `segment_field` holds the kind of its task.
///
/// # Errors
/// When the line holds none, or something of it in a shape that no session has.
pub(super) fn session(line: &Line, segment_field: &str) -> Result<Session, Fault> {
    let fields = line.object()?;
    Reading { place: &line.place, segment_field }.session(&Fields { place: line.place.clone(), fields: &fields })
}

/// The reader of one line.
struct Reading<'a> {
    place: &'a Place,
    segment_field: &'a str,
}

// === impl Reading ===

impl Reading<'_> {
    fn session(&self, session: &Fields<'_>) -> Result<Session, Fault> {
        Ok(Session {
            id: session.scalar("session_id")?.ok_or_else(|| session.fault("session_id", "it is missing"))?,
            source: session.name("source")?,
            domain: session.name("domain")?,
            agent_model: session.name("agent_model")?,
            segment: session.scalar(self.segment_field)?,
            started_at: session.time("started_at")?,
            ended_at: session.time("ended_at")?,
            termination_reason: session.name("termination_reason")?,
            success: self.success(session)?,
            turns: self.turns(session)?,
        })
    }

    fn success(&self, session: &Fields<'_>) -> Result<Option<bool>, Fault> {
        match session.get("outcome") {
            None => Ok(None),
            Some(Value::Object(fields)) => Fields { place: self.place.clone(), fields }.boolean("success"),
            Some(_) => Err(session.fault("outcome", "it is no object")),
        }
    }

    fn turns(&self, session: &Fields<'_>) -> Result<Vec<Turn>, Fault> {
        let told = match session.get("turns") {
            None => return Ok(Vec::new()),
            Some(Value::Array(told)) if told.len() <= TURNS_MAX => told,
            Some(Value::Array(told)) => return Err(session.fault("turns", format!("{} turns, at most {TURNS_MAX} are taken", told.len()))),
            Some(_) => return Err(session.fault("turns", "it is no list")),
        };
        let mut turns: Vec<Turn> = Vec::with_capacity(told.len());
        let mut seen = std::collections::BTreeSet::new();
        for (position, told) in (0..).zip(told) {
            let place = Place { turn: Some(position), ..self.place.clone() };
            let fields = told.as_object().ok_or_else(|| place.fault(None, "the turn is no JSON object"))?;
            let turn = Fields { place, fields }.turn(position, &turns)?;
            if !seen.insert(turn.index) {
                let place = Place { turn: Some(turn.index), ..self.place.clone() };
                return Err(place.fault(Some("i"), "another turn of the session has the same index"));
            }
            turns.push(turn);
        }
        Ok(turns)
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn turn(mut self, position: i64, earlier: &[Turn]) -> Result<Turn, Fault> {
        let index = match self.whole("i")? {
            None => position,
            Some(index) if index >= 0 => index,
            Some(_) => return Err(self.fault("i", "it is negative")),
        };
        self.place.turn = Some(index);
        let call_id = self.name("call_id")?;
        let act = match self.name("kind")?.as_deref() {
            Some("message") => Act::Message { text: self.text("text")? },
            Some("tool_call") => Act::ToolCall { tool: self.required("tool_name")?, call_id, arguments: self.json("tool_args") },
            Some("tool_result") => Act::ToolResult {
                tool: self.name("tool_name")?,
                result: self.text("text")?,
                by: self.role("by")?.unwrap_or_else(|| caller(earlier, call_id.as_deref())),
                failed: self.boolean("error")?,
                call_id,
            },
            Some(other) => return Err(self.fault("kind", format!("`{other}` is none of message, tool_call and tool_result"))),
            None => return Err(self.fault("kind", "it is missing")),
        };
        let role = match (self.role("role")?, &act) {
            (Some(role), _) => role,
            (None, Act::ToolResult { .. }) => Role::Tool,
            (None, _) => return Err(self.fault("role", "it is missing")),
        };
        let spent = Spent {
            tokens_in: self.whole("tokens_in")?,
            tokens_out: self.whole("tokens_out")?,
            cost_usd: self.number("cost_usd")?,
            finish_reason: self.name("finish_reason")?,
        };
        Ok(Turn { index, act, role, at: self.time("ts")?, spent: (spent != Spent::default()).then_some(spent) })
    }
}

/// Who made the call that a result answers: the last one with its `call_id`, for ids repeat.
fn caller(earlier: &[Turn], call_id: Option<&str>) -> Role {
    let made = |turn: &&Turn| matches!(&turn.act, Act::ToolCall { call_id: Some(known), .. } if Some(known.as_str()) == call_id);
    earlier.iter().rev().find(made).map_or(Role::Other, |turn| turn.role)
}

#[cfg(test)]
mod tests;
