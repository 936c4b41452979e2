//! A log on which all rooms have lived is replayed into a wider one, and they live on there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kit::lives::{BIRTH, agent_life};
use machine::oracle::{Judgement, Oracle, Read};
use machine::room::Rooms;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions, OwnedClock};
use runtime::log::migration::census::{Comparison, compare};
use runtime::log::migration::{EmbeddedDestination, Left, Migration, MigrationError, ends};
use runtime::log::{Addressed, Log};
use tempfile::TempDir;
use wire::{Event, Kind, Offset, Partition, PolicyAdopted, RawRecord, Record, StoredRecord, Timestamp};

use crate::rooms::{self, AnyPump};

const BEFORE: u32 = 4;
const AFTER: u32 = 7;
/// Lives that are told, and names of agents that they are about.
const LIVES: usize = 12;
const NAMES: usize = 6;
const STEPS_MAX: usize = 100_000;
/// After every deadline.
const FOREVER: Timestamp = Timestamp(i64::MAX / 2);

#[test]
fn what_was_lived_stands_on_the_wider_log_and_is_lived_on_there() {
    let (old, wide) = (folder(), folder());
    let mut house = House::open(old.path(), BEFORE);
    live(&mut house);
    let lived = house.records();
    assert_eq!(judged(&lived).objections, [], "the old log is in order");
    let from = house.log.clone();

    // Three runs: the first two end in the middle, as if they were killed.
    for steps in [3, 5] {
        let mut to = House::open(wide.path(), AFTER).destination();
        let mut migration = Migration::begin(&*from, &mut to, false).expect("it may begin").with_writes_of(50);
        (0..steps).for_each(|_| assert!(migration.step().expect("it is written"), "there is more"));
    }
    let there = total(&*House::open(wide.path(), AFTER).log);
    let mut to = House::open(wide.path(), AFTER).destination();
    let mut migration = Migration::begin(&*from, &mut to, false).expect("it goes on").with_writes_of(50);
    migration.run(&mut |_| {}).expect("it comes to its end");
    assert_eq!((migration.compared(), migration.vague()), (there, 0), "what stood there was seen, and not written again");
    assert!(there > 100 && migration.written() > 100, "{there} and {}", migration.written());
    let (starts, cut) = migration.cut();
    drop(to);

    let mut house = House::open(wide.path(), AFTER);
    let found = compare(&*from, (&starts, &cut), &*house.log, &mut |_| {}).expect("both can be read");
    assert!(found.is_whole(), "{found:#?}");
    told_again(&found, &lived);
    let moved = house.records();
    same_lives(&lived, &moved);

    // Whatever was decided is decided: rooms that begin anew only say how far they have come.
    house.clock.set(from.now());
    let begun = ends(&*house.log).expect("it can be read");
    house.settle();
    let since = |house: &House| -> Vec<Record> { house.readable().into_iter().filter(|record| is_since(&begun, record)).collect() };
    let said = since(&house);
    assert!(!said.is_empty() && said.iter().all(|record| record.body.kind() == Kind::RoomWatermark), "{said:#?}");

    // And they decide what is new.
    let mut teller = kit::Teller::new("newcomer");
    let at = house.log.now().plus_s(60);
    house.tell(at, &teller.tell(at, Some("late"), kit::facts::started("v9", None)));
    house.tell(at.plus_s(1), &teller.tell(at.plus_s(1), Some("late"), kit::facts::harm(true)));
    house.pass_to(FOREVER);
    let opened = since(&house).into_iter().filter(|record| record.body.kind() == Kind::IncidentOpened).count();
    assert_eq!(opened, 1, "the new harm is noticed");
    // What was carried is judged there, too: in this story nobody waits for a watermark, and all rooms are equally far.
    let judgement = judged(&house.records());
    assert_eq!(judgement.objections, []);
    assert!(judgement.decisions > 300, "{judgement:?}");
}

