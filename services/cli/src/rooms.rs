//! The rooms of the house, a line each: how one runs, what its policy may say, and how it folds a log of the past.
//!
//! Whoever adds a room adds its line to [`ALL`]: `reeve up` runs it, an import lives through recordings with it, `status`
//! asks it, and `policy` knows what it may be told.

use std::sync::Arc;

use ::audit::Audit;
use capacity::Capacity;
use escalation::Escalation;
use incident::Incident;
use machine::room::AnyRoom;
use machine::{Decision, Fold, Frontier, Machine, Standing, Unreadable};
use rollback::Rollback;
use runtime::log::Log;
use runtime::pump::{Pump, PumpError, PumpOptions, Step};
use runtime::{RoomHandle, RoomOptions, Shutdown};
use serde::Serialize;
use serde_json::Value;
use wire::{AgentId, Kind, Offset, Partition, Record, Timestamp};

/// Every room, in the order in which they are started and told.
pub(crate) const ALL: &[Room] = &[
    Room::deciding::<Incident>(|document| told(incident::policy::check(document))),
    Room::deciding::<Rollback>(|document| told(rollback::policy::check(document))),
    Room::deciding::<Capacity>(|document| told(capacity::policy::check(document))),
    Room::deciding::<Audit>(|document| told(::audit::policy::check(document))),
    Room::deciding::<Escalation>(|document| told(escalation::policy::check(document))),
];

/// A room of the house.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// Its name.
    pub(crate) name: &'static str,
    /// Starts it on a log; it runs until the wish to stop.
    pub(crate) spawn: fn(Arc<dyn Log>, RoomOptions, Shutdown) -> RoomHandle,
    /// How it thinks; absent where a room decides by no policy.
    pub(crate) mind: Option<Mind>,
}

/// How a deciding room thinks, without anything running.
#[derive(Clone, Copy)]
pub(crate) struct Mind {
    /// Reads a policy document: the effective policy as JSON, or everything that is wrong with it, a sentence each.
    pub(crate) check: fn(&str) -> Result<Value, Vec<String>>,
    /// A fold of a partition that has folded nothing yet.
    pub(crate) fold: fn(Partition) -> Box<dyn AnyFold>,
    /// The same, as the oracle folds it.
    pub(crate) room: fn(Partition) -> Box<dyn AnyRoom>,
    /// Its loop, to be driven step by step.
    pub(crate) pump: fn(Arc<dyn Log>) -> Box<dyn AnyPump>,
}

/// A fold of any machine.
pub(crate) trait AnyFold: Send {
    /// Whether records of `kind` are to be folded; all others are passed unread.
    fn reads(&self, kind: Kind) -> bool;
    /// Folds a record; whether its machine took it as new.
    fn fold(&mut self, record: &Record) -> bool;
    /// Hears of a record that nobody can read.
    fn refuse(&mut self, record: &Unreadable<'_>);
    /// Passes a record that is not read.
    fn skip(&mut self, offset: Offset, appended: Timestamp);
    /// Append time of the last record folded or passed.
    fn appended(&self) -> Timestamp;
    /// What it knows of an agent, for people.
    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing>;
    /// The agents that it knows, in order.
    fn agents(&self) -> Vec<AgentId>;
    /// Its machine as it stands, to be led elsewhere.
    fn machine(&self) -> Box<dyn AnyMachine>;
}

/// A machine of any room, without a place on a log.
pub(crate) trait AnyMachine: Send {
    /// Folds a record.
    fn apply(&mut self, record: &Record);
    /// Every decision that it owes at `at`.
    fn owed(&self, at: Frontier) -> Vec<Decision>;
    /// When to ask again if no record arrives before.
    fn next_due(&self) -> Option<Timestamp>;
}

/// A pump of any room.
pub(crate) trait AnyPump {
    /// Takes a step.
    fn step(&mut self) -> Result<Step, PumpError>;
    /// Commits what is folded and leaves.
    fn drain(&mut self) -> Result<(), PumpError>;
}

/// The room of this name that is told what to do by a policy.
pub(crate) fn with_policy(name: &str) -> Option<Mind> {
    ALL.iter().find(|room| room.name == name)?.mind
}

/// The names of the rooms that have a policy.
pub(crate) fn names_with_policy() -> Vec<&'static str> {
    ALL.iter().filter(|room| room.mind.is_some()).map(|room| room.name).collect()
}

// === impl Room ===

impl Room {
    /// A room around machine `M`, whose policy documents `check` reads.
    const fn deciding<M: Machine>(check: fn(&str) -> Result<Value, Vec<String>>) -> Self {
        let mind = Mind {
            check,
            fold: |partition| Box::new(Fold::<M>::new(partition)),
            room: machine::room::room::<M>,
            pump: |log| Box::new(Pump::<M>::new(log, PumpOptions::default())),
        };
        Self { name: M::SERVICE, spawn: runtime::spawn::<M>, mind: Some(mind) }
    }
}

// === impl AnyFold ===

impl<M: Machine> AnyFold for Fold<M> {
    fn reads(&self, kind: Kind) -> bool {
        Self::reads(kind)
    }

    fn fold(&mut self, record: &Record) -> bool {
        self.fold(record) == machine::Folded::Applied
    }

    fn refuse(&mut self, record: &Unreadable<'_>) {
        self.refuse(record);
    }

    fn skip(&mut self, offset: Offset, appended: Timestamp) {
        self.skip(offset, appended);
    }

    fn appended(&self) -> Timestamp {
        self.appended()
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        self.machine().standing(agent, now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.machine().agents()
    }

    fn machine(&self) -> Box<dyn AnyMachine> {
        Box::new(self.machine().clone())
    }
}

// === impl AnyMachine ===

impl<M: Machine> AnyMachine for M {
    fn apply(&mut self, record: &Record) {
        Machine::apply(self, record);
    }

    fn owed(&self, at: Frontier) -> Vec<Decision> {
        Machine::owed(self, at)
    }

    fn next_due(&self) -> Option<Timestamp> {
        Machine::next_due(self)
    }
}

// === impl AnyPump ===

impl<M: Machine> AnyPump for Pump<M> {
    fn step(&mut self) -> Result<Step, PumpError> {
        self.step()
    }

    fn drain(&mut self) -> Result<(), PumpError> {
        self.drain()
    }
}

// === helpers ===

/// A policy of any room as JSON. Its version is said by the record that adopts it, not by the document.
fn told<P: Serialize>(checked: Result<P, Vec<String>>) -> Result<Value, Vec<String>> {
    let mut policy = serde_json::to_value(checked?).map_err(|error| vec![format!("the policy cannot be told: {error}")])?;
    policy.as_object_mut().map(|fields| fields.remove("version"));
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_is_named_once() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|room| room.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_document_that_says_nothing_is_every_rooms_default_and_one_that_is_none_is_refused() {
        for room in ALL.iter().filter_map(|room| Some((room.name, room.mind?))) {
            let (name, mind) = room;
            let policy = (mind.check)("{}").expect("nothing is asked for");
            assert!(policy.as_object().is_some_and(|fields| !fields.is_empty() && !fields.contains_key("version")), "{name}: {policy}");
            assert!((mind.check)("[]").is_err(), "{name}");
            let faults = (mind.check)(r#"{"no such field": 1}"#).expect_err("there is no such field");
            assert!(faults.iter().any(|fault| fault.contains("no such field")), "{name}: {faults:?}");
        }
    }
}
