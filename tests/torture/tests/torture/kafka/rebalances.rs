//! Members of rooms come and go in good order while facts are published: one, four, two, three, and so on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kit::Rooms;
use kit::room::{TOPIC, room};
use machine::Machine;
use machine::oracle;
use runtime::log::kafka::{Assignment, GroupProtocol, KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log};
use runtime::{RoomHandle, RoomOptions, Shutdown, spawn};
use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::facts::lived;
use torture::ground::{eventually, moment, say};
use torture::kafka::beside_a_broker;
use torture::proof::told;
use wire::{Event, Timestamp};

/// How many members each room has, in turn.
const MEMBERS: [usize; 4] = [1, 4, 2, 3];
/// How long a change may last until the next one, in milliseconds: some are over by then, and some are not.
const CHANGE_MS: std::ops::Range<u64> = 50..900;
/// Facts are published so far apart.
const PACE: Duration = Duration::from_millis(4);
/// Nothing may fall due within so many seconds once everything has settled.
const REST_S: i64 = 2;

/// A process, as far as the brokers can tell: a log of its own, and rooms on it.
struct Member {
    rooms: Vec<RoomHandle>,
    wish: Shutdown,
}

#[test]
fn members_that_come_and_go_lose_repeat_and_alter_nothing() {
    storm(GroupProtocol::Classic, Assignment::CooperativeSticky);
}

#[test]
fn members_that_let_go_of_everything_at_each_change_lose_repeat_and_alter_nothing() {
    storm(GroupProtocol::Classic, Assignment::Range);
}

#[test]
fn members_that_the_broker_places_lose_repeat_and_alter_nothing() {
    storm(GroupProtocol::Consumer, Assignment::default());
}

fn rooms() -> Rooms {
    vec![room::<incident::Incident>, room::<rollback::Rollback>]
}

fn storm(protocol: GroupProtocol, assignment: Assignment) {
    let Some(topic) = beside_a_broker() else { return };
    let changes = tenth_or_whole(40, 200);
    let mut dice = dice();
    let namespace = format!("{}.", topic.name());
    let options = KafkaOptions { namespace, group_protocol: protocol, assignment, ..topic.options().clone() };
    let facts = lived(&mut dice, changes * 120);
    let (over, published) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = moment();
    let (members, end) = std::thread::scope(|scope| {
        scope.spawn(|| publish(&options, &facts, &over, &published));
        let members = change(&options, changes, &mut dice);
        over.store(true, Ordering::SeqCst);
        let end = settle(&members, &published, facts.len());
        (members, end)
    });
    let taken = begun.elapsed();
    members.into_iter().for_each(Member::leave);
    let log = topic.read();
    log.holds_once(&facts);
    let judgement = oracle::judge(TOPIC, &log.0, &rooms(), end);
    assert!(judgement.objections.is_empty(), "{:#?}", judgement.objections.first());
    assert!(judgement.decisions > 0, "the rooms decided on what was published");
    say(&format!(
        "{changes} changes of membership in {taken:.0?} ({protocol:?}, {assignment:?}, seed {}); {} facts, {} decisions: {}",
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

/// Lets members come and go; who stands in the end.
fn change(options: &KafkaOptions, changes: usize, dice: &mut Dice) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    let mut done = 0;
    for wanted in MEMBERS.into_iter().cycle() {
        while members.len() != wanted {
            if done == changes {
                return members;
            }
            if members.len() < wanted {
                members.push(Member::join(options, members.len() as u32));
            } else {
                members.pop().expect("there are more than are wanted").leave();
            }
            done += 1;
            std::thread::sleep(Duration::from_millis(dice.random_range(CHANGE_MS)));
        }
    }
    unreachable!("the numbers go round for ever")
}

/// Publishes everything: slowly while members come and go, and then as fast as it is taken.
fn publish(options: &KafkaOptions, facts: &[Event], over: &AtomicBool, published: &AtomicU64) {
    let log = KafkaLog::open(options.clone()).expect("the topic is there");
    for fact in facts {
        let copies = if fact.body.kind().is_broadcast() { log.partitions() } else { 1 };
        let place = |nth| if copies > 1 { wire::Partition(nth) } else { fact.partition(log.partitions()) };
        let records = || (0..copies).map(|nth| Addressed { partition: place(nth), record: fact.to_raw() }).collect();
        eventually("the log takes a fact", || log.append(records()).ok());
        published.fetch_add(1, Ordering::SeqCst);
        if !over.load(Ordering::SeqCst) {
            std::thread::sleep(PACE);
        }
    }
}

/// Waits until everything is published, every partition of every room is held once and read to its end, and nothing falls due
/// soon; a time at which that was so.
fn settle(members: &[Member], published: &AtomicU64, facts: usize) -> Timestamp {
    eventually("rest", || {
        let now = reeve::fact::now();
        let rooms: Vec<_> = members.iter().flat_map(|member| &member.rooms).collect();
        rooms.iter().for_each(|room| assert!(!room.ended(), "a room ended by itself: {:?}", room.join()));
        let partitions: Vec<_> = rooms.iter().flat_map(|room| room.status().pump.partitions).collect();
        let is_at_rest = |partition: &runtime::pump::PartitionStatus| {
            let due_later = partition.next_due.is_none_or(|due| due > now.plus_s(REST_S));
            partition.restored && partition.lag == 0 && partition.in_flight == 0 && due_later
        };
        let all_held = partitions.len() == members[0].rooms.len() * torture::kafka::PARTITIONS as usize;
        let all_published = published.load(Ordering::SeqCst) == facts as u64;
        (all_published && all_held && partitions.iter().all(is_at_rest)).then_some(now)
    })
}

// === impl Member ===

impl Member {
    fn join(options: &KafkaOptions, ordinal: u32) -> Self {
        let log: Arc<dyn Log> = KafkaLog::open(options.clone()).expect("the topic is there");
        let wish = Shutdown::new();
        let options = RoomOptions { ordinal, ..RoomOptions::default() };
        let room = |spawned: fn(Arc<dyn Log>, RoomOptions, Shutdown) -> RoomHandle| spawned(log.clone(), options.clone(), wish.clone());
        Self { rooms: vec![room(spawned::<incident::Incident>), room(spawned::<rollback::Rollback>)], wish }
    }

    fn leave(self) {
        self.wish.request();
        self.rooms.iter().for_each(|room| room.join().expect("it ends in order"));
    }
}

fn spawned<M: Machine>(log: Arc<dyn Log>, options: RoomOptions, wish: Shutdown) -> RoomHandle {
    spawn::<M>(log, options, wish)
}