#[test]
fn a_log_that_holds_something_else_is_left_alone_and_one_that_lacks_something_is_told() {
    let (old, wide) = (folder(), folder());
    let mut house = House::open(old.path(), BEFORE);
    let mut teller = kit::Teller::new("billing");
    (0..9).for_each(|second| house.tell(BIRTH.plus_s(second), &teller.tell(BIRTH, Some("s"), kit::facts::ended())));
    let from = house.log.clone();
    let replay = |folder: &Path| -> Result<(Vec<Offset>, Vec<Offset>), MigrationError> {
        let mut to = House::open(folder, AFTER).destination();
        let mut migration = Migration::begin(&*from, &mut to, false)?;
        migration.run(&mut |_| {}).map(|()| migration.cut())
    };
    let (starts, cut) = replay(wide.path()).expect("it is replayed");
    assert_eq!(replay(wide.path()).expect("it stands there"), (starts.clone(), cut.clone()), "a second time adds nothing");
    let wider = House::open(wide.path(), AFTER);
    assert_eq!(total(&*wider.log), 9);

    // One more on either side.
    house.tell(BIRTH.plus_s(99), &teller.tell(BIRTH, Some("s"), kit::facts::ended()));
    let all = ends(&*from).expect("it can be read");
    let found = compare(&*from, (&starts, &all), &*wider.log, &mut |_| {}).expect("both can be read");
    assert_eq!((found.differing, found.differences[0].records), (1, (10, 9)), "{found:?}");
    assert_eq!(found.differences[0].of, "agent billing");
    let stray = kit::Teller::new("other").tell(BIRTH, None, kit::facts::ended());
    wider.scribble(stray.partition(AFTER), stray.to_raw());
    let found = compare(&*from, (&starts, &cut), &*wider.log, &mut |_| {}).expect("both can be read");
    assert_eq!((found.differing, found.differences[0].records), (1, (0, 1)), "{found:?}");
    drop(wider);
    assert!(matches!(replay(wide.path()), Err(MigrationError::Beyond { .. })));

    let (foreign, narrow) = (folder(), folder());
    let other = kit::Teller::new("billing").tell(BIRTH.plus_s(5), None, kit::facts::ended());
    House::open(foreign.path(), AFTER).scribble(other.partition(AFTER), other.to_raw());
    assert!(matches!(replay(foreign.path()), Err(MigrationError::Foreign { .. })));
    assert_eq!(total(&*House::open(foreign.path(), AFTER).log), 1, "nothing was written");
    let mut to = House::open(narrow.path(), BEFORE).destination();
    assert!(matches!(Migration::begin(&*from, &mut to, false), Err(MigrationError::NotWider { from: BEFORE, to: BEFORE })));
}

/// Every kind is told again as often as it was, broadcasts once for each partition, and what names old places stays behind.
fn told_again(found: &Comparison, lived: &[Vec<StoredRecord>]) {
    let left = [Kind::RoomWatermark, Kind::RecordRefused];
    for (kind, (there, here)) in &found.kinds {
        let kind = Kind::from_name(kind).expect("all are known");
        let copies = if kind.is_broadcast() { there / u64::from(BEFORE) * u64::from(AFTER) } else { *there };
        assert!(*here == copies && !left.contains(&kind), "{kind}: {there} and {here}");
    }
    let has = |kind: Kind| assert!(found.kinds.contains_key(kind.name()), "no {kind} is in the story");
    [Kind::PolicyAdopted, Kind::IncidentOpened, Kind::RollbackOrdered, Kind::EscalationRaised].into_iter().for_each(has);
    assert!([Left::Watermark, Left::Refusal, Left::Unreadable].iter().all(|left| found.left.contains_key(left)), "{:?}", found.left);
    let kept: u64 = found.kinds.values().map(|(there, _)| there).sum();
    assert_eq!(kept + found.left.values().sum::<u64>(), lived.iter().map(Vec::len).sum::<usize>() as u64);
}

/// What stands about each agent is the same, in the same order, at the same time; only `asof` may differ, and never knows more.
fn same_lives(lived: &[Vec<StoredRecord>], moved: &[Vec<StoredRecord>]) {
    let of = |log: &[Vec<StoredRecord>], agent: &str| -> Vec<(Timestamp, Event)> {
        let records = log.iter().flatten().filter_map(|stored| Record::read_placed(stored, log.len() as u32).ok());
        let about = records.filter(|record| record.key.as_str() == agent && record.body.kind() != Kind::RecordRefused);
        about
            .map(|mut record| {
                if let Some(basis) = record.event.body.basis_mut() {
                    assert!(basis.asof < record.offset, "{} knew more than stood there", record.event.id);
                    basis.asof = Offset(0);
                }
                (record.appended, record.event)
            })
            .collect()
    };
    let agents: BTreeSet<String> = (0..NAMES).map(|name| format!("billing-{name}")).collect();
    for agent in &agents {
        assert_eq!(of(lived, agent), of(moved, agent), "{agent}");
    }
}

