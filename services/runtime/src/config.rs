//! Configuration: where things are. What the rules are stands on the log.
//!
//! Four layers, each over the one before: defaults, a TOML file, `REEVE_*` variables, flags. Every setting is declared
//! once in [`Key`]: `log.path` is `path` below `[log]` in the file, `REEVE_LOG_PATH` and `--log-path`. Nothing unknown is
//! passed over, and all faults are told at once, so that one start is enough to see them.

mod kafka;
mod layers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::errors::{Code, Coded};
use crate::log::kafka::KafkaOptions;
use crate::snapshots::StoreAddress;

pub use layers::{Layer, Layers};

/// The effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The log.
    pub log: LogConfig,
    /// Folder of what this process keeps: the embedded log, and snapshots and archive unless they lie elsewhere.
    pub folder: PathBuf,
    /// Where the admin endpoints (and, in `reeve up`, the gateway) listen.
    pub listen_address: SocketAddr,
    /// Number of this instance among those of its room.
    pub instance_ordinal: u32,
    /// Snapshots.
    pub snapshots: SnapshotConfig,
    /// The archive.
    pub archive: ArchiveConfig,
    /// Log lines.
    pub logging: LoggingConfig,
    /// How long a drain may take.
    pub drain_timeout: Duration,
}

/// Which log, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogConfig {
    /// The log of one process, in a folder.
    Embedded {
        /// The folder.
        path: PathBuf,
        /// Name of the topic.
        topic: String,
        /// Partitions of a new log; one that exists keeps its own.
        partitions: u32,
    },
    /// A topic of an Apache Kafka cluster, which exists.
    Kafka(KafkaOptions),
}

/// Where snapshots are kept, and how often they are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// A folder, by default `snapshots` beside the log, or a bucket.
    pub address: StoreAddress,
    /// Records folded after which one is due.
    pub every_records: u64,
    /// Time of the log after which one is due.
    pub every: Duration,
}

/// Where the archive is kept, and how long a record may wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// A folder; by default `archive` beside the log.
    pub path: PathBuf,
    /// Time of the log after which a segment ends, however few records it has.
    pub every: Duration,
}

/// How log lines look, and which are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggingConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// What is written, as `tracing` filters: `info`, or `warn,runtime=debug`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Every fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} of the configuration:\n{}", plural(.0.len()), .0.iter().map(|fault| format!("  - {fault}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Fault>);

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Nobody knows this setting.
    #[error("{origin}: there is no setting `{name}`{hint}")]
    Unknown {
        /// Where it stands.
        origin: String,
        /// What it is called there.
        name: String,
        /// What may have been meant, if anything is near.
        hint: String,
    },
    /// A value that the setting does not take.
    #[error("{origin}: `{name}` is `{found}`, but takes {expected}")]
    Value {
        /// Where it stands.
        origin: String,
        /// The setting.
        name: &'static str,
        /// What was found; a secret is masked.
        found: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A file that cannot be read, or that is no TOML.
    #[error("{origin}: {reason}")]
    File {
        /// Which.
        origin: String,
        /// Why.
        reason: String,
    },
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name in the file, section and key.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What it takes, in words.
    pub expected: &'static str,
    /// Its value if nobody sets it.
    pub default: &'static str,
    /// Whether it is masked when the configuration is shown.
    pub secret: bool,
}

const fn key(name: &'static str, help: &'static str, expected: &'static str, default: &'static str) -> Key {
    Key { name, help, expected, default, secret: false }
}

