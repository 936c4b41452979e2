//! What the room goes by: defaults, and an adopted document read into a [`Policy`] with every fault listed.

mod read;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::routes::Conditions;
use crate::signal::Trigger;
use crate::topics::{Phrases, has_words};

/// The policy in force where none was adopted.
pub const DEFAULT_VERSION: &str = "default";

/// The topic of a security finding, which needs no phrase.
pub const SECURITY: &str = "security";

/// Everything that the room may be told. Durations are seconds of the log's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its version, as the record that adopted it says.
    pub version: String,
    /// The language of texts that come without a tag; absent: it is not known, and they have no score.
    pub language: Option<String>,
    /// When a user's mood calls; `sentiment` in a document.
    #[serde(rename = "sentiment")]
    pub mood: Mood,
    /// Confidence below which a decision of the agent calls; absent: none does.
    pub confidence_min: Option<f64>,
    /// When a session has become too involved.
    pub complexity: Complexity,
    /// Calls of the agent that fail in a row before they call a human.
    pub failures_max: u32,
    /// Phrases by which an agent says that it cannot go on: in what it says, does, or which tool it calls.
    pub gives_up: Vec<String>,
    /// Topics that are a human's, whatever any score says.
    pub topics: Vec<Topic>,
    /// Where a session goes, first match first.
    pub routes: Vec<Route>,
    /// An escalation is over when nothing more is heard of it for so long.
    pub open_timeout_s: i64,
    /// A session of which nothing is heard for so long is forgotten.
    pub idle_s: i64,
}

/// How a user's scores become a call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mood {
    /// Weight of the newest score in the trend, above 0 and up to 1.
    pub alpha: f64,
    /// The trend turns bad at this value.
    pub enter: f64,
    /// It is good again from this value on.
    pub leave: f64,
    /// Scored turns before it may turn bad.
    pub turns_min: u32,
    /// Turns in a row without a score that call; absent: they are counted and call nobody.
    pub unknown_turns: Option<u32>,
}

/// Where a session has become too involved: any of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complexity {
    /// Distinct tools.
    pub systems_max: u32,
    /// Steps: calls of tools, and decisions.
    pub steps_max: u32,
    /// Calls of a tool whose last call failed.
    pub retries_max: u32,
}

/// A topic, and how it is recognised in what users say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name in conditions and decisions.
    pub name: String,
    /// Phrases that touch it, word by word.
    pub phrases: Vec<String>,
}

/// Where a session goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// The condition, in CEL.
    pub when: String,
    /// 1 is the most urgent.
    pub priority: i64,
    /// Seconds within which a human must take it.
    pub sla_s: i64,
    /// Whose it is.
    pub target: Target,
}

/// Whom a route calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A team of people.
    Team(String),
    /// Another agent, which answers for finding somebody.
    Agent(String),
    /// One person.
    Person(String),
}

/// The policy in force, with what is derived from it. In a snapshot it is the policy alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Policy", into = "Policy")]
pub(crate) struct InForce(Arc<Derived>);

#[derive(Debug)]
struct Derived {
    policy: Policy,
    conditions: Conditions,
    topics: Phrases,
    gives_up: Phrases,
}

/// Reads a policy document: a JSON object of the fields of [`Policy`] that differ from the defaults.
///
/// # Errors
/// Everything that is wrong with it, a sentence each, so that one look mends it all.
pub fn check(document: &str) -> Result<Policy, Vec<String>> {
    checked(document, DEFAULT_VERSION).map(|in_force| in_force.policy().clone())
}

/// [`check`], with what is derived from the policy.
pub(crate) fn checked(document: &str, version: &str) -> Result<InForce, Vec<String>> {
    let object = match serde_json::from_str(document) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(vec!["the document must be a JSON object".to_owned()]),
        Err(error) => return Err(vec![format!("the document is no JSON: {error}")]),
    };
    let (policy, mut faults) = read::policy(object);
    faults.extend(contradictions(&policy));
    match Conditions::of(&policy) {
        Ok(conditions) => {
            faults.extend(conditions.unreachable(&policy));
            if faults.is_empty() { Ok(InForce::of(Policy { version: version.to_owned(), ..policy }, conditions)) } else { Err(faults) }
        }
        Err(found) => Err(faults.into_iter().chain(found).collect()),
    }
}

