//! JSON as a door reads it. Of a member that is given twice one reader takes the first and another the last (RFC 8259, 4),
//! so that a proxy and Reeve could see two events in one text: it is refused. And a text of a mebibyte may hold a million
//! values, which would take thirty times its own size in memory: reading ends where no event has that many.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::malformed;
use crate::limits::{self, JSON_VALUES_MAX};
use crate::refusal::Refusal;

/// Reads one event, or the value of one, that `field` holds.
///
/// # Errors
/// What is wrong with it: [`Refusal::Malformed`], or [`Refusal::OutOfRange`] where it holds too many values.
pub fn read(field: &str, json: &[u8]) -> Result<Value, Refusal> {
    let mut left = ValuesLeft::default();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Strict(&mut left).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| if left.are_used_up() { too_many(field) } else { malformed(field, &limits::quote(&error.to_string())) })
}

/// Says that an event holds too many values.
pub fn too_many(field: &str) -> Refusal {
    limits::out_of_range(field, format!("at most {JSON_VALUES_MAX} values"), "more")
}

/// How many values the event that is read may still have.
#[derive(Debug)]
pub struct ValuesLeft(usize);

/// Reads the JSON of one event, and no member twice.
#[derive(Debug)]
pub struct Strict<'a>(pub &'a mut ValuesLeft);

// === impl ValuesLeft ===

impl Default for ValuesLeft {
    fn default() -> Self {
        Self(JSON_VALUES_MAX)
    }
}

impl ValuesLeft {
    /// Whether there were more values than an event may have.
    pub fn are_used_up(&self) -> bool {
        self.0 == 0
    }

    fn take<E: Error>(&mut self) -> Result<(), E> {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 { Err(E::custom(format_args!("it holds more than {JSON_VALUES_MAX} values"))) } else { Ok(()) }
    }
}

// === impl Strict ===

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.take()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Strict(&mut *self.0))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("`{}` is given twice", limits::quote(&name))));
            }
            let value = object.next_value_seed(Strict(&mut *self.0))?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_once_is_read_as_it_stands() {
        let text = r#"{"a": [1, -2, 1.5, true, null, "x"], "b": {"a": {}}, "c": 18446744073709551615}"#;
        assert_eq!(read("body", text.as_bytes()), Ok(serde_json::from_str(text).expect("JSON")));
        assert_eq!(read("body", b" 7 "), Ok(json!(7)));
    }

    #[test]
    fn a_member_that_is_given_twice_is_refused_at_every_depth() {
        for text in [r#"{"id": "a", "id": "b"}"#, r#"{"id": "a", "\u0069d": "a"}"#, r#"{"data": [{"n": 1, "m": 2, "n": 1}]}"#] {
            let refusal = read("body", text.as_bytes()).expect_err(text);
            assert!(refusal.to_string().contains("is given twice"), "{refusal}");
        }
    }

    #[test]
    fn reading_ends_where_no_event_has_so_many_values() {
        let list = |items: usize| format!("[{}1]", "1,".repeat(items - 1));
        assert!(read("body", list(JSON_VALUES_MAX - 2).as_bytes()).is_ok());
        assert_eq!(read("body", list(JSON_VALUES_MAX).as_bytes()), Err(too_many("body")));
        // What is no JSON is told as that, however long it is.
        assert!(matches!(read("body", b"[1,"), Err(Refusal::Malformed { .. })));
    }
}
