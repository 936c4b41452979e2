//! Two rows of decisions about the same past, compared: the same, changed, or only on one side.
//!
//! Decisions with one id are one decision: an id is derived from the record that opened the episode. What is left is
//! paired with its nearest in time among those of its kind, agent and session: an episode that opens at another record
//! has another id, and is still the same trouble.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use wire::{AgentId, Event, Kind, RecordId, Timestamp};

use super::fields::{self, Differing};
use crate::failure::Failure;

/// Decisions without their like that are kept at once.
const ALONE_MAX: usize = 200_000;
/// Decisions further apart than this are about two troubles, not one.
const PAIRED_WITHIN_S: i64 = 86_400;
/// Neighbours on each side that are looked at for the nearest one.
const NEIGHBOURS: usize = 8;

/// Whose decision it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// The policy in force.
    Present,
    /// The policy that is tried.
    Proposed,
}

/// A decision as it is compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Said {
    /// Its id.
    pub(super) id: RecordId,
    /// When it was decided.
    pub(super) at: Timestamp,
    /// All that it says, with its basis.
    pub(super) data: Value,
}

/// What kind of decision, about whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct About {
    /// The kind.
    #[serde(serialize_with = "name")]
    pub(super) kind: Kind,
    /// The agent.
    pub(super) agent: AgentId,
    /// The session; empty where it is about none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) session: String,
    /// What else tells it apart, such as a version or a measure; empty where nothing does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) matter: String,
}

/// A decision that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// How.
    pub(super) how: How,
    /// What it is about.
    #[serde(flatten)]
    pub(super) about: About,
    /// What is decided under the policy in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) present: Option<Said>,
    /// What is decided under the policy that is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proposed: Option<Said>,
    /// Where both decide: the fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<Differing>,
}

/// How a decision differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// Both decide it, with other numbers or at another time.
    Changed,
    /// Only the policy in force decides it.
    OnlyPresent,
    /// Only the policy that is tried decides it.
    OnlyProposed,
}

/// How many decisions of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// The same on both sides.
    pub(super) same: usize,
    /// [`How::Changed`].
    pub(super) changed: usize,
    /// [`How::OnlyPresent`].
    pub(super) only_present: usize,
    /// [`How::OnlyProposed`].
    pub(super) only_proposed: usize,
}

/// Both rows, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    counts: BTreeMap<&'static str, Counts>,
    alone: [BTreeMap<RecordId, (About, Said)>; 2],
    differences: Vec<Difference>,
}

// === impl Comparison ===

impl Comparison {
    /// Takes a decision of one side.
    ///
    /// # Errors
    /// When more decisions are without their like than can be kept.
    pub(super) fn take(&mut self, side: Side, event: &Event) -> Result<(), Failure> {
        let data = serde_json::to_value(&event.body).map_err(|error| Failure::internal(format!("cannot write JSON: {error}")))?;
        let about = About::of(event, &data);
        let at = event.body.basis().map(|basis| basis.now).or(event.time).unwrap_or_default();
        let said = Said { id: event.id.clone(), at, data };
        if let Some((_, other)) = self.alone[side.other() as usize].remove(&event.id) {
            let (present, proposed) = if side == Side::Present { (said, other) } else { (other, said) };
            self.pair(about, present, proposed);
            return Ok(());
        }
        self.alone[side as usize].insert(event.id.clone(), (about, said));
        if self.alone.iter().map(BTreeMap::len).sum::<usize>() > ALONE_MAX {
            return Err(Failure::unknown(format!("more than {ALONE_MAX} decisions differ: try a shorter span with --last")));
        }
        Ok(())
    }

