//! `reeve explain ID`: a decision with its rule and numbers, and its causes back to the first facts.

mod tree;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{self, text};
use crate::target::{Filter, Target, TargetArgs};
use crate::terminal;

pub(crate) use tree::numbers;

const EXAMPLES: &str = "\
Examples:
  reeve explain 5c0b6a0e-...          a decision, an incident, an escalation, or any record
  reeve explain 5c0b6a0e-... --json   the same as one JSON object";

/// Decisions in a row that are followed back; a log holds no longer chain, because rooms stop earlier.
const ROUNDS_MAX: usize = 32;
/// Records of one explanation.
const RECORDS_MAX: usize = 2_000;

/// `reeve explain`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Id of the record, of an incident or of an escalation.
    id: String,
    /// Print one JSON object: each record with its `causes`.
    #[arg(long)]
    json: bool,
}

/// The records of an explanation, by id.
type Found = BTreeMap<String, Value>;

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.target.open()?;
    let root = match with_id(&target, &args.id).await? {
        Some(root) => root,
        None => opening_of(&target, &args.id).await?.ok_or_else(|| unknown(&args.id))?,
    };
    let root_id = text(&root, "/id").to_owned();
    let found = causes_of(&target, root).await?;
    if args.json {
        output::json(&tree::json(&root_id, &found))
    } else {
        output::line(tree::readable(&root_id, &found, terminal::columns()))
    }
}

/// The ids that a record names as its causes, each once, in order.
fn causes(event: &Value) -> Vec<String> {
    let listed = event.pointer("/data/basis/causes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = listed.iter().filter_map(Value::as_str).chain(event.get("causationid").and_then(Value::as_str));
    let mut seen = BTreeSet::new();
    named.filter(|id| seen.insert(*id)).map(str::to_owned).collect()
}

/// The record and everything that it rests on. Each round reads the agent's life once and finds one layer of causes.
async fn causes_of(target: &Target, root: Value) -> Result<Found, Failure> {
    let agent = text(&root, "/partitionkey").to_owned();
    let mut found = Found::new();
    let mut wanted: BTreeSet<String> = causes(&root).into_iter().collect();
    found.insert(text(&root, "/id").to_owned(), root);
    for _ in 0..ROUNDS_MAX {
        wanted.retain(|id| !found.contains_key(id));
        if wanted.is_empty() || found.len() >= RECORDS_MAX {
            break;
        }
        let round = layer(target, &agent, &wanted).await?;
        let next = round.iter().flat_map(causes).collect();
        found.extend(round.into_iter().map(|event| (text(&event, "/id").to_owned(), event)));
        wanted = next;
    }
    Ok(found)
}

/// The wanted records: of the agent's own, else wherever they are (a policy concerns many agents).
async fn layer(target: &Target, agent: &str, wanted: &BTreeSet<String>) -> Result<Vec<Value>, Failure> {
    let mut round = Vec::new();
    let mut missing = wanted.clone();
    let mut events = target.events(&Filter { agent: Some(agent.to_owned()), ..Filter::default() }).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if missing.remove(text(&event, "/id")) {
            round.push(event);
        }
        if missing.is_empty() {
            return Ok(round);
        }
    }
    for id in missing {
        round.extend(with_id(target, &id).await?);
    }
    Ok(round)
}

async fn with_id(target: &Target, id: &str) -> Result<Option<Value>, Failure> {
    let filter = Filter { id: Some(id.to_owned()), limit: Some(1), ..Filter::default() };
    target.events(&filter).await?.next().await.transpose()
}

/// People know an incident and an escalation by their own ids.
async fn opening_of(target: &Target, episode: &str) -> Result<Option<Value>, Failure> {
    let kinds = vec!["incident.opened".to_owned(), "escalation.raised".to_owned()];
    let mut events = target.events(&Filter { kinds, ..Filter::default() }).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if ["/data/incident_id", "/data/escalation_id"].iter().any(|id| text(&event, id) == episode) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn unknown(id: &str) -> Failure {
    Failure::unknown(format!("no record, no incident and no escalation has the id {id}; `reeve tail --json` tells the ids of all"))
}
