//! The life of one escalation: raised, perhaps more urgently, claimed or overdue, and over.
//!
//! Its deadline counts from when people could first know of it: from the call's own `now` if it was on the log within a
//! transaction's longest life, so that facts which cross it on its way change nothing; else from its append time, so
//! that a room which lags behind does not take its own lateness for theirs. While the first call is on its way there is
//! none. While a more urgent one is, the deadline that people were told of stands beside it; once it is on the log the
//! sooner of the two stays.

use serde::{Deserialize, Serialize};
use wire::{EscalationRaised, Record, RecordId, Responsibility, Timestamp};

use crate::policy::Route;
use crate::signal::{Call, responsibility};

/// A call that comes home within so long counts from when it was decided.
const HOME_WITHIN_S: i64 = 5;

/// How often an escalation may become more urgent.
pub(crate) const RAISES_MAX: u32 = 4;

/// Records that an escalation keeps as its causes.
const CAUSES_MAX: usize = 8;

/// An escalation that is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Its id, derived from the record that opened it.
    pub(crate) id: RecordId,
    /// The last decision that raised it.
    pub(crate) raised: RecordId,
    pub(crate) hops: u8,
    /// Version of the policy that it was raised under.
    pub(crate) policy: String,
    /// Who answers for it, by role.
    pub(crate) role: Responsibility,
    pub(crate) trigger: String,
    pub(crate) route: String,
    pub(crate) priority: i64,
    /// How often it became more urgent.
    pub(crate) raises: u32,
    /// When people could first know of it; absent: its first call is not on the log yet.
    since: Option<Timestamp>,
    /// The deadline that people were told of.
    deadline: Option<Deadline>,
    /// What calls on their way will set, in order.
    expected: Vec<Expected>,
    timeout_s: i64,
    /// When it is over if nothing more is heard of it; absent before its first call is on the log. It does not time out
    /// while a call is on its way.
    timeout_at: Option<Timestamp>,
    pub(crate) claim: Option<Claim>,
    causes: Vec<RecordId>,
}

/// When a human must have taken it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Deadline {
    at: Timestamp,
    /// Which deadline of the escalation it is, from 0.
    number: u64,
}

/// The deadline of a call that is not on the log yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Expected {
    /// The call.
    by: RecordId,
    sla_s: i64,
    /// If it comes home at once.
    at: Timestamp,
    number: u64,
    /// The deadline that stood when it was decided on. It is not moved to later, nor said anew once it has passed.
    before: Option<Timestamp>,
}

/// What a call says of its deadline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Due {
    /// Seconds that it leaves people; absent: the deadline that stands is sooner.
    pub(crate) sla_s: Option<i64>,
    /// The deadline that stands, which the call never moves to later.
    pub(crate) before: Option<Timestamp>,
}

/// A human took it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    at: Timestamp,
}

/// What time brought about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Passed {
    /// Nobody took it by this deadline.
    Overdue { due_at: Timestamp, number: u64 },
    /// Nothing was heard of it for too long.
    TimedOut,
}

/// What an escalation is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) id: RecordId,
    pub(crate) raised: RecordId,
    pub(crate) record: &'a Record,
    pub(crate) policy: &'a str,
    pub(crate) call: &'a Call,
    pub(crate) route: &'a Route,
    pub(crate) timeout_s: i64,
}

// === impl Episode ===

impl Episode {
    /// Opened at a record, its call owed.
    pub(crate) fn open(opening: Opening<'_>) -> Self {
        let Opening { id, raised, record, policy, call, route, timeout_s } = opening;
        let at = record.appended.plus_s(route.sla_s);
        Self {
            deadline: None,
            expected: vec![Expected { by: raised.clone(), sla_s: route.sla_s, at, number: 0, before: None }],
            id,
            raised,
            hops: record.hops.saturating_add(1),
            policy: policy.to_owned(),
            role: call.responsibility(),
            trigger: call.trigger.as_str().to_owned(),
            route: route.name.clone(),
            priority: route.priority,
            raises: 0,
            since: None,
            timeout_s,
            timeout_at: None,
            claim: None,
            causes: vec![record.id.clone()],
        }
    }

