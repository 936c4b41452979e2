//! Living a story through, and writing down what was decided.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use audit::Audit;
use capacity::Capacity;
use escalation::Escalation;
use incident::Incident;
use kit::facts::{self, Teller};
use kit::lives::BIRTH;
use kit::room::room;
use kit::{House, Rooms};
use rollback::Rollback;
use wire::*;

use crate::script::{Line, Said};

/// The decisions of a story, one a line: time, kind, agent and the sentence for people, then what it carries as JSON.
/// How far a room has read is left out, and what agents used, unless the story asks for it.
///
/// # Errors
/// A line that says what cannot be said there, such as an acknowledgement without an order.
pub fn decisions_of(lines: &[Line]) -> Result<String, String> {
    let mut story = Story::new();
    for line in lines {
        story.live(line).map_err(|reason| format!("line {}: {reason}", line.number))?;
    }
    let mut text = String::new();
    let decisions = story.house.log().iter().filter(|record| record.body.kind().is_decision());
    let is_told = |kind: Kind| kind != Kind::RoomWatermark && (story.measures || kind != Kind::CapacityMeasured);
    for record in decisions.filter(|record| is_told(record.body.kind())) {
        writeln!(text, "{}", sentence(record)).map_err(|error| error.to_string())?;
    }
    Ok(text)
}

struct Story {
    house: House,
    tellers: BTreeMap<String, Teller>,
    sessions: usize,
    /// Whether what agents used is written down.
    measures: bool,
}

// === impl Story ===

impl Story {
    fn new() -> Self {
        let rooms: Rooms = vec![room::<Incident>, room::<Rollback>, room::<Escalation>, room::<Capacity>, room::<Audit>];
        Self { house: House::new(&rooms), tellers: BTreeMap::new(), sessions: 0, measures: false }
    }

    fn live(&mut self, line: &Line) -> Result<(), String> {
        let at_s = line.at_s;
        let agent = line.agent.as_str();
        match &line.said {
            Said::Deployed(version) => self.fact(agent, at_s, None, facts::deployed(version)),
            Said::Starts { session, version, segment } => {
                self.fact(agent, at_s, Some(session), facts::started(version, segment.as_deref()))
            }
            Said::Outcome { session, success } => self.fact(agent, at_s, Some(session), facts::outcome(Some(*success))),
            Said::Ends(session) => self.fact(agent, at_s, Some(session), facts::ended()),
            Said::Runs { count, version, segment, every_s, latency_ms, success } => {
                for index in 0..*count {
                    self.run(agent, at_s + index * every_s, version, segment.as_deref(), (*latency_ms, *success));
                }
            }
            Said::Tool { failed, version, count, every_s } => {
                let returned = ToolReturned { version: Some(version.as_str().into()), ..facts::tool_returned(Some(*failed)) };
                self.repeat(agent, at_s, *count, *every_s, &returned.into());
            }
            Said::Model { failed, version, count, every_s } => {
                let called = ModelCalled { version: Some(version.as_str().into()), ..facts::model_called(Some(*failed)) };
                self.repeat(agent, at_s, *count, *every_s, &called.into());
            }
            Said::Says { session, text } => self.fact(agent, at_s, Some(session), facts::said(text, None)),
            Said::Feels { session, sentiment, language, count, every_s } => {
                self.repeat_in(agent, (at_s, *count, *every_s), session, &facts::felt(Some(*sentiment), language.as_deref()).into());
            }
            Said::Decides { session, confidence } => self.fact(agent, at_s, Some(session), facts::decided(Some(*confidence))),
            Said::Calls { tool, arguments, session, count, every_s } => {
                self.repeat_in(agent, (at_s, *count, *every_s), session, &facts::tool_called(tool, Some(arguments)).into());
            }
            Said::Uses { tokens_in, tokens_out, session, latency_ms, count, every_s } => {
                let used = facts::model_used(*tokens_in, *tokens_out, *latency_ms);
                self.repeat_in(agent, (at_s, *count, *every_s), session, &used.into());
            }
            Said::Finds { category, session } => self.fact(agent, at_s, Some(session), facts::finding(category)),
            Said::Harm { confirmed, count, every_s } => self.repeat(agent, at_s, *count, *every_s, &facts::harm(*confirmed).into()),
            Said::Beats { every_s, serving, count } => {
                self.repeat(agent, at_s, *count, *every_s, &facts::heartbeat(*every_s, serving.as_deref()).into());
            }
            // It belongs to a session and names none.
            Said::Garbles { count, every_s } => self.repeat(agent, at_s, *count, *every_s, &facts::ended().into()),
            Said::Answers { accepted, serving } => {
                let order = self.last(agent, Kind::RollbackOrdered)?;
                self.fact(agent, at_s, None, facts::acknowledged(&order, *accepted, serving.as_deref()));
            }
            Said::Reopens => {
                let shut_since = self.house.now();
                let teller = self.tellers.entry("the door".to_owned()).or_insert_with(|| Teller::new("door"));
                let opened = teller.tell(BIRTH.plus_s(at_s), None, DoorOpened { shut_since });
                self.house.reopen(BIRTH.plus_s(at_s), opened);
            }
            Said::Measures => self.measures = true,
            Said::Hold => self.house.hold(),
            Said::Release => self.house.release(),
            Said::Pass => self.house.pass_to(BIRTH.plus_s(at_s)),
            _ => return self.word(line),
        }
        Ok(())
    }

