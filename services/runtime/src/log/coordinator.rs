//! Who reads what: consumer groups, kept in memory and shared by the logs that live in one process.
//!
//! Every change of a group revokes everything from every member before anything is assigned anew, so that a stale
//! generation and a revoked assignment are the same thing and there is one way back: restore. Nothing here reads a
//! clock: a member that stopped polling is expired by an explicit call, or holds the group up as it would on a broker
//! until its session ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wire::Partition;

use super::{CommitError, Membership, locked};

/// The groups of one log.
pub(super) struct Coordinator {
    partitions: u32,
    groups: Mutex<BTreeMap<String, Group>>,
}

/// What a member learns when it asks.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Nothing changed.
    Unchanged,
    /// Everything that it held is revoked; the group knows that it let go.
    Revoked,
    /// This is its assignment in a new generation.
    Assigned(Vec<Partition>, Membership),
    /// The group knows it no longer; who was merely expired may join again.
    Unknown {
        /// Whether another instance joined under the same name.
        replaced: bool,
    },
}

/// Offsets on their way into the log. While it lives, they are pending for everybody who asks.
pub(super) struct CommitUnderWay {
    coordinator: Arc<Coordinator>,
    group: String,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Group {
    generation: u64,
    /// False from a change of the members until all of them let go and the next generation begins.
    settled: bool,
    members: BTreeMap<String, Member>,
    /// Who held what last, so that partitions stay where they are warm.
    owners: BTreeMap<Partition, String>,
    /// Commits under way, per partition that they carry an offset of.
    under_way: BTreeMap<Partition, u32>,
    /// Tickets given out, to tell two instances of the same name apart.
    tickets: u64,
}

struct Member {
    ticket: u64,
    standing: Standing,
}

enum Standing {
    /// It holds nothing and waits for the next generation.
    Waiting,
    /// Its share of this generation, not fetched yet.
    Offered(Vec<Partition>),
    /// It fetched its share and works under this generation.
    Working,
}

// === impl Coordinator ===

impl Coordinator {
    pub(super) fn new(partitions: u32) -> Self {
        Self { partitions, groups: Mutex::default() }
    }

    /// Adds a member. Another instance of the same name is fenced at once.
    pub(super) fn join(&self, group: &str, member: &str) -> u64 {
        let mut groups = locked(&self.groups);
        let group = groups.entry(group.to_owned()).or_default();
        group.tickets += 1;
        let joined = Member { ticket: group.tickets, standing: Standing::Waiting };
        if group.members.insert(member.to_owned(), joined).is_some() {
            // The older instance knows the same name and generation: only a new generation tells it apart.
            group.generation += 1;
        }
        group.settled = false;
        group.tickets
    }

    /// What `member` has to know now. Asking is also how it lets go of what is revoked.
    pub(super) fn turn(&self, group_name: &str, member: &str, ticket: u64) -> Turn {
        let mut groups = locked(&self.groups);
        let group = groups.entry(group_name.to_owned()).or_default();
        match group.members.get_mut(member) {
            None => return Turn::Unknown { replaced: false },
            Some(known) if known.ticket != ticket => return Turn::Unknown { replaced: true },
            Some(known) if !group.settled && matches!(known.standing, Standing::Working) => {
                known.standing = Standing::Waiting;
                return Turn::Revoked;
            }
            Some(_) => {}
        }
        group.settle(self.partitions);
        let generation = group.generation;
        let Some(known) = group.members.get_mut(member) else { return Turn::Unchanged };
        match std::mem::replace(&mut known.standing, Standing::Working) {
            Standing::Offered(share) => {
                Turn::Assigned(share, Membership { group: group_name.to_owned(), member: member.to_owned(), generation })
            }
            other => {
                known.standing = other;
                Turn::Unchanged
            }
        }
    }

    /// Removes the member that holds `ticket`, if the group still knows it.
    pub(super) fn leave(&self, group: &str, member: &str, ticket: u64) {
        let mut groups = locked(&self.groups);
        let Some(group) = groups.get_mut(group) else { return };
        if group.members.get(member).is_some_and(|known| known.ticket == ticket) {
            group.members.remove(member);
            group.settled = false;
        }
    }

