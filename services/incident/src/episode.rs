//! One incident of one agent, from what opened it to its end, and how findings become decisions about it.

use std::collections::VecDeque;

use machine::{Debt, Shelf, columns};
use wire::record::decision_id;
use wire::{
    IncidentAggravated, IncidentEased, IncidentId, IncidentNoted, IncidentOpened, IncidentResolved, Level, NoteAction, RecordId,
    Responsibility, Timestamp, VersionId,
};

use crate::finding::{Desk, Finding, Rule, Trigger};
use crate::policy::Policy;
use crate::rules;

/// Rules and named versions that one incident tells apart. Beyond it they still count, without a word of their own.
pub(crate) const CAUSES_MAX: usize = 64;
/// What people said about an incident that is kept for them to see.
const NOTES_MAX: usize = 8;
/// Bytes of one note that are kept.
const NOTE_BYTES_MAX: usize = 256;

/// An incident under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Episode {
    pub(crate) incident_id: IncidentId,
    /// The record that opened it, as published or to be published.
    pub(crate) opened_id: RecordId,
    pub(crate) opened_at: Timestamp,
    pub(crate) level: Level,
    pub(crate) worst: Level,
    pub(crate) provisional: bool,
    pub(crate) harms: u64,
    /// How often it eased, or a person pardoned a version: what is said again after that is another word.
    pub(crate) turns: u64,
    pub(crate) causes: Shelf<(Rule, Option<VersionId>), Cause>,
    /// Since when nothing is wrong any more.
    pub(crate) calm: Option<Calm>,
    pub(crate) notes: VecDeque<(NoteAction, String, String)>,
}

/// One thing that is or was wrong during an incident.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) level: Level,
    pub(crate) active: bool,
    /// When it last happened.
    at: Timestamp,
    /// Facts since then.
    facts: u64,
    /// Sessions started since then.
    sessions: u64,
    /// Sessions in a row that the named version did not start.
    away: u64,
    /// Sessions started since a rollback was verified: for a regression, one from the version that it names.
    verified: Option<u64>,
    /// Of a P3, what was found last: it opens an incident of its own if it is left when the rest is over.
    found: Option<Box<Finding>>,
}

/// Nothing is wrong, but it is early to say so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Calm {
    pub(crate) since: Timestamp,
    pub(crate) sessions: u64,
}

/// What became of an incident at a fact.
pub(crate) enum Recovery {
    /// It goes on as it was.
    Unchanged,
    /// The worst that still holds is less bad.
    Eased { from: Level },
    /// Nothing but P3 was wrong for long enough: what was grave is over.
    Left,
    /// Nothing was wrong for long enough.
    Over,
}

/// Why an incident is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<'a> {
    /// Nothing is wrong any more.
    Recovered,
    /// Nothing grave is: a P3 incident takes what is left.
    Left,
    /// A person says so.
    By(&'a str),
}

columns!(Episode { incident_id, opened_id, opened_at, level, worst, provisional, harms, turns, causes, calm, notes });
columns!(Cause { level, active, at, facts, sessions, away, verified, found });
columns!(Calm { since, sessions });

// === impl Episode ===

impl Episode {
    /// Opens an incident over a finding.
    pub(crate) fn open(finding: Finding, trigger: &Trigger, desk: Desk<'_>) -> (Self, Debt) {
        Self::open_as(["incident", "opened"], finding, trigger, desk)
    }

    /// `names`: from which the ids of the incident and of its opening derive, beside the record at which it opens.
    fn open_as(names: [&str; 2], finding: Finding, trigger: &Trigger, desk: Desk<'_>) -> (Self, Debt) {
        let [incident_id, opened_id] = names.map(|name| decision_id("incident", desk.agent.as_str(), &trigger.opener(), name, 0));
        let incident_id = IncidentId::from(incident_id.as_str());
        let harms = u64::from(finding.rule == Rule::Harm);
        let episode = Self {
            incident_id: incident_id.clone(),
            opened_id,
            opened_at: trigger.at,
            level: finding.level,
            worst: finding.level,
            provisional: finding.provisional,
            harms,
            turns: 0,
            causes: Shelf::from([((finding.rule, finding.version.clone()), Cause::of(&finding, trigger.at))]),
            calm: None,
            notes: VecDeque::new(),
        };
        let basis = desk.basis(finding.rule.name(), finding.rule.responsibility(), causes([&trigger.id], &finding.evidence));
        let body = IncidentOpened {
            agent_id: desk.agent.clone(),
            incident_id,
            level: finding.level,
            provisional: finding.provisional,
            version: finding.version,
            against: finding.against,
            session_id: finding.session,
            harms: signed(harms),
            numbers: finding.numbers,
            summary: finding.summary,
            basis,
        };
        let debt = desk.debt(episode.opened_id.clone(), trigger, body);
        (episode, debt)
    }

