//! One incident as this room lives it: what was asked, ordered and proposed so far. There is one rollback in it at most.

use machine::Shelf;
use serde::{Deserialize, Serialize};
use wire::{IncidentId, Level, Mode, RecordId, VersionId};

/// An open incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) incident: IncidentId,
    /// How bad it is now.
    pub(crate) level: Level,
    /// Harms that the incident room has told of.
    pub(crate) harms: i64,
    /// The one rollback of this episode.
    pub(crate) rollback: Option<RecordId>,
    /// The strictest mode that was proposed.
    proposed_mode: Option<Mode>,
    /// A rollback was proposed.
    proposed_rollback: bool,
    /// What was proposed: at most a rollback and each stricter mode once.
    pub(crate) proposals: Shelf<RecordId, Proposal>,
}

/// What a person may accept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) plan: Plan,
    /// The incident's decision that asked for it.
    pub(crate) cause: RecordId,
    pub(crate) accepted: bool,
}

/// What would be ordered, or is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) level: Level,
    pub(crate) rule: String,
    pub(crate) from: Option<VersionId>,
    pub(crate) to: Option<VersionId>,
    pub(crate) mode: Option<Mode>,
}

// === impl Episode ===

impl Episode {
    pub(crate) fn new(incident: IncidentId, level: Level) -> Self {
        let proposals = Shelf::new();
        Self { incident, level, harms: 0, rollback: None, proposed_mode: None, proposed_rollback: false, proposals }
    }

    /// Of `plan`, what was not proposed yet and is stricter than the mode that stands; `None` if nothing is left.
    pub(crate) fn news(&self, plan: Plan, stands: Mode) -> Option<Plan> {
        let strictest = self.proposed_mode.unwrap_or(Mode::Normal).max(stands);
        let plan = Plan {
            to: plan.to.filter(|_| !self.proposed_rollback && self.rollback.is_none()),
            mode: plan.mode.filter(|mode| *mode > strictest),
            ..plan
        };
        (plan.to.is_some() || plan.mode.is_some()).then_some(plan)
    }

    /// Keeps what is proposed, for a person to accept.
    pub(crate) fn propose(&mut self, id: RecordId, proposal: Proposal) {
        self.proposed_rollback |= proposal.plan.to.is_some();
        self.proposed_mode = self.proposed_mode.max(proposal.plan.mode);
        self.proposals.entry(id).or_insert(proposal);
    }

    /// Takes a proposal that nobody accepted yet.
    pub(crate) fn accept(&mut self, id: &str) -> Option<Proposal> {
        let proposal = self.proposals.get_mut(&RecordId::from(id)).filter(|proposal| !proposal.accepted)?;
        proposal.accepted = true;
        Some(proposal.clone())
    }

    /// Proposals that wait for a person.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&RecordId, &Proposal)> {
        self.proposals.iter().filter(|(_, proposal)| !proposal.accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(to: Option<&str>, mode: Option<Mode>) -> Plan {
        Plan { level: Level::P2, rule: "p2".to_owned(), from: None, to: to.map(Into::into), mode }
    }

    #[test]
    fn nothing_is_proposed_twice() {
        let mut episode = Episode::new("i".into(), Level::P2);
        let proposal = Proposal { plan: plan(Some("v1"), Some(Mode::Reduced)), cause: "opened".into(), accepted: false };
        episode.propose("p".into(), proposal);
        assert_eq!(episode.news(plan(Some("v1"), Some(Mode::Reduced)), Mode::Normal), None);
        let stricter = episode.news(plan(Some("v1"), Some(Mode::HumanOnly)), Mode::Normal).expect("a stricter mode is news");
        assert_eq!((stricter.to, stricter.mode), (None, Some(Mode::HumanOnly)));
    }

    #[test]
    fn a_proposal_is_accepted_once() {
        let mut episode = Episode::new("i".into(), Level::P2);
        episode.propose("p".into(), Proposal { plan: plan(Some("v1"), None), cause: "opened".into(), accepted: false });
        assert!(episode.accept("q").is_none());
        assert!(episode.accept("p").is_some());
        assert!(episode.accept("p").is_none());
    }
}
