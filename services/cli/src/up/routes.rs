//! `GET /v1/status` and `GET /v1/status/{agent}`: what every room knows of agents.

use std::collections::BTreeSet;
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
    NoSuchAgent(AgentId),
}

/// The routes over these rooms.
pub(super) fn status(rooms: Vec<RoomHandle>) -> Router {
    Router::new().route("/v1/status", get(all)).route("/v1/status/{agent}", get(one)).with_state(Arc::new(rooms))
}

async fn all(State(rooms): State<Arc<Vec<RoomHandle>>>) -> Result<Json<Report>, Unanswered> {
    report(&rooms, known(&rooms).await?).await.map(Json)
}

async fn one(State(rooms): State<Arc<Vec<RoomHandle>>>, Path(agent): Path<String>) -> Result<Json<Report>, Unanswered> {
    let agent = AgentId::from(agent);
    if !known(&rooms).await?.contains(&agent) {
        return Err(Unanswered::NoSuchAgent(agent));
    }
    report(&rooms, BTreeSet::from([agent])).await.map(Json)
}

/// The agents that any room knows.
async fn known(rooms: &[RoomHandle]) -> Result<BTreeSet<AgentId>, AskError> {
    let mut known = BTreeSet::new();
    for room in rooms {
        known.extend(room.agents().await?);
    }
    Ok(known)
}

/// What every room says of each agent: one that does not know it says what it would need.
async fn report(rooms: &[RoomHandle], agents: BTreeSet<AgentId>) -> Result<Report, Unanswered> {
    let questions: Vec<_> = agents.iter().flat_map(|agent| rooms.iter().map(|room| (room.clone(), agent.clone()))).collect();
    let answers = stream::iter(questions).map(|(room, agent)| async move {
        let standings = room.standing(&agent).await?;
        Ok::<_, AskError>((agent, standings))
    });
    let answers: Vec<_> = answers.buffered(QUESTIONS_AT_ONCE).try_collect().await?;
    let mut report = Report::default();
    for (agent, standings) in answers {
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
