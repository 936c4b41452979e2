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

const EXAMPLES: &str = "\
Examples:
  reeve kpis --data ./recorded           a table, after `reeve import --data ./recorded`
  reeve kpis --json                      one JSON object, from the Reeve that runs here

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
    if args.json { output::json(&report) } else { table(&report) }
}

/// The figures as a table; counts by name are indented below their figure.
fn table(report: &Report) -> Result<(), Failure> {
    let value = serde_json::to_value(report).map_err(|error| Failure::internal(format!("cannot write JSON: {error}")))?;
    let mut table = output::table(["figure", "value"]);
    for (name, figure) in value.as_object().into_iter().flatten() {
        match figure {
            Value::Object(parts) => {
                table.add_row([name.as_str(), ""]);
                for (part, figure) in parts {
                    table.add_row([format!("  {part}"), shown(figure)]);
                }
            }
            figure => {
                table.add_row([name.clone(), shown(figure)]);
            }
        }
    }
    output::line(table)
}

fn shown(figure: &Value) -> String {
    match figure {
        Value::Null => "not told".to_owned(),
        Value::Object(parts) => parts.iter().map(|(name, figure)| format!("{name} {}", shown(figure))).collect::<Vec<_>>().join(", "),
        figure => figure.to_string(),
    }
}
