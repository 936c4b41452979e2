//! How much an agent may do: which mode stands, whose wish it is, and what it switches off.

use serde::{Deserialize, Serialize};
use wire::Mode;

/// The mode of an agent, as it was last ordered or is about to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModeNow {
    /// The mode.
    pub(crate) mode: Mode,
    /// An incident asked for it, and its end takes it back. What a person set, no incident's end undoes.
    pub(crate) by_incident: bool,
    /// What a person last set, `normal` before: what an incident's end goes back to.
    pub(crate) wish: Mode,
}

// === impl ModeNow ===

impl ModeNow {
    /// A person set it.
    pub(crate) fn wished(&mut self, mode: Mode) {
        *self = Self { mode, by_incident: false, wish: mode };
    }

    /// An incident, or its end, moved it.
    pub(crate) fn moved(&mut self, mode: Mode) {
        self.mode = mode;
        self.by_incident = mode != self.wish;
    }

    /// The mode for the rest of an incident whose rollback is verified: `reduced`, or what a person wants if stricter.
    pub(crate) fn after_verified(&self) -> Option<Mode> {
        let relaxed = self.wish.max(Mode::Reduced);
        (self.by_incident && self.mode > relaxed).then_some(relaxed)
    }

    /// The mode after an incident: the last wish of a person.
    pub(crate) fn after_resolved(&self) -> Option<Mode> {
        self.by_incident.then_some(self.wish)
    }
}

impl Default for ModeNow {
    fn default() -> Self {
        Self { mode: Mode::Normal, by_incident: false, wish: Mode::Normal }
    }
}

/// What a mode switches off, for the platform's people to read.
pub(crate) fn switched_off(mode: Mode) -> Vec<String> {
    let off: &[&str] = match mode {
        // Investigation switches nothing off: it asks the platform for more detail.
        Mode::Normal | Mode::Investigation => &[],
        Mode::Reduced => &[
            "tools with effects outside the conversation (payments, bookings, changes to records)",
            "starting sessions without a customer's request",
            "answers on matters that the agent's platform marks as sensitive",
        ],
        Mode::HumanOnly => &["everything that the agent would send or do without a human's approval"],
    };
    off.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_incident_goes_back_to_what_a_person_wants() {
        let mut now = ModeNow::default();
        now.wished(Mode::Investigation);
        now.moved(Mode::HumanOnly);
        assert_eq!(now.after_resolved(), Some(Mode::Investigation));
    }

    #[test]
    fn what_a_person_set_during_an_incident_stays() {
        let mut now = ModeNow::default();
        now.moved(Mode::HumanOnly);
        now.wished(Mode::HumanOnly);
        assert_eq!((now.after_verified(), now.after_resolved()), (None, None));
    }

    #[test]
    fn only_stricter_modes_switch_anything_off() {
        assert!(switched_off(Mode::Normal).is_empty() && switched_off(Mode::Investigation).is_empty());
        assert!(!switched_off(Mode::Reduced).is_empty() && !switched_off(Mode::HumanOnly).is_empty());
    }
}
