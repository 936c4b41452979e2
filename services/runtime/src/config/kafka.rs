//! Where a Kafka log is, and what is passed through to its client.
//!
//! What is passed through stands in a file of its own, for it holds passwords: it is mounted as a secret and never shown.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Fault, KAFKA_ASSIGNMENT, KAFKA_BROKERS, KAFKA_CLOCK_SKEW_MS, KAFKA_GROUP_PROTOCOL, KAFKA_NAMESPACE, KAFKA_OAUTH_TOKEN_FILE,
    KAFKA_PROPERTIES, KAFKA_REPLICATION_LAG_MS, LOG_TOPIC, Reading, SCHEMA_REGISTRY_CREDENTIALS, SCHEMA_REGISTRY_URL, topic,
};
use crate::log::kafka::{Assignment, Credentials, GroupProtocol, KafkaOptions, RegistryOptions};

/// Letters of a namespace: groups and producers have room for more behind it.
const NAMESPACE_LETTERS_MAX: usize = 100;

/// Reads the settings of a Kafka log; what is wrong with them is a fault like any other.
pub(super) fn options(read: &mut Reading<'_>) -> KafkaOptions {
    let brokers = read.one_of(&KAFKA_BROKERS, brokers).unwrap_or_default();
    let topic = read.one_of(&LOG_TOPIC, topic).unwrap_or_default();
    let mut options = KafkaOptions::new(&brokers, &topic);
    options.namespace = read.one_of(&KAFKA_NAMESPACE, namespace).unwrap_or_default();
    options.clock_skew_max = Duration::from_millis(read.number(&KAFKA_CLOCK_SKEW_MS, 0, 10_000));
    options.replication_lag_max = Duration::from_millis(read.number(&KAFKA_REPLICATION_LAG_MS, 0, 600_000));
    options.group_protocol = read.one_of(&KAFKA_GROUP_PROTOCOL, GroupProtocol::parse).unwrap_or_default();
    options.assignment = read.one_of(&KAFKA_ASSIGNMENT, Assignment::parse).unwrap_or_default();
    options.settings = properties(read);
    options.registry = registry(read);
    let (token_file, _) = read.layers.value(&KAFKA_OAUTH_TOKEN_FILE);
    options.oauth_token_file = (!token_file.is_empty()).then(|| token_file.into());
    let (path, _) = read.layers.value(&KAFKA_PROPERTIES);
    let origin = if path.is_empty() { KAFKA_PROPERTIES.name } else { path };
    let faults: Vec<Fault> = options.faults().into_iter().map(|reason| Fault::File { origin: origin.to_owned(), reason }).collect();
    read.faults.extend(faults);
    options
}

/// The file of settings, if one is named.
fn properties(read: &mut Reading<'_>) -> BTreeMap<String, String> {
    let (path, _) = read.layers.value(&KAFKA_PROPERTIES);
    if path.is_empty() {
        return BTreeMap::new();
    }
    let mut faults = Vec::new();
    let mut fault = |reason: String| faults.push(Fault::File { origin: path.to_owned(), reason });
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        fault(format!("it cannot be read: {error}"));
        String::new()
    });
    let mut settings = BTreeMap::new();
    for (line, number) in text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once('=') {
            // The line itself is not told: what it lacks may be all but a password.
            None => fault(format!("line {number} is no `name=value`")),
            Some((name, value)) => {
                if settings.insert(name.trim().to_owned(), value.trim().to_owned()).is_some() {
                    fault(format!("line {number} sets `{}` again", name.trim()));
                }
            }
        }
    }
    read.faults.extend(faults);
    settings
}

/// The schema registry, if one is named.
fn registry(read: &mut Reading<'_>) -> Option<RegistryOptions> {
    let url = read.one_of(&SCHEMA_REGISTRY_URL, registry_url)??;
    let (path, _) = read.layers.value(&SCHEMA_REGISTRY_CREDENTIALS);
    if path.is_empty() {
        return Some(RegistryOptions { url, credentials: None });
    }
    let credentials = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}")).and_then(|text| {
        // What it holds is not told: it may be all but a password.
        let (user, password) = text.trim().split_once(':').ok_or("it is no `name:password`")?;
        Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
    });
    let credentials = credentials.map_err(|reason| read.faults.push(Fault::File { origin: path.to_owned(), reason })).ok();
    Some(RegistryOptions { url, credentials })
}

/// An address, or that there is none. Who asks is said elsewhere.
fn registry_url(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let place = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let is_plain = !place.is_empty() && !place.starts_with('/') && !place.contains(['@', '?', '#', ' ']);
    is_plain.then(|| Some(text.trim_end_matches('/').to_owned()))
}

fn brokers(text: &str) -> Option<String> {
    let is_one = |broker: &str| broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    (text.split(',').all(|broker| is_one(broker.trim()))).then(|| text.to_owned())
}

