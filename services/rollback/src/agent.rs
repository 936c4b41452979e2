//! One agent in this room's mind: how each fact about it moves its state, and which decisions that gives rise to.

use machine::Debt;
use serde::{Deserialize, Serialize};
use wire::{
    AgentId, Automation, CommandAcknowledged, IncidentId, Kind, Level, Mode, ModeOrdered, Offset, Record, RecordId, RollbackOrdered,
    RollbackProposed, Timestamp, VersionId,
};

use crate::episode::{Episode, Plan, Proposal};
use crate::modes::ModeNow;
use crate::order::{Failure, Order};
use crate::policy::InForce;
use crate::rules::{self, Situation};
use crate::versions::Versions;
use crate::words::Trigger;

/// Orders of one agent that may be open at once: one per incident, and incidents that people resolve early may leave
/// theirs behind. Beyond it a rollback becomes human-only mode.
pub(crate) const ORDERS_MAX: usize = 4;

/// What this room knows about an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agent {
    pub(crate) versions: Versions,
    pub(crate) mode: ModeNow,
    /// What a person set; absent: it follows from the baseline.
    pub(crate) automation_set: Option<Automation>,
    /// The person who answers for operations.
    pub(crate) operator: Option<String>,
    /// The open incident.
    pub(crate) episode: Option<Episode>,
    /// The incident before it: what still comes of it opens nothing.
    closed: Option<IncidentId>,
    /// Orders that have not ended, in the order in which they were given.
    pub(crate) orders: Vec<Order>,
}

/// An incident as its decision tells it.
pub(crate) struct Told<'a> {
    pub(crate) incident: &'a IncidentId,
    pub(crate) level: Level,
    /// How bad it was before; absent: it was just opened.
    pub(crate) from_level: Option<Level>,
    /// Harms counted so far.
    pub(crate) harms: i64,
    /// The version that it names as its cause.
    pub(crate) version: Option<&'a VersionId>,
}

// === impl Told ===

impl Told<'_> {
    /// Whether there is more to answer than before: a worse level, a version that is named, or further harm. Any other
    /// trouble joins an incident that was answered at its level already.
    fn is_worse_than(&self, episode: Option<&Episode>) -> bool {
        let Some(episode) = episode.filter(|episode| episode.incident == *self.incident) else { return true };
        self.from_level.is_none_or(|from| self.level < from) || self.version.is_some() || self.harms > episode.harms
    }
}

// === impl Agent: incidents ===

impl Agent {
    /// An incident was opened or aggravated: orders what its level asks for, or proposes it.
    pub(crate) fn answer(&mut self, key: &AgentId, record: &Record, told: &Told<'_>, in_force: &InForce) -> Vec<Debt> {
        let worse = told.is_worse_than(self.episode.as_ref());
        let Some(episode) = self.enter(told.incident, told.level) else { return Vec::new() };
        episode.harms = episode.harms.max(told.harms);
        let rolled_back = episode.rollback.is_some();
        if !worse || !record.may_trigger() {
            return Vec::new();
        }
        let culprit = told.version.or(self.versions.serving.as_ref()).cloned();
        let target = self.versions.way_back(told.version);
        let situation = Situation { level: told.level, names_version: told.version.is_some(), target: target.is_some(), rolled_back };
        let wanted = rules::wanted(situation);
        let to = target.filter(|_| wanted.rollback);
        let plan = Plan { level: told.level, rule: wanted.rule.to_owned(), from: culprit, to, mode: wanted.mode };
        let trigger = Trigger::record(key, record, in_force, self.accountable(), &[]);
        match self.automation() {
            Automation::Enforce => self.carry_out(&trigger, record.offset, plan, in_force),
            Automation::Observe | Automation::Propose => self.propose(&trigger, plan).into_iter().collect(),
        }
    }

    /// An incident is known to be less bad. Its mode stays until what asked for it is over: what was taken from the agent
    /// is given back once, not step by step.
    pub(crate) fn eased(&mut self, incident: &IncidentId, level: Level) {
        let episode = self.episode.as_mut().filter(|episode| episode.incident == *incident);
        episode.into_iter().for_each(|episode| episode.level = level);
    }

