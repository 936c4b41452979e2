//! The room on a log of its own, in lockstep: every decision comes home before the next fact is told.

mod books;
mod budgets;
mod differential;
mod memory;

use kit::facts;
use kit::lives::BIRTH;
use kit::room::room;
use kit::{House, Teller};
use machine::Machine;
use wire::{
    Body, CapacityForecast, CapacityMeasured, CapacityWarned, Kind, ModelCalled, Offset, Partition, PolicyAdopted, Record, Role, Timestamp,
};

use crate::Capacity;

/// One agent, `billing`, and the house that it lives in.
pub(super) struct Life {
    pub(super) house: House,
    platform: Teller,
    person: Teller,
}

// === impl Life ===

impl Life {
    pub(super) fn new() -> Self {
        let house = House::new(&vec![room::<Capacity>]);
        Self { house, platform: Teller::new("billing"), person: Teller::person("ann", "capacity") }
    }

    pub(super) fn under(document: &str) -> Self {
        let mut life = Self::new();
        life.adopt(0, document);
        life
    }

    pub(super) fn adopt(&mut self, at_s: i64, document: &str) {
        let adopted = PolicyAdopted {
            room: "capacity".to_owned(),
            version: "p".to_owned(),
            document: document.to_owned(),
            author: "ann".to_owned(),
            reason: "as agreed".to_owned(),
        };
        let event = self.person.tell(at(at_s), None, adopted);
        self.house.tell(at(at_s), event);
    }

    /// A fact of `session` that is told when it happens.
    pub(super) fn fact(&mut self, at_s: i64, session: &str, body: impl Into<Body>) {
        self.arrives(at_s, Some(at_s), session, body);
    }

    /// A fact that happened at `happened_s` by its platform's clock, and reached the log at `at_s`.
    pub(super) fn arrives(&mut self, at_s: i64, happened_s: Option<i64>, session: &str, body: impl Into<Body>) {
        let mut event = self.platform.tell(at(happened_s.unwrap_or(0)), Some(session), body);
        event.time = happened_s.map(at);
        self.house.tell(at(at_s), event);
    }

    pub(super) fn pass(&mut self, at_s: i64) {
        self.house.pass_to(at(at_s));
    }

    pub(super) fn measured(&self, window: &str) -> Vec<CapacityMeasured> {
        let bodies = self.house.said(Kind::CapacityMeasured).into_iter().filter_map(|record| match &record.body {
            Body::CapacityMeasured(body) => Some(body.clone()),
            _ => None,
        });
        bodies.filter(|body| body.window.as_deref() == Some(window)).collect()
    }

    pub(super) fn warned(&self) -> Vec<CapacityWarned> {
        let bodies = self.house.said(Kind::CapacityWarned).into_iter().filter_map(|record| match &record.body {
            Body::CapacityWarned(body) => Some(body.clone()),
            _ => None,
        });
        bodies.collect()
    }

    pub(super) fn forecasts(&self) -> Vec<CapacityForecast> {
        let bodies = self.house.said(Kind::CapacityForecast).into_iter().filter_map(|record| match &record.body {
            Body::CapacityForecast(body) => Some(body.clone()),
            _ => None,
        });
        bodies.collect()
    }

    /// What `reeve status` shows of a matter, as state and everything else.
    pub(super) fn standing(&self, matter: &str) -> (String, String) {
        let mut machine = Capacity::default();
        self.house.log().iter().for_each(|record| machine.apply(record));
        let lines = machine.standing(&"billing".into(), self.house.now());
        let line = lines.iter().find(|line| line.matter.starts_with(matter)).unwrap_or_else(|| panic!("no line of {matter}: {lines:#?}"));
        let words = format!("{} {}", line.missing.clone().unwrap_or_default(), line.detail.clone().unwrap_or_default());
        (line.state.clone(), words)
    }
}

pub(super) fn at(seconds: i64) -> Timestamp {
    BIRTH.plus_s(seconds)
}

/// A model call of the agent that tells nothing but that it took place.
pub(super) fn call() -> ModelCalled {
    ModelCalled {
        model: None,
        served_model: None,
        by: Role::Agent,
        tokens_in: None,
        tokens_out: None,
        cost_usd: None,
        latency_ms: None,
        finish_reason: None,
        failed: None,
        error: None,
        turn: None,
        version: None,
    }
}

pub(super) fn tokens(tokens_in: i64) -> ModelCalled {
    ModelCalled { tokens_in: Some(tokens_in), ..call() }
}

pub(super) fn costs(cost_usd: f64) -> ModelCalled {
    ModelCalled { cost_usd: Some(cost_usd), ..call() }
}

pub(super) fn record(offset: i64, appended: Timestamp, event: wire::Event) -> Record {
    Record { partition: Partition(0), offset: Offset(offset), appended, event }
}

pub(super) use facts::{ended, outcome, started, tool_returned};
