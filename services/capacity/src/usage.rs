//! What was used in one window, and what each fact adds to it.

use wire::{Body, CapacityMeasured, ModelCalled, Role};

use crate::latencies::Latencies;
use machine::columns;

/// US dollars are summed in billionths, so that sums do not depend on their order.
const NANOS_PER_USD: f64 = 1e9;

/// The use of one agent in one window. What nobody told is absent, and never zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) events: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    /// Most sessions at once; `None`: no start of a session was ever heard.
    pub(crate) concurrent_max: Option<u64>,
    pub(crate) outcomes: u64,
    pub(crate) spent: Spent,
    /// Model calls on the agent's account, whether they told what they took or not.
    pub(crate) calls: u64,
    /// Those that told tokens, and those that told their cost.
    pub(crate) tokens_n: u64,
    pub(crate) cost_n: u64,
    pub(crate) tools: Told,
    pub(crate) models: Told,
    pub(crate) escalations: u64,
    pub(crate) latencies: Latencies,
    /// Facts in it that were dated after their arrival.
    pub(crate) ahead: u64,
    /// Facts that came during it and too late for their own window of this length, and what they told of.
    pub(crate) late: u64,
    pub(crate) late_spent: Spent,
}

/// What model calls took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    pub(crate) tokens_in: Option<u64>,
    pub(crate) tokens_out: Option<u64>,
    pub(crate) cost_nanos: Option<u64>,
}

/// Calls that told whether they failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) n: u64,
    pub(crate) failed: u64,
}

columns!(Usage {
    events,
    started,
    ended,
    concurrent_max,
    outcomes,
    spent,
    calls,
    tokens_n,
    cost_n,
    tools,
    models,
    escalations,
    latencies,
    ahead,
    late,
    late_spent
});
columns!(Spent { tokens_in, tokens_out, cost_nanos });
columns!(Told { n, failed });

// === impl Usage ===

impl Usage {
    /// Whether a fact of this kind is a use of the agent: what happens inside its sessions. A sign of life, a deployment
    /// or a report about the agent uses nothing.
    pub(crate) fn counts(body: &Body) -> bool {
        matches!(
            body,
            Body::SessionStarted(_)
                | Body::MessagePosted(_)
                | Body::ModelCalled(_)
                | Body::ToolCalled(_)
                | Body::ToolReturned(_)
                | Body::DecisionMade(_)
                | Body::OutcomeReported(_)
                | Body::SessionEnded(_)
        )
    }

    /// Adds a fact.
    pub(crate) fn count(&mut self, body: &Body) {
        self.events += 1;
        match body {
            Body::SessionStarted(_) => self.started += 1,
            Body::SessionEnded(_) => self.ended += 1,
            Body::OutcomeReported(_) => self.outcomes += 1,
            Body::ToolReturned(returned) if returned.by == Role::Agent => self.tools.count(returned.failed),
            Body::ModelCalled(called) => self.called(called),
            _ => {}
        }
    }

    /// Adds a fact that came too late.
    pub(crate) fn count_late(&mut self, body: &Body) {
        self.late += 1;
        self.late_spent.add(Spent::of(body));
    }

    /// Adds what a shorter window used. What was late for it, it counted for its own length.
    pub(crate) fn merge(&mut self, part: &Self) {
        self.events += part.events;
        self.started += part.started;
        self.ended += part.ended;
        self.concurrent_max = self.concurrent_max.max(part.concurrent_max);
        self.outcomes += part.outcomes;
        self.spent.add(part.spent);
        self.calls += part.calls;
        self.tokens_n += part.tokens_n;
        self.cost_n += part.cost_n;
        self.tools.add(part.tools);
        self.models.add(part.models);
        self.escalations += part.escalations;
        self.latencies.merge(&part.latencies);
        self.ahead += part.ahead;
    }

    /// What `said` told less than this: facts that the log had before the decision came home, and after it was made.
    pub(crate) fn untold(mine: &CapacityMeasured, said: &CapacityMeasured) -> (u64, Spent) {
        let more = |mine: Option<i64>, said: Option<i64>| {
            u64::try_from(mine.unwrap_or(0).saturating_sub(said.unwrap_or(0))).ok().filter(|more| *more > 0)
        };
        let cost = |body: &CapacityMeasured| body.cost_usd.map_or(0, nanos);
        let spent = Spent {
            tokens_in: more(mine.tokens_in, said.tokens_in),
            tokens_out: more(mine.tokens_out, said.tokens_out),
            cost_nanos: Some(cost(mine).saturating_sub(cost(said))).filter(|more| *more > 0),
        };
        (more(Some(mine.events), Some(said.events)).unwrap_or(0), spent)
    }

    fn called(&mut self, called: &ModelCalled) {
        if called.by == Role::Agent {
            self.models.count(called.failed);
            called.latency_ms.into_iter().for_each(|latency_ms| self.latencies.add(latency_ms));
        }
        if is_on_account(called.by) {
            let spent = Spent::by(called);
            self.calls += 1;
            self.tokens_n += u64::from(spent.tokens().is_some());
            self.cost_n += u64::from(spent.cost_nanos.is_some());
            self.spent.add(spent);
        }
    }
}

// === impl Spent ===

impl Spent {
    /// What a fact tells that was taken on the agent's account.
    pub(crate) fn of(body: &Body) -> Self {
        match body {
            Body::ModelCalled(called) if is_on_account(called.by) => Self::by(called),
            _ => Self::default(),
        }
    }

    /// Tokens in both directions, of whatever was told.
    pub(crate) fn tokens(self) -> Option<u64> {
        sum(self.tokens_in, self.tokens_out)
    }

    /// US dollars.
    pub(crate) fn cost_usd(self) -> Option<f64> {
        self.cost_nanos.map(usd)
    }

    /// Adds more of it.
    pub(crate) fn add(&mut self, more: Self) {
        self.tokens_in = sum(self.tokens_in, more.tokens_in);
        self.tokens_out = sum(self.tokens_out, more.tokens_out);
        self.cost_nanos = sum(self.cost_nanos, more.cost_nanos);
    }

    fn by(called: &ModelCalled) -> Self {
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let cost_nanos = called.cost_usd.filter(|usd| usd.is_finite() && *usd >= 0.0).map(nanos);
        Self { tokens_in: count(called.tokens_in), tokens_out: count(called.tokens_out), cost_nanos }
    }
}

// === impl Told ===

impl Told {
    fn count(&mut self, failed: Option<bool>) {
        self.n += u64::from(failed.is_some());
        self.failed += u64::from(failed == Some(true));
    }

    fn add(&mut self, more: Self) {
        self.n += more.n;
        self.failed += more.failed;
    }
}

/// Billionths as US dollars.
pub(crate) fn usd(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_USD
}

fn nanos(usd: f64) -> u64 {
    // A float that is no such number becomes the nearest that is.
    (usd * NANOS_PER_USD).round() as u64
}

/// What a customer's own models take, or a colleague's, is not the agent's to pay.
fn is_on_account(by: Role) -> bool {
    !matches!(by, Role::User | Role::Human)
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    }
}
