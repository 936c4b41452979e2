//! What a trial found, for people.

use super::compare::{Difference, How};
use super::fields;
use super::trial::Report;
use crate::failure::Failure;
use crate::output::{self, moment};
use crate::sentence::plain;
use crate::terminal::{broken, columns_of_tables, me};

/// Characters of a sentence.
const SENTENCE_CHARS_MAX: usize = 400;
/// Fields of a changed decision that are told; `--json` has all.
const FIELDS_TOLD_MAX: usize = 6;

/// Tells the report, at most `rows` differences of it.
pub(super) fn tell(report: &Report, rows: usize) -> Result<(), Failure> {
    let Report { room, present, proposed, .. } = report;
    let (Some(from), Some(until)) = (report.from, report.until) else {
        return output::line("the log is empty: there is nothing to try a policy on");
    };
    output::line(format!("{room}: {present}, which is in force, against {proposed}"))?;
    output::line(format!(
        "{} to {}, {}\n",
        moment(&from.to_string()),
        moment(&until.to_string()),
        output::counted(report.records, "record")
    ))?;
    report.differences.iter().take(rows).try_for_each(|difference| tell_one(difference, report))?;
    if report.differences.len() > rows {
        output::line(format!("... and {} more; --rows N tells more, --json all", report.differences.len() - rows))?;
    }
    if !report.differences.is_empty() {
        output::line("")?;
    }
    tell_kinds(report)?;
    tell_faithful(report)?;
    if report.differences.is_empty() {
        return output::line(format!("\nno decision would differ under {proposed}"));
    }
    output::line(format!("\nto adopt it: {} policy adopt FILE --author WHO --reason WHY", me()))
}

fn tell_one(difference: &Difference, report: &Report) -> Result<(), Failure> {
    let about = &difference.about;
    let session = if about.session.is_empty() { String::new() } else { format!(", session {}", about.session) };
    let at = moment(&difference.at().to_string());
    let head = format!("{:<9}{at}  {}  {}{session}", difference.how.word(), about.agent, about.kind);
    output::line(broken(&plain(&head, SENTENCE_CHARS_MAX), columns_of_tables(), "", INDENT))?;
    let said = |sentence: &str| output::line(broken(&plain(sentence, SENTENCE_CHARS_MAX), columns_of_tables(), INDENT, INDENT));
    match (&difference.present, &difference.proposed) {
        (Some(_), Some(proposed)) => {
            said(proposed.summary())?;
            for field in difference.fields.iter().take(FIELDS_TOLD_MAX) {
                let (left, right) = (told(&field.field, field.left.as_ref()), told(&field.field, field.right.as_ref()));
                said(&format!("{}: {left} under {}, {right} under {}", field.field, report.present, report.proposed))?;
            }
            let more = difference.fields.len().saturating_sub(FIELDS_TOLD_MAX);
            if more > 0 { said(&format!("and {} more", output::counted(more as u64, "field"))) } else { Ok(()) }
        }
        (one, other) => one.iter().chain(other).try_for_each(|only| said(only.summary())),
    }
}

/// Column in which everything but the first line of a difference begins.
const INDENT: &str = "         ";

fn told(field: &str, value: Option<&serde_json::Value>) -> String {
    match value.and_then(serde_json::Value::as_str) {
        Some(time) if field == "at" => moment(time),
        _ => fields::short(value),
    }
}

fn tell_kinds(report: &Report) -> Result<(), Failure> {
    if report.kinds.is_empty() {
        return output::line("the room decides nothing in this span, under either policy");
    }
    let mut table = output::table(["DECISION", "SAME", "CHANGED", "FALLS AWAY", "NEW"]);
    for (kind, counts) in &report.kinds {
        let numbers = [counts.same, counts.changed, counts.only_present, counts.only_proposed].map(|count| count.to_string());
        table.add_row(std::iter::once((*kind).to_owned()).chain(numbers));
    }
    output::line(table.trim_fmt())
}

/// Whether the replay under the policy in force is what happened: it need not be, if that policy is young, if decisions
/// crossed facts on their way, or if an older version of the room decided.
fn tell_faithful(report: &Report) -> Result<(), Failure> {
    let replayed: usize = report.kinds.values().map(|counts| counts.same + counts.changed + counts.only_present).sum();
    let decisions = if report.recorded == 1 { "decision" } else { "decisions" };
    let (recorded, room, present) = (report.recorded, report.room, &report.present);
    output::line(format!("\nthe log holds {recorded} {decisions} of the {room} room here; replayed under {present} it makes {replayed}"))
}

// === impl How ===

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::OnlyPresent => "gone",
            Self::OnlyProposed => "new",
        }
    }
}