    /// An incident is over: its proposals lapse, and the mode that it asked for ends. An open order lives on.
    pub(crate) fn resolved(&mut self, key: &AgentId, record: &Record, incident: &IncidentId, in_force: &InForce) -> Option<Debt> {
        if self.episode.as_ref().is_some_and(|episode| episode.incident != *incident) {
            return None;
        }
        self.episode = None;
        self.closed = Some(incident.clone());
        let back = self.mode.after_resolved()?;
        let trigger = Trigger::record(key, record, in_force, self.accountable(), &[]);
        let debt = trigger.mode(Some(incident), self.mode.mode, back, "resolved");
        self.mode.moved(back);
        Some(debt)
    }

    /// The episode of `incident`, opened if it is new; `None` if that incident is over.
    fn enter(&mut self, incident: &IncidentId, level: Level) -> Option<&mut Episode> {
        if self.closed.as_ref() == Some(incident) {
            return None;
        }
        if self.episode.as_ref().is_none_or(|episode| episode.incident != *incident) {
            let before = self.episode.replace(Episode::new(incident.clone(), level));
            self.closed = before.map(|before| before.incident).or(self.closed.take());
        }
        if rules::disproves(level) {
            self.versions.begin_anew();
        }
        let episode = self.episode.as_mut()?;
        episode.level = level;
        Some(episode)
    }

    /// Orders what `plan` holds, as far as it is not ordered: one rollback per episode, modes only stricter.
    fn carry_out(&mut self, trigger: &Trigger<'_>, at: Offset, mut plan: Plan, in_force: &InForce) -> Vec<Debt> {
        let Some(episode) = self.episode.as_mut() else { return Vec::new() };
        let incident = episode.incident.clone();
        let mut debts = Vec::new();
        if let Some(to) = plan.to.clone().filter(|_| episode.rollback.is_none()) {
            if self.orders.len() < ORDERS_MAX {
                let (id, body) = trigger.rollback(&incident, &plan, &to, self.versions.layers(&to), in_force);
                episode.rollback = Some(id.clone());
                let cause = trigger.causes.first().map_or_else(|| trigger.causation.clone(), |cause| cause.as_str().into());
                self.orders.push(Order::new(id.clone(), cause, trigger.hops, in_force.policy.sightings, &body));
                self.take_back(plan.from.as_ref(), &to, at);
                debts.push(trigger.debt(id, body.into()));
            } else {
                plan.mode = Some(Mode::HumanOnly);
            }
        }
        if let Some(mode) = plan.mode.filter(|mode| *mode > self.mode.mode) {
            debts.push(trigger.mode(Some(&incident), self.mode.mode, mode, &plan.rule));
            self.mode.moved(mode);
        }
        debts
    }

    fn take_back(&mut self, from: Option<&VersionId>, to: &VersionId, at: Offset) {
        if let Some(from) = from.filter(|from| *from != to) {
            self.versions.quarantine(from, at);
        }
    }

    fn propose(&mut self, trigger: &Trigger<'_>, plan: Plan) -> Option<Debt> {
        let automation = self.automation();
        let stands = self.mode.mode;
        let episode = self.episode.as_mut()?;
        let plan = episode.news(plan, stands)?;
        let debt = trigger.proposal(&episode.incident, &plan, automation);
        episode.propose(debt.id.clone(), Proposal { plan, cause: trigger.causation.clone(), accepted: false });
        Some(debt)
    }
}

// === impl Agent: people ===

impl Agent {
    /// A person set a mode: it is ordered whatever automation says.
    pub(crate) fn mode_set(&mut self, key: &AgentId, record: &Record, mode: Mode, in_force: &InForce) -> Debt {
        let trigger = Trigger::record(key, record, in_force, self.accountable(), &[]);
        let debt = trigger.mode(None, self.mode.mode, mode, "person");
        self.mode.wished(mode);
        debt
    }