    /// What people say.
    fn word(&mut self, line: &Line) -> Result<(), String> {
        let agent = line.agent.as_str();
        let reason = "as agreed".to_owned();
        let (author, body): (&str, Body) = match &line.said {
            Said::Baseline(version, author) => {
                (author, BaselineDeclared { version: version.as_str().into(), author: author.clone(), reason }.into())
            }
            Said::Mode(mode, author) => (author, ModeSet { mode: symbol(mode)?, author: author.clone(), reason }.into()),
            Said::Automation(automation, author) => {
                (author, AutomationSet { automation: symbol(automation)?, author: author.clone(), reason }.into())
            }
            Said::Accepts(author) => {
                let proposal_id = self.last(agent, Kind::RollbackProposed)?;
                (author, RollbackAccepted { proposal_id, author: author.clone(), reason }.into())
            }
            Said::Lifts(version, author) => {
                (author, QuarantineLifted { version: version.as_str().into(), author: author.clone(), reason }.into())
            }
            Said::Notes(action, author) => {
                let opened = self.house.said(Kind::IncidentOpened).into_iter().rfind(|record| record.key.as_str() == agent);
                let Some(Body::IncidentOpened(opened)) = opened.map(|record| &record.body) else {
                    return Err(format!("{agent} has no incident"));
                };
                let noted = IncidentNoted {
                    incident_id: opened.incident_id.clone(),
                    action: symbol(action)?,
                    author: author.clone(),
                    text: Some(reason),
                };
                (author, noted.into())
            }
            Said::Claims(author) => (author, facts::claimed(&self.last_escalation(agent)?, author).into()),
            Said::Returns(author) => (author, facts::returned(&self.last_escalation(agent)?, author).into()),
            Said::Policy { room, document, author } => {
                let version = self.sessions.to_string();
                let adopted = PolicyAdopted { room: room.clone(), version, document: document.clone(), author: author.clone(), reason };
                (author, adopted.into())
            }
            said => return Err(format!("{said:?} is not for people to say")),
        };
        let author = author.to_owned();
        let teller = self.tellers.entry(format!("{author} about {agent}")).or_insert_with(|| Teller::person(&author, agent));
        let time = BIRTH.plus_s(line.at_s);
        let event = teller.tell(time, None, body);
        self.house.tell(time, event);
        Ok(())
    }

