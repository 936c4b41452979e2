//! What platforms and people say in one seed: several agents, a good version, one that may be bad, harms, silences, and
//! facts that are told hours after they happened.

use kit::Teller;
use kit::facts;
use kit::lives::{BIRTH, TEXTS};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use wire::{AccountabilityAssigned, Automation, Body, Event, Kind, Mode, Responsibility, Role, Timestamp};

/// Agents of a seed, at least.
pub const AGENTS_MIN: usize = 3;
/// Facts of a seed, at least; decisions come on top.
pub const FACTS_MIN: usize = 200;

/// How much later a late fact is told than it happened, at least.
pub(crate) const LATE_S_MIN: i64 = 3_600;
/// And at most.
const LATE_S_MAX: i64 = 6 * 3_600;

/// A life in order of time.
pub(crate) fn life(rng: &mut ChaCha8Rng) -> Vec<(Timestamp, Event)> {
    let agents = rng.random_range(AGENTS_MIN..=AGENTS_MIN + 2);
    let mut facts: Vec<(Timestamp, Event)> = (0..agents).flat_map(|number| Agent::new(rng, number).lives(rng)).collect();
    let mut filler = Agent::new(rng, agents);
    while facts.len() < FACTS_MIN {
        facts.extend(filler.lives(rng));
    }
    facts.sort_by_key(|(time, _)| *time);
    facts
}

/// Slows the facts from index `from` to before `to` down until they take `seconds`: as many are told, over hours. What
/// follows comes later by as much.
pub(crate) fn slow_down(facts: &mut [(Timestamp, Event)], from: usize, to: usize, seconds: i64) {
    let begin = facts[from].0;
    let span_us = facts[to.saturating_sub(1)].0.since_us(begin).max(1);
    let stretched_us = (seconds * 1_000_000).max(span_us);
    for (time, event) in &mut facts[from..] {
        let since_us = time.since_us(begin);
        let later_us = since_us.min(span_us) as i128 * (stretched_us - span_us) as i128 / span_us as i128;
        *time = Timestamp(time.0 + later_us as i64);
        event.time = event.time.map(|at| Timestamp(at.0 + later_us as i64));
    }
}

struct Agent {
    name: String,
    platform: Teller,
    person: Teller,
    now: Timestamp,
    sessions: usize,
    facts: Vec<(Timestamp, Event)>,
}

// === impl Agent ===

impl Agent {
    fn new(rng: &mut ChaCha8Rng, number: usize) -> Self {
        let name = format!("agent-{number}");
        let now = BIRTH.plus_s(rng.random_range(0..60));
        let (platform, person) = (Teller::new(&name), Teller::person("ann", &name));
        Self { name, platform, person, now, sessions: 0, facts: Vec::new() }
    }

    /// A good version, then one that is bad more often than not, and whatever else may come between.
    fn lives(&mut self, rng: &mut ChaCha8Rng) -> Vec<(Timestamp, Event)> {
        self.fact(None, facts::deployed("v1"));
        if rng.random_bool(0.85) {
            self.word(facts::baseline("v1"));
        }
        if rng.random_bool(0.2) {
            self.word(facts::automation(Automation::Propose));
        }
        if rng.random_bool(0.2) {
            self.word(AccountabilityAssigned {
                responsibility: Responsibility::AiMl,
                person: "maria".to_owned(),
                author: "ann".to_owned(),
                reason: "she knows it best".to_owned(),
            });
        }
        self.serve(rng, "v1", 0.95);
        self.fact(None, facts::deployed("v2"));
        let goodness = if rng.random_bool(0.7) { 0.05 } else { 0.9 };
        self.serve(rng, "v2", goodness);
        if rng.random_bool(0.5) {
            self.trouble(rng);
        }
        let last = if rng.random_bool(0.6) { "v1" } else { "v2" };
        self.serve(rng, last, 0.95);
        std::mem::take(&mut self.facts)
    }

    fn serve(&mut self, rng: &mut ChaCha8Rng, version: &str, goodness: f64) {
        for _ in 0..rng.random_range(9..19) {
            self.session(rng, version, goodness);
        }
    }

