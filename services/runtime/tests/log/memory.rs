//! The log in memory: the contract, and that its faults are those of a broker.

use std::sync::Arc;

use runtime::log::contract::fixtures::{START, append, fact, ids, join, to, transaction};
use runtime::log::contract::{PARTITIONS, Pending, Subject};
use runtime::log::memory::{CommitFault, FaultPlan, MemoryLog, MemoryOptions};
use runtime::log::{CommitError, Consumer, Log, LogError, Polled, Producer};
use wire::{Offset, Partition, Timestamp};

mod contract {
    runtime::log_contract!(super::InMemory::new);
}

/// What crashes are those who use it: a broker lives on.
struct InMemory(Arc<MemoryLog>);

// === impl InMemory ===

impl InMemory {
    fn new() -> Self {
        Self(stormy(0, FaultPlan::default()))
    }
}

impl Subject for InMemory {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.0) as Arc<dyn Log>
    }

    fn set_now(&self, now: Timestamp) {
        self.0.set_now(now);
    }

    fn expire(&self, group: &str, member: &str) {
        self.0.expire(group, member);
    }

    fn crash(&mut self) {}

    fn pending(&self) -> Option<&dyn Pending> {
        Some(self)
    }
}

impl Pending for InMemory {
    fn hold_next_commit(&self, transactional_id: &str) {
        self.0.fail_next_commit(transactional_id, CommitFault::DelayedCommit);
    }

    fn arrive(&self, transactional_id: &str) {
        self.0.arrive(transactional_id);
    }
}

fn stormy(seed: u64, faults: FaultPlan) -> Arc<MemoryLog> {
    let options = MemoryOptions { partitions: PARTITIONS, seed, faults, start: START, ..MemoryOptions::default() };
    MemoryLog::new(options)
}
