//! A consumer and a producer of the memory log.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::{Offset, Partition};

use super::Inner;
use super::state::State;
use crate::log::seat::Seat;
use crate::log::{CommitError, Consumer, Extent, LogError, Membership, Polled, Producer, Transaction, locked};

/// Polls that a lagging reader or a stalled end stays behind, at most.
const BEHIND_POLLS_MAX: u32 = 20;

/// One member of a group.
pub(super) struct Reader {
    pub(super) inner: Arc<Inner>,
    pub(super) seat: Seat,
    /// Partitions that this reader sees less of than there is.
    pub(super) behind: BTreeMap<Partition, Behind>,
}

/// Up to where a lagging reader sees, and for how many polls.
pub(super) struct Behind {
    sees: Offset,
    polls_left: u32,
}

/// One producer, of one epoch.
pub(super) struct Publisher {
    pub(super) inner: Arc<Inner>,
    pub(super) transactional_id: String,
    pub(super) epoch: u64,
    /// Whether a commit failed: a producer after that is good for nothing.
    pub(super) failed: bool,
}

// === impl Reader ===

impl Consumer for Reader {
    fn poll(&mut self, max: usize) -> Result<Polled, LogError> {
        let inner = Arc::clone(&self.inner);
        let state = &mut *locked(&inner.state);
        state.tick();
        if state.dice.strikes(state.dice.plan.rebalanced) {
            state.dice.counts.rebalanced += 1;
            inner.coordinator.rebalance(self.seat.group());
        }
        if let Some(news) = self.seat.news() {
            self.behind.clear();
            return Ok(news);
        }
        let reading: Vec<(Partition, Offset)> = self.seat.reading().collect();
        for (partition, from) in reading {
            let end = self.seen_end(state, partition, from)?;
            let (records, next) = state.shelf(partition)?.read(partition, from, end, max);
            if next > from {
                self.seat.served(partition, next);
                return Ok(Polled::Records(partition, records, next));
            }
        }
        Ok(Polled::Nothing)
    }

    fn seek(&mut self, partition: Partition, to: Offset) -> Result<(), LogError> {
        if to < Offset(0) {
            return Err(LogError::OffsetGone { partition, start: Offset(0), asked: to });
        }
        self.seat.seek(partition, to);
        Ok(())
    }

    fn committed(&mut self, partition: Partition) -> Result<Option<Offset>, LogError> {
        let mut state = locked(&self.inner.state);
        state.tick();
        state.committed(self.seat.group(), partition)
    }

    fn extent(&mut self, partition: Partition) -> Result<Extent, LogError> {
        let state = locked(&self.inner.state);
        let high_watermark = state.shelf(partition)?.high_watermark();
        Ok(Extent { start: Offset(0), high_watermark, quiet_until: state.quiet_until() })
    }

    fn membership(&self) -> Option<Membership> {
        self.seat.membership()
    }
}

impl Reader {
    /// Up to where this poll sees a partition, lag and stalls considered.
    fn seen_end(&mut self, state: &mut State, partition: Partition, from: Offset) -> Result<Offset, LogError> {
        if !state.shelf_mut(partition)?.still_stalled() && state.dice.strikes(state.dice.plan.stalled) {
            let polls = state.dice.up_to(BEHIND_POLLS_MAX);
            state.shelf_mut(partition)?.stall(polls);
            state.dice.counts.stalled += 1;
        }
        let end = state.shelf(partition)?.stable_end();
        if let Some(behind) = self.behind.get_mut(&partition) {
            let sees = behind.sees;
            behind.polls_left = behind.polls_left.saturating_sub(1);
            if behind.polls_left == 0 {
                self.behind.remove(&partition);
            }
            return Ok(end.min(sees));
        }
        let ahead = u32::try_from(end.0.saturating_sub(from.0)).unwrap_or(0);
        if ahead > 0 && state.dice.strikes(state.dice.plan.lagged) {
            let sees = Offset(from.0 + i64::from(state.dice.up_to(ahead)) - 1);
            self.behind.insert(partition, Behind { sees, polls_left: state.dice.up_to(BEHIND_POLLS_MAX) });
            state.dice.counts.lagged += 1;
            return Ok(sees);
        }
        Ok(end)
    }
}

// === impl Publisher ===

impl Producer for Publisher {
    fn commit(&mut self, transaction: Transaction) -> Result<Vec<Offset>, CommitError> {
        if self.failed {
            return Err(CommitError::Fenced { reason: format!("a commit of this producer of {} failed before", self.transactional_id) });
        }
        let mut state = locked(&self.inner.state);
        let outcome = state.commit(&self.transactional_id, self.epoch, &self.inner.coordinator, transaction);
        self.failed = outcome.is_err();
        drop(state);
        self.inner.changed.notify_all();
        outcome
    }
}
