//! Event logs of recorded runs, and what became of each of their simulations.
//!
//! Two kinds of lines, in one file or in several, in any order: an event with its run, its parent and a UTC time, and a
//! simulation with its naive local times, its reward and its agent. They are joined by the simulation's id, which the
//! event that begins it tells. A simulation is a session; where no line tells of it, its events do.
//!
//! Parents: a fact of ours names no other fact as its cause (causes are for decisions), so a parent link is checked and
//! not carried. What it links is kept by other means: the turn that an event belongs to, and the call that a result
//! answers. An event whose parent is nowhere stands in a log with a hole, and is refused.

mod event;
mod simulation;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wire::limits::FUTURE_SECONDS_MAX;
use wire::{Kind, Timestamp};

use super::facts::{self, Fact, Naming, Step, Teller, Telling};
use super::lines::{Fault, Fields, Line, Place};
use super::plan::FACTS_MAX;
use super::time::Zone;

use event::{Act, Event, Says};
use simulation::Simulation;

/// Who recorded it, as ids and the platform's name have it.
const SOURCE: &str = "activegraph";
/// Rewards from here on are a success: rewards are products of fractions.
const SUCCESS_MIN: f64 = 1.0 - 1e-6;
/// Types of events that are counted one by one; those beyond are counted together.
const TYPES_COUNTED_MAX: usize = 1_000;
/// Under which name they are counted.
const OTHER_TYPES: &str = "(other types)";

/// Everything that the files tell.
pub(super) struct Graph {
    naming: Naming,
    zone: Option<Zone>,
    events: BTreeMap<(String, String), Event>,
    simulations: BTreeMap<String, Result<Simulation, Fault>>,
    /// What of a task cannot be read: all its sessions have a hole.
    spoilt: BTreeMap<Task, Fault>,
}

/// A run, and a task of it.
type Task = (String, String);

/// What the events tell of a simulation.
struct Seen {
    task: Task,
    place: Place,
    began_at: Timestamp,
    ended_at: Option<Timestamp>,
    domain: Option<String>,
    reason: Option<String>,
    reward: Option<f64>,
    done: Vec<Done>,
    /// The tools that were called, by the call's id.
    tools: BTreeMap<String, String>,
}

/// An act in its session.
struct Done {
    place: Place,
    at: Timestamp,
    /// What the id of its fact is derived from.
    name: Value,
    act: Act,
}

// === impl Graph ===

impl Graph {
    /// Reads naive times in `zone`; where there is none, a naive time is a fault.
    pub(super) fn new(zone: Option<Zone>, naming: Naming) -> Self {
        Self { naming, zone, events: BTreeMap::new(), simulations: BTreeMap::new(), spoilt: BTreeMap::new() }
    }

    /// Takes a line in. A fault of a line that names its session or its task is kept for them.
    ///
    /// # Errors
    /// When nobody can tell which session has the fault.
    pub(super) fn line(&mut self, line: &Line) -> Result<(), Fault> {
        let object = line.object()?;
        let fields = Fields { place: line.place.clone(), fields: &object };
        if self.events.len() + self.simulations.len() >= FACTS_MAX {
            return Err(fields.place.fault(None, format!("the files hold more than {FACTS_MAX} events")));
        }
        match (fields.get("event_id").or(fields.get("event_type")), fields.get("session_id")) {
            (Some(_), _) => self.event(&fields),
            (None, Some(_)) => self.simulation(&fields),
            (None, None) => Err(fields.fault("event_id", "it is missing, and session_id too: the line is neither an event nor a session")),
        }
    }

    fn event(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        let event =
            Event::read(fields, self.zone.as_ref()).and_then(|event| match self.events.entry((event.run.clone(), event.id.clone())) {
                Entry::Vacant(entry) => {
                    entry.insert(event);
                    Ok(())
                }
                Entry::Occupied(entry) => {
                    Err(fields.fault("event_id", format!("line {} has the same one in the same run", entry.get().place.line)))
                }
            });
        match (event, fields.name("run_id"), fields.scalar("task_id")) {
            (Err(fault), Ok(Some(run)), Ok(Some(task))) => {
                self.spoilt.entry((run, task)).or_insert(fault);
                Ok(())
            }
            (event, _, _) => event,
        }
    }

    fn simulation(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        let id = fields.required("session_id")?;
        let simulation = Simulation::read(fields, self.zone.as_ref());
        let simulation = match self.simulations.get(&id) {
            None => simulation,
            Some(_) => Err(fields.fault("session_id", "another line tells of the same session")),
        };
        self.simulations.insert(id, simulation);
        Ok(())
    }

