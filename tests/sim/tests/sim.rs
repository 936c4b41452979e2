//! Whatever fails, no decision is lost, repeated or different; and every broken rule is noticed, and shrunk.

use machine::mutants::Mutant;
use runtime::log::history::History;
use sim::{AGENTS_MIN, FACTS_MIN, Schedule, Shrunk, history, run, run_many, shrink, traced};

#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

const SEEDS: u64 = 2_000;
/// Seeds within which a broken rule must be noticed.
const MUTANT_SEEDS: u64 = 200;
/// What is left of a schedule of thousands of actions, at most: the longest has 17.
const SHRUNK_ACTIONS_MAX: usize = 40;

#[test]
fn one_seed_lived_twice_leaves_the_same_trace() {
    for seed in [7, 42] {
        let (first, second) = (traced(seed), traced(seed));
        assert_eq!(first.trace.join("\n").as_bytes(), second.trace.join("\n").as_bytes());
    }
}

#[test]
fn no_decision_is_lost_repeated_or_different_under_any_fault() {
    let tally = run_many(0..SEEDS, |verdict| {
        assert!(verdict.agents >= AGENTS_MIN && verdict.records >= FACTS_MIN, "seed {} tells too little", verdict.seed);
    });
    println!("{tally}");
    assert!(tally.failed.is_empty(), "{tally}");
    assert_eq!(tally.seeds as u64, SEEDS);
    assert_eq!(tally.idle_faults(), Vec::<&str>::new(), "faults that never struck prove nothing");
    assert_eq!(tally.idle_kinds(), [], "of what nobody decided nothing is proven");
}

#[test]
fn a_schedule_that_passes_has_nothing_to_shrink() {
    assert!(shrink(&Schedule::of(7), None, |_, _| {}).is_none());
}

/// The first seed that notices, shrunk, and its log written down: both still fail, and in the same way.
fn noticed(rule: Mutant) {
    let first = (0..MUTANT_SEEDS).find(|seed| !run(*seed, Some(rule)).complaints.is_empty());
    let seed = first.unwrap_or_else(|| panic!("{MUTANT_SEEDS} seeds did not notice {rule:?}"));
    let (whole, before) = (Schedule::of(seed), run(seed, Some(rule)));
    let Shrunk { schedule, verdict, tries } = shrink(&whole, Some(rule), |_, _| {}).expect("it failed a moment ago");
    assert_eq!(verdict.complaints[0].kind, before.complaints[0].kind);
    assert!(schedule.actions.len() <= SHRUNK_ACTIONS_MAX, "{} actions are left", schedule.actions.len());
    let file = history::write(&schedule, Some(rule), &history::folder()).expect("the target directory can be written");
    let lines = std::io::BufReader::new(std::fs::File::open(&file).expect("it was just written"));
    let written = History::read(lines).expect("what was written can be read");
    assert_eq!(written.records.len(), verdict.records);
    let objections = history::judge(&written);
    // Rooms that never rest are seen by the world alone; all else the log itself shows to whoever folds it.
    assert!(!objections.is_empty() || verdict.complaints[0].kind == "restless", "{:?}", verdict.complaints);
    println!(
        "{rule:?} is noticed at seed {seed}; shrunk from {} actions and {} records to {} and {} in {tries} tries: {}\n    {}",
        whole.actions.len(),
        before.records,
        schedule.actions.len(),
        verdict.records,
        file.display(),
        verdict.complaints[0],
    );
}

macro_rules! mutants {
    ($($test:ident $rule:ident)+) => {$(
        #[test]
        fn $test() {
            noticed(Mutant::$rule);
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
    the_end_that_is_seen_taken_for_the_end_that_there_is_is_noticed SeenEndIsTheEnd
}
