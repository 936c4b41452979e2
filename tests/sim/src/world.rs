//! One schedule lived through: a log that fails, pumps that crash and sleep, a platform that answers, and a clock.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kit::Teller;
use kit::lives::BIRTH;
use kit::room::TOPIC;
use machine::mutants::{self, Mutant};
use machine::oracle::{Judgement, Oracle, Read};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::log::memory::{FaultPlan, MemoryLog, MemoryOptions};
use runtime::log::{Addressed, Log};
use runtime::pump::{PumpOptions, Step};
use runtime::snapshots::{MemorySnapshots, SnapshotStore};
use wire::{AgentId, DoorOpened, Event, Offset, Partition, RawRecord, SessionId, Timestamp};

use crate::life::LATE_S_MIN;
use crate::platform::Platform;
use crate::schedule::{Action, Schedule, What};
use crate::seats::{ROOMS, Seat, Turned, earliest, judged, service};
use crate::verdict::{Complaint, Verdict};

/// Partitions of the simulated topic.
pub(crate) const PARTITIONS: u32 = 2;
/// Rounds after the last action before a seed counts as one that never comes to rest: several times what any seed needs.
const ROUNDS_MAX: usize = 600;
/// Records folded after which a simulated room takes a snapshot: few, so that many are cut.
const SNAPSHOT_EVERY_RECORDS: u64 = 40;
/// For so long after a transaction its decisions wait for more, if there is more: longer than elsewhere, so that they often do.
const DECISIONS_WAIT_US: i64 = 5_000_000;
/// A room that was down so long was down for hours.
const DOWN_S_MIN: i64 = 3_600;
/// What the world itself does, beside the log's own faults.
const FAULTS: [&str; 13] = [
    "crashed",
    "slept",
    "joined",
    "clock_jumped",
    "door_shut",
    "snapshot_damaged",
    "garbled",
    "told_late",
    "told_out_of_order",
    "room_down_for_hours",
    "upgraded",
    "decided_side_by_side",
    "decisions_waited",
];

/// What is left of a schedule that was lived through.
pub(crate) struct Lived {
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// Everything on the log, partition by partition.
    pub(crate) log: Vec<Arc<Read>>,
    /// A time after every deadline.
    pub(crate) end: Timestamp,
}

/// Lives a schedule through, with one rule broken or none, and judges it; a trace is written only where it is wanted.
pub(crate) fn live(schedule: &Schedule, broken: Option<Mutant>, traced: bool) -> Lived {
    mutants::set(broken);
    let mut world = World::new(schedule, traced);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        world.live(schedule);
        world.come_to_rest();
    }));
    world.note_panic(ended);
    // The oracle folds with the rules whole.
    mutants::set(None);
    world.judge(schedule)
}

struct World {
    log: Arc<MemoryLog>,
    /// How long after it silence is known of, as far as the log can tell.
    silence_lag_us: i64,
    snapshots: Arc<MemorySnapshots>,
    seats: Vec<Seat>,
    platform: Platform,
    /// The rooms that are down, since when, and what the others decided meanwhile.
    down: BTreeMap<usize, (Timestamp, usize)>,
    /// Who says that the door is open, and since when nobody can be heard.
    door: Teller,
    shut_since: Option<Timestamp>,
    /// Whether more is to come.
    is_alive: bool,
    /// Until when each session was told of.
    told: BTreeMap<(AgentId, SessionId), Timestamp>,
    faults: BTreeMap<&'static str, u64>,
    trace: Option<Vec<String>>,
    complaints: Vec<Complaint>,
    /// Rounds until everything rested.
    rounds: usize,
}

// === impl World ===

impl World {
    fn new(schedule: &Schedule, traced: bool) -> Self {
        let Schedule { seed, skew_us, replication_lag_us, .. } = *schedule;
        let options = MemoryOptions { partitions: PARTITIONS, seed, start: BIRTH, skew_us, replication_lag_us, ..MemoryOptions::default() };
        Self {
            log: MemoryLog::new(options),
            silence_lag_us: skew_us + replication_lag_us,
            snapshots: Arc::new(MemorySnapshots::default()),
            seats: Seat::all(),
            platform: Platform::new(schedule.seed, PARTITIONS),
            down: BTreeMap::new(),
            door: Teller::person("door", "door"),
            shut_since: None,
            is_alive: true,
            told: BTreeMap::new(),
            faults: FAULTS.into_iter().map(|name| (name, 0)).collect(),
            trace: traced.then(Vec::new),
            complaints: Vec::new(),
            rounds: 0,
        }
    }

