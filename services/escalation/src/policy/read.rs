//! Reading a policy document, field by field: what is wrong with one field keeps no other from being looked at.

use serde_json::{Map, Value};

use super::{Complexity, Mood, Policy, Route, Target, Topic};

/// Topics of a policy.
const TOPICS_MAX: usize = 16;
/// Phrases of a list.
const PHRASES_MAX: usize = 128;
/// Bytes of a phrase.
const PHRASE_BYTES_MAX: usize = 128;
/// Routes of a policy.
const ROUTES_MAX: usize = 32;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;
/// The shortest deadline is a transaction's longest life: a call must be able to come home before it is overdue.
const SLA_S_MIN: i64 = 5;
const DAY_S: i64 = 86_400;
const COUNT_MAX: i64 = 1_000_000;

/// The policy of a document, with defaults where something is wrong, and everything that is wrong.
pub(super) fn policy(object: Map<String, Value>) -> (Policy, Vec<String>) {
    let standard = Policy::default();
    let mut reader = Reader::new("", object);
    let policy = Policy {
        version: standard.version,
        language: reader.optional("language", standard.language, |reader, field, value| reader.name(field, value)),
        mood: reader.within("sentiment", standard.mood, mood),
        confidence_min: reader
            .optional("confidence_min", standard.confidence_min, |reader, field, value| reader.real(field, value, 0.0, 1.0)),
        complexity: reader.within("complexity", standard.complexity, complexity),
        failures_max: reader.count("failures_max", standard.failures_max),
        gives_up: reader.list("gives_up", PHRASES_MAX, standard.gives_up, |reader, field, value| reader.phrase(field, value)),
        topics: reader.list("topics", TOPICS_MAX, standard.topics, topic),
        routes: reader.list("routes", ROUTES_MAX, standard.routes, route),
        open_timeout_s: reader.seconds("open_timeout_s", 60, 30 * DAY_S, standard.open_timeout_s),
        idle_s: reader.seconds("idle_s", 60, 30 * DAY_S, standard.idle_s),
    };
    (policy, reader.finish())
}

fn mood(reader: &mut Reader, standard: Mood) -> Mood {
    let real = |reader: &mut Reader, field: &str, low: f64, high: f64, standard: f64| {
        reader.optional(field, Some(standard), |reader, field, value| reader.real(field, value, low, high)).unwrap_or(standard)
    };
    Mood {
        alpha: real(reader, "alpha", 0.01, 1.0, standard.alpha),
        enter: real(reader, "enter", -1.0, 1.0, standard.enter),
        leave: real(reader, "leave", -1.0, 1.0, standard.leave),
        turns_min: reader.count("turns_min", standard.turns_min),
        unknown_turns: reader
            .optional("unknown_turns", standard.unknown_turns.map(i64::from), |reader, field, value| {
                reader.whole(field, value, 1, COUNT_MAX)
            })
            .map(|turns| turns as u32),
    }
}

fn complexity(reader: &mut Reader, standard: Complexity) -> Complexity {
    Complexity {
        systems_max: reader
            .optional("systems_max", Some(i64::from(standard.systems_max)), systems)
            .map_or(standard.systems_max, |most| most as u32),
        steps_max: reader.count("steps_max", standard.steps_max),
        retries_max: reader.count("retries_max", standard.retries_max),
    }
}

/// No more than a session tells apart.
fn systems(reader: &mut Reader, field: &str, value: Value) -> Option<i64> {
    reader.whole(field, value, 1, crate::session::SYSTEMS_MAX as i64)
}

fn topic(reader: &mut Reader, field: &str, value: Value) -> Option<Topic> {
    reader.object(field, value, |reader| {
        let name = reader.required("name", |reader, field, value| reader.name(field, value));
        let phrases = reader.list("phrases", PHRASES_MAX, Vec::new(), |reader, field, value| reader.phrase(field, value));
        Some(Topic { name: name?, phrases })
    })
}

fn route(reader: &mut Reader, field: &str, value: Value) -> Option<Route> {
    reader.object(field, value, |reader| {
        let name = reader.required("name", |reader, field, value| reader.name(field, value));
        let when = reader.required("when", |reader, field, value| reader.text(field, value));
        let priority = reader.required("priority", |reader, field, value| reader.whole(field, value, 1, 1_000));
        let sla_s = reader.required("sla_s", |reader, field, value| reader.whole(field, value, SLA_S_MIN, 30 * DAY_S));
        let target = reader.required("target", target);
        Some(Route { name: name?, when: when?, priority: priority?, sla_s: sla_s?, target: target? })
    })
}

