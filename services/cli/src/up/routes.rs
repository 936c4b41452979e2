//! `GET /v1/status` and `GET /v1/status/{agent}`: what every room knows of agents.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{StreamExt, TryStreamExt, stream};
use runtime::RoomHandle;
use runtime::room::AskError;
use serde_json::json;
use wire::AgentId;

use crate::standing::Report;

/// Questions to rooms that wait at once: fewer than a room takes, so that a request alone never finds it busy.
const QUESTIONS_AT_ONCE: usize = 16;

/// Why a question has no answer.
enum Unanswered {
    Room(AskError),
    NoSuchAgent(String),
}

/// The routes over these rooms.
pub(super) fn status(rooms: Vec<RoomHandle>) -> Router {
    Router::new().route("/v1/status", get(all)).route("/v1/status/{agent}", get(one)).with_state(Arc::new(rooms))
}

async fn all(State(rooms): State<Arc<Vec<RoomHandle>>>) -> Result<Json<Report>, Unanswered> {
    let mut questions = Vec::new();
    for room in rooms.iter() {
        questions.extend(room.agents().await?.into_iter().map(|agent| (room.clone(), agent)));
    }
    report(questions).await.map(Json)
}

async fn one(State(rooms): State<Arc<Vec<RoomHandle>>>, Path(agent): Path<String>) -> Result<Json<Report>, Unanswered> {
    let report = report(rooms.iter().map(|room| (room.clone(), AgentId::from(agent.as_str()))).collect()).await?;
    if report.agents.is_empty() { Err(Unanswered::NoSuchAgent(agent)) } else { Ok(Json(report)) }
}

async fn report(questions: Vec<(RoomHandle, AgentId)>) -> Result<Report, Unanswered> {
    let answers = stream::iter(questions).map(|(room, agent)| async move {
        let standings = room.standing(&agent).await?;
        Ok::<_, AskError>((agent, standings))
    });
    let answers: Vec<_> = answers.buffered(QUESTIONS_AT_ONCE).try_collect().await?;
    let mut report = Report::default();
    for (agent, standings) in answers.into_iter().filter(|(_, standings)| !standings.is_empty()) {
        report.add(agent.as_str(), standings);
    }
    Ok(report)
}

// === impl Unanswered ===

impl From<AskError> for Unanswered {
    fn from(error: AskError) -> Self {
        Self::Room(error)
    }
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        let (status, name, detail) = match self {
            Self::Room(error) => (StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
            Self::NoSuchAgent(agent) => (StatusCode::NOT_FOUND, "not_found", format!("nothing is known of an agent {agent}")),
        };
        let problem = json!({ "type": format!("urn:reeve:problem:{name}"), "title": name, "status": status.as_u16(), "detail": detail });
        (status, [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "1")], problem.to_string()).into_response()
    }
}
