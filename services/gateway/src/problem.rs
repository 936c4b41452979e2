//! What is told to who asked wrongly: RFC 9457 problem details that name each field and its limit.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::room::AskError;
use serde::Serialize;
use serde_json::{Value, json};
use wire::Refusal;

/// Faults listed in one answer: one of each event of a full batch. Of what is beyond, `errors_omitted` tells how much of it
/// was kept: of each further event one fault.
pub(crate) const FAULTS_LISTED_MAX: usize = 1_000;
/// Characters of a text that an answer repeats from a request: an answer is never much larger than its request.
const ECHOED_CHARS_MAX: usize = 200;

/// Why a request was not done, in whole.
#[derive(Debug)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    faults: Vec<Fault>,
    retry_after_s: Option<u64>,
}

/// What a refusal leaves with its answer for counters and for the log line.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The problem's name.
    pub(crate) problem: &'static str,
    /// The code of each fault; the problem's name where it has none.
    pub(crate) codes: Vec<&'static str>,
}

/// The problems that exist: each has one status and one `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// The body is not the JSON or Avro that its content type says.
    Malformed,
    /// The query, the path or a header is not well formed.
    BadRequest,
    /// No key, or none that is good.
    Unauthorized,
    /// The key has no right to it.
    Forbidden,
    /// There is nothing at this path.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTooSlow,
    /// An id was used before, for something else.
    IdTaken,
    /// The log no longer has what was asked for.
    Gone,
    /// Too many bytes, or too many events.
    TooLarge,
    /// A content type or encoding that is not taken here.
    UnsupportedType,
    /// Well formed, and refused.
    Refused,
    /// Asked of another machine than this one.
    Misdirected,
    /// More than the key may send.
    Limited,
    /// A fault of ours.
    Broken,
    /// Too much to do at this moment.
    Busy,
    /// The log does not answer.
    LogUnavailable,
    /// The gateway is going down.
    Draining,
    /// Nobody can say whose keys are good.
    KeysRefused,
}

/// One fault, at one field of one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Fault {
    /// Position of the event in the batch, from 0; absent where there is no batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<usize>,
    /// Attribute, header, parameter, or path into `data`.
    pub(crate) field: String,
    /// Stable name of the fault.
    pub(crate) code: &'static str,
    /// The limit that was passed, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<Value>,
    /// The fault in words.
    pub(crate) detail: String,
}

// === impl Problem ===

impl Problem {
    /// There is nothing of what was asked for: 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, detail)
    }

    /// A problem with its sentence and no faults yet.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), faults: Vec::new(), retry_after_s: kind.retry_after_s() }
    }

    /// A problem of exactly one fault, whose sentence is the problem's.
    pub(crate) fn of(kind: ProblemKind, fault: Fault) -> Self {
        Self { faults: vec![fault.clone()], ..Self::new(kind, fault.detail) }
    }

    /// A problem of at least one fault.
    pub(crate) fn of_all(kind: ProblemKind, mut faults: Vec<Fault>) -> Self {
        if faults.len() == 1 {
            return Self::of(kind, faults.remove(0));
        }
        let detail = format!("{} faults, each listed in `errors`", faults.len());
        Self { faults, ..Self::new(kind, detail) }
    }

    /// When to try again, in whole seconds, rounded up.
    #[must_use]
    pub(crate) fn retry_after_ms(mut self, retry_after_ms: u64) -> Self {
        self.retry_after_s = Some(retry_after_ms.div_ceil(1_000).max(1));
        self
    }

    /// The status that it is answered with.
    pub(crate) fn status(&self) -> u16 {
        self.kind.status().as_u16()
    }

    /// What is wanted of who may not pass (RFC 9110, 11.6.1), and, where he showed something, that it is no good (RFC 6750).
    fn challenge(&self) -> Option<HeaderValue> {
        let showed_none = self.faults.iter().any(|fault| fault.code == "missing_key");
        let challenge = if showed_none { "Bearer realm=\"reeve\"" } else { "Bearer realm=\"reeve\", error=\"invalid_token\"" };
        (self.kind == ProblemKind::Unauthorized).then(|| HeaderValue::from_static(challenge))
    }

    /// Its faults.
    #[cfg(test)]
    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn told(&self) -> Told {
        let problem = self.kind.name();
        let codes = if self.faults.is_empty() { vec![problem] } else { self.faults.iter().map(|fault| fault.code).collect() };
        Told { problem, codes }
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("urn:reeve:problem:{}", self.kind.name()),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "detail": self.detail,
        });
        if !self.faults.is_empty() {
            body["errors"] = json!(self.faults.iter().take(FAULTS_LISTED_MAX).collect::<Vec<_>>());
        }
        if self.faults.len() > FAULTS_LISTED_MAX {
            body["errors_omitted"] = json!(self.faults.len() - FAULTS_LISTED_MAX);
        }
        body
    }
}

