//! A member's seat in its group: what it holds, from where it reads each partition, and whose turn it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::{Offset, Partition};

use super::coordinator::{Coordinator, Turn};
use super::{Membership, Polled};

/// One member, from joining to leaving. Dropping it leaves the group.
pub(super) struct Seat {
    coordinator: Arc<Coordinator>,
    group: String,
    member: String,
    /// `None` once another instance joined under the same name: that one is the member now.
    ticket: Option<u64>,
    membership: Option<Membership>,
    /// Partitions held; without a position until the owner seeks.
    positions: BTreeMap<Partition, Option<Offset>>,
    /// The partition that was served last: the next one goes first, so that none starves.
    served: Partition,
}

// === impl Seat ===

impl Seat {
    pub(super) fn take(coordinator: Arc<Coordinator>, group: &str, member: &str) -> Self {
        let ticket = Some(coordinator.join(group, member));
        Self {
            coordinator,
            group: group.to_owned(),
            member: member.to_owned(),
            ticket,
            membership: None,
            positions: BTreeMap::new(),
            served: Partition::default(),
        }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn membership(&self) -> Option<Membership> {
        self.membership.clone()
    }

    /// What changed in the group since it was asked last, if anything did.
    pub(super) fn news(&mut self) -> Option<Polled> {
        let ticket = self.ticket?;
        match self.coordinator.turn(&self.group, &self.member, ticket) {
            Turn::Unchanged => None,
            Turn::Revoked => self.lose(),
            Turn::Assigned(share, membership) => {
                self.membership = Some(membership);
                self.positions = share.iter().map(|partition| (*partition, None)).collect();
                (!share.is_empty()).then_some(Polled::Assigned(share))
            }
            Turn::Unknown { replaced } => {
                // An expired member joins again at once and is told of its new share by a later poll.
                self.ticket = (!replaced).then(|| self.coordinator.join(&self.group, &self.member));
                self.lose()
            }
        }
    }

    /// Sets from where a partition is read. Ignored for a partition that is not held: it was just revoked.
    pub(super) fn seek(&mut self, partition: Partition, to: Offset) {
        if let Some(position) = self.positions.get_mut(&partition) {
            *position = Some(to);
        }
    }

    /// The partitions that are read and from where, the one that was served longest ago first.
    pub(super) fn reading(&self) -> impl Iterator<Item = (Partition, Offset)> + '_ {
        let after = self.positions.iter().filter(|(partition, _)| **partition > self.served);
        let before = self.positions.iter().filter(|(partition, _)| **partition <= self.served);
        after.chain(before).filter_map(|(partition, position)| Some((*partition, (*position)?)))
    }

    /// Notes that `partition` was served up to `next`.
    pub(super) fn served(&mut self, partition: Partition, next: Offset) {
        self.served = partition;
        self.seek(partition, next);
    }

    fn lose(&mut self) -> Option<Polled> {
        self.membership = None;
        let lost: Vec<Partition> = std::mem::take(&mut self.positions).into_keys().collect();
        (!lost.is_empty()).then_some(Polled::Revoked(lost))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.coordinator.leave(&self.group, &self.member, ticket);
        }
    }
}
