//! The format of recorded sessions: JSON lines, one session a line, plain or gzipped.
//!
//! What a source does not tell is absent, and stays so; what it tells in the wrong shape is a fault that names line,
//! turn and field. Fields that are not read here are none of our business.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use wire::{Role, Timestamp};

/// Bytes of one line: a session of a thousand turns with texts of 64 KiB still fits.
pub(super) const LINE_BYTES_MAX: u64 = 128 << 20;
/// Turns of one session.
pub(super) const TURNS_MAX: usize = 100_000;

/// Where in the files something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// Index of the turn in the session; absent: the session itself.
    pub turn: Option<i64>,
}

/// Something in a file that cannot be taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// Where.
    pub place: Place,
    /// The field, where it is one.
    pub field: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

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

/// One line of a file: a session, or why it is none.
pub(super) struct Line {
    /// Where it stands.
    pub place: Place,
    /// What it holds.
    pub session: Result<Session, Fault>,
}

/// Reads the lines of a file; blank ones are passed over. A name that ends in `.gz` is read as gzip.
///
/// # Errors
/// When the file cannot be opened. What cannot be read later is told with the line at which it failed.
pub(super) fn lines(file: &Path, segment_field: &str) -> io::Result<impl Iterator<Item = io::Result<Line>>> {
    let opened = File::open(file)?;
    let gzipped = file.extension().is_some_and(|extension| extension == "gz");
    let plain: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(opened)) } else { Box::new(opened) };
    let mut reader = BufReader::new(plain);
    let (file, segment_field) = (file.to_owned(), segment_field.to_owned());
    let mut number = 0;
    Ok(std::iter::from_fn(move || {
        loop {
            number += 1;
            let place = Place { file: file.clone(), line: number, turn: None };
            let mut bytes = Vec::new();
            match (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
                Err(error) => return Some(Err(error)),
                Ok(0) => return None,
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                Ok(_) => {
                    let session = Reading { place: &place, segment_field: &segment_field }.session(&bytes);
                    return Some(Ok(Line { place, session }));
                }
            }
        }
    }))
}

/// The reader of one line.
struct Reading<'a> {
    place: &'a Place,
    segment_field: &'a str,
}

/// The fields of a session or of a turn, and where they stand.
struct Fields<'a> {
    place: Place,
    fields: &'a Map<String, Value>,
}

// === impl Reading ===

impl Reading<'_> {
    fn session(&self, line: &[u8]) -> Result<Session, Fault> {
        if line.len() as u64 >= LINE_BYTES_MAX {
            return Err(self.place.fault(None, format!("the line has {LINE_BYTES_MAX} bytes or more")));
        }
        let value: Value = serde_json::from_slice(line).map_err(|error| self.place.fault(None, format!("the line is no JSON: {error}")))?;
        let fields = value.as_object().ok_or_else(|| self.place.fault(None, "the line is no JSON object"))?;
        let session = Fields { place: self.place.clone(), fields };
        Ok(Session {
            id: session.scalar("session_id")?.ok_or_else(|| session.fault("session_id", "it is missing"))?,
            source: session.name("source")?,
            domain: session.name("domain")?,
            agent_model: session.name("agent_model")?,
            segment: session.scalar(self.segment_field)?,
            started_at: session.time("started_at")?,
            ended_at: session.time("ended_at")?,
            termination_reason: session.name("termination_reason")?,
            success: self.success(&session)?,
            turns: self.turns(&session)?,
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

    /// The field, where it says anything.
    fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str) -> Result<Option<String>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.fault(field, "it is no text")),
        }
    }

    /// A text that names something: an empty one says nothing, and is absent.
    fn name(&self, field: &str) -> Result<Option<String>, Fault> {
        Ok(self.text(field)?.filter(|text| !text.is_empty()))
    }

    fn required(&self, field: &str) -> Result<String, Fault> {
        self.name(field)?.ok_or_else(|| self.fault(field, "it is missing"))
    }

    /// A name, or a number or boolean as its text: tasks and trials are often numbered.
    fn scalar(&self, field: &str) -> Result<Option<String>, Fault> {
        match self.get(field) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(truth)) => Ok(Some(truth.to_string())),
            _ => self.name(field),
        }
    }

    fn boolean(&self, field: &str) -> Result<Option<bool>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(_) => Err(self.fault(field, "it is neither true nor false")),
        }
    }

    fn number(&self, field: &str) -> Result<Option<f64>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| self.fault(field, "it is no number")),
        }
    }

    /// A whole number; `3.0` is one too.
    fn whole(&self, field: &str) -> Result<Option<i64>, Fault> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let Some(value) = self.get(field) else { return Ok(None) };
        let exact = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX).map(|number| number as i64);
        value.as_i64().or(exact).map(Some).ok_or_else(|| self.fault(field, "it is no whole number"))
    }

    fn time(&self, field: &str) -> Result<Option<Timestamp>, Fault> {
        let Some(text) = self.name(field)? else { return Ok(None) };
        let time = Timestamp::parse_naive_as_utc(&text).ok_or_else(|| self.fault(field, format!("`{text}` is no ISO 8601 time")))?;
        Ok(Some(time))
    }

    fn role(&self, field: &str) -> Result<Option<Role>, Fault> {
        let Some(text) = self.name(field)? else { return Ok(None) };
        let role = serde_json::from_value(Value::String(text.clone()));
        role.map(Some).map_err(|_| self.fault(field, format!("`{text}` is no role")))
    }

    /// Any value, as JSON text; a text is taken as it is.
    fn json(&self, field: &str) -> Option<String> {
        self.get(field).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn fault(&self, field: &str, reason: impl Into<String>) -> Fault {
        self.place.fault(Some(field), reason)
    }
}

/// Who made the call that a result answers: the last one with its `call_id`, for ids repeat.
fn caller(earlier: &[Turn], call_id: Option<&str>) -> Role {
    let made = |turn: &&Turn| matches!(&turn.act, Act::ToolCall { call_id: Some(known), .. } if Some(known.as_str()) == call_id);
    earlier.iter().rev().find(made).map_or(Role::Other, |turn| turn.role)
}

// === impl Place ===

impl Place {
    /// A fault at this place.
    pub(super) fn fault(&self, field: Option<&str>, reason: impl Into<String>) -> Fault {
        Fault { place: self.clone(), field: field.map(str::to_owned), reason: reason.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.line)?;
        self.turn.map_or(Ok(()), |turn| write!(f, ", turn {turn}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(field) = &self.field {
            write!(f, ", field {field}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

#[cfg(test)]
mod tests;
