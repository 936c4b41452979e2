//! What two logs that were told the same facts must agree in, however long anything took on the way: what was decided, which
//! episode each decision belongs to, and what the rooms hold in the end.
//!
//! What rightly differs, and is left out or made comparable:
//! - Times of the log and places on it, for each has its own clock, and decisions lie elsewhere among the facts. Times that the
//!   facts tell are older than the log, and stay.
//! - Of an agenda, the order of what falls due: two deadlines of one millisecond on Kafka are of two microseconds on the embedded
//!   log. What it is the order of stays.
//! - How use falls into minutes, and so hours and days: what the windows of each length say together is compared.
//! - How many watermarks there are: each room must have said in the end that it has folded every fact that it reads.
//! - The marks of a test, whose ids are new at every run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use machine::{Fold, Machine};
use serde_json::Value;
use wire::{AgentId, Body, Class, Kind, Offset, Partition, RecordId, Timestamp};

use crate::of_every_room;
use crate::program::MARKS;
use crate::proof::Read;
use crate::states::folded;

/// What came of a log.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// Every decision, whole, by its derived id: an episode's opening, course and end name one another by theirs.
    pub decided: BTreeMap<(Kind, RecordId), String>,
    /// What each room holds in the end, partition by partition.
    pub states: BTreeMap<(&'static str, Partition), String>,
    /// What each agent used, in windows of each length together.
    pub used: BTreeMap<(AgentId, String), BTreeMap<String, i64>>,
    /// Whether each room has said that it has folded every fact that it reads there.
    pub looked: BTreeMap<(&'static str, Partition), bool>,
}

/// Kinds of which a run has as many as its minutes ask for.
const BY_THE_MINUTE: [Kind; 2] = [Kind::CapacityMeasured, Kind::RoomWatermark];
/// After so long every window has closed, the longest of which is a day.
const EVERY_WINDOW_S: i64 = 3 * 24 * 3_600;
/// Figures of a window that no sum can be made of.
const NO_SUMS: [&str; 6] = ["from", "until", "concurrent_max", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms"];
/// Sums are made of billionths, so that they do not depend on their order.
const PARTS: f64 = 1e9;
/// How much is told of what differs.
const TOLD_CHARS: usize = 160;

// === impl Outcome ===

impl Outcome {
    /// What came of a log.
    pub fn of(log: &Read) -> Self {
        let log = without_marks(log);
        let begun = log.0.iter().flatten().map(|stored| stored.appended).min().unwrap_or(Timestamp::MAX);
        let is_compared = |kind: Kind| kind.is_decision() && !BY_THE_MINUTE.contains(&kind);
        let compared = log.records().filter(|record| is_compared(record.body.kind()));
        let decided = compared.map(|record| ((record.body.kind(), record.id.clone()), timeless(&record.event, begun)));
        let mut outcome = Self { decided: decided.collect(), used: used(&log), ..Self::default() };
        for partition in (0..log.0.len() as u32).map(Partition) {
            of_every_room!(note(&mut outcome, &log, partition, begun));
        }
        outcome
    }

    /// The first thing in which another outcome differs.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let decided = first_difference(&self.decided, &other.decided).map(|told| format!("decided: {told}"));
        let held = || first_difference(&self.states, &other.states).map(|told| format!("held in the end: {told}"));
        let used = || first_difference(&self.used, &other.used).map(|told| format!("used: {told}"));
        decided.or_else(held).or_else(used)
    }
}

/// What one room holds of a partition, and whether it has looked at all of it.
fn note<M: Machine>(outcome: &mut Outcome, log: &Read, partition: Partition, begun: Timestamp) {
    let here = || log.records().filter(|record| record.partition == partition);
    let is_read = |kind: Kind| kind.class() != Class::Decision && Fold::<M>::reads(kind);
    let last = here().filter(|record| is_read(record.body.kind())).map(|record| record.offset).max();
    let said = here().filter_map(|record| match &record.body {
        Body::RoomWatermark(said) if said.room == M::SERVICE => Some(said.basis.asof),
        _ => None,
    });
    if let Some(last) = last {
        outcome.looked.insert((M::SERVICE, partition), said.max().is_some_and(|asof| asof >= last));
    }
    // All that this one holds are windows, and sessions by their minute.
    if M::SERVICE != capacity::Capacity::SERVICE {
        let fold = folded::<M>(log, partition, Offset(i64::MAX));
        outcome.states.insert((M::SERVICE, partition), timeless(fold.machine(), begun));
    }
}

/// What was measured, and what would be if the log stood still until every window has closed.
fn used(log: &Read) -> BTreeMap<(AgentId, String), BTreeMap<String, i64>> {
    let mut used: BTreeMap<(AgentId, String), BTreeMap<String, i64>> = BTreeMap::new();
    let mut add = |body: &Body| {
        let Body::CapacityMeasured(measured) = body else { return };
        let length = measured.window.clone().unwrap_or_default();
        let sums = used.entry((measured.agent_id.clone(), length)).or_default();
        let told = serde_json::to_value(measured).expect("a decision is JSON");
        for (name, figure) in told.as_object().expect("an object").iter().filter(|(name, _)| !NO_SUMS.contains(&name.as_str())) {
            if let Value::Number(figure) = figure {
                *sums.entry(name.clone()).or_default() += (figure.as_f64().expect("a number") * PARTS).round() as i64;
            }
        }
    };
    log.records().for_each(|record| add(&record.body));
    let last = log.0.iter().flatten().map(|stored| stored.appended).max().unwrap_or(Timestamp::MIN);
    for partition in (0..log.0.len() as u32).map(Partition) {
        let fold: Fold<capacity::Capacity> = folded(log, partition, Offset(i64::MAX));
        fold.owed(last.plus_s(EVERY_WINDOW_S)).iter().for_each(|decision| add(&decision.body));
    }
    used
}

/// A log without what a test published to know how far rooms have come, and without what was decided about its agents.
fn without_marks(log: &Read) -> Read {
    let marks = log.0.iter().flatten().filter(|stored| stored.raw.header("ce_source") == Some(MARKS));
    let marked: BTreeSet<AgentId> = marks.filter_map(|stored| stored.raw.agent()).collect();
    let is_other = |key: Option<AgentId>| key.is_none_or(|key| !marked.contains(&key));
    Read(log.0.iter().map(|records| records.iter().filter(|stored| is_other(stored.raw.agent())).cloned().collect()).collect())
}

/// A value as Rust writes it down, without times of its log, which begin at `begun`, places there, and orders by time.
fn timeless(value: &impl Debug, begun: Timestamp) -> String {
    const ORDER: &str = "by_time: {";
    let written = format!("{value:?}");
    let (mut timeless, mut rest) = (String::with_capacity(written.len()), written.as_str());
    while let Some(first) = rest.chars().next() {
        let (told, length) = if first == '"' {
            (None, length_of_text(rest))
        } else if let Some(inside) = rest.strip_prefix(ORDER) {
            (Some("by_time: _"), ORDER.len() + length_of_braces(inside))
        } else if let Some(length) = number_in(rest, "Timestamp(", begun.0) {
            (Some("Timestamp(_"), length)
        } else if let Some(length) = number_in(rest, "Offset(", 0) {
            (Some("Offset(_"), length)
        } else {
            (None, first.len_utf8())
        };
        timeless.push_str(told.unwrap_or(&rest[..length]));
        rest = &rest[length..];
    }
    timeless
}

/// How long `name` and the number behind it are, where both stand first and the number is at least so large.
fn number_in(written: &str, name: &str, least: i64) -> Option<usize> {
    let number = written.strip_prefix(name)?.split(')').next()?;
    number.parse().is_ok_and(|number: i64| number >= least).then_some(name.len() + number.len())
}

/// How long a text in quotes is.
fn length_of_text(written: &str) -> usize {
    let mut is_escaped = false;
    let end = written.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == '"' && !is_escaped;
        is_escaped = *letter == '\\' && !is_escaped;
        ends
    });
    end.map_or(written.len(), |(at, _)| at + 1)
}

