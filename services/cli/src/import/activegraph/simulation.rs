//! What a line tells of a simulation: a session, seen from its end.

use wire::Timestamp;

use super::super::lines::{Fault, Fields, Place};
use super::super::time::Zone;
use super::Seen;

/// A simulation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Simulation {
    /// Where it is told.
    pub place: Place,
    /// Its run.
    pub run: Option<String>,
    /// What the agent worked on.
    pub domain: Option<String>,
    /// The agent's version.
    pub agent_model: Option<String>,
    /// The kind of task.
    pub task: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub reason: Option<String>,
    /// What the evaluator gave it, 0 to 1.
    pub reward: Option<f64>,
}

// === impl Simulation ===

impl Simulation {
    /// Reads it from a line; naive times are read in `zone`.
    pub(super) fn read(fields: &Fields<'_>, zone: Option<&Zone>) -> Result<Self, Fault> {
        Ok(Self {
            place: fields.place.clone(),
            run: fields.scalar("run")?,
            domain: fields.name("domain")?,
            agent_model: fields.name("agent_model")?,
            task: fields.scalar("task_id")?,
            started_at: fields.time_in("started_at", zone)?,
            ended_at: fields.time_in("ended_at", zone)?,
            reason: fields.name("termination_reason")?,
            reward: reward(fields)?,
        })
    }

    /// What its events alone tell of it.
    pub(super) fn seen(seen: &Seen) -> Self {
        Self {
            place: seen.place.clone(),
            run: Some(seen.task.0.clone()),
            domain: seen.domain.clone(),
            agent_model: None,
            task: Some(seen.task.1.clone()),
            started_at: Some(seen.began_at),
            ended_at: seen.ended_at,
            reason: seen.reason.clone(),
            reward: seen.reward,
        }
    }
}

/// The field `reward`.
pub(super) fn reward(fields: &Fields<'_>) -> Result<Option<f64>, Fault> {
    match fields.number("reward")? {
        Some(reward) if !(0.0..=1.0).contains(&reward) => Err(fields.fault("reward", format!("it is {reward}; 0 to 1 are taken"))),
        reward => Ok(reward),
    }
}