/// Faults that only show when the fields are seen together.
fn contradictions(policy: &Policy) -> Vec<String> {
    let mut faults = Vec::new();
    if policy.mood.leave <= policy.mood.enter {
        faults.push(format!(
            "sentiment: leave ({}) must lie above enter ({}), or a mood that hovers calls again and again",
            policy.mood.leave, policy.mood.enter
        ));
    }
    match policy.routes.last() {
        None => faults.push("routes: there is none; the last condition must be `true`".to_owned()),
        Some(last) if last.when.trim() != "true" => {
            faults.push(format!("routes: the condition of the last one, `{}`, must be `true`, so that nobody is left without", last.name));
        }
        Some(_) => {}
    }
    faults.extend(repeated("routes", policy.routes.iter().map(|route| route.name.as_str())));
    faults.extend(repeated("topics", policy.topics.iter().map(|topic| topic.name.as_str())));
    for route in policy.routes.iter().filter(|route| route.sla_s >= policy.open_timeout_s) {
        faults.push(format!(
            "route `{}`: its sla_s ({}) must lie below open_timeout_s ({}), or nobody could ever be late",
            route.name, route.sla_s, policy.open_timeout_s
        ));
    }
    for topic in policy.topics.iter().filter(|topic| topic.phrases.is_empty() && topic.name != SECURITY) {
        faults.push(format!("topics: `{}` has no phrase, so nothing would ever touch it", topic.name));
    }
    let wordless = |list: &[String]| list.iter().any(|phrase| !has_words(phrase));
    for topic in policy.topics.iter().filter(|topic| wordless(&topic.phrases)) {
        faults.push(format!("topics: a phrase of `{}` holds no word", topic.name));
    }
    if wordless(&policy.gives_up) {
        faults.push("gives_up: a phrase holds no word".to_owned());
    }
    faults
}

fn repeated<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).map(|name| format!("{field}: there are two of the name `{name}`")).collect()
}

// === impl Policy ===

impl Policy {
    /// Triggers that can call under this policy.
    pub(crate) fn triggers(&self) -> impl Iterator<Item = Trigger> {
        Trigger::ALL.into_iter().filter(|trigger| match trigger {
            Trigger::SentimentUnknown => self.mood.unknown_turns.is_some(),
            // None is below 0.
            Trigger::Confidence => self.confidence_min.is_some_and(|least| least > 0.0),
            _ => true,
        })
    }

    /// Topics that can be touched under this policy: a security finding touches its own, listed or not.
    pub(crate) fn topic_names(&self) -> impl Iterator<Item = &str> {
        let listed = self.topics.iter().map(|topic| topic.name.as_str());
        let security = self.topics.iter().all(|topic| topic.name != SECURITY).then_some(SECURITY);
        listed.chain(security)
    }
}

