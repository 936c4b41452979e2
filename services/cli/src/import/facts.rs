//! A recorded session as the facts that a platform would have published about it, in the gateway's own translation.
//!
//! Every id is derived from what was recorded (source, session, turn, kind), never from where the line stands or what
//! the file is called: the same session is the same facts, however often and from wherever it is brought in.

use serde_json::{Value, json};
use uuid::Uuid;
use wire::cloudevents::{self, Door};
use wire::{AgentId, Event, Kind, Timestamp, VersionId};

use super::lines::{Fault, Place};
use super::recording::{Act, Session, Turn};

/// Root of the ids that an import derives.
const ROOT: Uuid = Uuid::from_u128(0x2f0c_9a51_7d3e_5b86_a4c1_60e9_8b72_15df);
/// How the platform of every recorded session is named: alone where the source is not told, else with the source.
pub(crate) const RECORDED_PLATFORM: &str = "recorded";
/// Bytes of a source that its platform's name keeps for people; a digest tells sources apart.
const SLUG_BYTES_MAX: usize = 64;
/// Who declares a baseline at an import.
const IMPORTER: &str = "import";

/// What options say about the recorded sessions instead of their own fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Naming {
    /// The agent, instead of the domain.
    pub agent: Option<String>,
    /// The version, instead of the agent's model.
    pub version: Option<String>,
}

/// One fact, and where it stands in the order of publishing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    /// Where it was recorded.
    pub place: Place,
    /// The source that recorded it, as it names itself.
    pub source: String,
    /// When it happened, or the last thing before it in its session. Absent: nothing in its session is dated.
    pub at: Option<Timestamp>,
    /// What it is within its session.
    pub step: Step,
    /// Whether nothing in its session tells a version or how it went, so that no room has an answer to it at once.
    pub quiet: bool,
    /// The fact.
    pub event: Event,
}

/// The order of facts within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// It began. A baseline that is declared with it comes before.
    Started,
    /// A turn: its index, and first what was done, then what it took.
    Turn(i64, u8),
    /// How it turned out.
    Outcome,
    /// It ended.
    Ended,
}

/// The facts of one session, in its own order.
///
/// # Errors
/// The first thing that keeps one of them from being published.
pub(super) fn of_session(session: &Session, place: &Place, naming: &Naming) -> Result<Vec<Fact>, Fault> {
    let agent = naming.agent.as_ref().or(session.domain.as_ref());
    let agent = agent.ok_or_else(|| place.fault(Some("domain"), "it is missing; name the agent with --agent"))?;
    let recorded = Recorded { session, place, teller: Teller::new(session.source.as_deref(), &session.id, agent) };

    let mut facts = vec![recorded.started(naming)?];
    for turn in &session.turns {
        facts.push(recorded.acted(turn)?);
        facts.extend(recorded.spent(turn)?);
    }
    // What is not told is no outcome: the session just ended.
    if let Some(success) = session.success {
        facts.push(recorded.tell(Step::Outcome, Kind::OutcomeReported, session.ended_at, json!({ "success": success }))?);
    }
    facts.push(recorded.tell(Step::Ended, Kind::SessionEnded, session.ended_at, json!({ "reason": session.termination_reason }))?);
    date_the_undated(&mut facts);
    Ok(facts)
}

/// The word that `version` is the baseline of an agent, said before `first`, the first of its facts.
///
/// `least` is any session of the agent that does not depend on the order of the lines: it makes the same import say
/// the same word again, and another import another one.
///
/// # Errors
/// When the version's name is refused.
pub(super) fn baseline(version: &VersionId, first: &Fact, least: &(String, String)) -> Result<Fact, Fault> {
    let agent = &first.event.key;
    let id = derived(&json!(["baseline.declared", agent.as_str(), version.as_str(), least.0, least.1]));
    let told = json!({ "version": version, "author": IMPORTER, "reason": "named as the baseline when recorded sessions were imported" });
    let event = envelope(&format!("/people/{IMPORTER}"), agent, &id, Kind::BaselineDeclared, first.at, None, told);
    let event = translate(event).map_err(|reason| first.place.fault(Some("--baseline"), reason))?;
    Ok(Fact { event, step: Step::Started, quiet: false, ..first.clone() })
}

/// Name of the platform of a source: readable, and as unique as the source.
pub(super) fn platform_of(source: Option<&str>) -> String {
    let Some(source) = source else { return RECORDED_PLATFORM.to_owned() };
    let last = source.rsplit('/').next().unwrap_or(source);
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    let kept: String = stem.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' }).collect();
    let digest = Uuid::new_v5(&ROOT, source.as_bytes()).simple().to_string();
    format!("{RECORDED_PLATFORM}-{}-{}", &kept[..kept.len().min(SLUG_BYTES_MAX)], &digest[..12])
}

