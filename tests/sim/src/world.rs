//! One seed: a log that fails, pumps that crash and sleep, a platform that answers, and a clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use audit::Audit;
use capacity::Capacity;
use escalation::Escalation;
use incident::Incident;
use kit::facts::{self, Teller};
use kit::lives::BIRTH;
use kit::oracle;
use kit::room::room;
use machine::mutants::{self, Mutant};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rollback::Rollback;
use runtime::log::memory::{FaultPlan, MemoryLog, MemoryOptions};
use runtime::log::{Addressed, Log};
use runtime::pump::{PumpOptions, Step};
use runtime::snapshots::MemorySnapshots;
use wire::{Body, Event, Kind, Offset, Partition, PolicyAdopted, RawRecord, StoredRecord, Timestamp};

use crate::life::life;
use crate::seats::{Seat, Turned, earliest};
use crate::verdict::Verdict;

const PARTITIONS: u32 = 2;
/// Actions of one seed before it counts as one that never comes to rest.
const ACTIONS_MAX: usize = 20_000;
/// Records folded after which a simulated room takes a snapshot: few, so that many are cut.
const SNAPSHOT_EVERY_RECORDS: u64 = 40;

/// Lives one seed through, with one rule broken or none, and judges it.
pub fn run(seed: u64, broken: Option<Mutant>) -> Verdict {
    mutants::set(broken);
    let mut world = World::new(seed);
    world.live();
    world.come_to_rest();
    // The oracle folds with the rules whole.
    mutants::set(None);
    world.judge(seed)
}

struct World {
    rng: ChaCha8Rng,
    log: Arc<MemoryLog>,
    snapshots: Arc<MemorySnapshots>,
    seats: Vec<Seat>,
    life: VecDeque<(Timestamp, Event)>,
    agents: usize,
    platform: Platform,
    faults: BTreeMap<&'static str, u64>,
    trace: Vec<String>,
    objections: Vec<String>,
}

/// What the simulated platforms do about orders: they read the log, and answer or do not.
struct Platform {
    seen: Vec<Offset>,
    tellers: BTreeMap<String, Teller>,
    answers: BTreeMap<(Timestamp, u64), Event>,
    orders: u64,
}

