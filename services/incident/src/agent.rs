//! Everything that the room knows about one agent, and what each fact about it means.

use std::collections::VecDeque;

use machine::{Debt, Shelf, columns};
use wire::{
    Body, Class, DedupeKey, HarmReported, IncidentId, IncidentNoted, Level, NoteAction, Numbers, OutcomeReported, Record, Responsibility,
    Role, RollbackFailed, SessionStarted, Timestamp, VersionId,
};

use crate::burn::Burn;
use crate::drift::Drift;
use crate::episode::{End, Episode, Recovery};
use crate::escalations::Escalations;
use crate::finding::{Desk, Finding, Rule, Trigger};
use crate::loops::Loops;
use crate::pairs::Pairs;
use crate::policy::{Criterion, Measure, Signal};
use crate::pulse::Pulse;
use crate::sessions::{Heard, Key, Sessions};
use crate::signatures::Signatures;
use crate::versions::{Ix, Lane, Versions};

/// Closed incidents of one agent that are still known.
const CLOSED_MAX: usize = 2;

/// One agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Agent {
    pub(crate) versions: Versions,
    pub(crate) sessions: Sessions,
    pub(crate) pairs: Pairs,
    pub(crate) burn: Burn,
    pub(crate) pulse: Pulse,
    pub(crate) drift: Drift,
    pub(crate) escalations: Escalations,
    pub(crate) loops: Loops,
    pub(crate) signatures: Signatures,
    pub(crate) episode: Option<Box<Episode>>,
    /// The incidents that were closed last: a repeated record opens none of them again.
    closed: VecDeque<IncidentId>,
    pub(crate) people: Shelf<Responsibility, String>,
    pub(crate) tally: Tally,
    /// The last fact: what time alone brings about began with it.
    last: Option<Trigger>,
}

/// What was counted, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) facts: u64,
    /// Of calls and outcomes, those that told no time, and those that came too late or too early for any window.
    pub(crate) untimed: u64,
    pub(crate) late: u64,
    pub(crate) outcomes: u64,
    /// Outcomes after the first, and outcomes of sessions that nobody started.
    pub(crate) corrections: u64,
    pub(crate) strays: u64,
    /// Calls of the agent that told whether they failed.
    pub(crate) tools: u64,
    pub(crate) models: u64,
    pub(crate) harms: u64,
    pub(crate) incidents: u64,
    /// Sessions that were given up for being too many, or that no room was left to compare.
    pub(crate) crowded: u64,
    /// Sessions that were given up before they ended.
    pub(crate) given_up: u64,
    /// Failed rollbacks of incidents that were over.
    pub(crate) afterwards: u64,
}

columns!(Agent { versions, sessions, pairs, burn, pulse, drift, escalations, loops, signatures, episode, closed, people, tally, last });
columns!(Tally { facts, untimed, late, outcomes, corrections, strays, tools, models, harms, incidents, crowded, given_up, afterwards });

// === impl Agent ===

impl Agent {
    /// Lives through every deadline up to `to`, in order, and says what falls due.
    pub(crate) fn advance(&mut self, to: Timestamp, desk: Desk<'_>) -> Vec<Debt> {
        let mut debts = Vec::new();
        while let Some(due) = self.next_deadline().filter(|due| *due <= to) {
            debts.extend(self.pass(due, desk));
        }
        debts
    }

    /// When time alone will next owe something; deadlines that owe nothing are nobody's business.
    pub(crate) fn next_debt(&self, desk: Desk<'_>) -> Option<Timestamp> {
        if !self.pairs_may_tell(desk.policy) {
            return self.pulse.due().filter(|_| self.silence_is_news());
        }
        let mut ahead = self.ahead();
        while let Some(due) = ahead.next_deadline() {
            if !ahead.pass(due, desk).is_empty() {
                return Some(due);
            }
        }
        None
    }

