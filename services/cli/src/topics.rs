//! `reeve topics`: makes the Kafka topic that Reeve lives on, and says what is wrong with one that is there.

use std::path::{Path, PathBuf};

use runtime::config::{Config, Layers, LogConfig};
use runtime::errors::Code;
use runtime::log::kafka::demands::{Finding, PARTITIONS_MAX, REPLICAS_WANTED, Standing, Weight, findings};
use runtime::log::kafka::{KafkaOptions, topics};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{self, counted};
use crate::up::OTHER_VARIABLES;

const EXAMPLES_OF_CREATE: &str = "\
Examples:
  reeve topics create --brokers broker:9092                 agent-events, as Reeve needs it
  reeve topics create --brokers broker:9092 --partitions 64
  reeve topics create --config /etc/reeve/reeve.toml        the cluster and the topic of a Reeve

An agent's facts lie on one partition, and partitions cannot become more later (`reeve topics
grow` says why): as many as there will ever be instances of a room, and not many more. A topic
that is there already is checked instead, and stays as it is.";

const EXAMPLES_OF_CHECK: &str = "\
Examples:
  reeve topics check --brokers broker:9092
  reeve topics check --config /etc/reeve/reeve.toml --json
  REEVE_KAFKA_PROPERTIES=kafka.properties reeve topics check --brokers broker:9093
                                                            by TLS, a password or a token

Ends with 65 where something is wrong, and with 0 where it is only risky.";

const EXAMPLES_OF_GROW: &str = "\
Examples:
  reeve topics grow --brokers broker:9092 --partitions 64

Changes nothing, says why, and which commands lead to a topic with more partitions. Ends with 65.";

/// `reeve topics`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Topics {
    /// Make the topic with every setting that Reeve needs.
    #[command(after_help = EXAMPLES_OF_CREATE)]
    Create(Create),
    /// Say what is wrong with the topic and its brokers, and why it is.
    #[command(after_help = EXAMPLES_OF_CHECK)]
    Check(Check),
    /// Say why a topic does not get more partitions, and what to do instead.
    #[command(after_help = EXAMPLES_OF_GROW)]
    Grow(Grow),
}

/// Which topic.
#[derive(Debug, clap::Args)]
struct Which {
    /// Some brokers, as host:port, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    brokers: Option<String>,
    /// Name of the topic [default: agent-events]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// A TOML file with settings; flags and REEVE_* variables overrule it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// `reeve topics create`
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    #[command(flatten)]
    which: Which,
    /// Its partitions [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: Option<u32>,
    /// Copies of each partition [default: 3, or one on each broker where there are fewer]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(REPLICAS_MAX)))]
    replicas: Option<u32>,
}

/// `reeve topics check`
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    which: Which,
}

/// `reeve topics grow`
#[derive(Debug, clap::Args)]
pub(crate) struct Grow {
    #[command(flatten)]
    which: Which,
    /// Partitions that are wished for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: u32,
}

/// Partitions of a topic for which nobody named a number.
const PARTITIONS: u32 = 8;
/// More copies than anybody keeps: a slip of the hand.
const REPLICAS_MAX: u32 = 9;

// === impl Topics ===

impl Topics {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.run().await,
            Self::Check(args) => args.run().await,
            Self::Grow(args) => args.run().await,
        }
    }
}

// === impl Create ===

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let options = self.which.options()?;
        let replicas = match self.replicas {
            Some(replicas) => replicas,
            None => topics::brokers(&options)?.clamp(1, REPLICAS_WANTED),
        };
        let is_new = topics::create(&options, self.partitions.unwrap_or(PARTITIONS), replicas).await?;
        let standing = until_told(&options, is_new).await?;
        let mut found = findings(&standing);
        found.splice(0..0, self.partitions.and_then(|wanted| other_number(&standing, wanted)));
        tell(&options, &standing, found, self.which.json, Some(is_new))
    }
}

/// A topic that is there already, and has another number of partitions than was asked for by name.
fn other_number(standing: &Standing, wanted: u32) -> Option<Finding> {
    (standing.partitions != wanted).then(|| Finding {
        weight: Weight::Wrong,
        place: "topic".to_owned(),
        setting: "partitions",
        is: standing.partitions.to_string(),
        wanted: format!("{wanted}, as was asked for"),
        because: "it is there already, and a topic keeps the partitions that it was made with (`reeve topics grow` says why)",
    })
}

/// The topic, which is there. Of one that was just made the controller knows before all brokers do.
async fn until_told(options: &KafkaOptions, is_new: bool) -> Result<Standing, Failure> {
    let looks = if is_new { LOOKS_MAX } else { 1 };
    for _ in 0..looks {
        match topics::look(options).await {
            Ok(Some(standing)) => return Ok(standing),
            Ok(None) => {}
            Err(error) if !is_new => return Err(error.into()),
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(gone(options))
}

const LOOKS_MAX: u32 = 50;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

// === impl Check ===

impl Check {
    async fn run(self) -> Result<(), Failure> {
        let options = self.which.options()?;
        let standing = topics::look(&options).await?.ok_or_else(|| gone(&options))?;
        tell(&options, &standing, findings(&standing), self.which.json, None)
    }
}

// === impl Grow ===

impl Grow {
    async fn run(self) -> Result<(), Failure> {
        let options = self.which.options()?;
        let standing = topics::look(&options).await?.ok_or_else(|| gone(&options))?;
        let told = refusal(&options, standing.partitions, self.partitions);
        if self.which.json {
            output::json(&json!({
                "topic": options.topic, "partitions": standing.partitions, "wanted": self.partitions, "grown": false, "instead": told.instead,
            }))?;
        } else {
            told.why.iter().chain(&told.instead).try_for_each(output::line)?;
        }
        let sentence = format!("{} keeps its {}", options.topic, counted(standing.partitions.into(), "partition"));
        Err(Failure::coded(Code::NotMigrated, sentence))
    }
}

/// Why a topic does not grow, and the commands that lead to one that is wider.
#[derive(Debug, PartialEq)]
struct Refusal {
    why: Vec<String>,
    instead: Vec<String>,
}

fn refusal(options: &KafkaOptions, is: u32, wanted: u32) -> Refusal {
    let KafkaOptions { brokers, topic, .. } = options;
    if wanted <= is {
        let has = counted(is.into(), "partition");
        return Refusal { why: vec![format!("{topic} has {has} already, and Kafka takes none away")], instead: Vec::new() };
    }
    let why = [
        "An agent's partition is chosen by its key and the number of partitions: that is part of the wire.",
        "With more of them in place, an agent's next fact would lie elsewhere than its past. Rooms of that",
        "partition would know nothing of it: no baseline, no open incident, no order under way.",
        "Instead its records are replayed into a new topic, in their order and with their dates:",
    ];
    let wider = format!("{topic}-{wanted}");
    let instead = vec![
        format!("reeve topics create --brokers {brokers} --topic {wider} --partitions {wanted}"),
        format!("reeve migrate --brokers {brokers} --from {topic} --to {wider}"),
    ];
    Refusal { why: why.map(str::to_owned).to_vec(), instead }
}

// === impl Which ===

impl Which {
    fn options(&self) -> Result<KafkaOptions, Failure> {
        options(self.config.as_deref(), self.brokers.as_deref(), self.topic.as_deref())
    }
}

/// The cluster and the topic that a configuration names, and flags over it.
pub(crate) fn options(config: Option<&Path>, brokers: Option<&str>, topic: Option<&str>) -> Result<KafkaOptions, Failure> {
    let mut layers = Layers::default();
    if let Some(file) = config {
        layers.file(file);
    }
    let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    layers.variables(variables, OTHER_VARIABLES);
    // Whatever log a Reeve of this configuration runs on: this is about Kafka's.
    layers.flag("log.kind", "kafka");
    for (name, flag, value) in [("kafka.brokers", "brokers", brokers), ("log.topic", "topic", topic)] {
        value.iter().for_each(|value| layers.flag_called(name, value, flag));
    }
    match Config::of(&layers)?.log {
        LogConfig::Kafka(options) => Ok(options),
        LogConfig::Embedded { .. } => Err(Failure::internal("a Kafka log was asked for")),
    }
}

pub(crate) fn gone(options: &KafkaOptions) -> Failure {
    let sentence = format!("there is no topic {} at {}; `reeve topics create` makes it", options.topic, options.brokers);
    Failure::coded(Code::LogUnavailable, sentence)
}

/// Tells how the topic stands. What is wrong makes it a failure.
fn tell(options: &KafkaOptions, standing: &Standing, found: Vec<Finding>, as_json: bool, is_new: Option<bool>) -> Result<(), Failure> {
    if as_json {
        output::json(&shown(options, standing, &found, is_new))?;
    } else {
        output::line(sentence(options, standing, is_new))?;
        if !found.is_empty() {
            output::line(table(&found))?;
        }
    }
    let wrong = found.iter().filter(|finding| finding.weight == Weight::Wrong).count();
    match wrong {
        0 if as_json => Ok(()),
        0 if found.is_empty() => output::line("every setting is as Reeve needs it"),
        0 => output::line("nothing is wrong; what is risky holds until something else fails"),
        wrong => {
            let wrong = counted(wrong as u64, "setting");
            Err(Failure::coded(Code::BadTopic, format!("{wrong} of {} or its brokers break a promise of Reeve's", options.topic)))
        }
    }
}

fn sentence(options: &KafkaOptions, standing: &Standing, is_new: Option<bool>) -> String {
    let done = match is_new {
        Some(true) => "made ",
        Some(false) => "there already: ",
        None => "",
    };
    let [partitions, replicas, brokers] = [
        counted(standing.partitions.into(), "partition"),
        if standing.replicas == 1 { "1 copy".to_owned() } else { format!("{} copies", standing.replicas) },
        counted(standing.brokers.len() as u64, "broker"),
    ];
    format!("{done}{}: {partitions}, {replicas} of each, on {brokers}", options.topic)
}

fn table(found: &[Finding]) -> impl std::fmt::Display {
    let mut table = output::table(["", "WHERE", "SETTING", "IS", "SHOULD BE", "BECAUSE"]);
    for finding in found {
        let Finding { place, setting, is, wanted, because, .. } = finding;
        table.add_row([in_words(finding.weight), place, setting, is, wanted, because]);
    }
    table
}

fn shown(options: &KafkaOptions, standing: &Standing, found: &[Finding], is_new: Option<bool>) -> Value {
    let finding = |finding: &Finding| {
        let Finding { weight, place, setting, is, wanted, because } = finding;
        json!({"weight": in_words(*weight), "place": place, "setting": setting, "is": is, "wanted": wanted, "because": because})
    };
    let mut told = json!({
        "topic": options.topic,
        "partitions": standing.partitions,
        "replicas": standing.replicas,
        "brokers": standing.brokers.len(),
        "findings": found.iter().map(finding).collect::<Vec<_>>(),
    });
    if let Some(is_new) = is_new {
        told["created"] = json!(is_new);
    }
    told
}

fn in_words(weight: Weight) -> &'static str {
    match weight {
        Weight::Wrong => "wrong",
        Weight::Risky => "risky",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_there_with_another_number_of_partitions_is_told_with_both() {
        let standing = Standing { partitions: 4, ..Standing::default() };
        assert_eq!(other_number(&standing, 4), None);
        let finding = other_number(&standing, 7).expect("they differ");
        assert_eq!((finding.weight, finding.is.as_str(), finding.wanted.as_str()), (Weight::Wrong, "4", "7, as was asked for"));
    }

    #[test]
    fn a_topic_does_not_grow_and_what_to_do_instead_can_be_typed() {
        let options = KafkaOptions::new("broker:9092", "agent-events");
        let told = refusal(&options, 8, 64);
        assert!(told.why.iter().any(|line| line.contains("part of the wire")), "{told:?}");
        let expected = [
            "reeve topics create --brokers broker:9092 --topic agent-events-64 --partitions 64",
            "reeve migrate --brokers broker:9092 --from agent-events --to agent-events-64",
        ];
        assert_eq!(told.instead, expected);
        for wanted in [8, 4] {
            let told = refusal(&options, 8, wanted);
            assert_eq!((told.why.len(), told.instead.len()), (1, 0), "{told:?}");
        }
    }
}
