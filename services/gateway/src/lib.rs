//! Lets facts in, and lets platforms without Kafka hear decisions: what is answered with 202 is on the log, once,
//! and every order of an agent reaches whoever listens for it.
//!
//! The gateway decides nothing and keeps nothing: it translates (`translate`), appends (`accept`), and reads back
//! (`orders`, `events`). It blocks no asynchronous thread (`access`), and whatever it holds has a bound.

mod accept;
mod access;
mod body;
mod events;
pub mod metrics;
mod orders;
mod problem;
mod query;
mod serve;
mod stream;
mod translate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use axum::{Router, http::Uri};
use runtime::log::Log;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

pub use crate::serve::{ServeLimits, serve};

use crate::access::Access;
use crate::metrics::Metrics;
use crate::problem::{Problem, ProblemKind, Told};

/// Where facts are published, and the log is read.
const EVENTS_ROUTE: &str = "/v1/events";
/// Where the platform of an agent listens.
const ORDERS_ROUTE: &str = "/v1/agents/{agent}/orders";
/// The route of what asks for nothing that is here.
const NO_ROUTE: &str = "none";

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where its metrics are registered.
    pub registry: metrics::Registry,
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

/// The gateway's routes over `log`, with an answer of their own for paths and methods that are not there.
///
/// # Panics
/// When `options.registry` holds a gateway's metrics already: a process has one gateway.
pub fn router(log: Arc<dyn Log>, options: GatewayOptions) -> Router {
    let gateway = Arc::new(Gateway {
        access: Access::new(log),
        metrics: Metrics::register(&options.registry).expect("a process has one gateway"),
        streams: Arc::new(Semaphore::new(options.streams_max)),
        bodies: Arc::new(Semaphore::new(options.bodies_bytes_max)),
        options,
    });
    let events = get(events::events).post(accept::accept).fallback(method_not_allowed);
    let orders = get(orders::orders).fallback(method_not_allowed);
    Router::new()
        .route(EVENTS_ROUTE, observed(events, EVENTS_ROUTE, &gateway))
        .route(ORDERS_ROUTE, observed(orders, ORDERS_ROUTE, &gateway))
        .fallback_service(observed(any(not_found), NO_ROUTE, &gateway).with_state(Arc::clone(&gateway)))
        .with_state(gateway)
        .layer(CatchPanicLayer::custom(|_panic| {
            Problem::new(ProblemKind::Broken, "the gateway broke down over this request").into_response()
        }))
}

/// A route whose every answer is counted, refusals by their faults.
fn observed(route: MethodRouter<Arc<Gateway>>, name: &'static str, gateway: &Arc<Gateway>) -> MethodRouter<Arc<Gateway>> {
    let state = (Arc::clone(gateway), name);
    route.layer(middleware::from_fn_with_state(state, observe))
}

#[allow(clippy::disallowed_methods, reason = "the gateway is the edge: here a request's duration is measured")]
async fn observe(State((gateway, route)): State<(Arc<Gateway>, &'static str)>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let mut response = next.run(request).await;
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
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            streams_max: 256,
            bodies_bytes_max: 32 << 20,
        }
    }
}
