//! The same decisions by a service as one writes it without Reeve: the Rust client's stream of records, each taken over whole,
//! apache-avro's `Value`, and conditions in CEL with a context of its own for each event. B2 of the proofs.
//!
//! It does less than the incident room: it keeps two rules, tells no repeat from news, says nothing of its reasons, and forgets
//! all of it when it ends. That its decisions are the same is checked in every round.

#![expect(clippy::disallowed_types, reason = "as one writes it elsewhere; nothing of it is folded twice")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use cel::{Context, Program};
use rdkafka::Timestamp as When;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _, OwnedHeaders, OwnedMessage as Taken};
use rdkafka::producer::{FutureProducer, FutureRecord};
use runtime::log::kafka::KafkaOptions;
use wire::codec::FRAMING_BYTES;
use wire::{Kind, Timestamp};

use super::{PARTITIONS, PATIENCE};
use crate::Failure;
use crate::decode::reader;
use crate::watch::Watch;

/// Bad share that the rule of burning budgets allows.
const OBJECTIVE: f64 = 0.95;
/// Lengths of its windows, in minutes: the long and the short one of either row.
const WINDOWS_MINUTES: [i64; 4] = [60, 5, 360, 30];
/// What is a harm.
const HARM: &str = "kind == 'harm.reported'";
/// What burns a budget.
const BURN: &str = "kind == 'tool.returned' && n >= 30 && bad >= 5 && bad_short >= 3 \
     && double(bad) / double(n) / (1.0 - objective) >= factor && double(bad_short) / double(n_short) / (1.0 - objective) >= factor";
/// The factors of its rows.
const FACTORS: [f64; 2] = [14.4, 6.0];