    /// Ends a member's session, as a broker does when heartbeats stay away: it is fenced from now on. Whether it was known.
    pub(super) fn expire(&self, group: &str, member: &str) -> bool {
        let mut groups = locked(&self.groups);
        let Some(group) = groups.get_mut(group) else { return false };
        let known = group.members.remove(member).is_some();
        group.settled &= !known;
        known
    }

    /// Makes everybody in the group let go and join anew.
    pub(super) fn rebalance(&self, group: &str) {
        if let Some(group) = locked(&self.groups).get_mut(group) {
            group.settled = false;
        }
    }

    /// Refuses who is no member of the current generation. Whoever passes holds the group's offsets of `partitions`
    /// pending until the guard is dropped, so that a successor cannot read them between check and commit.
    pub(super) fn admit(self: &Arc<Self>, told: Option<&Membership>, partitions: Vec<Partition>) -> Result<CommitUnderWay, CommitError> {
        let told = told.ok_or(CommitError::NoMembership)?;
        let mut groups = locked(&self.groups);
        let group = groups.get_mut(&told.group).filter(|group| group.members.contains_key(&told.member));
        let Some(group) = group else {
            return Err(CommitError::Fenced { reason: format!("{} is no member of {}", told.member, told.group) });
        };
        if group.generation != told.generation {
            let reason = format!("{} speaks for generation {} of {}, it is {}", told.member, told.generation, told.group, group.generation);
            return Err(CommitError::Fenced { reason });
        }
        for partition in &partitions {
            *group.under_way.entry(*partition).or_default() += 1;
        }
        Ok(CommitUnderWay { coordinator: Arc::clone(self), group: told.group.clone(), partitions })
    }

