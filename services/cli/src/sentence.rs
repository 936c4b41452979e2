//! What a record says, in one line for people. Texts of platforms are data: they are shortened, and never move the cursor.

use serde_json::Value;
use wire::Kind;

use crate::output::text;

/// Characters of one field of a fact.
const FIELD_CHARS_MAX: usize = 48;
/// Characters of a reason or a sentence.
const SENTENCE_CHARS_MAX: usize = 400;

/// The name of the event's kind; an unknown type stays as it is.
pub(crate) fn kind_name(event: &Value) -> &str {
    let ce_type = text(event, "/type");
    ce_type.strip_prefix("io.reeve.").and_then(|rest| rest.strip_suffix(".v1")).unwrap_or(ce_type)
}

/// What the event says: a decision has a sentence for people, some facts get one here, others tell their short fields.
pub(crate) fn said(event: &Value) -> String {
    let field = |name: &str| plain(text(event, &format!("/data/{name}")), FIELD_CHARS_MAX);
    let because = || format!(" by {}: {}", field("author"), plain(text(event, "/data/reason"), SENTENCE_CHARS_MAX));
    match Kind::from_name(kind_name(event)) {
        Some(Kind::CapacityMeasured) => measured(event),
        Some(Kind::RecordRefused) => refused(event),
        Some(kind) if kind.is_decision() => decided(event),
        Some(Kind::VersionDeployed) => match field("previous").as_str() {
            "" => field("version"),
            previous => format!("{}, after {previous}", field("version")),
        },
        Some(Kind::CommandAcknowledged) => acknowledged(event),
        Some(Kind::HarmReported) => harm(event),
        Some(Kind::BaselineDeclared | Kind::QuarantineLifted) => field("version") + &because(),
        Some(Kind::ModeSet) => field("mode") + &because(),
        Some(Kind::AutomationSet) => field("automation") + &because(),
        Some(Kind::RollbackAccepted) => field("proposal_id") + &because(),
        Some(Kind::EscalationClaimed) => by_whom(event, "note"),
        Some(Kind::EscalationReturned) => by_whom(event, "resolution"),
        Some(Kind::PolicyAdopted) => format!("{} goes by {}, adopted", field("room"), field("version")) + &because(),
        Some(Kind::IncidentNoted) => {
            let words = plain(text(event, "/data/text"), SENTENCE_CHARS_MAX);
            format!("{} by {}{}{words}", field("action"), field("author"), if words.is_empty() { "" } else { ": " })
        }
        _ => fields(event),
    }
}

fn decided(event: &Value) -> String {
    match text(event, "/data/summary") {
        "" => fields(event),
        summary => plain(summary, SENTENCE_CHARS_MAX),
    }
}

