//! Generated agent lives: sessions that overlap, fail and go silent, harms, deployments, and people who interfere.

use std::collections::BTreeMap;

use machine::laws::Life;
use proptest::prelude::*;
use wire::{Automation, Body, Event, Kind, Mode, Record, Timestamp};

use crate::facts::{self, Teller};
use crate::house::House;
use crate::room::Rooms;

/// When every life begins: 2026-01-01T00:00:00Z.
pub const BIRTH: Timestamp = Timestamp(1_767_225_600_000_000);

const AGENTS: [&str; 3] = ["billing", "travel", "support"];
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

/// One step of a life. Times are relative to the step before.
#[derive(Clone, Debug)]
enum Step {
    Session {
        agent: usize,
        version: usize,
        segment: usize,
        after_s: i64,
        lasts_s: i64,
        success: Option<bool>,
        tool_failed: Option<bool>,
        ends: bool,
    },
    /// A session in which there is talk, with everything that a platform may tell of it.
    Talk {
        agent: usize,
        version: usize,
        turns: Vec<Turn>,
        ends: bool,
    },
    Finding {
        agent: usize,
    },
    Burst {
        agent: usize,
        failed: usize,
        fine: usize,
    },
    Harm {
        agent: usize,
        confirmed: bool,
    },
    Beat {
        agent: usize,
        serving: usize,
    },
    Deployed {
        agent: usize,
        version: usize,
    },
    Baseline {
        agent: usize,
        version: usize,
    },
    Lifted {
        agent: usize,
        version: usize,
    },
    Automation {
        agent: usize,
        automation: Automation,
    },
    Mode {
        agent: usize,
        mode: Mode,
    },
    Idle {
        seconds: i64,
    },
}

/// One turn of a talk: the customer speaks, the agent calls a tool and its model, and decides.
#[derive(Clone, Debug)]
struct Turn {
    after_s: i64,
    sentiment: Option<f64>,
    language: Option<&'static str>,
    text: Option<&'static str>,
    /// How often the agent makes the same call in this turn.
    calls: usize,
    tool: usize,
    model_failed: Option<bool>,
    tokens: Option<(i64, i64)>,
    latency_ms: Option<f64>,
    confidence: Option<f64>,
    /// How long before it was told the turn happened: platforms may be late.
    late_s: i64,
}

/// What customers write: praise, anger, a threat, a wish, and a question.
pub const TEXTS: [&str; 5] = [
    "thank you, this is great",
    "this is terrible, I am furious",
    "I will call my lawyer",
    "let me speak to a human being, please",
    "where is my order",
];
const TOOLS: [&str; 4] = ["lookup", "refund", "search", "mail"];

/// Lives of one to three agents, as platforms and people tell them.
pub fn agent_life() -> impl Strategy<Value = Life> {
    prop::collection::vec(step(), 1..60).prop_map(|steps| told(&steps))
}

/// How the platform answers its n-th order: after so many seconds, and whether it obeys. `None`: never.
pub type Answer = Option<(i64, bool)>;

/// Lives as one room of a house lives them: the facts, the other rooms' decisions, and the platform's answers to orders.
pub fn life_beside(service: &'static str, rooms: fn() -> Rooms) -> impl Strategy<Value = Life> {
    let answer = prop_oneof![1 => Just(None), 4 => (1..50_i64, prop::bool::weighted(0.8)).prop_map(Some), 1 => (300..4_000_i64, Just(true)).prop_map(Some)];
    (agent_life(), prop::collection::vec(answer, 4)).prop_map(move |(life, answers)| {
        let own = format!("/reeve/{service}");
        let log = lived_together(&life, &rooms(), &answers);
        log.into_iter().filter(|record| record.source.as_str() != own).map(|record| (record.appended, record.event)).collect()
    })
}

