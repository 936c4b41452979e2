//! Members of rooms, each a process of its own, come and go in good order while facts are published: one, four, two, three, and so
//! on.
//!
//! A member is static: unless it has taken its leave by then, its group keeps its share for it until its session ends, which where
//! the broker places members (KIP-848) is 45 s. So half of those that go are taken out of their groups, as whoever needs fewer of
//! them does it, and the others come back under their names, or are taken out in the end.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use kit::Rooms;
use kit::broker::remove_member;
use kit::room::room;
use serde_json::Value;
use tempfile::TempDir;
use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::facts::lived;
use torture::ground::{bar, eventually, folder, free_address, moment, say};
use torture::kafka::{KafkaTopic, PARTITIONS, beside_a_broker};
use torture::program::{Up, service};
use torture::proof::told;
use torture::publisher::Publisher;

use super::{drain, of_topic};
use crate::killed::{BATCH, SENDERS};

/// How many members each room has, in turn.
const MEMBERS: [usize; 4] = [1, 4, 2, 3];
/// The rooms, each by the program that is it.
const ROOMS: [&str; 2] = ["incident", "rollback"];
/// How long a change may last until the next one, in milliseconds: some are over by then, and some are not.
const CHANGE_MS: std::ops::Range<u64> = 50..500;
/// Facts that may be published at each change: half as it begins, and half while it settles.
const FACTS_OF_A_CHANGE: u64 = 1_000;

/// How the members of a group agree on who reads what: by the names that the settings have for it.
#[derive(Clone, Copy, Debug)]
struct Rule {
    group_protocol: &'static str,
    assignment: &'static str,
}

/// One process of each room.
struct Member(Vec<Up>);

/// Where members come and go.
struct Ground {
    topic: KafkaTopic,
    data: TempDir,
    rule: Rule,
    members: Vec<Member>,
    /// Those that have gone, and that their groups may still know.
    gone: BTreeSet<usize>,
    met: Met,
}

/// What members met, all together.
#[derive(Debug, Default)]
struct Met {
    /// Changes during which facts were taken, from the start of a member or the wish that it go to its answer or end.
    under_load: usize,
    /// Members that came back under their name, and those that were taken out of their groups.
    came_back: usize,
    taken_out: usize,
    /// Partitions that were handed to a process.
    handed: usize,
}

#[test]
fn members_that_come_and_go_lose_repeat_and_alter_nothing() {
    storm(Rule { group_protocol: "classic", assignment: "cooperative-sticky" });
}

#[test]
fn members_that_let_go_of_everything_at_each_change_lose_repeat_and_alter_nothing() {
    storm(Rule { group_protocol: "classic", assignment: "range" });
}

#[test]
fn members_that_the_broker_places_lose_repeat_and_alter_nothing() {
    storm(Rule { group_protocol: "consumer", assignment: "cooperative-sticky" });
}

fn rooms() -> Rooms {
    vec![room::<incident::Incident>, room::<rollback::Rollback>]
}

