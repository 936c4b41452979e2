//! Reeve over HTTP, as any platform speaks with it.

mod lines;

use std::time::Duration;

use futures::{StreamExt, stream};
use gateway::keys::Secret;
use reqwest::{RequestBuilder, Response, StatusCode};
use runtime::Code;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::standing::Report;
use crate::target::{DEFAULT_URL, Events, Filter, Published, Rejected};

pub use lines::Lines;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer that is no stream may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a busy gateway is asked again before the caller is told.
const BUSY_TRIES: u32 = 8;
/// Longest that we wait because the gateway asks us to.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// A Reeve at an address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<Secret>,
}

// === impl Client ===

impl Client {
    /// A client of the Reeve at `url`.
    ///
    /// # Errors
    /// When `url` is no HTTP address.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::usage(format!("`{url}` is no address of a Reeve: {why}; one is {DEFAULT_URL}"));
        let known: reqwest::Url = url.parse().map_err(|_| wrong("it does not begin with http://"))?;
        if known.scheme() != "http" {
            return Err(wrong("only http:// is spoken"));
        }
        if !known.path().trim_matches('/').is_empty() || known.query().is_some() {
            return Err(wrong("it has a path"));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|error| Failure::internal(format!("cannot make a client: {error}")))?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), key: None })
    }

    /// The same client, which sends this key with every request.
    #[must_use]
    pub fn with_key(self, key: Option<Secret>) -> Self {
        Self { key, ..self }
    }

    /// The address, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Publishes structured CloudEvents, all or none; asks again while the gateway is busy.
    ///
    /// # Errors
    /// [`Rejected`].
    pub async fn publish(&self, events: &[Value]) -> Result<Published, Rejected> {
        for attempt in 1.. {
            let request = self.keyed(self.http.post(format!("{}/v1/events", self.base))).timeout(ANSWER_TIMEOUT);
            let body = serde_json::to_vec(events).map_err(|error| Failure::internal(format!("cannot write JSON: {error}")))?;
            let sent = request.header("content-type", "application/cloudevents-batch+json").body(body).send().await;
            let answer = sent.map_err(|error| self.unreachable(&error))?;
            match answer.status() {
                StatusCode::ACCEPTED => return Ok(published(events.len(), &body_of(answer).await)),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS if attempt < BUSY_TRIES => {
                    tokio::time::sleep(retry_after(&answer)).await
                }
                status => return Err(rejected(status, &body_of(answer).await)),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The records that the filter lets through.
    ///
    /// # Errors
    /// When Reeve does not answer, or refuses the filter.
    pub async fn events(&self, filter: &Filter) -> Result<Events, Failure> {
        let answer = self.get("/v1/events", &query(filter)).await?;
        let lines = Lines::new(answer);
        Ok(stream::unfold(lines, |mut lines| async {
            loop {
                return match lines.next().await {
                    Ok(Some(line)) if line.trim().is_empty() => continue,
                    Ok(Some(line)) => Some((parse(&line), lines)),
                    Ok(None) => None,
                    Err(failure) => Some((Err(failure), lines)),
                };
            }
        })
        .boxed())
    }

    /// How one agent stands, or all of them; nothing of an agent that is not known.
    ///
    /// # Errors
    /// When Reeve does not answer.
    pub async fn standing(&self, agent: Option<&str>) -> Result<Report, Failure> {
        let path = agent.map_or_else(|| "/v1/status".to_owned(), |agent| format!("/v1/status/{}", segment(agent)));
        let answer = self.send(&path, &[]).await?;
        if agent.is_some() && answer.status() == StatusCode::NOT_FOUND {
            return Ok(Report::default());
        }
        let answer = self.checked(answer).await?;
        answer.json().await.map_err(|error| Failure::internal(format!("cannot read the answer of {path}: {error}")))
    }

    /// How the rooms of the process at the address stand, as `/readyz` says it, whether they are ready or not.
    ///
    /// # Errors
    /// When Reeve does not answer.
    pub async fn readiness(&self) -> Result<Value, Failure> {
        Ok(body_of(self.send("/readyz", &[]).await?).await)
    }

    /// The orders of an agent as server-sent events, from after `last_event_id` on.
    ///
    /// # Errors
    /// When Reeve does not answer.
    pub async fn orders(&self, agent: &str, last_event_id: Option<&str>) -> Result<Lines, Failure> {
        let mut request = self.keyed(self.http.get(format!("{}/v1/agents/{}/orders", self.base, segment(agent))));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.checked(answer).await.map(Lines::new)
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Response, Failure> {
        let answer = self.send(path, query).await?;
        self.checked(answer).await
    }

    async fn send(&self, path: &str, query: &[(&str, String)]) -> Result<Response, Failure> {
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        self.keyed(self.http.get(format!("{}{path}{query}", self.base))).send().await.map_err(|error| self.unreachable(&error))
    }

    fn keyed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key.reveal()),
            None => request,
        }
    }

    async fn checked(&self, answer: Response) -> Result<Response, Failure> {
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => {
                match rejected(status, &body_of(answer).await) {
                    Rejected::Failed(failure) => Err(failure),
                    Rejected::Faults(faults) => Err(Failure::new(Exit::Refused, "the request is refused")
                        .with_lines(faults.into_iter().map(|(_, fault)| fault).collect())),
                }
            }
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_connect() { "nobody listens there".to_owned() } else { innermost(error) };
        Failure::new(
            Exit::Unavailable,
            format!("no Reeve answers at {}: {why}. Start one with `reeve up`, or name another with --url or --data", self.base),
        )
    }
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

// === helpers ===

fn query(filter: &Filter) -> Vec<(&'static str, String)> {
    let mut query: Vec<_> = filter.kinds.iter().map(|kind| ("kind", kind.clone())).collect();
    let single = [("agent", &filter.agent), ("session", &filter.session), ("id", &filter.id), ("from", &filter.from)];
    query.extend(single.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    query.extend(filter.limit.map(|limit| ("limit", limit.to_string())));
    query.extend(filter.follow.then(|| ("follow", "true".to_owned())));
    query
}

/// Percent-encodes a text for one segment of a path or one value of a query (RFC 3986, unreserved characters stay).
fn segment(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn parse(line: &str) -> Result<Value, Failure> {
    serde_json::from_str(line).map_err(|error| Failure::internal(format!("cannot read an event of the answer: {error}")))
}

async fn body_of(answer: Response) -> Value {
    answer.json().await.unwrap_or(Value::Null)
}

fn retry_after(answer: &Response) -> Duration {
    let told = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(told.unwrap_or(1)).min(RETRY_AFTER_MAX)
}

fn published(events: usize, answer: &Value) -> Published {
    let repeated = answer.get("repeated").and_then(Value::as_u64).unwrap_or(0) as usize;
    Published { new: events.saturating_sub(repeated), repeated }
}

/// Reads problem details (RFC 9457): every fault that is listed, or the one sentence that is told.
fn rejected(status: StatusCode, problem: &Value) -> Rejected {
    let faults = problem.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Rejected::Failed(not_allowed(status, faults));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        let detail = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
        return Rejected::Failed(Failure::new(Exit::TryAgain, format!("Reeve answers {status}: {detail}")));
    }
    if !faults.is_empty() {
        return Rejected::Faults(faults.iter().map(fault).collect());
    }
    let detail = problem.get("detail").or_else(|| problem.get("title")).and_then(Value::as_str);
    let sentence = match detail {
        Some(detail) if status == StatusCode::NOT_FOUND => detail.to_owned(),
        Some(detail) => format!("Reeve answers {status}: {detail}"),
        None => format!("Reeve answers {status}"),
    };
    let exit = match status.as_u16() {
        503 => Exit::TryAgain,
        400..500 => Exit::Refused,
        _ => Exit::Internal,
    };
    Rejected::Failed(Failure::new(exit, sentence))
}

/// A key that is missing, no good, or not for this: no fault of any event, though an event may be what it is not for.
fn not_allowed(status: StatusCode, faults: &[Value]) -> Failure {
    let told = |found: &Value| match (found.get("index"), fault(found).1) {
        (Some(index), detail) => format!("event {index} of the request: {detail}"),
        (None, detail) => detail,
    };
    match faults {
        [only] if only.get("index").is_none() => Failure::coded(Code::KeyUnusable, format!("Reeve answers {status}: {}", told(only))),
        faults => Failure::coded(Code::KeyUnusable, format!("Reeve answers {status}")).with_lines(faults.iter().map(told).collect()),
    }
}

fn fault(fault: &Value) -> (usize, String) {
    let index = fault.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
    (index, fault.get("detail").and_then(Value::as_str).map_or_else(|| fault.to_string(), str::to_owned))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_slashes_and_colons_stay_one_segment() {
        assert_eq!(segment("ft:gpt/4.1 ü"), "ft%3Agpt%2F4.1%20%C3%BC");
    }

    #[test]
    fn every_fault_of_a_problem_keeps_its_position() {
        let problem = serde_json::json!({"errors": [{"index": 3, "detail": "source is missing"}]});
        let Rejected::Faults(faults) = rejected(StatusCode::BAD_REQUEST, &problem) else { panic!("faults are told") };
        assert_eq!(faults, [(3, "source is missing".to_owned())]);
    }
}
