//! Reading a request's body: of a declared type, never more than a limit, never slower than a limit.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::problem::{Fault, Problem, ProblemKind};

/// Bytes that a body is given room for before any of it has come.
const CAPACITY_BYTES: usize = 64 << 10;
/// Bytes of an unread body that are thrown away, so that its connection can be used again.
const DISCARDED_BYTES_MAX: usize = 32 << 20;
/// How long an unread body is thrown away for.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// A body, and the room that it takes of the bytes that all bodies may take together.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// What a content type says, lower case: the type, and its `charset` where one is named.
pub(crate) struct ContentType {
    pub(crate) essence: String,
    charset: Option<String>,
}

/// Reads a body of at most `bytes_max`, within `time_max`, from the room that all bodies share.
///
/// # Errors
/// 413 when it is declared or turns out larger, 408 when it is too slow, 503 when the room is used up, 400 when its
/// chunks are not well formed.
pub(crate) async fn read(body: Body, bytes_max: usize, time_max: Duration, room: &Arc<Semaphore>) -> Result<Taken, Problem> {
    let declared = body.size_hint().lower();
    // A sender that is told while he sends may go on for a while: the server lingers until he has read the answer.
    if declared > bytes_max as u64 {
        return Err(too_large(bytes_max, &format!("{declared} bytes")));
    }
    let deadline = Instant::now() + time_max;
    let mut chunks = body.into_data_stream();
    // What is only declared takes no room.
    let mut bytes = Vec::with_capacity(usize::try_from(declared).map_or(0, |declared| declared.min(CAPACITY_BYTES)));
    let mut taken: Option<OwnedSemaphorePermit> = None;
    loop {
        let chunk = match timeout_at(deadline, chunks.next()).await {
            Err(_) => return Err(too_slow(time_max)),
            Ok(None) => return Ok(Taken { bytes: bytes.into(), _room: taken }),
            Ok(Some(Err(error))) => return Err(Problem::new(ProblemKind::BadRequest, format!("the body broke off: {error}"))),
            Ok(Some(Ok(chunk))) => chunk,
        };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max, "more"));
        }
        let more = u32::try_from(chunk.len()).ok().and_then(|count| Arc::clone(room).try_acquire_many_owned(count).ok());
        match (&mut taken, more) {
            (_, None) => return Err(Problem::new(ProblemKind::Busy, "too many bodies are under way")),
            (Some(taken), Some(more)) => taken.merge(more),
            (none, Some(more)) => *none = Some(more),
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// The content type of a request whose body is neither compressed nor in another charset than UTF-8.
///
/// # Errors
/// 415.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<ContentType, Problem> {
    for encoding in headers.get_all(header::CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(unsupported("content-encoding", "bodies are taken as they are, without content-encoding", "identity"));
        }
    }
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = ContentType::parse(text);
    match found.charset.as_deref() {
        None | Some("utf-8") => Ok(found),
        Some(charset) => Err(unsupported("content-type", &format!("charset `{charset}` is not taken"), "utf-8")),
    }
}

/// A content type or encoding that is not taken, and what is taken instead.
pub(crate) fn unsupported(header: &str, detail: &str, taken: &str) -> Problem {
    Problem::of(ProblemKind::UnsupportedType, Fault::new(header, "unsupported", detail).limit(taken))
}

/// Throws a body away, within bounds, so that its sender comes to read the answer.
pub(crate) async fn let_go(headers: &HeaderMap, body: Body) {
    // Who asked first (`Expect: 100-continue`) has not sent anything that could be thrown away.
    if !headers.contains_key(header::EXPECT) {
        discard(body).await;
    }
}

async fn discard(body: Body) {
    let mut left = DISCARDED_BYTES_MAX;
    let mut chunks = body.into_data_stream();
    let all = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = timeout(DISCARD_TIME_MAX, all).await;
}

fn too_large(bytes_max: usize, found: &str) -> Problem {
    let detail = format!("the body has {found}, at most {bytes_max} bytes are taken");
    Problem::of(ProblemKind::TooLarge, Fault::new("body", "too_large", detail).limit(bytes_max))
}

fn too_slow(time_max: Duration) -> Problem {
    let seconds = time_max.as_secs_f64();
    let detail = format!("the body did not come within {seconds} s");
    Problem::of(ProblemKind::BodyTooSlow, Fault::new("body", "too_slow", detail).limit(format!("{seconds} s")))
}

// === impl ContentType ===

impl ContentType {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset = parts.filter_map(|parameter| parameter.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        Self { essence, charset: charset.map(|(_, value)| value.trim().trim_matches('"').to_ascii_lowercase()) }
    }
}