/// How far it is to the end of the braces that are open.
fn length_of_braces(written: &str) -> usize {
    let (mut at, mut open) = (0, 1);
    while open > 0 && at < written.len() {
        match written.as_bytes()[at] {
            b'"' => {
                at += length_of_text(&written[at..]);
                continue;
            }
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The first key whose values differ, and where.
fn first_difference<K: Ord + Debug, V: Debug + PartialEq>(one: &BTreeMap<K, V>, other: &BTreeMap<K, V>) -> Option<String> {
    let keys: BTreeSet<&K> = one.keys().chain(other.keys()).collect();
    let key = keys.into_iter().find(|key| one.get(key) != other.get(key))?;
    let [one, other] = [one, other].map(|values| values.get(key).map_or_else(|| "absent".to_owned(), |value| format!("{value:?}")));
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(TOLD_CHARS / 2)).take(TOLD_CHARS).collect::<String>();
    Some(format!("{key:?}: ...{}... and ...{}...", around(&one), around(&other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "it is written down")]
    struct Held {
        name: &'static str,
        told: Timestamp,
        appended: Timestamp,
        at: Offset,
        by_time: BTreeMap<&'static str, Offset>,
        count: u64,
    }

    #[test]
    fn times_and_places_of_the_log_are_left_out_and_nothing_else_is() {
        let by_time = [("}", Offset(3)), ("a\"{", Offset(4))].into();
        let held = Held { name: "Offset(5) \\", told: Timestamp(99), appended: Timestamp(100), at: Offset(7), by_time, count: 8 };
        let expected = r#"Held { name: "Offset(5) \\", told: Timestamp(99), appended: Timestamp(_), at: Offset(_), by_time: _, count: 8 }"#;
        assert_eq!(timeless(&held, Timestamp(100)), expected);
        assert_eq!(timeless(&[Offset::BEFORE_ALL], Timestamp(100)), "[Offset(-1)]");
    }
}