    /// The incident that an opening tells of which this state does not owe: it was decided on less than is known now.
    pub(crate) fn adopt(opened_id: RecordId, opened: &IncidentOpened, at: Timestamp) -> Self {
        let causes = Finding::opened(opened).map(|found| ((found.rule, found.version.clone()), Cause::of(&found, at)));
        Self {
            incident_id: opened.incident_id.clone(),
            opened_id,
            opened_at: opened.basis.now,
            level: opened.level,
            worst: opened.level,
            provisional: opened.provisional,
            harms: opened.harms.unsigned_abs(),
            turns: 0,
            causes: causes.into_iter().collect(),
            calm: None,
            notes: VecDeque::new(),
        }
    }

    /// A further finding. It is counted in any case, and worth a word if the incident is worse for it or better known.
    pub(crate) fn join(&mut self, finding: Finding, trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        let from_level = self.level;
        let (name, ordinal) = self.weigh(&finding, trigger)?;
        let id = self.decision_id(desk, &name, ordinal);
        let basis =
            desk.basis(finding.rule.name(), finding.rule.responsibility(), causes([&trigger.id, &self.opened_id], &finding.evidence));
        let body = IncidentAggravated {
            agent_id: desk.agent.clone(),
            incident_id: self.incident_id.clone(),
            level: self.level,
            from_level,
            provisional: self.provisional,
            version: finding.version,
            against: finding.against,
            session_id: finding.session,
            harms: signed(self.harms),
            numbers: finding.numbers,
            summary: finding.summary,
            basis,
        };
        Some(desk.debt(id, trigger, body))
    }

    /// Whether a finding that names no version would be worth a word.
    pub(crate) fn would_speak_of(&self, rule: Rule, level: Level) -> bool {
        level < self.level || !self.causes.contains_key(&(rule, None)) && self.causes.len() < CAUSES_MAX
    }

    /// Takes a finding in and names the word that it is worth.
    fn weigh(&mut self, finding: &Finding, trigger: &Trigger) -> Option<(String, u64)> {
        let known = (finding.rule, finding.version.clone());
        let is_new = !self.causes.contains_key(&known) && self.causes.len() < CAUSES_MAX;
        let rises = finding.level < self.level && trigger.may;
        let before = self.causes.get(&known);
        let harms_again = finding.rule == Rule::Harm && before.is_some_and(|before| !before.active || before.verified.is_some());
        let confirms = finding.rule == Rule::Harm && self.provisional && !finding.provisional && trigger.may;
        self.harms += u64::from(finding.rule == Rule::Harm);
        if !trigger.may {
            return None;
        }
        let key = if is_new || self.causes.contains_key(&known) { known } else { (finding.rule, None) };
        self.causes.insert(key, Cause::of(finding, trigger.at));
        // A P3 neither makes a graver incident longer nor calls anybody who was called: it joins, and is told if it is left.
        if finding.level == Level::P3 && self.level < Level::P3 {
            return None;
        }
        self.calm = None;
        if rises {
            self.level = finding.level;
            self.worst = self.worst.min(finding.level);
            self.provisional = finding.provisional;
        } else if confirms {
            self.provisional = false;
        }
        if rises || is_new {
            let version = finding.version.as_ref().map_or("", VersionId::as_str);
            return Some((format!("aggravated:{}:{}:{version}", self.level, finding.rule.name()), self.turns));
        }
        if confirms {
            return Some(("aggravated:confirmed".to_owned(), self.turns));
        }
        let tells = finding.rule == Rule::Harm && (harms_again || rules::is_worth_a_word(self.harms));
        tells.then(|| ("aggravated:harms".to_owned(), self.harms))
    }

    /// An aggravation that this state does not owe: it was decided on less than is known now. A reason that is known
    /// already is a repeated record's.
    pub(crate) fn absorb(&mut self, said: &IncidentAggravated, at: Timestamp) {
        let Some(found) = Finding::aggravated(said) else { return };
        let key = (found.rule, said.version.clone());
        if self.causes.contains_key(&key) || self.causes.len() >= CAUSES_MAX {
            return;
        }
        self.causes.insert(key, Cause::of(&found, at));
        if said.level < self.level {
            self.level = said.level;
            self.provisional = said.provisional;
        }
        self.worst = self.worst.min(said.level);
        self.calm = None;
    }

