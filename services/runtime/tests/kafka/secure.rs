//! Brokers that ask who comes: each way in by a file of settings as a user would write it, for every client of a room; and
//! each refusal, which names its reason, and no secret.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use runtime::config::{Config, Layers, LogConfig};
use runtime::errors::Coded;
use runtime::log::contract::PARTITIONS;
use runtime::log::contract::fixtures::{append, fact, ids, join, next_records, stable_offset, to, transaction, until};
use runtime::log::kafka::{KafkaLog, KafkaOptions, topics};
use runtime::log::{Log, Polled};
use tempfile::TempDir;
use wire::{Offset, Partition};

const WRONG_PASSWORD: &str = "not-alices-password";
/// Long enough to open everything, and short enough to be waited for.
const SHORT_LIVED: Duration = Duration::from_secs(12);
const LONG_LIVED: Duration = Duration::from_secs(3_600);

#[test]
fn a_room_lives_over_tls() {
    let Some(secured) = Secured::find() else { return };
    circle(&secured.options("SSL", &secured.tls()));
}

#[test]
fn a_room_lives_by_a_certificate_of_its_own() {
    let Some(secured) = Secured::find() else { return };
    let [certificate, key] = ["client.pem", "client.key"].map(|name| secured.path(name));
    circle(&secured.options("MTLS", &format!("{}ssl.certificate.location={certificate}\nssl.key.location={key}\n", secured.tls())));
}

#[test]
fn a_room_lives_by_a_password() {
    let Some(secured) = Secured::find() else { return };
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        circle(&secured.options("SASL", &secured.sasl(mechanism, &secured.password())));
    }
}

#[test]
fn a_room_outlives_its_token_where_somebody_renews_it() {
    let Some(secured) = Secured::find() else { return };
    let first = token("reeve", SHORT_LIVED);
    let ends = now() + SHORT_LIVED;
    secured.renew_token(&first);
    let options = secured.bearing(&secured.bearer());
    let log = made(&options);
    append(&*log, 0, &["first"]);
    let mut member = join(&*log, "bearers", "bearers-0");
    let (_, records, _) = next_records(&mut *member, 10);
    let mut producer = until("nobody registers", || log.producer("bearers-0").ok());
    secured.renew_token(&token("reeve", LONG_LIVED));
    until("the first token does not end", || {
        assert!(!matches!(member.poll(1), Ok(Polled::Revoked(_)) | Err(_)), "the member is served meanwhile");
        (now() > ends).then_some(())
    });
    // Every client is asked for something, each on the connection that it had.
    append(&*log, 0, &["second"]);
    assert_eq!(records.len() + next_records(&mut *member, 10).1.len(), 2);
    producer.commit(transaction(&*member, vec![to(0, fact("decided", "decided"))], &[(0, 2)])).expect("it is still let in");
    assert_eq!(ids(&*log, 0), ["first", "second", "decided"]);
    assert_eq!(stable_offset(&mut *member, Partition(0)), Some(Offset(2)));
    assert_silent_on(&[&first]);
}

#[test]
fn a_wrong_password_is_told_by_its_setting_and_not_shown() {
    let Some(secured) = Secured::find() else { return };
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        let told = refused(&secured.options("SASL", &secured.sasl(mechanism, WRONG_PASSWORD)));
        assert!(told.contains("uthentication") && told.contains("`sasl.username` and `sasl.password`"), "{mechanism}: {told}");
        assert!(!told.contains(WRONG_PASSWORD), "{told}");
    }
    assert_silent_on(&[WRONG_PASSWORD, &secured.password()]);
}

#[test]
fn an_authority_that_did_not_sign_is_told_by_its_setting() {
    let Some(secured) = Secured::find() else { return };
    let strange = secured.tls().replace("ca.pem", "stranger.pem");
    let told = refused(&secured.options("SSL", &strange));
    assert!(told.contains("certificate verify failed") && told.contains("`ssl.ca.location`"), "{told}");
}

