//! A policy as people write it: a file that names its room and its version, and says what differs from the defaults.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use runtime::Code;
use serde_json::{Map, Value, json};
use wire::PolicyAdopted;
use wire::limits::DOCUMENT_BYTES_MAX;

use super::fields;
use crate::failure::{Exit, Failure};
use crate::rooms::{self, Mind};

/// Bytes of a file: as the log takes them, with room for comments and the other members.
const FILE_BYTES_MAX: u64 = 2 * DOCUMENT_BYTES_MAX as u64;

/// A policy that its room would take.
#[derive(Clone)]
pub(super) struct Proposed {
    /// The room that it is for.
    pub(super) room: &'static str,
    /// How that room thinks.
    pub(super) mind: Mind,
    /// Its version.
    pub(super) version: String,
    /// What it says, as `policy.adopted` carries it.
    pub(super) document: String,
    /// The policy that comes of it.
    pub(super) effective: Value,
    /// The policy where nothing is said.
    pub(super) standard: Value,
}

/// Reads a policy.
///
/// # Errors
/// When the file cannot be read, and with every fault of what it says, a line each.
pub(super) fn read(path: &Path) -> Result<Proposed, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(Exit::NoInput, format!("cannot read {}: {error}", path.display()));
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)).map_err(unreadable)?;
    understood(&text).map_err(|faults| {
        let count = if faults.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", faults.len()) };
        Failure::coded(Code::PolicyRefused, format!("{count} in {}", path.display())).with_lines(faults)
    })
}

fn understood(text: &[u8]) -> Result<Proposed, Vec<String>> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(vec![format!("the file has more than {FILE_BYTES_MAX} bytes")]);
    }
    let text = std::str::from_utf8(text).map_err(|error| vec![format!("the file is no UTF-8: {error}")])?;
    let mut members = members(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let room = room(members.remove("room"), &mut faults);
    let version = version(members.remove("version"), &mut faults);
    let policy = members.remove("policy");
    faults.extend(members.keys().map(|unknown| format!("{unknown}: there is no such member; a policy file has room, version and policy")));
    let document = match policy {
        Some(Value::Object(fields)) => Value::Object(fields).to_string(),
        Some(_) => refuse(&mut faults, "policy: it must be a table of fields"),
        None => refuse(&mut faults, "policy: it is missing; an empty one is the room's default"),
    };
    let checked = room.filter(|_| !document.is_empty()).map(|(_, mind)| (mind.check)(&document));
    match (room, checked) {
        (Some((room, mind)), Some(Ok(effective))) if faults.is_empty() => {
            let standard = (mind.check)("{}")?;
            let proposed = Proposed { room, mind, version, document, effective, standard };
            proposed.fits().map(|()| proposed)
        }
        (_, checked) => {
            faults.extend(checked.and_then(Result::err).into_iter().flatten().map(|fault| format!("policy: {fault}")));
            Err(faults)
        }
    }
}

/// The members of the file: JSON begins with a brace, as no TOML does.
fn members(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("the file is no JSON object: {error}"));
    }
    let table: toml::Table = text.parse().map_err(|error| format!("the file is no TOML: {error}"))?;
    table.into_iter().map(|(name, value)| Ok((name.clone(), as_json(&name, value)?))).collect()
}