    /// A copy to look ahead with: all that time alone can move or ask, which no window and no chart is.
    fn ahead(&self) -> Self {
        Self {
            versions: self.versions.clone(),
            sessions: self.sessions.clone(),
            pairs: self.pairs.clone(),
            burn: Burn::default(),
            pulse: self.pulse.clone(),
            drift: Drift::default(),
            escalations: Escalations::default(),
            loops: Loops::default(),
            signatures: Signatures::default(),
            episode: self.episode.clone(),
            closed: VecDeque::new(),
            people: Shelf::new(),
            tally: self.tally.clone(),
            last: self.last.clone(),
        }
    }

    /// Folds a record of this agent and says what falls due at it.
    pub(crate) fn fold(&mut self, record: &Record, key: DedupeKey, desk: Desk<'_>) -> Vec<Debt> {
        let trigger = Trigger::of(record, key);
        let mut debts = Vec::new();
        if record.body.kind().class() == Class::Fact {
            self.tally.facts += 1;
            self.see(record, &trigger, desk, &mut debts);
            self.recover(&trigger, desk, &mut debts);
            self.last = Some(trigger);
        } else {
            self.hear(record, &trigger, desk, &mut debts);
        }
        debts
    }

    /// A fact of its platform.
    fn see(&mut self, record: &Record, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        // A call counts when it returns.
        if !matches!(record.body, Body::SessionStarted(_) | Body::ToolCalled(_)) {
            self.saw_fact(None);
        }
        match &record.body {
            Body::SessionStarted(started) => self.started(record, started, trigger, desk, debts),
            Body::OutcomeReported(outcome) => self.outcome(record, outcome, trigger, desk, debts),
            Body::SessionEnded(_) => self.ended(record, trigger, desk, debts),
            Body::ToolCalled(called) => self.repeated(record, called, trigger, desk, debts),
            Body::ToolReturned(returned) => self.called(record, Signal::Tool, &returned.into(), trigger, desk, debts),
            Body::ModelCalled(called) => {
                self.called(record, Signal::Model, &called.into(), trigger, desk, debts);
                self.answered(record, called, trigger, desk, debts);
                self.took(record, called);
            }
            Body::HarmReported(harm) => self.harmed(record, harm, trigger, desk, debts),
            Body::PlatformHeartbeat(beat) => self.pulse.beat(&record.id, record.appended, beat.interval_s, desk.policy),
            _ => {}
        }
    }

    /// A word of a person, or a decision of another room.
    fn hear(&mut self, record: &Record, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        match &record.body {
            Body::BaselineDeclared(declared) => {
                let version = self.vouched(&declared.version, trigger.at);
                self.pairs.declare(version, trigger.at, &self.versions);
                self.pairs.unlatch(version, &self.versions);
                self.episode.iter_mut().for_each(|episode| episode.pardon(&declared.version));
                self.judge_all(trigger, desk, debts);
            }
            Body::VersionProven(proven) => {
                let version = self.vouched(&proven.version, trigger.at);
                self.pairs.prove(version, trigger.at, &self.versions);
                self.judge_all(trigger, desk, debts);
            }
            Body::IncidentNoted(noted) => self.noted(noted, trigger, desk, debts),
            Body::EscalationRaised(raised) => self.called_for_a_human(&raised.session_id, &record.id),
            Body::QuarantineLifted(lifted) => self.lifted(&lifted.version),
            Body::RollbackVerified(verified) => {
                self.taken_back(verified.from_version.as_ref());
                let episode = self.episode.as_mut().filter(|episode| episode.incident_id == verified.incident_id);
                episode.into_iter().for_each(|episode| episode.saw_verified(verified.from_version.as_ref()));
            }
            Body::RollbackFailed(failed) => {
                self.taken_back(failed.from_version.as_ref());
                self.rollback_failed(failed, trigger, desk, debts);
            }
            _ => {}
        }
    }

