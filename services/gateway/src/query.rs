//! What a reader of the log asks for: a filter, a place to start at, and where to end.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::{Kind, StoredRecord};

use crate::door::Caller;
use crate::problem::{Fault, Problem, ProblemKind};
use crate::stream::WAIT_SECONDS_MAX;

/// Parameters of `GET /v1/events`.
const PARAMETERS: &str = "agent, kind, id, session, from, limit, follow, wait_s";

/// A question to the log.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    /// Which records are told.
    pub(crate) filter: Filter,
    /// Where the reading starts.
    pub(crate) from: From,
    /// How many records are told at most.
    pub(crate) limit: Option<u64>,
    /// Whether to go on with what is yet to come.
    pub(crate) follow: bool,
    /// How long to wait for it before the answer ends; `None`: without end.
    pub(crate) wait: Option<Duration>,
}

/// Which records are told: those that pass every part that is set.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Filter {
    agent: Option<String>,
    /// Empty: every kind, also those that this version of Reeve does not know.
    kinds: BTreeSet<Kind>,
    id: Option<String>,
    session: Option<String>,
}

/// Where a reading starts.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum From {
    /// At the first record that the log still has.
    #[default]
    Beginning,
    /// With what is appended from now on.
    Now,
    /// After the record that this cursor came with.
    Cursor(String),
}

// === impl Query ===

impl Query {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// 400, with every parameter that is wrong.
    pub(crate) fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut query = Self::default();
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, value) in pairs {
            if name != "kind" && !seen.insert(name.clone()) {
                faults.push(Fault::new(&name, "malformed", format!("{name} is given twice")).limit(1));
                continue;
            }
            faults.extend(query.take(&name, value));
        }
        if faults.is_empty() { Ok(query) } else { Err(Problem::of_all(ProblemKind::BadRequest, faults)) }
    }

    fn take(&mut self, name: &str, value: String) -> Vec<Fault> {
        let fault = match name {
            "agent" => set(name, &mut self.filter.agent, value),
            "id" => set(name, &mut self.filter.id, value),
            "session" => set(name, &mut self.filter.session, value),
            "kind" => return self.filter.add_kinds(&value),
            "from" => {
                self.from = if value == "now" { From::Now } else { From::Cursor(value) };
                None
            }
            "limit" => match value.parse() {
                Ok(limit @ 1..=LIMIT_MAX) => {
                    self.limit = Some(limit);
                    None
                }
                _ => Some(Fault::new(name, "out_of_range", format!("limit is `{value}`")).limit(format!("1 to {LIMIT_MAX}"))),
            },
            "follow" => match value.as_str() {
                "true" | "false" => {
                    self.follow = value == "true";
                    None
                }
                _ => Some(Fault::new(name, "out_of_range", format!("follow is `{value}`")).limit("true or false")),
            },
            WAIT => match wait(&value) {
                Ok(wait) => {
                    self.wait = Some(wait);
                    None
                }
                Err(fault) => Some(fault),
            },
            unknown => Some(Fault::new(unknown, "unknown_field", "there is no such parameter").limit(PARAMETERS)),
        };
        fault.into_iter().collect()
    }
}

/// The most records that may be asked for: what clients of every language have a number for.
pub(crate) const LIMIT_MAX: u64 = i64::MAX as u64;

/// The parameter by which a stream ends once nothing new came for a while.
pub(crate) const WAIT: &str = "wait_s";

/// How long a stream waits for something new.
pub(crate) fn wait(value: &str) -> Result<Duration, Fault> {
    match value.parse() {
        Ok(seconds) if seconds <= WAIT_SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::new(WAIT, "out_of_range", format!("{WAIT} is `{value}`")).limit(format!("0 to {WAIT_SECONDS_MAX}"))),
    }
}

fn set(name: &str, slot: &mut Option<String>, value: String) -> Option<Fault> {
    if value.is_empty() {
        return Some(Fault::new(name, "malformed", format!("{name} is empty; what is not asked for is left out")));
    }
    *slot = Some(value);
    None
}

// === impl Filter ===

impl Filter {
    /// Refuses what is asked for by name and is not the caller's to hear.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Problem> {
        self.agent.as_deref().map_or(Ok(()), |agent| caller.check_agent(agent))?;
        caller.check_kinds(&Vec::from_iter(self.kinds.iter().copied()))
    }

    /// Whether a record is told. Cheap questions come first: most records are refused by the first bytes of their value.
    pub(crate) fn passes(&self, stored: &StoredRecord) -> bool {
        let raw = &stored.raw;
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        (self.kinds.is_empty() || raw.kind().is_some_and(|kind| self.kinds.contains(&kind)))
            && self.agent.as_ref().is_none_or(|agent| raw.key.as_deref() == Some(agent.as_bytes()))
            && is(&self.id, self.id.as_ref().and_then(|_| raw.header("ce_id")))
            && is(&self.session, self.session.as_ref().and_then(|_| raw.header("ce_subject")))
    }

    fn add_kinds(&mut self, list: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        for name in list.split(',').map(str::trim) {
            match Kind::from_name(name).or_else(|| Kind::from_ce_type(name)) {
                Some(kind) => {
                    self.kinds.insert(kind);
                }
                None => {
                    faults.push(Fault::new("kind", "unknown_kind", format!("`{name}` is no kind of record")).limit("see schemas/README.md"))
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_may_be_listed_and_repeated() {
        let query = read("kind", &["rollback.ordered,mode.ordered", "io.reeve.harm.reported.v1"]).expect("well formed");
        let kinds: Vec<_> = query.filter.kinds.into_iter().collect();
        assert_eq!(kinds, [Kind::HarmReported, Kind::ModeOrdered, Kind::RollbackOrdered]);
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let pairs = [("limit", "0"), ("follow", "yes"), ("kind", "nonsense,harm.reported"), ("agnet", "x"), ("id", ""), ("id", "b")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let problem = Query::read(pairs).expect_err("six faults");
        let fields: Vec<_> = problem.faults().iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["limit", "follow", "kind", "agnet", "id", "id"]);
    }

    fn read(name: &str, values: &[&str]) -> Result<Query, Problem> {
        Query::read(values.iter().map(|value| (name.to_owned(), (*value).to_owned())).collect())
    }
}