fn as_json(place: &str, value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number).ok_or_else(|| format!("{place}: {number} is no number"))?.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => return Err(format!("{place}: {date} is a date; put it in quotes")),
        toml::Value::Array(items) => {
            let items = items.into_iter().enumerate().map(|(index, item)| as_json(&format!("{place}[{index}]"), item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => {
            let fields = table.into_iter().map(|(name, value)| Ok((name.clone(), as_json(&format!("{place}.{name}"), value)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
    })
}

fn room(told: Option<Value>, faults: &mut Vec<String>) -> Option<(&'static str, Mind)> {
    let known = rooms::ALL.iter().filter_map(|room| Some((room.name, room.mind?)));
    let names = rooms::names_with_policy().join(", ");
    match told {
        Some(Value::String(name)) => {
            let found = known.into_iter().find(|(room, _)| *room == name);
            if found.is_none() {
                faults.push(format!("room: {name:?} is no room with a policy; those are {names}"));
            }
            found
        }
        Some(other) => refuse(faults, &format!("room: {other} is no text")),
        None => refuse(faults, &format!("room: it is missing; rooms with a policy are {names}")),
    }
}

fn version(told: Option<Value>, faults: &mut Vec<String>) -> String {
    match told {
        Some(Value::String(version)) if !version.trim().is_empty() => version,
        Some(other) => refuse(faults, &format!("version: {other} is no text that names a version")),
        None => refuse(faults, "version: it is missing; any text that was never given to another policy of this room"),
    }
}

/// Notes a fault, so that the rest of the file is still looked at.
fn refuse<T: Default>(faults: &mut Vec<String>, fault: &str) -> T {
    faults.push(fault.to_owned());
    T::default()
}

// === impl Proposed ===

impl Proposed {
    /// The record that brings it into force.
    pub(super) fn adopted(&self, author: &str, reason: &str) -> PolicyAdopted {
        PolicyAdopted {
            room: self.room.to_owned(),
            version: self.version.clone(),
            document: self.document.clone(),
            author: author.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// What scripts are told of it.
    pub(super) fn told(&self) -> Value {
        let changed: Vec<_> = fields::differing(&self.standard, &self.effective)
            .into_iter()
            .map(|differing| json!({ "field": differing.field, "default": differing.left, "here": differing.right }))
            .collect();
        json!({ "sound": true, "room": self.room, "version": self.version, "policy": self.effective, "differs_from_default": changed })
    }

    /// The limits that every record keeps hold for it too.
    fn fits(&self) -> Result<(), Vec<String>> {
        let event = crate::fact::event("/people/-", self.room, self.adopted("-", "-"));
        let faults: Vec<String> = wire::limits::check(&event).iter().map(ToString::to_string).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        understood(text.as_bytes()).err().expect("it is faulty")
    }

    #[test]
    fn a_policy_in_toml_and_the_same_in_json_are_one() {
        let toml = understood(b"room = \"incident\"\nversion = \"7\"\n[policy]\nregression_e = 50\n").expect("sound");
        let json = understood(br#"{"room": "incident", "version": "7", "policy": {"regression_e": 50}}"#).expect("sound");
        assert_eq!(
            (toml.room, &toml.version, &toml.document, &toml.effective),
            (json.room, &json.version, &json.document, &json.effective)
        );
        assert_eq!(toml.effective["regression_e"], 50.0);
    }

    #[test]
    fn the_faults_of_the_file_and_of_its_policy_are_listed_together() {
        let faults = faults("room = \"incident\"\nvresion = \"7\"\n[policy]\nregression_e = \"high\"\nsustain_s = -1\n");
        for begin in ["version: it is missing", "vresion: there is no such member", "policy: regression_e", "policy: sustain_s"] {
            assert!(faults.iter().any(|fault| fault.starts_with(begin)), "`{begin}` is not in {faults:#?}");
        }
        assert_eq!(faults.len(), 4, "{faults:#?}");
    }

    #[test]
    fn a_room_that_does_not_exist_is_told_with_those_that_do() {
        let faults = faults("room = \"kitchen\"\nversion = \"7\"\n[policy]\n");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("kitchen") && faults[0].contains("incident"), "{faults:?}");
    }

    #[test]
    fn a_date_without_quotes_and_what_is_neither_json_nor_toml_are_told() {
        assert!(faults("version = 2026-11-25\n")[0].contains("put it in quotes"));
        assert!(faults("{\"room\": ")[0].contains("no JSON object"));
        assert!(faults("room: incident")[0].contains("no TOML"));
        assert!(understood(&[0xff, 0xfe]).err().expect("no text")[0].contains("no UTF-8"));
    }

    #[test]
    fn a_document_that_no_record_could_carry_is_refused() {
        let long = format!("room = \"incident\"\nversion = \"{}\"\n[policy]\n", "v".repeat(300));
        assert!(faults(&long)[0].contains("version"), "{:?}", faults(&long));
        assert!(faults(&"#".repeat(600 << 10))[0].contains("bytes"));
    }
}
