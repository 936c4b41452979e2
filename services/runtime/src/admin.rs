//! What operators ask of a process over HTTP: `/livez`, `/readyz`, `/metrics`, `/version`.
//!
//! The routes are a [`Router`] to merge into any other, so that `reeve up` serves them beside the gateway on one port.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;

use crate::metrics;
use crate::room::{RoomHandle, RoomStatus};

/// The rooms of a process, as its admin endpoints see them.
#[derive(Clone, Default)]
pub struct Admin {
    rooms: Arc<Vec<RoomHandle>>,
}

/// Marks a request, as an extension, whose sender nobody knows: he hears whether the rooms are ready, and nothing of
/// their troubles.
#[derive(Clone, Copy, Debug)]
pub struct Stranger;

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<RoomStatus>>,
}

/// The answer of `/version`.
#[derive(Debug, Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

// === impl Admin ===

impl Admin {
    /// Endpoints of a process that runs these rooms.
    pub fn new(rooms: Vec<RoomHandle>) -> Self {
        Self { rooms: Arc::new(rooms) }
    }

    /// Whether every room is ready. A process without rooms is.
    pub fn ready(&self) -> bool {
        self.rooms.iter().all(RoomHandle::ready)
    }

    /// How each room stands.
    pub fn rooms(&self) -> Vec<RoomStatus> {
        self.rooms.iter().map(RoomHandle::status).collect()
    }
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .route("/version", get(version))
        .with_state(admin)
}

/// Alive is who answers: a room that ended is unready, and whether that ends the process is for `main` to say.
async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(admin): State<Admin>, stranger: Option<Extension<Stranger>>) -> Response {
    let ready = admin.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let rooms = stranger.is_none().then(|| admin.rooms());
    (status, Json(Readiness { ready, rooms })).into_response()
}

async fn metrics_text() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text())
}

async fn version() -> Json<Version> {
    Json(Version { name: "reeve", version: metrics::VERSION })
}
