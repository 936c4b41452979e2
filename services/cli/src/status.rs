//! `reeve status`: how all agents stand, or one of them in full.

use std::collections::VecDeque;

use futures::StreamExt;
use machine::Standing;

use crate::failure::Failure;
use crate::output::{self, text};
use crate::sentence::{kind_name, said};
use crate::standing::{AgentReport, Report};
use crate::target::{Filter, Target, TargetArgs};
use crate::terminal::{as_called, broken, columns_of_tables, me};

const EXAMPLES: &str = "\
Examples:
  reeve status                  all agents, a line each
  reeve status telecom          every detector of one, what it saw and needs
  reeve status --data ./data    of a log that no Reeve runs on";

/// Column in which the state of a matter stands, and what is said below it.
const STATE_COLUMN: usize = 24;
/// Column in which a decision goes on that is longer than a line.
const SAID_COLUMN: usize = 28;
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
        return Err(unknown(agent, &target.option()));
    }
    match args.agent {
        _ if args.json => output::json(&report),
        None => tell_all(&report, &target),
        Some(_) => tell_one(&report.agents[0], &target).await,
    }
}

/// Of an agent that no room knows.
pub(crate) fn unknown(agent: &str, option: &str) -> Failure {
    Failure::unknown(format!("nothing is known of an agent {agent}; `reeve status{option}` lists all"))
}

fn tell_all(report: &Report, target: &Target) -> Result<(), Failure> {
    let (me, option) = (me(), target.option());
    if report.agents.is_empty() {
        let demo =
            if matches!(target, Target::Url(_)) { format!(", or try `{me} fleet --scenario bad-deploy{option}`") } else { String::new() };
        return output::line(format!("no agent is known yet: publish facts with `{me} publish FILE{option}`{demo}"));
    }
    let mut table = output::table(["AGENT", "SERVES", "MODE", "AUTOMATION", "INCIDENT", "ESCALATIONS", "SESSIONS", "TOKENS/MIN", "BUDGET"]);
    for agent in &report.agents {
        let state = |matter| agent.matter(matter).map_or("-", |standing| standing.state.as_str()).to_owned();
        let count = |matter| agent.matter(matter).and_then(|standing| standing.n).map_or_else(|| "-".to_owned(), |n| n.to_string());
        table.add_row([
            agent.agent.clone(),
            state("serving version"),
            state("mode"),
            state("automation"),
            state("incident"),
            escalations(agent),
            count("sessions at once"),
            count("tokens a minute"),
            budget(agent).to_owned(),
        ]);
    }
    output::line(table.trim_fmt())?;
    output::line(format!("\nof one, why something happened or why nothing did: {me} status AGENT{option}"))
}

/// How many wait for a human, for how many nobody came in time, and until when the first may wait.
fn escalations(agent: &AgentReport) -> String {
    let Some(open) = agent.matter("escalations").map(|standing| standing.state.clone()) else { return "-".to_owned() };
    let overdue = agent.matter("escalations overdue").and_then(|standing| standing.n).filter(|overdue| *overdue > 0);
    let due = agent.matter("escalations due").map(|standing| standing.state.as_str()).filter(|due| *due != "none");
    let told = [overdue.map(|overdue| format!("{overdue} overdue")), due.map(|due| format!("due {}", output::time_of_day(due)))];
    told.into_iter().flatten().fold(open, |told, more| format!("{told}, {more}"))
}

/// The worst that is said of any budget of the agent.
fn budget(agent: &AgentReport) -> &str {
    let budgets = || agent.standings.iter().filter(|standing| standing.matter.starts_with("budget"));
    let worst = BUDGETS.iter().find(|state| budgets().any(|standing| standing.state == **state));
    worst.copied().or_else(|| budgets().next().map(|standing| standing.state.as_str())).unwrap_or("-")
}

/// States of a budget, the worst first.
const BUDGETS: [&str; 3] = ["passed", "foretold", "within"];

async fn tell_one(agent: &AgentReport, target: &Target) -> Result<(), Failure> {
    output::line(&agent.agent)?;
    let mut room = "";
    for standing in &agent.standings {
        if standing.room != room {
            room = &standing.room;
            output::line(format!("\n{room} room"))?;
        }
        output::line(matter(standing, columns_of_tables(), &target.option()))?;
    }
    tell_decisions(agent, target).await
}