const LOG_KIND: Key = key("log.kind", "Which log", "`embedded` or `kafka`", "embedded");
const LOG_PATH: Key = key("log.path", "Folder of the embedded log, and of whatever else is kept", "a path", "./data");
const LOG_TOPIC: Key = key("log.topic", "Name of the topic", "a name of up to 249 letters, digits, `.`, `_` and `-`", "agent-events");
const LOG_PARTITIONS: Key = key("log.partitions", "Partitions of a new log", "a number from 1 to 1024", "4");
const KAFKA_BROKERS: Key = key("kafka.brokers", "Some brokers, where the log is `kafka`", "`host:port`, separated by commas", "");
const KAFKA_PROPERTIES: Key = key(
    "kafka.properties",
    "A file of settings for Kafka's client, such as security.protocol; empty: none",
    "a file of `name=value` lines as librdkafka names them",
    "",
);
const KAFKA_OAUTH_TOKEN_FILE: Key = key(
    "kafka.oauth_token_file",
    "A file with the token for sasl.mechanism=OAUTHBEARER, which somebody keeps fresh; empty: none",
    "a path",
    "",
);
const KAFKA_NAMESPACE: Key = key(
    "kafka.namespace",
    "What names of groups and producers begin with: one for each Reeve of a cluster",
    "up to 100 letters, digits, `.`, `_` and `-`",
    "",
);
const KAFKA_CLOCK_SKEW_MS: Key =
    key("kafka.clock_skew_ms", "How far the clocks of brokers and rooms may lie apart", "a number from 0 to 10000", "50");
const KAFKA_REPLICATION_LAG_MS: Key = key(
    "kafka.replication_lag_ms",
    "How long a record may wait for its copies before it can be read: the brokers' replica.lag.time.max.ms",
    "a number from 0 to 600000",
    "30000",
);
const KAFKA_GROUP_PROTOCOL: Key = key(
    "kafka.group_protocol",
    "How members agree: among themselves, or by the broker (KIP-848: its sessions are the broker's setting)",
    "`classic` or `consumer`",
    "classic",
);
const KAFKA_ASSIGNMENT: Key = key(
    "kafka.assignment",
    "By which rule members share partitions among themselves; `range` lets go of everything at each change",
    "`cooperative-sticky` or `range`",
    "cooperative-sticky",
);
const SCHEMA_REGISTRY_URL: Key = key(
    "schema_registry.url",
    "The schema registry of whoever publishes with Confluent's framing to a Kafka log; empty: none",
    "an address such as `http://registry:8081`, without a password",
    "",
);
const SCHEMA_REGISTRY_CREDENTIALS: Key = key(
    "schema_registry.credentials",
    "A file with the name and the password that the schema registry wants; empty: none",
    "a file of one line, `name:password`",
    "",
);
const LISTEN_ADDRESS: Key = key("listen.address", "Where to listen", "an address and a port, such as `127.0.0.1:4780`", "127.0.0.1:4780");
const INSTANCE_ORDINAL: Key = key("instance.ordinal", "Number of this instance among those of its room", "a number from 0 to 999", "0");
const SNAPSHOTS_PATH: Key = key(
    "snapshots.path",
    "Folder or bucket of the snapshots (a bucket's endpoint and keys are AWS_* variables); empty: `snapshots` in the folder of the log",
    "a path, or `s3://bucket/prefix`",
    "",
);
const SNAPSHOTS_EVERY_RECORDS: Key =
    key("snapshots.every_records", "Records folded after which a snapshot is due", "a number from 100 to 100000000", "50000");
const SNAPSHOTS_EVERY_MINUTES: Key =
    key("snapshots.every_minutes", "Minutes of the log after which a snapshot is due", "a number from 1 to 10080", "15");
const ARCHIVE_PATH: Key = key("archive.path", "Folder of the archive; empty: `archive` in the folder of the log", "a path", "");
const ARCHIVE_EVERY_SECONDS: Key =
    key("archive.every_seconds", "Seconds of the log after which a segment of the archive ends", "a number from 1 to 86400", "60");
const LOGGING_FORMAT: Key = key("logging.format", "How log lines look", "`human` or `json`", "human");
const LOGGING_FILTER: Key = key("logging.filter", "Which log lines are written", "a filter such as `info` or `warn,runtime=debug`", "info");
const DRAIN_TIMEOUT_MS: Key = key("drain.timeout_ms", "How long the rooms may take to end", "a number from 100 to 600000", "10000");

// === impl Key ===