    /// How many events of each type no fact of ours tells anything of.
    pub(super) fn passed_over(&self) -> BTreeMap<String, usize> {
        let mut passed: BTreeMap<String, usize> = BTreeMap::new();
        for event in self.events.values().filter(|event| event.says == Says::Nothing) {
            let known = passed.contains_key(&event.kind) || passed.len() < TYPES_COUNTED_MAX;
            *passed.entry(if known { event.kind.clone() } else { OTHER_TYPES.to_owned() }).or_default() += 1;
        }
        passed
    }

    /// Every session, as its facts or as what keeps it from being one; and what belongs to no session and is wrong.
    pub(super) fn sessions(mut self) -> Vec<Result<Vec<Fact>, Fault>> {
        let strays = self.check_parents();
        let mut seen = self.seen();
        let mut simulations = std::mem::take(&mut self.simulations);
        for (id, seen) in &seen {
            simulations.entry(id.clone()).or_insert_with(|| Ok(Simulation::seen(seen)));
        }
        let mut told = Vec::new();
        let mut blamed = BTreeSet::new();
        for (id, simulation) in simulations {
            let seen = seen.remove(&id);
            let told_of = simulation.and_then(|simulation| {
                let task = seen.as_ref().map(|seen| seen.task.clone()).or(simulation.run.clone().zip(simulation.task.clone()));
                match task.filter(|task| self.spoilt.contains_key(task)) {
                    Some(task) => {
                        let fault = self.spoilt[&task].clone();
                        blamed.insert(task);
                        Err(fault)
                    }
                    None => self.facts(&id, &simulation, seen),
                }
            });
            told.push(told_of);
        }
        let unblamed = self.spoilt.into_iter().filter(|(task, _)| !blamed.contains(task)).map(|(_, fault)| fault);
        told.extend(strays.into_iter().chain(unblamed).map(Err));
        told
    }

    /// Spoils every task with an event whose parent is nowhere; faults of events that belong to no task.
    fn check_parents(&mut self) -> Vec<Fault> {
        let mut strays = Vec::new();
        for event in self.events.values() {
            let Some(parent) = &event.parent else { continue };
            if self.events.contains_key(&(event.run.clone(), parent.clone())) {
                continue;
            }
            let fault = event.place.fault(Some("parent_event_id"), format!("`{parent}` is no event of its run in these files"));
            match &event.task {
                Some(task) => {
                    self.spoilt.entry((event.run.clone(), task.clone())).or_insert(fault);
                }
                None => strays.push(fault),
            }
        }
        strays
    }

    /// What the events tell, simulation by simulation. An event that belongs to none spoils its task.
    fn seen(&mut self) -> BTreeMap<String, Seen> {
        let mut ordered: Vec<Event> = std::mem::take(&mut self.events).into_values().collect();
        ordered.sort_by(|a, b| (a.at, &a.run, &a.id).cmp(&(b.at, &b.run, &b.id)));
        let mut domains: BTreeMap<Task, String> = BTreeMap::new();
        let mut running: BTreeMap<Task, String> = BTreeMap::new();
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        for event in ordered {
            let Some(task) = event.task.clone().map(|task| (event.run.clone(), task)) else { continue };
            let fault = match &event.says {
                Says::Nothing => None,
                Says::Domain(domain) => {
                    domains.insert(task.clone(), domain.clone());
                    None
                }
                Says::Began(simulation) if seen.contains_key(simulation) => {
                    Some(event.place.fault(Some("simulation_id"), "an earlier event began the same one"))
                }
                // Nothing but run and task tells whose an event is.
                Says::Began(_) if running.get(&task).and_then(|earlier| seen.get(earlier)).is_some_and(|earlier| !earlier.is_over()) => {
                    Some(event.place.fault(Some("task_id"), "another simulation of its run and task has not ended yet"))
                }
                Says::Began(simulation) => {
                    running.insert(task.clone(), simulation.clone());
                    seen.insert(simulation.clone(), Seen::beginning(task.clone(), &event, domains.get(&task).cloned()));
                    None
                }
                _ => match running.get(&task).and_then(|simulation| seen.get_mut(simulation)) {
                    Some(seen) => {
                        seen.take(event);
                        None
                    }
                    None => Some(event.place.fault(Some("task_id"), "no orchestrator_run_start of its run and task comes before it")),
                },
            };
            if let Some(fault) = fault {
                self.spoilt.entry(task).or_insert(fault);
            }
        }
        seen
    }