/// What a room says of one matter: its name and state, and below them what is worth a line.
fn matter(standing: &Standing, columns: usize, option: &str) -> String {
    let (indent, width) = (" ".repeat(STATE_COLUMN), STATE_COLUMN - 3);
    let Standing { matter, state, n, needed, .. } = standing;
    let so_far = match (n, needed) {
        (Some(n), Some(needed)) if n < needed => format!(", {n} of {needed} needed"),
        (Some(n), Some(1)) => format!(", {n}, where 1 is needed"),
        (Some(n), Some(needed)) => format!(", {n}, where {needed} are needed"),
        (Some(n), None) => format!(", {n}"),
        (None, Some(needed)) => format!(", none of {needed} needed"),
        (None, None) => String::new(),
    };
    let mut lines = vec![if matter.len() > width {
        format!("{}\n{indent}{state}{so_far}", broken(matter, columns, "  ", "    "))
    } else {
        broken(&format!("{matter:<width$} {state}{so_far}"), columns, "  ", &indent)
    }];
    for remark in [&standing.detail, &standing.missing].into_iter().flatten() {
        let (words, command) = parted(remark);
        lines.push(broken(&words, columns, &indent, &indent));
        // A command stays on one line, so that it can be copied.
        lines.extend(command.map(|command| format!("      {}{option}", as_called(command))));
    }
    lines.join("\n")
}

/// A remark of a room, and the command that it ends with, if it does.
fn parted(remark: &str) -> (String, Option<&str>) {
    let begins = [": echo '", ": reeve "].iter().filter_map(|begin| remark.find(begin)).min();
    match begins {
        Some(at) => (format!("{}:", &remark[..at]), Some(&remark[at + 2..])),
        None => (remark.to_owned(), None),
    }
}

/// The last decisions about the agent, each with what `explain` needs.
async fn tell_decisions(agent: &AgentReport, target: &Target) -> Result<(), Failure> {
    let kinds = wire::Kind::ALL.iter().filter(|kind| kind.is_decision()).map(|kind| kind.name().to_owned()).collect();
    let mut events = target.events(&Filter { kinds, agent: Some(agent.agent.clone()), ..Filter::default() }).await?;
    let mut last = VecDeque::new();
    while let Some(event) = events.next().await {
        last.push_back(event?);
        if last.len() > DECISIONS_MAX {
            last.pop_front();
        }
    }
    if last.is_empty() {
        return output::line("\nno decision was made about it yet");
    }
    output::line("\nlast decisions")?;
    let indent = " ".repeat(SAID_COLUMN);
    last.iter().try_for_each(|event| {
        let line = format!("{}  {:<20} {}", output::moment(text(event, "/recordedtime")), kind_name(event), said(event));
        output::line(broken(&line, columns_of_tables(), "  ", &indent))?;
        output::line(format!("{indent}{} explain {}{}", me(), text(event, "/id"), target.option()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(matter: &str) -> Standing {
        Standing { room: "incident".to_owned(), matter: matter.to_owned(), state: "watching".to_owned(), ..Standing::default() }
    }

    #[test]
    fn a_matter_is_told_in_few_columns_and_its_command_in_one_line() {
        let missing = format!("no outcome.reported yet: echo '{}' | reeve publish -", "x".repeat(80));
        let told = matter(&Standing { n: Some(3), needed: Some(30), missing: Some(missing), ..standing("tool burn rate") }, 60, " --url U");
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[0], "  tool burn rate        watching, 3 of 30 needed");
        assert_eq!(lines[1], "                        no outcome.reported yet:");
        assert!(lines[2].starts_with("      echo 'xxx") && lines[2].ends_with("publish - --url U"), "{told}");
    }

    #[test]
    fn the_escalations_of_an_agent_are_told_with_the_first_deadline_and_the_worst_of_its_budgets() {
        let said = |matter: &str, state: &str, n| Standing { state: state.to_owned(), n, ..standing(matter) };
        let mut agent = AgentReport { agent: "billing".to_owned(), standings: vec![said("budget of 5 USD", "within", None)] };
        assert_eq!((escalations(&agent).as_str(), budget(&agent)), ("-", "within"));
        agent.standings.push(said("budget of 9 sessions at once", "passed", None));
        agent.standings.push(said("escalations", "3 open", Some(7)));
        agent.standings.push(said("escalations overdue", "1 overdue", Some(1)));
        agent.standings.push(said("escalations due", "2026-03-01T12:00:07.000000Z", None));
        assert_eq!((escalations(&agent).as_str(), budget(&agent)), ("3 open, 1 overdue, due 12:00:07", "passed"));
    }

    #[test]
    fn a_long_name_has_lines_of_its_own() {
        let told = matter(&standing("regression of version-two against version-one by sessions that succeed"), 60, "");
        assert_eq!(told, "  regression of version-two against version-one by sessions\n    that succeed\n                        watching");
    }
}
