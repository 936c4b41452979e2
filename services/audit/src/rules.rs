//! What is said of an unreadable record, and how several become one run. No state.

use machine::{Debt, Machine, Unreadable};
use serde::{Deserialize, Serialize};
use wire::record::decision_id;
use wire::{AgentId, Basis, Offset, Partition, RecordId, RecordRefused, Timestamp, limits};

use crate::machine::Audit;

/// An unreadable record: where it lies, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
    /// The agent that its key names, where it names one.
    pub agent: Option<AgentId>,
    /// The id that it says it has, where it is one.
    pub id: Option<RecordId>,
    /// Code of the refusal.
    pub code: String,
    /// What is wrong, as a sentence of at most [`limits::QUOTE_BYTES_MAX`] bytes.
    pub reason: String,
}

/// Unreadable records that are told as one: the first of them, and how far they reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    first: Refused,
    last: Offset,
    records: i64,
    /// Whether all of them have one code.
    alike: bool,
}

/// The code of a run whose records do not have one code.
pub const SEVERAL: &str = "several";

// === impl Refused ===

impl Refused {
    /// What is known of a record.
    pub fn of(record: &Unreadable<'_>) -> Self {
        Self {
            topic: record.topic.to_owned(),
            partition: record.stored.partition,
            offset: record.stored.offset,
            agent: record.stored.raw.agent(),
            id: record.stored.raw.id(),
            code: record.refusal.code().to_owned(),
            reason: limits::quote(&record.refusal.to_string()),
        }
    }
}

// === impl Run ===

impl Run {
    /// A run of one.
    pub fn begin(first: Refused) -> Self {
        Self { last: first.offset, records: 1, alike: true, first }
    }

    /// One more, which lies after all others.
    pub fn grow(&mut self, refused: &Refused) {
        self.last = refused.offset;
        self.records += 1;
        self.alike &= self.first.code == refused.code;
    }

    /// The refusal that is owed for it. Its id is derived from the coordinates of the first record, for it may have no id
    /// of its own, and two such records may say that they have the same.
    pub fn debt(self, policy: &str) -> Debt {
        let Self { first, last, records, alike } = self;
        let place = format!("{}/{}", first.topic, first.partition);
        let several = records > 1;
        let body = RecordRefused {
            topic: first.topic,
            partition: i64::from(first.partition.0),
            offset: first.offset.0,
            code: if alike { first.code } else { SEVERAL.to_owned() },
            reason: if several {
                limits::quote(&format!("{records} records up to offset {last}; the first: {}", first.reason))
            } else {
                first.reason
            },
            last_offset: several.then_some(last.0),
            records: several.then_some(records),
            basis: Basis {
                asof: Offset::BEFORE_ALL,
                now: Timestamp(0),
                rule: if several { "unreadable_run" } else { "unreadable" }.to_owned(),
                policy: policy.to_owned(),
                causes: first.id.iter().map(ToString::to_string).collect(),
                accountable: "operations".to_owned(),
            },
        };
        Debt {
            id: decision_id(Audit::SERVICE, &place, &first.offset.to_string(), "refused", 0),
            key: first.agent.unwrap_or_else(|| AgentId::from(Audit::SERVICE)),
            subject: None,
            causation: first.id,
            hops: 1,
            body: body.into(),
        }
    }
}