// === impl World ===

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let life: VecDeque<_> = life(&mut rng).into();
        let agents = life.iter().map(|(_, event)| event.key.clone()).collect::<std::collections::BTreeSet<_>>().len();
        let options = MemoryOptions { partitions: PARTITIONS, seed, faults: weather(&mut rng), start: BIRTH, ..MemoryOptions::default() };
        let faults =
            ["crashed", "slept", "joined", "clock_jumped", "snapshot_damaged", "garbled"].into_iter().map(|name| (name, 0)).collect();
        Self {
            rng,
            log: MemoryLog::new(options),
            snapshots: Arc::new(MemorySnapshots::default()),
            seats: Seat::all(),
            life,
            agents,
            platform: Platform::new(),
            faults,
            trace: Vec::new(),
            objections: Vec::new(),
        }
    }

    /// Until everything is said: one action after the other, as the seed draws them.
    fn live(&mut self) {
        if self.rng.random_bool(0.6) {
            impatient_policies().into_iter().for_each(|event| self.say_to_all(&event));
        }
        for index in 0..self.seats.len() {
            if self.seats[index].ordinal == 0 || self.rng.random_bool(0.5) {
                self.start(index);
            }
        }
        for _ in 0..ACTIONS_MAX {
            if self.life.is_empty() || !self.objections.is_empty() {
                return;
            }
            self.seats.iter_mut().for_each(|seat| seat.asleep = seat.asleep.saturating_sub(1));
            match self.rng.random_range(0..100) {
                0..24 => self.publish(),
                24 => self.garble(),
                25..93 => self.step_one(),
                93..96 => self.answer(),
                96 => self.crash(),
                97 => self.sleep(),
                98 => self.join(),
                _ if self.rng.random_bool(0.3) => self.jump(),
                _ => {}
            }
        }
    }

    /// Calm weather: everybody wakes, reads to the end, and lives from deadline to deadline until none is left.
    fn come_to_rest(&mut self) {
        self.log.heal();
        for index in 0..self.seats.len() {
            self.seats[index].asleep = 0;
            if self.seats[index].pump.is_none() && self.seats[index].ordinal == 0 {
                self.start(index);
            }
        }
        for _ in 0..ACTIONS_MAX {
            if !self.objections.is_empty() {
                return;
            }
            let steps = self.step_all();
            let restored = steps.iter().all(|step| step.restored);
            let lag: i64 = self.seats.iter_mut().filter_map(|seat| seat.pump.as_mut()).map(|pump| pump.lag()).sum();
            self.answer();
            if !steps.iter().all(|step| step.idle) || !restored || lag > 0 {
                self.log.set_now(Timestamp(self.log.now().0 + 1_000));
                continue;
            }
            match (earliest(&steps), self.platform.answers.first_key_value()) {
                (None, None) => return,
                (due, answer) => {
                    let next = due.into_iter().chain(answer.map(|((at, _), _)| *at)).min();
                    self.log.set_now(next.unwrap_or_else(|| self.log.now()).max(self.log.now()));
                }
            }
        }
        self.objections.push(format!("after {ACTIONS_MAX} actions the rooms have not come to rest"));
    }

    fn judge(mut self, seed: u64) -> Verdict {
        let partitions: Vec<Vec<StoredRecord>> = (0..PARTITIONS)
            .map(|partition| self.log.read(Partition(partition), Offset(0), usize::MAX).expect("the memory log can always be read"))
            .collect();
        let rooms = vec![room::<Incident>, room::<Rollback>, room::<Escalation>, room::<Capacity>, room::<Audit>];
        let judgement = oracle::judge(&partitions, &rooms, self.log.now());
        let objections =
            judgement.objections.iter().map(|objection| format!("{}/{}: {}", objection.partition, objection.offset, objection.reason));
        self.objections.extend(objections);
        self.faults.extend(self.log.fault_counts().iter());
        for record in partitions.iter().flatten() {
            self.trace.push(format!("{}/{} {} {:?}", record.partition, record.offset, record.appended, record.raw));
        }
        Verdict {
            seed,
            trace: self.trace,
            objections: self.objections,
            records: judgement.records,
            agents: self.agents,
            decisions: judgement.by_kind,
            faults: self.faults,
            lag_records_max: judgement.lag_records_max,
        }
    }

    fn publish(&mut self) {
        for _ in 0..self.rng.random_range(1..8) {
            let Some((time, event)) = self.life.pop_front() else { return };
            self.log.set_now(time.max(self.log.now()));
            self.say(event);
        }
    }

    /// A publisher that knows nothing of this topic, or whose client places keys by another hash.
    fn garble(&mut self) {
        let Some((_, event)) = self.life.front() else { return };
        let (mut partition, mut record) = (event.partition(PARTITIONS), event.to_raw());
        match self.rng.random_range(0..4) {
            0 => partition = Partition((partition.0 + 1) % PARTITIONS),
            1 => record.value.truncate(record.value.len() / 2),
            2 => record.headers.retain(|(name, _)| name != "ce_id"),
            _ => record = RawRecord { value: "no record".into(), ..RawRecord::default() },
        }
        *self.faults.entry("garbled").or_default() += 1;
        self.trace.push(format!("somebody says what nobody can read on {partition}"));
        self.log.publish_unchecked(vec![Addressed { partition, record }]).expect("the memory log takes every record");
    }

    fn say(&mut self, event: Event) {
        self.trace.push(format!("{} says {} {}", event.source, event.body.kind(), event.id));
        let addressed = Addressed { partition: event.partition(PARTITIONS), record: event.to_raw() };
        self.log.publish_unchecked(vec![addressed]).expect("the memory log takes every record");
    }

    /// What matters to every partition is published to each.
    fn say_to_all(&mut self, event: &Event) {
        self.trace.push(format!("{} says {} {} to all", event.source, event.body.kind(), event.id));
        let copy = |partition| Addressed { partition: Partition(partition), record: event.to_raw() };
        self.log.publish_unchecked((0..PARTITIONS).map(copy).collect()).expect("the memory log takes every record");
    }

    fn step_one(&mut self) {
        let index = self.rng.random_range(0..self.seats.len());
        if self.seats[index].is_awake() {
            self.step(index);
        }
    }

    fn step_all(&mut self) -> Vec<Step> {
        (0..self.seats.len()).filter_map(|index| self.step(index)).collect()
    }

    fn step(&mut self, index: usize) -> Option<Step> {
        let turned = self.seats[index].pump.as_mut()?.turn();
        let told = match &turned {
            Turned::Stepped(step) => format!("folded {} published {} idle {}", step.folded, step.published, step.idle),
            other => format!("{other:?}"),
        };
        self.trace.push(format!("{} steps: {told}", self.seats[index].member()));
        match turned {
            Turned::Stepped(step) => Some(step),
            Turned::Failed(_) => {
                // The worst moment to die: the transaction's fate is open, and another member takes over.
                if !self.life.is_empty() && self.rng.random_bool(0.2) {
                    self.die(index);
                }
                Some(Step::default())
            }
            Turned::Restart(_) => {
                self.start(index);
                Some(Step::default())
            }
            Turned::Refused(reason) => {
                self.objections.push(format!("{} refused to go on: {reason}", self.seats[index].member()));
                None
            }
        }
    }

    fn start(&mut self, index: usize) {
        self.trace.push(format!("{} starts", self.seats[index].member()));
        let options = PumpOptions {
            snapshots: Some(Arc::clone(&self.snapshots) as _),
            snapshot_every_records: SNAPSHOT_EVERY_RECORDS,
            ..PumpOptions::default()
        };
        self.seats[index].start(Arc::clone(&self.log) as _, options);
    }

    /// Gone without a word; started anew, or its partitions go to the other member.
    fn crash(&mut self) {
        let index = self.rng.random_range(0..self.seats.len());
        if self.rng.random_bool(0.3) {
            self.snapshots.damage(|_, bytes| bytes.truncate(bytes.len() / 2));
            self.strike("snapshot_damaged", index);
        }
        if self.seats[index].ordinal == 0 && self.rng.random_bool(0.6) {
            self.strike("crashed", index);
            self.start(index);
        } else {
            self.die(index);
        }
    }

    fn die(&mut self, index: usize) {
        self.strike("crashed", index);
        self.seats[index].pump = None;
        let (service, ordinal) = (self.seats[index].service, self.seats[index].ordinal);
        let other = self.seats.iter().position(|seat| seat.service == service && seat.ordinal != ordinal);
        other.filter(|other| self.seats[*other].pump.is_none()).into_iter().for_each(|other| self.start(other));
    }

    /// Stopped past the end of its session, and woken later: a zombie.
    fn sleep(&mut self) {
        let index = self.rng.random_range(0..self.seats.len());
        if self.seats[index].is_awake() {
            self.strike("slept", index);
            self.log.expire(&self.seats[index].group(), &self.seats[index].member());
            self.seats[index].asleep = self.rng.random_range(1..200);
        }
    }

    fn join(&mut self) {
        let index = self.rng.random_range(0..self.seats.len());
        if self.seats[index].pump.is_none() {
            self.strike("joined", index);
            self.start(index);
        }
    }

    fn jump(&mut self) {
        let seconds = self.rng.random_range(1..600);
        self.trace.push(format!("{seconds} s pass"));
        *self.faults.entry("clock_jumped").or_default() += 1;
        self.log.set_now(self.log.now().plus_s(seconds));
    }

    fn strike(&mut self, fault: &'static str, index: usize) {
        self.trace.push(format!("{} {fault}", self.seats[index].member()));
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Platforms read what was ordered of them, and say what they have decided to say by now.
    fn answer(&mut self) {
        self.platform.read(&self.log, &mut self.rng);
        while let Some(entry) = self.platform.answers.first_entry() {
            if entry.key().0 > self.log.now() {
                break;
            }
            let event = entry.remove();
            self.say(event);
        }
    }
}

