//! What the oracle may hold against a log, and how it says so.

use std::fmt;

use wire::{AgentId, Event, Kind, Offset, Partition, RecordId, Timestamp};

use crate::{Decision, Frontier};

/// One thing that the oracle holds against a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Objection {
    /// Where.
    pub partition: Partition,
    /// At which record; the end of the log when something is still owed.
    pub offset: Offset,
    /// The room whose decision it is, or that owes one.
    pub room: String,
    /// What.
    pub breach: Breach,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Breach {
    /// The decision stands on the log already.
    Repeated {
        /// The decision.
        said: Said,
        /// Where it stands.
        partition: Partition,
        /// At which record.
        offset: Offset,
    },
    /// A record of a room that is no decision.
    NoDecision {
        /// What it is.
        kind: Kind,
    },
    /// It claims to have known a record that was written after it.
    KnewTooMuch {
        /// The last record that it claims to have known.
        asof: Offset,
    },
    /// `asof` or `now` fell from one decision of the room to the next.
    Fell {
        /// The frontier of the decision before.
        from: Frontier,
        /// Its own.
        to: Frontier,
    },
    /// It took a time for now at which a record stood on the log that the room had not read.
    OutranItsReader {
        /// The time that it took for now.
        now: Timestamp,
        /// The first record that it had not read.
        unread: Offset,
        /// When that was appended.
        appended: Timestamp,
    },
    /// Nothing of this id was owed.
    NotOwed {
        /// The decision that stands on the log.
        said: Said,
        /// Where it says that it was asked.
        at: Frontier,
        /// What was owed there.
        owed: Vec<Said>,
    },
    /// Something of this id was owed, but not this.
    Different {
        /// Where it says that it was asked.
        at: Frontier,
        /// What was owed there.
        owed: Box<Event>,
        /// What stands on the log.
        found: Box<Event>,
    },
    /// The clock has passed every deadline, and the log lacks it.
    StillOwed {
        /// The decision.
        said: Said,
        /// The agent that it is about.
        key: AgentId,
    },
}

/// A decision by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: RecordId,
}

// === impl Breach ===

impl Breach {
    /// Its name, by which two objections are of one kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Repeated { .. } => "repeated",
            Self::NoDecision { .. } => "no_decision",
            Self::KnewTooMuch { .. } => "knew_too_much",
            Self::Fell { .. } => "fell",
            Self::OutranItsReader { .. } => "outran_its_reader",
            Self::NotOwed { .. } => "not_owed",
            Self::Different { .. } => "different",
            Self::StillOwed { .. } => "still_owed",
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated { said, partition, offset } => write!(f, "{said} stands at {partition}/{offset} already"),
            Self::NoDecision { kind } => write!(f, "{kind} is no decision"),
            Self::KnewTooMuch { asof } => write!(f, "knew {asof} before it was written"),
            Self::Fell { from, to } => {
                write!(f, "asof or now fell: from {} at {} to {} at {}", from.asof, from.now, to.asof, to.now)
            }
            Self::OutranItsReader { now, unread, appended } => write!(f, "took {now} for now, with {unread} of {appended} unread"),
            Self::NotOwed { said, at, owed } => {
                write!(f, "{said} was not owed as of {} at {}; owed was ", at.asof, at.now)?;
                match owed.split_first() {
                    None => f.write_str("nothing"),
                    Some((first, rest)) => {
                        write!(f, "{first}")?;
                        rest.iter().try_for_each(|said| write!(f, ", {said}"))
                    }
                }
            }
            Self::Different { at, owed, found } => {
                let (asof, now) = (at.asof, at.now);
                write!(
                    f,
                    "{} {} differs from what was owed as of {asof} at {now}: {found:?} instead of {owed:?}",
                    found.body.kind(),
                    found.id
                )
            }
            Self::StillOwed { said, key } => write!(f, "{said} about {key} is still owed"),
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {} room: {}", self.partition, self.offset, self.room, self.breach)
    }
}

// === impl Said ===

impl From<&Decision> for Said {
    fn from(decision: &Decision) -> Self {
        Self { kind: decision.body.kind(), id: decision.id.clone() }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}