/// Whoever tells the facts of one session.
pub(super) struct Teller<'a> {
    source: Option<&'a str>,
    session: &'a str,
    agent: &'a str,
    platform: String,
}

/// What a fact is, before it is told.
pub(super) struct Telling {
    /// What its id is derived from: every part of it that no other fact shares.
    pub name: Value,
    /// What it is within its session.
    pub step: Step,
    /// Its kind.
    pub kind: Kind,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// Its fields; what is null is absent.
    pub told: Value,
}

/// A recorded session, and whoever tells its facts.
struct Recorded<'a> {
    session: &'a Session,
    place: &'a Place,
    teller: Teller<'a>,
}

// === impl Teller ===

impl<'a> Teller<'a> {
    /// Tells of `session`, which `source` recorded of `agent`.
    pub(super) fn new(source: Option<&'a str>, session: &'a str, agent: &'a str) -> Self {
        Self { source, session, agent, platform: platform_of(source) }
    }

    /// The fact.
    ///
    /// # Errors
    /// When the gateway would refuse it.
    pub(super) fn tell(&self, place: Place, telling: Telling) -> Result<Fact, Fault> {
        let Telling { name, step, kind, at, told } = telling;
        let source = cloudevents::platform_source(&self.platform, self.agent);
        let event = envelope(source.as_str(), &AgentId::from(self.agent), &derived(&name), kind, at, Some(self.session), told);
        let event = translate(event).map_err(|reason| place.fault(None, format!("{kind} is refused: {reason}")))?;
        Ok(Fact { place, source: self.source.unwrap_or_default().to_owned(), at, step, quiet: false, event })
    }
}

// === impl Recorded ===

impl Recorded<'_> {
    fn started(&self, naming: &Naming) -> Result<Fact, Fault> {
        let version = naming.version.as_ref().or(self.session.agent_model.as_ref());
        let told = json!({ "version": version, "segment": self.session.segment });
        self.tell(Step::Started, Kind::SessionStarted, self.session.started_at, told)
    }

    fn acted(&self, turn: &Turn) -> Result<Fact, Fault> {
        let index = turn.index;
        let (kind, told) = match &turn.act {
            Act::Message { text } => (Kind::MessagePosted, json!({ "role": turn.role, "text": text, "turn": index })),
            Act::ToolCall { tool, call_id, arguments } => {
                (Kind::ToolCalled, json!({ "tool": tool, "by": turn.role, "call_id": call_id, "arguments": arguments, "turn": index }))
            }
            Act::ToolResult { tool, call_id, result, by, failed } => (
                Kind::ToolReturned,
                json!({ "tool": tool, "by": by, "call_id": call_id, "result": result, "failed": failed, "turn": index }),
            ),
        };
        self.tell(Step::Turn(index, 0), kind, turn.at, told)
    }

    fn spent(&self, turn: &Turn) -> Result<Option<Fact>, Fault> {
        let Some(spent) = &turn.spent else { return Ok(None) };
        let told = json!({
            "by": turn.role,
            "tokens_in": spent.tokens_in,
            "tokens_out": spent.tokens_out,
            "cost_usd": spent.cost_usd,
            "finish_reason": spent.finish_reason,
            "turn": turn.index,
        });
        self.tell(Step::Turn(turn.index, 1), Kind::ModelCalled, turn.at, told).map(Some)
    }

    fn tell(&self, step: Step, kind: Kind, at: Option<Timestamp>, told: Value) -> Result<Fact, Fault> {
        let turn = match step {
            Step::Turn(index, _) => Some(index),
            Step::Started | Step::Outcome | Step::Ended => None,
        };
        let name = json!([self.session.source, self.session.id, turn, kind.name()]);
        self.teller.tell(Place { turn, ..self.place.clone() }, Telling { name, step, kind, at, told })
    }
}

// === helpers ===

/// What has no time of its own stands where the last thing before it stands, and before all of them with the first.
pub(super) fn date_the_undated(facts: &mut [Fact]) {
    let mut last = facts.iter().find_map(|fact| fact.at);
    for fact in facts {
        fact.at = fact.at.or(last);
        last = fact.at;
    }
}

/// The id that is derived from `name`.
pub(super) fn derived(name: &Value) -> String {
    Uuid::new_v5(&ROOT, name.to_string().as_bytes()).to_string()
}

/// A structured CloudEvent; what is absent is left out.
fn envelope(source: &str, agent: &AgentId, id: &str, kind: Kind, at: Option<Timestamp>, session: Option<&str>, told: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind.ce_type(),
        "time": at,
        "subject": session,
        "partitionkey": agent.as_str(),
        "data": told,
    });
    let told = |value: &mut Value| value.as_object_mut().into_iter().for_each(|fields| fields.retain(|_, value| !value.is_null()));
    told(&mut event["data"]);
    told(&mut event);
    event
}