/// Lives of many agents beside each other, policies, records that nobody can read, and what the rooms say to it.
fn live(house: &mut House) {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let mut told: Vec<(Timestamp, Event)> = Vec::new();
    for life in 0..LIVES {
        let lived = agent_life().new_tree(&mut runner).expect("a life can be generated").current();
        told.extend(lived.into_iter().map(|(time, mut event)| {
            event.key = format!("billing-{}", life % NAMES).as_str().into();
            event.id = format!("{life}-{}", event.id).into();
            event.subject = event.subject.map(|session| format!("{session}-{life}").into());
            (time.plus_s(life as i64 * 7), event)
        }));
    }
    told.sort_by_key(|(time, _)| *time);
    let middle = told.len() / 2;
    for (place, (time, event)) in told.iter().enumerate() {
        if place == middle {
            house.tell(*time, &adopted("escalation", "{}", *time));
            house.scribble(Partition(2), RawRecord { key: Some("billing-3".into()), value: "no record".into(), ..RawRecord::default() });
        }
        house.tell(*time, event);
    }
    house.pass_to(FOREVER);
}

fn adopted(room: &str, document: &str, time: Timestamp) -> Event {
    let adopted = PolicyAdopted {
        room: room.to_owned(),
        version: "2".to_owned(),
        document: document.to_owned(),
        author: "ann".to_owned(),
        reason: "a test".to_owned(),
    };
    kit::Teller::person("ann", room).tell(time, None, adopted)
}

fn judged(log: &[Vec<StoredRecord>]) -> Judgement {
    let rooms: Rooms = rooms::ALL.iter().filter_map(|room| room.mind).map(|mind| mind.room).collect();
    let mut oracle = Oracle::new("agent-events", &rooms);
    for stored in log.iter().flatten() {
        oracle.take(&Arc::new(Read::of(stored.clone(), log.len() as u32)));
    }
    oracle.end(FOREVER)
}

fn is_since(begun: &[Offset], record: &Record) -> bool {
    record.offset >= begun[record.partition.0 as usize]
}

fn total(log: &dyn Log) -> u64 {
    ends(log).expect("it can be read").iter().map(|end| end.0.unsigned_abs()).sum()
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// A log, its clock, and the rooms on it.
struct House {
    log: Arc<EmbeddedLog>,
    clock: Arc<OwnedClock>,
    rooms: Vec<Box<dyn AnyPump>>,
}

// === impl House ===

impl House {
    fn open(folder: &Path, partitions: u32) -> Self {
        let clock = OwnedClock::starting_at(Timestamp(0));
        let options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions, clock: Clock::Owned(Arc::clone(&clock)) };
        let log = EmbeddedLog::open(folder, options).expect("a log");
        Self { log, clock, rooms: Vec::new() }
    }

    fn destination(self) -> EmbeddedDestination {
        EmbeddedDestination::new(self.log, self.clock)
    }

    /// Lets the rooms answer until nothing is owed. The next deadline.
    fn settle(&mut self) -> Option<Timestamp> {
        if self.rooms.is_empty() {
            self.rooms = rooms::ALL.iter().filter_map(|room| room.mind).map(|mind| (mind.pump)(self.log.clone())).collect();
        }
        for _ in 0..STEPS_MAX {
            let steps: Vec<_> = self.rooms.iter_mut().map(|room| room.step().expect("it steps")).collect();
            if steps.iter().all(|step| step.idle && step.restored) {
                return steps.iter().filter_map(|step| step.next_due).min();
            }
        }
        panic!("the rooms do not come to rest")
    }

    /// Lets time pass deadline by deadline, to `time` or until there is none before it.
    fn pass_to(&mut self, time: Timestamp) {
        while let Some(due) = self.settle().filter(|due| *due <= time) {
            self.clock.set(due.max(self.log.now()));
        }
        if time < FOREVER {
            self.clock.set(time);
        }
    }

    fn tell(&mut self, time: Timestamp, event: &Event) {
        self.pass_to(time);
        let partitions = self.log.partitions();
        let home = event.partition(partitions).0;
        let to = if event.body.kind().is_broadcast() { 0..partitions } else { home..home + 1 };
        to.for_each(|partition| self.scribble(Partition(partition), event.to_raw()));
        self.settle();
    }

    fn scribble(&self, partition: Partition, record: RawRecord) {
        self.log.append(vec![Addressed { partition, record }]).expect("it is taken");
    }

    fn records(&self) -> Vec<Vec<StoredRecord>> {
        let all = |partition| self.log.read(Partition(partition), Offset(0), usize::MAX).expect("it can be read");
        let records: Vec<Vec<StoredRecord>> = (0..self.log.partitions()).map(all).collect();
        assert_eq!(records.iter().map(Vec::len).sum::<usize>() as u64, total(&*self.log), "all of it was handed out");
        records
    }

    fn readable(&self) -> Vec<Record> {
        self.records().iter().flatten().filter_map(|stored| Record::read_placed(stored, self.log.partitions()).ok()).collect()
    }
}