    fn started(&mut self, record: &Record, started: &SessionStarted, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let at = trigger.at;
        let key = record.subject.as_ref().map(Key::of);
        if key.is_some_and(|key| self.sessions.knows(key)) {
            return self.saw_fact(None);
        }
        self.saw_fact(Some(started.version.as_ref()));
        let version = started.version.as_ref().map(|version| self.admit(version, at));
        self.burn.saw_start(version, at);
        let Some((version, known)) = version.and_then(|ix| Some((ix, self.versions.get_mut(ix)?))) else { return };
        known.starts += 1;
        known.last_started = at;
        let Some(key) = key else { return };
        let began = record.time.filter(|_| desk.policy.criteria.contains(&Criterion::InTime));
        let until = at.plus_s(desk.policy.session_timeout_s);
        let lane = Lane::of(started.segment.as_ref());
        self.drift.saw_start(version, lane);
        self.sessions.start(key, version, lane, began, until);
        let (given_up, crowded) = self.sessions.bound(at);
        given_up.iter().for_each(|session| debts.extend(self.given_up(session, trigger, desk)));
        if let Some(crowded) = crowded {
            self.tally.crowded += 1;
            debts.extend(self.release(crowded, at, trigger, desk));
        }
    }

    fn outcome(&mut self, record: &Record, outcome: &OutcomeReported, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let key = record.subject.as_ref().map(Key::of);
        if let Some(told) = key.and_then(|key| self.sessions.tell(key)) {
            let escalated = outcome.handled_by.map(|role| role == Role::Human);
            let is_news = told.human.is_none() && escalated == Some(true);
            told.human = told.human.or(escalated);
            self.saw_failure(key, is_news, Criterion::NotEscalated, record, desk);
        }
        let Some(success) = outcome.success else { return };
        let heard = key.map_or(Heard::Stray, |key| self.sessions.outcome(key, success));
        match heard {
            Heard::Stray => self.tally.strays += 1,
            Heard::Correction => self.tally.corrections += 1,
            Heard::First => self.tally.outcomes += 1,
        }
        if heard == Heard::Correction {
            return;
        }
        let version = self.version_of(record, outcome.version.as_ref(), trigger.at);
        self.count(record, (version, Signal::Success), !success, trigger, desk, debts);
        let session = key.and_then(|key| self.sessions.get(key)).map(|session| session.version);
        let Some(version) = session else { return };
        if let Some(known) = self.versions.get_mut(version) {
            known.outcomes += 1;
        }
        self.saw_failure(key, !success, Criterion::Success, record, desk);
        debts.extend(self.release(version, trigger.at, trigger, desk));
    }

    fn ended(&mut self, record: &Record, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let Some(key) = record.subject.as_ref().map(Key::of) else { return };
        self.loops.end(key);
        let Some(session) = self.sessions.get(key) else { return };
        let (version, lane, began) = (session.version, session.lane, session.began);
        let took_s = record.time.zip(began).map(|(ended, began)| ended.since_s(began));
        if let Some(told) = self.sessions.tell(key) {
            let in_time = took_s.zip(desk.policy.in_time_s).map(|(took_s, limit_s)| took_s <= limit_s as f64);
            told.in_time = in_time;
            self.saw_failure(Some(key), in_time == Some(false), Criterion::InTime, record, desk);
        }
        let vitals = self.sessions.end(key, trigger.at.plus_s(desk.policy.outcome_grace_s));
        vitals.into_iter().for_each(|vitals| self.measured(record, key, (version, lane), vitals, trigger, desk, debts));
        debts.extend(self.release(version, trigger.at, trigger, desk));
    }

    /// Keeps a record as evidence against the version of its session, if the policy compares versions by it.
    pub(crate) fn saw_failure(&mut self, key: Option<Key>, failed: bool, criterion: Criterion, record: &Record, desk: Desk<'_>) {
        if !failed || !desk.policy.compared().any(|compared| compared == criterion) {
            return;
        }
        let version = key.and_then(|key| self.sessions.version_of(key)).and_then(|ix| self.versions.get_mut(ix));
        version.into_iter().for_each(|version| version.saw_failure(criterion, &record.id));
    }

