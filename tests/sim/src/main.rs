//! `make sim`: many seeds on all cores, or one whole with its trace. What fails is shrunk and left for `reeve replay`.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use sim::told::{bar, counts};
use sim::{Schedule, Shrunk, TRIES_MAX, Tally, history, run_many, shrink, traced};

#[global_allocator]
static ALLOCATOR: runtime::Allocator = runtime::Allocator;

/// Failing seeds that are shrunk: the first ones.
const SHRUNK_MAX: usize = 3;

/// Where no bar can be drawn, a line after so many seeds.
const TOLD_EVERY: u64 = 5_000;

const EXAMPLES: &str = "\
Examples:
  make sim                    2,000 seeds
  make sim SEEDS=100000       for the night
  make sim SEEDS=1000 FROM=99000   of these the last
  make sim SEED=42            one seed with its trace
  make sim-meta               a few seeds twice each: their traces must not differ in a byte

It ends with 0 when no seed failed, every fault struck and every kind was decided, else with 1.";

/// Lives seeds through and judges them.
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Options {
    /// One seed, with its trace.
    #[arg(long, conflicts_with_all = ["seeds", "meta"])]
    seed: Option<u64>,
    /// So many seeds.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0, conflicts_with_all = ["seed", "meta"])]
    from: u64,
    /// So many seeds, each twice: the traces are compared byte by byte.
    #[arg(long, value_name = "SEEDS", conflicts_with = "seeds")]
    meta: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let holds = match (options.seed, options.meta) {
        (Some(seed), _) => one(seed),
        (None, Some(seeds)) => meta(seeds),
        (None, None) => many(options.from..options.from.saturating_add(options.seeds)),
    };
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64) -> bool {
    let verdict = traced(seed);
    verdict.trace.iter().for_each(|line| println!("{line}"));
    verdict.complaints.iter().for_each(|complaint| println!("OBJECTION {complaint}"));
    let mut tally = Tally::default();
    tally.add(&verdict);
    println!("{tally}");
    tally.failed.keys().for_each(|seed| leave(*seed));
    tally.failed.is_empty()
}

fn many(seeds: Range<u64>) -> bool {
    let (total, lived) = (seeds.end - seeds.start, AtomicU64::new(0));
    let bar = bar(total, "seeds");
    let tally = run_many(seeds.clone(), |verdict| {
        let lived = lived.fetch_add(1, Ordering::Relaxed) + 1;
        bar.set_position(lived);
        if bar.is_hidden() && lived.is_multiple_of(TOLD_EVERY) {
            eprintln!("{lived} of {total} seeds");
        }
        if let Some(complaint) = verdict.complaints.first() {
            bar.suspend(|| eprintln!("seed {} failed: {complaint}", verdict.seed));
        }
    });
    bar.finish_and_clear();
    println!("{} seeds from {}, {} records", tally.seeds, seeds.start, tally.records);
    println!("at most {} rounds to rest, {} records from what a decision knew\n", tally.rounds_max, tally.lag_records_max);
    println!("{}\n", counts(&tally));
    tally.failed.keys().take(SHRUNK_MAX).for_each(|seed| leave(*seed));
    for (seed, complaints) in &tally.failed {
        println!("seed {seed} failed: {}\n    its trace: make sim SEED={seed}", complaints[0]);
    }
    let idle = tally.idle_faults();
    if !idle.is_empty() {
        println!("never struck, so nothing is proven about them: {}", idle.join(", "));
    }
    let unheard: Vec<String> = tally.idle_kinds().iter().map(ToString::to_string).collect();
    if !unheard.is_empty() {
        println!("never decided, so nothing is proven about them: {}", unheard.join(", "));
    }
    tally.failed.is_empty() && idle.is_empty() && unheard.is_empty()
}

fn meta(seeds: u64) -> bool {
    let bar = bar(seeds, "seeds");
    let differs = (0..seeds).find(|seed| {
        bar.inc(1);
        traced(*seed).trace != traced(*seed).trace
    });
    bar.finish_and_clear();
    match differs {
        None => println!("{seeds} seeds, twice each: the same traces, byte for byte"),
        Some(seed) => println!("seed {seed} left another trace the second time"),
    }
    differs.is_none()
}

/// Shrinks a seed that failed and writes its log down.
fn leave(seed: u64) {
    let whole = Schedule::of(seed);
    let bar = bar(TRIES_MAX as u64, &format!("shrinking seed {seed}"));
    let shrunk = shrink(&whole, None, |left, tries| {
        bar.set_position(tries as u64);
        bar.set_message(format!("shrinking seed {seed}, {left} actions left"));
    });
    bar.finish_and_clear();
    let Some(Shrunk { schedule, verdict, .. }) = shrunk else { return };
    let (from, to) = (whole.actions.len(), schedule.actions.len());
    println!("seed {seed}: shrunk from {from} actions to {to}, which leave {} records", verdict.records);
    match history::write(&schedule, None, &history::folder()) {
        Ok(file) => println!("    step through it: reeve replay {}", file.display()),
        Err(error) => println!("    its history cannot be written: {error}"),
    }
}
