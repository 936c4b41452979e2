//! The versions of an agent that the room has seen, and how their sessions turned out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{DedupeKey, RecordId, Segment, Timestamp, VersionId};

use crate::evidence::Newest;
use crate::marks::{Mark, Marks};
use crate::policy::Criterion;

/// Versions of one agent that are remembered. A further one takes the place of the one that served longest ago.
pub(crate) const VERSIONS_MAX: usize = 64;

/// Bytes that the outcomes of one agent's sessions may take. Beyond it old versions are forgotten, then no further
/// sessions are compared.
pub(crate) const MARKS_BYTES_MAX: usize = 256 << 10;

/// What a sequence takes beside its marks.
const LANE_BYTES: usize = 16;

/// A version of one agent, by the order in which it was first seen: short, where records repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ix(u32);

/// A segment of an agent's sessions, as a digest: it is compared, and never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Lane(u64);

/// Everything known about the versions of one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versions {
    known: BTreeMap<Ix, Version>,
    next: u32,
}

/// What is known about one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    /// Sessions that it started.
    pub(crate) starts: u64,
    /// When it last started one, or was first named.
    pub(crate) last_started: Timestamp,
    /// When it was last vouched for, by a person or by its service.
    pub(crate) vouched: Option<Timestamp>,
    /// Sessions of it that told whether they succeeded.
    pub(crate) outcomes: u64,
    /// The newest of those that did not.
    pub(crate) failures: Newest,
    lanes: BTreeMap<Criterion, BTreeMap<Lane, Marks>>,
}

// === impl Lane ===

impl Lane {
    /// Sessions without a segment are one segment of their own.
    pub(crate) fn of(segment: Option<&Segment>) -> Self {
        match segment {
            None => Self(0),
            Some(segment) => Self(digest("segment", segment.as_str())),
        }
    }
}

/// The first half of the digest by which records are told apart: two of one agent do not meet by accident.
pub(crate) fn digest(space: &str, text: &str) -> u64 {
    let DedupeKey(bytes) = DedupeKey::of(space, text);
    u64::from_be_bytes(bytes[..8].try_into().expect("eight of sixteen bytes"))
}

// === impl Versions ===

impl Versions {
    /// The version's short name, given now if it is new. Second, the one that had to be forgotten for it.
    pub(crate) fn admit(&mut self, id: &VersionId, at: Timestamp, keep: &[Ix]) -> (Ix, Option<Ix>) {
        if let Some(known) = self.find(id) {
            return (known, None);
        }
        let forgotten = if self.known.len() >= VERSIONS_MAX { self.forget_oldest(keep) } else { None };
        let ix = Ix(self.next);
        self.next = self.next.wrapping_add(1);
        self.known.insert(ix, Version::new(id.clone(), at));
        (ix, forgotten)
    }

    /// The short name of a version that is known.
    pub(crate) fn find(&self, id: &VersionId) -> Option<Ix> {
        self.known.iter().find(|(_, version)| version.id == *id).map(|(ix, _)| *ix)
    }

    /// A known version.
    pub(crate) fn get(&self, ix: Ix) -> Option<&Version> {
        self.known.get(&ix)
    }

    /// A known version, to be written to.
    pub(crate) fn get_mut(&mut self, ix: Ix) -> Option<&mut Version> {
        self.known.get_mut(&ix)
    }

    /// The name of a known version.
    pub(crate) fn id(&self, ix: Ix) -> Option<VersionId> {
        self.known.get(&ix).map(|version| version.id.clone())
    }

    /// Every known version.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ix, &Version)> {
        self.known.iter().map(|(ix, version)| (*ix, version))
    }

    /// The version that started a session last.
    pub(crate) fn serving(&self) -> Option<Ix> {
        self.known
            .iter()
            .filter(|(_, version)| version.starts > 0)
            .max_by_key(|(ix, version)| (version.last_started, **ix))
            .map(|(ix, _)| *ix)
    }

    /// Writes down how the next session of a version in a lane turned out; returns its place, or `None` if there is no
    /// room for it.
    pub(crate) fn mark(&mut self, ix: Ix, criterion: Criterion, lane: Lane, mark: Mark) -> Option<usize> {
        let size = self.size();
        let lanes = self.known.get_mut(&ix)?.lanes.entry(criterion).or_default();
        let growth = if lanes.contains_key(&lane) { 1 } else { LANE_BYTES + 1 };
        if size + growth > MARKS_BYTES_MAX {
            return None;
        }
        lanes.entry(lane).or_default().push(mark)
    }

    /// Forgets the version that served longest ago, but none of `keep`.
    pub(crate) fn forget_oldest(&mut self, keep: &[Ix]) -> Option<Ix> {
        let old = self.known.iter().filter(|(ix, _)| !keep.contains(ix)).min_by_key(|(ix, version)| (version.last_started, **ix));
        let old = *old?.0;
        self.known.remove(&old);
        Some(old)
    }

    /// Whether the outcomes take all the room that they may.
    pub(crate) fn is_full(&self) -> bool {
        self.size() + LANE_BYTES + 1 > MARKS_BYTES_MAX
    }

    fn size(&self) -> usize {
        self.known.values().map(Version::size).sum()
    }
}

// === impl Version ===

impl Version {
    fn new(id: VersionId, at: Timestamp) -> Self {
        let lanes = BTreeMap::new();
        Self { id, starts: 0, last_started: at, vouched: None, outcomes: 0, failures: Newest::default(), lanes }
    }

    /// How its session at `place` of a lane turned out.
    pub(crate) fn mark(&self, criterion: Criterion, lane: Lane, place: usize) -> Option<Mark> {
        self.lanes.get(&criterion)?.get(&lane)?.get(place)
    }

    /// Its sequences.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (Criterion, Lane, &Marks)> {
        self.lanes.iter().flat_map(|(criterion, lanes)| lanes.iter().map(|(lane, marks)| (*criterion, *lane, marks)))
    }

    /// One session of it told whether it succeeded.
    pub(crate) fn saw_outcome(&mut self, success: bool, id: Option<&RecordId>) {
        self.outcomes += 1;
        if let Some(id) = id.filter(|_| !success) {
            self.failures.keep(id);
        }
    }

    fn size(&self) -> usize {
        self.lanes().map(|(_, _, marks)| LANE_BYTES + marks.size()).sum()
    }
}
