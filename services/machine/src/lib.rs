//! How one thinks: a room's mind is told what happened and says what the log still lacks. It has no other effect.
//!
//! `apply` folds a committed record into the state and is the only way it moves; a room folds its own decisions too,
//! when they come home from the log (their *echo*). `owed` is a pure read: which decisions does this state owe the
//! log that the log does not have yet? There is no step that decides and mutates at once: an abort needs no rollback,
//! a crash loses nothing, and a replay of the log next year decides as it did then.
//!
//! Architecture invariant: nothing here, and nothing that implements [`Machine`], awaits, reads a clock or the
//! environment, or iterates a hash map.

mod agenda;
mod columns;
mod fold;
pub mod laws;
mod ledger;
pub mod mutants;
pub mod oracle;
pub mod room;
mod shelf;
pub mod standing;
mod window;

pub use agenda::Agenda;
pub use fold::{Fold, Folded, WATERMARK_EVERY_S};
pub use ledger::{Debt, Ledger};
pub use shelf::Shelf;
pub use standing::Standing;
pub use window::WINDOW_OFFSETS;

use std::borrow::Cow;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::{AgentId, Body, DedupeKey, Event, Kind, Offset, Record, RecordId, Refusal, SessionId, StoredRecord, Timestamp};

/// Where a decision is asked: after which record, and at what time of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frontier {
    /// Offset of the last record that was folded, or [`Offset::BEFORE_ALL`].
    pub asof: Offset,
    /// The wall clock when the reader stands at the high watermark, else the append time of the last record folded.
    pub now: Timestamp,
}

/// A decision that is owed: everything of its record but the service that publishes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Derived ([`wire::record::decision_id`]).
    pub id: RecordId,
    /// The agent that it is about.
    pub key: AgentId,
    /// The session that it is about, if it is about one.
    pub subject: Option<SessionId>,
    /// The record that caused it.
    pub causation: Option<RecordId>,
    /// One more than its cause's.
    pub hops: u8,
    /// What is decided, with its basis stamped.
    pub body: Body,
}

/// A record that nobody can read, or that lies where its key does not belong: all that is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unreadable<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Its place and its bytes.
    pub stored: &'a StoredRecord,
    /// What is wrong with it.
    pub refusal: &'a Refusal,
}

/// One room's mind, for one partition.
pub trait Machine: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static {
    /// Name of the room: consumer group `reeve.<service>`, source `/reeve/<service>`.
    const SERVICE: &'static str;

    /// Raised when the state's shape or the meaning of a rule changes: snapshots of another version are not read.
    const VERSION: u32;

    /// The kinds that it folds, its own decisions among them. All others are skipped unread.
    const READS: &'static [Kind];

    /// Most decisions that folding one record may add to what is owed.
    const DECISIONS_PER_RECORD_MAX: usize;

    /// Most bytes that one agent may take in a snapshot, whatever its platform publishes.
    const BYTES_PER_AGENT_MAX: usize;

    /// Folds one committed record, the room's own decisions included. Total: what it does not read changes nothing.
    fn apply(&mut self, record: &Record);

    /// The same where the record's key is known, for a room that keeps it of every record: it is a digest, and dear.
    fn apply_known(&mut self, record: &Record, _key: DedupeKey) {
        self.apply(record);
    }

    /// Hears of a record that nobody can read. A room that nothing can be told so passes it, as most do.
    fn unreadable(&mut self, _record: &Unreadable<'_>) {}

    /// Every debt of this state at `now`, in a fixed order: what is written down, then what time alone has brought about.
    /// Costs what is owed, not what is stored, and of what is written down nothing is copied.
    fn debts(&self, now: Timestamp) -> Vec<Cow<'_, Debt>>;

    /// The first deadline after `time`: when time alone will bring something about. What is written down has none.
    fn next_deadline(&self, time: Timestamp) -> Option<Timestamp>;

    /// The decision of one of its debts, as it is asked for at `at`.
    fn decide(&self, debt: &Debt, at: Frontier) -> Decision {
        debt.stamped(at)
    }

    /// Every decision that this state owes the log at `at.now`, in the order of its debts.
    fn owed(&self, at: Frontier) -> Vec<Decision> {
        self.debts(at.now).iter().map(|debt| self.decide(debt, at)).collect()
    }

    /// When to ask again if no record arrives before; a time that is past while something is owed.
    fn next_due(&self) -> Option<Timestamp>;

    /// What it knows about `agent`, for people: why something happened, and why nothing did.
    fn standing(&self, agent: &AgentId, now: Timestamp) -> Vec<Standing>;

    /// The agents that it knows, in order.
    fn agents(&self) -> Vec<AgentId>;
}

// === impl Decision ===

impl Decision {
    /// The record that `service` publishes for this decision, dated by its own `now`.
    pub fn to_event(&self, service: &str) -> Event {
        Event {
            key: self.key.clone(),
            source: format!("/reeve/{service}").into(),
            id: self.id.clone(),
            time: self.body.basis().map(|basis| basis.now),
            subject: self.subject.clone(),
            causation: self.causation.clone(),
            hops: self.hops,
            tenant: None,
            traceparent: None,
            body: self.body.clone(),
        }
    }
}
