//! The one table of limits. Whatever is checked at a door is checked against a number of this page.

mod walk;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::ids::{RecordId, SessionId, Timestamp};
use crate::kinds::{Body, Kind};
use crate::record::Event;
use crate::refusal::Refusal;

/// Bytes of a framed value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Decisions in a row before a record may not trigger another one.
pub const HOPS_MAX: u8 = 16;
/// Events of one batch.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// Values of one event in JSON, members and items of lists alike: many more than any kind has a place for.
pub const JSON_VALUES_MAX: usize = 4_096;
/// Bytes of an agent's name, and of every other record key.
pub const AGENT_BYTES_MAX: usize = 256;
/// Bytes of a session's id.
pub const SESSION_BYTES_MAX: usize = 256;
/// Bytes of any other id.
pub const ID_BYTES_MAX: usize = 256;
/// Bytes of a CloudEvents `source`: an agent's name of the longest kind still fits when it is percent-encoded.
pub const SOURCE_BYTES_MAX: usize = 1 << 10;
/// Bytes of a version's name.
pub const VERSION_BYTES_MAX: usize = 256;
/// Bytes of a segment's name: recordings name a segment by a whole sentence.
pub const SEGMENT_BYTES_MAX: usize = 1 << 10;
/// Bytes of what somebody said, of a tool's arguments and of what it gave back: 64 Ki characters of any script.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Bytes of a policy.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Bytes of a reason or a summary.
pub const SENTENCE_BYTES_MAX: usize = 16 << 10;
/// Bytes of one reference to something outside the log.
pub const REFERENCE_BYTES_MAX: usize = 4 << 10;
/// Items of a list.
pub const LIST_ITEMS_MAX: usize = 64;
/// Records that a decision names as its causes.
pub const CAUSES_MAX: usize = 20;
/// How far a publisher's clock may be ahead of the door's.
pub const FUTURE_SECONDS_MAX: i64 = 300;
/// Bytes of what a refusal quotes from the record or from a decoder.
pub const QUOTE_BYTES_MAX: usize = 256;

/// 1970-01-01T00:00:00Z: no time in a value is earlier.
pub const TIME_MIN: Timestamp = Timestamp(0);
/// 2000-01-01T00:00:00Z: no fact happened before. A clock that says otherwise was never set.
pub const FACT_TIME_MIN: Timestamp = Timestamp(946_684_800_000_000);
/// 2200-01-01T00:00:00Z: no time is later.
pub const TIME_MAX: Timestamp = Timestamp(7_258_118_400_000_000);

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Text that identifies or classifies: not empty, and free of control characters.
    Name {
        /// Most bytes.
        bytes_max: usize,
    },
    /// Text for people, or opaque text: whatever its platform wrote.
    Text {
        /// Most bytes.
        bytes_max: usize,
    },
    /// A whole number.
    Whole {
        /// The least that is taken.
        min: i64,
        /// The most that is taken.
        max: i64,
    },
    /// A real number. Infinities and NaN are outside every range.
    Real {
        /// The least that is taken.
        min: f64,
        /// The most that is taken.
        max: f64,
    },
    /// A time from [`TIME_MIN`] to [`TIME_MAX`].
    Time,
    /// A list.
    List {
        /// Most items.
        items_max: usize,
        /// What each item may hold.
        item: &'static Limit,
    },
}

const NAME: Limit = Limit::Name { bytes_max: 256 };
const LONG_NAME: Limit = Limit::Name { bytes_max: 1 << 10 };
const ID: Limit = Limit::Name { bytes_max: ID_BYTES_MAX };
const VERSION: Limit = Limit::Name { bytes_max: VERSION_BYTES_MAX };
const TEXT: Limit = Limit::Text { bytes_max: TEXT_BYTES_MAX };
const SENTENCE: Limit = Limit::Text { bytes_max: SENTENCE_BYTES_MAX };
const REFERENCE: Limit = Limit::Text { bytes_max: REFERENCE_BYTES_MAX };
/// The largest count whose neighbours a double still tells apart.
const COUNT: Limit = Limit::Whole { min: 0, max: 1 << 53 };
const FRACTION: Limit = Limit::Real { min: 0.0, max: 1.0 };
const NOT_NEGATIVE: Limit = Limit::Real { min: 0.0, max: f64::MAX };
const FINITE: Limit = Limit::Real { min: f64::MIN, max: f64::MAX };
const SECONDS_PER_YEAR: i64 = 366 * 86_400;
/// A deadline or the length of a window.
const SPAN_S: Limit = Limit::Whole { min: 0, max: 100 * SECONDS_PER_YEAR };
/// A time that was measured.
const MEASURED_S: Limit = Limit::Real { min: 0.0, max: (100 * SECONDS_PER_YEAR) as f64 };

