//! The layers of a configuration: texts with their origin, before anybody asks what they mean.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::{Fault, Key};
use crate::failpoints;

/// Longest wrong name for which a right one is looked for.
const HINT_DISTANCE_MAX: usize = 3;
/// Variables that a cluster sets for every service by itself, such as `REEVE_GATEWAY_PORT_4780_TCP`.
const CLUSTER_SUFFIXES: &[&str] = &["_SERVICE_HOST", "_SERVICE_PORT", "_PORT", "_TCP", "_TCP_ADDR", "_TCP_PORT", "_TCP_PROTO"];

/// Where a value may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Nobody set it.
    Default,
    /// The TOML file.
    File,
    /// An environment variable.
    Variable,
    /// The command line.
    Flag,
}

/// Values by setting, the last layer's on top, and what was wrong with how they were given.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, Given>,
    faults: Vec<Fault>,
}

#[derive(Clone, Debug)]
struct Given {
    text: String,
    origin: String,
    layer: Layer,
}

// === impl Layers ===

impl Layers {
    /// Adds a TOML file.
    pub fn file(&mut self, path: &Path) {
        let origin = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.toml(&origin, &text),
            Err(error) => self.faults.push(Fault::File { origin, reason: format!("it cannot be read: {error}") }),
        }
    }

    /// Adds TOML text.
    pub fn toml(&mut self, origin: &str, text: &str) {
        match text.parse::<Table>() {
            Ok(table) => self.table(origin, "", &table),
            Err(error) => self.faults.push(Fault::File { origin: origin.to_owned(), reason: error.to_string().trim_end().to_owned() }),
        }
    }

    /// Adds environment variables: all that begin with `REEVE_`, but for `others`, which are read elsewhere.
    pub fn variables(&mut self, variables: impl IntoIterator<Item = (String, String)>, others: &[&str]) {
        for (name, text) in variables {
            let read_elsewhere = others.contains(&name.as_str()) || failpoints::variable() == Some(name.as_str());
            let ours = name.starts_with("REEVE_") && !read_elsewhere;
            let known = Key::ALL.iter().find(|key| key.variable() == name);
            match known {
                Some(key) => self.set(key, text, name, Layer::Variable),
                None if ours && !CLUSTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) => {
                    let hint = hint(&name, Key::ALL.iter().map(Key::variable));
                    self.faults.push(Fault::Unknown { origin: name.clone(), name, hint });
                }
                None => {}
            }
        }
    }

    /// Adds a flag of the setting `name`.
    pub fn flag(&mut self, name: &str, text: &str) {
        let flag = Key::named(name).map_or_else(|| name.to_owned(), Key::flag);
        self.flag_called(name, text, &flag);
    }

    /// Adds a flag of the setting `name` that a command line calls `flag`.
    pub fn flag_called(&mut self, name: &str, text: &str, flag: &str) {
        match Key::named(name) {
            Some(key) => self.set(key, text.to_owned(), format!("--{flag}"), Layer::Flag),
            None => self.faults.push(Fault::Unknown { origin: "flags".to_owned(), name: name.to_owned(), hint: String::new() }),
        }
    }

    /// The value of a setting and where it comes from.
    pub fn value<'a>(&'a self, key: &Key) -> (&'a str, &'a str) {
        let known = Key::named(key.name).map_or("", |key| key.default);
        self.values.get(key.name).map_or((known, "default"), |given| (&given.text, &given.origin))
    }

    /// The layer that a setting's value comes from.
    pub fn layer(&self, key: &Key) -> Layer {
        self.values.get(key.name).map_or(Layer::Default, |given| given.layer)
    }

    /// The effective configuration as TOML, with the origin of each value, secrets masked.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in Key::ALL {
            let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if of != section {
                text.push_str(&format!("{}[{of}]\n", if section.is_empty() { "" } else { "\n" }));
                section = of;
            }
            let (value, origin) = self.value(key);
            let value = shown(key, value);
            let number = value.parse::<u64>().is_ok();
            let value = if number { value.to_owned() } else { Value::from(value).to_string() };
            text.push_str(&format!("{name} = {value} # {origin}\n"));
        }
        text
    }

    /// What was wrong with how values were given.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn table(&mut self, origin: &str, prefix: &str, table: &Table) {
        for (name, value) in table {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match (Key::named(&name), value) {
                (Some(key), Value::String(text)) => self.set(key, text.clone(), origin.to_owned(), Layer::File),
                (Some(key), value) => self.set(key, value.to_string(), origin.to_owned(), Layer::File),
                (None, Value::Table(below)) if prefix.is_empty() => self.table(origin, &name, below),
                (None, _) => {
                    let hint = hint(&name, Key::ALL.iter().map(|key| key.name.to_owned()));
                    self.faults.push(Fault::Unknown { origin: origin.to_owned(), name, hint });
                }
            }
        }
    }

    fn set(&mut self, key: &Key, text: String, origin: String, layer: Layer) {
        let Some(key) = Key::named(key.name) else { return };
        let over = self.values.get(key.name).is_none_or(|given| given.layer as u8 <= layer as u8);
        if over {
            self.values.insert(key.name, Given { text, origin, layer });
        }
    }
}

/// A value as it may be shown.
pub(super) fn shown<'a>(key: &Key, text: &'a str) -> &'a str {
    if key.secret && !text.is_empty() { "********" } else { text }
}

fn hint(wrong: &str, known: impl Iterator<Item = String>) -> String {
    let near = known.map(|name| (distance(wrong, &name), name)).min();
    near.filter(|(distance, _)| *distance <= HINT_DISTANCE_MAX).map_or_else(String::new, |(_, name)| format!(", did you mean `{name}`?"))
}

/// Letters to insert, delete or change to make one name of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for column in 0..other.len() {
            let change = corner + usize::from(letter != other[column]);
            corner = row[column + 1];
            row[column + 1] = change.min(corner + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_a_file_that_says_the_same() {
        let mut layers = Layers::default();
        layers.flag("log.path", "/some \"where\"");
        layers.flag("log.partitions", "7");
        let shown = layers.show();
        assert!(shown.contains("partitions = 7 # --log-partitions\n"), "{shown}");
        let mut again = Layers::default();
        again.toml("shown", &shown);
        assert_eq!(again.faults(), []);
        for key in Key::ALL {
            assert_eq!(again.value(key).0, layers.value(key).0, "{}", key.name);
        }
    }

    #[test]
    fn a_secret_is_masked() {
        let secret = Key { secret: true, ..Key::ALL[0] };
        assert_eq!(shown(&secret, "hunter2"), "********");
        assert_eq!(shown(&secret, ""), "");
        assert_eq!(shown(&Key::ALL[0], "embedded"), "embedded");
    }

    #[test]
    fn variables_of_a_cluster_and_of_others_are_left_alone() {
        let mut layers = Layers::default();
        let of = |name: &str| (name.to_owned(), "1".to_owned());
        layers
            .variables([of("REEVE_GATEWAY_SERVICE_HOST"), of("REEVE_GATEWAY_PORT_4780_TCP"), of("REEVE_URL"), of("REEV")], &["REEVE_URL"]);
        assert_eq!(layers.faults(), []);
    }

    #[test]
    fn text_that_is_no_toml_is_told_with_its_line() {
        let mut layers = Layers::default();
        layers.toml("reeve.toml", "[log\npath = 1");
        assert!(matches!(layers.faults(), [Fault::File { origin, reason }] if origin == "reeve.toml" && reason.contains("line 1")));
    }
}
