//! `reeve kpis`: key figures of all imported sessions, from the log's records and nothing else.
//!
//! Every fact counts once, in whatever order and however often it was brought in. A figure that no session tells
//! anything of is null, never zero. Sums of money are sums of decimals, so that their order does not matter.

mod figures;
mod money;

use futures::StreamExt;
use serde_json::Value;
use wire::Kind;

use crate::failure::Failure;
use crate::output;
use crate::target::{Filter, TargetArgs};
use crate::terminal::me;

use figures::{Figures, Report};

/// The kinds that key figures are made of.
const KINDS: &[Kind] = &[
    Kind::SessionStarted,
    Kind::MessagePosted,
    Kind::ModelCalled,
    Kind::ToolCalled,
    Kind::ToolReturned,
    Kind::OutcomeReported,
    Kind::SessionEnded,
];

/// The order in which figures are told to people: what matters most comes first, long lists come last.
const ORDER: [&str; 16] = [
    "sessions",
    "success",
    "failure",
    "escalated_sessions",
    "versions",
    "termination",
    "duration_s",
    "turns",
    "user_messages",
    "agent_messages",
    "tool_errors",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "by_kind",
    "tool_calls",
];

const EXAMPLES: &str = "\
Examples:
  reeve kpis --data ./recorded    a table, after `reeve import --data ./recorded`
  reeve kpis --json               one JSON object, from the Reeve that runs here

Only imported sessions count. A figure that no session tells anything of is null, never zero.";

/// `reeve kpis`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.target.open()?;
    let filter = Filter { kinds: KINDS.iter().map(|kind| kind.name().to_owned()).collect(), ..Filter::default() };
    let mut events = target.events(&filter).await?;
    let mut figures = Figures::default();
    while let Some(event) = events.next().await {
        figures.count(&event?)?;
    }
    let report = figures.report();
    if args.json {
        return output::json(&report);
    }
    table(&report)?;
    if report.is_empty() { output::line(format!("\nno session was imported yet: {} import FILE{}", me(), target.option())) } else { Ok(()) }
}

/// The figures as a table; counts by name are indented below their figure.
fn table(report: &Report) -> Result<(), Failure> {
    let mut value = serde_json::to_value(report).map_err(|error| Failure::internal(format!("cannot write JSON: {error}")))?;
    if report.tells_no_outcome() {
        leave_outcomes_out(&mut value);
    }
    let mut table = output::table(["FIGURE", "VALUE"]);
    for (name, figure) in ORDER.iter().filter_map(|name| Some((name, value.get(name)?))) {
        match figure {
            Value::Object(parts) if parts.is_empty() => {
                table.add_row([name, "none"]);
            }
            Value::Object(parts) => {
                table.add_row([name, ""]);
                for (part, figure) in parts {
                    table.add_row([format!("  {part}"), shown(figure)]);
                }
            }
            figure => {
                table.add_row([(*name).to_owned(), shown(figure)]);
            }
        }
    }
    output::line(table.trim_fmt())
}

/// Counts of what nobody told are no figures: zero successes would read as nothing but failures.
fn leave_outcomes_out(figures: &mut Value) {
    for figure in ["success", "failure"] {
        figures[figure] = Value::Null;
    }
    for served in figures["versions"].as_object_mut().into_iter().flat_map(|versions| versions.values_mut()) {
        served["success"] = Value::Null;
    }
}

fn shown(figure: &Value) -> String {
    match figure {
        Value::Null => "not told".to_owned(),
        Value::Object(parts) => parts.iter().map(|(name, figure)| format!("{name} {}", shown(figure))).collect::<Vec<_>>().join(", "),
        figure => figure.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_place_in_the_table() {
        let value = serde_json::to_value(Figures::default().report()).expect("a report is JSON");
        let mut told = ORDER.to_vec();
        told.sort_unstable();
        let figures: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(told, figures);
    }
}