    /// A person accepts a proposal: what it holds is ordered, whatever automation says.
    pub(crate) fn accepted(&mut self, key: &AgentId, record: &Record, proposal_id: &str, in_force: &InForce) -> Vec<Debt> {
        let Some(proposal) = self.episode.as_mut().and_then(|episode| episode.accept(proposal_id)) else { return Vec::new() };
        let first = [&proposal.cause, &RecordId::from(proposal_id)];
        let trigger = Trigger::record(key, record, in_force, self.accountable(), &first);
        self.carry_out(&trigger, record.offset, proposal.plan, in_force)
    }

    /// What Reeve may do about this agent by itself.
    pub(crate) fn automation(&self) -> Automation {
        rules::automation(self.automation_set, self.versions.baseline.as_ref())
    }

    /// Who answers for what happens next.
    pub(crate) fn accountable(&self) -> String {
        self.operator.as_ref().map_or_else(|| "operations".to_owned(), |person| format!("operations ({person})"))
    }
}

// === impl Agent: orders ===

impl Agent {
    /// A fact shows a version serving.
    pub(crate) fn sighted(&mut self, key: &AgentId, record: &Record, version: &VersionId) -> Vec<Debt> {
        let trouble = self.episode.as_ref().is_some_and(|episode| rules::disproves(episode.level));
        self.versions.sighted(version, record, trouble);
        self.orders.iter_mut().for_each(|order| order.sighted(version, &record.id));
        let verified = self.orders.iter().position(Order::is_verified);
        verified.map_or_else(Vec::new, |place| self.verify(key, place, record.appended))
    }

    /// A platform answered an order. Answers to orders that have ended, or were never given, change nothing.
    pub(crate) fn acknowledged(&mut self, key: &AgentId, record: &Record, answer: &CommandAcknowledged) -> Vec<Debt> {
        let Some(place) = self.orders.iter().position(|order| order.id.as_str() == answer.order_id) else { return Vec::new() };
        if !answer.accepted {
            return self.fail(key, place, Failure::Refused);
        }
        self.orders[place].acknowledged(&record.id, record.appended);
        Vec::new()
    }

    /// The first moment at which an order is overdue.
    pub(crate) fn overdue_at(&self) -> Option<Timestamp> {
        self.orders.iter().filter_map(Order::overdue_at).min()
    }

    /// What orders that are overdue at `now` give rise to. A read: asked now or later, it says the same.
    pub(crate) fn overdue(&self, key: &AgentId, now: Timestamp) -> Vec<Debt> {
        let mut overdue: Vec<&Order> = self.orders.iter().filter(|order| order.overdue_at().is_some_and(|at| at <= now)).collect();
        overdue.sort_by_key(|order| order.overdue_at());
        overdue.into_iter().flat_map(|order| self.failing(key, order, order.failure())).collect()
    }

    /// Ends the orders that are overdue at `now`: no later record can make them come in time.
    pub(crate) fn latch(&mut self, key: &AgentId, now: Timestamp) -> Vec<Debt> {
        let mut debts = Vec::new();
        while let Some(at) = self.overdue_at().filter(|at| *at <= now) {
            let place = self.orders.iter().position(|order| order.overdue_at() == Some(at)).expect("it is the least of them");
            debts.extend(self.fail(key, place, self.orders[place].failure()));
        }
        debts
    }

    fn verify(&mut self, key: &AgentId, place: usize, at: Timestamp) -> Vec<Debt> {
        let order = self.orders.remove(place);
        let trigger = Trigger::order(key, &order, self.accountable());
        let mut debts = vec![trigger.verified(&order, at)];
        if let Some(mode) = self.mode.after_verified().filter(|_| self.lives_in(&order.incident)) {
            debts.push(trigger.mode_after_verified(&order, self.mode.mode, mode));
            self.mode.moved(mode);
        }
        debts
    }

    fn fail(&mut self, key: &AgentId, place: usize, failure: Failure) -> Vec<Debt> {
        let debts = self.failing(key, &self.orders[place], failure);
        if debts.iter().any(|debt| debt.body.kind() == Kind::ModeOrdered) {
            self.mode.moved(Mode::HumanOnly);
        }
        self.orders.remove(place);
        debts
    }

