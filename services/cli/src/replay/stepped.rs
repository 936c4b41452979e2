//! Every room of a log, led along it record by record, and how each record moves what they owe.

use std::collections::BTreeMap;

use machine::Decision;
use machine::oracle::Read;
use machine::room::{AnyRoom, Rooms};
use runtime::log::history::About;
use serde::Serialize;
use serde_json::Value;
use wire::cloudevents::to_structured;
use wire::{Kind, Partition, RecordId, Timestamp};

use crate::standing::Report;

/// All rooms on all partitions.
pub(super) struct House {
    topic: String,
    partitions: Vec<Vec<Place>>,
}

/// One room in one partition, and what it owes there.
struct Place {
    room: Box<dyn AnyRoom>,
    owed: BTreeMap<RecordId, Decision>,
}

/// What one record moved.
pub(super) struct Step {
    /// Its number, from 1.
    pub(super) number: usize,
    /// It, as a structured CloudEvent.
    pub(super) event: Value,
    /// Its kind, where it can be read.
    pub(super) kind: Option<Kind>,
    /// The agent that it is about, or the room.
    pub(super) agent: Option<String>,
    /// What became of debts.
    pub(super) moves: Vec<Move>,
}

/// What became of one debt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Move {
    /// Whose it is.
    pub(super) room: &'static str,
    /// What became of it.
    pub(super) how: How,
    /// What is owed.
    #[serde(serialize_with = "named")]
    pub(super) kind: Kind,
    /// Its id.
    pub(super) id: RecordId,
    /// The agent that it is about.
    pub(super) about: String,
}

/// What becomes of debts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// Owed because time passed.
    FellDue,
    /// Owed because of a record.
    Owes,
    /// No longer owed.
    Settled,
}

// === impl House ===

impl House {
    /// Rooms that have folded nothing.
    pub(super) fn new(rooms: &Rooms, about: &About) -> Self {
        let place = |make: &fn(Partition) -> Box<dyn AnyRoom>, partition| Place { room: make(partition), owed: BTreeMap::new() };
        let partitions = (0..about.partitions).map(|number| rooms.iter().map(|make| place(make, Partition(number))).collect()).collect();
        Self { topic: about.topic.clone(), partitions }
    }

    /// Folds the next record of its partition.
    pub(super) fn take(&mut self, number: usize, read: &Read) -> Step {
        let stored = &read.stored;
        let mut moves = Vec::new();
        if let Some(places) = self.partitions.get_mut(stored.partition.0 as usize) {
            places.iter_mut().for_each(|place| place.take(read, &self.topic, &mut moves));
        }
        let record = read.record.as_ref().ok();
        Step {
            number,
            event: to_structured(stored, &self.topic, None),
            kind: record.map(|record| record.body.kind()),
            agent: record.map(|record| record.key.to_string()),
            moves,
        }
    }

    /// How every agent stands, as of the last record of its partition.
    pub(super) fn standing(&self) -> Report {
        let mut report = Report::default();
        for place in self.partitions.iter().flatten() {
            for agent in place.room.agents() {
                report.add(agent.as_str(), place.room.standing(&agent, place.room.appended()));
            }
        }
        report
    }

    /// What every room owes there.
    pub(super) fn owed(&self) -> Vec<Move> {
        let owed = self.partitions.iter().flatten().flat_map(|place| place.owed.values().map(|debt| place.moved(How::Owes, debt)));
        owed.collect()
    }
}

// === impl Place ===

impl Place {
    fn take(&mut self, read: &Read, topic: &str, moves: &mut Vec<Move>) {
        let at = read.stored.appended;
        self.look(at, How::FellDue, moves);
        read.fold_into(self.room.as_mut(), topic);
        self.look(at, How::Owes, moves);
    }

    /// What it owes at `now`, held against what it owed before.
    fn look(&mut self, now: Timestamp, how: How, moves: &mut Vec<Move>) {
        let now = now.max(self.room.appended());
        let owed: BTreeMap<RecordId, Decision> = self.room.owed(now).into_iter().map(|debt| (debt.id.clone(), debt)).collect();
        let gone = self.owed.iter().filter(|(id, _)| !owed.contains_key(*id)).map(|(_, debt)| self.moved(How::Settled, debt));
        moves.extend(gone);
        let new = owed.iter().filter(|(id, _)| !self.owed.contains_key(*id)).map(|(_, debt)| self.moved(how, debt));
        moves.extend(new);
        self.owed = owed;
    }

    fn moved(&self, how: How, debt: &Decision) -> Move {
        let about = debt.subject.as_ref().map_or_else(|| debt.key.to_string(), |session| format!("{}, session {session}", debt.key));
        Move { room: self.room.service(), how, kind: debt.body.kind(), id: debt.id.clone(), about }
    }
}

fn named<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}