    /// One more fact of the agent; `started`: a session, with its version.
    pub(crate) fn saw_fact(&mut self, started: Option<Option<&VersionId>>) {
        for ((_, named), cause) in self.causes.iter_mut().filter(|(_, cause)| cause.active) {
            cause.facts += 1;
            if let Some(version) = started {
                cause.sessions += 1;
                // A session that does not tell its version shows no version away.
                if version.is_some() {
                    cause.away = if named.as_ref() == version { 0 } else { cause.away + 1 };
                }
                cause.verified = cause.verified.map(|sessions| sessions + 1);
            }
        }
        if let Some(calm) = self.calm.as_mut().filter(|_| started.is_some()) {
            calm.sessions += 1;
        }
    }

    /// A rollback is verified: what it took back is on its way out, and a harm from now on is a harm in spite of it.
    pub(crate) fn saw_verified(&mut self, from: Option<&VersionId>) {
        for ((rule, named), cause) in &mut self.causes {
            let took_back = matches!(rule, Rule::Regression(_) | Rule::Drift(_)) && (from.is_none() || named.as_ref() == from);
            if took_back || *rule == Rule::Harm {
                cause.verified.get_or_insert(0);
            }
        }
    }

    /// A person answers for a version: that it lost is no trouble of this incident any more, and would be told again.
    pub(crate) fn pardon(&mut self, version: &VersionId) {
        let known = self.causes.len();
        self.causes.retain(|(rule, named), _| !(matches!(rule, Rule::Regression(_)) && named.as_ref() == Some(version)));
        self.turns += u64::from(self.causes.len() < known);
    }

    /// The versions that lost in it.
    pub(crate) fn losers(&self) -> impl Iterator<Item = &VersionId> {
        self.causes.keys().filter(|(rule, _)| matches!(rule, Rule::Regression(_))).filter_map(|(_, version)| version.as_ref())
    }

    /// Judges what still holds. `still`: whether a burn rate, a silence, a drift, a drop or a signature does, which are not the
    /// incident's to judge.
    pub(crate) fn recover(&mut self, trigger: &Trigger, policy: &Policy, still: impl Fn(Rule, Option<&VersionId>) -> bool) -> Recovery {
        let at = trigger.at;
        for ((rule, named), cause) in self.causes.iter_mut().filter(|(_, cause)| cause.active) {
            cause.active = match rule {
                Rule::Harm | Rule::RollbackFailed | Rule::Loop => !cause.is_quiet(at, policy),
                Rule::Regression(_) => !cause.is_gone(policy),
                Rule::Drift(_) => !cause.is_gone(policy) && still(*rule, named.as_ref()),
                Rule::Burn(_) | Rule::Silence | Rule::Ticket(_) | Rule::Drop | Rule::Signature => still(*rule, None),
            };
        }
        let worst = self.causes.values().filter(|cause| cause.active).map(|cause| cause.level).min();
        match worst {
            Some(level) if level < Level::P3 => {
                self.calm = None;
                if level <= self.level { Recovery::Unchanged } else { self.ease(level) }
            }
            Some(_) if self.level == Level::P3 => {
                self.calm = None;
                Recovery::Unchanged
            }
            // What was grave is over exactly when it would be if nothing were left: what it took is given back then, and what
            // is grave again is another incident, which may take it anew.
            Some(_) if self.is_calm_for_good(at, policy) && trigger.may => Recovery::Left,
            None if self.is_calm_for_good(at, policy) => Recovery::Over,
            _ => Recovery::Unchanged,
        }
    }

    fn is_calm_for_good(&mut self, at: Timestamp, policy: &Policy) -> bool {
        let calm = self.calm.get_or_insert(Calm { since: at, sessions: 0 });
        at >= calm.since.plus_s(policy.sustain_s) && calm.sessions >= policy.sustain_sessions
    }

    fn ease(&mut self, level: Level) -> Recovery {
        self.turns += 1;
        self.provisional &= level == Level::P1;
        Recovery::Eased { from: std::mem::replace(&mut self.level, level) }
    }

