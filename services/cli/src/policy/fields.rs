//! Policies and decisions field by field, and what differs between two of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::output;

/// Characters of a value in a table.
const VALUE_CHARS_MAX: usize = 60;

/// A field that two values do not have alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Differing {
    /// Its path, such as `objectives.tool` or `routes[0].due_s`.
    pub(crate) field: String,
    /// What the first has there; absent: nothing.
    pub(crate) left: Option<Value>,
    /// What the second has there; absent: nothing.
    pub(crate) right: Option<Value>,
}

/// Every field that differs, in order.
pub(crate) fn differing(left: &Value, right: &Value) -> Vec<Differing> {
    let (left, right) = (flat(left), flat(right));
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let differ = names.into_iter().filter(|name| left.get(*name) != right.get(*name));
    differ.map(|name| Differing { field: name.clone(), left: left.get(name).cloned(), right: right.get(name).cloned() }).collect()
}

/// A value's fields by their paths. Lists of plain values are one field.
pub(crate) fn flat(value: &Value) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    flatten("", value, &mut fields);
    fields
}

fn flatten(path: &str, value: &Value, fields: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() || path.is_empty() => {
            let dot = if path.is_empty() { "" } else { "." };
            members.iter().for_each(|(name, value)| flatten(&format!("{path}{dot}{name}"), value, fields));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&format!("{path}[{index}]"), item, fields));
        }
        _ => drop(fields.insert(path.to_owned(), value.clone())),
    }
}

/// What differs, a field a line.
pub(crate) fn table(columns: [&str; 3], differing: &[Differing]) -> String {
    let mut table = output::table(columns);
    for Differing { field, left, right } in differing {
        table.add_row([field.clone(), short(left.as_ref()), short(right.as_ref())]);
    }
    table.trim_fmt()
}

/// A value for people; `-` where there is none.
pub(crate) fn short(value: Option<&Value>) -> String {
    let told = match value {
        None | Some(Value::Null) => return "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => number.as_f64().map_or_else(String::new, real),
        Some(other) => other.to_string(),
    };
    crate::sentence::plain(&told, VALUE_CHARS_MAX)
}

/// The shortest text that is this number and no other: two that differ never read alike.
fn real(number: f64) -> String {
    number.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_compared_by_their_paths() {
        let left = json!({"a": 1, "b": {"c": 2, "d": [1, 2]}, "routes": [{"due_s": 60}, {"due_s": 90}]});
        let right = json!({"a": 1, "b": {"c": 3, "d": [1, 2], "e": true}, "routes": [{"due_s": 60}]});
        let differing = differing(&left, &right);
        let paths: Vec<_> = differing.iter().map(|differing| differing.field.as_str()).collect();
        assert_eq!(paths, ["b.c", "b.e", "routes[1].due_s"]);
        assert_eq!((&differing[0].left, &differing[0].right), (&Some(json!(2)), &Some(json!(3))));
        assert_eq!(differing[1].left, None);
    }

    #[test]
    fn numbers_are_told_without_digits_that_say_nothing() {
        let told = |value: Value| short(Some(&value));
        assert_eq!(
            (told(json!(50.0)), told(json!(0.95)), told(json!(3)), short(None)),
            ("50".into(), "0.95".into(), "3".into(), "-".into())
        );
    }
}
