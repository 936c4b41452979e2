//! What happens to the one agent of a fleet that something happens to.

use std::time::Duration;

use clap::ValueEnum;

/// A story that the fleet plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nothing out of the ordinary.
    Healthy,
    /// A new version is deployed and fails most of its sessions.
    BadDeploy,
    /// A new version is deployed and does a confirmed harm.
    Harm,
    /// As bad-deploy, and the platform obeys only after the time it has.
    Slow,
    /// The platform falls silent: no heartbeats, no sessions.
    Silent,
}

/// Something that the script of a scenario does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    /// Put a new version into service.
    Deploy,
    /// Report a confirmed harm in a session of the version that serves.
    Harm,
    /// Say nothing from now on.
    FallSilent,
}

/// Time in which the baseline gathers outcomes to be compared with.
const WARM_UP: Duration = Duration::from_secs(20);
/// From the deployment to what follows it.
const AFTERMATH: Duration = Duration::from_secs(5);

// === impl Scenario ===

impl Scenario {
    /// What is done, and how long after the start.
    pub(super) fn script(self) -> Vec<(Duration, Stroke)> {
        match self {
            Self::Healthy => Vec::new(),
            Self::BadDeploy | Self::Slow => vec![(WARM_UP, Stroke::Deploy)],
            Self::Harm => vec![(WARM_UP, Stroke::Deploy), (WARM_UP + AFTERMATH, Stroke::Harm)],
            Self::Silent => vec![(WARM_UP, Stroke::FallSilent)],
        }
    }

    /// What happens, in a few words.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Healthy => "nothing out of the ordinary",
            Self::BadDeploy => "in 20 s a new version is deployed that fails most of its sessions",
            Self::Harm => "in 20 s a new version is deployed that does a confirmed harm",
            Self::Slow => "in 20 s a new version goes bad, and its platform obeys too late",
            Self::Silent => "in 20 s one platform falls silent",
        }
    }

    /// How often a session of the new version succeeds.
    pub(super) fn success_of_new(self) -> f64 {
        match self {
            Self::BadDeploy | Self::Slow => 0.15,
            _ => super::sessions::SUCCESS_OF_GOOD,
        }
    }

    /// How long after an order the platform obeys, given the seconds that it has.
    pub(super) fn obeys_after(self, ack_timeout_s: u64) -> Duration {
        match self {
            Self::Slow => Duration::from_secs(ack_timeout_s + 5),
            _ => Duration::from_millis(800),
        }
    }
}
