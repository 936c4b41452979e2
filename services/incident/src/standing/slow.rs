//! What the detectors of slow trouble know about an agent, a line each.

use machine::Standing;
use wire::{AgentId, Timestamp};

use super::{SIGNALS, line, missing_facts, publish, reading_in_words};
use crate::agent::Agent;
use crate::chart::Chart;
use crate::policy::{Measure, Policy, Signal};
use crate::versions::Ix;
use crate::words::counted;

pub(super) fn lines(known: &Agent, agent: &AgentId, policy: &Policy, now: Timestamp) -> Vec<Standing> {
    let watched = SIGNALS.into_iter().filter(|signal| policy.objectives.contains_key(signal));
    let mut lines: Vec<Standing> = watched.filter_map(|signal| ticket(known, agent, signal, policy, now)).collect();
    lines.extend(policy.drifts.iter().map(|measure| drift(known, agent, *measure, policy)));
    lines.push(loops(known, agent, policy));
    lines.push(signatures(known, agent, policy));
    lines
}

/// The ticket of a signal that has seen most, over the versions; `None` where the policy sets none.
fn ticket(known: &Agent, agent: &AgentId, signal: Signal, policy: &Policy, now: Timestamp) -> Option<Standing> {
    let streams = known.versions.iter().map(|(ix, _)| Some(ix)).chain([None]);
    let readings = streams.flat_map(|version| known.burn.tickets((version, signal), now, policy));
    let fullest = readings.max_by_key(|reading| (reading.n >= policy.facts_min, reading.bad * 1_000 / reading.n.max(1), reading.n))?;
    let state = match () {
        () if known.burn.has_ticket(signal) => "firing",
        () if fullest.n < policy.facts_min => "no_data",
        () => "watching",
    };
    let missing = (state == "no_data").then(|| missing_facts(known, agent, signal, fullest.n, policy));
    let (needed, detail) = (Some(policy.facts_min), Some(reading_in_words(&fullest)));
    Some(Standing { n: Some(fullest.n), needed, missing, detail, ..line(&format!("{signal} burn rate over days"), state) })
}

/// The chart of a measure that has drifted furthest; of those without a baseline, the one that knows most.
fn drift(known: &Agent, agent: &AgentId, measure: Measure, policy: &Policy) -> Standing {
    let matter = format!("{measure} drift");
    let statistic = |chart: &Chart| chart.shows(policy).map_or(0.0, |shown| shown.statistic);
    let order = |chart: &Chart| (chart.is_firing(), chart.has_baseline(), (statistic(chart) * 1e6) as u64, chart.learned());
    let furthest = known.drift.of(measure).max_by_key(|(version, chart)| (order(chart), *version));
    let Some((version, chart)) = furthest else {
        return Standing {
            n: Some(0),
            needed: Some(policy.drift_baseline),
            missing: Some(unmeasured(known, agent, measure)),
            ..line(&matter, "no_data")
        };
    };
    let Some(shown) = chart.shows(policy) else {
        // A policy may have asked for less meanwhile: then the next session makes the baseline whole.
        let more = policy.drift_baseline.saturating_sub(chart.learned()).max(1);
        let missing = format!("{} of {} in one segment", counted(more, "more session"), name(known, version));
        let (n, needed) = (Some(chart.learned()), Some(policy.drift_baseline));
        return Standing { n, needed, missing: Some(missing), ..line(&matter, "no_data") };
    };
    let detail = format!(
        "version {}: {} {}, statistic {:.2} of {:.2}",
        name(known, version),
        measure.words(),
        shown.in_words(measure),
        shown.statistic,
        shown.threshold
    );
    let state = if chart.is_firing() { "firing" } else { "watching" };
    Standing { n: Some(chart.learned()), needed: Some(policy.drift_baseline), detail: Some(detail), ..line(&matter, state) }
}

fn unmeasured(known: &Agent, agent: &AgentId, measure: Measure) -> String {
    let waiting = known.escalations.waiting();
    let ended = publish(agent, "session.ended", "{}");
    match measure {
        Measure::Outcome => {
            format!("no outcome.reported of a session with a version: {}", publish(agent, "outcome.reported", r#"{"success":true}"#))
        }
        Measure::Latency => format!("no session with a version that ended and told latency_ms with its model.called: {ended}"),
        Measure::Tokens => {
            format!("no session with a version that ended and told tokens_in and tokens_out with every model.called: {ended}")
        }
        Measure::Escalation if waiting > 0 => {
            format!("the escalation room's watermark, for {} that ended", counted(waiting as u64, "session"))
        }
        Measure::Escalation => "the escalation room, heard of before a session of a version ends".to_owned(),
    }
}

fn loops(known: &Agent, agent: &AgentId, policy: &Policy) -> Standing {
    let loops = &known.loops;
    let body = r#"{"tool":"lookup","by":"agent","arguments":"{}"}"#;
    let missing = (loops.compared == 0).then(|| match loops.untold {
        0 => format!("no tool.called of a session yet: {}", publish(agent, "tool.called", body)),
        untold => format!("{untold} tool.called, none of which told its arguments: {}", publish(agent, "tool.called", body)),
    });
    let detail = format!(
        "a loop is {} same calls in a session; {} under way, {} told no arguments",
        policy.loop_calls,
        counted(loops.followed() as u64, "session"),
        counted(loops.untold, "call")
    );
    let state = if loops.compared == 0 { "no_data" } else { "watching" };
    Standing { n: Some(loops.compared), missing, detail: Some(detail), ..line("loops", state) }
}

fn signatures(known: &Agent, agent: &AgentId, policy: &Policy) -> Standing {
    let signatures = &known.signatures;
    let (n, needed) = (signatures.history(), policy.signature_history);
    let state = match () {
        () if signatures.is_firing() => "firing",
        () if n < needed => "no_data",
        () => "watching",
    };
    let body = r#"{"tool":"lookup","by":"agent","failed":false}"#;
    let missing = (n < needed).then(|| {
        format!(
            "{}, each with whether it failed: {}",
            counted(signatures.lacking(policy), "more call"),
            publish(agent, "tool.returned", body)
        )
    });
    let (kept, overflow) = signatures.kept();
    let (kept, overflow) = (counted(kept as u64, "kind"), counted(overflow, "time"));
    let detail = Some(format!("{kept} of failures told apart, {overflow} too many to tell apart"));
    Standing { n: Some(n), needed: Some(needed), missing, detail, ..line("rare failures", state) }
}

fn name(known: &Agent, version: Ix) -> String {
    known.versions.id(version).map_or_else(String::new, |version| version.to_string())
}