    /// One action after the other.
    fn live(&mut self, schedule: &Schedule) {
        for action in &schedule.actions {
            if !self.complaints.is_empty() {
                return;
            }
            self.seats.iter_mut().for_each(|seat| seat.asleep = seat.asleep.saturating_sub(1));
            let weather = if action.calm { FaultPlan::default() } else { schedule.weather };
            self.log.turn_weather(action.chance, weather);
            self.perform(action);
        }
    }

    fn perform(&mut self, action: &Action) {
        // Another draw than the log's, which has its own of this chance.
        let mut rng = ChaCha8Rng::seed_from_u64(!action.chance);
        match &action.what {
            What::Say(time, event) => {
                self.log.set_now(*time);
                self.say(event);
            }
            What::SayToAll(event) => self.say_to_all(event),
            What::Garble(event) => self.garble(event, &mut rng),
            What::Step(seat) if self.seats[*seat].is_awake() => drop(self.step(*seat, &mut rng)),
            What::Step(_) => {}
            What::Answer => self.answer(),
            What::Join(seat) => self.join(*seat),
            What::Crash(seat) => self.crash(*seat, &mut rng),
            What::Sleep(seat) => self.sleep(*seat, &mut rng),
            What::Damage => self.damage(),
            What::Pass(seconds) => {
                self.tell(|| format!("{seconds} s pass"));
                self.strike("clock_jumped");
                self.log.set_now(self.log.clock().plus_s(*seconds));
            }
            What::Shut => {
                self.tell(|| "the door is shut".to_owned());
                self.shut_since = Some(self.log.now());
            }
            What::Open => self.open(),
            What::Down(room) => self.bring_down(*room),
            What::Up(room) => self.bring_up(*room, &mut rng),
            What::Upgrade(seat) => self.upgrade(*seat),
        }
    }

    /// Calm weather: everybody wakes, reads to the end, and lives from deadline to deadline until none is left.
    fn come_to_rest(&mut self) {
        self.log.heal();
        self.is_alive = false;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        (0..ROOMS).for_each(|room| self.bring_up(room, &mut rng));
        for seat in 0..self.seats.len() {
            self.seats[seat].asleep = 0;
            if self.seats[seat].pump.is_none() && seat < ROOMS {
                self.start(seat);
            }
        }
        for round in 0..ROUNDS_MAX {
            self.rounds = round;
            if !self.complaints.is_empty() {
                return;
            }
            let steps: Vec<Step> = (0..self.seats.len()).filter_map(|seat| self.step(seat, &mut rng)).collect();
            self.answer();
            if !steps.iter().all(|step| step.idle && step.restored) || self.lags() {
                self.log.set_now(Timestamp(self.log.clock().0 + 1_000));
                continue;
            }
            match earliest(&steps).into_iter().chain(self.platform.next_due()).min() {
                None => return,
                // Silence is known of once the clock that lies furthest behind has passed it, and every copy has come.
                Some(next) => self.log.set_now(Timestamp(next.0 + self.silence_lag_us)),
            }
        }
        self.complain("restless", format!("after {ROUNDS_MAX} rounds the rooms have not come to rest"));
    }

    fn lags(&mut self) -> bool {
        self.seats.iter_mut().filter_map(|seat| seat.pump.as_mut()).any(|pump| pump.lag() > 0)
    }

    fn judge(mut self, schedule: &Schedule) -> Lived {
        let mut log = Vec::new();
        for partition in (0..PARTITIONS).map(Partition) {
            let records = self.log.read(partition, Offset(0), usize::MAX).expect("the memory log can always be read");
            for stored in records {
                self.tell(|| format!("{}/{} {} {:?}", stored.partition, stored.offset, stored.appended, stored.raw));
                log.push(Arc::new(Read::of(stored, PARTITIONS)));
            }
        }
        let end = self.log.now();
        let judgement = self.note_panic(catch_unwind(|| judged_by_the_oracle(&log, end))).unwrap_or_default();
        self.complaints.extend(judgement.objections.iter().map(Complaint::from));
        self.faults.extend(self.log.fault_counts().iter());
        let verdict = Verdict {
            seed: schedule.seed,
            trace: self.trace.unwrap_or_default(),
            complaints: self.complaints,
            records: judgement.records,
            agents: schedule.agents,
            decisions: judgement.by_kind,
            faults: self.faults,
            lag_records_max: judgement.lag_records_max,
            rounds: self.rounds,
        };
        Lived { verdict, log, end }
    }
}

