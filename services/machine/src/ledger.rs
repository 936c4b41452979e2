//! Latched debts: decisions that a state owes, with their numbers as they were when each fell due.
//!
//! A condition is judged in `apply`, at the record where it first holds, and its debt is written down here at once.
//! From then on only its echo takes it away, or a record that the room names as cancelling it. Asked late, after a
//! batch or after a restore, the ledger says the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{AgentId, Body, RecordId, SessionId};

use crate::mutants::{self, Mutant};
use crate::{Decision, Frontier};

/// One owed decision. `asof` and `now` of its body's basis are stamped when it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Debt {
    /// Derived id of the decision.
    pub id: RecordId,
    /// The agent that it is about.
    pub key: AgentId,
    /// The session that it is about.
    pub subject: Option<SessionId>,
    /// The record at which it fell due.
    pub causation: Option<RecordId>,
    /// One more than its cause's.
    pub hops: u8,
    /// The decision, unstamped.
    #[serde(with = "framed")]
    pub body: Body,
}

/// The debts of a machine, in the order in which they fell due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    debts: BTreeMap<u64, Debt>,
    entry_of: BTreeMap<RecordId, u64>,
}

// === impl Debt ===

impl Debt {
    /// The decision as it is asked for at `at`.
    pub fn stamped(&self, at: Frontier) -> Decision {
        let mut body = self.body.clone();
        if let Some(basis) = body.basis_mut() {
            basis.asof = at.asof;
            basis.now = at.now;
        }
        Decision {
            id: self.id.clone(),
            key: self.key.clone(),
            subject: self.subject.clone(),
            causation: self.causation.clone(),
            hops: self.hops,
            body,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Writes a debt down. One that stands already stays as it is.
    pub fn owe(&mut self, debt: Debt) {
        if self.entry_of.contains_key(&debt.id) {
            return;
        }
        let entry = self.debts.last_key_value().map_or(0, |(last, _)| last + 1);
        self.entry_of.insert(debt.id.clone(), entry);
        self.debts.insert(entry, debt);
    }

    /// Takes a debt away: its echo came home, or a record cancels it.
    pub fn settle(&mut self, id: &RecordId) -> Option<Debt> {
        let entry = self.entry_of.remove(id)?;
        self.debts.remove(&entry)
    }

    /// Takes away which debts fell due before `id` did and were of no use any more once that was told. Debts are published in
    /// their order, so that there are none, but where a version with other rules told it: it never owed them.
    pub fn settle_before(&mut self, id: &RecordId, is_useless: impl Fn(&Debt) -> bool) {
        let Some(entry) = self.entry_of.get(id) else { return };
        let useless: Vec<RecordId> =
            self.debts.range(..entry).filter(|(_, debt)| is_useless(debt)).map(|(_, debt)| debt.id.clone()).collect();
        useless.iter().for_each(|id| drop(self.settle(id)));
    }

    /// Does nothing, unless latching is broken on purpose: then the debts of `key` are judged anew at every record, and
    /// what no longer holds when somebody asks is never heard of.
    pub fn unlatch(&mut self, key: &AgentId) {
        if mutants::broken(Mutant::UnlatchedDebts) {
            let of_key: Vec<RecordId> = self.of(key).map(|debt| debt.id.clone()).collect();
            of_key.iter().for_each(|id| drop(self.settle(id)));
        }
    }

    /// Whether this decision is owed.
    pub fn contains(&self, id: &RecordId) -> bool {
        self.entry_of.contains_key(id)
    }

    /// Every debt, in the order in which they fell due.
    pub fn debts(&self) -> impl Iterator<Item = &Debt> {
        self.debts.values()
    }

    /// Debts of one agent, in order.
    pub fn of<'a>(&'a self, key: &'a AgentId) -> impl Iterator<Item = &'a Debt> {
        self.debts.values().filter(move |debt| debt.key == *key)
    }

    /// Debts that stand.
    pub fn len(&self) -> usize {
        self.debts.len()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.debts.is_empty()
    }
}

/// A body in a snapshot is its framed Avro value.
mod framed {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use wire::{Body, codec};

    pub(super) fn serialize<S: Serializer>(body: &Body, serializer: S) -> Result<S::Ok, S::Error> {
        codec::encode(body).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        codec::decode(&Vec::<u8>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use wire::{Basis, Offset, RoomWatermark, Timestamp};

    use super::*;

    #[test]
    fn debts_are_owed_in_the_order_they_fell_due_until_their_echo_settles_them() {
        let mut ledger = Ledger::default();
        ["c", "a", "b"].into_iter().for_each(|id| ledger.owe(debt(id, "first")));
        assert_eq!(ids(&ledger), ["c", "a", "b"]);
        assert_eq!(ledger.settle(&"a".into()).map(|debt| debt.id), Some("a".into()));
        assert_eq!(ledger.settle(&"a".into()), None, "an echo that comes twice settles once");
        ledger.owe(debt("d", "first"));
        assert_eq!(ids(&ledger), ["c", "b", "d"]);
    }

    #[test]
    fn what_fell_due_before_the_last_word_of_it_is_owed_no_more() {
        let mut ledger = Ledger::default();
        ["other", "worse", "over", "again"].into_iter().for_each(|id| ledger.owe(debt(id, "rule")));
        ledger.settle_before(&"unknown".into(), |_| true);
        assert_eq!(ids(&ledger), ["other", "worse", "over", "again"]);
        ledger.settle_before(&"over".into(), |debt| debt.id.as_str() != "other");
        assert_eq!(ids(&ledger), ["other", "over", "again"]);
    }

    #[test]
    fn a_debt_that_stands_keeps_its_numbers() {
        let mut ledger = Ledger::default();
        ledger.owe(debt("a", "as they were"));
        ledger.owe(debt("a", "as they are"));
        assert_eq!(
            ledger.debts().map(|debt| debt.body.basis().map(|basis| basis.rule.clone())).next(),
            Some(Some("as they were".to_owned()))
        );
    }

    #[test]
    fn a_debt_is_stamped_when_it_is_asked_for_and_comes_back_from_a_snapshot_as_it_was() {
        let mut ledger = Ledger::default();
        ledger.owe(debt("a", "rule"));
        let stamped = ledger.debts().next().map(|debt| debt.stamped(AT)).expect("it was written down");
        let basis = stamped.body.basis().expect("a decision has a basis");
        assert_eq!((basis.asof, basis.now), (AT.asof, AT.now));
        let mut bytes = Vec::new();
        ciborium::into_writer(&ledger, &mut bytes).expect("plain values");
        assert_eq!(ciborium::from_reader::<Ledger, _>(bytes.as_slice()).expect("as it was written"), ledger);
    }

    const AT: Frontier = Frontier { asof: Offset(7), now: Timestamp(70) };

    fn ids(ledger: &Ledger) -> Vec<String> {
        ledger.debts().map(|debt| debt.id.to_string()).collect()
    }

    fn debt(id: &str, rule: &str) -> Debt {
        let basis = Basis {
            asof: Offset(0),
            now: Timestamp(0),
            rule: rule.to_owned(),
            policy: "none".to_owned(),
            causes: Vec::new(),
            accountable: "tests".to_owned(),
        };
        let body = RoomWatermark { room: "tests".to_owned(), partition: 0, basis }.into();
        Debt { id: id.into(), key: "agent".into(), subject: None, causation: None, hops: 1, body }
    }
}
