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
fn plain(text: &str, chars_max: usize) -> String {
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
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(plain("äöüß", 2), "äö...");
        assert_eq!(plain("äö", 2), "äö");
    }
}