    /// Taken from a decision on the log that this state never owed.
    pub(crate) fn adopt(record: &Record, body: &EscalationRaised, raises: u32, timeout_s: i64) -> Self {
        let mut episode = Self {
            id: body.escalation_id.as_str().into(),
            raised: record.id.clone(),
            hops: record.hops,
            policy: body.basis.policy.clone(),
            role: responsibility(body.topic.as_deref()),
            trigger: body.trigger.clone(),
            route: body.route.clone(),
            priority: body.priority,
            raises,
            since: None,
            deadline: None,
            expected: vec![Expected {
                by: record.id.clone(),
                sla_s: body.sla_s.unwrap_or_else(|| body.due_at.since_us(body.basis.now).max(0) / 1_000_000),
                at: body.due_at,
                number: u64::from(raises),
                before: None,
            }],
            timeout_s,
            timeout_at: None,
            claim: None,
            causes: body.basis.causes.iter().take(CAUSES_MAX).map(|cause| cause.as_str().into()).collect(),
        };
        episode.came_home(&record.id, body.basis.now, record.appended);
        episode
    }

    /// A call, decided at `decided`, is on the log: now people can know.
    pub(crate) fn came_home(&mut self, call: &RecordId, decided: Timestamp, appended: Timestamp) {
        let since = if appended <= decided.plus_s(HOME_WITHIN_S) { decided } else { appended };
        let is_first = self.since.is_none();
        self.since = self.since.or(Some(since));
        let Some(place) = self.expected.iter().position(|expected| expected.by == *call) else {
            if is_first {
                self.timeout_at = self.timeout_at.or(Some(since.plus_s(self.timeout_s)));
            }
            return;
        };
        let Expected { sla_s, number, before, .. } = self.expected.remove(place);
        self.timeout_at = self.timeout_at.max(Some(since.plus_s(self.timeout_s)));
        let at = since.plus_s(sla_s);
        let stands = before.into_iter().chain(self.deadline.map(|standing| standing.at)).min();
        if stands.is_none_or(|stands| at < stands) {
            self.deadline = Some(Deadline { at, number });
        }
    }

    /// Whether a route is worth another call: it is more urgent, nobody came yet, and there were not too many.
    pub(crate) fn may_rise_to(&self, route: &Route) -> bool {
        self.claim.is_none() && route.priority < self.priority && self.raises < RAISES_MAX
    }

    /// It becomes more urgent at `record`. What the call says of its deadline.
    pub(crate) fn rise(&mut self, raised: RecordId, record: &Record, call: &Call, route: &Route) -> Due {
        self.raises += 1;
        self.role = call.responsibility();
        self.raised = raised.clone();
        self.hops = self.hops.max(record.hops.saturating_add(1));
        (self.trigger, self.route, self.priority) = (call.trigger.as_str().to_owned(), route.name.clone(), route.priority);
        self.saw(&record.id);
        self.timeout_at = self.timeout_at.max(self.timeout_at.map(|_| record.appended.plus_s(self.timeout_s)));
        let at = record.appended.plus_s(route.sla_s);
        let before = self.deadline.map(|standing| standing.at);
        if before.is_some_and(|standing| standing <= at) {
            return Due { sla_s: None, before };
        }
        // A call that is on its way counts from when it is decided, as this one does: the shorter one is the sooner.
        if let Some(shorter) = self.expected.iter().map(|expected| expected.sla_s).min().filter(|sla_s| *sla_s <= route.sla_s) {
            return Due { sla_s: Some(shorter), before };
        }
        // One whose deadline passed already gets a new one, which may be missed, too.
        let number = u64::from(self.raises);
        self.expected.push(Expected { by: raised, sla_s: route.sla_s, at, number, before });
        Due { sla_s: Some(route.sla_s), before }
    }

