//! `reeve tail`: the log from its beginning, for people or as structured CloudEvents.

use futures::StreamExt;
use serde_json::Value;
use wire::Kind;

use crate::failure::Failure;
use crate::output;
use crate::target::{Filter, TargetArgs};

const EXAMPLES: &str = "\
Examples:
  reeve tail                                              everything, then stop
  reeve tail --follow --kind rollback.ordered --agent telecom
  reeve tail --kind incident.opened --json | jq .data.summary
  reeve tail --data ./data --session s-42";

/// `reeve tail`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Only this kind, such as `rollback.ordered`; may be given several times.
    #[arg(long = "kind", value_name = "KIND", value_parser = known_kind)]
    kinds: Vec<Kind>,
    /// Only this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only this session.
    #[arg(long)]
    session: Option<String>,
    /// Only records after this cursor: the `cursor` of an event told before.
    #[arg(long, value_name = "CURSOR")]
    from: Option<String>,
    /// At most so many records.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
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
        limit: args.limit,
        follow: args.follow,
    };
    let mut events = target.events(&filter).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if args.json { output::json_line(&event)? } else { output::line(readable(&event))? }
    }
    Ok(())
}

/// One event as a line: when, about whom, what kind, and the most telling of what it says.
pub(crate) fn readable(event: &Value) -> String {
    let kind = kind_name(event);
    let session = event.get("subject").and_then(Value::as_str).map(|session| format!(" session {session}")).unwrap_or_default();
    format!("{}  {:<14} {kind:<22}{session} {}", output::text(event, "/recordedtime"), output::text(event, "/partitionkey"), said(event))
}

/// The name of the event's kind; an unknown type stays as it is.
pub(crate) fn kind_name(event: &Value) -> &str {
    let ce_type = output::text(event, "/type");
    ce_type.strip_prefix("io.reeve.").and_then(|rest| rest.strip_suffix(".v1")).unwrap_or(ce_type)
}

/// A decision has a sentence for people; a fact is told by its short fields.
pub(crate) fn said(event: &Value) -> String {
    if let Some(summary) = event.pointer("/data/summary").and_then(Value::as_str) {
        return summary.to_owned();
    }
    let Some(fields) = event.get("data").and_then(Value::as_object) else { return String::new() };
    let short = |value: &Value| match value {
        Value::String(text) => Some(shortened(text)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let pairs: Vec<_> = fields.iter().filter_map(|(name, value)| Some(format!("{name}={}", short(value)?))).collect();
    pairs.join(" ")
}

/// Characters of one field on a readable line.
const FIELD_CHARS_MAX: usize = 48;

fn shortened(text: &str) -> String {
    let plain = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    if text.chars().count() <= FIELD_CHARS_MAX { plain.collect() } else { plain.take(FIELD_CHARS_MAX).chain("...".chars()).collect() }
}

fn known_kind(name: &str) -> Result<Kind, String> {
    Kind::from_name(name)
        .ok_or_else(|| format!("no such kind; kinds are {}", Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")))
}