/// What an agent used in a window: what was not told is not shown.
fn measured(event: &Value) -> String {
    let number = |name: &str| event.pointer(&format!("/data/{name}")).and_then(Value::as_f64);
    let window = match plain(text(event, "/data/window"), FIELD_CHARS_MAX) {
        window if window.is_empty() => "minute".to_owned(),
        window => window,
    };
    let from = plain(text(event, "/data/from"), 16);
    let from = from.strip_suffix("...").unwrap_or(&from);
    let amount = |count: f64, one: &str, many: &str| format!("{count:.0} {}", if count == 1.0 { one } else { many });
    let counted = |name: &str, one: &str, many: &str| number(name).filter(|count| *count > 0.0).map(|count| amount(count, one, many));
    let said = [
        Some(format!("{window} from {from}Z")),
        counted("events", "event", "events"),
        counted("sessions_started", "session started", "sessions started"),
        counted("concurrent_max", "at once", "at once"),
        number("tokens_in").map(|tokens| amount(tokens, "token in", "tokens in")),
        number("tokens_out").map(|tokens| format!("{tokens:.0} out")),
        number("cost_usd").map(|cost| format!("{cost:.4} USD")),
        number("latency_p50_ms").zip(number("latency_p95_ms")).map(|(p50, p95)| format!("p50 {p50:.0} ms, p95 {p95:.0} ms")),
        counted("tool_errors", "tool error", "tool errors"),
        counted("model_errors", "model error", "model errors"),
        counted("escalations", "escalation", "escalations"),
        counted("late", "too late", "too late"),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Which records nobody can read, and why.
fn refused(event: &Value) -> String {
    let number = |name: &str| event.pointer(&format!("/data/{name}")).and_then(Value::as_i64).unwrap_or_default();
    let (partition, first) = (number("partition"), number("offset"));
    let place = match event.pointer("/data/last_offset").and_then(Value::as_i64) {
        Some(last) => format!("{} records of partition {partition} from offset {first} to {last}", number("records")),
        None => format!("the record of partition {partition} at offset {first}"),
    };
    format!("{place} cannot be read ({}): {}", text(event, "/data/code"), plain(text(event, "/data/reason"), SENTENCE_CHARS_MAX))
}

/// Which escalation, by whom, and what they had to say.
fn by_whom(event: &Value, words: &str) -> String {
    let (id, author) = (text(event, "/data/escalation_id"), text(event, "/data/author"));
    let words = plain(text(event, &format!("/data/{words}")), SENTENCE_CHARS_MAX);
    let colon = if words.is_empty() { "" } else { ": " };
    format!("{} by {}{colon}{words}", plain(id, FIELD_CHARS_MAX), plain(author, FIELD_CHARS_MAX))
}

fn acknowledged(event: &Value) -> String {
    let serves = match text(event, "/data/serving_version") {
        "" => String::new(),
        version => format!(", serves {}", plain(version, FIELD_CHARS_MAX)),
    };
    match event.pointer("/data/accepted").and_then(Value::as_bool) {
        Some(true) => format!("accepted{serves}"),
        _ => format!("refused: {}{serves}", plain(text(event, "/data/reason"), SENTENCE_CHARS_MAX)),
    }
}

fn harm(event: &Value) -> String {
    let confirmed = event.pointer("/data/confirmed").and_then(Value::as_bool) == Some(true);
    let category = plain(text(event, "/data/category"), FIELD_CHARS_MAX);
    let description = plain(text(event, "/data/description"), SENTENCE_CHARS_MAX);
    let confirmed = if confirmed { "confirmed" } else { "not confirmed yet" };
    if description.is_empty() { format!("{category}, {confirmed}") } else { format!("{category}, {confirmed}: {description}") }
}

fn fields(event: &Value) -> String {
    let Some(fields) = event.get("data").and_then(Value::as_object) else { return String::new() };
    let short = |value: &Value| match value {
        Value::String(text) => Some(plain(text, FIELD_CHARS_MAX)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let pairs: Vec<_> = fields.iter().filter_map(|(name, value)| Some(format!("{name}={}", short(value)?))).collect();
    pairs.join(" ")
}

/// At most so many characters, none of which controls a terminal.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let visible = |char: char| if char.is_control() { ' ' } else { char };
    let cut = text.char_indices().nth(chars_max).map(|(end, _)| end);
    let shown = text[..cut.unwrap_or(text.len())].chars().map(visible);
    shown.chain(cut.map_or("", |_| "...").chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_platform_wrote_never_moves_the_cursor() {
        let event = json!({"type": "io.reeve.message.posted.v1", "data": {"role": "user", "text": "\u{1b}[2Jgone\nnew line"}});
        assert_eq!(said(&event), "role=user text= [2Jgone new line");
    }

    #[test]
    fn a_measured_window_is_told_without_what_nobody_told() {
        let data = json!({"window": "hour", "from": "2026-01-01T10:00:00.000000Z", "events": 12, "sessions_started": 3, "concurrent_max": 2,
            "tokens_in": 900, "late": 1, "outcomes": 0});
        let event = json!({"type": "io.reeve.capacity.measured.v1", "data": data});
        assert_eq!(said(&event), "hour from 2026-01-01T10:00Z, 12 events, 3 sessions started, 2 at once, 900 tokens in, 1 too late");
    }

    #[test]
    fn a_policy_is_told_by_its_room_version_and_reason_and_not_by_its_document() {
        let data = json!({"room": "incident", "version": "7", "document": "{}", "author": "ines", "reason": "fewer pages"});
        let event = json!({"type": "io.reeve.policy.adopted.v1", "data": data});
        assert_eq!(said(&event), "incident goes by 7, adopted by ines: fewer pages");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(plain("äöüß", 2), "äö...");
        assert_eq!(plain("äö", 2), "äö");
    }
}