fn namespace(text: &str) -> Option<String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    (text.len() <= NAMESPACE_LETTERS_MAX && text.chars().all(legal)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{Config, ConfigError, Layers, LogConfig};

    #[test]
    fn a_kafka_log_is_a_topic_on_brokers_with_what_is_passed_through() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "# how to reach it\nsecurity.protocol = SASL_SSL\nsasl.mechanism=PLAIN\n\nsasl.password=a=b # no comment")
            .expect("written");
        let path = file.path().display().to_string();
        let config = Config::of(&layers(&[("kafka.brokers", "one:9092,two:9092"), ("kafka.properties", &path)])).expect("in order");
        let LogConfig::Kafka(options) = config.log else { panic!("{:?}", config.log) };
        assert_eq!((options.brokers.as_str(), options.topic.as_str()), ("one:9092,two:9092", "agent-events"));
        assert_eq!(options.settings["security.protocol"], "SASL_SSL");
        assert_eq!(options.settings["sasl.password"], "a=b # no comment");
    }

    #[test]
    fn all_that_is_wrong_with_it_is_told_at_once_and_no_password_with_it() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "acks=1\nsasl.password hunter2\nssl.ca.location=/a\nssl.ca.location=/b").expect("written");
        let path = file.path().display().to_string();
        let given = [
            ("kafka.brokers", "one"),
            ("kafka.properties", path.as_str()),
            ("kafka.namespace", "a b"),
            ("log.topic", "a topic"),
            ("kafka.group_protocol", "new"),
            ("kafka.assignment", "roundrobin"),
        ];
        let ConfigError(faults) = Config::of(&layers(&given)).expect_err("nothing of it is in order");
        let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(faults.len(), 8, "{told}");
        for part in
            ["`acks` cannot be set", "line 2 is no", "line 4 sets `ssl.ca.location` again", "`kafka.brokers` is `one`", "`kafka.namespace`"]
        {
            assert!(told.contains(part), "`{part}` is missing: {told}");
        }
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_token_is_asked_for_by_a_mechanism_and_named_where_it_stands() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER").expect("written");
        let path = file.path().display().to_string();
        let given = [("kafka.brokers", "one:9092"), ("kafka.properties", path.as_str())];
        let ConfigError(faults) = Config::of(&layers(&given)).expect_err("there is no token");
        assert!(faults[0].to_string().contains("asks for `kafka.oauth_token_file`"), "{faults:?}");
        let config = Config::of(&layers(&[given[0], given[1], ("kafka.oauth_token_file", "/run/token")])).expect("in order");
        let LogConfig::Kafka(options) = config.log else { panic!("{:?}", config.log) };
        assert_eq!(options.oauth_token_file.as_deref(), Some(std::path::Path::new("/run/token")));
    }

    #[test]
    fn a_schema_registry_is_an_address_and_perhaps_a_file_that_says_who_asks() {
        let registry = |flags: &[(&str, &str)]| {
            let config = Config::of(&layers(&[&[("kafka.brokers", "one:9092")], flags].concat()));
            config.map(|config| match config.log {
                LogConfig::Kafka(options) => options.registry,
                other @ LogConfig::Embedded { .. } => panic!("{other:?}"),
            })
        };
        assert_eq!(registry(&[]), Ok(None));
        let found = registry(&[("schema_registry.url", "https://registry:8081/")]).expect("in order").expect("one is named");
        assert_eq!((found.url.as_str(), found.credentials), ("https://registry:8081", None));
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "reeve:hunter2").expect("written");
        let path = file.path().display().to_string();
        let url = ("schema_registry.url", "http://registry:8081");
        let found = registry(&[url, ("schema_registry.credentials", &path)]).expect("in order").expect("one is named");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let credentials = found.credentials.expect("they are in the file");
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("reeve", "hunter2"));
        for wrong in ["registry:8081", "ftp://registry", "http://", "http://reeve:hunter2@registry"] {
            let ConfigError(faults) = registry(&[("schema_registry.url", wrong)]).expect_err(wrong);
            assert_eq!(faults.len(), 1, "{faults:?}");
        }
        let ConfigError(faults) = registry(&[url, ("schema_registry.credentials", "/nowhere")]).expect_err("there is no file");
        assert!(faults[0].to_string().starts_with("/nowhere: it cannot be read"), "{faults:?}");
    }

    #[test]
    fn a_kafka_log_without_brokers_is_refused() {
        let ConfigError(faults) = Config::of(&layers(&[])).expect_err("no brokers");
        assert!(faults[0].to_string().starts_with("default: `kafka.brokers` is ``, but takes `host:port`"), "{faults:?}");
    }

    fn layers(flags: &[(&str, &str)]) -> Layers {
        let mut layers = Layers::default();
        layers.flag("log.kind", "kafka");
        flags.iter().for_each(|(name, value)| layers.flag(name, value));
        layers
    }
}
