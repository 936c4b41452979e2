//! `reeve status`: how all agents stand, or one of them in full.

use futures::StreamExt;
use machine::Standing;

use crate::failure::Failure;
use crate::output::{self, text};
use crate::standing::{AgentReport, Report};
use crate::tail::readable;
use crate::target::{Filter, Target, TargetArgs};

const EXAMPLES: &str = "\
Examples:
  reeve status                     all agents, a line each
  reeve status telecom             one agent: every detector, what it saw so far and what it still needs
  reeve status --data ./data       the same of a log that no Reeve runs on";

/// Decisions that are told below an agent's standings: the last ones.
const DECISIONS_MAX: usize = 10;

/// `reeve status`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// The agent; without one, all of them.
    agent: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.target.open()?;
    let report = target.standing(args.agent.as_deref()).await?;
    if let Some(agent) = args.agent.as_deref().filter(|_| report.agents.is_empty()) {
        return Err(Failure::unknown(format!("nothing is known of an agent {agent}; `reeve status{}` lists all", target.option())));
    }
    match args.agent {
        _ if args.json => output::json(&report),
        None => tell_all(&report, &target),
        Some(_) => tell_one(&report.agents[0], &target).await,
    }
}

fn tell_all(report: &Report, target: &Target) -> Result<(), Failure> {
    if report.agents.is_empty() {
        return output::line("no agent is known yet: publish facts with `reeve publish`, or try `reeve fleet --scenario bad-deploy`");
    }
    let mut table = output::table(["AGENT", "SERVES", "MODE", "AUTOMATION", "INCIDENT"]);
    for agent in &report.agents {
        let state = |matter| agent.matter(matter).map_or("-", |standing| standing.state.as_str());
        table.add_row([&agent.agent, state("serving version"), state("mode"), state("automation"), state("incident")]);
    }
    output::line(table)?;
    output::line(format!("\nreeve status AGENT{} says of one why something happened, or why nothing did", target.option()))
}

async fn tell_one(agent: &AgentReport, target: &Target) -> Result<(), Failure> {
    let mut table = output::table(["ROOM", "MATTER", "STATE", "SO FAR", ""]);
    for standing in &agent.standings {
        let Standing { room, matter, state, n, needed, detail, .. } = standing;
        let so_far = match (n, needed) {
            (Some(n), Some(needed)) => format!("{n} of {needed}"),
            (Some(n), None) => n.to_string(),
            (None, Some(needed)) => format!("none of {needed}"),
            (None, None) => String::new(),
        };
        table.add_row([room, matter, state, &so_far, detail.as_deref().unwrap_or_default()]);
    }
    output::line(format!("{}\n", agent.agent))?;
    output::line(table)?;
    for standing in &agent.standings {
        if let Some(missing) = &standing.missing {
            output::line(format!("\n{}: {missing}", standing.matter))?;
        }
    }
    tell_decisions(agent, target).await
}

/// The last decisions about the agent, each with what `explain` needs.
async fn tell_decisions(agent: &AgentReport, target: &Target) -> Result<(), Failure> {
    let kinds = wire::Kind::ALL.iter().filter(|kind| kind.is_decision()).map(|kind| kind.name().to_owned()).collect();
    let mut events = target.events(&Filter { kinds, agent: Some(agent.agent.clone()), ..Filter::default() }).await?;
    let mut last = std::collections::VecDeque::new();
    while let Some(event) = events.next().await {
        last.push_back(event?);
        if last.len() > DECISIONS_MAX {
            last.pop_front();
        }
    }
    if last.is_empty() {
        return output::line("\nno decision was made about it yet");
    }
    output::line("\nlast decisions (more with `reeve explain ID`):")?;
    last.iter().try_for_each(|event| output::line(format!("  {}\n    {}", readable(event), text(event, "/id"))))
}
