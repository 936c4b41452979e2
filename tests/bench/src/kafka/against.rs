//! The incident room against [`Ordinary`]: the same facts, the same rules in force, and the same decisions. B2 of the proofs.

use std::collections::BTreeSet;

use kit::{Teller, facts};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log as _};
use torture::kafka::KafkaTopic;
use wire::{Body, Event, Partition, PolicyAdopted, Record};

use super::ordinary::{Ordinary, Said};
use super::turned::Turned;
use super::{Kafka, PART, PARTITIONS, dated, new_topic, publish};
use crate::Failure;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;

/// The rules that the ordinary service does not have are set out of force: the room counts for them still.
const POLICY: &str = r#"{"objectives": {"tool": 0.95}, "tickets": [], "drifts": [], "loop_calls": 10000,
    "signature_block": 100000, "signature_frequent": 100000}"#;
/// After so many facts an agent does harm once more.
const HARM_EVERY: usize = 500;
/// Of so many agents one has lost its tools.
const TOOLLESS_EVERY: usize = 4;

// === impl Kafka ===

impl Kafka {
    /// Both read the topic from its beginning to its end, and say what they decide.
    pub(super) fn against(&self, events: &[Event], lines: &mut Lines) -> Result<(), Failure> {
        let (topic, decisions) = (new_topic()?, new_topic()?);
        let options = self.options(&topic);
        told(&*KafkaLog::open(options.clone())?, events)?;
        let (theirs, mut said_by_them) = ordinary(&options, decisions.name())?;
        let (ours, mut said_by_us) = room(&topic, options)?;
        said_by_them.sort();
        said_by_us.sort();
        if said_by_us.is_empty() || said_by_us != said_by_them {
            return Err(Failure(format!("the room decided {said_by_us:?} and the ordinary service {said_by_them:?}")));
        }
        let ratio = Sample { cpu_s: ours.cpu_s + theirs.cpu_s, value: ours.value / theirs.value };
        lines.note(PART, "incident: all facts and decisions, from begin to end", "events per CPU second", None, ours);
        lines.note(PART, "an ordinary service with two of its rules", "events per CPU second", None, theirs);
        lines.note(PART, "incident over the ordinary service", "x", Some(Goal::AtLeast(7.0)), ratio);
        Ok(())
    }
}

/// Publishes the policy everywhere, and then the facts, of which some go wrong.
fn told(log: &KafkaLog, events: &[Event]) -> Result<(), Failure> {
    let policy = PolicyAdopted {
        room: "incident".to_owned(),
        version: "two-rules".to_owned(),
        document: POLICY.to_owned(),
        author: "ann".to_owned(),
        reason: "to be compared".to_owned(),
    };
    let policy = Teller::person("ann", "incident").tell(log.now(), None, policy).to_raw();
    log.append((0..PARTITIONS).map(|partition| Addressed { partition: Partition(partition), record: policy.clone() }).collect())?;
    let mut events = events.to_vec();
    let agents: BTreeSet<_> = events.iter().map(|event| event.key.clone()).collect();
    let toolless: BTreeSet<_> = agents.into_iter().step_by(TOOLLESS_EVERY).collect();
    for (nth, event) in events.iter_mut().enumerate() {
        match &mut event.body {
            Body::ToolReturned(returned) if toolless.contains(&event.key) => returned.failed = Some(true),
            _ if nth % HARM_EVERY == 0 => {
                event.body = facts::harm(true).into();
                event.subject = None;
            }
            _ => {}
        }
    }
    publish(log, &events, dated)
}

fn ordinary(options: &KafkaOptions, decisions_topic: &str) -> Result<(Sample, Vec<Said>), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let watch = Watch::begin();
    let mut service = {
        let _inside = runtime.enter();
        Ordinary::begin(options, decisions_topic)?
    };
    runtime.block_on(service.read_to_the_end())?;
    Ok((pace(service.read, &watch), service.said))
}

fn room(topic: &KafkaTopic, options: KafkaOptions) -> Result<(Sample, Vec<Said>), Failure> {
    let watch = Watch::begin();
    let mut room = Turned::on(KafkaLog::open(options)?);
    room.until_restored()?;
    let pace = pace(room.passed, &watch);
    drop(room);
    let said = topic.read();
    Ok((pace, said.records().filter_map(|record| as_said(&record)).collect()))
}

/// A decision of the room's; none of what only says how far it has come.
fn as_said(record: &Record) -> Option<Said> {
    let (kind, level) = match &record.body {
        Body::IncidentOpened(said) => ("incident.opened", said.level.as_str()),
        Body::IncidentAggravated(said) => ("incident.aggravated", said.level.as_str()),
        Body::RoomWatermark(_) => return None,
        other => (other.kind().name(), ""),
    };
    let rule = &record.body.basis()?.rule;
    let rule = ["harm", "burn_tool"].into_iter().find(|known| known == rule).unwrap_or("another rule");
    Some((record.key.to_string(), kind, rule, level))
}

/// Events per CPU second since then.
fn pace(events: usize, watch: &Watch) -> Sample {
    let cpu_s = watch.cpu_s();
    Sample { cpu_s, value: events as f64 / cpu_s }
}
