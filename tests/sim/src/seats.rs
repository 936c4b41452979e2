//! The pumps of a seed: which stand, which sleep through the end of their session, which have crashed, and as which
//! version of their room they run.

use std::sync::Arc;

use audit::Audit;
use capacity::Capacity;
use escalation::Escalation;
use incident::Incident;
use kit::upgrade::Next;
use machine::Machine;
use machine::room::{AnyRoom, room};
use rollback::Rollback;
use runtime::errors::{Coded, Fate, chain};
use runtime::log::Log;
use runtime::pump::{Pump, PumpOptions, Step};
use wire::{Partition, Timestamp};

/// Rooms of the house.
pub(crate) const ROOMS: usize = HOUSE.len();
/// Members of all consumer groups together: two a room.
pub(crate) const SEATS: usize = 2 * ROOMS;

/// A room as the simulation runs it.
pub(crate) struct Room {
    service: &'static str,
    judged: fn(Partition) -> Box<dyn AnyRoom>,
    /// Its pump, as today's version and as the next one.
    make: [Make; 2],
}

type Make = fn(Arc<dyn Log>, PumpOptions) -> Box<dyn Turn>;

/// Every room. Who adds a room adds its line here.
const HOUSE: [Room; 5] =
    [Room::of::<Incident>(), Room::of::<Rollback>(), Room::of::<Escalation>(), Room::of::<Capacity>(), Room::of::<Audit>()];

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
    /// The room, by its index.
    pub(crate) room: usize,
    /// Name of the member, which is its transactional id too.
    pub(crate) member: String,
    /// Absent: crashed, or not started yet.
    pub(crate) pump: Option<Box<dyn Turn>>,
    /// Stopped, as by SIGSTOP, until so many more actions have passed.
    pub(crate) asleep: u32,
    /// Whether it runs as the next version of its room.
    pub(crate) is_next: bool,
}

/// The rooms as the oracle folds them.
pub(crate) fn judged() -> machine::room::Rooms {
    HOUSE.iter().map(|room| room.judged).collect()
}

/// Name of a room.
pub(crate) fn service(room: usize) -> &'static str {
    HOUSE[room].service
}

/// Name of a member.
pub(crate) fn member(seat: usize) -> String {
    format!("reeve.{}.{}", service(seat % ROOMS), seat / ROOMS)
}

// === impl Room ===

impl Room {
    const fn of<M: Machine>() -> Self {
        Self {
            service: M::SERVICE,
            judged: room::<M>,
            make: [|log, options| Box::new(Pump::<M>::new(log, options)), |log, options| Box::new(Pump::<Next<M>>::new(log, options))],
        }
    }
}

// === impl Seat ===

impl Seat {
    /// Every member of every room, none started: first one of each, then the second ones.
    pub(crate) fn all() -> Vec<Self> {
        (0..SEATS).map(|seat| Self { room: seat % ROOMS, member: member(seat), pump: None, asleep: 0, is_next: false }).collect()
    }

    /// Starts it anew; whatever stood there is gone without a word.
    pub(crate) fn start(&mut self, seat: usize, log: Arc<dyn Log>, mut options: PumpOptions) {
        options.ordinal = (seat / ROOMS) as u32;
        self.pump = None;
        self.pump = Some(HOUSE[self.room].make[usize::from(self.is_next)](log, options));
        self.asleep = 0;
    }

    /// Name of its consumer group.
    pub(crate) fn group(&self) -> String {
        format!("reeve.{}", service(self.room))
    }

    /// Whether it can be stepped now.
    pub(crate) fn is_awake(&self) -> bool {
        self.pump.is_some() && self.asleep == 0
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