// === impl Platform ===

impl Platform {
    fn new() -> Self {
        Self { seen: vec![Offset(0); PARTITIONS as usize], tellers: BTreeMap::new(), answers: BTreeMap::new(), orders: 0 }
    }

    fn read(&mut self, log: &MemoryLog, rng: &mut ChaCha8Rng) {
        for index in 0..self.seen.len() {
            let records = log.read(Partition(index as u32), self.seen[index], 1_000).expect("the memory log can always be read");
            for stored in &records {
                self.seen[index] = stored.offset.next();
                if stored.raw.kind() == Some(Kind::RollbackOrdered) {
                    let order = Event::from_raw(&stored.raw).expect("rooms write what can be read");
                    self.decide(log.now(), &order, rng);
                }
            }
        }
    }

    /// Obeys and serves the old version, refuses, comes too late, or says nothing.
    fn decide(&mut self, now: Timestamp, order: &Event, rng: &mut ChaCha8Rng) {
        let Body::RollbackOrdered(ordered) = &order.body else { return };
        let (accepted, after_s) = match rng.random_range(0..10) {
            0 => return,
            1 => (false, rng.random_range(0..30)),
            2 => (true, rng.random_range(61..400)),
            _ => (true, rng.random_range(0..10)),
        };
        let mut at = now.plus_s(after_s);
        let agent = order.key.as_str().to_owned();
        let mut events = vec![Body::from(facts::acknowledged(order.id.as_str(), accepted, Some(ordered.to_version.as_str())))];
        events.extend((0..rng.random_range(0..5)).map(|_| Body::from(facts::heartbeat(3_600, Some(ordered.to_version.as_str())))));
        for body in events {
            self.orders += 1;
            let teller = self.tellers.entry(agent.clone()).or_insert_with(|| Teller::new(&format!("{agent}-answers")));
            let mut event = teller.tell(at, None, body);
            event.key = order.key.clone();
            self.answers.insert((at, self.orders), event);
            at = at.plus_s(5);
        }
    }
}