/// What every field may hold, by its name in `schemas/`. Booleans and enums are bounded by their type and stand here
/// only where another kind has a text of the same name.
const FIELDS: &[(&[&str], Limit)] = &[
    (&["agent_id"], Limit::Name { bytes_max: AGENT_BYTES_MAX }),
    (&["session_id"], Limit::Name { bytes_max: SESSION_BYTES_MAX }),
    (&["incident_id", "order_id", "proposal_id", "escalation_id", "call_id"], ID),
    (&["version", "previous", "serving_version", "against", "from_version", "to_version", "policy"], VERSION),
    (&["prompt", "knowledge_base", "workflow", "integration", "model", "served_model"], VERSION),
    (&["segment"], Limit::Name { bytes_max: SEGMENT_BYTES_MAX }),
    (&["channel", "environment", "language", "tool", "category", "severity"], NAME),
    (&["author", "person", "reporter", "by"], NAME),
    (
        &["room", "rule", "trigger", "route", "measure", "state", "outcome", "failure", "code", "topic", "mode", "exhausted_at", "window"],
        NAME,
    ),
    (&["target_kind", "target"], NAME),
    (&["finish_reason", "error", "action", "accountable"], LONG_NAME),
    (&["text", "arguments", "result", "reasoning", "description"], TEXT),
    (&["reason", "note", "resolution", "summary"], SENTENCE),
    (&["document"], Limit::Text { bytes_max: DOCUMENT_BYTES_MAX }),
    (&["context_refs"], Limit::List { items_max: LIST_ITEMS_MAX, item: &REFERENCE }),
    (&["tools", "switched_off"], Limit::List { items_max: LIST_ITEMS_MAX, item: &LONG_NAME }),
    (&["causes"], Limit::List { items_max: CAUSES_MAX, item: &ID }),
    (&["turn"], Limit::Whole { min: 0, max: 1_000_000 }),
    (&["tokens_in", "tokens_out"], Limit::Whole { min: 0, max: 1_000_000_000 }),
    (&["cost_usd"], Limit::Real { min: 0.0, max: 1e6 }),
    (&["latency_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms"], Limit::Real { min: 0.0, max: 7.0 * 86_400_000.0 }),
    (&["interval_s"], Limit::Whole { min: 1, max: 7 * 86_400 }),
    (&["handling_s"], Limit::Real { min: 0.0, max: SECONDS_PER_YEAR as f64 }),
    (&["waited_s", "lasted_s", "effect_s"], MEASURED_S),
    (&["window_s", "silent_s", "served_s", "ack_timeout_s", "verify_timeout_s", "horizon_s"], SPAN_S),
    (&["sla_s"], SPAN_S),
    (&["sentiment"], Limit::Real { min: -1.0, max: 1.0 }),
    (&["confidence", "ratio", "objective"], FRACTION),
    (&["csat"], Limit::Real { min: 1.0, max: 5.0 }),
    (&["harms", "n", "bad", "n_short", "bad_short", "won", "lost", "pairs", "sightings", "outcomes"], COUNT),
    (&["baseline_n", "repeats"], COUNT),
    (&["sessions_started", "sessions_ended", "concurrent_max", "events", "late"], COUNT),
    (&["tool_errors", "model_errors", "escalations", "records"], COUNT),
    (&["latency_n", "tokens_n", "cost_n", "tool_n", "model_n", "ahead", "late_tokens"], COUNT),
    (&["burn", "e", "budget", "late_cost_usd"], NOT_NEGATIVE),
    (&["threshold", "value", "low", "high", "expected"], FINITE),
    (&["steps", "systems", "retries", "failures"], COUNT),
    (&["priority", "from_priority"], Limit::Whole { min: 1, max: 1_000 }),
    (&["statistic", "mean", "baseline_mean"], NOT_NEGATIVE),
    (&["partition"], Limit::Whole { min: 0, max: u32::MAX as i64 }),
    (&["offset", "last_offset"], Limit::Whole { min: 0, max: i64::MAX }),
    (&["asof"], Limit::Whole { min: -1, max: i64::MAX }),
    (&["now", "due_at", "from", "until", "at", "shut_since"], Limit::Time),
];

