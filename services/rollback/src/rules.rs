//! What an incident asks for: predicates without state.

use wire::{Automation, Level, Mode, VersionId};

/// The rule of a P3: nothing else follows from one.
pub(crate) const P3: &str = "p3";

/// What an incident asks for at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) rollback: bool,
    pub(crate) mode: Option<Mode>,
    pub(crate) rule: &'static str,
}

/// What is known when an incident is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) level: Level,
    /// The incident names a version as its cause.
    pub(crate) names_version: bool,
    /// There is a version to go back to.
    pub(crate) target: bool,
    /// A rollback was ordered in this episode: there is no second one.
    pub(crate) rolled_back: bool,
}

/// P1: rollback and human-only mode. P2 that names a version: rollback. Other P2: reduced mode. Where nothing can be
/// gone back to: human-only mode. P3: investigation mode, whichever version it names: nothing that a user would notice.
pub(crate) fn wanted(situation: Situation) -> Wanted {
    let Situation { level, names_version, target, rolled_back } = situation;
    let may_roll_back = target && !rolled_back;
    match level {
        Level::P1 if may_roll_back => Wanted { rollback: true, mode: Some(Mode::HumanOnly), rule: "p1" },
        Level::P1 if rolled_back => Wanted { rollback: false, mode: Some(Mode::HumanOnly), rule: "p1_again" },
        Level::P1 => Wanted { rollback: false, mode: Some(Mode::HumanOnly), rule: "p1_without_target" },
        Level::P2 if names_version && may_roll_back => Wanted { rollback: true, mode: None, rule: "p2_names_version" },
        Level::P2 if names_version && !rolled_back => Wanted { rollback: false, mode: Some(Mode::HumanOnly), rule: "p2_without_target" },
        Level::P2 => Wanted { rollback: false, mode: Some(Mode::Reduced), rule: "p2" },
        Level::P3 => Wanted { rollback: false, mode: Some(Mode::Investigation), rule: P3 },
    }
}

/// Whether a version cannot prove itself while an incident of this level is open.
pub(crate) fn disproves(level: Level) -> bool {
    matches!(level, Level::P1 | Level::P2)
}

/// What Reeve may do by itself: what a person set; else `enforce` once a baseline is declared, else `observe`.
pub(crate) fn automation(set: Option<Automation>, baseline: Option<&VersionId>) -> Automation {
    set.unwrap_or(if baseline.is_some() { Automation::Enforce } else { Automation::Observe })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(level: Level, names_version: bool, target: bool, rolled_back: bool) -> (bool, Option<Mode>) {
        let wanted = wanted(Situation { level, names_version, target, rolled_back });
        (wanted.rollback, wanted.mode)
    }

    #[test]
    fn a_p1_asks_for_a_rollback_and_for_humans_only() {
        assert_eq!(asked(Level::P1, false, true, false), (true, Some(Mode::HumanOnly)));
        assert_eq!(asked(Level::P1, true, true, true), (false, Some(Mode::HumanOnly)));
    }

    #[test]
    fn a_p2_asks_for_a_rollback_only_if_it_names_a_version() {
        assert_eq!(asked(Level::P2, true, true, false), (true, None));
        assert_eq!(asked(Level::P2, false, true, false), (false, Some(Mode::Reduced)));
    }

    #[test]
    fn a_p3_asks_for_investigation_and_never_for_a_rollback() {
        for (names_version, target, rolled_back) in [(false, false, false), (true, true, false), (true, true, true)] {
            assert_eq!(asked(Level::P3, names_version, target, rolled_back), (false, Some(Mode::Investigation)));
        }
    }

    #[test]
    fn without_a_target_a_rollback_becomes_human_only_mode() {
        assert_eq!(asked(Level::P1, false, false, false), (false, Some(Mode::HumanOnly)));
        assert_eq!(asked(Level::P2, true, false, false), (false, Some(Mode::HumanOnly)));
        assert_eq!(asked(Level::P2, false, false, false), (false, Some(Mode::Reduced)));
    }

    #[test]
    fn a_declared_baseline_is_what_hands_an_agent_over() {
        let baseline = VersionId::from("v1");
        assert_eq!(automation(None, None), Automation::Observe);
        assert_eq!(automation(None, Some(&baseline)), Automation::Enforce);
        assert_eq!(automation(Some(Automation::Propose), Some(&baseline)), Automation::Propose);
    }
}