// === impl World: what is said ===

impl World {
    fn say(&mut self, event: &Event) {
        self.tell(|| format!("{} says {} {}", event.source, event.body.kind(), event.id));
        self.count_late(event);
        self.publish(vec![Addressed { partition: event.partition(PARTITIONS), record: event.to_raw() }]);
    }

    /// What matters to every partition is published to each.
    fn say_to_all(&mut self, event: &Event) {
        self.tell(|| format!("{} says {} {} to all", event.source, event.body.kind(), event.id));
        let copy = |partition| Addressed { partition: Partition(partition), record: event.to_raw() };
        self.publish((0..PARTITIONS).map(copy).collect());
    }

    /// What the gateway says when it is back. A door that was not shut does not open.
    fn open(&mut self) {
        let Some(shut_since) = self.shut_since.take() else { return };
        self.strike("door_shut");
        let opened = self.door.tell(self.log.now(), None, DoorOpened { shut_since });
        self.say_to_all(&opened);
    }

    /// A publisher that knows nothing of this topic, or whose client places keys by another hash.
    fn garble(&mut self, event: &Event, rng: &mut ChaCha8Rng) {
        let (mut partition, mut record) = (event.partition(PARTITIONS), event.to_raw());
        match rng.random_range(0..4) {
            0 => partition = Partition((partition.0 + 1) % PARTITIONS),
            1 => record.value.truncate(record.value.len() / 2),
            2 => record.headers = record.headers.iter().filter(|(name, _)| *name != "ce_id").collect(),
            _ => record = RawRecord { value: "no record".into(), ..RawRecord::default() },
        }
        self.strike("garbled");
        self.tell(|| format!("somebody says what nobody can read on {partition}"));
        self.publish(vec![Addressed { partition, record }]);
    }

    fn publish(&self, records: Vec<Addressed>) {
        self.log.publish_unchecked(records).expect("the memory log takes every record");
    }

    fn count_late(&mut self, event: &Event) {
        let Some(happened) = event.time else { return };
        if self.log.now().since_us(happened) >= LATE_S_MIN * 1_000_000 {
            self.strike("told_late");
        }
        let Some(session) = &event.subject else { return };
        let known = self.told.entry((event.key.clone(), session.clone())).or_insert(happened);
        let is_disordered = happened < *known;
        *known = happened.max(*known);
        if is_disordered {
            self.strike("told_out_of_order");
        }
    }

    /// Platforms read what was ordered of them, and say what they have decided to say by now.
    fn answer(&mut self) {
        self.platform.read(&self.log);
        while let Some(event) = self.platform.due(self.log.now()) {
            self.say(&event);
        }
    }
}

// === impl World: who stands and falls ===

impl World {
    fn step(&mut self, seat: usize, rng: &mut ChaCha8Rng) -> Option<Step> {
        let turned = self.seats[seat].pump.as_mut()?.turn();
        let member = &self.seats[seat].member;
        if let Some(trace) = &mut self.trace {
            trace.push(match &turned {
                Turned::Stepped(step) => format!("{member} steps: folded {} published {} idle {}", step.folded, step.published, step.idle),
                other => format!("{member} steps: {other:?}"),
            });
        }
        match turned {
            Turned::Stepped(step) => {
                self.count_decided(seat, step.published);
                if step.waits && step.next_due == Some(Timestamp::MIN) {
                    self.strike("decisions_waited");
                }
                Some(step)
            }
            Turned::Failed(_) => {
                // The worst moment to die: the transaction's fate is open, and another member takes over.
                if self.is_alive && rng.random_bool(0.2) {
                    self.die(seat);
                }
                Some(Step::default())
            }
            Turned::Restart(_) => {
                self.start(seat);
                Some(Step::default())
            }
            Turned::Refused(reason) => {
                let text = format!("{member} refused to go on: {reason}");
                self.complain("refused", text);
                None
            }
        }
    }

    fn count_decided(&mut self, seat: usize, decided: usize) {
        if decided == 0 {
            return;
        }
        self.down.values_mut().for_each(|(_, others)| *others += decided);
        let (one, other) = (&self.seats[seat], &self.seats[other_of(seat)]);
        if other.pump.is_some() && one.is_next != other.is_next {
            self.strike("decided_side_by_side");
        }
    }

