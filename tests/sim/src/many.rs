//! Many seeds, over all cores.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use machine::mutants::Mutant;

use crate::schedule::Schedule;
use crate::verdict::{Tally, Verdict};
use crate::world::live;

/// Lives a seed through, with one rule broken or none, and judges it.
pub fn run(seed: u64, broken: Option<Mutant>) -> Verdict {
    live(&Schedule::of(seed), broken, false).verdict
}

/// As [`run`], and writes down every action and step.
pub fn traced(seed: u64) -> Verdict {
    live(&Schedule::of(seed), None, true).verdict
}

/// Lives these seeds through, on as many threads as there are cores; each verdict is shown once, in no order.
pub fn run_many(seeds: Range<u64>, show: impl Fn(&Verdict) + Sync) -> Tally {
    let (next, tally) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    let work = || {
        let mine = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < seeds.end);
        for seed in mine {
            let verdict = run(seed, None);
            show(&verdict);
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(&verdict);
        }
    };
    std::thread::scope(|scope| (0..cores()).for_each(|_| drop(scope.spawn(work))));
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
