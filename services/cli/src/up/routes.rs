//! `GET /v1/status` and `GET /v1/status/{agent}`: what every room knows of agents.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use gateway::{Caller, Problem};
use machine::Standing;
use runtime::RoomHandle;
use runtime::room::AskError;
use wire::AgentId;

use crate::standing::Report;

/// Questions to one room that wait at once: fewer than a room takes, so that a request alone never finds it busy.
const QUESTIONS_AT_ONCE: usize = 16;

/// The routes over these rooms.
pub(super) fn status(rooms: Vec<RoomHandle>) -> Router {
    Router::new().route("/v1/status", get(all)).route("/v1/status/{agent}", get(one)).with_state(Arc::new(rooms))
}

async fn all(State(rooms): State<Arc<Vec<RoomHandle>>>, Extension(caller): Extension<Caller>) -> Result<Json<Report>, Problem> {
    caller.check_decisions()?;
    let mut agents = known(&rooms).await?;
    agents.retain(|agent| caller.hears_of(agent.as_str()));
    report(&rooms, agents).await.map(Json)
}

async fn one(
    State(rooms): State<Arc<Vec<RoomHandle>>>,
    Extension(caller): Extension<Caller>,
    agent: Result<Path<String>, PathRejection>,
) -> Result<Json<Report>, Problem> {
    let agent = AgentId::from(gateway::agent_in_path(agent)?);
    // Before it is asked whether there is such an agent: who may not hear of it does not hear that either.
    caller.check_agent(agent.as_str())?;
    caller.check_decisions()?;
    if !known(&rooms).await?.contains(&agent) {
        return Err(Problem::not_found(format!("nothing is known of an agent {agent}")));
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

/// What every room says of each agent: one that does not know it says what it would need. The rooms are asked side by side,
/// for each answers between two of its steps.
async fn report(rooms: &[RoomHandle], agents: BTreeSet<AgentId>) -> Result<Report, Problem> {
    let answers: Vec<Vec<Vec<Standing>>> = try_join_all(rooms.iter().map(|room| standings(room, &agents))).await?;
    let mut report = Report::default();
    for (place, agent) in agents.iter().enumerate() {
        answers.iter().for_each(|of_room| report.add(agent.as_str(), of_room[place].clone()));
    }
    Ok(report)
}

/// What one room says of each agent, in their order.
async fn standings(room: &RoomHandle, agents: &BTreeSet<AgentId>) -> Result<Vec<Vec<Standing>>, AskError> {
    let questions: Vec<AgentId> = agents.iter().cloned().collect();
    let answers = stream::iter(questions).map(|agent| async move { room.standing(&agent).await });
    answers.buffered(QUESTIONS_AT_ONCE).try_collect().await
}
