//! A bucket as S3 speaks of it, in this process: what a store of snapshots asks for, and weather.
//!
//! Of the protocol it has PUT, GET and DELETE of an object and ListObjectsV2 by prefix
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/>). It takes signed requests only, and does not check the signature.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

/// Its name.
const NAME: &str = "reeve-tests";
/// No object of a test is larger.
const OBJECT_BYTES_MAX: usize = 64 << 20;
/// What all objects have in common: nobody asks for it.
const DATED: &str = "2026-01-01T00:00:00.000Z";

/// How the bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It answers.
    #[default]
    Calm,
    /// It answers that it fails.
    Failing,
    /// It takes requests and never answers.
    Silent,
    /// It takes what is put and never says so; everything else it answers.
    SilentWhenWritten,
    /// It is not there.
    Missing,
}

/// The bucket, while this is held.
pub(crate) struct Bucket {
    endpoint: String,
    held: Arc<Mutex<Held>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Held {
    weather: Weather,
    objects: BTreeMap<String, Bytes>,
    asked: usize,
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a port");
        listener.set_nonblocking(true).expect("a socket");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let held = Arc::new(Mutex::new(Held::default()));
        let (end, ended) = oneshot::channel::<()>();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&held));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.expect("it accepts"),
                    _ = ended => {}
                }
            });
        });
        Self { endpoint, held, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn name(&self) -> &'static str {
        NAME
    }

    /// The environment of whoever uses it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            of("AWS_ENDPOINT_URL", &self.endpoint),
            of("AWS_ALLOW_HTTP", "true"),
            of("AWS_ACCESS_KEY_ID", "tests"),
            of("AWS_SECRET_ACCESS_KEY", "tests"),
            of("AWS_REGION", "eu-central-1"),
            of("AWS_OF_NO_MEANING", "x"),
            of("HOME", "/"),
        ]
    }

    pub(crate) fn turn(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Names of the objects, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Requests since it was last asked for this.
    pub(crate) fn asked(&self) -> usize {
        std::mem::take(&mut self.lock().asked)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let weather = {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.asked += 1;
        held.weather
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, OBJECT_BYTES_MAX).await.expect("it is small enough");
    let signed = parts.headers.get(header::AUTHORIZATION).is_some_and(|signed| signed.as_bytes().starts_with(b"AWS4-HMAC-SHA256 "));
    match weather {
        Weather::Failing => return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Weather::Missing => return error(StatusCode::NOT_FOUND, "NoSuchBucket"),
        Weather::Silent => std::future::pending().await,
        Weather::SilentWhenWritten if parts.method == Method::PUT => std::future::pending().await,
        _ if !signed => return error(StatusCode::FORBIDDEN, "AccessDenied"),
        _ => {}
    }
    let Some(key) = parts.uri.path().strip_prefix(&format!("/{NAME}")).map(|key| key.trim_start_matches('/').to_owned()) else {
        return error(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    match parts.method {
        Method::PUT => {
            held.objects.insert(key, body);
            [(header::ETAG, "\"tests\"")].into_response()
        }
        Method::DELETE => {
            held.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::GET if key.is_empty() => {
            let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&parts.uri).expect("a query");
            list(&held.objects, query.get("prefix").map_or("", String::as_str)).into_response()
        }
        Method::GET => match held.objects.get(&key) {
            Some(bytes) => ([(header::ETAG, "\"tests\"")], bytes.clone()).into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    }
}

fn list(objects: &BTreeMap<String, Bytes>, prefix: &str) -> String {
    let matching = objects.iter().filter(|(key, _)| key.starts_with(prefix));
    let contents = matching.map(|(key, bytes)| {
        format!("<Contents><Key>{key}</Key><Size>{}</Size><LastModified>{DATED}</LastModified></Contents>", bytes.len())
    });
    let contents: String = contents.collect();
    format!("<ListBucketResult><Name>{NAME}</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, format!("<Error><Code>{code}</Code><Message>a test</Message></Error>")).into_response()
}