/// A room that does not answer at this moment may answer the next: 503.
impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        Self::new(ProblemKind::Busy, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body().to_string()));
        *response.status_mut() = self.kind.status();
        response.extensions_mut().insert(self.told());
        let challenge = self.challenge();
        let headers = response.headers_mut();
        headers.extend(challenge.map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind.leaves_body_unread() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

// === impl ProblemKind ===

impl ProblemKind {
    /// The last part of its `type`, and its name in counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooSlow => "body_too_slow",
            Self::IdTaken => "id_taken",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::UnsupportedType => "unsupported_type",
            Self::Refused => "refused",
            Self::Misdirected => "misdirected",
            Self::Limited => "rate_limited",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::LogUnavailable => "log_unavailable",
            Self::Draining => "draining",
            Self::KeysRefused => "keys_refused",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::IdTaken => StatusCode::CONFLICT,
            Self::Gone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Limited => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::LogUnavailable | Self::Draining | Self::KeysRefused => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Malformed => "the body cannot be read",
            Self::BadRequest => "the request is not well formed",
            Self::Unauthorized => "a key is needed",
            Self::Forbidden => "this key does not allow it",
            Self::NotFound => "there is nothing here",
            Self::MethodNotAllowed => "this method is not taken here",
            Self::BodyTooSlow => "the body did not come in time",
            Self::IdTaken => "an id was used before, for another event",
            Self::Gone => "the log no longer has what was asked for",
            Self::TooLarge => "the body is too large",
            Self::UnsupportedType => "this content is not taken here",
            Self::Refused => "the events were refused, none was taken",
            Self::Misdirected => "the request is meant for another machine",
            Self::Limited => "more than this key may send",
            Self::Broken => "the gateway failed",
            Self::Busy => "too much to do at this moment",
            Self::LogUnavailable => "the log does not answer",
            Self::Draining => "the gateway is going down",
            Self::KeysRefused => "nobody can say whose keys are good",
        }
    }

    pub(crate) fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::Busy | Self::Limited => Some(1),
            Self::LogUnavailable | Self::Draining | Self::KeysRefused => Some(5),
            _ => None,
        }
    }

    /// Whether bytes of the body may still be under way: they must not be taken for the next request.
    fn leaves_body_unread(self) -> bool {
        matches!(self, Self::BodyTooSlow | Self::TooLarge | Self::Draining)
    }
}

// === impl Fault ===

impl Fault {
    /// A fault at a field, outside any batch.
    pub(crate) fn new(field: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self { index: None, field: shortened(field), code, limit: None, detail: shortened(&detail.into()) }
    }

    /// The limit that was passed.
    #[must_use]
    pub(crate) fn limit(mut self, limit: impl Into<Value>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// The position of its event in the batch.
    #[must_use]
    pub(crate) fn at(mut self, index: Option<usize>) -> Self {
        self.index = index;
        self
    }
}

impl From<&Refusal> for Fault {
    fn from(refusal: &Refusal) -> Self {
        let fault = Self::new(field_of(refusal), refusal.code(), refusal.to_string());
        match refusal {
            Refusal::TooLarge { limit, .. } => fault.limit(*limit),
            Refusal::OutOfRange { limit, .. } => fault.limit(limit.as_str()),
            _ => fault,
        }
    }
}

fn field_of(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::TooLarge { field, .. }
        | Refusal::Missing { field }
        | Refusal::UnknownField { field }
        | Refusal::Malformed { field, .. }
        | Refusal::OutOfRange { field, .. }
        | Refusal::Contradiction { field, .. } => field,
        Refusal::UnknownKind { .. } => "type",
        Refusal::IdTaken { .. } => "id",
        Refusal::WrongPartition { .. } => "partitionkey",
        Refusal::UnknownFraming
        | Refusal::UnregisteredSchema { .. }
        | Refusal::UnknownSchema { .. }
        | Refusal::Undecodable { .. }
        | Refusal::TrailingBytes { .. } => "data",
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(ECHOED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
