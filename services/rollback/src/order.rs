//! The life of one order: owed, on the log, acknowledged; it ends verified or failed, and never twice.
//!
//! Nobody's word alone ends it well. The platform must acknowledge in time *and* the facts that follow must show the
//! version serving: so many sightings in a row, a sighting of another version begins the count anew.

use serde::{Deserialize, Serialize};
use wire::{IncidentId, RecordId, RollbackOrdered, Timestamp, VersionId};

/// An order that comes home within a transaction's longest life counts from the time at which it was decided, so that
/// facts which cross it on its way change nothing. One that comes home later counts from its append time: a room that
/// lags behind must not take its own lateness for the platform's.
const HOME_WITHIN_S: i64 = 5;

/// An order that has not ended yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: RecordId,
    pub(crate) incident: IncidentId,
    /// The incident's decision that asked for it.
    pub(crate) cause: RecordId,
    pub(crate) hops: u8,
    /// Version of the policy that gave it its deadlines.
    pub(crate) policy: String,
    pub(crate) from: Option<VersionId>,
    pub(crate) to: VersionId,
    ack_timeout_s: i64,
    verify_timeout_s: i64,
    /// Sightings in a row that show the version serving.
    pub(crate) needed: u32,
    pub(crate) stage: Stage,
}

/// How far an order has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Not on the log yet, or on its way. It has no deadline: the platform cannot know it.
    Owed,
    /// On the log; an acknowledgement appended at or before `until` is in time.
    Ordered { since: Timestamp, until: Timestamp },
    /// Acknowledged; sightings appended at or before `until` count.
    Acknowledged { since: Timestamp, until: Timestamp, ack: RecordId, sightings: Vec<RecordId> },
}

/// Why an order failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NoAcknowledgement,
    Refused,
    NotServing,
}

// === impl Order ===

impl Order {
    /// The order that `body` gives, before its echo.
    pub(crate) fn new(id: RecordId, cause: RecordId, hops: u8, needed: u32, body: &RollbackOrdered) -> Self {
        Self {
            id,
            incident: body.incident_id.clone(),
            cause,
            hops,
            policy: body.basis.policy.clone(),
            from: body.from_version.clone(),
            to: body.to_version.clone(),
            ack_timeout_s: body.ack_timeout_s,
            verify_timeout_s: body.verify_timeout_s,
            needed,
            stage: Stage::Owed,
        }
    }

    /// The order came home, decided at `decided` and appended at `appended`: now the platform can know it.
    pub(crate) fn came_home(&mut self, decided: Timestamp, appended: Timestamp) {
        if self.stage == Stage::Owed {
            let since = if appended <= decided.plus_s(HOME_WITHIN_S) { decided } else { appended };
            self.stage = Stage::Ordered { since, until: since.plus_s(self.ack_timeout_s) };
        }
    }

    /// From `since` to `until` the platform could not be heard: that time does not count against it.
    pub(crate) fn door_was_shut(&mut self, since: Timestamp, opened: Timestamp) {
        let shut_us = opened.since_us(since).max(0);
        match &mut self.stage {
            Stage::Ordered { until, .. } | Stage::Acknowledged { until, .. } if *until > since => {
                *until = Timestamp(until.0.saturating_add(shut_us))
            }
            _ => {}
        }
    }

    /// The platform accepts it. In time, if it is called at all: a missed deadline ended the order before.
    ///
    /// An acknowledgement may cross the echo of its order: then the order was on the log, and it counts.
    pub(crate) fn acknowledged(&mut self, ack: &RecordId, at: Timestamp) {
        let since = match self.stage {
            Stage::Owed => at,
            Stage::Ordered { since, .. } => since,
            Stage::Acknowledged { .. } => return,
        };
        self.stage = Stage::Acknowledged { since, until: at.plus_s(self.verify_timeout_s), ack: ack.clone(), sightings: Vec::new() };
    }

