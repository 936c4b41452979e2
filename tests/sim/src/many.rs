//! Many seeds, over all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use machine::mutants::{self, Mutant};
use wire::Timestamp;

use crate::schedule::Schedule;
use crate::verdict::{Complaint, Tally, Verdict};
use crate::world::{Lived, live};

/// Lives a seed through, with one rule broken or none, and judges it.
pub fn run(seed: u64, broken: Option<Mutant>) -> Verdict {
    lived(&Schedule::of(seed), broken, false).verdict
}

/// As [`run`], and writes down every action and step.
pub fn traced(seed: u64) -> Verdict {
    lived(&Schedule::of(seed), None, true).verdict
}

/// Lives so many seeds through, from 0, on as many threads as there are cores; each verdict is shown once, in no order.
pub fn run_many(seeds: u64, show: impl Fn(&Verdict) + Sync) -> Tally {
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let work = || {
        let mine = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < seeds);
        for seed in mine {
            let verdict = run(seed, None);
            show(&verdict);
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(&verdict);
        }
    };
    std::thread::scope(|scope| (0..cores()).for_each(|_| drop(scope.spawn(work))));
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Lives a schedule through. A panic on the way is one more thing that may be wrong with it, and ends no other seed; its
/// log is lost.
pub(crate) fn lived(schedule: &Schedule, broken: Option<Mutant>, traced: bool) -> Lived {
    catch_unwind(AssertUnwindSafe(|| live(schedule, broken, traced))).unwrap_or_else(|panic| {
        mutants::set(None);
        let told = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|told| (*told).to_owned()));
        let complaint = Complaint { kind: "panicked", text: told.unwrap_or_else(|| "without a word".to_owned()) };
        let verdict = Verdict { seed: schedule.seed, agents: schedule.agents, complaints: vec![complaint], ..Verdict::default() };
        Lived { verdict, log: Vec::new(), end: Timestamp::MAX }
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
