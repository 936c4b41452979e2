//! Traces of arrivals: a model call a line, told by when it arrived and how many tokens it took, and nothing else.
//!
//! A row is a session of its own: it began, a model was called, it ended. Nobody told when the answer was there, so the
//! end carries no time of its own, and no row has a duration, an outcome or a cost.
//!
//! Rows repeat. The id of a row is derived from what it tells and from how many rows like it stand before it in its
//! file: the same file again adds nothing, and one that grew adds its new rows only. Options are no part of an id, so
//! that the same row under another `--epoch` is a contradiction and not a second row.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::limits::{self, Limit};
use wire::{Kind, Role, Timestamp};

use super::facts::{Fact, Naming, Step, Teller, Telling, derived};
use super::format::Format;
use super::lines::{Fault, Fields, Line, Place};
use super::time::Zone;

/// Microseconds of a millisecond.
const MILLISECOND_US: i64 = 1_000;

/// How the rows of a trace tell their time.
#[derive(Clone, Debug)]
pub(super) enum Calendar {
    /// `ts` is a date with a time, read in this zone where it has no offset.
    Dated(Zone),
    /// `ts_ms` is milliseconds after this moment.
    Since(Timestamp),
}

/// The reader of a trace.
pub(super) struct Arrivals {
    calendar: Calendar,
    agent: String,
    version: Option<String>,
    file: File,
    unread: BTreeMap<String, usize>,
}

/// What a file told so far.
#[derive(Default)]
struct File {
    /// The last row, and when it arrived.
    last: Option<(usize, Timestamp)>,
    /// How many rows tell the same.
    alike: BTreeMap<Row, u64>,
}

/// What a row tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// When it arrived, as it says it.
    said: String,
    tokens_in: i64,
    tokens_out: i64,
}

// === impl Arrivals ===

impl Arrivals {
    /// Reads rows whose times `calendar` explains, as calls of the agent that `naming` names.
    pub(super) fn new(calendar: Calendar, agent: String, naming: &Naming) -> Self {
        Self { calendar, agent, version: naming.version.clone(), file: File::default(), unread: BTreeMap::new() }
    }

    /// Another file begins.
    pub(super) fn begin(&mut self) {
        self.file = File::default();
    }

    /// The facts of a row.
    ///
    /// # Errors
    /// When it tells no call, an absurd one, or one that arrived before the row above it.
    pub(super) fn row(&mut self, line: &Line) -> Result<Vec<Fact>, Fault> {
        let object = line.object()?;
        let fields = Fields { place: line.place.clone(), fields: &object };
        let (said, at) = self.calendar.read(&fields)?;
        let row = Row { said, tokens_in: tokens(&fields, "tokens_in")?, tokens_out: tokens(&fields, "tokens_out")? };
        if let Some((above, _)) = self.file.last.filter(|(_, last)| at < *last) {
            return Err(fields.fault(
                self.calendar.field(),
                format!("it is earlier than that of line {above}; the rows of a trace are in the order of their arrival"),
            ));
        }
        let before = self.file.alike.get(&row).copied().unwrap_or_default();
        let facts = self.facts(&line.place, &row, before, at)?;

        self.file.last = Some((line.place.line, at));
        self.file.alike.insert(row, before + 1);
        let read = [self.calendar.field(), "tokens_in", "tokens_out"];
        for field in object.keys().filter(|field| !read.contains(&field.as_str())) {
            *self.unread.entry(field.clone()).or_default() += 1;
        }
        Ok(facts)
    }

    /// Fields that rows had and nobody read, and in how many rows.
    pub(super) fn unread(&self) -> &BTreeMap<String, usize> {
        &self.unread
    }

    /// A row as a session; `before` rows like it stand above it.
    fn facts(&self, place: &Place, row: &Row, before: u64, at: Timestamp) -> Result<Vec<Fact>, Fault> {
        let source = self.calendar.format().to_string();
        let session = derived(&json!([source, row.said, row.tokens_in, row.tokens_out, before]));
        let teller = Teller::new(Some(&source), &session, &self.agent);
        let tell = |step, kind: Kind, at, told: Value| {
            teller.tell(place.clone(), Telling { name: json!([source, session, kind.name()]), step, kind, at, told })
        };
        let spent = json!({ "by": Role::Agent, "tokens_in": row.tokens_in, "tokens_out": row.tokens_out });
        let ended = tell(Step::Ended, Kind::SessionEnded, None, json!({}))?;
        Ok(vec![
            tell(Step::Started, Kind::SessionStarted, Some(at), json!({ "version": self.version }))?,
            tell(Step::Turn(0, 0), Kind::ModelCalled, Some(at), spent)?,
            Fact { at: Some(at), quiet: self.version.is_none(), ..ended },
        ])
    }
}

// === impl Calendar ===

impl Calendar {
    /// The field that tells the time.
    fn field(&self) -> &'static str {
        match self {
            Self::Dated(_) => "ts",
            Self::Since(_) => "ts_ms",
        }
    }

    fn format(&self) -> Format {
        match self {
            Self::Dated(_) => Format::AzureLlm,
            Self::Since(_) => Format::Mooncake,
        }
    }

    /// What a row says of its time, and the time.
    fn read(&self, fields: &Fields<'_>) -> Result<(String, Timestamp), Fault> {
        let field = self.field();
        let fault = |reason: String| fields.fault(field, reason);
        let missing = || fault("it is missing".to_owned());
        match self {
            Self::Dated(zone) => {
                let said = fields.name(field)?.ok_or_else(missing)?;
                let at = Zone::read(Some(zone), &said).map_err(fault)?;
                Ok((said, at))
            }
            Self::Since(epoch) => {
                let said = fields.whole(field)?.ok_or_else(missing)?;
                if said < 0 {
                    return Err(fault(format!("it is {said}; 0 at the least, for nothing arrives before the trace begins")));
                }
                let at = said.checked_mul(MILLISECOND_US).and_then(|us| epoch.0.checked_add(us)).map(Timestamp);
                let at = at.filter(|at| *at <= limits::TIME_MAX);
                let at = at.ok_or_else(|| fault(format!("{said} milliseconds after {epoch} are later than {}", limits::TIME_MAX)))?;
                Ok((said.to_string(), at))
            }
        }
    }
}

// === helpers ===

/// A count of tokens within what every model call may tell.
fn tokens(fields: &Fields<'_>, field: &str) -> Result<i64, Fault> {
    let count = fields.whole(field)?.ok_or_else(|| fields.fault(field, "it is missing"))?;
    match limits::of(Kind::ModelCalled, field) {
        Some(Limit::Whole { min, max }) if !(*min..=*max).contains(&count) => {
            Err(fields.fault(field, format!("it is {count}; {min} to {max} are taken")))
        }
        _ => Ok(count),
    }
}

#[cfg(test)]
mod tests;