    /// The failure, and human-only mode as long as its incident is open: nothing would end it afterwards.
    fn failing(&self, key: &AgentId, order: &Order, failure: Failure) -> Vec<Debt> {
        let trigger = Trigger::order(key, order, self.accountable());
        let mut debts = vec![trigger.failed(order, failure)];
        if self.mode.mode < Mode::HumanOnly && self.lives_in(&order.incident) {
            debts.push(trigger.mode_after_failed(order, self.mode.mode));
        }
        debts
    }

    fn lives_in(&self, incident: &IncidentId) -> bool {
        self.episode.as_ref().is_some_and(|episode| episode.incident == *incident)
    }
}

// === impl Agent: proof ===

impl Agent {
    /// The incident room has looked this far: which versions does that prove? `most` of them are said now.
    pub(crate) fn prove(&mut self, key: &AgentId, record: &Record, seen: Seen, in_force: &InForce, most: usize) -> Vec<Debt> {
        let covered = self.versions.proofs().filter(|(_, proof)| proof.is_covered(seen.asof, seen.now, &in_force.policy));
        let covered: Vec<_> = covered.take(most).map(|(version, proof)| (version.clone(), proof.clone())).collect();
        let trigger = Trigger::record(key, record, in_force, self.accountable(), &[]);
        let mut debts = Vec::new();
        for (version, proof) in covered {
            let served_s = seen.now.since_us(proof.since) / 1_000_000;
            debts.push(trigger.proven(&version, &proof.opener, proof.outcomes, served_s));
            self.versions.proven(&version, record.offset);
        }
        debts
    }
}

/// How far the incident room has looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) asof: Offset,
    pub(crate) now: Timestamp,
}

// === impl Agent: echoes ===

impl Agent {
    /// An order came home. One that this state never owed is taken as it stands: the state was built from decisions.
    pub(crate) fn order_came_home(&mut self, record: &Record, body: &RollbackOrdered, was_owed: bool, sightings: u32) {
        let known = self.orders.iter().any(|order| order.id == record.id);
        if !known && !was_owed && self.enter(&body.incident_id, body.level).is_some_and(|episode| episode.rollback.is_none()) {
            let cause = body.basis.causes.first().map_or_else(|| record.id.clone(), |cause| cause.as_str().into());
            self.orders.push(Order::new(record.id.clone(), cause, record.hops, sightings, body));
            self.take_back(body.from_version.as_ref(), &body.to_version, record.offset);
            if let Some(episode) = &mut self.episode {
                episode.rollback = Some(record.id.clone());
            }
        }
        if let Some(order) = self.orders.iter_mut().find(|order| order.id == record.id) {
            order.came_home(body.basis.now, record.appended);
        }
    }

    /// A proposal came home that this state never made.
    pub(crate) fn adopt_proposal(&mut self, record: &Record, body: &RollbackProposed) {
        // An incident that this state knows has its proposals already.
        let level = if body.basis.rule == rules::P3 { Level::P3 } else { Level::P2 };
        if self.episode.is_some() || self.enter(&body.incident_id, level).is_none() {
            return;
        }
        let mode =
            [Mode::Investigation, Mode::Reduced, Mode::HumanOnly].into_iter().find(|mode| Some(mode.as_str()) == body.mode.as_deref());
        let (from, to) = (body.from_version.clone(), body.to_version.clone());
        let plan = Plan { level, rule: body.basis.rule.clone(), from, to, mode };
        let cause = body.basis.causes.first().map_or_else(|| record.id.clone(), |cause| cause.as_str().into());
        if let Some(episode) = &mut self.episode {
            episode.propose(record.id.clone(), Proposal { plan, cause, accepted: false });
        }
    }

    /// The last mode that was ordered came home: from decisions alone the same mode follows.
    pub(crate) fn adopt_mode(&mut self, body: &ModeOrdered) {
        match body.incident_id {
            Some(_) => self.mode.moved(body.mode),
            None => self.mode.wished(body.mode),
        }
    }

    /// An order's end came home: it is over, whatever facts crossed it on its way.
    pub(crate) fn ended(&mut self, order_id: &str) {
        self.orders.retain(|order| order.id.as_str() != order_id);
    }
}
