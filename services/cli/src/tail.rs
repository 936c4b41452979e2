//! `reeve tail`: the log from its beginning, for people or as structured CloudEvents.

use std::num::NonZeroUsize;

use futures::StreamExt;
use runtime::log::merge::Cursor;
use serde_json::Value;
use wire::Kind;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::sentence::{kind_name, said};
use crate::target::{Filter, TargetArgs};
use crate::terminal::{broken, columns_of_tables, folded};

const EXAMPLES: &str = "\
Examples:
  reeve tail                                              everything, then stop
  reeve tail --follow --kind rollback.ordered --agent telecom
  reeve tail --kind incident.opened --json | jq .data.summary
  reeve tail --data ./data --session s-42";

/// Column in which a line goes on that is longer than the terminal is wide.
const SAID_COLUMN: usize = 26;

/// `reeve tail`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Only this kind, such as `rollback.ordered`; may be given several times.
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = known_kind)]
    kinds: Vec<Kind>,
    /// Only this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only this session.
    #[arg(long)]
    session: Option<String>,
    /// Only records after this cursor: the `cursor` of an event told before.
    #[arg(long, value_name = "CURSOR", value_parser = known_cursor)]
    from: Option<String>,
    /// At most so many records.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Go on with what is appended later, until interrupted.
    #[arg(long, short, conflicts_with = "data")]
    follow: bool,
    /// One structured CloudEvent a line.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.target.open()?;
    let filter = Filter {
        kinds: args.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        agent: args.agent,
        session: args.session,
        id: None,
        from: args.from,
        limit: args.limit.map(NonZeroUsize::get),
        follow: args.follow,
    };
    let mut events = target.events(&filter).await?;
    let (mut told, mut cursor) = (0, String::new());
    while let Some(event) = events.next().await {
        let event = event?;
        if args.json {
            output::json_line(&event)?
        } else {
            output::line(readable(&event))?
        }
        told += 1;
        output::text(&event, "/cursor").clone_into(&mut cursor);
    }
    if filter.follow && filter.limit != Some(told) { Err(broken_off(&cursor)) } else { Ok(()) }
}

/// One event as a line: when, about whom, what kind, and the most telling of what it says.
pub(crate) fn readable(event: &Value) -> String {
    let kind = kind_name(event);
    let session = event.get("subject").and_then(Value::as_str).map(|session| format!(" session {session}:")).unwrap_or_default();
    let (at, agent) = (output::moment(output::text(event, "/recordedtime")), output::text(event, "/partitionkey"));
    folded(&format!("{at}  {agent:<12}  {kind:<20} {session} {}", said(event)), SAID_COLUMN)
}

/// Whoever follows wants no end: this one is Reeve's.
fn broken_off(cursor: &str) -> Failure {
    let go_on = if cursor.is_empty() { String::new() } else { format!("; go on with --from {cursor}") };
    Failure::new(Exit::Unavailable, format!("Reeve ended the stream{go_on}"))
}

fn known_cursor(text: &str) -> Result<String, String> {
    Cursor::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn known_kind(name: &str) -> Result<Kind, String> {
    Kind::from_name(name).ok_or_else(|| {
        let kinds = Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        format!("there is no such kind. The kinds are\n{}", broken(&kinds, columns_of_tables(), "  ", "  "))
    })
}