/// Lives in which some of what is said cannot be read: where `life` says something that belongs to a session, somebody says
/// it once more and names none.
pub fn with_unreadable(life: impl Strategy<Value = Life>) -> impl Strategy<Value = Life> {
    (life, prop::collection::vec(any::<prop::sample::Index>(), 0..12)).prop_map(|(mut life, places)| {
        if life.is_empty() {
            return life;
        }
        for (number, place) in places.iter().enumerate() {
            let place = place.index(life.len());
            let (time, mut event) = life[place].clone();
            if event.body.kind().is_decision() {
                continue;
            }
            event.id = format!("unreadable-{number}").into();
            event.subject = None;
            event.body = facts::ended().into();
            life.insert(place + 1, (time, event));
        }
        life
    })
}

/// The log of a house in which `life` was told, and orders answered.
pub fn lived_together(life: &Life, rooms: &Rooms, answers: &[Answer]) -> Vec<Record> {
    let mut house = House::new(rooms);
    let mut platforms: Vec<Teller> = AGENTS.iter().map(|agent| Teller::new(&format!("{agent}'s acknowledgements"))).collect();
    let mut to_tell: BTreeMap<(Timestamp, usize), Event> = BTreeMap::new();
    let mut people: Vec<Teller> = AGENTS.iter().map(|agent| Teller::person("bea", agent)).collect();
    let (mut answered, mut heard) = (0, 0);
    let mut facts = life.iter().cloned().peekable();
    loop {
        let next_answer = to_tell.first_key_value().map(|((time, _), _)| *time);
        let (time, event) = match (facts.peek(), next_answer) {
            (Some((time, _)), Some(answer_at)) if answer_at < *time => (answer_at, to_tell.pop_first().map(|(_, event)| event)),
            (None, Some(answer_at)) => (answer_at, to_tell.pop_first().map(|(_, event)| event)),
            (Some(_), _) => facts.next().map_or((BIRTH, None), |(time, event)| (time, Some(event))),
            (None, None) => break,
        };
        house.tell(time.max(house.now()), event.expect("whatever was peeked at is there"));
        let orders: Vec<Record> = house.said(Kind::RollbackOrdered).into_iter().skip(answered).cloned().collect();
        for order in orders {
            answered += 1;
            if let Some((after_s, accepted)) = answers[answered % answers.len()] {
                let agent = AGENTS.iter().position(|agent| *agent == order.key.as_str()).unwrap_or(0);
                let at = house.now().plus_s(after_s);
                let mut answer = platforms[agent].tell(at, None, facts::acknowledged(order.id.as_str(), accepted, None));
                answer.key = order.key.clone();
                to_tell.insert((at, answered), answer);
            }
        }
        // Whoever answers orders as slowly answers escalations: claims them, and after as long again returns them.
        let raised: Vec<Record> = house.said(Kind::EscalationRaised).into_iter().skip(heard).cloned().collect();
        for record in raised {
            heard += 1;
            let Body::EscalationRaised(raised) = &record.body else { continue };
            if let Some((after_s, returns)) = answers[heard % answers.len()] {
                let agent = AGENTS.iter().position(|agent| *agent == record.key.as_str()).unwrap_or(0);
                let (claim_at, return_at) = (house.now().plus_s(after_s), house.now().plus_s(2 * after_s));
                let session = Some(raised.session_id.as_str());
                let claim = people[agent].tell(claim_at, session, facts::claimed(&raised.escalation_id, "bea"));
                to_tell.insert((claim_at, usize::MAX - 2 * heard), claim);
                if returns {
                    let back = people[agent].tell(return_at, session, facts::returned(&raised.escalation_id, "bea"));
                    to_tell.insert((return_at, usize::MAX - 2 * heard + 1), back);
                }
            }
        }
    }
    house.log().to_vec()
}

