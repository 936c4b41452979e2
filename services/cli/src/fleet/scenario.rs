//! What happens to the one agent of a fleet that something happens to.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use crate::fleet::Size;
use crate::fleet::sessions::{Course, Grief, SUCCESS_OF_GOOD};

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
    /// Customers grow angry; humans take some of them over, and some wait in vain.
    AngryCustomers,
    /// Some sessions go round in circles: one call, the same arguments.
    Loop,
    /// Answers become slower, longer and a little worse, a bit every session.
    Drift,
    /// More customers come than the budget of tokens is made for.
    Overload,
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
    /// Adopt the policy that the scenario goes by.
    Adopt,
    /// From now on sessions go as the scenario wants it.
    Turn,
}

/// A policy that a scenario adopts, so that what it shows is seen within a minute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adoption {
    /// The room.
    pub(super) room: &'static str,
    /// The document.
    pub(super) document: String,
    /// Why.
    pub(super) reason: &'static str,
}

/// Time in which the baseline gathers outcomes to be compared with.
const WARM_UP: Duration = Duration::from_secs(20);
/// From the start to a trouble that is compared with nothing.
const SOON: Duration = Duration::from_secs(5);
/// Time in which a version's first sessions become its own baseline, 30 of each kind of task.
const BASELINE: Duration = Duration::from_secs(35);
/// From the deployment to what follows it.
const AFTERMATH: Duration = Duration::from_secs(5);
/// Sessions of which one customer is angry.
const ANGRY_EVERY: usize = 12;
/// Sessions of which one goes round in circles.
const CIRCLES_EVERY: usize = 8;
/// How many times as many customers come when too many come.
const RUSH: f64 = 6.0;
/// Tokens of one session, on average, of the simulated model.
const TOKENS_PER_SESSION: f64 = 1_140.0;
/// How many times the usual load the budget is.
const BUDGETED: f64 = 2.0;
/// Seconds in which answers become as slow and long again as they were.
const WORN_TWICE_S: f64 = 20.0;
/// How many times as slow and long they become at most.
const WORN_MAX: f64 = 3.0;

// === impl Scenario ===

impl Scenario {
    /// What is done, and how long after the start.
    pub(super) fn script(self) -> Vec<(Duration, Stroke)> {
        match self {
            Self::Healthy => Vec::new(),
            Self::BadDeploy | Self::Slow => vec![(WARM_UP, Stroke::Deploy)],
            Self::Harm => vec![(WARM_UP, Stroke::Deploy), (WARM_UP + AFTERMATH, Stroke::Harm)],
            Self::Silent => vec![(WARM_UP, Stroke::FallSilent)],
            Self::AngryCustomers => vec![(Duration::ZERO, Stroke::Adopt), (SOON, Stroke::Turn)],
            Self::Loop => vec![(SOON, Stroke::Turn)],
            Self::Drift => vec![(Duration::ZERO, Stroke::Adopt), (BASELINE, Stroke::Turn)],
            Self::Overload => vec![(Duration::ZERO, Stroke::Adopt), (WARM_UP, Stroke::Turn)],
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
            Self::AngryCustomers => "in 5 s some customers of one agent grow angry; two of three find a human in time",
            Self::Loop => "in 5 s some sessions of one agent go round in circles",
            Self::Drift => "in 35 s one agent begins to get slower, wordier and a little worse",
            Self::Overload => "in 20 s six times as many customers come to one agent, past its budget of tokens",
        }
    }

    /// How often a session of the new version succeeds.
    pub(super) fn success_of_new(self) -> f64 {
        match self {
            Self::BadDeploy | Self::Slow => 0.15,
            _ => SUCCESS_OF_GOOD,
        }
    }

    /// How long after an order the platform obeys, given the seconds that it has.
    pub(super) fn obeys_after(self, ack_timeout_s: u64) -> Duration {
        match self {
            Self::Slow => Duration::from_secs(ack_timeout_s + 5),
            _ => Duration::from_millis(800),
        }
    }

    /// How the session with this number goes, so long after the turn.
    pub(super) fn course(self, ordinal: usize, since: Duration) -> Course {
        match self {
            Self::AngryCustomers if ordinal.is_multiple_of(ANGRY_EVERY) => {
                Course::Angry([Grief::Mood, Grief::Human, Grief::Law][ordinal / ANGRY_EVERY % 3])
            }
            Self::Loop if ordinal.is_multiple_of(CIRCLES_EVERY) => Course::Circles,
            Self::Drift => Course::Worn((1.0 + since.as_secs_f64() / WORN_TWICE_S).min(WORN_MAX)),
            _ => Course::Plain,
        }
    }

