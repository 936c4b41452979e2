//! Each rule that lives in the runtime, broken on purpose: the same worlds that pass otherwise must fail.
//!
//! Built only with the feature `mutants`; without it this file holds no test.
#![cfg(feature = "mutants")]

mod desk;

use std::collections::BTreeSet;

use desk::{SILENCE_S, World, agent, settle};
use machine::mutants::{Mutant, set};
use runtime::log::Log;
use runtime::pump::{PumpOptions, RECORDS_PER_POLL_MAX};
use wire::{Offset, Partition, Timestamp};

const ID: &str = "reeve.desk.0";
const SOME_STEPS: usize = 40;
/// More than one poll takes: who is asked before its restore has ended is asked between two of them.
const MANY_HARMS: usize = RECORDS_PER_POLL_MAX + 100;

#[test]
fn rule_1_asked_before_it_is_restored_a_room_repeats_its_predecessor() {
    assert!(is_sound(None, restart) && !is_sound(Some(Mutant::AskBeforeRestored), restart));
}

#[test]
fn rule_2_without_metadata_a_zombie_publishes() {
    assert!(is_sound(None, zombie) && !is_sound(Some(Mutant::NoGroupMetadata), zombie));
}

#[test]
fn rule_3_with_counted_ids_nothing_settles() {
    assert!(is_sound(None, restart) && !is_sound(Some(Mutant::CountedIds), restart));
}

#[test]
fn rule_4_on_another_partition_no_echo_comes_home() {
    assert!(is_sound(None, two_partitions) && !is_sound(Some(Mutant::WrongPartition), two_partitions));
}

#[test]
fn rule_7_by_the_wall_clock_an_unread_acknowledgement_is_taken_for_silence() {
    assert!(is_sound(None, lagging) && !is_sound(Some(Mutant::WallClockAlways), lagging));
}

/// Whether a world comes out as it should with this rule broken: the incidents that it expects, each once, each on the
/// partition of its agent.
fn is_sound(rule: Option<Mutant>, story: fn() -> (World, usize)) -> bool {
    set(rule);
    let (world, expected) = story();
    set(None);
    let incidents = world.incidents();
    let matters: BTreeSet<_> =
        incidents.iter().map(|record| (record.key.clone(), record.subject.clone(), record.causation.clone())).collect();
    let at_home = incidents.iter().all(|record| record.key == agent(record.partition, world.log.partitions()));
    incidents.len() == expected && matters.len() == expected && at_home
}

fn restart() -> (World, usize) {
    let mut world = World::new(1);
    let mut first = world.pump();
    settle(&mut first);
    (0..MANY_HARMS).for_each(|second| world.harm(second as i64, 0));
    (0..SOME_STEPS).for_each(|_| drop(first.step()));
    drop(first);
    let mut second = world.pump();
    (0..SOME_STEPS).for_each(|_| drop(second.step()));
    (world, MANY_HARMS)
}

fn zombie() -> (World, usize) {
    let mut world = World::new(1);
    let mut zombie = world.pump();
    settle(&mut zombie);
    world.started(0, 0, "one");
    world.started(40, 0, "two");
    world.ended(200, 0, "one");
    world.ended(201, 0, "two");
    // It decides the first silence, and sleeps with two records in hand, before it would have decided the second.
    assert!((0..SOME_STEPS).any(|_| zombie.step().is_ok_and(|step| step.published > 0)));
    world.log.expire("reeve.desk", ID);
    let mut other = world.pump_with(PumpOptions { ordinal: 1, ..PumpOptions::default() });
    settle(&mut other);
    // It wakes with these records and does not know that its session ended.
    (0..SOME_STEPS).for_each(|_| drop((zombie.step(), other.step())));
    (world, 2)
}

fn two_partitions() -> (World, usize) {
    let mut world = World::new(2);
    let mut pump = world.pump();
    settle(&mut pump);
    world.harm(1, 0);
    world.harm(1, 1);
    (0..SOME_STEPS).for_each(|_| drop(pump.step()));
    (world, 2)
}

fn lagging() -> (World, usize) {
    let mut world = World::new(1);
    let mut pump = world.pump();
    settle(&mut pump);
    world.started(0, 0, "s");
    settle(&mut pump);
    world.log.stall(Partition(0), 10).expect("it exists");
    world.ended(SILENCE_S / 2, 0, "s");
    world.log.set_now(Timestamp(0).plus_s(10 * SILENCE_S));
    (0..SOME_STEPS).for_each(|_| drop(pump.step()));
    assert!(world.log.end(Partition(0)).expect("memory") > Offset(0));
    (world, 0)
}