/// Policies under which versions are proven and incidents resolved within the hours that a seed lasts.
fn impatient_policies() -> Vec<Event> {
    const POLICIES: [(&str, &str); 4] = [
        (
            "capacity",
            r#"{"budgets": {"tokens_per_minute": 600, "cost_usd_per_day": 0.1, "concurrent_sessions": 2}, "horizon_s": 600, "calm_minutes": 1}"#,
        ),
        ("audit", r#"{"told_singly_max": 2}"#),
        ("rollback", r#"{"proof_outcomes": 4, "proof_hours": 1, "ack_timeout_s": 300, "sightings": 1}"#),
        (
            "incident",
            r#"{"sustain_s": 60, "sustain_sessions": 2, "away_sessions": 2, "harm_quiet_s": 60, "harm_facts": 3, "harm_sessions": 1}"#,
        ),
    ];
    let adopted = |(room, document): (&str, &str)| {
        let body = PolicyAdopted {
            room: room.to_owned(),
            version: "impatient".to_owned(),
            document: document.to_owned(),
            author: "ann".to_owned(),
            reason: "hours, not days".to_owned(),
        };
        Teller::person("ann", room).tell(BIRTH, None, body)
    };
    POLICIES.into_iter().map(adopted).collect()
}

/// How bad the weather of a seed is: some are calm but for crashes, some have everything.
fn weather(rng: &mut ChaCha8Rng) -> FaultPlan {
    let mut odds = |most: f64| if rng.random_bool(0.7) { rng.random_range(0.0..most) } else { 0.0 };
    FaultPlan {
        aborted: odds(0.15),
        crash_before_commit: odds(0.1),
        crash_after_commit: odds(0.1),
        delayed_produce: odds(0.15),
        delayed_commit: odds(0.1),
        fenced: odds(0.05),
        rebalanced: odds(0.01),
        lagged: odds(0.2),
        stalled: odds(0.05),
        duplicated: odds(0.1),
    }
}
