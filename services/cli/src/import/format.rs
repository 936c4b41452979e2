//! The formats that an import reads, and which options each of them needs or takes.

use std::fmt;

use serde_json::{Map, Value};

use super::Args;
use crate::failure::Failure;

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A session a line, with its turns.
    Recording,
    /// An event a line, with its parent, and a session a line beside it.
    #[value(alias = "activegraph_events", alias = "activegraph-events")]
    Activegraph,
    /// A model call a line: `ts`, tokens_in, tokens_out.
    #[value(alias = "azure_llm_2023", alias = "azure_llm")]
    AzureLlm,
    /// A model call a line: `ts_ms` since the trace began, tokens_in, tokens_out.
    Mooncake,
}

// === impl Format ===

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recording => "recording",
            Self::Activegraph => "activegraph",
            Self::AzureLlm => "azure-llm",
            Self::Mooncake => "mooncake",
        })
    }
}

impl Format {
    /// The format that a line looks like, by the fields that no other one has.
    pub(super) fn resembled_by(fields: &Map<String, Value>) -> Option<Self> {
        let has = |names: &[&str]| names.iter().all(|name| fields.contains_key(*name));
        let is_simulation = has(&["session_id", "run", "reward"]) && !fields.contains_key("turns") && !fields.contains_key("outcome");
        if has(&["event_id", "event_type"]) || is_simulation {
            Some(Self::Activegraph)
        } else if has(&["session_id"]) {
            Some(Self::Recording)
        } else if has(&["ts_ms", "tokens_in", "tokens_out"]) {
            Some(Self::Mooncake)
        } else if has(&["ts", "tokens_in", "tokens_out"]) {
            Some(Self::AzureLlm)
        } else {
            None
        }
    }

    /// Refuses what the format needs and was not given, and what was given and it does not use.
    ///
    /// # Errors
    /// Every such option, in one failure.
    pub(super) fn check(self, args: &Args) -> Result<(), Failure> {
        let arrivals = matches!(self, Self::AzureLlm | Self::Mooncake);
        let mut faults = Vec::new();
        let mut unused = |option: &str, given: bool, why: &str| {
            if given {
                faults.push(format!("--format {self} does not use {option}: {why}"));
            }
        };
        unused("--segment", args.segment.is_some() && arrivals, "its lines name no task");
        unused("--segment", args.segment.is_some() && self == Self::Activegraph, "its segment is the task_id");
        unused("--tz", args.tz.is_some() && self == Self::Recording, "a time of a recording that has no offset is UTC");
        unused("--tz", args.tz.is_some() && self == Self::Mooncake, "its times are milliseconds since --epoch");
        unused("--epoch", args.epoch.is_some() && self != Self::Mooncake, "its lines tell the day");
        if arrivals && args.agent.is_none() {
            faults.push(format!("--format {self} needs --agent: its lines name nobody whose calls they are"));
        }
        if self == Self::Mooncake && args.epoch.is_none() {
            faults.push(format!(
                "--format {self} needs --epoch: its times are milliseconds since the trace began, and no line tells when that was"
            ));
        }
        match faults.len() {
            0 => Ok(()),
            1 => Err(Failure::usage(faults.remove(0))),
            _ => Err(Failure::usage("the options do not fit the format").with_lines(faults)),
        }
    }
}
