//! One agent in this room's mind: its sessions, and what each record about them gives rise to.

use machine::{Agenda, Debt, Ledger, Shelf};
use serde::{Deserialize, Serialize};
use wire::{
    AgentId, Body, EscalationClaimed, EscalationClosed, EscalationOverdue, EscalationRaised, EscalationReturned, OutcomeReported, Record,
    RecordId, Responsibility, Role, SessionId, Timestamp,
};

use crate::episode::{Due, Episode, Opening, Passed};
use crate::policy::{InForce, Route};
use crate::session::{Seen, Session, idle_at};
use crate::signal::{Call, Sight};
use crate::words::{Outcome, Said, escalation_id, overdue_id, raised_id, raises_of};

/// Sessions of one agent that are followed at once. Beyond it the one that was silent for longest, without an open
/// escalation, is forgotten.
pub(crate) const SESSIONS_MAX: usize = 1 << 13;

/// Escalations of one agent that may be open at once: beyond it calls are counted, and nobody is called.
pub(crate) const OPEN_MAX: usize = 1 << 10;

/// What this room knows about an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agent {
    /// In boxes, so that a new one moves little.
    pub(crate) sessions: Shelf<SessionId, Box<Session>>,
    /// Open escalations, each with its session.
    pub(crate) open: Shelf<RecordId, SessionId>,
    /// When time brings something about for a session with an open escalation.
    due: Agenda<SessionId>,
    /// When a session without one is forgotten.
    idle: Agenda<SessionId>,
    /// Who answers in which role.
    pub(crate) people: Shelf<Responsibility, String>,
    pub(crate) tally: Tally,
}

/// What was heard and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) seen: Seen,
    /// Escalations raised, and calls that made one more urgent.
    pub(crate) raised: u64,
    pub(crate) risen: u64,
    /// Calls that an open escalation had answered already.
    pub(crate) joined: u64,
    /// Calls for which there was no room.
    pub(crate) crowded: u64,
    /// Claims and returns of what was not open, or was taken already.
    pub(crate) strays: u64,
    /// Findings that name no session, or one that is over or was never heard of.
    pub(crate) homeless: u64,
    /// Outcomes that say who brought a session to its end of which nothing is known (any more).
    pub(crate) outcomes_unknown: u64,
    /// Conditions that could not be evaluated, and the route of the last one.
    pub(crate) unevaluated: u64,
    pub(crate) unevaluated_last: Option<String>,
    /// Sessions that a human brought to their end though nobody was called, and the other way round.
    pub(crate) missed: u64,
    pub(crate) needless: u64,
}

/// What every decision about an agent needs beside what it is about.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) agent: &'a AgentId,
    pub(crate) in_force: &'a InForce,
    pub(crate) people: &'a Shelf<Responsibility, String>,
}

/// A call with the route that it takes.
struct Routed<'a> {
    call: Call,
    route: &'a Route,
}

// === impl Agent: facts and words ===

impl Agent {
    /// Folds a fact or a word about this agent, and says what it gives rise to.
    pub(crate) fn fold(&mut self, record: &Record, desk: Desk<'_>) -> Option<Debt> {
        self.forget_idle(record.appended);
        match &record.body {
            Body::EscalationClaimed(claimed) => {
                self.claimed(record, claimed);
                None
            }
            Body::EscalationReturned(returned) => self.returned(record, returned, desk),
            _ => self.fact(record, desk),
        }
    }

    fn fact(&mut self, record: &Record, desk: Desk<'_>) -> Option<Debt> {
        let Some(id) = &record.subject else {
            self.tally.homeless += u64::from(matches!(record.body, Body::FindingReported(_)));
            return None;
        };
        if !self.is_of_a_session(&record.body, id) {
            return None;
        }
        let may_begin = matches!(record.body, Body::SessionStarted(_));
        let session = self.follow(id, may_begin)?;
        if session.ended && !matches!(record.body, Body::OutcomeReported(_)) {
            return None;
        }
        let debt = match &record.body {
            Body::SessionEnded(_) => self.ended(record, id, desk),
            Body::OutcomeReported(outcome) => {
                self.turned_out(id, outcome);
                None
            }
            _ => self.shown(record, id, desk),
        };
        self.remind(id, record.appended, desk.in_force);
        debt
    }

