//! Lets facts in, and lets platforms without Kafka hear decisions: what is answered with 202 is on the log, once,
//! and every order of an agent reaches whoever listens for it.
//!
//! The gateway decides nothing and keeps nothing: it translates (`translate`), appends (`accept`), and reads back
//! (`orders`, `events`). It blocks no asynchronous thread (`access`), and whatever it holds has a bound.

mod accept;
mod access;
mod admission;
mod body;
mod contract;
mod door;
mod events;
mod head;
mod host;
pub mod keys;
pub mod metrics;
mod openapi;
pub mod opening;
mod orders;
mod problem;
mod query;
mod serve;
pub mod service;
mod stream;
mod translate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http::Uri};
use runtime::log::Log;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

pub use crate::admission::Pace;
pub use crate::door::Caller;
pub use crate::orders::agent_in_path;
pub use crate::problem::Problem;
pub use crate::serve::{ServeLimits, serve};

use crate::access::Access;
use crate::contract::{EVENTS_ROUTE, OPENAPI_ROUTE, ORDERS_ROUTE};
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::problem::{ProblemKind, Told};

/// The route of what asks for nothing that is here.
const NO_ROUTE: &str = "none";

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where its metrics are registered.
    pub registry: metrics::Registry,
    /// Who may pass.
    pub keys: Keys,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How often a stream of orders that has nothing to tell says that it is still there.
    pub keep_alive: Duration,
    /// Streams at once, of both kinds.
    pub streams_max: usize,
    /// Bytes that all bodies under way may take together.
    pub bodies_bytes_max: usize,
}

/// What every request shares.
struct Gateway {
    access: Access,
    options: GatewayOptions,
    metrics: Metrics,
    streams: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

/// The gateway's routes over `log`, and those `beside` it, all behind its one door and its contract: a route that the
/// contract does not name is not served. Paths and methods that are not there have an answer of their own.
///
/// # Panics
/// When `options.registry` holds a gateway's metrics already: a process has one gateway.
pub fn router(log: Arc<dyn Log>, options: GatewayOptions, beside: Router) -> Router {
    let gateway = Arc::new(Gateway {
        access: Access::new(log),
        metrics: Metrics::register(&options.registry).expect("a process has one gateway"),
        streams: Arc::new(Semaphore::new(options.streams_max)),
        bodies: Arc::new(Semaphore::new(options.bodies_bytes_max)),
        options,
    });
    Router::new()
        .route(EVENTS_ROUTE, get(events::events).post(accept::accept))
        .route(ORDERS_ROUTE, get(orders::orders))
        .route(OPENAPI_ROUTE, get(openapi::document))
        .with_state(Arc::clone(&gateway))
        .merge(beside)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // What is added last comes first: who does not pass the door is counted, too.
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), door::pass))
        .layer(middleware::from_fn_with_state(gateway, observe))
        .layer(CatchPanicLayer::custom(|_panic| {
            Problem::new(ProblemKind::Broken, "the gateway broke down over this request").into_response()
        }))
}

/// Counts every answer, refusals by their faults.
#[allow(clippy::disallowed_methods, reason = "the gateway is the edge: here a request's duration is measured")]
async fn observe(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let mut response = next.run(request).await;
    if !contract::declares(route, &method, response.status().as_u16()) {
        gateway.metrics.undeclared.inc();
        tracing::error!(route, %method, status = response.status().as_u16(), "{method} {route} gave an answer that its contract does not name");
    }
    gateway.metrics.answered(route, &method, response.status().as_u16(), begun.elapsed().as_secs_f64());
    if let Some(told) = response.extensions_mut().remove::<Told>() {
        told.codes.iter().for_each(|code| gateway.metrics.faults.with_label_values(&[code]).inc());
        tracing::info!(route, %method, problem = told.problem, faults = told.codes.len(), "{method} {route} was refused: {}", told.problem);
    }
    response
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed() -> Problem {
    Problem::new(ProblemKind::MethodNotAllowed, "the `allow` header names the methods that are taken here")
}

// === impl GatewayOptions ===

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            registry: metrics::Registry::new(),
            keys: Keys::none(),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            streams_max: 256,
            bodies_bytes_max: 32 << 20,
        }
    }
}