impl Key {
    /// Every setting, in the order in which they are shown.
    pub const ALL: &[Self] = &[
        LOG_KIND,
        LOG_PATH,
        LOG_TOPIC,
        LOG_PARTITIONS,
        KAFKA_BROKERS,
        KAFKA_PROPERTIES,
        KAFKA_OAUTH_TOKEN_FILE,
        KAFKA_NAMESPACE,
        KAFKA_CLOCK_SKEW_MS,
        KAFKA_REPLICATION_LAG_MS,
        KAFKA_GROUP_PROTOCOL,
        KAFKA_ASSIGNMENT,
        SCHEMA_REGISTRY_URL,
        SCHEMA_REGISTRY_CREDENTIALS,
        LISTEN_ADDRESS,
        INSTANCE_ORDINAL,
        SNAPSHOTS_PATH,
        SNAPSHOTS_EVERY_RECORDS,
        SNAPSHOTS_EVERY_MINUTES,
        ARCHIVE_PATH,
        ARCHIVE_EVERY_SECONDS,
        LOGGING_FORMAT,
        LOGGING_FILTER,
        DRAIN_TIMEOUT_MS,
    ];

    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|key| key.name == name)
    }

    /// Its environment variable, such as `REEVE_LOG_PATH`.
    pub fn variable(&self) -> String {
        format!("REEVE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Its flag without the dashes, such as `log-path`.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }
}

// === impl Config ===

impl Config {
    /// What the layers amount to.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault of every layer.
    pub fn of(layers: &Layers) -> Result<Self, ConfigError> {
        let mut faults = layers.faults().to_vec();
        let mut read = Reading { layers, faults: &mut faults };
        let is_kafka = read.one_of(&LOG_KIND, |kind| ["embedded", "kafka"].contains(&kind).then_some(kind == "kafka"));
        let path = PathBuf::from(read.text(&LOG_PATH));
        let beside_log = |text: &str, name: &str| if text.is_empty() { path.join(name) } else { PathBuf::from(text) };
        let snapshots_address = match read.text(&SNAPSHOTS_PATH) {
            "" => StoreAddress::Folder(beside_log("", "snapshots")),
            _ => read.one_of(&SNAPSHOTS_PATH, StoreAddress::parse).unwrap_or_else(|| StoreAddress::Folder(PathBuf::new())),
        };
        let archive_path = beside_log(read.text(&ARCHIVE_PATH), "archive");
        let config = Self {
            log: if is_kafka == Some(true) { LogConfig::Kafka(kafka::options(&mut read)) } else { read.embedded(&path) },
            folder: path,
            listen_address: read.one_of(&LISTEN_ADDRESS, |text| text.parse().ok()).unwrap_or_else(|| ([127, 0, 0, 1], 0).into()),
            instance_ordinal: read.number(&INSTANCE_ORDINAL, 0, 999) as u32,
            snapshots: SnapshotConfig {
                address: snapshots_address,
                every_records: read.number(&SNAPSHOTS_EVERY_RECORDS, 100, 100_000_000),
                every: Duration::from_secs(60 * read.number(&SNAPSHOTS_EVERY_MINUTES, 1, 10_080)),
            },
            archive: ArchiveConfig { path: archive_path, every: Duration::from_secs(read.number(&ARCHIVE_EVERY_SECONDS, 1, 86_400)) },
            logging: LoggingConfig {
                format: read.one_of(&LOGGING_FORMAT, LogFormat::parse).unwrap_or(LogFormat::Human),
                filter: read.one_of(&LOGGING_FILTER, crate::logging::checked_filter).unwrap_or_default(),
            },
            drain_timeout: Duration::from_millis(read.number(&DRAIN_TIMEOUT_MS, 100, 600_000)),
        };
        if faults.is_empty() { Ok(config) } else { Err(ConfigError(faults)) }
    }
}

/// Reads settings one by one and collects what is wrong with them.
struct Reading<'a> {
    layers: &'a Layers,
    faults: &'a mut Vec<Fault>,
}

// === impl Reading ===

impl<'a> Reading<'a> {
    fn text(&mut self, key: &Key) -> &'a str {
        self.layers.value(key).0
    }

    fn number(&mut self, key: &Key, least: u64, most: u64) -> u64 {
        self.one_of(key, |text| text.parse().ok().filter(|number| (least..=most).contains(number))).unwrap_or(least)
    }

    fn embedded(&mut self, path: &Path) -> LogConfig {
        let (topic, partitions) = (self.one_of(&LOG_TOPIC, topic), self.number(&LOG_PARTITIONS, 1, 1_024));
        LogConfig::Embedded { path: path.to_owned(), topic: topic.unwrap_or_default(), partitions: partitions as u32 }
    }

    fn one_of<T>(&mut self, key: &Key, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (text, origin) = self.layers.value(key);
        let parsed = parse(text);
        if parsed.is_none() {
            let found = layers::shown(key, text).to_owned();
            self.faults.push(Fault::Value { origin: origin.to_owned(), name: key.name, found, expected: key.expected });
        }
        parsed
    }
}