    /// The facts of a session, in its own order.
    fn facts(&self, id: &str, told: &Simulation, seen: Option<Seen>) -> Result<Vec<Fact>, Fault> {
        let place = &told.place;
        let agent = self.naming.agent.as_ref().or(told.domain.as_ref());
        let agent = agent.or(seen.as_ref().and_then(|seen| seen.domain.as_ref())).cloned();
        let agent = agent.ok_or_else(|| place.fault(Some("domain"), "it is missing; name the agent with --agent"))?;
        let done = seen.map(|seen| seen.done).unwrap_or_default();
        let (first, last) = (done.first().map(|done| done.at), done.last().map(|done| done.at));
        check_clocks(told, first, last)?;

        let teller = Teller::new(Some(SOURCE), id, &agent);
        let tell = |step, kind: Kind, at, told: Value| {
            teller.tell(place.clone(), Telling { name: json!([SOURCE, id, null, kind.name()]), step, kind, at, told })
        };
        let version = self.naming.version.as_ref().or(told.agent_model.as_ref());
        let mut facts =
            vec![tell(Step::Started, Kind::SessionStarted, told.started_at, json!({ "version": version, "segment": told.task }))?];
        facts[0].at = told.started_at.into_iter().chain(first).min();
        for (position, Done { place, at, name, act }) in (0..).zip(done) {
            let telling = Telling { name, step: Step::Turn(position, 0), kind: act.kind, at: Some(at), told: act.told };
            facts.push(teller.tell(place, telling)?);
        }
        // The two clocks may be a moment apart: whatever they say, a session ends after everything that it did.
        let closed = told.ended_at.into_iter().chain(last).max();
        let mut close = |step, kind, told_fields| -> Result<(), Fault> {
            let fact = tell(step, kind, told.ended_at, told_fields)?;
            facts.push(Fact { at: closed, ..fact });
            Ok(())
        };
        if let Some(reward) = told.reward {
            close(Step::Outcome, Kind::OutcomeReported, json!({ "success": reward >= SUCCESS_MIN }))?;
        }
        close(Step::Ended, Kind::SessionEnded, json!({ "reason": told.reason }))?;
        facts::date_the_undated(&mut facts);
        Ok(facts)
    }
}

// === impl Seen ===

impl Seen {
    fn beginning(task: Task, event: &Event, domain: Option<String>) -> Self {
        let (done, tools) = (Vec::new(), BTreeMap::new());
        let place = event.place.clone();
        Self { task, place, began_at: event.at, domain, done, tools, ended_at: None, reason: None, reward: None }
    }

    fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }

    fn take(&mut self, event: Event) {
        match event.says {
            Says::Nothing | Says::Domain(_) | Says::Began(_) => {}
            Says::Ended => self.ended_at = Some(event.at),
            Says::Reason(reason) => self.reason = Some(reason),
            Says::Reward(reward) => self.reward = Some(reward),
            Says::Acts(acts) => {
                for (part, mut act) in (0_u32..).zip(acts) {
                    self.name_the_tool(&mut act);
                    let name = json!([SOURCE, event.run, event.id, part, act.kind.name()]);
                    self.done.push(Done { place: event.place.clone(), at: event.at, name, act });
                }
            }
        }
    }

    /// A result says which call it answers, and the call which tool it was.
    fn name_the_tool(&mut self, act: &mut Act) {
        let text = |field: &str| act.told[field].as_str().map(str::to_owned);
        match (act.kind, text("call_id"), text("tool")) {
            (Kind::ToolCalled, Some(call), Some(tool)) => {
                self.tools.insert(call, tool);
            }
            (Kind::ToolReturned, Some(call), None) => act.told["tool"] = json!(self.tools.get(&call)),
            _ => {}
        }
    }
}

// === helpers ===

/// Refuses a session whose own times lie elsewhere than what it did: its naive times were read in a wrong zone.
fn check_clocks(told: &Simulation, first: Option<Timestamp>, last: Option<Timestamp>) -> Result<(), Fault> {
    let apart = |field, said: Option<Timestamp>, seen: Option<Timestamp>, ahead: fn(Timestamp, Timestamp) -> bool| {
        let (Some(said), Some(seen)) = (said, seen) else { return Ok(()) };
        if !ahead(said, seen) {
            return Ok(());
        }
        let reason =
            format!("it is {said}, but its events say {seen}, more than {FUTURE_SECONDS_MAX} s away: is --tz the zone of its clock?");
        Err(told.place.fault(Some(field), reason))
    };
    apart("started_at", told.started_at, first, |said, seen| said > seen.plus_s(FUTURE_SECONDS_MAX))?;
    apart("ended_at", told.ended_at, last, |said, seen| said.plus_s(FUTURE_SECONDS_MAX) < seen)
}

#[cfg(test)]
mod tests;