fn target(reader: &mut Reader, field: &str, value: Value) -> Option<Target> {
    match serde_json::from_value::<Target>(value.clone()) {
        Ok(target) if is_name(target.name()) => Some(target),
        _ => reader.fault(field, &format!("{value} is no target: {{\"team\": NAME}}, {{\"agent\": NAME}} or {{\"person\": NAME}}")),
    }
}

/// Takes known fields out of an object; what is left over at the end is unknown.
struct Reader {
    /// Where the object stands in the document, with a dot.
    path: String,
    object: Map<String, Value>,
    faults: Vec<String>,
}

// === impl Reader ===

impl Reader {
    fn new(path: &str, object: Map<String, Value>) -> Self {
        Self { path: path.to_owned(), object, faults: Vec::new() }
    }

    fn finish(mut self) -> Vec<String> {
        let unknown = self.object.keys().map(|unknown| format!("{}{unknown}: there is no such field", self.path));
        self.faults.extend(unknown);
        self.faults
    }

    fn fault<T>(&mut self, field: &str, reason: &str) -> Option<T> {
        self.faults.push(format!("{}{field}: {reason}", self.path));
        None
    }

    /// A field that may be left out, for its default, or be `null`, for nothing.
    fn optional<T>(&mut self, field: &str, standard: Option<T>, read: impl Fn(&mut Self, &str, Value) -> Option<T>) -> Option<T> {
        match self.object.remove(field) {
            None => standard,
            Some(Value::Null) => None,
            Some(value) => read(self, field, value),
        }
    }

    fn required<T>(&mut self, field: &str, read: impl Fn(&mut Self, &str, Value) -> Option<T>) -> Option<T> {
        match self.object.remove(field) {
            None => self.fault(field, "it is missing"),
            Some(value) => read(self, field, value),
        }
    }

    fn count(&mut self, field: &str, standard: u32) -> u32 {
        let standard = i64::from(standard);
        self.optional(field, Some(standard), |reader, field, value| reader.whole(field, value, 1, COUNT_MAX)).unwrap_or(standard) as u32
    }

    fn seconds(&mut self, field: &str, least: i64, most: i64, standard: i64) -> i64 {
        self.optional(field, Some(standard), |reader, field, value| reader.whole(field, value, least, most)).unwrap_or(standard)
    }

    fn within<T: Copy>(&mut self, field: &str, standard: T, read: impl Fn(&mut Self, T) -> T) -> T {
        match self.object.remove(field) {
            None => standard,
            Some(value) => self.object(field, value, |reader| Some(read(reader, standard))).unwrap_or(standard),
        }
    }

    fn object<T>(&mut self, field: &str, value: Value, read: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let Value::Object(object) = value else { return self.fault(field, &format!("{value} is no object")) };
        let mut inner = Self::new(&format!("{}{field}.", self.path), object);
        let found = read(&mut inner);
        self.faults.extend(inner.finish());
        found
    }

    fn list<T>(&mut self, field: &str, most: usize, standard: Vec<T>, read: impl Fn(&mut Self, &str, Value) -> Option<T>) -> Vec<T> {
        let items = match self.object.remove(field) {
            None => return standard,
            Some(Value::Array(items)) if items.len() <= most => items,
            Some(Value::Array(items)) => {
                self.fault::<()>(field, &format!("it has {} items, and may have {most}", items.len()));
                return standard;
            }
            Some(value) => {
                self.fault::<()>(field, &format!("{value} is no list"));
                return standard;
            }
        };
        items.into_iter().enumerate().filter_map(|(at, item)| read(self, &format!("{field}[{at}]"), item)).collect()
    }

    fn whole(&mut self, field: &str, value: Value, least: i64, most: i64) -> Option<i64> {
        match value.as_i64().filter(|found| (least..=most).contains(found)) {
            Some(found) => Some(found),
            None => self.fault(field, &format!("{value} is no whole number from {least} to {most}")),
        }
    }

    fn real(&mut self, field: &str, value: Value, low: f64, high: f64) -> Option<f64> {
        match value.as_f64().filter(|found| (low..=high).contains(found)) {
            Some(found) => Some(found),
            None => self.fault(field, &format!("{value} is no number from {low} to {high}")),
        }
    }

    fn text(&mut self, field: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            value => self.fault(field, &format!("{value} is no text")),
        }
    }

    fn name(&mut self, field: &str, value: Value) -> Option<String> {
        let name = self.text(field, value)?;
        if is_name(&name) {
            Some(name)
        } else {
            self.fault(field, &format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters"))
        }
    }

    fn phrase(&mut self, field: &str, value: Value) -> Option<String> {
        let phrase = self.text(field, value)?;
        if phrase.len() <= PHRASE_BYTES_MAX {
            Some(phrase)
        } else {
            self.fault(field, &format!("a phrase has at most {PHRASE_BYTES_MAX} bytes"))
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}