    fn session(&mut self, rng: &mut ChaCha8Rng, version: &str, goodness: f64) {
        self.sessions += 1;
        let id = format!("{}-s{}", self.name, self.sessions);
        let segment = ["refunds", "bookings"].get(rng.random_range(0..3)).copied();
        let first = self.facts.len();
        self.fact(Some(&id), facts::started(version, segment));
        if rng.random_bool(0.5) {
            self.fact(Some(&id), facts::tool_returned(Some(rng.random_bool(0.2))));
        }
        if rng.random_bool(0.4) {
            self.talk(rng, &id);
        }
        self.now = self.now.plus_s(rng.random_range(0..20));
        if rng.random_bool(0.95) {
            self.fact(Some(&id), facts::outcome(Some(rng.random_bool(goodness))));
        }
        if rng.random_bool(0.9) {
            self.fact(Some(&id), facts::ended());
        }
        match rng.random_range(0..40) {
            0 => self.all_late(rng, first),
            1 => self.outcome_late(rng, first),
            _ => {}
        }
        if rng.random_bool(0.1) {
            self.fact(None, facts::heartbeat(60, Some(version)));
        }
        if rng.random_bool(0.03) {
            self.now = self.now.plus_s(rng.random_range(60..4_000));
        }
    }

    /// The platform was cut off: what it has to say of this session comes hours later, in no order.
    fn all_late(&mut self, rng: &mut ChaCha8Rng, first: usize) {
        let hours_s = rng.random_range(LATE_S_MIN..LATE_S_MAX);
        self.facts[first..].iter_mut().for_each(|(told, _)| *told = told.plus_s(hours_s + rng.random_range(0..900)));
    }

    /// The outcome is known hours after the session, as where customers are asked by mail.
    fn outcome_late(&mut self, rng: &mut ChaCha8Rng, first: usize) {
        let hours_s = rng.random_range(LATE_S_MIN..LATE_S_MAX);
        let outcomes = self.facts[first..].iter_mut().filter(|(_, event)| event.body.kind() == Kind::OutcomeReported);
        outcomes.for_each(|(told, _)| *told = told.plus_s(hours_s));
    }

    /// A few turns: the customer says or feels something, the agent calls a tool, its model and decides.
    fn talk(&mut self, rng: &mut ChaCha8Rng, id: &str) {
        let mood = if rng.random_bool(0.3) { -0.8 } else { 0.3 };
        for _ in 0..rng.random_range(1..4) {
            match TEXTS.get(rng.random_range(0..2 * TEXTS.len())) {
                Some(text) => self.fact(Some(id), facts::said(text, Some("en"))),
                None => self.fact(Some(id), facts::felt(rng.random_bool(0.9).then_some(mood), None)),
            }
            for _ in 0..[1, 1, 6][rng.random_range(0..3)] {
                self.fact(Some(id), facts::tool_called("lookup", Some(r#"{"order":7}"#)));
            }
            self.fact(Some(id), facts::model_used(rng.random_range(100..4_000), 120, Some(rng.random_range(200.0..2_000.0))));
            self.fact(Some(id), facts::decided(rng.random_bool(0.5).then(|| rng.random_range(0.0..1.0))));
        }
    }

    fn trouble(&mut self, rng: &mut ChaCha8Rng) {
        match rng.random_range(0..4) {
            0 => (0..rng.random_range(1..6)).for_each(|_| self.fact(None, facts::harm(true))),
            1 => self.fact(None, facts::harm(false)),
            2 => self.burst(rng),
            _ => self.word(facts::mode(if rng.random_bool(0.5) { Mode::HumanOnly } else { Mode::Normal })),
        }
    }

    fn burst(&mut self, rng: &mut ChaCha8Rng) {
        let id = format!("{}-burst", self.name);
        for _ in 0..rng.random_range(30..50) {
            let mut returned = facts::tool_returned(Some(rng.random_bool(0.95)));
            returned.by = Role::Agent;
            returned.version = Some("v2".into());
            self.fact(Some(&id), returned);
        }
    }

    fn fact(&mut self, session: Option<&str>, body: impl Into<Body>) {
        self.now = self.now.plus_s(1);
        let event = self.platform.tell(self.now, session, body);
        self.facts.push((self.now, event));
    }

    fn word(&mut self, body: impl Into<Body>) {
        let event = self.person.tell(self.now, None, body);
        self.facts.push((self.now, event));
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn facts_that_are_slowed_down_keep_their_order_and_how_late_they_are_told() {
        let before = life(&mut ChaCha8Rng::seed_from_u64(1));
        let mut after = before.clone();
        slow_down(&mut after, 20, 60, 7_200);
        assert!(after.is_sorted_by_key(|(time, _)| *time));
        assert_eq!(after[..=20], before[..=20]);
        assert!(after[59].0.since_us(after[20].0) >= 7_200 * 1_000_000);
        let late = |facts: &[(Timestamp, Event)]| -> Vec<Option<i64>> {
            facts.iter().map(|(told, event)| event.time.map(|happened| told.since_us(happened))).collect()
        };
        assert_eq!(late(&after), late(&before));
    }
}
