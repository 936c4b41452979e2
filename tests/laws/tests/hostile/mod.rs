//! Every room is told mutants, between the records that they were made of: it folds what can be read, hears of what
//! cannot, never breaks down, and stays within the bounds that it names.

mod house;

use std::panic::{AssertUnwindSafe, catch_unwind};

use kit::lives::{BIRTH, agent_life, lived_together};
use kit::mutants::Mutator;
use kit::{Teller, golden, process, torture};
use machine::laws::Life;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wire::{PolicyAdopted, RawRecord};

use self::house::House;
use crate::rooms;

const SEED: u64 = 20_261_126;
/// All of them; a tenth as a rule.
const MUTANTS: u64 = 1_000_000;
/// Mutants that one house hears, and those after each record that is well.
const OF_A_HOUSE: u64 = 10_000;
const OF_A_RECORD: u64 = 5;
/// Partitions of a house's topic: whatever lies on another is on the wrong one.
const PARTITIONS: u32 = 1;
/// What the process may grow by while one house follows another. Measured were 4 MiB.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// Policies that mutants are made of, so that some come into force.
const POLICIES: &[(&str, &str)] = &[
    ("capacity", r#"{"budgets": {"tokens_per_minute": 600, "cost_usd_per_day": 0.02, "concurrent_sessions": 2}, "horizon_s": 600}"#),
    ("audit", r#"{"told_singly_max": 3}"#),
    ("incident", "{}"),
    ("rollback", "{}"),
    ("escalation", "{}"),
];

#[test]
fn no_mutant_breaks_a_room_or_its_bounds() {
    let mut lives = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut grown_from = None;
    let (mut read, mut refused, mut decisions) = (0, 0, 0);
    for first in (0..torture::scaled(MUTANTS)).step_by(OF_A_HOUSE as usize) {
        let life = agent_life().new_tree(&mut lives).expect("a life").current();
        let mutator = Mutator::new(SEED ^ first, PARTITIONS, wells(&life));
        let mut house = House::new(&rooms(), BIRTH);
        for number in first..first + OF_A_HOUSE {
            hear(&mut house, &mutator, number);
        }
        house.pass_to_the_end();
        house.is_within_its_bounds();
        (read, refused, decisions) = (read + house.read, refused + house.refused, decisions + house.decisions);
        // What the process needs at all is there after the first house.
        let resident = process::resident_bytes().unwrap_or(0);
        let from = *grown_from.get_or_insert(resident);
        assert!(
            resident < from + GROWTH_BYTES_MAX,
            "{} MiB grown after mutant {number}",
            (resident - from) >> 20,
            number = first + OF_A_HOUSE
        );
    }
    let grown = process::resident_bytes().unwrap_or(0).saturating_sub(grown_from.unwrap_or(0));
    println!("{read} records read, {refused} refused, {decisions} decisions; {} MiB grown", grown >> 20);
    assert!(read > 0 && refused > 0 && decisions > 0);
}

/// A record that is well from time to time, a mutant, and what the rooms say to it.
fn hear(house: &mut House, mutator: &Mutator, number: u64) {
    let well = ((number / OF_A_RECORD) % mutator.wells() as u64) as usize;
    let mutant = mutator.mutant_of(well, number);
    let heard = catch_unwind(AssertUnwindSafe(|| {
        if number.is_multiple_of(OF_A_RECORD) {
            house.hear(mutator.well(well));
        }
        house.hear(&mutant.stored);
        house.settle();
        if number.is_multiple_of(100) {
            house.is_asked_how_agents_stand();
        }
    }));
    assert!(heard.is_ok(), "mutant {number} of seed {SEED} ({}) of record {well} breaks a room: {:?}", mutant.mutation, mutant.stored);
}

/// What mutants are made of: a whole life with what the rooms said to it, policies, and a record of every kind.
fn wells(life: &Life) -> Vec<RawRecord> {
    let lived = lived_together(life, &rooms(), &[Some((20, true)), None, Some((5, false))]);
    let policies = POLICIES.iter().map(|(room, document)| {
        let (version, author) = ("wild".to_owned(), "ann".to_owned());
        let adopted =
            PolicyAdopted { room: (*room).to_owned(), version, document: (*document).to_owned(), author, reason: "a test".to_owned() };
        Teller::person("ann", room).tell(BIRTH, None, adopted).to_raw()
    });
    let mut wells: Vec<_> = policies.chain(golden::records()).collect();
    wells.extend(lived.iter().map(|record| record.to_raw()));
    wells
}