#[test]
fn a_certificate_that_is_missing_is_told_by_its_setting() {
    let Some(secured) = Secured::find() else { return };
    let told = refused(&secured.options("MTLS", &secured.tls()));
    assert!(told.contains("`ssl.certificate.location` and `ssl.key.location`"), "{told}");
}

#[test]
fn a_listener_that_speaks_tls_to_nobody_who_does_not_is_told() {
    let Some(secured) = Secured::find() else { return };
    let told = refused(&secured.options("SSL", ""));
    assert!(told.contains("security.protocol"), "{told}");
}

#[test]
fn a_token_that_ended_or_that_the_broker_does_not_take_is_told_by_its_setting_and_not_shown() {
    let Some(secured) = Secured::find() else { return };
    let ended = secured.bearing(&secured.bearer());
    secured.renew_token(&jwt(&format!(r#"{{"sub":"reeve","exp":{}}}"#, now().as_secs() - 60)));
    let told = refused(&ended);
    assert!(told.contains("`kafka.oauth_token_file`") && told.contains("its token ended at"), "{told}");
    // It has a subject for the client only: an empty one is nobody to the broker.
    let nobodys = token("", LONG_LIVED);
    secured.renew_token(&nobodys);
    let told = refused(&ended);
    assert!(told.contains("uthentication") && told.contains("`kafka.oauth_token_file`"), "{told}");
    assert!(!told.contains(&nobodys), "{told}");
    assert_silent_on(&[&nobodys]);
}

#[test]
fn settings_that_contradict_each_other_or_name_what_is_not_there_are_refused_at_once() {
    let Some(secured) = Secured::find() else { return };
    let nowhere = secured.options("SSL", &secured.tls().replace("ca.pem", "nowhere.pem"));
    let Err(error) = KafkaLog::open(nowhere) else { panic!("it is opened") };
    assert_eq!(error.code().number(), "RV0001", "{error}");
    assert!(error.to_string().contains("ssl.ca.location"), "{error}");
}

/// Everything that a room does with a log, by every client that it has.
fn circle(options: &KafkaOptions) {
    let log = made(options);
    append(&*log, 0, &["one", "two"]);
    let mut member = join(&*log, "circle", "circle-0");
    assert_eq!(next_records(&mut *member, 10).0, Partition(0));
    until("no transaction is committed", || {
        let mut producer = log.producer("circle-0").ok()?;
        producer.commit(transaction(&*member, vec![to(0, fact("decided", "decided"))], &[(0, 2)])).ok()
    });
    assert_eq!(ids(&*log, 0), ["one", "two", "decided"]);
    assert_eq!(stable_offset(&mut *member, Partition(0)), Some(Offset(2)));
    let (partition, records, _) = until("the decision does not come home", || match member.poll(10).expect("the log is read") {
        Polled::Records(partition, records, next) if !records.is_empty() => Some((partition, records, next)),
        _ => None,
    });
    assert_eq!((partition, records.last().and_then(|record| record.raw.header("ce_id"))), (Partition(0), Some("decided")));
}

/// The log on a topic that is made for it.
fn made(options: &KafkaOptions) -> Arc<KafkaLog> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut trouble = String::new();
    let log = until("there is no topic", || {
        let made = runtime.block_on(topics::create(options, PARTITIONS, 1)).and_then(|_| KafkaLog::open(options.clone()));
        made.map_err(|error| {
            if trouble != error.to_string() {
                eprintln!("{error}");
                trouble = error.to_string()
            }
        })
        .ok()
    });
    assert_eq!(runtime.block_on(topics::look(options)).expect("it is told").map(|standing| standing.partitions), Some(PARTITIONS));
    log
}

/// What is told of a log that cannot be opened, by whoever opens it and whoever looks at its topic.
fn refused(options: &KafkaOptions) -> String {
    let Err(error) = KafkaLog::open(options.clone()) else { panic!("it was let in") };
    assert_eq!(error.code().number(), "RV0010", "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let seen = runtime.block_on(topics::look(options)).expect_err("it was let in");
    assert_eq!(seen.code(), error.code(), "{seen}");
    error.to_string()
}

/// What `deploy/kafka/kafka run` tells of its secure listeners, and a folder for what a user has.
struct Secured {
    told: PathBuf,
    folder: TempDir,
}

// === impl Secured ===

impl Secured {
    #[expect(clippy::disallowed_methods, reason = "a test is told where its broker is")]
    fn find() -> Option<Self> {
        let told = std::env::var("KAFKA_SECURED").ok().filter(|folder| !folder.is_empty());
        if told.is_none() {
            eprintln!("passed over: KAFKA_SECURED names no secure listeners (`KAFKA_SECURE=1 deploy/kafka/kafka run` does)");
        }
        listen_to_log_lines();
        Some(Self { told: told?.into(), folder: tempfile::tempdir().expect("a folder") })
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.told.join(name)).expect("it is told").trim().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.told.join(name).display().to_string()
    }

    fn password(&self) -> String {
        self.read("user").split_once(':').expect("name and password").1.to_owned()
    }

    fn tls(&self) -> String {
        format!("security.protocol=SSL\nssl.ca.location={}\n", self.path("ca.pem"))
    }

    fn sasl(&self, mechanism: &str, password: &str) -> String {
        let (ca, user) = (self.path("ca.pem"), self.read("user"));
        let name = user.split_once(':').expect("name and password").0;
        format!(
            "security.protocol=SASL_SSL\nssl.ca.location={ca}\nsasl.mechanism={mechanism}\nsasl.username={name}\nsasl.password={password}\n"
        )
    }

    fn bearer(&self) -> String {
        format!("security.protocol=SASL_SSL\nssl.ca.location={}\nsasl.mechanism=OAUTHBEARER\n", self.path("ca.pem"))
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// As whoever renews tokens does: the file is never seen half written.
    fn renew_token(&self, token: &str) {
        let new = self.folder.path().join("token.new");
        std::fs::write(&new, token).expect("written");
        std::fs::rename(new, self.token_file()).expect("renamed");
    }

    fn options(&self, listener: &str, properties: &str) -> KafkaOptions {
        self.configured(listener, properties, None)
    }

    fn bearing(&self, properties: &str) -> KafkaOptions {
        self.configured("OAUTH", properties, Some(&self.token_file()))
    }

    /// The options of a configuration with this file of settings, on a topic of its own.
    fn configured(&self, listener: &str, properties: &str, token_file: Option<&Path>) -> KafkaOptions {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let topic = format!("secure-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let file = self.folder.path().join(format!("{topic}.properties"));
        std::fs::write(&file, properties).expect("written");
        let (file, brokers, namespace) = (file.display().to_string(), self.read(listener), format!("{topic}."));
        let token_file = token_file.map(|file| file.display().to_string()).unwrap_or_default();
        let mut layers = Layers::default();
        let given = [("log.kind", "kafka"), ("log.topic", &topic), ("kafka.brokers", &brokers), ("kafka.namespace", &namespace)];
        let given = given.into_iter().chain([("kafka.properties", file.as_str()), ("kafka.oauth_token_file", &token_file)]);
        given.for_each(|(name, value)| layers.flag(name, value));
        match Config::of(&layers).expect("in order").log {
            LogConfig::Kafka(options) => options,
            other => panic!("{other:?}"),
        }
    }
}

/// An unsigned token, which the test's brokers take.
fn token(subject: &str, lives: Duration) -> String {
    let (begins, ends) = (now().as_secs(), (now() + lives).as_secs());
    jwt(&format!(r#"{{"sub":"{subject}","iat":{begins},"exp":{ends}}}"#))
}

fn jwt(claims: &str) -> String {
    format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), BASE64_URL_SAFE_NO_PAD.encode(claims))
}

#[expect(clippy::disallowed_methods, reason = "a token says when it ends by the clock of the wall")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// Every log line of this process.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn listen_to_log_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(|| Lines).init());
}

fn assert_silent_on(secrets: &[&str]) {
    let lines = String::from_utf8_lossy(&LINES.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    for secret in secrets {
        let told = lines.lines().find(|line| line.contains(secret));
        assert_eq!(told, None, "a secret stands in a log line");
    }
}