    /// Somebody else's call made it more urgent, the `raises`th: it is on the log, and people have seen it.
    pub(crate) fn was_raised(&mut self, record: &Record, body: &EscalationRaised, raises: u32) {
        if raises <= self.raises {
            return;
        }
        self.raises = raises;
        self.raised = record.id.clone();
        self.hops = self.hops.max(record.hops);
        if body.priority < self.priority {
            self.role = responsibility(body.topic.as_deref());
            (self.trigger, self.route, self.priority) = (body.trigger.clone(), body.route.clone(), body.priority);
        }
        self.saw(&record.id);
        if let Some(sla_s) = body.sla_s.filter(|_| self.claim.is_none()) {
            let before = self.deadline.map(|standing| standing.at);
            self.expected.push(Expected { by: record.id.clone(), sla_s, at: body.due_at, number: u64::from(raises), before });
        }
    }

    /// A human took it: the first one counts. Whether it did.
    pub(crate) fn claim(&mut self, record: &Record) -> bool {
        if self.claim.is_some() {
            return false;
        }
        let at = record.appended;
        self.claim = Some(Claim { at });
        self.timeout_at = Some(at.plus_s(self.timeout_s));
        self.deadline = None;
        self.expected.clear();
        self.saw(&record.id);
        true
    }

    /// Seconds from when people could know of it to when one took it; absent: nobody did, or its call is not on the log.
    pub(crate) fn waited_s(&self) -> Option<f64> {
        Some(self.claim.as_ref()?.at.since_s(self.since?).max(0.0))
    }

    /// It was said by somebody who knew that a deadline was missed, the one of which `is_it` says so by its number. That one may
    /// have been put off since: whoever said it had not heard yet that the door was shut.
    pub(crate) fn was_overdue(&mut self, due_at: Timestamp, is_it: impl Fn(u64) -> bool) {
        self.deadline.take_if(|deadline| deadline.at <= due_at || is_it(deadline.number));
    }

    /// From `since` to `opened` nobody could be heard: that time does not count.
    pub(crate) fn door_was_shut(&mut self, since: Timestamp, opened: Timestamp) {
        let shut_us = opened.since_us(since).max(0);
        let later = |time: &mut Timestamp| *time = Timestamp(time.0.saturating_add(shut_us));
        let deadline = self.deadline.as_mut().map(|deadline| &mut deadline.at);
        let before = self.expected.iter_mut().filter_map(|expected| expected.before.as_mut());
        deadline.into_iter().chain(before).chain(&mut self.timeout_at).filter(|time| **time > since).for_each(later);
    }

    /// The first moment at which time brings something about.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let overdue = self.deadline.map(|deadline| just_after(deadline.at));
        [overdue, self.timed_out_at()].into_iter().flatten().min()
    }

    /// Lives through that moment.
    pub(crate) fn pass(&mut self) -> Passed {
        let timed_out = self.timed_out_at();
        match self.deadline.take_if(|deadline| timed_out.is_none_or(|at| just_after(deadline.at) <= at)) {
            Some(deadline) => Passed::Overdue { due_at: deadline.at, number: deadline.number },
            None => Passed::TimedOut,
        }
    }

    /// When a human must have taken it, as far as is known.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        let expected = self.expected.iter().map(|expected| expected.at);
        expected.chain(self.deadline.map(|deadline| deadline.at)).min()
    }

    /// The records that tell of it, the opener first.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &RecordId> {
        self.causes.iter()
    }

    fn timed_out_at(&self) -> Option<Timestamp> {
        self.timeout_at.filter(|_| self.expected.is_empty()).map(just_after)
    }

    fn saw(&mut self, cause: &RecordId) {
        if self.causes.len() == CAUSES_MAX {
            // The opener stays.
            self.causes.remove(1);
        }
        self.causes.push(cause.clone());
    }
}

/// What is appended at the deadline itself is in time.
fn just_after(time: Timestamp) -> Timestamp {
    Timestamp(time.0.saturating_add(1))
}