impl Default for Policy {
    fn default() -> Self {
        let list = |phrases: &[&str]| phrases.iter().map(|phrase| (*phrase).to_owned()).collect::<Vec<_>>();
        let topic = |name: &str, phrases: &[&str]| Topic { name: name.to_owned(), phrases: list(phrases) };
        let route = |name: &str, when: &str, priority: i64, sla_s: i64, team: &str| Route {
            name: name.to_owned(),
            when: when.to_owned(),
            priority,
            sla_s,
            target: Target::Team(team.to_owned()),
        };
        Self {
            version: DEFAULT_VERSION.to_owned(),
            language: None,
            mood: Mood { alpha: 0.5, enter: -0.4, leave: -0.1, turns_min: 1, unknown_turns: None },
            confidence_min: Some(0.3),
            complexity: Complexity { systems_max: 8, steps_max: 40, retries_max: 4 },
            failures_max: 3,
            gives_up: list(&[
                "I cannot help",
                "I can't help",
                "I am unable to",
                "I'm unable to",
                "transfer to human",
                "transfer to a human",
                "escalate to human",
                "escalate to a human",
                "hand over to a human",
            ]),
            topics: vec![
                topic("human", &HUMAN_PHRASES),
                topic("legal", &LEGAL_PHRASES),
                topic(SECURITY, &SECURITY_PHRASES),
                topic("compliance", &COMPLIANCE_PHRASES),
            ],
            routes: vec![
                route("security", r#"topic == "security""#, 1, 300, "security"),
                route("legal", r#"topic in ["legal", "compliance"]"#, 2, 900, "legal"),
                route("human-wished", r#"topic == "human""#, 2, 120, "support"),
                route("very-angry", r#"trigger == "sentiment" && sentiment <= -0.7"#, 2, 300, "support"),
                route("angry-or-stuck", r#"trigger in ["sentiment", "agent_failure"]"#, 3, 600, "support"),
                route("otherwise", "true", 4, 1_800, "support"),
            ],
            open_timeout_s: 24 * 3_600,
            idle_s: 24 * 3_600,
        }
    }
}

const HUMAN_PHRASES: [&str; 15] = [
    "speak to a human",
    "speak with a human",
    "talk to a human",
    "talk with a human",
    "speak to a person",
    "talk to a person",
    "real person",
    "human agent",
    "live agent",
    "human being",
    "speak to someone",
    "talk to someone",
    "speak to a manager",
    "your manager",
    "your supervisor",
];
const LEGAL_PHRASES: [&str; 10] = [
    "lawyer",
    "my attorney",
    "solicitor",
    "lawsuit",
    "legal action",
    "sue you",
    "sue your company",
    "small claims",
    "take you to court",
    "see you in court",
];
const SECURITY_PHRASES: [&str; 10] = [
    "hacked",
    "phishing",
    "identity theft",
    "data breach",
    "account takeover",
    "unauthorized charge",
    "unauthorized charges",
    "unauthorised payment",
    "stolen card",
    "somebody else has access",
];
const COMPLIANCE_PHRASES: [&str; 9] = [
    "GDPR",
    "HIPAA",
    "ombudsman",
    "regulator",
    "data protection",
    "delete my data",
    "delete all my data",
    "discrimination",
    "money laundering",
];

// === impl InForce ===

impl InForce {
    fn of(policy: Policy, conditions: Conditions) -> Self {
        let topics = Phrases::of(policy.topics.iter().map(|topic| topic.phrases.as_slice()));
        let gives_up = Phrases::of([policy.gives_up.as_slice()]);
        Self(Arc::new(Derived { policy, conditions, topics, gives_up }))
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    pub(crate) fn conditions(&self) -> &Conditions {
        &self.0.conditions
    }

    /// Topics that what a user said touches.
    pub(crate) fn topics_in(&self, text: &str) -> impl Iterator<Item = &str> {
        self.0.topics.found_in(text).into_iter().map(|place| self.0.policy.topics[place].name.as_str())
    }

    /// Whether an agent says that it cannot go on.
    pub(crate) fn gives_up(&self, text: &str) -> bool {
        self.0.gives_up.are_in(text)
    }
}

impl Default for InForce {
    fn default() -> Self {
        static DEFAULT: LazyLock<InForce> = LazyLock::new(|| InForce::try_from(Policy::default()).expect("the default policy is sound"));
        DEFAULT.clone()
    }
}

impl PartialEq for InForce {
    fn eq(&self, other: &Self) -> bool {
        self.0.policy == other.0.policy
    }
}

/// A policy that was checked when it was adopted: only what is derived from it is made anew.
impl TryFrom<Policy> for InForce {
    type Error = String;

    fn try_from(policy: Policy) -> Result<Self, String> {
        let conditions = Conditions::of(&policy).map_err(|faults| faults.join("; "))?;
        Ok(Self::of(policy, conditions))
    }
}

impl From<InForce> for Policy {
    fn from(in_force: InForce) -> Self {
        in_force.0.policy.clone()
    }
}

// === impl Target ===

impl Target {
    /// `team`, `agent` or `person`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Team(_) => "team",
            Self::Agent(_) => "agent",
            Self::Person(_) => "person",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Team(name) | Self::Agent(name) | Self::Person(name) => name,
        }
    }
}

#[cfg(test)]
mod tests;
