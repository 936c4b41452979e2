//! What a replay shows: a record and what it moved, what the oracle objects to, and how everything stands at the end.

use machine::oracle::{Breach, Judgement, Objection, Said};
use runtime::log::history::About;
use serde_json::{Value, json};

use super::Args;
use super::stepped::{House, How, Move, Step};
use crate::failure::Failure;
use crate::output;
use crate::policy::fields::{differing, table};
use crate::tail;
use crate::terminal::columns_of_tables;

/// Column in which what a record moved begins.
const INDENT: &str = "        ";
/// Agents that are told at the end; `--json` has all.
const AGENTS_MAX: usize = 40;
/// States of matters of which nothing is known.
const UNKNOWN: [&str; 2] = ["no_data", "not watched"];

/// What the history is of.
pub(super) fn head(about: &About, records: usize) -> Result<(), Failure> {
    let records = output::counted(records as u64, "record");
    output::line(format!("{}: {records} on {}", about.origin, output::counted(u64::from(about.partitions), "partition")))?;
    about.complaints.iter().try_for_each(|complaint| output::line(format!("it was left because of {complaint}")))?;
    output::line("")
}

/// One record.
pub(super) fn step(step: &Step, objections: &[Objection], args: &Args) -> Result<(), Failure> {
    let moves: Vec<&Move> = step.moves.iter().filter(|moved| is_told(moved, args)).collect();
    if args.json {
        let objections: Vec<Value> = objections.iter().map(objection_json).collect();
        return output::json_line(&json!({"record": step.number, "event": step.event, "moves": moves, "objections": objections}));
    }
    let place = format!("{}/{}", step.event["partition"], step.event["offset"]);
    output::line(format!("{:<7} {place:<8} {}", format!("#{}", step.number), tail::readable(&step.event)))?;
    for moved in moves {
        output::line(format!("{INDENT}{:<11} {:<10} {} {} about {}", moved.how.word(), moved.room, moved.kind, moved.id, moved.about))?;
    }
    objections.iter().try_for_each(objection)
}

/// What is left at the end.
pub(super) fn end(house: &House, until: usize, total: usize, judgement: &Judgement, args: &Args) -> Result<(), Failure> {
    let owed: Vec<Move> = house.owed().into_iter().filter(|moved| is_told(moved, args)).collect();
    let report = house.standing();
    if args.json {
        let objections: Vec<Value> = judgement.objections.iter().map(objection_json).collect();
        return output::json_line(
            &json!({"until": until, "records": total, "owed": owed, "agents": report.agents, "objections": objections}),
        );
    }
    output::line(format!("\nafter record {until} of {total}"))?;
    let mut standing = output::table(["AGENT", "ROOM", "MATTER", "STATE", "N", "DETAIL"]);
    let wanted = report.agents.iter().filter(|agent| args.agent.as_deref().is_none_or(|wanted| wanted == agent.agent));
    for agent in wanted.take(AGENTS_MAX) {
        let rooms = agent.standings.iter().filter(|standing| args.room.as_deref().is_none_or(|room| room == standing.room));
        // Of all agents only what something is known about; of one agent everything.
        let rooms = rooms.filter(|standing| args.agent.is_some() || !UNKNOWN.contains(&standing.state.as_str()));
        for one in rooms {
            let n = one.n.map_or_else(String::new, |n| n.to_string());
            let detail = one.detail.clone().unwrap_or_default();
            standing.add_row([agent.agent.clone(), one.room.clone(), one.matter.clone(), one.state.clone(), n, detail]);
        }
    }
    output::line(standing.trim_fmt())?;
    match owed.len() {
        0 => output::line("\nnothing is owed there")?,
        _ => output::line("\nowed there")?,
    }
    for debt in owed {
        output::line(format!("{INDENT}{:<10} {} {} about {}", debt.room, debt.kind, debt.id, debt.about))?;
    }
    let lost = judgement.objections.iter().filter(|objection| matches!(objection.breach, Breach::StillOwed { .. }));
    lost.clone().try_for_each(objection)?;
    output::line(match judgement.objections.len() {
        0 => format!("\nthe oracle objects to none of {}", output::counted(judgement.decisions as u64, "decision")),
        several => {
            format!("\nthe oracle objects {}: see OBJECTION", if several == 1 { "once".to_owned() } else { format!("{several} times") })
        }
    })
}

/// What somebody who was woken wants to know: which record, which room, what was owed, what stands there instead.
fn objection(objection: &Objection) -> Result<(), Failure> {
    let Objection { partition, offset, room, breach } = objection;
    output::line(format!("{INDENT}OBJECTION   {room} room, {} at {partition}/{offset}", breach.name()))?;
    let line = |name: &str, told: String| output::line(format!("{INDENT}  {name:<18}{told}"));
    match breach {
        Breach::Repeated { said, partition, offset } => line("stands already", format!("{said} at {partition}/{offset}")),
        Breach::NotOwed { said, at, owed } => {
            line("stands here", said.to_string())?;
            line("was asked", format!("as of offset {} at {}", at.asof, at.now))?;
            line("was owed there", listed(owed))
        }
        Breach::Different { at, owed, found } => {
            line("was asked", format!("as of offset {} at {}", at.asof, at.now))?;
            let fields = differing(&json!(owed.body), &json!(found.body));
            match fields.is_empty() {
                true => line("stands here", format!("{found:?}, but was owed {owed:?}")),
                false => table(["FIELD", "WAS OWED", "STANDS HERE"], &fields).lines().try_for_each(|row| line("", row.to_owned())),
            }
        }
        Breach::StillOwed { said, key } => line("is owed", format!("{said} about {key}, and stands nowhere")),
        other => {
            crate::terminal::broken(&other.to_string(), columns_of_tables(), "", "").lines().try_for_each(|row| line("", row.to_owned()))
        }
    }
}

fn listed(owed: &[Said]) -> String {
    if owed.is_empty() { "nothing".to_owned() } else { owed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
}

fn objection_json(objection: &Objection) -> Value {
    let Objection { partition, offset, room, breach } = objection;
    json!({"partition": partition, "offset": offset, "room": room, "breach": breach.name(), "reason": breach.to_string()})
}

fn is_told(moved: &Move, args: &Args) -> bool {
    args.tells(moved.kind) && args.room.as_deref().is_none_or(|room| room == moved.room)
}

// === impl How ===

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::FellDue => "fell due",
            Self::Owes => "owes",
            Self::Settled => "settled",
        }
    }
}