    /// What came of it: how many of each kind, and every decision that differs, in order of time.
    pub(super) fn finish(mut self) -> (BTreeMap<&'static str, Counts>, Vec<Difference>) {
        let [present, proposed] = std::mem::take(&mut self.alone).map(by_matter);
        let mut proposed = proposed;
        for (about, present) in present {
            let mut present: Vec<_> = present.into_iter().map(Some).collect();
            let mut others: Vec<_> = proposed.remove(&about).unwrap_or_default().into_iter().map(Some).collect();
            for (left, right) in nearest(&present, &others) {
                // Whoever is paired already is taken: the other one stays for a pair of its own.
                if present[left].is_none() || others[right].is_none() {
                    continue;
                }
                if let (Some(left), Some(right)) = (present[left].take(), others[right].take()) {
                    self.pair(about.clone(), left, right);
                }
            }
            present.into_iter().flatten().for_each(|said| self.add(How::OnlyPresent, &about, said));
            others.into_iter().flatten().for_each(|said| self.add(How::OnlyProposed, &about, said));
        }
        for (about, others) in proposed {
            others.into_iter().for_each(|said| self.add(How::OnlyProposed, &about, said));
        }
        self.differences.sort_by(|one, other| (one.at(), &one.about, one.how).cmp(&(other.at(), &other.about, other.how)));
        (self.counts, self.differences)
    }

    fn pair(&mut self, about: About, present: Said, proposed: Said) {
        let fields = changes(&present, &proposed);
        let counts = self.counts.entry(about.kind.name()).or_default();
        if fields.is_empty() {
            counts.same += 1;
            return;
        }
        counts.changed += 1;
        self.differences.push(Difference { how: How::Changed, about, present: Some(present), proposed: Some(proposed), fields });
    }

    fn add(&mut self, how: How, about: &About, said: Said) {
        let counts = self.counts.entry(about.kind.name()).or_default();
        let (present, proposed) = if how == How::OnlyPresent {
            counts.only_present += 1;
            (Some(said), None)
        } else {
            counts.only_proposed += 1;
            (None, Some(said))
        };
        self.differences.push(Difference { how, about: about.clone(), present, proposed, fields: Vec::new() });
    }
}

/// Decisions by what they are about, each row in order of time.
fn by_matter(alone: BTreeMap<RecordId, (About, Said)>) -> BTreeMap<About, Vec<Said>> {
    let mut rows = BTreeMap::<About, Vec<Said>>::new();
    alone.into_values().for_each(|(about, said)| rows.entry(about).or_default().push(said));
    rows.values_mut().for_each(|row| row.sort_by_key(|said| said.at));
    rows
}

/// Pairs of places, the nearest in time first; a place may occur in several.
fn nearest(left: &[Option<Said>], right: &[Option<Said>]) -> Vec<(usize, usize)> {
    let at = |row: &[Option<Said>], place: usize| row[place].as_ref().map_or(0, |said| said.at.0);
    let mut pairs = Vec::new();
    for place in 0..left.len() {
        let here = at(left, place);
        let after = right.partition_point(|said| said.as_ref().is_some_and(|said| said.at.0 < here));
        for other in after.saturating_sub(NEIGHBOURS)..right.len().min(after + NEIGHBOURS) {
            let apart = (at(right, other) - here).abs();
            if apart <= PAIRED_WITHIN_S * 1_000_000 {
                pairs.push((apart, place, other));
            }
        }
    }
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, left, right)| (left, right)).collect()
}

/// What both say differently. Ids follow from the record that opened an episode, and the sentence for people from the
/// numbers: they count only where nothing else differs, which for ids never is a difference.
fn changes(present: &Said, proposed: &Said) -> Vec<Differing> {
    let mut differing = fields::differing(&present.data, &proposed.data);
    differing.retain(|field| !is_bookkeeping(&field.field));
    if differing.iter().any(|field| field.field != "summary") {
        differing.retain(|field| field.field != "summary");
    }
    if present.at != proposed.at {
        let told = |said: &Said| Some(said.at.to_string().into());
        differing.insert(0, Differing { field: "at".to_owned(), left: told(present), right: told(proposed) });
    }
    differing
}

/// What says nothing about what is decided: ids, how far the room had read, the name of the policy.
fn is_bookkeeping(field: &str) -> bool {
    field.ends_with("_id") || matches!(field, "basis.asof" | "basis.now" | "basis.policy" | "basis.causes")
}

