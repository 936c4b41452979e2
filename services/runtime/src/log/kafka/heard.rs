//! What a client hears of its connections: it tries again by itself and says nothing to whoever asks, who is only told that
//! the time is over.

use std::sync::Mutex;

use rdkafka::ClientContext;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::log::locked;

/// Events that are heard at once, at most.
const EVENTS_MAX: usize = 100;
/// What the client's log says such lines are about (`rd_kafka_broker_set_error`).
const FAILURE: &str = "FAIL";

/// Why a client last failed to connect.
#[derive(Default)]
pub(super) struct Heard(Mutex<Option<Trouble>>);

struct Trouble {
    code: RDKafkaErrorCode,
    told: String,
}

/// A client that is in no group.
#[derive(Default)]
pub(super) struct Quiet(Heard);

// === impl Heard ===

impl Heard {
    /// Takes note of what a client says, and tells it.
    pub(super) fn note(&self, error: &KafkaError, reason: &str) {
        let KafkaError::Global(code) = error else { return tell(error, reason) };
        let told = with_hint(*code, reason);
        tell(error, &told);
        let mut known = locked(&self.0);
        let says_more = known.as_ref().is_none_or(|known| weight(known.code) <= weight(*code));
        if weight(*code) > 0 && says_more {
            *known = Some(Trouble { code: *code, told });
        }
    }

    /// Takes note of a line of the client's log, if it says why a connection ended and nothing else does: a broker that hangs up
    /// is no error to the client.
    fn note_line(&self, facility: &str, line: &str) {
        let mut known = locked(&self.0);
        if facility == FAILURE && known.is_none() {
            let line = line.strip_prefix("[thrd:").and_then(|line| line.split_once("]: ")).map_or(line, |(_, told)| told);
            let code = RDKafkaErrorCode::BrokerTransportFailure;
            *known = Some(Trouble { code, told: with_hint(code, line) });
        }
    }

    /// What somebody says who waited in vain: why he did, if that was heard, rather than the error that says how he ended.
    pub(super) fn explain(&self, error: &KafkaError) -> String {
        locked(&self.0).as_ref().map_or_else(|| error.to_string(), |trouble| trouble.told.clone())
    }
}

/// How much an error says: that somebody was refused, or that nobody was reached. That all are gone says nothing.
fn weight(code: RDKafkaErrorCode) -> u8 {
    match code {
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism
        | RDKafkaErrorCode::SSL => 2,
        RDKafkaErrorCode::AllBrokersDown => 0,
        _ => 1,
    }
}

/// A client goes on by itself after whatever it tells so; what ends a member comes by its poll.
fn tell(error: &KafkaError, reason: &str) {
    tracing::warn!(code = "RV0010", "Kafka's client: {error}: {reason}");
}

/// Writes down a line of a client's log by its level, which is syslog's (RFC 5424), as the Rust client does.
pub(super) fn log(level: i32, facility: &str, line: &str) {
    match level {
        ..=3 => tracing::error!(target: "librdkafka", "librdkafka: {facility} {line}"),
        4 => tracing::warn!(target: "librdkafka", "librdkafka: {facility} {line}"),
        5 | 6 => tracing::info!(target: "librdkafka", "librdkafka: {facility} {line}"),
        _ => tracing::debug!(target: "librdkafka", "librdkafka: {facility} {line}"),
    }
}

/// The reason, and which setting to look at where that can be known.
fn with_hint(code: RDKafkaErrorCode, reason: &str) -> String {
    match hint(code, reason) {
        Some(settings) => format!("{reason} (look at {settings})"),
        None => reason.to_owned(),
    }
}

fn hint(code: RDKafkaErrorCode, reason: &str) -> Option<&'static str> {
    let says = |text: &str| reason.contains(text);
    match code {
        _ if says("certificate verify failed") => Some("`ssl.ca.location`"),
        // An alert of TLS, which is taken for the length of an answer.
        _ if says("Invalid response size") => Some("`security.protocol`"),
        // Alerts of the broker's: which certificate it asked for, or would not take.
        _ if says("alert certificate required") || says("alert bad certificate") || says("alert unknown ca") => {
            Some("`ssl.certificate.location` and `ssl.key.location`")
        }
        // The first question of all was not understood.
        _ if says("in state APIVERSION_QUERY") => Some("`security.protocol`"),
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => match reason {
            _ if says("supported mechanisms") => Some("`sasl.mechanism`"),
            _ if says("OAUTHBEARER") || says("invalid_token") => Some("`kafka.oauth_token_file`"),
            _ => Some("`sasl.username` and `sasl.password`"),
        },
        RDKafkaErrorCode::UnsupportedSASLMechanism => Some("`sasl.mechanism`"),
        _ => None,
    }
}

// === impl Quiet ===

impl Quiet {
    /// The error of a question that `asker` had no answer to, with what it heard meanwhile.
    pub(super) fn explain(asker: &BaseConsumer<Self>, error: &KafkaError) -> String {
        // A line of the client's log between them looks like an empty queue: it is no reason to stop.
        for _ in 0..EVENTS_MAX {
            asker.poll(std::time::Duration::ZERO);
        }
        asker.context().0.explain(error)
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.0.note_line(facility, line);
        DefaultClientContext.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
    }
}

impl ConsumerContext for Quiet {}
