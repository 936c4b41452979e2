//! What is known of an agent's versions: which serves, which may be gone back to, which was taken back.

use machine::Shelf;
use serde::{Deserialize, Serialize};
use wire::{Layers, Offset, Record, SessionId, Timestamp, VersionId};

use crate::policy::Policy;
use crate::proving::Proof;

/// Versions that are remembered per agent. Beyond it the one least recently seen is forgotten, one that nobody
/// vouches for and that was not taken back first, and never the baseline nor the one that serves.
pub(crate) const VERSIONS_MAX: usize = 12;

/// The versions of one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versions {
    known: Shelf<VersionId, Version>,
    /// The version last seen or said to serve. Versions may overlap: this is the latest of them.
    pub(crate) serving: Option<VersionId>,
    /// The version that a person last vouched for.
    pub(crate) baseline: Option<VersionId>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    seen_at: Offset,
    layers: Option<Layers>,
    /// Since which record it may be gone back to: a person declared it, or it proved itself.
    vouched_at: Option<Offset>,
    /// It was taken back: it is no target until a person lifts that.
    pub(crate) quarantined: bool,
    /// Its way to being proven; absent: it has not served since the last P1 or P2, or needs no proof.
    pub(crate) proof: Option<Proof>,
}

// === impl Versions ===

impl Versions {
    /// A platform says what a version is made of, and that it serves from now on.
    pub(crate) fn deployed(&mut self, version: &VersionId, layers: &Layers, at: Offset) {
        let known = self.known(version, at);
        (known.seen_at, known.layers) = (at, Some(layers.clone()));
        self.serving = Some(version.clone());
        self.forget_surplus();
    }

    /// A fact shows a version serving. Without P1 and P2 its way to being proven begins, unless it needs none.
    pub(crate) fn sighted(&mut self, version: &VersionId, record: &Record, trouble: bool) {
        let known = self.known(version, record.offset);
        known.seen_at = record.offset;
        if !trouble && known.vouched_at.is_none() && !known.quarantined && known.proof.is_none() {
            known.proof = Some(Proof::new(record.appended, record.opener()));
        }
        self.serving = Some(version.clone());
        self.forget_surplus();
    }

    /// A session of a version began.
    pub(crate) fn follow(&mut self, version: &VersionId, session: &SessionId, at: Timestamp) {
        if let Some(proof) = self.known.get_mut(version).and_then(|known| known.proof.as_mut()) {
            proof.follow(session, at);
        }
    }

    /// A session's outcome: it counts for the version that the session started with.
    pub(crate) fn count(&mut self, session: &SessionId, at: Offset, policy: &Policy) {
        self.known.values_mut().filter_map(|known| known.proof.as_mut()).for_each(|proof| proof.count(session, at, policy));
    }

    /// P1 or P2: every version that is not proven yet begins anew when it is seen after it. Sessions of versions
    /// overlap, so who served meanwhile and who did not cannot be told apart.
    pub(crate) fn begin_anew(&mut self) {
        self.known.values_mut().for_each(|known| known.proof = None);
    }

    /// A person vouches for a version, and by that lifts its quarantine.
    pub(crate) fn declared(&mut self, version: &VersionId, at: Offset) {
        let known = self.known(version, at);
        *known = Version { vouched_at: Some(at), quarantined: false, proof: None, ..known.clone() };
        self.baseline = Some(version.clone());
        self.forget_surplus();
    }

    /// A version proved itself.
    pub(crate) fn proven(&mut self, version: &VersionId, at: Offset) {
        let known = self.known(version, at);
        if known.vouched_at.is_none() && !known.quarantined {
            known.vouched_at = Some(at);
            known.proof = None;
        }
        self.forget_surplus();
    }

    /// A version is taken back. The declared baseline never is: only a person replaces it.
    pub(crate) fn quarantine(&mut self, version: &VersionId, at: Offset) {
        if self.baseline.as_ref() == Some(version) {
            return;
        }
        let known = self.known(version, at);
        *known = Version { vouched_at: None, quarantined: true, proof: None, ..known.clone() };
        self.forget_surplus();
    }

    /// A person lets a version serve again; to be gone back to it must prove itself anew, or be declared.
    pub(crate) fn lift(&mut self, version: &VersionId) {
        if let Some(known) = self.known.get_mut(version) {
            known.quarantined = false;
        }
    }

    /// The version to go back to in an incident that names `culprit`. One that names none is laid at the door of what was
    /// seen serving last, but never at the declared baseline's: nobody said that it was the baseline.
    pub(crate) fn way_back(&self, culprit: Option<&VersionId>) -> Option<VersionId> {
        let suspect = self.serving.as_ref().filter(|serving| self.baseline.as_ref() != Some(*serving));
        self.target(culprit.or(suspect))
    }

    /// The version to go back to when `culprit` shall no longer serve: of those that a person declared or that proved
    /// themselves, the latest. The declared baseline stays a target even if it is what serves.
    fn target(&self, culprit: Option<&VersionId>) -> Option<VersionId> {
        let eligible = self.known.iter().filter(|(version, known)| !known.quarantined && Some(*version) != culprit);
        let latest = eligible.filter_map(|(version, known)| known.vouched_at.map(|at| (at, version))).max();
        latest.map(|(_, version)| version.clone()).or_else(|| self.baseline.clone())
    }

    /// What a version is made of, as far as it was told.
    pub(crate) fn layers(&self, version: &VersionId) -> Layers {
        self.known.get(version).and_then(|known| known.layers.clone()).unwrap_or_default()
    }

    /// When the first version may be proven, if nothing happens before.
    pub(crate) fn ripens_at(&self, policy: &Policy) -> Option<Timestamp> {
        self.proofs().filter_map(|(_, proof)| proof.ripens_at(policy)).min()
    }

    /// Versions on their way to being proven.
    pub(crate) fn proofs(&self) -> impl Iterator<Item = (&VersionId, &Proof)> {
        self.known.iter().filter_map(|(version, known)| Some((version, known.proof.as_ref()?)))
    }

    /// Every version that is remembered.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&VersionId, &Version)> {
        self.known.iter()
    }

    fn known(&mut self, version: &VersionId, at: Offset) -> &mut Version {
        let new = Version { seen_at: at, layers: None, vouched_at: None, quarantined: false, proof: None };
        self.known.entry(version.clone()).or_insert(new)
    }

    fn forget_surplus(&mut self) {
        while self.known.len() > VERSIONS_MAX {
            let dispensable = |version: &VersionId| Some(version) != self.baseline.as_ref() && Some(version) != self.serving.as_ref();
            let rank = |known: &Version| (known.vouched_at.is_some() || known.quarantined, known.seen_at);
            let least = self.known.iter().filter(|(version, _)| dispensable(version)).min_by_key(|(_, known)| rank(known));
            let least = least.map(|(version, _)| version.clone()).expect("two versions at most are indispensable");
            self.known.remove(&least);
        }
    }
}