/// The gateway's translation, with its limits.
fn translate(event: Value) -> Result<Event, String> {
    let faults = |faults: Vec<wire::Refusal>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    cloudevents::parse_structured(event.to_string().as_bytes(), Door::Public).map_err(faults)
}

#[cfg(test)]
mod tests {
    use wire::{Body, Role};

    use super::super::recording::Spent;
    use super::*;

    #[test]
    fn ids_tell_sources_sessions_turns_and_kinds_apart_and_nothing_else() {
        let place = |line| Place { file: format!("{line}.jsonl").into(), line, turn: None };
        let ids = |session: &Session, line| -> Vec<String> {
            let facts = of_session(session, &place(line), &Naming::default()).expect("nothing is refused");
            facts.iter().map(|fact| fact.event.id.to_string()).collect()
        };
        let session = session();
        let here = ids(&session, 1);
        assert_eq!(here, ids(&session, 7), "another file and line");
        let distinct: std::collections::BTreeSet<_> = here.iter().collect();
        assert_eq!(distinct.len(), here.len(), "turns and kinds");
        for other in [Session { id: "t".to_owned(), ..session.clone() }, Session { source: None, ..session.clone() }] {
            assert!(ids(&other, 1).iter().all(|id| !here.contains(id)), "another session or source");
        }
    }

    #[test]
    fn what_the_source_does_not_tell_stays_absent() {
        let bare = Session { id: "s".to_owned(), domain: Some("travel".to_owned()), ..Session::default() };
        let facts = of_session(&bare, &place(), &Naming::default()).expect("nothing is refused");
        let [started, ended] = &facts[..] else { panic!("no outcome was told: {facts:?}") };
        assert_eq!(started.event.source.as_str(), "/platforms/recorded/agents/travel");
        assert!(matches!(&started.event.body, Body::SessionStarted(told) if told.version.is_none() && told.segment.is_none()));
        assert!(matches!(&ended.event.body, Body::SessionEnded(told) if told.reason.is_none()));
        assert_eq!((started.event.time, ended.event.time), (None, None));
    }

    #[test]
    fn what_a_turn_took_is_a_fact_of_its_own() {
        let facts = of_session(&session(), &place(), &Naming::default()).expect("nothing is refused");
        let kinds: Vec<_> = facts.iter().map(|fact| fact.event.body.kind().name()).collect();
        assert_eq!(kinds, ["session.started", "message.posted", "model.called", "message.posted", "outcome.reported", "session.ended"]);
    }

    #[test]
    fn an_undated_turn_stands_after_the_last_dated_one_and_carries_no_time() {
        let facts = of_session(&session(), &place(), &Naming::default()).expect("nothing is refused");
        let undated = &facts[3];
        assert_eq!((undated.at, undated.event.time), (Some(Timestamp(1_750_000_001_000_000)), None));
    }

    #[test]
    fn options_name_agent_and_version_and_leave_the_ids() {
        let naming = Naming { agent: Some("shop assistant".to_owned()), version: Some("v7".to_owned()) };
        let facts = of_session(&session(), &place(), &naming).expect("nothing is refused");
        assert_eq!(facts[0].event.key.as_str(), "shop assistant");
        assert!(facts[0].event.source.as_str().ends_with("/agents/shop%20assistant"), "{}", facts[0].event.source);
        assert!(matches!(&facts[0].event.body, Body::SessionStarted(told) if told.version == Some("v7".into())));
        let own = of_session(&session(), &place(), &Naming::default()).expect("nothing is refused");
        assert_eq!(facts[0].event.id, own[0].event.id);
    }

    #[test]
    fn platforms_of_sources_that_look_alike_differ() {
        let names = ["a/results/x.json", "b/results/x.json", "a/results/X.json"].map(|source| platform_of(Some(source)));
        assert!(names.iter().all(|name| name.starts_with("recorded-x-")), "{names:?}");
        assert!(names[0] != names[1] && names[0] != names[2] && names[1] != names[2], "{names:?}");
    }

    fn session() -> Session {
        let message = |index, at, spent| Turn { index, act: Act::Message { text: None }, role: Role::Agent, at, spent };
        let second = |second| Some(Timestamp(1_750_000_000_000_000).plus_s(second));
        Session {
            id: "s".to_owned(),
            source: Some("results/x.json".to_owned()),
            domain: Some("travel".to_owned()),
            agent_model: Some("v1".to_owned()),
            started_at: second(0),
            ended_at: second(9),
            success: Some(false),
            turns: vec![message(0, second(1), Some(Spent { tokens_in: Some(3), ..Spent::default() })), message(1, None, None)],
            ..Session::default()
        }
    }

    fn place() -> Place {
        Place { file: "s.jsonl".into(), line: 1, turn: None }
    }
}
