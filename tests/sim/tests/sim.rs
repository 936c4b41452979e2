//! Whatever fails, no decision is lost, repeated or different; and every broken rule is noticed.

use machine::mutants::Mutant;
use sim::{AGENTS_MIN, FACTS_MIN, Tally, run};

const SEEDS: u64 = 300;
/// Seeds within which a broken rule must be noticed.
const MUTANT_SEEDS: u64 = 200;

#[test]
fn one_seed_lived_twice_leaves_the_same_trace() {
    for seed in [7, 42] {
        let (first, second) = (run(seed, None), run(seed, None));
        assert_eq!(first.trace.join("\n").as_bytes(), second.trace.join("\n").as_bytes());
    }
}

#[test]
fn no_decision_is_lost_repeated_or_different_under_any_fault() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let verdict = run(seed, None);
        assert!(verdict.agents >= AGENTS_MIN && verdict.records >= FACTS_MIN, "seed {seed} tells too little");
        tally.add(&verdict);
    }
    println!("{tally}");
    assert!(tally.failed.is_empty(), "{tally}");
    assert_eq!(tally.idle_faults(), Vec::<&str>::new(), "faults that never struck prove nothing");
}

macro_rules! mutants {
    ($($test:ident $rule:ident)+) => {$(
        #[test]
        fn $test() {
            let noticed = (0..MUTANT_SEEDS).find(|seed| !run(*seed, Some(Mutant::$rule)).objections.is_empty());
            let seed = noticed.unwrap_or_else(|| panic!("{} seeds did not notice {:?}", MUTANT_SEEDS, Mutant::$rule));
            println!("{:?} is noticed at seed {seed}: {}", Mutant::$rule, run(seed, Some(Mutant::$rule)).objections[0]);
        }
    )+};
}

mutants! {
    a_room_that_asks_before_it_is_restored_is_noticed AskBeforeRestored
    a_transaction_without_group_metadata_is_noticed NoGroupMetadata
    counted_ids_are_noticed CountedIds
    a_decision_on_a_wrong_partition_is_noticed WrongPartition
    a_debt_that_is_not_latched_is_noticed UnlatchedDebts
    an_echo_that_settles_everything_is_noticed EchoSettlesAll
    a_clock_that_outruns_the_reader_is_noticed WallClockAlways
    silence_taken_for_evidence_is_noticed SilenceIsEvidence
}