    fn harmed(&mut self, record: &Record, harm: &HarmReported, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        self.tally.harms += 1;
        let version = self.version_of(record, harm.version.as_ref(), trigger.at).and_then(|ix| self.versions.id(ix));
        let said = if harm.confirmed { "did harm" } else { "is said to have done harm" };
        let finding = Finding {
            provisional: !harm.confirmed,
            session: record.subject.clone(),
            version,
            summary: format!("{} {said}: {}.", desk.agent, harm.category),
            ..Finding::of(Rule::Harm, Level::P1, Numbers::default())
        };
        debts.extend(self.raise(finding, trigger, desk));
    }

    fn rollback_failed(&mut self, failed: &RollbackFailed, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        if self.episode.as_ref().is_none_or(|episode| episode.incident_id != failed.incident_id) {
            self.tally.afterwards += 1;
            return;
        }
        let finding = Finding {
            version: failed.from_version.clone(),
            against: Some(failed.to_version.clone()),
            summary: format!("{}: going back to {} failed: {}.", desk.agent, failed.to_version, failed.failure),
            ..Finding::of(Rule::RollbackFailed, Level::P1, Numbers::default())
        };
        debts.extend(self.raise(finding, trigger, desk));
    }

    fn noted(&mut self, noted: &IncidentNoted, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        let Some(episode) = self.episode.as_mut().filter(|episode| episode.incident_id == noted.incident_id) else { return };
        episode.note(noted);
        if noted.action == NoteAction::Resolve {
            debts.push(episode.resolved(End::By(&noted.author), trigger, desk));
            self.burn.begin_anew();
            self.drift.begin_anew();
            self.loops.begin_anew();
            self.signatures.begin_anew(desk.policy);
            self.close();
        }
    }

    /// A person lets a version serve again that had lost: if it loses again, it is named again.
    fn lifted(&mut self, version: &VersionId) {
        if let Some(ix) = self.versions.find(version).filter(|ix| self.pairs.is_named(*ix)) {
            self.compare_anew(ix);
            self.episode.iter_mut().for_each(|episode| episode.pardon(version));
        }
    }

    /// A version that was taken back vouches for nobody, unless a person declared it.
    fn taken_back(&mut self, version: Option<&VersionId>) {
        if let Some(ix) = version.and_then(|version| self.versions.find(version)) {
            self.pairs.distrust(ix, &self.versions);
        }
    }

    /// Ends the open incident. A version that was named in it and comes back is judged by what it does then.
    pub(crate) fn close(&mut self) {
        self.end_episode();
        self.drift.settle();
    }

    fn end_episode(&mut self) {
        let Some(episode) = self.episode.take() else { return };
        let losers: Vec<Ix> = episode.losers().filter_map(|version| self.versions.find(version)).collect();
        losers.into_iter().for_each(|version| self.compare_anew(version));
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(episode.incident_id);
    }

    /// Whether an incident was closed a short while ago.
    pub(crate) fn is_over(&self, incident: &IncidentId) -> bool {
        self.closed.contains(incident)
    }

    /// Opens an incident over a finding, or joins it to the one that is open.
    pub(crate) fn raise(&mut self, finding: Finding, trigger: &Trigger, desk: Desk<'_>) -> Option<Debt> {
        if let Some(episode) = &mut self.episode {
            return episode.join(finding, trigger, desk);
        }
        if !trigger.may {
            return None;
        }
        let (episode, debt) = Episode::open(finding, trigger, desk);
        self.tally.incidents += 1;
        self.episode = Some(Box::new(episode));
        Some(debt)
    }

