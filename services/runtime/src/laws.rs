//! Invariants of the runtime, each with an id: broken, it panics in debug builds and is counted in production.

use machine::mutants::{self, Mutant};

use crate::facts::{Fact, LawViolated};

/// An invariant that the code relies on and that a reader of a dashboard can look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A decision that was committed is folded as an echo before the fold passes the offset that its delivery reported.
    EchoComesHome,
    /// A restored state reaches at least as far as the consumer group had committed.
    RestoreReachesCommitted,
    /// A commit that succeeds reports one offset per decision.
    EveryDecisionIsDelivered,
}

// === impl Law ===

impl Law {
    /// Every law.
    pub const ALL: &[Self] = &[Self::EchoComesHome, Self::RestoreReachesCommitted, Self::EveryDecisionIsDelivered];

    /// Its name in `reeve_law_violations_total{law}`.
    pub fn id(self) -> &'static str {
        match self {
            Self::EchoComesHome => "echo_comes_home",
            Self::RestoreReachesCommitted => "restore_reaches_committed",
            Self::EveryDecisionIsDelivered => "every_decision_is_delivered",
        }
    }
}

/// Reports that `law` does not hold: `check!` calls this.
///
/// # Panics
/// In debug builds, unless a rule is broken on purpose: then the simulator judges by the log, not by a panic.
pub fn violated(law: Law, detail: String) {
    LawViolated { law: law.id(), detail: &detail }.emit();
    if cfg!(debug_assertions) && !broken_on_purpose() {
        panic!("law {} does not hold: {detail}", law.id());
    }
}

/// Checks an invariant: `check!(Law::EchoComesHome, condition, "what was seen: {}", value)`.
#[macro_export]
macro_rules! check {
    ($law:expr, $holds:expr, $($detail:tt)+) => {
        if !$holds {
            $crate::laws::violated($law, format!($($detail)+));
        }
    };
}

fn broken_on_purpose() -> bool {
    const RULES: [Mutant; 9] = [
        Mutant::AskBeforeRestored,
        Mutant::NoGroupMetadata,
        Mutant::CountedIds,
        Mutant::WrongPartition,
        Mutant::UnlatchedDebts,
        Mutant::EchoSettlesAll,
        Mutant::WallClockAlways,
        Mutant::SilenceIsEvidence,
        Mutant::SeenEndIsTheEnd,
    ];
    RULES.into_iter().any(mutants::broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_that_holds_says_nothing() {
        check!(Law::EchoComesHome, 1 + 1 == 2, "arithmetic");
    }

    #[test]
    #[should_panic(expected = "law echo_comes_home does not hold: decision 7")]
    #[cfg(debug_assertions)]
    fn a_broken_law_panics_in_debug_builds() {
        check!(Law::EchoComesHome, 1 + 1 == 3, "decision {}", 7);
    }
}