    /// Whether a commit of the group's offset of `partition` is under way.
    pub(super) fn is_pending(&self, group: &str, partition: Partition) -> bool {
        locked(&self.groups).get(group).is_some_and(|group| group.under_way.contains_key(&partition))
    }
}

// === impl CommitUnderWay ===

impl Drop for CommitUnderWay {
    fn drop(&mut self) {
        let mut groups = locked(&self.coordinator.groups);
        let Some(group) = groups.get_mut(&self.group) else { return };
        for partition in &self.partitions {
            if let Some(count) = group.under_way.get_mut(partition) {
                *count -= 1;
                if *count == 0 {
                    group.under_way.remove(partition);
                }
            }
        }
    }
}

// === impl Group ===

impl Group {
    /// Begins the next generation once every member let go.
    fn settle(&mut self, partitions: u32) {
        let waits = self.members.values().all(|member| !matches!(member.standing, Standing::Working));
        if self.settled || !waits {
            return;
        }
        self.generation += 1;
        self.settled = true;
        let shares = shares(partitions, self.members.keys(), &self.owners);
        self.owners.clear();
        for (name, share) in shares {
            self.owners.extend(share.iter().map(|partition| (*partition, name.clone())));
            if let Some(member) = self.members.get_mut(&name) {
                member.standing = Standing::Offered(share);
            }
        }
    }
}

/// Even shares, at most one partition apart; whoever held a partition keeps it as far as evenness allows.
fn shares<'a>(
    partitions: u32,
    members: impl Iterator<Item = &'a String>,
    owners: &BTreeMap<Partition, String>,
) -> BTreeMap<String, Vec<Partition>> {
    let mut shares: BTreeMap<String, Vec<Partition>> = members.map(|name| (name.clone(), Vec::new())).collect();
    let count = u32::try_from(shares.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return shares;
    }
    let (least, mut extra) = (partitions / count, partitions % count);
    let mut free = Vec::new();
    for partition in (0..partitions).map(Partition) {
        let share = owners.get(&partition).and_then(|name| shares.get_mut(name));
        match share {
            Some(share) if (share.len() as u32) < least => share.push(partition),
            Some(share) if share.len() as u32 == least && extra > 0 => {
                share.push(partition);
                extra -= 1;
            }
            _ => free.push(partition),
        }
    }
    let mut free = free.into_iter();
    for share in shares.values_mut() {
        let missing = least.saturating_sub(share.len() as u32);
        share.extend(free.by_ref().take(missing as usize));
    }
    // What is left is fewer than the members that may still take one more.
    for share in shares.values_mut() {
        if share.len() as u32 == least {
            share.extend(free.next());
        }
        share.sort();
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_revoked_before_it_is_assigned_to_another() {
        let coordinator = Arc::new(Coordinator::new(4));
        let first = coordinator.join("rooms", "a");
        assert_eq!(share_of(coordinator.turn("rooms", "a", first)), [0, 1, 2, 3]);
        let second = coordinator.join("rooms", "b");
        assert_eq!(coordinator.turn("rooms", "b", second), Turn::Unchanged);
        assert_eq!(coordinator.turn("rooms", "a", first), Turn::Revoked);
        assert_eq!(share_of(coordinator.turn("rooms", "b", second)), [2, 3]);
        assert_eq!(share_of(coordinator.turn("rooms", "a", first)), [0, 1]);
    }

    #[test]
    fn partitions_stay_where_they_were_when_a_member_leaves() {
        let members = ["a", "b", "c"].map(str::to_owned);
        let owners = shares(7, members.iter(), &BTreeMap::new());
        let held: BTreeMap<_, _> = owners.iter().flat_map(|(name, share)| share.iter().map(|p| (*p, name.clone()))).collect();
        let after = shares(7, members[..2].iter(), &held);
        assert!(owners["a"].iter().all(|partition| after["a"].contains(partition)));
        assert!(owners["b"].iter().all(|partition| after["b"].contains(partition)));
        assert_eq!(after.values().map(Vec::len).sum::<usize>(), 7);
    }

    #[test]
    fn every_partition_has_exactly_one_owner_whatever_was_before() {
        for partitions in 0..9 {
            let mut owners = BTreeMap::new();
            for count in [1_usize, 3, 2, 5, 4, 1] {
                let members: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
                let shares = shares(partitions, members.iter(), &owners);
                let mut all: Vec<Partition> = shares.values().flatten().copied().collect();
                all.sort();
                assert_eq!(all, (0..partitions).map(Partition).collect::<Vec<_>>());
                let (least, most) = (shares.values().map(Vec::len).min(), shares.values().map(Vec::len).max());
                assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1, "{shares:?}");
                owners = shares.into_iter().flat_map(|(name, share)| share.into_iter().map(move |p| (p, name.clone()))).collect();
            }
        }
    }

    #[test]
    fn an_expired_member_and_a_replaced_one_are_fenced() {
        let coordinator = Arc::new(Coordinator::new(1));
        let first = coordinator.join("rooms", "a");
        let Turn::Assigned(_, membership) = coordinator.turn("rooms", "a", first) else { panic!("not assigned") };
        assert!(coordinator.admit(Some(&membership), vec![]).is_ok());
        coordinator.join("rooms", "a");
        assert!(matches!(coordinator.admit(Some(&membership), vec![]), Err(CommitError::Fenced { .. })));
        assert_eq!(coordinator.turn("rooms", "a", first), Turn::Unknown { replaced: true });
        assert!(coordinator.expire("rooms", "a"));
        assert_eq!(coordinator.turn("rooms", "a", first), Turn::Unknown { replaced: false });
    }

    #[test]
    fn offsets_on_their_way_are_pending_until_they_arrived() {
        let coordinator = Arc::new(Coordinator::new(2));
        let ticket = coordinator.join("rooms", "a");
        let Turn::Assigned(_, membership) = coordinator.turn("rooms", "a", ticket) else { panic!("not assigned") };
        let under_way = coordinator.admit(Some(&membership), vec![Partition(1)]).expect("a member");
        assert!(coordinator.is_pending("rooms", Partition(1)));
        assert!(!coordinator.is_pending("rooms", Partition(0)));
        drop(under_way);
        assert!(!coordinator.is_pending("rooms", Partition(1)));
    }

    fn share_of(turn: Turn) -> Vec<u32> {
        match turn {
            Turn::Assigned(share, _) => share.into_iter().map(|partition| partition.0).collect(),
            other => panic!("no assignment but {other:?}"),
        }
    }
}
