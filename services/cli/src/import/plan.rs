//! What is published, and in which order: by time, then session, then turn; what has no time keeps the files' order.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AgentId, Body, VersionId};

use super::facts::{self, Fact};
use super::lines::Fault;

/// Facts that one import holds in memory.
pub(super) const FACTS_MAX: usize = 10_000_000;

/// The facts of all files, session by session, as they are read.
#[derive(Default)]
pub(super) struct Plan {
    facts: Vec<Fact>,
    sessions: usize,
    agents: BTreeMap<AgentId, Seen>,
}

/// What the files tell of an agent.
struct Seen {
    versions: BTreeSet<VersionId>,
    /// Source and id of the least of its sessions, whatever the order of the lines.
    least: (String, String),
}

// === impl Plan ===

impl Plan {
    /// Adds the facts of a session.
    pub(super) fn add(&mut self, session: Vec<Fact>) {
        for fact in &session {
            if let (Body::SessionStarted(started), Some(id)) = (&fact.event.body, &fact.event.subject) {
                self.sessions += 1;
                let name = (fact.source.clone(), id.as_str().to_owned());
                let seen = self.agents.entry(fact.event.key.clone());
                let seen = seen.or_insert_with(|| Seen { versions: BTreeSet::new(), least: name.clone() });
                seen.least = seen.least.clone().min(name);
                seen.versions.extend(started.version.clone());
            }
        }
        self.facts.extend(session);
    }

    /// Sessions so far.
    pub(super) fn sessions(&self) -> usize {
        self.sessions
    }

    /// Whether no more can be added.
    pub(super) fn is_full(&self) -> bool {
        self.facts.len() >= FACTS_MAX
    }

    /// Agents that `version` served.
    pub(super) fn served_by(&self, version: &VersionId) -> usize {
        self.agents.values().filter(|seen| seen.versions.contains(version)).count()
    }

    /// Every fact in the order of publishing, with `baseline` declared before the first fact of each agent it served.
    ///
    /// # Errors
    /// When the baseline's name is refused.
    pub(super) fn in_order(mut self, baseline: Option<&VersionId>) -> Result<Vec<Fact>, Fault> {
        let (mut dated, undated): (Vec<_>, Vec<_>) = self.facts.into_iter().partition(|fact| fact.at.is_some());
        dated.sort_by(|a, b| standing(a).cmp(&standing(b)));
        let Some(baseline) = baseline else {
            dated.extend(undated);
            return Ok(dated);
        };
        self.agents.retain(|_, seen| seen.versions.contains(baseline));
        let mut ordered = Vec::with_capacity(dated.len() + undated.len() + self.agents.len());
        for fact in dated.into_iter().chain(undated) {
            if let Some(seen) = self.agents.remove(&fact.event.key) {
                ordered.push(facts::baseline(baseline, &fact, &seen.least)?);
            }
            ordered.push(fact);
        }
        Ok(ordered)
    }
}

/// Ties in time are broken by session, then turn; the source tells sessions of one name apart.
fn standing(fact: &Fact) -> impl Ord + '_ {
    (fact.at, fact.event.subject.as_ref(), fact.source.as_str(), fact.step)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use wire::Timestamp;

    use super::super::facts::{Naming, Step, of_session};
    use super::super::lines::Place;
    use super::super::recording::Session;
    use super::*;

    #[test]
    fn time_comes_first_then_the_session_and_the_undated_last_in_their_order() {
        let plan = plan_of(&[("z", Some(5), "v1"), ("b", None, "v1"), ("y", Some(5), "v1"), ("x", Some(9), "v1"), ("a", None, "v1")]);
        let ordered = plan.in_order(None).expect("nothing is refused");
        let started: Vec<_> = ordered.iter().filter(|fact| fact.step == Step::Started).map(session_of).collect();
        assert_eq!(started, ["y", "z", "x", "b", "a"]);
    }

    #[test]
    fn a_baseline_is_declared_once_before_everything_that_its_agent_did() {
        let plan = plan_of(&[("z", Some(5), "v2"), ("y", Some(6), "v1"), ("b", None, "v1")]);
        assert_eq!(plan.served_by(&"v1".into()), 1);
        let ordered = plan.in_order(Some(&"v1".into())).expect("nothing is refused");
        let declared: Vec<_> = (0..).zip(&ordered).filter(|(_, fact)| matches!(fact.event.body, Body::BaselineDeclared(_))).collect();
        let [(0, word)] = declared[..] else { panic!("one word, at the beginning: {declared:?}") };
        assert_eq!(word.event.time, Some(second(5)));
    }

    #[test]
    fn a_version_that_served_nobody_is_no_baseline() {
        let plan = plan_of(&[("z", Some(5), "v2")]);
        assert_eq!(plan.served_by(&"v1".into()), 0);
    }

    #[test]
    fn the_order_of_lines_changes_neither_the_facts_nor_the_word() {
        let lines = [("z", Some(5), "v2"), ("y", Some(6), "v1"), ("x", Some(6), "v2")];
        let mut turned_round = lines;
        turned_round.reverse();
        let events = |lines| -> Vec<_> {
            plan_of(lines).in_order(Some(&"v1".into())).expect("nothing is refused").into_iter().map(|fact| fact.event).collect()
        };
        assert_eq!(events(&lines), events(&turned_round));
    }

    fn plan_of(sessions: &[(&str, Option<i64>, &str)]) -> Plan {
        let mut plan = Plan::default();
        for (line, (id, started, version)) in (1..).zip(sessions) {
            let session = Session {
                id: (*id).to_owned(),
                domain: Some("travel".to_owned()),
                agent_model: Some((*version).to_owned()),
                started_at: started.map(second),
                ended_at: started.map(|started| second(started + 60)),
                ..Session::default()
            };
            let place = Place { file: PathBuf::from("s.jsonl"), line, turn: None };
            plan.add(of_session(&session, &place, &Naming::default()).expect("nothing is refused"));
        }
        plan
    }

    fn session_of(fact: &Fact) -> &str {
        fact.event.subject.as_ref().map_or("", |session| session.as_str())
    }

    fn second(second: i64) -> Timestamp {
        Timestamp(1_750_000_000_000_000).plus_s(second)
    }
}