fn step() -> impl Strategy<Value = Step> {
    let agent = || 0..AGENTS.len();
    let version = || 0..VERSIONS.len();
    prop_oneof![
        12 => session(),
        5 => talk(),
        1 => agent().prop_map(|agent| Step::Finding { agent }),
        2 => (agent(), 0..25_usize, 0..40_usize).prop_map(|(agent, failed, fine)| Step::Burst { agent, failed, fine }),
        2 => (agent(), any::<bool>()).prop_map(|(agent, confirmed)| Step::Harm { agent, confirmed }),
        2 => (agent(), version()).prop_map(|(agent, serving)| Step::Beat { agent, serving }),
        1 => (agent(), version()).prop_map(|(agent, version)| Step::Deployed { agent, version }),
        1 => (agent(), version()).prop_map(|(agent, version)| Step::Baseline { agent, version }),
        1 => (agent(), version()).prop_map(|(agent, version)| Step::Lifted { agent, version }),
        1 => (agent(), prop::sample::select(vec![Automation::Observe, Automation::Propose, Automation::Enforce]))
            .prop_map(|(agent, automation)| Step::Automation { agent, automation }),
        1 => (agent(), prop::sample::select(vec![Mode::Normal, Mode::Reduced, Mode::HumanOnly])).prop_map(|(agent, mode)| Step::Mode { agent, mode }),
        1 => (1..40_000_i64).prop_map(|seconds| Step::Idle { seconds }),
    ]
}

fn session() -> impl Strategy<Value = Step> {
    let success = prop_oneof![4 => Just(Some(false)), 4 => Just(Some(true)), 1 => Just(None)];
    let tool_failed = prop_oneof![3 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)];
    (0..AGENTS.len(), 0..VERSIONS.len(), 0..3_usize, 0..4_i64, 0..90_i64, success, tool_failed, prop::bool::weighted(0.9)).prop_map(
        |(agent, version, segment, after_s, lasts_s, success, tool_failed, ends)| Step::Session {
            agent,
            version,
            segment,
            after_s,
            lasts_s,
            success,
            tool_failed,
            ends,
        },
    )
}

fn talk() -> impl Strategy<Value = Step> {
    (0..AGENTS.len(), 0..VERSIONS.len(), prop::collection::vec(turn(), 1..10), prop::bool::weighted(0.8))
        .prop_map(|(agent, version, turns, ends)| Step::Talk { agent, version, turns, ends })
}

fn turn() -> impl Strategy<Value = Turn> {
    let spoken = (
        0..120_i64,
        prop::option::weighted(0.7, -1.0..1.0_f64),
        prop::option::of(prop::sample::select(vec!["en", "de", "en-GB"])),
        prop::option::weighted(0.5, prop::sample::select(TEXTS.to_vec())),
    );
    let done = (prop_oneof![6 => 0..3_usize, 1 => 4..9_usize], 0..TOOLS.len());
    let used = (
        prop_oneof![4 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)],
        prop::option::weighted(0.8, (0..20_000_i64, 0..2_000_i64)),
        prop::option::weighted(0.8, 1.0..20_000.0_f64),
        prop::option::weighted(0.6, 0.0..=1.0_f64),
        prop_oneof![6 => Just(0), 1 => 1..400_i64],
    );
    (spoken, done, used).prop_map(
        |((after_s, sentiment, language, text), (calls, tool), (model_failed, tokens, latency_ms, confidence, late_s))| Turn {
            after_s,
            sentiment,
            language,
            text,
            calls,
            tool,
            model_failed,
            tokens,
            latency_ms,
            confidence,
            late_s,
        },
    )
}

/// A life as it is told: in order of time, each fact dated when it happened.
fn told(steps: &[Step]) -> Life {
    let mut story = Story::new();
    steps.iter().enumerate().for_each(|(number, step)| story.live(number, step));
    story.facts.sort_by_key(|(time, _)| *time);
    story.facts
}

struct Story {
    now: Timestamp,
    platforms: Vec<Teller>,
    people: Vec<Teller>,
    facts: Life,
}

// === impl Story ===

impl Story {
    fn new() -> Self {
        Self {
            now: BIRTH,
            platforms: AGENTS.iter().map(|agent| Teller::new(agent)).collect(),
            people: AGENTS.iter().map(|agent| Teller::person("ann", agent)).collect(),
            facts: Vec::new(),
        }
    }

