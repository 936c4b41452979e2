//! What came of a seed, and of many.

use std::collections::BTreeMap;
use std::fmt;

use machine::oracle::Objection;
use wire::{Class, Kind};

/// What came of one seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// Every action and every step, in order; empty unless it was asked for.
    pub trace: Vec<String>,
    /// What is wrong; empty when the seed passed.
    pub complaints: Vec<Complaint>,
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
    /// Rounds of all members, in calm weather, until everything rested.
    pub rounds: usize,
}

/// One thing that is wrong with a seed: what the oracle objects to, or that a room refused, panicked or never rested.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    /// Its kind: a shrunk schedule has to fail with the same.
    pub kind: &'static str,
    /// What exactly.
    pub text: String,
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
    /// In how many seeds it struck at all.
    pub seeds_struck: BTreeMap<&'static str, usize>,
    /// Largest distance, in records, of a decision from the last record that it knew.
    pub lag_records_max: i64,
    /// Most rounds that a seed took to come to rest.
    pub rounds_max: usize,
    /// Seeds that failed, with what was wrong.
    pub failed: BTreeMap<u64, Vec<Complaint>>,
}

// === impl Tally ===

impl Tally {
    /// Adds a seed.
    pub fn add(&mut self, verdict: &Verdict) {
        self.seeds += 1;
        self.records += verdict.records;
        self.lag_records_max = self.lag_records_max.max(verdict.lag_records_max);
        self.rounds_max = self.rounds_max.max(verdict.rounds);
        for (kind, count) in &verdict.decisions {
            *self.decisions.entry(*kind).or_default() += count;
        }
        for (fault, count) in &verdict.faults {
            *self.faults.entry(fault).or_default() += count;
            *self.seeds_struck.entry(fault).or_default() += usize::from(*count > 0);
        }
        if !verdict.complaints.is_empty() {
            self.failed.insert(verdict.seed, verdict.complaints.clone());
        }
    }

    /// Kinds of decisions that no room came to.
    pub fn idle_kinds(&self) -> Vec<Kind> {
        let is_idle = |kind: &Kind| kind.class() == Class::Decision && !self.decisions.contains_key(kind);
        Kind::ALL.iter().copied().filter(is_idle).collect()
    }

    /// Faults that never struck.
    pub fn idle_faults(&self) -> Vec<&'static str> {
        self.faults.iter().filter(|(_, count)| **count == 0).map(|(fault, _)| *fault).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} seeds, {} records", self.seeds, self.records)?;
        writeln!(f, "at most {} rounds to rest, {} records from what a decision knew", self.rounds_max, self.lag_records_max)?;
        let decisions: Vec<String> = self.decisions.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "decisions: {}", decisions.join(", "))?;
        let faults: Vec<String> = self.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        writeln!(f, "faults that struck: {}", faults.join(", "))?;
        for (seed, complaints) in &self.failed {
            writeln!(f, "seed {seed} failed; its trace: make sim SEED={seed}")?;
            complaints.iter().take(5).try_for_each(|complaint| writeln!(f, "    {complaint}"))?;
        }
        Ok(())
    }
}

// === impl Complaint ===

impl From<&Objection> for Complaint {
    fn from(objection: &Objection) -> Self {
        Self { kind: objection.breach.name(), text: objection.to_string() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}
