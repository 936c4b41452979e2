//! The versions of an agent that the room has seen, and how their sessions turned out.

use machine::{Shelf, columns};
use serde::{Deserialize, Serialize};
use wire::{RecordId, Segment, Timestamp, VersionId, short_digest};

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
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Versions {
    known: Shelf<Ix, Version>,
    next: u32,
    /// Bytes that the outcomes take: derived.
    size: usize,
}

/// What is known about one version.
#[derive(Clone, Debug, PartialEq)]
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
    /// The newest records that told against it, by each criterion.
    failures: Shelf<Criterion, Newest>,
    lanes: Shelf<Criterion, Shelf<Lane, Marks>>,
}

columns!(Version { id, starts, last_started, vouched, outcomes, failures, lanes });

/// What of [`Versions`] is stored: the rest follows from it.
#[derive(Clone, Serialize, Deserialize)]
struct Stored(Shelf<Ix, Version>, u32);

// === impl Lane ===

impl Lane {
    /// Sessions without a segment are one segment of their own.
    pub(crate) fn of(segment: Option<&Segment>) -> Self {
        match segment {
            None => Self(0),
            Some(segment) => Self(short_digest("segment", segment.as_str())),
        }
    }

    /// Whether it is that of sessions without a segment.
    pub(crate) fn is_unnamed(self) -> bool {
        self.0 == 0
    }
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
        let lanes = self.known.get_mut(&ix)?.lanes.entry(criterion).or_default();
        let growth = if lanes.contains_key(&lane) { 1 } else { LANE_BYTES + 1 };
        if self.size + growth > MARKS_BYTES_MAX {
            return None;
        }
        let before = lanes.get(&lane).map_or(0, |marks| LANE_BYTES + marks.size());
        let marks = lanes.entry(lane).or_default();
        let place = marks.push(mark);
        self.size += LANE_BYTES + marks.size() - before;
        place
    }

    /// Forgets the version that served longest ago, but none of `keep`.
    pub(crate) fn forget_oldest(&mut self, keep: &[Ix]) -> Option<Ix> {
        let old = self.known.iter().filter(|(ix, _)| !keep.contains(ix)).min_by_key(|(ix, version)| (version.last_started, **ix));
        let old = *old?.0;
        self.size -= self.known.remove(&old).map_or(0, |old| old.size());
        Some(old)
    }

    /// Whether the outcomes take all the room that they may.
    pub(crate) fn is_full(&self) -> bool {
        self.size + LANE_BYTES + 1 > MARKS_BYTES_MAX
    }
}

// === impl Version ===

impl Version {
    fn new(id: VersionId, at: Timestamp) -> Self {
        let lanes = Shelf::new();
        Self { id, starts: 0, last_started: at, vouched: None, outcomes: 0, failures: Shelf::new(), lanes }
    }

    /// How its session at `place` of a lane turned out.
    pub(crate) fn mark(&self, criterion: Criterion, lane: Lane, place: usize) -> Option<Mark> {
        self.lanes.get(&criterion)?.get(&lane)?.get(place)
    }

    /// Its sequences.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (Criterion, Lane, &Marks)> {
        self.lanes.iter().flat_map(|(criterion, lanes)| lanes.iter().map(|(lane, marks)| (*criterion, *lane, marks)))
    }

    /// A record tells against one of its sessions.
    pub(crate) fn saw_failure(&mut self, criterion: Criterion, id: &RecordId) {
        self.failures.entry(criterion).or_default().keep(id);
    }

    /// The newest records that told against it.
    pub(crate) fn failures(&self, criterion: Criterion) -> impl Iterator<Item = &RecordId> {
        self.failures.get(&criterion).into_iter().flat_map(Newest::ids)
    }

    /// What it has shown so far is spent: its sessions keep their places and are evidence of nothing any more.
    pub(crate) fn begin_anew(&mut self) {
        self.failures.clear();
        self.lanes.values_mut().flat_map(Shelf::values_mut).for_each(Marks::erase);
    }

    fn size(&self) -> usize {
        self.lanes().map(|(_, _, marks)| LANE_BYTES + marks.size()).sum()
    }
}

impl From<Stored> for Versions {
    fn from(Stored(known, next): Stored) -> Self {
        let size = known.values().map(Version::size).sum();
        Self { known, next, size }
    }
}

impl From<Versions> for Stored {
    fn from(versions: Versions) -> Self {
        Self(versions.known, versions.next)
    }
}