/// Where one kind sums up what the facts of others tell one by one.
const SUMS: &[(Kind, &str, Limit)] = &[
    (Kind::CapacityMeasured, "tokens_in", COUNT),
    (Kind::CapacityMeasured, "tokens_out", COUNT),
    (Kind::CapacityMeasured, "cost_usd", NOT_NEGATIVE),
];

/// Bytes of each text attribute of the envelope.
const ATTRIBUTES: &[(&str, usize)] = &[
    ("partitionkey", AGENT_BYTES_MAX),
    ("source", SOURCE_BYTES_MAX),
    ("id", ID_BYTES_MAX),
    ("subject", SESSION_BYTES_MAX),
    ("causationid", ID_BYTES_MAX),
    ("tenant", ID_BYTES_MAX),
    ("traceparent", ID_BYTES_MAX),
];

/// What happens inside a session, and therefore names it.
const SESSION_BOUND: &[Kind] = &[
    Kind::SessionStarted,
    Kind::MessagePosted,
    Kind::ModelCalled,
    Kind::ToolCalled,
    Kind::ToolReturned,
    Kind::DecisionMade,
    Kind::OutcomeReported,
    Kind::SessionEnded,
];

/// The limit of a field of a kind, by the name it has in `schemas/`.
pub fn of(kind: Kind, field: &str) -> Option<&'static Limit> {
    static BY_NAME: LazyLock<BTreeMap<&str, &Limit>> =
        LazyLock::new(|| FIELDS.iter().flat_map(|(names, limit)| names.iter().map(move |name| (*name, limit))).collect());
    let sum = SUMS.iter().find(|(of, name, _)| *of == kind && *name == field).map(|(_, _, limit)| limit);
    sum.or_else(|| BY_NAME.get(field).copied())
}

/// Everything that is wrong with an event, field by field. Allocates nothing for an event that is well.
pub fn check(event: &Event) -> Vec<Refusal> {
    let mut faults = Vec::new();
    check_envelope(event, &mut faults);
    check_body(&event.body, &mut faults);
    faults
}

/// Refuses an event that says it happened more than [`FUTURE_SECONDS_MAX`] after `now`, by the clock of the door.
///
/// Apart from [`check`], for what lies on the log is read the same in every year.
///
/// # Errors
/// [`Refusal::OutOfRange`].
pub fn check_time(event: &Event, now: Timestamp) -> Result<(), Refusal> {
    let latest = now.plus_s(FUTURE_SECONDS_MAX);
    match event.time {
        Some(time) if time > latest => Err(out_of_range("time", format!("{latest} at the latest"), time)),
        _ => Ok(()),
    }
}

/// Refuses more than `limit` bytes of `field`.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn check_size(field: &str, limit: usize, found: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    Err(Refusal::TooLarge { field: field.to_owned(), limit: limit as u64, found: found as u64 })
}

/// Refuses a text that can name nothing: an empty one, one of more than `bytes_max` bytes, or with control characters.
///
/// # Errors
/// [`Refusal::TooLarge`] or [`Refusal::Malformed`].
pub fn check_name(field: &str, bytes_max: usize, text: &str) -> Result<(), Refusal> {
    Limit::Name { bytes_max }.refuse_text(text, || field.to_owned()).map_or(Ok(()), Err)
}

/// At most [`QUOTE_BYTES_MAX`] bytes of a text that a refusal quotes, cut between characters.
pub fn quote(text: &str) -> String {
    let end = text.floor_char_boundary(QUOTE_BYTES_MAX);
    if end == text.len() { text.to_owned() } else { format!("{}...", &text[..text.floor_char_boundary(QUOTE_BYTES_MAX - 3)]) }
}

fn check_envelope(event: &Event, faults: &mut Vec<Refusal>) {
    let kind = event.body.kind();
    let mut name = |attribute: &str, bytes_max: usize, text: Option<&str>| {
        faults.extend(text.and_then(|text| Limit::Name { bytes_max }.refuse_text(text, || attribute.to_owned())));
    };
    name("partitionkey", AGENT_BYTES_MAX, Some(event.key.as_str()));
    name("source", SOURCE_BYTES_MAX, Some(event.source.as_str()));
    name("id", ID_BYTES_MAX, Some(event.id.as_str()));
    name("subject", SESSION_BYTES_MAX, event.subject.as_ref().map(SessionId::as_str));
    name("causationid", ID_BYTES_MAX, event.causation.as_ref().map(RecordId::as_str));
    name("tenant", ID_BYTES_MAX, event.tenant.as_deref());
    name("traceparent", ID_BYTES_MAX, event.traceparent.as_deref());
    faults.extend(subject_missing(kind, event.subject.is_some()));
    faults.extend(event.time.and_then(|time| time_attribute(kind, time)));
}

