//! What the gateway counts. Names are declared here, once, and are part of what dashboards and alerts rest on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;
pub(crate) use prometheus::IntGauge;
pub use prometheus::Registry;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use crate::keys::KEYS_MAX;

/// Requests, by route, method and status code.
pub const HTTP_REQUESTS_TOTAL: &str = "reeve_http_requests_total";
/// Seconds from a request's headers to the first byte of its answer, by route and method.
pub const HTTP_REQUEST_DURATION_SECONDS: &str = "reeve_http_request_duration_seconds";
/// Streams that are open, by route.
pub const STREAMS_OPEN: &str = "reeve_gateway_streams_open";
/// Events that were new.
pub const EVENTS_ACCEPTED_TOTAL: &str = "reeve_gateway_events_accepted_total";
/// Events that stood on the log already.
pub const EVENTS_REPEATED_TOTAL: &str = "reeve_gateway_events_repeated_total";
/// Faults that requests were refused for, by code.
pub const FAULTS_TOTAL: &str = "reeve_gateway_faults_total";

/// Requests that showed a good key, by the key's id and by what became of them: passed, forbidden or limited.
pub const KEY_REQUESTS_TOTAL: &str = "reeve_gateway_key_requests_total";
/// Answers that the contract at `/v1/openapi.json` does not name: each is a fault of the gateway.
pub const UNDECLARED_ANSWERS_TOTAL: &str = "reeve_gateway_undeclared_answers_total";

/// Every name. Changed only together with the dashboards and alerts that read them.
pub const ALL: &[&str] = &[
    HTTP_REQUESTS_TOTAL,
    HTTP_REQUEST_DURATION_SECONDS,
    STREAMS_OPEN,
    EVENTS_ACCEPTED_TOTAL,
    EVENTS_REPEATED_TOTAL,
    FAULTS_TOTAL,
    KEY_REQUESTS_TOTAL,
    UNDECLARED_ANSWERS_TOTAL,
];

/// Keys that have counters at once: those in the file, and the few of the process itself.
const KEYS_COUNTED_MAX: usize = KEYS_MAX + 8;

/// Seconds, from a millisecond to a minute.
const LATENCY_BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

/// The gateway's counters, registered.
#[derive(Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    /// Streams that are open now.
    pub(crate) streams_open: IntGaugeVec,
    /// Events that were new.
    pub(crate) accepted: IntCounter,
    /// Events that stood there before.
    pub(crate) repeated: IntCounter,
    /// Faults by code.
    pub(crate) faults: IntCounterVec,
    key_requests: IntCounterVec,
    keys_counted: Arc<Mutex<BTreeSet<String>>>,
    /// Answers that the contract does not name.
    pub(crate) undeclared: IntCounter,
}

/// What became of a request with a good key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOutcome {
    Passed,
    Forbidden,
    Limited,
}

// === impl Metrics ===

impl Metrics {
    /// Creates the counters and registers them.
    ///
    /// # Errors
    /// When the registry holds one of the names already: a process has one gateway.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            requests: IntCounterVec::new(Opts::new(HTTP_REQUESTS_TOTAL, "Requests answered."), &["route", "method", "code"])?,
            durations: HistogramVec::new(
                HistogramOpts::new(HTTP_REQUEST_DURATION_SECONDS, "Seconds to the first byte of the answer.")
                    .buckets(LATENCY_BUCKETS.to_vec()),
                &["route", "method"],
            )?,
            streams_open: IntGaugeVec::new(Opts::new(STREAMS_OPEN, "Streams that are open."), &["route"])?,
            accepted: IntCounter::new(EVENTS_ACCEPTED_TOTAL, "Events that were new and are on the log.")?,
            repeated: IntCounter::new(EVENTS_REPEATED_TOTAL, "Events that stood on the log already.")?,
            faults: IntCounterVec::new(Opts::new(FAULTS_TOTAL, "Faults that requests were refused for."), &["code"])?,
            key_requests: IntCounterVec::new(Opts::new(KEY_REQUESTS_TOTAL, "Requests that showed a good key."), &["key", "outcome"])?,
            keys_counted: Arc::default(),
            undeclared: IntCounter::new(UNDECLARED_ANSWERS_TOTAL, "Answers that the contract does not name.")?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.streams_open.clone()))?;
        registry.register(Box::new(metrics.accepted.clone()))?;
        registry.register(Box::new(metrics.repeated.clone()))?;
        registry.register(Box::new(metrics.faults.clone()))?;
        registry.register(Box::new(metrics.key_requests.clone()))?;
        registry.register(Box::new(metrics.undeclared.clone()))?;
        Ok(metrics)
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, method: &Method, code: u16, seconds: f64) {
        let method = method_label(method);
        self.requests.with_label_values(&[route, method, &code.to_string()]).inc();
        self.durations.with_label_values(&[route, method]).observe(seconds);
    }

    /// A request with the key of this id was answered. Counters of keys that are no longer known go when room is needed.
    pub(crate) fn key_answered(&self, id: &str, outcome: KeyOutcome, is_known: impl Fn(&str) -> bool) {
        let mut counted = self.keys_counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= KEYS_COUNTED_MAX && !counted.contains(id) {
            for gone in counted.extract_if(.., |id| !is_known(id)) {
                // A series that was never counted is no fault.
                KeyOutcome::ALL.iter().for_each(|outcome| drop(self.key_requests.remove_label_values(&[&gone, outcome.label()])));
            }
        }
        counted.insert(id.to_owned());
        self.key_requests.with_label_values(&[id, outcome.label()]).inc();
    }
}

// === impl KeyOutcome ===

impl KeyOutcome {
    const ALL: [Self; 3] = [Self::Passed, Self::Forbidden, Self::Limited];

    pub(crate) fn of(status: u16) -> Self {
        match status {
            403 => Self::Forbidden,
            429 => Self::Limited,
            _ => Self::Passed,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Forbidden => "forbidden",
            Self::Limited => "limited",
        }
    }
}

/// Methods are the client's words: a label takes only those that exist.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_dashboards_rest_on() {
        let fixture: Vec<_> = include_str!("../metrics.txt").lines().collect();
        assert_eq!(ALL, fixture, "change metrics.txt only with a dashboard change in hand");
    }

    #[test]
    fn every_declared_name_is_registered_and_no_other() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).expect("an empty registry");
        metrics.answered("/v1/events", &Method::GET, 200, 0.1);
        metrics.streams_open.with_label_values(&["/v1/events"]).inc();
        metrics.faults.with_label_values(&["missing"]).inc();
        metrics.key_answered("0123456789ab", KeyOutcome::Passed, |_| true);
        let mut registered: Vec<_> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
        let mut declared: Vec<_> = ALL.iter().map(|name| (*name).to_owned()).collect();
        registered.sort();
        declared.sort();
        assert_eq!(registered, declared);
    }

    #[test]
    fn counters_of_keys_that_are_gone_make_room() {
        let metrics = Metrics::register(&Registry::new()).expect("an empty registry");
        for index in 0..10 * KEYS_COUNTED_MAX {
            metrics.key_answered(&format!("{index:012x}"), KeyOutcome::Limited, |id| id == format!("{index:012x}"));
        }
        assert!(prometheus::core::Collector::collect(&metrics.key_requests)[0].get_metric().len() <= KEYS_COUNTED_MAX);
    }
}