    /// Starts it, unless its room is down.
    fn start(&mut self, seat: usize) {
        if self.down.contains_key(&self.seats[seat].room) {
            return;
        }
        let member = &self.seats[seat].member;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{member} starts"));
        }
        let options = PumpOptions {
            snapshots: Some(Arc::clone(&self.snapshots) as _),
            snapshot_every_records: SNAPSHOT_EVERY_RECORDS,
            decisions_wait_us: DECISIONS_WAIT_US,
            ..PumpOptions::default()
        };
        self.seats[seat].start(seat, Arc::clone(&self.log) as _, options);
    }

    fn join(&mut self, seat: usize) {
        if self.seats[seat].pump.is_none() {
            self.start(seat);
            self.strike_at("joined", seat);
        }
    }

    /// Gone without a word; started anew, or its partitions go to the other member.
    fn crash(&mut self, seat: usize, rng: &mut ChaCha8Rng) {
        if seat < ROOMS && rng.random_bool(0.6) {
            self.strike_at("crashed", seat);
            self.start(seat);
        } else {
            self.die(seat);
        }
    }

    fn die(&mut self, seat: usize) {
        self.strike_at("crashed", seat);
        self.seats[seat].pump = None;
        if self.seats[other_of(seat)].pump.is_none() {
            self.start(other_of(seat));
        }
    }

    /// Stopped past the end of its session, and woken later: a zombie.
    fn sleep(&mut self, seat: usize, rng: &mut ChaCha8Rng) {
        if self.seats[seat].is_awake() {
            self.strike_at("slept", seat);
            self.log.expire(&self.seats[seat].group(), &self.seats[seat].member);
            self.seats[seat].asleep = rng.random_range(1..200);
        }
    }

    fn damage(&mut self) {
        if !self.snapshots.is_empty() {
            self.snapshots.damage(|_, bytes| bytes.truncate(bytes.len() / 2));
            self.tell(|| "every snapshot is cut short".to_owned());
            self.strike("snapshot_damaged");
        }
    }

    fn bring_down(&mut self, room: usize) {
        self.tell(|| format!("the {} room goes down", service(room)));
        self.seats.iter_mut().filter(|seat| seat.room == room).for_each(|seat| seat.pump = None);
        self.down.insert(room, (self.log.now(), 0));
    }

    fn bring_up(&mut self, room: usize, rng: &mut ChaCha8Rng) {
        let Some((since, decided)) = self.down.remove(&room) else { return };
        self.tell(|| format!("the {} room comes back", service(room)));
        if self.log.now().since_us(since) >= DOWN_S_MIN * 1_000_000 && decided > 0 {
            self.strike("room_down_for_hours");
        }
        self.start(room);
        if rng.random_bool(0.5) {
            self.start(room + ROOMS);
        }
    }

    /// Ends, and comes back as the other version of its room: onward mostly, back where it was upgraded before. Beside
    /// it the other member runs on as it is.
    fn upgrade(&mut self, seat: usize) {
        self.seats[seat].is_next = !self.seats[seat].is_next;
        self.start(seat);
        let service = service(self.seats[seat].room);
        let stands = |partition| self.snapshots.positions(service, Partition(partition)).is_ok_and(|known| !known.is_empty());
        if self.seats[seat].pump.is_some() && (0..PARTITIONS).any(stands) {
            self.strike_at("upgraded", seat);
        }
    }

    fn strike_at(&mut self, fault: &'static str, seat: usize) {
        let member = &self.seats[seat].member;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{member} {fault}"));
        }
        self.strike(fault);
    }

    fn strike(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn complain(&mut self, kind: &'static str, text: String) {
        self.complaints.push(Complaint { kind, text });
    }

    /// A panic is one more thing that may be wrong with a schedule: it ends no other seed, and its log stays.
    fn note_panic<T>(&mut self, ended: std::thread::Result<T>) -> Option<T> {
        let panic = match ended {
            Ok(done) => return Some(done),
            Err(panic) => panic,
        };
        let told = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|told| (*told).to_owned()));
        self.complain("panicked", told.unwrap_or_else(|| "without a word".to_owned()));
        None
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}

fn judged_by_the_oracle(log: &[Arc<Read>], end: Timestamp) -> Judgement {
    let mut oracle = Oracle::new(TOPIC, &judged());
    log.iter().for_each(|read| oracle.take(read));
    oracle.end(end)
}

/// The other member of its room.
fn other_of(seat: usize) -> usize {
    (seat + ROOMS) % (2 * ROOMS)
}