/// A decision, so far as both tell it: agent, kind, rule, level.
pub(super) type Said = (String, &'static str, &'static str, &'static str);

/// The service.
pub(super) struct Ordinary {
    consumer: StreamConsumer,
    producer: FutureProducer,
    decisions_topic: String,
    readers: HashMap<&'static str, GenericDatumReader<'static>>,
    harm: Program,
    burn: Program,
    agents: HashMap<String, Agent>,
    /// What was decided.
    pub(super) said: Vec<Said>,
    /// Records that were read.
    pub(super) read: usize,
}

/// What it knows of an agent.
#[derive(Default)]
struct Agent {
    versions: HashMap<String, String>,
    /// Tool calls and failed ones by version and minute.
    tools: HashMap<Option<String>, BTreeMap<i64, (i64, i64)>>,
    incident: Option<Incident>,
}

/// What is wrong with an agent.
struct Incident {
    level: &'static str,
    rules: BTreeSet<&'static str>,
    harms: u64,
}

/// A record as the rules see it.
struct Fact {
    kind: &'static str,
    agent: String,
    session: Option<String>,
    happened: Option<Timestamp>,
    appended: Timestamp,
    value: Value,
}

// === impl Ordinary ===

impl Ordinary {
    /// A service that has read nothing yet.
    pub(super) fn begin(options: &KafkaOptions, decisions_topic: &str) -> Result<Self, Failure> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.brokers);
        let producer = config.create()?;
        config.set("group.id", format!("{}ordinary", options.namespace)).set("auto.offset.reset", "earliest");
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&[&options.topic])?;
        Ok(Self {
            consumer,
            producer,
            decisions_topic: decisions_topic.to_owned(),
            readers: Kind::ALL.iter().map(|kind| Ok((kind.ce_type(), reader(*kind)?))).collect::<Result<_, Failure>>()?,
            harm: Program::compile(HARM)?,
            burn: Program::compile(BURN)?,
            agents: HashMap::new(),
            said: Vec::new(),
            read: 0,
        })
    }

    /// Reads its topic to the end.
    pub(super) async fn read_to_the_end(&mut self) -> Result<(), Failure> {
        let (begun, mut ended, mut sent) = (Watch::begin(), BTreeSet::new(), Vec::new());
        while ended.len() < PARTITIONS as usize {
            if begun.wall() > PATIENCE {
                return Err(Failure(format!("the ordinary service read {} records and came no further", self.read)));
            }
            let taken = match self.consumer.recv().await {
                Ok(taken) => taken.detach(),
                Err(KafkaError::PartitionEOF(partition)) => {
                    ended.insert(partition);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.read += 1;
            for said in self.decide(&taken)? {
                let text = serde_json::to_string(&said)?;
                let record = FutureRecord::to(&self.decisions_topic).key(&said.0).payload(&text);
                sent.push(self.producer.send_result(record).map_err(|(error, _)| error)?);
                self.said.push(said);
            }
        }
        for delivered in sent {
            delivered.await?.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    /// What a record gives rise to.
    fn decide(&mut self, taken: &Taken) -> Result<Vec<Said>, Failure> {
        let Some(fact) = self.fact(taken)? else { return Ok(Vec::new()) };
        let agent = self.agents.entry(fact.agent.clone()).or_default();
        let counted = agent.see(&fact);
        let mut found = Vec::new();
        // A context for each event, as the library's examples have it.
        let mut context = Context::default();
        context.add_variable_from_value("kind", fact.kind);
        context.add_variable_from_value("objective", OBJECTIVE);
        if holds(&self.harm, &context)? {
            found.push(("harm", "P1"));
        }
        for (row, factor) in FACTORS.into_iter().enumerate() {
            let [long, short] = [counted[2 * row], counted[2 * row + 1]];
            let counts = [("n", long.0), ("bad", long.1), ("n_short", short.0), ("bad_short", short.1)];
            counts.into_iter().for_each(|(name, count)| context.add_variable_from_value(name, count));
            context.add_variable_from_value("factor", factor);
            if holds(&self.burn, &context)? {
                found.push(("burn_tool", "P2"));
                break;
            }
        }
        let said = found.into_iter().filter_map(|(rule, level)| Some((fact.agent.clone(), agent.raise(rule, level)?, rule, agent.level())));
        Ok(said.collect())
    }

    /// The record, decoded; none where it is of a kind that is not known.
    fn fact(&self, taken: &Taken) -> Result<Option<Fact>, Failure> {
        let header = |name: &str| {
            let headers: Option<&OwnedHeaders> = taken.headers();
            let found = headers?.iter().find(|header| header.key == name)?;
            String::from_utf8(found.value?.to_vec()).ok()
        };
        let Some((ce_type, reader)) = header("ce_type").and_then(|ce_type| self.readers.get_key_value(ce_type.as_str())) else {
            return Ok(None);
        };
        let (Some(key), Some(mut value), When::LogAppendTime(appended_ms)) =
            (taken.key(), taken.payload().and_then(|value| value.get(FRAMING_BYTES..)), taken.timestamp())
        else {
            return Err(Failure("a record lacks its key, its value or its date".to_owned()));
        };
        Ok(Some(Fact {
            kind: Kind::from_ce_type(ce_type).map_or("", Kind::name),
            agent: String::from_utf8_lossy(key).into_owned(),
            session: header("ce_subject"),
            happened: header("ce_time").and_then(|time| Timestamp::parse(&time)),
            appended: Timestamp(appended_ms * 1_000),
            value: reader.read_value(&mut value)?,
        }))
    }
}

fn holds(rule: &Program, context: &Context<'_, '_>) -> Result<bool, Failure> {
    match rule.execute(context)? {
        cel::Value::Bool(holds) => Ok(holds),
        other => Err(Failure(format!("a condition is {other:?}"))),
    }
}

// === impl Agent ===

impl Agent {
    /// Notes a fact; how many tool calls each window holds with it, and how many failed ones.
    fn see(&mut self, fact: &Fact) -> [(i64, i64); 4] {
        match (fact.kind, &fact.session) {
            ("session.started", Some(session)) => {
                if let Some(version) = fact.text("version") {
                    self.versions.insert(session.clone(), version.to_owned());
                }
            }
            ("tool.returned", session) if fact.text("by") == Some("agent") => {
                if let (Some(failed), Some(happened)) = (fact.truth("failed"), fact.happened) {
                    let told = fact.text("version").map(str::to_owned);
                    let version = told.or_else(|| self.versions.get(session.as_ref()?).cloned());
                    return self.count(version, happened.min(fact.appended), failed, fact.appended);
                }
            }
            _ => {}
        }
        Default::default()
    }

    fn count(&mut self, version: Option<String>, happened: Timestamp, failed: bool, now: Timestamp) -> [(i64, i64); 4] {
        let minute = |time: Timestamp| time.0.div_euclid(60_000_000);
        let minutes = self.tools.entry(version).or_default();
        let (n, bad) = minutes.entry(minute(happened)).or_default();
        *n += 1;
        *bad += i64::from(failed);
        WINDOWS_MINUTES.map(|length| {
            let counts = minutes.range(minute(now) - length + 1..).map(|(_, count)| count);
            counts.fold((0, 0), |(n, bad), (more, more_bad)| (n + more, bad + more_bad))
        })
    }

    /// Opens an incident or joins the open one; the kind of decision that this is worth.
    fn raise(&mut self, rule: &'static str, level: &'static str) -> Option<&'static str> {
        let harms = u64::from(rule == "harm");
        let Some(incident) = &mut self.incident else {
            self.incident = Some(Incident { level, rules: BTreeSet::from([rule]), harms });
            return Some("incident.opened");
        };
        incident.harms += harms;
        let is_worse = level < incident.level;
        incident.level = incident.level.min(level);
        let is_new = incident.rules.insert(rule);
        (is_worse || is_new || harms == 1 && incident.harms.is_power_of_two()).then_some("incident.aggravated")
    }

    fn level(&self) -> &'static str {
        self.incident.as_ref().map_or("", |incident| incident.level)
    }
}

// === impl Fact ===

impl Fact {
    fn field(&self, name: &str) -> Option<&Value> {
        let Value::Record(fields) = &self.value else { return None };
        match fields.iter().find(|(field, _)| field == name)? {
            (_, Value::Union(_, value)) => Some(value),
            (_, value) => Some(value),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Value::String(text) | Value::Enum(_, text) => Some(text),
            _ => None,
        }
    }

    fn truth(&self, name: &str) -> Option<bool> {
        match self.field(name)? {
            Value::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }
}
