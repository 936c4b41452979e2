//! `make sim`: many seeds, or one whole with its trace.

use std::process::ExitCode;

use clap::Parser;
use sim::{Tally, run};

/// Lives seeds through and judges them.
#[derive(Parser)]
struct Options {
    /// One seed, with its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// So many seeds, from 0.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut tally = Tally::default();
    match options.seed {
        Some(seed) => {
            let verdict = run(seed, None);
            verdict.trace.iter().for_each(|line| println!("{line}"));
            verdict.objections.iter().for_each(|objection| println!("OBJECTION {objection}"));
            tally.add(&verdict);
        }
        None => (0..options.seeds).for_each(|seed| tally.add(&run(seed, None))),
    }
    println!("{tally}");
    if tally.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
