//! How Kafka is reached. Any setting of librdkafka's may be passed through, but for those on which exactly once rests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::registry::RegistryOptions;
use super::statistics::{INTERVAL, INTERVAL_MS};

/// A cluster and a topic on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `host:port` of some brokers, separated by commas.
    pub brokers: String,
    /// Name of the topic.
    pub topic: String,
    /// Settings of librdkafka's that are passed through, such as `security.protocol`.
    pub settings: BTreeMap<String, String>,
    /// A file that holds the token of OAUTHBEARER, and that somebody keeps fresh.
    pub oauth_token_file: Option<PathBuf>,
    /// What the names of consumer groups and transactional ids begin with, such as `staging.`: for two Reeves on one cluster.
    pub namespace: String,
    /// How far the clocks of brokers and rooms may lie apart, at most: silence is judged this much later.
    pub clock_skew_max: Duration,
    /// How long a record may wait for its copies, at most, before anybody can read it. On a topic with one copy it waits for its
    /// broker only: never longer than a second.
    pub replication_lag_max: Duration,
    /// How the members of a group agree on who reads what.
    pub group_protocol: GroupProtocol,
    /// By which rule they share partitions among themselves.
    pub assignment: Assignment,
    /// The registry that values framed by an id are read with, and that is told all schemas. None is needed.
    pub registry: Option<RegistryOptions>,
}

/// How the members of a group agree on who reads what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// Among themselves, by an [`Assignment`].
    #[default]
    Classic,
    /// The broker says (KIP-848). How long a session lasts is then the broker's setting as well.
    Consumer,
}

/// By which rule the members of a group share its partitions among themselves. All members of a group follow one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assignment {
    /// Each keeps what it can: what does not move goes on.
    #[default]
    CooperativeSticky,
    /// Neighbouring partitions go to one member. At every change all of them let go of everything first.
    Range,
}

/// A setting that cannot be passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Its name.
    pub name: &'static str,
    /// Why not.
    pub reason: &'static str,
}

/// A transaction lasts no longer; its records must be delivered sooner, and a member that is silent for longer than
/// both has lost its place (DESIGN 5, PITFALLS P29).
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(4);
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(8);
/// The largest record: a value, and key and headers with it. It is both the client's limit and the topic's.
pub(super) const RECORD_BYTES_MAX: usize = 2 * wire::limits::VALUE_BYTES_MAX;
/// How long an append may wait for the brokers.
pub(super) const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the client looks for more records of a partition before it sends one of an append, in milliseconds: a batch comes
/// within it ([`lanes`](super::lanes)). Kafka's own producer looks for five.
const LINGER_MS: &str = "1";

/// How often a member says that it is there. Where the group's protocol is `consumer` the client refuses it.
const HEARTBEAT: &str = "heartbeat.interval.ms";

const ONCE: &str = "exactly once rests on it";
const MECHANISMS: &str = "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`";
const MEMBERS: &str = "each room is a member of its own group";
const TIMES: &str = "the times of transactions, messages and sessions are chosen together";
const TOKENS: &str = "tokens are read from `kafka.oauth_token_file`, which may be kept fresh by whatever asks for them";
const QUICK: &str = "with another value a transaction takes 100 ms (PITFALLS P5)";

/// Settings that Reeve owns, each with the reason.
pub const OWNED: &[Owned] = &[
    owned("bootstrap.servers", "the brokers are a setting of Reeve's own"),
    owned("metadata.broker.list", "the brokers are a setting of Reeve's own"),
    owned("group.id", MEMBERS),
    owned("group.instance.id", MEMBERS),
    owned("group.protocol", MEMBERS),
    owned("group.protocol.type", MEMBERS),
    owned("partition.assignment.strategy", MEMBERS),
    owned("client.id", "a member is found by it"),
    owned("transactional.id", ONCE),
    owned("enable.idempotence", ONCE),
    owned("acks", ONCE),
    owned("request.required.acks", ONCE),
    owned("isolation.level", ONCE),
    owned("enable.auto.commit", ONCE),
    owned("enable.auto.offset.store", ONCE),
    owned("auto.offset.reset", "a gap is filled or refused, never skipped"),
    owned("enable.partition.eof", "a room knows by it that it has read to the end"),
    owned("check.crcs", "a record that was damaged on a disk is never folded"),
    owned("transaction.timeout.ms", TIMES),
    owned("message.timeout.ms", TIMES),
    owned("delivery.timeout.ms", TIMES),
    owned("session.timeout.ms", TIMES),
    owned("retry.backoff.ms", QUICK),
    owned("retry.backoff.max.ms", QUICK),
    owned("linger.ms", QUICK),
    owned("queue.buffering.max.ms", QUICK),
    owned("message.max.bytes", "a record may be as large as the wire allows"),
    owned("partitioner", "the partitioner is part of the wire: murmur2 of the key"),
    owned("plugin.library.paths", "Reeve loads no code of others"),
    owned("enable.sasl.oauthbearer.unsecure.jwt", "nobody signs or renews such tokens"),
    owned("sasl.oauthbearer.method", TOKENS),
    owned("sasl.oauthbearer.client.id", TOKENS),
    owned("sasl.oauthbearer.client.secret", TOKENS),
    owned("sasl.oauthbearer.token.endpoint.url", TOKENS),
];