    /// What is owed when it got better.
    pub(crate) fn eased(&self, from_level: Level, trigger: &Trigger, desk: Desk<'_>) -> Debt {
        let basis = desk.basis("recovering", Responsibility::AiMl, causes([&trigger.id, &self.opened_id], &[]));
        let body = IncidentEased {
            agent_id: desk.agent.clone(),
            incident_id: self.incident_id.clone(),
            level: self.level,
            from_level,
            harms: signed(self.harms),
            summary: format!("{}: the incident eased from {from_level} to {}.", desk.agent, self.level),
            basis,
        };
        desk.debt(self.decision_id(desk, "eased", self.turns), trigger, body)
    }

    /// The P3 incident of what is left when this one is over, and what is owed about it: the opening, with the numbers and
    /// the evidence of the first thing, and a word for each further one. They joined in silence and are known for as long as
    /// they were; the id is this record's, by a name of its own.
    pub(crate) fn left(&self, trigger: &Trigger, desk: Desk<'_>) -> Option<(Self, Vec<Debt>)> {
        let active = self.causes.iter().filter(|(_, cause)| cause.active);
        let mut left = active.filter_map(|(key, cause)| Some((key, cause, cause.found.as_deref()?.clone())));
        let (key, cause, mut finding) = left.next()?;
        finding.evidence.insert(0, self.opened_id.clone());
        finding.summary = format!("{} This is left of an incident that is over.", finding.summary);
        let (mut episode, opened) = Self::open_as(["incident:left", "opened:left"], finding, trigger, desk);
        episode.causes.insert(key.clone(), cause.clone());
        let mut debts = vec![opened];
        for (key, cause, finding) in left {
            debts.extend(episode.join(finding, trigger, desk));
            episode.causes.insert(key.clone(), cause.clone());
        }
        Some((episode, debts))
    }

    /// What is owed when it is over.
    pub(crate) fn resolved(&self, end: End<'_>, trigger: &Trigger, desk: Desk<'_>) -> Debt {
        let (rule, how, by) = match end {
            End::Recovered => ("recovered", "nothing was wrong for long enough".to_owned(), None),
            End::Left => ("recovered", "nothing grave was wrong for long enough, and what is left is a P3 incident".to_owned(), None),
            End::By(person) => ("resolved_by_person", format!("{person} resolved it"), Some(person)),
        };
        let body = IncidentResolved {
            agent_id: desk.agent.clone(),
            incident_id: self.incident_id.clone(),
            level: self.worst,
            by: by.map(str::to_owned),
            harms: signed(self.harms),
            lasted_s: Some(trigger.at.since_s(self.opened_at)),
            summary: format!("{}: the {} incident is over: {how}.", desk.agent, self.worst),
            basis: desk.basis(rule, Responsibility::AiMl, causes([&trigger.id, &self.opened_id], &[])),
        };
        desk.debt(self.decision_id(desk, "resolved", 0), trigger, body)
    }

    /// Keeps what a person said about it.
    pub(crate) fn note(&mut self, noted: &IncidentNoted) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        let text = noted.text.as_deref().unwrap_or_default();
        self.notes.push_back((noted.action, clipped(&noted.author), clipped(text)));
    }

    /// Ids of decisions within an incident derive from what each is about, not from a count: two that cross on their
    /// way can never be taken for one another.
    fn decision_id(&self, desk: Desk<'_>, name: &str, ordinal: u64) -> RecordId {
        decision_id("incident", desk.agent.as_str(), self.incident_id.as_str(), name, ordinal)
    }
}

// === impl Cause ===

impl Cause {
    fn of(finding: &Finding, at: Timestamp) -> Self {
        let found = (finding.level == Level::P3).then(|| Box::new(finding.clone()));
        Self { level: finding.level, active: true, at, facts: 0, sessions: 0, away: 0, verified: None, found }
    }

    fn is_quiet(&self, at: Timestamp, policy: &Policy) -> bool {
        at >= self.at.plus_s(policy.harm_quiet_s) && self.facts >= policy.harm_facts && self.sessions >= policy.harm_sessions
    }

    /// The version that it names does not serve any more, or was taken back.
    fn is_gone(&self, policy: &Policy) -> bool {
        self.away >= policy.away_sessions || self.verified.is_some_and(|sessions| sessions >= policy.away_sessions)
    }
}

/// The records that a decision rests on, each once, the first ones first.
fn causes<const N: usize>(first: [&RecordId; N], evidence: &[RecordId]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::with_capacity(N + evidence.len());
    for id in first.into_iter().chain(evidence).map(RecordId::as_str) {
        if ids.len() < wire::limits::CAUSES_MAX && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

fn clipped(text: &str) -> String {
    let mut end = text.len().min(NOTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn signed(count: u64) -> i64 {
    crate::burn::signed(count)
}