fn storm(rule: Rule) {
    let Some(topic) = beside_a_broker() else { return };
    let changes = tenth_or_whole(40, 200);
    let mut dice = dice();
    let facts = lived(&mut dice, changes * FACTS_OF_A_CHANGE as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let mut ground = Ground { topic, data: folder(), rule, members: Vec::new(), gone: BTreeSet::new(), met: Met::default() };
    let gateway = Up::start(&mut ground.program("gateway", 0, "127.0.0.1:0"));
    publisher.find(Some(&gateway.url));
    let begun = moment();
    ground.change(changes, &publisher, &mut dice);
    let (taken, published) = (begun.elapsed(), publisher.acknowledged());
    publisher.grant_all();
    publisher.join();
    ground.share_all();
    let urls: Vec<&str> = ground.members.iter().flat_map(|member| &member.0).map(|up| up.url.as_str()).collect();
    let end = gateway.settle_with(&urls);
    while !ground.members.is_empty() {
        ground.leave();
    }
    drain(gateway);

    let Ground { topic, met, .. } = ground;
    let log = topic.read();
    log.holds_once(&facts);
    let judgement = log.is_just_of(&rooms(), end);
    assert!(judgement.decisions > 0, "the rooms decided on what was published");
    assert!(met.under_load > changes / 2, "most changes came while nothing was published: {met:?}");
    assert!(met.came_back > 0 && met.taken_out > 0, "none came back, or none was taken out: {met:?}");
    assert!(met.handed > changes / 2, "hardly anything was handed from one to another: {met:?}");
    say(&format!(
        "{changes} changes of membership in {taken:.0?} ({rule:?}, seed {}), {:.0} facts per second meanwhile; {met:?}; {} facts, {} \
         decisions: {}",
        seed(),
        published as f64 / taken.as_secs_f64(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

// === impl Ground ===

impl Ground {
    /// Lets members come and go.
    fn change(&mut self, changes: usize, publisher: &Publisher, dice: &mut Dice) {
        let bar = bar("changes of membership", changes as u64);
        let mut done = 0;
        for wanted in MEMBERS.into_iter().cycle() {
            while self.members.len() != wanted {
                if done == changes {
                    return bar.finish_and_clear();
                }
                done += 1;
                let before = publisher.acknowledged();
                publisher.grant(FACTS_OF_A_CHANGE / 2);
                if self.members.len() < wanted {
                    self.join();
                } else {
                    self.leave();
                    self.take_out_perhaps(dice);
                }
                self.met.under_load += usize::from(publisher.acknowledged() > before);
                publisher.grant(FACTS_OF_A_CHANGE / 2);
                std::thread::sleep(Duration::from_millis(dice.random_range(CHANGE_MS)));
                bar.inc(1);
            }
        }
    }

    /// One more, once it answers.
    fn join(&mut self) {
        let ordinal = self.members.len();
        let begin = |name: &&str| {
            let address = free_address();
            let mut up = Up::begin(&mut self.program(name, ordinal, &address));
            up.url = format!("http://{address}");
            up
        };
        let member = Member(ROOMS.iter().map(begin).collect());
        member.0.iter().for_each(|up| drop(eventually("a member that answers", || up.get("/livez").ok())));
        self.met.came_back += usize::from(self.gone.remove(&ordinal));
        self.members.push(member);
    }

    /// The last one goes, as whoever runs it wishes.
    fn leave(&mut self) {
        let Member(member) = self.members.pop().expect("there is one");
        member.iter().for_each(|up| up.signal("TERM"));
        for up in member {
            let ended = up.end();
            assert_eq!(ended.code, Some(0), "it drains: {}", ended.said);
            assert!(!ended.said.contains("panicked"), "{}", ended.said);
            self.met.handed += ended.said.lines().filter(|line| is_handed(line)).count();
        }
        self.gone.insert(self.members.len());
    }

    fn take_out_perhaps(&mut self, dice: &mut Dice) {
        if dice.random_bool(0.5) {
            self.take_out(self.members.len());
        }
    }

    /// Takes whoever has gone out of its groups.
    fn take_out(&mut self, ordinal: usize) {
        for name in ROOMS {
            let (group, member) = (format!("{}.reeve.{name}", self.topic.name()), format!("reeve.{name}.{ordinal}"));
            self.met.taken_out += usize::from(remove_member(self.topic.brokers(), &group, &member));
        }
        self.gone.remove(&ordinal);
    }

    /// Waits until those that are left share everything: each partition of each room is one member's.
    fn share_all(&mut self) {
        self.gone.clone().into_iter().for_each(|ordinal| self.take_out(ordinal));
        let all = ROOMS.len() * PARTITIONS as usize;
        eventually("members that share everything", || {
            let members: Vec<&Up> = self.members.iter().flat_map(|member| &member.0).collect();
            let told: Vec<Value> = members.iter().filter_map(|up| up.get("/readyz").ok()).map(|(_, told)| told).collect();
            let held: Vec<(&Value, &Value)> = told.iter().flat_map(held).collect();
            let each_once: BTreeSet<String> = held.iter().map(|held| format!("{held:?}")).collect();
            (held.len() == all && each_once.len() == all).then_some(())
        });
    }

    /// A service on the topic. Its snapshots are those of all.
    fn program(&self, name: &str, ordinal: usize, address: &str) -> Command {
        let mut command = service(name);
        of_topic(&mut command, &self.topic, self.data.path()).args(["--listen-address", address]);
        command.args(["--kafka-group-protocol", self.rule.group_protocol, "--kafka-assignment", self.rule.assignment]);
        command.args(["--instance-ordinal", &ordinal.to_string()]);
        command
    }
}

/// Room and partition of everything that a process holds.
fn held(readiness: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let rooms = readiness["rooms"].as_array().into_iter().flatten();
    rooms.flat_map(|room| {
        let partitions = room["partitions"].as_array().into_iter().flatten();
        partitions.map(|partition| (&room["room"], &partition["partition"]))
    })
}

/// Whether a line says that a partition was handed to a room.
fn is_handed(line: &str) -> bool {
    line.contains(" assigned room=")
}
