//! What came of a seed, and of many.

use std::collections::BTreeMap;

use wire::Kind;

/// What came of one seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// Every action and every step, in order.
    pub trace: Vec<String>,
    /// What is wrong; empty when the seed passed.
    pub objections: Vec<String>,
    /// Records on the log at the end.
    pub records: usize,
    /// Agents that were told of.
    pub agents: usize,
    /// Decisions by kind.
    pub decisions: BTreeMap<Kind, usize>,
    /// How often each fault really struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// Largest distance, in records, of a decision from the last record that it knew.
    pub lag_records_max: i64,
}

/// What came of many seeds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Seeds run.
    pub seeds: usize,
    /// Records on their logs.
    pub records: usize,
    /// Decisions by kind.
    pub decisions: BTreeMap<Kind, usize>,
    /// How often each fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// Seeds that failed, with what was wrong.
    pub failed: Vec<(u64, Vec<String>)>,
}

// === impl Tally ===

impl Tally {
    /// Adds a seed.
    pub fn add(&mut self, verdict: &Verdict) {
        self.seeds += 1;
        self.records += verdict.records;
        for (kind, count) in &verdict.decisions {
            *self.decisions.entry(*kind).or_default() += count;
        }
        for (fault, count) in &verdict.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        if !verdict.objections.is_empty() {
            self.failed.push((verdict.seed, verdict.objections.clone()));
        }
    }

    /// Faults that never struck.
    pub fn idle_faults(&self) -> Vec<&'static str> {
        self.faults.iter().filter(|(_, count)| **count == 0).map(|(fault, _)| *fault).collect()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} seeds, {} records", self.seeds, self.records)?;
        let decisions: Vec<String> = self.decisions.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "decisions: {}", decisions.join(", "))?;
        let faults: Vec<String> = self.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        writeln!(f, "faults that struck: {}", faults.join(", "))?;
        for (seed, objections) in &self.failed {
            writeln!(f, "seed {seed} failed; replay it with `make sim SEED={seed}`")?;
            objections.iter().take(5).try_for_each(|objection| writeln!(f, "    {objection}"))?;
        }
        Ok(())
    }
}
