//! What one simulated session consists of: facts, and when each is reported.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use wire::{Body, Role, VersionId};

use crate::fleet::acts::{Task, answered, asked, ended, model_called, outcome, started, tool_called, tool_returned};

/// How often a session of a good version succeeds.
pub(super) const SUCCESS_OF_GOOD: f64 = 0.95;
/// How often a tool fails whatever the version: well inside the objective of 95 %.
const TOOL_FAILURE: f64 = 0.01;
/// Calls of an agent that goes round in circles: more than anybody needs.
const CIRCLES: usize = 15;
/// How long an angry customer waits for a human before going away.
const PATIENCE: Duration = Duration::from_secs(35);

/// Kinds of tasks, in turn, so that every version meets the same mix.
const SEGMENTS: [Task; 4] = [
    Task { segment: "refund", asks: "I was charged twice, please give one back.", tool: "ledger.search" },
    Task { segment: "address-change", asks: "I have moved, here is my new address.", tool: "customer.update" },
    Task { segment: "invoice-copy", asks: "Please send me the invoice of March again.", tool: "invoice.fetch" },
    Task { segment: "cancellation", asks: "I want to cancel my contract.", tool: "contract.read" },
];

/// A session to be played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    /// The version that serves it; none: a human does.
    pub(super) version: Option<&'a VersionId>,
    /// How many of this version came before it.
    pub(super) ordinal: usize,
    /// How often such a session succeeds.
    pub(super) success: f64,
    /// How it goes.
    pub(super) course: Course,
}

/// How a session goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Course {
    /// As it should.
    Plain,
    /// The customer grows angry, and waits for a human.
    Angry(Grief),
    /// The agent makes one call again and again.
    Circles,
    /// As it should, but slower and with more tokens, by this factor.
    Worn(f64),
}

/// What an angry customer says at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grief {
    /// Only that it gets worse and worse.
    Mood,
    /// That a lawyer will hear of it.
    Law,
    /// That a human shall take over.
    Human,
}

/// A session's facts, each with the time since its start.
struct Script {
    pace: Duration,
    at: Duration,
    facts: Vec<(Duration, Body)>,
}

// === impl Session ===

impl Session<'_> {
    /// Its facts, each with the time since its start.
    pub(super) fn facts(&self, rng: &mut ChaCha8Rng) -> Vec<(Duration, Body)> {
        let task = &SEGMENTS[self.ordinal % SEGMENTS.len()];
        let mut script = Script { pace: Duration::from_millis(rng.random_range(120..240)), at: Duration::ZERO, facts: Vec::new() };
        let mood = f64::from(rng.random_range(-10_i32..30)) / 100.0;
        script.say([started(self.version, task), asked(task.asks, mood, 0)]);
        let (success, by) = match self.course {
            _ if self.version.is_none() => (1.0, Role::Human),
            Course::Plain => self.served(task, 1.0, &mut script, rng),
            Course::Worn(factor) => self.served(task, factor, &mut script, rng),
            Course::Circles => self.circles(task, &mut script, rng),
            Course::Angry(grief) => self.angry(task, grief, &mut script, rng),
        };
        script.say([outcome(rng.random_bool(success), by, rng), ended("completed")]);
        script.facts
    }

    fn served(&self, task: &Task, worn: f64, script: &mut Script, rng: &mut ChaCha8Rng) -> (f64, Role) {
        let customer = rng.random_range(0..100_000);
        let model = model_called(worn, worn, rng);
        let returned = tool_returned(task, rng.random_bool(TOOL_FAILURE), rng);
        script.say([model, tool_called(task, customer), returned, answered("Done. Is there anything else?", 1)]);
        (self.success, Role::Agent)
    }

    fn circles(&self, task: &Task, script: &mut Script, rng: &mut ChaCha8Rng) -> (f64, Role) {
        let customer = rng.random_range(0..100_000);
        script.say([model_called(1.0, 1.0, rng)]);
        for _ in 0..CIRCLES {
            script.say([tool_called(task, customer), tool_returned(task, false, rng)]);
        }
        script.say([answered("I am still looking into it.", 1)]);
        (self.success / 2.0, Role::Agent)
    }

    /// The agent answers, the customer likes it less each time, and then waits for a human. Should none come, it is over.
    fn angry(&self, task: &Task, grief: Grief, script: &mut Script, rng: &mut ChaCha8Rng) -> (f64, Role) {
        let customer = rng.random_range(0..100_000);
        script.say([model_called(1.0, 1.0, rng), tool_called(task, customer), tool_returned(task, false, rng)]);
        for (turn, (says, mood)) in (1..).zip([("That is not what I asked for.", -0.3), ("This is the third time I say it!", -0.6)]) {
            script.say([answered("Could you tell me more?", 2 * turn - 1), asked(says, mood, 2 * turn)]);
        }
        let (says, mood) = match grief {
            Grief::Mood => ("This is useless, I have had enough of it!", -0.9),
            Grief::Law => ("Then you will hear from my lawyer.", -0.7),
            Grief::Human => ("I want to speak to a human, now.", -0.5),
        };
        script.say([answered("Let me see.", 5), asked(says, mood, 6)]);
        script.wait(PATIENCE);
        (0.0, Role::Agent)
    }
}