const fn owned(name: &'static str, reason: &'static str) -> Owned {
    Owned { name, reason }
}

// === impl GroupProtocol ===

impl GroupProtocol {
    /// The protocol of this name, as Kafka's own `group.protocol` has it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "classic" => Some(Self::Classic),
            "consumer" => Some(Self::Consumer),
            _ => None,
        }
    }
}

// === impl Assignment ===

impl Assignment {
    /// The assignment of this name, as Kafka's own `partition.assignment.strategy` has it.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::CooperativeSticky, Self::Range].into_iter().find(|assignment| assignment.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Range => "range",
        }
    }

    /// Whether members let go of everything before anything is shared anew.
    pub(super) fn is_eager(self) -> bool {
        self == Self::Range
    }
}

// === impl KafkaOptions ===

impl KafkaOptions {
    /// A topic on these brokers, with nothing passed through, clocks that agree within 50 ms, and copies that are 30 s behind at most.
    pub fn new(brokers: &str, topic: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            settings: BTreeMap::new(),
            oauth_token_file: None,
            namespace: String::new(),
            clock_skew_max: Duration::from_millis(50),
            replication_lag_max: Duration::from_secs(30),
            group_protocol: GroupProtocol::default(),
            assignment: Assignment::default(),
            registry: None,
        }
    }

    /// Settings that were to be passed through and cannot be.
    pub fn refused(&self) -> Vec<Owned> {
        OWNED.iter().copied().filter(|owned| self.settings.contains_key(owned.name)).collect()
    }

    /// Everything that is wrong with what is passed through, as far as it can be known without a broker. No value is told: what
    /// stands under a wrong name may be a password.
    pub fn faults(&self) -> Vec<String> {
        let refused = self.refused();
        let mut faults: Vec<String> = refused.iter().map(|owned| format!("`{}` cannot be set: {}", owned.name, owned.reason)).collect();
        let passed = self.settings.iter().filter(|(name, _)| refused.iter().all(|owned| owned.name != name.as_str()));
        for (name, value) in passed {
            match ClientConfig::new().set(name, value).create_native_config() {
                Err(KafkaError::ClientConfig(_, told, ..)) => {
                    faults.push(format!("`{name}`: {}", told.replace(&format!("\"{value}\""), "...")));
                }
                Err(_) => faults.push(format!("`{name}` is refused by Kafka's client")),
                Ok(_) => {}
            }
        }
        faults.extend(self.fault_of_mechanism());
        faults.extend(self.faults_of_protocol());
        faults
    }

    /// What is said of a group whose brokers say it themselves.
    fn faults_of_protocol(&self) -> Vec<String> {
        if self.group_protocol == GroupProtocol::Classic {
            return Vec::new();
        }
        let mut faults = Vec::new();
        if self.assignment != Assignment::default() {
            faults.push("`kafka.assignment` asks for `kafka.group_protocol=classic`: with `consumer` the broker assigns".to_owned());
        }
        if self.settings.contains_key(HEARTBEAT) {
            faults.push(format!("`{HEARTBEAT}` asks for `kafka.group_protocol=classic`: with `consumer` the broker says it"));
        }
        faults
    }

    /// What is asked for without what it takes.
    fn fault_of_mechanism(&self) -> Option<String> {
        let protocol = self.settings.get("security.protocol").map(|protocol| protocol.to_ascii_lowercase()).unwrap_or_default();
        let mechanism = ["sasl.mechanism", "sasl.mechanisms"].iter().find_map(|name| self.settings.get(*name));
        let asks = protocol.starts_with("sasl_");
        let bears_tokens = asks && mechanism.is_some_and(|mechanism| mechanism == "OAUTHBEARER");
        match &self.oauth_token_file {
            _ if asks && mechanism.is_none() => Some(format!("`security.protocol` asks for `sasl.mechanism`: {MECHANISMS}")),
            None if bears_tokens => Some("`sasl.mechanism=OAUTHBEARER` asks for `kafka.oauth_token_file`".to_owned()),
            Some(_) if !bears_tokens => {
                Some("`kafka.oauth_token_file` asks for `security.protocol=SASL_SSL` and `sasl.mechanism=OAUTHBEARER`".to_owned())
            }
            _ => None,
        }
    }

    /// A client that only asks. What it measures of itself nobody would hear.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "reeve");
        for (name, value) in self.settings.iter().filter(|(name, _)| *name != INTERVAL) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        // Without it, a broker that comes back is tried again after up to 10 s.
        self.unless_told(&mut config, "reconnect.backoff.max.ms", "1000");
        config
    }

    /// A member of a group: it hears which partitions are its own, and reads none of them.
    ///
    /// Its name is its static identity: a newer instance of the same name takes the place of the older one, which hears of it and
    /// stays out until that one has gone, and one that comes back within its session finds its partitions.
    pub(super) fn member(&self, group: &str, member: &str) -> ClientConfig {
        let mut config = self.consumer(group, member);
        config.set("group.instance.id", member);
        self.measures(&mut config);
        match self.group_protocol {
            GroupProtocol::Classic => {
                config.set("session.timeout.ms", millis(SESSION_TIMEOUT));
                self.unless_told(&mut config, HEARTBEAT, "2000");
                config.set("partition.assignment.strategy", self.assignment.name());
            }
            GroupProtocol::Consumer => drop(config.set("group.protocol", "consumer")),
        }
        // Should it ever fetch before it is paused: as little as there is.
        config.set("queued.max.messages.kbytes", "1").set("queued.min.messages", "1").set("max.partition.fetch.bytes", "1");
        config
    }

    /// A reader of partitions that are assigned by hand, committed records only.
    pub(super) fn reader(&self, group: &str, member: &str) -> ClientConfig {
        let mut config = self.consumer(group, member);
        config.set("enable.partition.eof", "true");
        self.unless_told(&mut config, "fetch.wait.max.ms", "100");
        // Without these, a queue that was full or a leader that moved is looked at again after half a second or one (P21).
        self.unless_told(&mut config, "fetch.queue.backoff.ms", "20");
        self.unless_told(&mut config, "fetch.error.backoff.ms", "50");
        self.unless_told(&mut config, "queued.max.messages.kbytes", "65536");
        config
    }

    /// One who sees transactions in flight, to know how far a partition reaches. It never reads.
    pub(super) fn onlooker(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("isolation.level", "read_uncommitted");
        // Whatever is written down of it, it hears why nobody answers.
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    pub(super) fn transactional(&self, id: &str) -> ClientConfig {
        let mut config = self.producer();
        let id = format!("{}{id}", self.namespace);
        config.set("client.id", &id).set("transactional.id", &id);
        config.set("transaction.timeout.ms", millis(TRANSACTION_TIMEOUT));
        config.set("message.timeout.ms", millis(DELIVERY_TIMEOUT));
        config.set("retry.backoff.ms", "1").set("retry.backoff.max.ms", "1");
        config
    }

    pub(super) fn appender(&self) -> ClientConfig {
        let mut config = self.producer();
        config.set("message.timeout.ms", millis(APPEND_TIMEOUT)).set("linger.ms", LINGER_MS);
        config
    }

    fn consumer(&self, group: &str, member: &str) -> ClientConfig {
        let mut config = self.client();
        config.set("client.id", member);
        config.set("group.id", format!("{}{group}", self.namespace));
        config.set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("check.crcs", "true");
        config
    }

    fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0");
        config.set("message.max.bytes", RECORD_BYTES_MAX.to_string());
        self.measures(&mut config);
        config
    }

    /// A setting that Reeve does not own is what it takes for good, and whoever sets up another value gets that.
    fn unless_told(&self, config: &mut ClientConfig, name: &'static str, otherwise: &str) {
        config.set(name, self.settings.get(name).map_or(otherwise, String::as_str));
    }

    /// It measures itself, as often as was asked for.
    fn measures(&self, config: &mut ClientConfig) {
        self.unless_told(config, INTERVAL, INTERVAL_MS);
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    #[test]
    fn what_exactly_once_rests_on_cannot_be_passed_through() {
        let mut options = KafkaOptions::new("broker:9092", "agent-events");
        options.settings.insert("security.protocol".to_owned(), "SSL".to_owned());
        assert_eq!(options.refused(), []);
        options.settings.insert("isolation.level".to_owned(), "read_uncommitted".to_owned());
        options.settings.insert("acks".to_owned(), "1".to_owned());
        let refused: Vec<&str> = options.refused().iter().map(|owned| owned.name).collect();
        assert_eq!(refused, ["acks", "isolation.level"]);
    }

    #[test]
    fn what_the_client_does_not_know_or_lacks_is_named_and_no_value_told() {
        let faults = |settings: &[(&str, &str)], token_file: Option<&str>| {
            let mut options = KafkaOptions::new("broker:9092", "agent-events");
            options.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            options.oauth_token_file = token_file.map(PathBuf::from);
            options.faults().join("; ")
        };
        let misspelt = faults(&[("sasl.pasword", "hunter2")], None);
        assert!(misspelt.contains("`sasl.pasword`: No such configuration property") && !misspelt.contains("hunter2"), "{misspelt}");
        let misplaced = faults(&[("socket.timeout.ms", "hunter2"), ("ssl.endpoint.identification.algorithm", "hunter2")], None);
        assert!(misplaced.contains("`socket.timeout.ms`: ") && !misplaced.contains("hunter2"), "{misplaced}");
        let nameless = faults(&[("security.protocol", "SASL_SSL")], None);
        assert!(nameless.contains("`sasl.mechanism`: `PLAIN`"), "{nameless}");
        let bearer = [("security.protocol", "sasl_ssl"), ("sasl.mechanism", "OAUTHBEARER")];
        assert!(faults(&bearer, None).ends_with("asks for `kafka.oauth_token_file`"), "{}", faults(&bearer, None));
        assert_eq!(faults(&bearer, Some("/run/token")), "");
        let unused = faults(&[("sasl.mechanism", "OAUTHBEARER")], Some("/run/token"));
        assert!(unused.starts_with("`kafka.oauth_token_file` asks for `security.protocol=SASL_SSL`"), "{unused}");
        assert!(faults(&[("sasl.oauthbearer.method", "oidc")], None).contains("are read from `kafka.oauth_token_file`"));
    }

    #[test]
    fn members_that_the_broker_places_have_no_rule_of_their_own() {
        let options = KafkaOptions { assignment: Assignment::Range, ..KafkaOptions::new("broker:9092", "agent-events") };
        assert_eq!(options.faults(), Vec::<String>::new());
        assert_eq!(options.member("g", "m").get("partition.assignment.strategy"), Some("range"));
        let faults = KafkaOptions { group_protocol: GroupProtocol::Consumer, ..options }.faults().join("; ");
        assert!(faults.contains("`kafka.assignment`") && faults.contains("`kafka.group_protocol=classic`"), "{faults}");
    }

    #[test]
    fn what_the_brokers_say_of_a_group_is_refused_before_the_client_refuses_it() {
        let options = KafkaOptions { group_protocol: GroupProtocol::Consumer, ..KafkaOptions::new("broker:9092", "agent-events") };
        let is_taken = |options: &KafkaOptions| options.member("g", "m").create::<BaseConsumer>().is_ok();
        assert!(options.faults().is_empty() && is_taken(&options));
        let said = KafkaOptions { settings: [(HEARTBEAT.to_owned(), "500".to_owned())].into(), ..options };
        assert!(said.faults()[0].starts_with("`heartbeat.interval.ms` asks for `kafka.group_protocol=classic`"), "{:?}", said.faults());
        assert!(!is_taken(&said), "the client takes it");
        let classic = KafkaOptions { group_protocol: GroupProtocol::Classic, ..said };
        assert!(classic.faults().is_empty() && is_taken(&classic), "{:?}", classic.faults());
    }

    #[test]
    fn what_reeve_does_not_own_is_for_every_client_that_reads_or_writes_as_it_was_passed_through() {
        let clients = |options: &KafkaOptions| [options.reader("g", "m"), options.transactional("t"), options.appender()];
        let options = KafkaOptions::new("broker:9092", "agent-events");
        let mut passed = 0;
        for (nth, client) in clients(&options).iter().enumerate() {
            for (name, value) in client.config_map().iter().filter(|(name, _)| OWNED.iter().all(|owned| owned.name != **name)) {
                let other = format!("{value}1");
                let mut options = options.clone();
                options.settings.insert((*name).to_owned(), other.clone());
                assert_eq!(clients(&options)[nth].get(name), Some(&*other), "{name}");
                passed += 1;
            }
        }
        assert!(passed > 0, "Reeve sets something that it does not own");
        let settings = [("heartbeat.interval.ms".to_owned(), "500".to_owned())].into();
        let member = KafkaOptions { settings, ..options }.member("g", "m");
        assert_eq!(member.get("heartbeat.interval.ms"), Some("500"), "and so it is for a member, which reads nothing");
    }

    #[test]
    fn whatever_is_passed_through_the_settings_of_reeve_stand() {
        let mut options = KafkaOptions::new("broker:9092", "agent-events");
        for owned in OWNED {
            options.settings.insert(owned.name.to_owned(), "1".to_owned());
        }
        let (transactional, reader) = (options.transactional("t"), options.reader("g", "m"));
        assert_eq!(transactional.get("acks"), Some("all"));
        assert_eq!(transactional.get("bootstrap.servers"), Some("broker:9092"));
        assert_eq!(reader.get("isolation.level"), Some("read_committed"));
        assert_eq!(reader.get("check.crcs"), Some("true"));
    }
}