/// What is wrong with a text attribute of the envelope.
pub(crate) fn attribute(name: &str, text: &str) -> Option<Refusal> {
    let (_, bytes_max) = ATTRIBUTES.iter().find(|(known, _)| *known == name)?;
    Limit::Name { bytes_max: *bytes_max }.refuse_text(text, || name.to_owned())
}

/// What is wrong with the time of a kind.
pub(crate) fn time_attribute(kind: Kind, time: Timestamp) -> Option<Refusal> {
    // A decision is dated by the log's clock, which an importer or a simulation may own.
    let earliest = if kind.is_decision() { TIME_MIN } else { FACT_TIME_MIN };
    refuse_time(time, earliest, || "time".to_owned())
}

/// Whether a kind happens inside a session, and therefore names it as its `subject`.
pub fn needs_subject(kind: Kind) -> bool {
    SESSION_BOUND.contains(&kind)
}

/// Whether a kind that happens inside a session names none.
pub(crate) fn subject_missing(kind: Kind, has_subject: bool) -> Option<Refusal> {
    (!has_subject && needs_subject(kind)).then(|| Refusal::Missing { field: "subject".to_owned() })
}

/// What is wrong with the fields of a value.
pub(crate) fn check_body(body: &Body, faults: &mut Vec<Refusal>) {
    walk::body(body, faults);
}

// === impl Limit ===

impl Limit {
    pub(crate) fn refuse_text(&self, found: &str, field: impl Fn() -> String) -> Option<Refusal> {
        let bytes_max = match self {
            Self::Name { bytes_max } | Self::Text { bytes_max } => *bytes_max,
            _ => return None,
        };
        if found.len() > bytes_max {
            return Some(Refusal::TooLarge { field: field(), limit: bytes_max as u64, found: found.len() as u64 });
        }
        let reason = match self {
            Self::Name { .. } if found.is_empty() => "it is empty; what is not known is left out",
            Self::Name { .. } if holds_control(found) => "it holds control characters",
            _ => return None,
        };
        Some(Refusal::Malformed { field: field(), reason: reason.to_owned() })
    }

    pub(crate) fn refuse_whole(&self, found: i64, field: impl Fn() -> String) -> Option<Refusal> {
        match self {
            Self::Whole { min, max } if !(*min..=*max).contains(&found) => Some(out_of_range(&field(), format!("{min} to {max}"), found)),
            Self::Time => refuse_time(Timestamp(found), TIME_MIN, field),
            _ => None,
        }
    }

    pub(crate) fn refuse_real(&self, found: f64, field: impl Fn() -> String) -> Option<Refusal> {
        let Self::Real { min, max } = self else { return None };
        if (*min..=*max).contains(&found) {
            return None;
        }
        let range = match (*min, *max) {
            (f64::MIN, f64::MAX) => "a finite number".to_owned(),
            (_, f64::MAX) => format!("a finite number from {min}"),
            _ => format!("{min} to {max}"),
        };
        Some(out_of_range(&field(), range, found))
    }

    pub(crate) fn refuse_items(&self, found: usize, field: impl Fn() -> String) -> Option<Refusal> {
        match self {
            Self::List { items_max, .. } if found > *items_max => {
                Some(out_of_range(&field(), format!("at most {items_max} items"), format!("{found} items")))
            }
            _ => None,
        }
    }

    /// The limit of each item of a list.
    pub(crate) fn item(&self) -> Option<&'static Self> {
        match self {
            Self::List { item, .. } => Some(item),
            _ => None,
        }
    }
}

/// Most names are plain ASCII, which a glance at their bytes tells: at all of them, for several at once are quicker than to
/// stop at the first that is not.
fn holds_control(text: &str) -> bool {
    let is_plain = text.bytes().fold(true, |is_plain, byte| is_plain & (0x20..0x7f).contains(&byte));
    !is_plain && text.chars().any(char::is_control)
}

fn refuse_time(time: Timestamp, earliest: Timestamp, field: impl Fn() -> String) -> Option<Refusal> {
    let inside = (earliest..=TIME_MAX).contains(&time);
    (!inside).then(|| out_of_range(&field(), format!("{earliest} to {TIME_MAX}"), time))
}

pub(crate) fn out_of_range(field: &str, limit: String, found: impl ToString) -> Refusal {
    Refusal::OutOfRange { field: field.to_owned(), limit, found: found.to_string() }
}

#[cfg(test)]
mod tests;