    fn live(&mut self, number: usize, step: &Step) {
        match *step {
            Step::Session { agent, version, segment, after_s, lasts_s, success, tool_failed, ends } => {
                self.now = self.now.plus_s(after_s);
                let end = self.now.plus_s(lasts_s);
                let id = format!("s-{number}");
                let segment = (segment > 0).then(|| format!("task-{segment}"));
                self.fact(agent, self.now, Some(&id), facts::started(VERSIONS[version], segment.as_deref()));
                self.fact(agent, self.now.plus_s(lasts_s / 2), Some(&id), facts::tool_returned(tool_failed));
                if success.is_some() {
                    self.fact(agent, end, Some(&id), facts::outcome(success));
                }
                if ends {
                    self.fact(agent, end, Some(&id), facts::ended());
                }
            }
            Step::Talk { agent, version, ref turns, ends } => self.talk(number, agent, VERSIONS[version], turns, ends),
            Step::Finding { agent } => self.fact(agent, self.now, None, facts::finding("prompt_injection")),
            Step::Burst { agent, failed, fine } => {
                for index in 0..failed + fine {
                    self.fact(agent, self.now, Some("burst"), facts::tool_returned(Some(index < failed)));
                }
            }
            Step::Harm { agent, confirmed } => self.fact(agent, self.now, None, facts::harm(confirmed)),
            Step::Beat { agent, serving } => self.fact(agent, self.now, None, facts::heartbeat(30, Some(VERSIONS[serving]))),
            Step::Deployed { agent, version } => self.fact(agent, self.now, None, facts::deployed(VERSIONS[version])),
            Step::Baseline { agent, version } => self.word(agent, facts::baseline(VERSIONS[version])),
            Step::Lifted { agent, version } => self.word(agent, facts::lifted(VERSIONS[version])),
            Step::Automation { agent, automation } => self.word(agent, facts::automation(automation)),
            Step::Mode { agent, mode } => self.word(agent, facts::mode(mode)),
            Step::Idle { seconds } => self.now = self.now.plus_s(seconds),
        }
    }

    /// The session goes on beside whatever follows it.
    fn talk(&mut self, number: usize, agent: usize, version: &str, turns: &[Turn], ends: bool) {
        let id = format!("talk-{number}");
        let mut at = self.now;
        self.fact(agent, at, Some(&id), facts::started(version, None));
        for turn in turns {
            at = at.plus_s(turn.after_s);
            let posted =
                wire::MessagePosted { sentiment: turn.sentiment, text: turn.text.map(str::to_owned), ..facts::felt(None, turn.language) };
            let late_s = turn.late_s;
            self.late_fact(agent, at, late_s, &id, posted);
            for _ in 0..turn.calls {
                self.late_fact(agent, at, late_s, &id, facts::tool_called(TOOLS[turn.tool], Some(r#"{"order":7}"#)));
                self.late_fact(agent, at, late_s, &id, facts::tool_returned(turn.model_failed));
            }
            let called = wire::ModelCalled {
                tokens_in: turn.tokens.map(|(tokens_in, _)| tokens_in),
                tokens_out: turn.tokens.map(|(_, tokens_out)| tokens_out),
                latency_ms: turn.latency_ms,
                ..facts::model_called(turn.model_failed)
            };
            self.late_fact(agent, at, late_s, &id, called);
            self.late_fact(agent, at, late_s, &id, facts::decided(turn.confidence));
        }
        if ends {
            self.fact(agent, at, Some(&id), facts::ended());
        }
    }

    /// A fact that happened `late_s` before it is told.
    fn late_fact(&mut self, agent: usize, told_at: Timestamp, late_s: i64, session: &str, body: impl Into<wire::Body>) {
        let event: Event = self.platforms[agent].tell(told_at.plus_s(-late_s), Some(session), body);
        self.facts.push((told_at, event));
    }

    fn fact(&mut self, agent: usize, time: Timestamp, session: Option<&str>, body: impl Into<wire::Body>) {
        let event: Event = self.platforms[agent].tell(time, session, body);
        self.facts.push((time, event));
    }

    fn word(&mut self, agent: usize, body: impl Into<wire::Body>) {
        let event = self.people[agent].tell(self.now, None, body);
        self.facts.push((self.now, event));
    }
}