    /// Whether a fact is of a session as it stands. An outcome and a finding may be told long after the end, when the
    /// session is forgotten: they open none, and are counted. A finding calls no human for a session that is over.
    fn is_of_a_session(&mut self, body: &Body, id: &SessionId) -> bool {
        let session = self.sessions.get(id);
        match body {
            Body::OutcomeReported(outcome) if session.is_none() => {
                self.tally.outcomes_unknown += u64::from(outcome.handled_by.is_some());
                false
            }
            Body::FindingReported(_) if session.is_none_or(|session| session.ended) => {
                self.tally.homeless += 1;
                false
            }
            _ => true,
        }
    }

    /// A fact shows something of a session: whatever in it calls for a human, the most urgent call is answered.
    fn shown(&mut self, record: &Record, id: &SessionId, desk: Desk<'_>) -> Option<Debt> {
        let session = self.sessions.get_mut(id)?;
        let calls = session.saw(&record.body, desk.in_force, &mut self.tally.seen);
        if calls.is_empty() || !record.may_trigger() {
            return None;
        }
        let sight = session.sight();
        let routed = calls.into_iter().map(|call| self.tally.route(call, &sight, desk.in_force));
        let most_urgent = routed.min_by_key(|routed| (routed.route.priority, routed.call.trigger))?;
        self.answer(record, id, &most_urgent, &sight, desk)
    }

    fn answer(&mut self, record: &Record, id: &SessionId, routed: &Routed<'_>, sight: &Sight, desk: Desk<'_>) -> Option<Debt> {
        let Routed { call, route } = routed;
        let session = self.sessions.get_mut(id)?;
        let said = |from_priority, due| Said { session: id, record, call, sight, route, from_priority, due };
        if let Some(episode) = &mut session.episode {
            if !episode.may_rise_to(route) {
                self.tally.joined += 1;
                return None;
            }
            let before = episode.priority;
            let raised = raised_id(desk.agent, &episode.id, episode.raises + 1);
            let due = episode.rise(raised, record, call, route);
            self.tally.risen += 1;
            return Some(desk.raised(episode, &said(Some(before), due)));
        }
        if self.open.len() >= OPEN_MAX {
            self.tally.crowded += 1;
            return None;
        }
        let escalation = escalation_id(desk.agent, record);
        let policy = desk.in_force.policy();
        let episode = session.episode.insert(Box::new(Episode::open(Opening {
            raised: raised_id(desk.agent, &escalation, 0),
            id: escalation.clone(),
            record,
            policy: &policy.version,
            call,
            route,
            timeout_s: policy.open_timeout_s,
        })));
        session.was_raised = true;
        self.tally.raised += 1;
        self.open.insert(escalation, id.clone());
        Some(desk.raised(episode, &said(None, Due { sla_s: Some(route.sla_s), before: None })))
    }

    fn ended(&mut self, record: &Record, id: &SessionId, desk: Desk<'_>) -> Option<Debt> {
        let debt = self.close(id, Outcome::Ended, Some(record), desk);
        self.sessions.get_mut(id).into_iter().for_each(|session| session.end());
        debt
    }

    /// The first outcome of a session that tells who brought it to its end shows whether somebody was called rightly.
    fn turned_out(&mut self, id: &SessionId, outcome: &OutcomeReported) {
        let Some(by) = outcome.handled_by else { return };
        let Some(session) = self.sessions.get_mut(id).filter(|session| !session.told_outcome) else { return };
        session.told_outcome = true;
        self.tally.missed += u64::from(by == Role::Human && !session.was_raised);
        self.tally.needless += u64::from(by == Role::Agent && session.was_raised);
    }

    fn claimed(&mut self, record: &Record, claimed: &EscalationClaimed) {
        let Some(id) = self.open.get(&RecordId::from(claimed.escalation_id.as_str())).cloned() else {
            self.tally.strays += 1;
            return;
        };
        let episode = self.sessions.get_mut(&id).and_then(|session| session.episode.as_mut());
        let is_first = episode.is_some_and(|episode| episode.claim(record));
        self.tally.strays += u64::from(!is_first);
        self.arm(&id);
    }