// === impl Said ===

impl Said {
    /// Its sentence for people.
    pub(super) fn summary(&self) -> &str {
        crate::output::text(&self.data, "/summary")
    }
}

// === impl About ===

impl About {
    fn of(event: &Event, data: &Value) -> Self {
        let matter = ["version", "to_version", "measure", "from"].iter().map(|field| crate::output::text(data, &format!("/{field}")));
        Self {
            kind: event.body.kind(),
            agent: event.key.clone(),
            session: event.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
            matter: matter.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
        }
    }
}

// === impl Difference ===

impl Difference {
    /// When it was decided, by whoever decided first.
    pub(super) fn at(&self) -> Timestamp {
        [&self.present, &self.proposed].into_iter().flatten().map(|said| said.at).min().unwrap_or_default()
    }
}

// === impl Side ===

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Present => Self::Proposed,
            Self::Proposed => Self::Present,
        }
    }
}

fn name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

#[cfg(test)]
mod tests {
    use wire::{Basis, Offset, RoomWatermark};

    use super::*;

    const HOUR_S: i64 = 3_600;

    /// A decision whose only content is a number.
    fn said(id: &str, at_s: i64, number: i64) -> Event {
        let basis = Basis {
            asof: Offset(at_s),
            now: Timestamp(0).plus_s(at_s),
            rule: "rule".to_owned(),
            policy: format!("policy of {id}"),
            causes: Vec::new(),
            accountable: "tests".to_owned(),
        };
        let mut event =
            crate::fact::event("/reeve/incident", "billing", RoomWatermark { room: "incident".to_owned(), partition: number, basis });
        event.id = id.into();
        event
    }

    fn compared(present: &[Event], proposed: &[Event]) -> (Counts, Vec<Difference>) {
        let mut comparison = Comparison::default();
        let mut take = |side, events: &[Event]| events.iter().for_each(|event| comparison.take(side, event).expect("few decisions"));
        take(Side::Present, present);
        take(Side::Proposed, proposed);
        let (counts, differences) = comparison.finish();
        (counts.get("room.watermark").copied().unwrap_or_default(), differences)
    }

    #[test]
    fn one_decision_is_the_same_whatever_the_policy_is_called_and_changed_where_it_says_something_else() {
        let (counts, differences) = compared(&[said("a", 5, 1), said("b", 6, 1)], &[said("b", 6, 2), said("a", 5, 1)]);
        assert_eq!(counts, Counts { same: 1, changed: 1, ..Counts::default() });
        assert_eq!(differences.len(), 1);
        let fields: Vec<_> =
            differences[0].fields.iter().map(|field| (field.field.as_str(), field.left.clone(), field.right.clone())).collect();
        assert_eq!(fields, [("partition", Some(1.into()), Some(2.into()))]);
    }

    #[test]
    fn an_episode_that_opens_elsewhere_is_paired_with_its_nearest() {
        let present = [said("a", 0, 1), said("b", 10 * HOUR_S, 1)];
        let (counts, differences) = compared(&present, &[said("c", 9 * HOUR_S, 1)]);
        assert_eq!(counts, Counts { changed: 1, only_present: 1, ..Counts::default() });
        assert_eq!((differences[0].how, differences[1].how), (How::OnlyPresent, How::Changed));
        assert_eq!(differences[1].fields.iter().map(|field| field.field.as_str()).collect::<Vec<_>>(), ["at"]);
    }

    #[test]
    fn what_lies_more_than_a_day_apart_is_two_troubles() {
        let (counts, differences) = compared(&[said("a", 0, 1)], &[said("b", PAIRED_WITHIN_S + 1, 1)]);
        assert_eq!(counts, Counts { only_present: 1, only_proposed: 1, ..Counts::default() });
        assert_eq!((differences[0].how, differences[1].how), (How::OnlyPresent, How::OnlyProposed));
    }
}
