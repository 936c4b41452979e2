//! Rooms behind one face, so that whoever folds a log can hold several of them.

use wire::{AgentId, Kind, Offset, Partition, Record, RecordId, Timestamp};

use crate::{Decision, Fold, Machine, Standing, Unreadable};

/// A room at its place in a partition, whichever machine it is.
pub trait AnyRoom: Send {
    /// Name of the room.
    fn service(&self) -> &'static str;
    /// Folds a record, or passes it if the room does not read its kind.
    fn take(&mut self, record: &Record);
    /// Hears of a record that nobody can read.
    fn refuse(&mut self, record: &Unreadable<'_>);
    /// Passes a record of a kind that only a newer Reeve knows.
    fn skip(&mut self, offset: Offset, appended: Timestamp);
    /// Every decision owed at `now`.
    fn owed(&self, now: Timestamp) -> Vec<Decision>;
    /// The decision of this id, if it is owed at `now`.
    fn owed_as(&self, id: &RecordId, now: Timestamp) -> Option<Decision>;
    /// When to ask again.
    fn next_due(&self) -> Option<Timestamp>;
    /// Offset of the last record folded or passed.
    fn asof(&self) -> Offset;
    /// Append time of that record; the epoch before the first.
    fn appended(&self) -> Timestamp;
    /// What it knows of an agent, for people.
    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing>;
    /// The agents that it knows, in order.
    fn agents(&self) -> Vec<AgentId>;
    /// Most decisions that one record may add to what is owed.
    fn decisions_per_record_max(&self) -> usize;
    /// Most bytes that one agent may take.
    fn bytes_per_agent_max(&self) -> usize;
    /// The whole state, written.
    fn written(&self) -> Vec<u8>;
}

/// How to make each room of a house, for any partition.
pub type Rooms = Vec<fn(Partition) -> Box<dyn AnyRoom>>;

/// Makes a room of machine `M`.
pub fn room<M: Machine>(partition: Partition) -> Box<dyn AnyRoom> {
    Box::new(Fold::<M>::new(partition))
}

// === impl AnyRoom for Fold ===

impl<M: Machine> AnyRoom for Fold<M> {
    fn service(&self) -> &'static str {
        M::SERVICE
    }

    fn take(&mut self, record: &Record) {
        let kind: Kind = record.body.kind();
        if Self::reads(kind) {
            self.fold(record);
        } else {
            Fold::skip(self, record.offset, record.appended);
        }
    }

    fn refuse(&mut self, record: &Unreadable<'_>) {
        Fold::refuse(self, record);
    }

    fn skip(&mut self, offset: Offset, appended: Timestamp) {
        Fold::skip(self, offset, appended);
    }

    fn owed(&self, now: Timestamp) -> Vec<Decision> {
        Fold::owed(self, now)
    }

    fn owed_as(&self, id: &RecordId, now: Timestamp) -> Option<Decision> {
        self.owed_of(now, |owed| owed == id).into_iter().next()
    }

    fn next_due(&self) -> Option<Timestamp> {
        Fold::next_due(self)
    }

    fn asof(&self) -> Offset {
        Fold::asof(self)
    }

    fn appended(&self) -> Timestamp {
        Fold::appended(self)
    }

    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing> {
        self.machine().standing(agent, now)
    }

    fn agents(&self) -> Vec<AgentId> {
        self.machine().agents()
    }

    fn decisions_per_record_max(&self) -> usize {
        M::DECISIONS_PER_RECORD_MAX
    }

    fn bytes_per_agent_max(&self) -> usize {
        M::BYTES_PER_AGENT_MAX
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).expect("a vector takes every write");
        bytes
    }
}