    fn returned(&mut self, record: &Record, returned: &EscalationReturned, desk: Desk<'_>) -> Option<Debt> {
        let Some(id) = self.open.get(&RecordId::from(returned.escalation_id.as_str())).cloned() else {
            self.tally.strays += 1;
            return None;
        };
        let debt = self.close(&id, Outcome::Returned, Some(record), desk);
        self.remind(&id, record.appended, desk.in_force);
        debt
    }

    /// The open escalation of a session is over.
    fn close(&mut self, id: &SessionId, outcome: Outcome, record: Option<&Record>, desk: Desk<'_>) -> Option<Debt> {
        let session = self.sessions.get_mut(id)?;
        let episode = session.episode.take()?;
        self.open.remove(&episode.id);
        session.closed = Some(episode.id.clone());
        session.begin_anew();
        Some(desk.closed(&episode, id, outcome, record))
    }
}

// === impl Agent: time ===

impl Agent {
    /// The first moment at which time alone owes something.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first()
    }

    /// What time up to `now` brings about. A read: asked now or later, it says the same.
    pub(crate) fn falls_due(&self, now: Timestamp, desk: Desk<'_>) -> Vec<Debt> {
        self.due.due(now).flat_map(|(_, id)| self.passes(id, now, desk).0).collect()
    }

    /// Lives through everything up to `now`: no later record can be in time for it.
    pub(crate) fn pass_time(&mut self, now: Timestamp, desk: Desk<'_>) -> Vec<Debt> {
        let due: Vec<SessionId> = self.due.due(now).map(|(_, id)| id.clone()).collect();
        let mut debts = Vec::new();
        for id in due {
            let (passed, over_at) = self.passes(&id, now, desk);
            debts.extend(passed);
            match over_at {
                Some(at) => {
                    self.close(&id, Outcome::TimedOut, None, desk);
                    self.remind(&id, at, desk.in_force);
                }
                None => {
                    let episode = self.sessions.get_mut(&id).and_then(|session| session.episode.as_mut());
                    episode.filter(|episode| episode.next_due().is_some_and(|at| at <= now)).map(|episode| episode.pass());
                    self.arm(&id);
                }
            }
        }
        debts
    }

    /// From `since` to `opened` nobody could be heard.
    pub(crate) fn door_was_shut(&mut self, since: Timestamp, opened: Timestamp) {
        let open: Vec<SessionId> = self.open.values().cloned().collect();
        for id in open {
            let episode = self.sessions.get_mut(&id).and_then(|session| session.episode.as_mut());
            episode.into_iter().for_each(|episode| episode.door_was_shut(since, opened));
            self.arm(&id);
        }
    }

    /// What time up to `now` brings about for a session, and when its escalation timed out, if it does.
    fn passes(&self, id: &SessionId, now: Timestamp, desk: Desk<'_>) -> (Vec<Debt>, Option<Timestamp>) {
        let mut debts = Vec::new();
        let Some(mut episode) = self.sessions.get(id).and_then(|session| session.episode.clone()) else { return (debts, None) };
        while let Some(at) = episode.next_due().filter(|at| *at <= now) {
            match episode.pass() {
                Passed::Overdue { due_at, number } => debts.push(desk.overdue(&episode, id, due_at, number)),
                Passed::TimedOut => {
                    debts.push(desk.closed(&episode, id, Outcome::TimedOut, None));
                    return (debts, Some(at));
                }
            }
        }
        (debts, None)
    }

    /// Sets the deadlines of a session of which something was heard at `at`.
    fn remind(&mut self, id: &SessionId, at: Timestamp, in_force: &InForce) {
        let session = self.sessions.get(id);
        let idle = session.filter(|session| session.episode.is_none()).map(|session| idle_at(session, at, in_force.policy()));
        self.idle.set(id, idle);
        self.arm(id);
    }

    fn arm(&mut self, id: &SessionId) {
        let episode = self.sessions.get(id).and_then(|session| session.episode.as_ref());
        let due = episode.and_then(|episode| episode.next_due());
        if self.due.get(id) != due {
            self.due.set(id, due);
        }
    }
}

// === impl Agent: room ===

impl Agent {
    /// The session of this id, followed from now on if it was not; `None`: there is no room for it.
    fn follow(&mut self, id: &SessionId, may_begin: bool) -> Option<&Session> {
        let is_new = self.sessions.get(id).is_none_or(|session| session.ended && may_begin);
        if is_new {
            if !self.sessions.contains_key(id) && self.sessions.len() >= SESSIONS_MAX {
                let Some(silent) = self.idle.due(Timestamp::MAX).next().map(|(_, id)| id.clone()) else {
                    self.tally.crowded += 1;
                    return None;
                };
                self.forget(&silent);
            }
            self.sessions.insert(id.clone(), Box::default());
        }
        self.sessions.get(id).map(Box::as_ref)
    }