// === impl Script ===

impl Script {
    fn say<const N: usize>(&mut self, bodies: [Body; N]) {
        for body in bodies {
            self.facts.push((self.at, body));
            self.at += self.pace;
        }
    }

    fn wait(&mut self, time: Duration) {
        self.at += time;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use wire::{Kind, ToolCalled};

    use super::*;

    const COURSES: [Course; 6] = [
        Course::Plain,
        Course::Angry(Grief::Mood),
        Course::Angry(Grief::Law),
        Course::Angry(Grief::Human),
        Course::Circles,
        Course::Worn(3.0),
    ];

    fn facts(version: Option<&VersionId>, course: Course) -> Vec<(Duration, Body)> {
        let session = Session { version, ordinal: 3, success: 0.5, course };
        session.facts(&mut ChaCha8Rng::seed_from_u64(1))
    }

    fn kinds(version: Option<&VersionId>, course: Course) -> Vec<Kind> {
        facts(version, course).iter().map(|(_, body)| body.kind()).collect()
    }

    #[test]
    fn every_session_begins_tells_its_outcome_and_ends() {
        let version = VersionId::from("v1");
        for (version, course) in COURSES.iter().flat_map(|course| [(Some(&version), *course), (None, *course)]) {
            let kinds = kinds(version, course);
            assert_eq!(kinds.first(), Some(&Kind::SessionStarted), "{course:?}");
            assert_eq!(kinds[kinds.len() - 2..], [Kind::OutcomeReported, Kind::SessionEnded], "{course:?}");
        }
    }

    #[test]
    fn what_a_human_handles_calls_no_model() {
        COURSES.iter().for_each(|course| assert!(!kinds(None, *course).contains(&Kind::ModelCalled), "{course:?}"));
    }

    #[test]
    fn every_fact_of_a_session_passes_the_limits_and_none_goes_back_in_time() {
        let version = VersionId::from("v1");
        for course in COURSES {
            let facts = facts(Some(&version), course);
            assert!(facts.is_sorted_by_key(|(at, _)| *at), "{course:?}");
            for (_, body) in facts {
                let mut event = crate::fact::event("/platforms/simulation/agents/billing", "billing", body);
                event.subject = Some("s-1".into());
                assert_eq!(wire::limits::check(&event), []);
            }
        }
    }

    #[test]
    fn the_mood_of_an_angry_customer_only_sinks_and_that_of_others_stays() {
        let version = VersionId::from("v1");
        let moods = |course| -> Vec<f64> {
            let moods = facts(Some(&version), course).into_iter().filter_map(|(_, body)| match body {
                Body::MessagePosted(said) => said.sentiment,
                _ => None,
            });
            moods.collect()
        };
        for grief in [Grief::Mood, Grief::Law] {
            let moods = moods(Course::Angry(grief));
            assert!(moods.len() == 4 && moods.windows(2).all(|pair| pair[1] < pair[0]), "{grief:?}: {moods:?}");
        }
        assert!(moods(Course::Plain).iter().all(|mood| *mood >= -0.1));
    }

    #[test]
    fn going_in_circles_is_one_call_with_the_same_arguments() {
        let version = VersionId::from("v1");
        let calls: Vec<_> = facts(Some(&version), Course::Circles)
            .into_iter()
            .filter_map(|(_, body)| match body {
                Body::ToolCalled(ToolCalled { tool, arguments, .. }) => Some((tool, arguments)),
                _ => None,
            })
            .collect();
        assert!(calls.len() == CIRCLES && calls.iter().all(|call| *call == calls[0]), "{calls:?}");
    }
}
