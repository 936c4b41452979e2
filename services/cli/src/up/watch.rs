//! What a person at the terminal sees: a readable line for everything that matters, as it comes onto the log.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use runtime::Shutdown;
use runtime::config::LogFormat;
use runtime::log::{Log, LogError};
use serde_json::Value;
use wire::{Kind, Offset, Partition, cloudevents};

use crate::output::{self, text, time_of_day};
use crate::sentence::{kind_name, said};
use crate::terminal::{self, folded, me};

/// Records read at once.
const PAGE_RECORDS: usize = 256;
/// How long to wait for the log before the wish to stop is looked at.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Column in which the name of a kind begins, and how wide it may be.
const KIND_COLUMN: usize = 10;
const KIND_WIDTH: usize = 19;
/// Column in which what is said goes on.
const SAID_COLUMN: usize = KIND_COLUMN + KIND_WIDTH + 2;

/// Starts to tell what is appended from `next` on, by partition, until `end` is requested and everything is told.
///
/// `option` is how a command line names this Reeve.
pub(super) fn start(log: Arc<dyn Log>, next: Vec<Offset>, format: LogFormat, option: String, end: Shutdown) -> JoinHandle<()> {
    let mut watcher = Watcher { log, format, next, option, colour: terminal::wants_colour() };
    std::thread::spawn(move || watcher.run(&end))
}

struct Watcher {
    log: Arc<dyn Log>,
    format: LogFormat,
    next: Vec<Offset>,
    option: String,
    colour: bool,
}

// === impl Watcher ===

impl Watcher {
    fn run(&mut self, end: &Shutdown) {
        let mut seen = 0;
        loop {
            let over = end.requested();
            match self.tell_new() {
                Ok(true) => continue,
                Ok(false) if over => return,
                Ok(false) => seen = self.log.wait(seen, WAIT_MAX),
                // The rooms say so, and wait as well.
                Err(LogError::RegistrySilent { .. }) if !over => seen = self.log.wait(seen, WAIT_MAX),
                Err(error) => {
                    tracing::warn!("the terminal falls silent, the log cannot be read: {error}");
                    return;
                }
            }
        }
    }

    /// Tells what is new on every partition; whether there was anything.
    fn tell_new(&mut self) -> Result<bool, LogError> {
        let mut any = false;
        for (partition, next) in self.next.iter_mut().enumerate() {
            let page = self.log.read(Partition(partition as u32), *next, PAGE_RECORDS)?;
            for stored in &page {
                any = true;
                *next = stored.offset.next();
                // A broadcast stands on every partition, and is told once.
                let is_copy = partition > 0 && stored.raw.kind().is_some_and(Kind::is_broadcast);
                if let Some((kind, words)) = stored.raw.kind().filter(|_| !is_copy).and_then(|kind| Some((kind, words(kind)?))) {
                    let event = cloudevents::to_structured(stored, self.log.topic(), None);
                    match self.format {
                        LogFormat::Human => tell(words, &event, &self.option, self.colour),
                        // The room that decided has written its line already.
                        LogFormat::Json if kind.is_decision() => {}
                        LogFormat::Json => log_line(words.0, &event),
                    }
                }
            }
        }
        Ok(any)
    }
}

/// How a kind is called at the terminal and in which colour; `None`: it is not told.
fn words(kind: Kind) -> Option<(&'static str, Colour)> {
    Some(match kind {
        Kind::VersionDeployed => ("version deployed", Colour::Plain),
        Kind::HarmReported => ("harm reported", Colour::Red),
        Kind::CommandAcknowledged => ("order acknowledged", Colour::Plain),
        Kind::BaselineDeclared => ("baseline declared", Colour::Plain),
        Kind::ModeSet => ("mode set", Colour::Plain),
        Kind::AutomationSet => ("automation set", Colour::Plain),
        Kind::QuarantineLifted => ("quarantine lifted", Colour::Plain),
        Kind::RollbackAccepted => ("proposal accepted", Colour::Plain),
        Kind::IncidentNoted => ("incident noted", Colour::Plain),
        Kind::PolicyAdopted => ("policy adopted", Colour::Plain),
        Kind::IncidentOpened => ("incident opened", Colour::Red),
        Kind::IncidentAggravated => ("incident aggravated", Colour::Red),
        Kind::IncidentEased => ("incident eased", Colour::Green),
        Kind::IncidentResolved => ("incident resolved", Colour::Green),
        Kind::ModeOrdered => ("mode ordered", Colour::Yellow),
        Kind::RollbackProposed => ("rollback proposed", Colour::Yellow),
        Kind::RollbackOrdered => ("rollback ordered", Colour::Yellow),
        Kind::RollbackVerified => ("rollback verified", Colour::Green),
        Kind::RollbackFailed => ("rollback failed", Colour::Red),
        Kind::VersionProven => ("version proven", Colour::Green),
        Kind::CapacityWarned => ("capacity warned", Colour::Yellow),
        Kind::RecordRefused => ("record refused", Colour::Yellow),
        Kind::EscalationRaised => ("human called", Colour::Yellow),
        Kind::EscalationOverdue => ("nobody came", Colour::Red),
        Kind::EscalationClosed => ("escalation closed", Colour::Green),
        Kind::EscalationClaimed => ("escalation claimed", Colour::Plain),
        Kind::EscalationReturned => ("escalation returned", Colour::Plain),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Colour {
    Plain,
    Red,
    Yellow,
    Green,
}

fn tell((words, colour): (&str, Colour), event: &Value, option: &str, coloured: bool) {
    let (at, agent) = (time_of_day(text(event, "/recordedtime")), text(event, "/partitionkey"));
    let mut line = folded(&format!("{at}  {words:<KIND_WIDTH$}  {agent:<9} {}", sentence(event)), SAID_COLUMN);
    if coloured && !colour.code().is_empty() {
        line.insert_str(KIND_COLUMN + words.len(), "\u{1b}[0m");
        line.insert_str(KIND_COLUMN, colour.code());
    }
    // A terminal that went away does not stop the rooms.
    let _ = output::line(line);
    if event.pointer("/data/basis").is_some() {
        let hint = format!("{} explain {}{option}", me(), text(event, "/id"));
        let fits = terminal::columns().is_none_or(|columns| SAID_COLUMN + hint.len() <= columns);
        let _ = output::line(format!("{:indent$}{hint}", "", indent = if fits { SAID_COLUMN } else { KIND_COLUMN }));
    }
}

fn log_line(words: &str, event: &Value) {
    let (agent, id) = (text(event, "/partitionkey"), text(event, "/id"));
    tracing::info!(agent, id, kind = kind_name(event), "{words}: {agent}: {}", said(event));
}

/// What the record says, with level, rule and numbers where it has them.
fn sentence(event: &Value) -> String {
    let level = event.pointer("/data/level").and_then(Value::as_str).map(|level| format!("{level} ")).unwrap_or_default();
    let rule = event.pointer("/data/basis/rule").and_then(Value::as_str).map(|rule| format!(" [{rule}]")).unwrap_or_default();
    let said = said(event);
    // The agent stands at the beginning of the line already.
    let said = said.strip_prefix(text(event, "/partitionkey")).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&said);
    format!("{level}{said}{rule}{}", numbers(event))
}

fn numbers(event: &Value) -> String {
    let told = crate::explain::numbers(event);
    if told.is_empty() { told } else { format!(" ({told})") }
}

// === impl Colour ===

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Red => "\u{1b}[31m",
            Self::Yellow => "\u{1b}[33m",
            Self::Green => "\u{1b}[32m",
        }
    }
}