    fn forget_idle(&mut self, now: Timestamp) {
        loop {
            let Some(id) = self.idle.due(now).next().map(|(_, id)| id.clone()) else { return };
            self.forget(&id);
        }
    }

    fn forget(&mut self, id: &SessionId) {
        self.idle.set(id, None);
        self.sessions.remove(id);
    }
}

// === impl Agent: echoes ===

impl Agent {
    /// A call is on the log. One that this state never owed is taken as it stands: it was decided on less, and people
    /// have seen it.
    pub(crate) fn raised_came_home(
        &mut self,
        record: &Record,
        body: &EscalationRaised,
        was_owed: bool,
        ledger: &mut Ledger,
        in_force: &InForce,
    ) {
        let escalation = RecordId::from(body.escalation_id.as_str());
        let id = &body.session_id;
        if !was_owed && !self.open.contains_key(&escalation) {
            self.adopt(record, body, &escalation, ledger, in_force);
        }
        let episode = self.sessions.get_mut(id).and_then(|session| session.episode.as_mut());
        if let Some(episode) = episode.filter(|episode| episode.id == escalation) {
            if !was_owed {
                episode.was_raised(record, body, raises_of(&record.key, &escalation, &record.id));
            }
            episode.came_home(&record.id, body.basis.now, record.appended);
            self.arm(id);
        }
    }

    /// Somebody who knew said that nobody came in time.
    pub(crate) fn overdue_came_home(&mut self, record: &Record, body: &EscalationOverdue) {
        let episode = self.sessions.get_mut(&body.session_id).and_then(|session| session.episode.as_mut());
        if let Some(episode) = episode.filter(|episode| episode.id.as_str() == body.escalation_id) {
            let escalation = episode.id.clone();
            episode.was_overdue(body.due_at, |number| overdue_id(&record.key, &escalation, number) == record.id);
            self.arm(&body.session_id);
        }
    }

    /// Somebody who knew said that it is over.
    pub(crate) fn closed_came_home(&mut self, record: &Record, body: &EscalationClosed, desk: Desk<'_>) {
        if self.open.get(&RecordId::from(body.escalation_id.as_str())) == Some(&body.session_id) {
            self.close(&body.session_id, Outcome::Ended, None, desk);
            self.remind(&body.session_id, record.appended, desk.in_force);
        }
    }

    fn adopt(&mut self, record: &Record, body: &EscalationRaised, escalation: &RecordId, ledger: &mut Ledger, in_force: &InForce) {
        let id = &body.session_id;
        if self.follow(id, false).is_none_or(|session| session.ended || session.closed.as_ref() == Some(escalation)) {
            return;
        }
        let Some(session) = self.sessions.get_mut(id) else { return };
        if let Some(own) = session.episode.take() {
            if !ledger.contains(&raised_id(&record.key, &own.id, 0)) {
                // Both are on the log. The first one stays the session's.
                session.episode = Some(own);
                return;
            }
            (0..=own.raises).for_each(|raises| drop(ledger.settle(&raised_id(&record.key, &own.id, raises))));
            self.open.remove(&own.id);
        }
        let raises = raises_of(&record.key, escalation, &record.id);
        session.episode = Some(Box::new(Episode::adopt(record, body, raises, in_force.policy().open_timeout_s)));
        session.was_raised = true;
        self.open.insert(escalation.clone(), id.clone());
        self.remind(id, record.appended, in_force);
    }
}

// === impl Tally ===

impl Tally {
    /// The route of a call; conditions that could not be evaluated on the way are counted.
    fn route<'a>(&mut self, call: Call, sight: &Sight, in_force: &'a InForce) -> Routed<'a> {
        let routes = &in_force.policy().routes;
        let taken = in_force.conditions().take(&call, sight);
        if let Some((place, count)) = taken.failed {
            self.unevaluated += count;
            self.unevaluated_last = Some(routes[place].name.clone());
        }
        Routed { call, route: &routes[taken.place] }
    }
}