    /// A session, the time of its model call, and whether it succeeds.
    fn run(&mut self, agent: &str, at_s: i64, version: &str, segment: Option<&str>, (latency_ms, success): (Option<f64>, Option<bool>)) {
        self.sessions += 1;
        let session = format!("session-{}", self.sessions);
        self.fact(agent, at_s, Some(&session), facts::started(version, segment));
        if latency_ms.is_some() {
            self.fact(agent, at_s, Some(&session), ModelCalled { latency_ms, ..facts::model_called(Some(false)) });
        }
        if success.is_some() {
            self.fact(agent, at_s, Some(&session), facts::outcome(success));
        }
        self.fact(agent, at_s, Some(&session), facts::ended());
    }

    fn repeat(&mut self, agent: &str, at_s: i64, count: i64, every_s: i64, body: &Body) {
        for index in 0..count {
            let session = matches!(body, Body::ToolReturned(_) | Body::ModelCalled(_)).then_some("tools");
            self.fact(agent, at_s + index * every_s, session, body.clone());
        }
    }

    /// `when` is the first second, how often, and how many seconds apart.
    fn repeat_in(&mut self, agent: &str, (at_s, count, every_s): (i64, i64, i64), session: &str, body: &Body) {
        (0..count).for_each(|index| self.fact(agent, at_s + index * every_s, Some(session), body.clone()));
    }

    fn fact(&mut self, agent: &str, at_s: i64, session: Option<&str>, body: impl Into<Body>) {
        let time = BIRTH.plus_s(at_s);
        let teller = self.tellers.entry(agent.to_owned()).or_insert_with(|| Teller::new(agent));
        let event = teller.tell(time, session, body);
        self.house.tell(time, event);
    }

    fn last_escalation(&self, agent: &str) -> Result<String, String> {
        let raised = self.house.said(Kind::EscalationRaised).into_iter().rfind(|record| record.key.as_str() == agent);
        match raised.map(|record| &record.body) {
            Some(Body::EscalationRaised(raised)) => Ok(raised.escalation_id.clone()),
            _ => Err(format!("{agent} has no escalation")),
        }
    }

    fn last(&self, agent: &str, kind: Kind) -> Result<String, String> {
        let last = self.house.said(kind).into_iter().rfind(|record| record.key.as_str() == agent);
        last.map(|record| record.id.to_string()).ok_or_else(|| format!("{agent} has no {kind}"))
    }
}

fn symbol<T: serde_json_symbol::Symbol>(text: &str) -> Result<T, String> {
    T::read(text).ok_or_else(|| format!("`{text}` is not known"))
}

/// Symbols of the wire, read as JSON reads them.
mod serde_json_symbol {
    use wire::{Automation, Mode, NoteAction};

    pub(super) trait Symbol: Sized {
        fn read(text: &str) -> Option<Self>;
    }

    macro_rules! symbols {
        ($($name:ty)+) => {$(impl Symbol for $name {
            fn read(text: &str) -> Option<Self> {
                serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
            }
        })+};
    }

    symbols!(Automation Mode NoteAction);
}

/// `+00:01:05.000 incident.opened billing: sentence | {...}`
fn sentence(record: &Record) -> String {
    let value = serde_json::to_value(&record.body).expect("a body is JSON");
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let summary = fields.remove("summary").and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
    let basis = fields.remove("basis").unwrap_or_default();
    fields.remove("agent_id");
    let known: Vec<String> =
        ["rule", "policy", "accountable"].iter().filter_map(|name| Some(format!("{name}={}", basis.get(name)?.as_str()?))).collect();
    let causes = basis.get("causes").and_then(|causes| causes.as_array()).map_or(0, Vec::len);
    let fields = serde_json::Value::Object(fields);
    format!(
        "{} {} {}: {summary}\n    {} causes={causes}\n    {fields}",
        since_birth(record.appended),
        record.body.kind(),
        record.key,
        known.join(" ")
    )
}

fn since_birth(time: Timestamp) -> String {
    let ms = time.since_us(BIRTH) / 1_000;
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    format!("+{days}d {:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}