    /// How often a session succeeds that went so: what is worn fails a little more often.
    pub(super) fn success(self, course: Course, usual: f64) -> f64 {
        match course {
            Course::Worn(factor) => usual - 0.05 * (factor - 1.0),
            _ => usual,
        }
    }

    /// How many times as many sessions start as usual, before the turn and after it.
    pub(super) fn busier(self, turned: bool) -> f64 {
        match self {
            // Each kind of task has a baseline of its own: there must be enough of each.
            Self::Drift => 2.0,
            Self::Overload if turned => RUSH,
            _ => 1.0,
        }
    }

    /// Whether people hear of escalations and take them.
    pub(super) fn has_people(self) -> bool {
        self == Self::AngryCustomers
    }

    /// The policy that it adopts for `agent` of a fleet of this size.
    pub(super) fn adoption(self, agent: &str, size: &Size) -> Option<Adoption> {
        let team = |team: &str| json!({ "team": team });
        let adoption = |room, document: serde_json::Value, reason| Some(Adoption { room, document: document.to_string(), reason });
        match self {
            Self::AngryCustomers => adoption(
                "escalation",
                json!({ "routes": [
                    { "name": "legal", "when": r#"topic in ["legal", "compliance"]"#, "priority": 1, "sla_s": 20, "target": team("legal") },
                    { "name": "human-wished", "when": r#"topic == "human""#, "priority": 2, "sla_s": 15, "target": team("support") },
                    { "name": "angry", "when": r#"trigger == "sentiment""#, "priority": 3, "sla_s": 20, "target": team("support") },
                    { "name": "otherwise", "when": "true", "priority": 4, "sla_s": 30, "target": team("support") },
                ] }),
                "humans have seconds instead of minutes, so that one who is late is seen",
            ),
            Self::Drift => adoption(
                "incident",
                json!({ "drift_baseline": 30 }),
                "a baseline of 30 sessions instead of 100, so that it is soon complete",
            ),
            Self::Overload => {
                let tokens = (size.rate * 60.0 * TOKENS_PER_SESSION * BUDGETED).round();
                adoption("capacity", json!({ "agents": { agent: { "tokens_per_minute": tokens } } }), "twice the tokens of a usual minute")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms;

    const SIZE: Size = Size { agents: 3, seed: 1, rate: 2.0 };

    #[test]
    fn every_policy_that_a_scenario_adopts_is_sound_and_differs_from_the_default() {
        for scenario in Scenario::value_variants() {
            let adopts = scenario.script().iter().any(|(_, stroke)| *stroke == Stroke::Adopt);
            assert_eq!(adopts, scenario.adoption("billing", &SIZE).is_some(), "{scenario:?}");
            let Some(Adoption { room, document, .. }) = scenario.adoption("billing", &SIZE) else { continue };
            let mind = rooms::with_policy(room).expect("the room has a policy");
            assert_ne!((mind.check)(&document), (mind.check)("{}"), "{scenario:?}");
            assert!((mind.check)(&document).is_ok(), "{scenario:?}: {:?}", (mind.check)(&document));
        }
    }

    #[test]
    fn what_is_worn_gets_worse_and_stays_far_from_a_failure_of_most() {
        let course = |seconds| Scenario::Drift.course(0, Duration::from_secs(seconds));
        assert_eq!((course(0), course(20), course(3_600)), (Course::Worn(1.0), Course::Worn(2.0), Course::Worn(WORN_MAX)));
        let success = |course| Scenario::Drift.success(course, SUCCESS_OF_GOOD);
        assert!(success(course(20)) < success(course(0)) && success(course(3_600)) > 0.8);
    }

    #[test]
    fn angry_customers_have_every_grief_in_turn() {
        let griefs: Vec<_> =
            (0..36).map(|ordinal| Scenario::AngryCustomers.course(ordinal, SOON)).filter(|course| *course != Course::Plain).collect();
        assert_eq!(griefs, [Course::Angry(Grief::Mood), Course::Angry(Grief::Human), Course::Angry(Grief::Law)]);
    }
}
