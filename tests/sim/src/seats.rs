//! The pumps of a seed: which stand, which sleep through the end of their session, which have crashed.

use std::sync::Arc;

use audit::Audit;
use capacity::Capacity;
use escalation::Escalation;
use incident::Incident;
use machine::Machine;
use rollback::Rollback;
use runtime::errors::{Coded, Fate};
use runtime::log::Log;
use runtime::pump::{Pump, PumpOptions, Step};
use wire::Timestamp;

/// Members of each room's consumer group.
pub(crate) const ORDINALS: u32 = 2;

/// A pump of any room, turned by hand.
pub(crate) trait Turn {
    /// One step of the production pump.
    fn turn(&mut self) -> Turned;
    /// Offsets that it has yet to fold, over its partitions: a reader that lags says nothing and is not done.
    fn lag(&mut self) -> i64;
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Turned {
    /// It did this.
    Stepped(Step),
    /// It failed in a way that the next step mends.
    Failed(String),
    /// It asks to be made anew.
    Restart(String),
    /// It refuses to go on: never right in a simulation.
    Refused(String),
}

/// One member of one room.
pub(crate) struct Seat {
    /// The room.
    pub(crate) service: &'static str,
    /// Which member.
    pub(crate) ordinal: u32,
    /// Absent: crashed, or not started yet.
    pub(crate) pump: Option<Box<dyn Turn>>,
    /// Stopped, as by SIGSTOP, until so many more actions have passed.
    pub(crate) asleep: u32,
    make: fn(Arc<dyn Log>, PumpOptions) -> Box<dyn Turn>,
}

// === impl Seat ===

impl Seat {
    /// Every member of every room, none started.
    pub(crate) fn all() -> Vec<Self> {
        let of_ordinal = |ordinal| {
            [
                Self::of::<Incident>(ordinal),
                Self::of::<Rollback>(ordinal),
                Self::of::<Escalation>(ordinal),
                Self::of::<Capacity>(ordinal),
                Self::of::<Audit>(ordinal),
            ]
        };
        (0..ORDINALS).flat_map(of_ordinal).collect()
    }

    /// Starts it anew; whatever stood there is gone without a word.
    pub(crate) fn start(&mut self, log: Arc<dyn Log>, mut options: PumpOptions) {
        options.ordinal = self.ordinal;
        self.pump = None;
        self.pump = Some((self.make)(log, options));
        self.asleep = 0;
    }

    /// Name of the member, which is its transactional id too.
    pub(crate) fn member(&self) -> String {
        format!("reeve.{}.{}", self.service, self.ordinal)
    }

    /// Name of its consumer group.
    pub(crate) fn group(&self) -> String {
        format!("reeve.{}", self.service)
    }

    /// Whether it can be stepped now.
    pub(crate) fn is_awake(&self) -> bool {
        self.pump.is_some() && self.asleep == 0
    }

    fn of<M: Machine>(ordinal: u32) -> Self {
        Self { service: M::SERVICE, ordinal, pump: None, asleep: 0, make: |log, options| Box::new(Pump::<M>::new(log, options)) }
    }
}

impl<M: Machine> Turn for Pump<M> {
    fn lag(&mut self) -> i64 {
        self.status().partitions.iter().map(|partition| partition.lag).sum()
    }

    fn turn(&mut self) -> Turned {
        match self.step() {
            Ok(step) => Turned::Stepped(step),
            Err(error) => {
                let told = chain(&error);
                match error.fate() {
                    Fate::Retry => Turned::Failed(told),
                    Fate::Restart => Turned::Restart(told),
                    Fate::Refuse => Turned::Refused(told),
                }
            }
        }
    }
}

/// The earliest of the deadlines that steps told of.
pub(crate) fn earliest(steps: &[Step]) -> Option<Timestamp> {
    steps.iter().filter_map(|step| step.next_due).min()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told.push_str(": ");
        told.push_str(&cause.to_string());
        source = cause.source();
    }
    told
}