// === impl LogFormat ===

impl LogFormat {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "human" => Some(Self::Human),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Coded for ConfigError {
    fn code(&self) -> Code {
        Code::BadConfig
    }
}

/// A topic's name as Kafka takes it.
fn topic(name: &str) -> Option<String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let well_formed = (1..=249).contains(&name.len()) && name.chars().all(legal) && name != "." && name != "..";
    well_formed.then(|| name.to_owned())
}

fn plural(faults: usize) -> String {
    if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_a_working_configuration() {
        let config = Config::of(&Layers::default()).expect("the defaults are in order");
        let LogConfig::Embedded { path, topic, partitions } = &config.log else { panic!("{:?}", config.log) };
        assert_eq!((path.to_str(), topic.as_str(), *partitions), (Some("./data"), "agent-events", 4));
        assert_eq!(config.listen_address.to_string(), "127.0.0.1:4780");
        assert_eq!(config.snapshots.address, StoreAddress::Folder(PathBuf::from("./data/snapshots")));
        assert_eq!(config.snapshots.every, Duration::from_secs(900));
        assert_eq!((config.archive.path, config.archive.every), (PathBuf::from("./data/archive"), Duration::from_secs(60)));
    }

    #[test]
    fn a_later_layer_wins() {
        let mut layers = Layers::default();
        layers.toml("reeve.toml", "[log]\npath = \"/file\"\npartitions = 2\n[logging]\nformat = \"json\"");
        layers.variables([("REEVE_LOG_PATH".to_owned(), "/variable".to_owned()), ("HOME".to_owned(), "/somewhere".to_owned())], &[]);
        layers.flag("log.partitions", "8");
        let config = Config::of(&layers).expect("in order");
        let LogConfig::Embedded { path, partitions, .. } = config.log else { panic!("{:?}", config.log) };
        assert_eq!((path, partitions), (PathBuf::from("/variable"), 8));
        assert_eq!(config.logging.format, LogFormat::Json);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let mut layers = Layers::default();
        layers.toml("reeve.toml", "[log]\nkind = \"paper\"\npartitons = 3\n[listen]\naddress = \"here\"\n[extra]\ndeep = { er = 1 }");
        layers.variables([("REEVE_LOG_PARTITIONS".to_owned(), "0".to_owned()), ("REEVE_LOGPATH".to_owned(), "x".to_owned())], &[]);
        layers.flag("drain.timeout_ms", "soon");
        layers.flag("snapshots.path", "gs://reeve/snapshots");
        let ConfigError(faults) = Config::of(&layers).expect_err("nothing of it is in order");
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 8, "{told:#?}");
        for part in [
            "reeve.toml: there is no setting `log.partitons`, did you mean `log.partitions`?",
            "reeve.toml: there is no setting `extra.deep`",
            "REEVE_LOGPATH: there is no setting `REEVE_LOGPATH`",
            "reeve.toml: `log.kind` is `paper`, but takes `embedded` or `kafka`",
            "REEVE_LOG_PARTITIONS: `log.partitions` is `0`, but takes a number from 1 to 1024",
            "reeve.toml: `listen.address` is `here`, but takes an address and a port",
            "--drain-timeout-ms: `drain.timeout_ms` is `soon`",
            "--snapshots-path: `snapshots.path` is `gs://reeve/snapshots`, but takes a path, or `s3://bucket/prefix`",
        ] {
            assert!(told.iter().any(|fault| fault.starts_with(part)), "`{part}` is missing: {told:#?}");
        }
    }

    #[test]
    fn names_of_topics_are_those_that_kafka_takes() {
        assert!(topic("agent-events").is_some());
        for refused in ["", ".", "..", "agent events", &"a".repeat(250)] {
            assert!(topic(refused).is_none(), "{refused}");
        }
    }
}