    /// Judges at a fact what is over.
    fn recover(&mut self, trigger: &Trigger, desk: Desk<'_>, debts: &mut Vec<Debt>) {
        self.burn.recover(trigger.at, desk.policy);
        let Some(episode) = &mut self.episode else { return };
        let still = |rule, version: Option<&VersionId>| match rule {
            Rule::Burn(signal) => self.burn.is_firing(signal),
            Rule::Ticket(signal) => self.burn.has_ticket(signal),
            Rule::Drift(measure) => {
                let version = version.and_then(|version| self.versions.find(version));
                desk.policy.drifts.contains(&measure) && self.drift.is_firing(measure, version)
            }
            Rule::Drop => desk.policy.drifts.contains(&Measure::Outcome) && self.drift.has_dropped(desk.policy),
            Rule::Signature => self.signatures.is_firing(),
            _ => self.pulse.silent,
        };
        match episode.recover(trigger, desk.policy, still) {
            Recovery::Unchanged => {}
            Recovery::Eased { from } => debts.push(episode.eased(from, trigger, desk)),
            Recovery::Left => {
                debts.push(episode.resolved(End::Left, trigger, desk));
                let left = episode.left(trigger, desk);
                // What drifts is left: it is not told anew.
                self.end_episode();
                if let Some((left, told)) = left {
                    debts.extend(told);
                    self.tally.incidents += 1;
                    self.episode = Some(Box::new(left));
                }
            }
            Recovery::Over => {
                debts.push(episode.resolved(End::Recovered, trigger, desk));
                self.close();
            }
        }
    }

    fn saw_fact(&mut self, started: Option<Option<&VersionId>>) {
        if let Some(episode) = &mut self.episode {
            episode.saw_fact(started);
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let session = self.sessions.next_due().map(|(due, _)| due);
        [session, self.pulse.due()].into_iter().flatten().min()
    }

    /// Lives through one deadline. What it brings about is laid at the door of the last fact before it.
    fn pass(&mut self, due: Timestamp, desk: Desk<'_>) -> Vec<Debt> {
        let trigger = self.last.clone().map(|last| last.at_deadline(due));
        if self.pulse.due() == Some(due) {
            self.pulse.fall_silent();
            let silent_s = self.pulse.last.as_ref().map_or(0.0, |(last, _)| due.since_s(*last));
            let evidence = self.pulse.last.iter().map(|(_, id)| id.clone()).collect();
            let summary = format!("{}: its platform has sent no heartbeat for {silent_s} s.", desk.agent);
            let numbers = Numbers { silent_s: Some(silent_s as i64), ..Numbers::default() };
            let finding = Finding { summary, evidence, ..Finding::of(Rule::Silence, Level::P2, numbers) };
            return trigger.and_then(|trigger| self.raise(finding, &trigger, desk)).into_iter().collect();
        }
        match (self.sessions.next_due(), trigger) {
            (Some((_, version)), Some(trigger)) => self.release(version, due, &trigger, desk),
            _ => Vec::new(),
        }
    }

    /// Whether a silence would be worth a word.
    fn silence_is_news(&self) -> bool {
        let may = self.last.as_ref().is_some_and(|last| last.may);
        may && self.episode.as_ref().is_none_or(|episode| episode.would_speak_of(Rule::Silence, Level::P2))
    }

    /// The version that a fact is about: its own word, else its session's.
    pub(crate) fn version_of(&mut self, record: &Record, told: Option<&VersionId>, at: Timestamp) -> Option<Ix> {
        match told {
            Some(version) => Some(self.admit(version, at)),
            None => record
                .subject
                .as_ref()
                .and_then(|session| self.sessions.version_of(Key::of(session)))
                .filter(|ix| self.versions.get(*ix).is_some()),
        }
    }

    fn vouched(&mut self, version: &VersionId, at: Timestamp) -> Ix {
        let ix = self.admit(version, at);
        if let Some(known) = self.versions.get_mut(ix) {
            known.vouched = Some(at);
        }
        ix
    }

    fn admit(&mut self, version: &VersionId, at: Timestamp) -> Ix {
        let (ix, forgotten) = self.versions.admit(version, at, &self.pairs.kept());
        forgotten.into_iter().for_each(|version| self.forget_version(version));
        ix
    }

    pub(crate) fn forget_version(&mut self, version: Ix) {
        self.pairs.forget_version(version);
        self.burn.forget_version(version);
        self.drift.forget_version(version);
        self.escalations.forget_version(version);
        self.sessions.forget_version(version);
    }
}