    /// A fact shows a version serving. Before the acknowledgement it shows nothing about the order.
    pub(crate) fn sighted(&mut self, version: &VersionId, by: &RecordId) {
        let Stage::Acknowledged { sightings, .. } = &mut self.stage else { return };
        if *version == self.to {
            sightings.push(by.clone());
        } else {
            sightings.clear();
        }
    }

    /// Whether the facts show that the order took.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(&self.stage, Stage::Acknowledged { sightings, .. } if sightings.len() >= self.needed as usize)
    }

    /// The first moment at which it is too late.
    pub(crate) fn overdue_at(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Owed => None,
            Stage::Ordered { until, .. } | Stage::Acknowledged { until, .. } => Some(Timestamp(until.0.saturating_add(1))),
        }
    }

    /// What a missed deadline means at this stage.
    pub(crate) fn failure(&self) -> Failure {
        match self.stage {
            Stage::Owed | Stage::Ordered { .. } => Failure::NoAcknowledgement,
            Stage::Acknowledged { .. } => Failure::NotServing,
        }
    }

    /// When it was given, as its deadlines count it.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Owed => None,
            Stage::Ordered { since, .. } | Stage::Acknowledged { since, .. } => Some(since),
        }
    }

    /// The records that tell of it: the incident's decision, the order, the acknowledgement, the sightings.
    pub(crate) fn evidence(&self) -> Vec<&RecordId> {
        let mut evidence = vec![&self.cause, &self.id];
        if let Stage::Acknowledged { ack, sightings, .. } = &self.stage {
            evidence.push(ack);
            evidence.extend(sightings);
        }
        evidence
    }
}

// === impl Failure ===

impl Failure {
    /// The symbol on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoAcknowledgement => "no_acknowledgement",
            Self::Refused => "refused",
            Self::NotServing => "not_serving",
        }
    }

    /// For people, after "because".
    pub(crate) fn because(self) -> &'static str {
        match self {
            Self::NoAcknowledgement => "the platform did not acknowledge it in time",
            Self::Refused => "the platform refused it",
            Self::NotServing => "no facts showed the version serving in time",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            id: "order".into(),
            incident: "incident".into(),
            cause: "opened".into(),
            hops: 2,
            policy: "default".to_owned(),
            from: Some("v2".into()),
            to: "v1".into(),
            ack_timeout_s: 60,
            verify_timeout_s: 600,
            needed: 2,
            stage: Stage::Owed,
        }
    }

    #[test]
    fn a_room_that_lags_does_not_take_its_own_lateness_for_the_platforms() {
        let (mut prompt, mut late) = (order(), order());
        prompt.came_home(Timestamp(0), Timestamp(4_000_000));
        late.came_home(Timestamp(0), Timestamp(400_000_000));
        assert_eq!(prompt.overdue_at(), Some(Timestamp(60_000_001)));
        assert_eq!(late.overdue_at(), Some(Timestamp(460_000_001)));
    }

    #[test]
    fn an_echo_that_comes_again_does_not_move_the_deadline() {
        let mut order = order();
        order.came_home(Timestamp(0), Timestamp(0));
        order.came_home(Timestamp(9_000_000), Timestamp(9_000_000));
        assert_eq!(order.overdue_at(), Some(Timestamp(60_000_001)));
    }

    #[test]
    fn a_sighting_of_another_version_begins_the_count_anew() {
        let mut order = order();
        order.came_home(Timestamp(0), Timestamp(0));
        order.acknowledged(&"ack".into(), Timestamp(1));
        for (version, verified) in [("v1", false), ("v2", false), ("v1", false), ("v1", true)] {
            order.sighted(&version.into(), &"fact".into());
            assert_eq!(order.is_verified(), verified);
        }
    }

    #[test]
    fn sightings_before_the_acknowledgement_show_nothing() {
        let mut order = order();
        order.came_home(Timestamp(0), Timestamp(0));
        (0..9).for_each(|_| order.sighted(&"v1".into(), &"fact".into()));
        order.acknowledged(&"ack".into(), Timestamp(1));
        assert!(!order.is_verified());
    }
}
