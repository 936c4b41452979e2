//! How a replay went, for people and for scripts.

use std::sync::Arc;

use runtime::errors::Code;
use runtime::log::Log;
use runtime::log::kafka::KafkaLog;
use serde_json::{Value, json};

use super::{Args, Outcome};
use crate::failure::Failure;
use crate::output::{self, counted};

/// Tells it. What differs makes it a failure.
pub(super) fn end(args: &Args, [from, to]: [&Arc<KafkaLog>; 2], outcome: &Outcome) -> Result<(), Failure> {
    if args.json {
        output::json(&shown([&**from, &**to], outcome))?;
    } else {
        output::line(table([from.topic(), to.topic()], outcome))?;
        sentences([from.topic(), to.topic()], outcome).iter().try_for_each(output::line)?;
    }
    match outcome.found.differing {
        0 => Ok(()),
        lives => {
            let lives = if lives == 1 { "1 life differs".to_owned() } else { format!("{lives} lives differ") };
            Err(Failure::coded(Code::NotMigrated, format!("{lives} between {} and {}", from.topic(), to.topic())))
        }
    }
}

fn table([from, to]: [&str; 2], outcome: &Outcome) -> impl std::fmt::Display {
    let mut table = output::table(["KIND", from, to, ""]);
    for (kind, (there, here)) in &outcome.found.kinds {
        let note = if there == here {
            ""
        } else if outcome.found.is_whole() {
            "a copy for each partition"
        } else {
            "!"
        };
        table.add_row([kind.clone(), there.to_string(), here.to_string(), note.to_owned()]);
    }
    for (left, count) in &outcome.found.left {
        table.add_row([String::new(), count.to_string(), "0".to_owned(), format!("not told again: {}", left.reason())]);
    }
    table
}

fn sentences([from, to]: [&str; 2], outcome: &Outcome) -> Vec<String> {
    let Outcome { written, compared, vague, found } = outcome;
    let mut told = Vec::new();
    if *written > 0 || *compared > 0 {
        told.push(format!("{} written, {compared} stood there from an earlier run", counted(*written, "record")));
    }
    if *vague > 0 {
        told.push(format!("{} knew less than their `asof` says now: their rooms were far behind", counted(*vague, "decision")));
    }
    for difference in &found.differences {
        let (there, here) = difference.records;
        told.push(format!("differs: {}: {there} on {from}, {here} on {to}", difference.of));
    }
    if found.is_whole() {
        told.push(format!("whole: {}, each with its life as it stands on {from}", counted(found.agents, "agent")));
        told.push(format!("start Reeve on {to} with a folder of its own (--data): snapshots of {from} count by other partitions"));
        told.push(format!("retention of {to} is off (retention.ms=-1): set it when every room has written snapshots there"));
    }
    told
}

fn shown([from, to]: [&KafkaLog; 2], outcome: &Outcome) -> Value {
    let Outcome { written, compared, vague, found } = outcome;
    let kinds = |side: fn(&(u64, u64)) -> u64| -> Value {
        found.kinds.iter().map(|(kind, counts)| (kind.clone(), json!(side(counts)))).collect::<serde_json::Map<_, _>>().into()
    };
    let topic = |log: &KafkaLog, kinds: Value| json!({"topic": log.topic(), "partitions": log.partitions(), "records": kinds});
    json!({
        "whole": found.is_whole(),
        "from": topic(from, kinds(|counts| counts.0)),
        "to": topic(to, kinds(|counts| counts.1)),
        "written": written,
        "stood_there": compared,
        "not_told_again": found.left.iter().map(|(left, count)| (left.name().to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "vague_decisions": vague,
        "agents": found.agents,
        "differing": found.differing,
        "differences": found.differences.iter().map(|difference| {
            json!({"of": difference.of, "from": difference.records.0, "to": difference.records.1})
        }).collect::<Vec<_>>(),
    })
}
