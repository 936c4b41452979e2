//! A map of few entries: one sorted list, without the room that a tree's nodes keep for more.
//!
//! A node of [`std::collections::BTreeMap`] has places for eleven entries, and its first one takes them all. An agent has
//! one version or two, one open window of a length, no incident: as trees they are most of its memory. The face is that
//! of the tree, as far as the rooms use it, and so is the form in a snapshot.

use std::borrow::Borrow;
use std::fmt;
use std::iter::Map;
use std::marker::PhantomData;
use std::ops::{Bound, Index, RangeBounds};
use std::slice;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to so many entries the list grows one by one; beyond, it doubles, so that adding stays cheap.
const EXACT_MAX: usize = 8;

/// Entries in the order of their keys. Finding one costs the logarithm of their number, adding or removing one moves those
/// behind it: it is for some dozens of entries, and for more only where they come and go at the ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Shelf<K, V> {
    entries: Vec<(K, V)>,
}

/// The place of a key, taken or free.
pub struct Entry<'a, K, V> {
    shelf: &'a mut Shelf<K, V>,
    key: K,
    place: Result<usize, usize>,
}

// === impl Shelf ===

impl<K: Ord, V> Shelf<K, V> {
    /// An empty one, which takes no memory.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &self.entries[place].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &mut self.entries[place].1)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Sets the value of a key; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => Some(std::mem::replace(&mut self.entries[place].1, value)),
            Err(place) => {
                self.put(place, key, value);
                None
            }
        }
    }

    /// Takes a key away.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        let (_, value) = self.entries.remove(place);
        self.give_back();
        Some(value)
    }

    /// The place of a key, to be filled if it is free.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        let place = self.place(&key);
        Entry { shelf: self, key, place }
    }

    /// Takes the first entry away.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let first = (!self.entries.is_empty()).then(|| self.entries.remove(0));
        self.give_back();
        first
    }

    /// Keeps the entries that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
        self.give_back();
    }

    /// Takes all entries away.
    pub fn clear(&mut self) {
        self.entries = Vec::new();
    }

    /// The entries whose keys lie in a range.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        let first = match range.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(start) => self.entries.partition_point(|(key, _)| key < start),
            Bound::Excluded(start) => self.entries.partition_point(|(key, _)| key <= start),
        };
        let end = match range.end_bound() {
            Bound::Unbounded => self.entries.len(),
            Bound::Included(end) => self.entries.partition_point(|(key, _)| key <= end),
            Bound::Excluded(end) => self.entries.partition_point(|(key, _)| key < end),
        };
        self.entries[first..end.max(first)].iter().map(|(key, value)| (key, value))
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // The newest key is asked for most, and new ones come at the end.
        match self.entries.last().map(|(last, _)| last.borrow().cmp(key)) {
            None | Some(std::cmp::Ordering::Less) => Err(self.entries.len()),
            Some(std::cmp::Ordering::Equal) => Ok(self.entries.len() - 1),
            Some(std::cmp::Ordering::Greater) => self.entries.binary_search_by(|(known, _)| known.borrow().cmp(key)),
        }
    }

    fn put(&mut self, place: usize, key: K, value: V) {
        if self.entries.len() == self.entries.capacity() && self.entries.len() < EXACT_MAX {
            self.entries.reserve_exact(1);
        }
        self.entries.insert(place, (key, value));
    }
}

impl<K, V> Shelf<K, V> {
    /// Entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first entry.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.entries.first().map(|(key, value)| (key, value))
    }

    /// The last entry.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.entries.last().map(|(key, value)| (key, value))
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// All entries, in order, their values to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(_, value)| value)
    }

    /// All values, in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Memory that most of the list does not use any more goes back.
    fn give_back(&mut self) {
        if self.entries.capacity() >= 4 * self.entries.len().max(1) {
            self.entries.shrink_to_fit();
        }
    }
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Shelf<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Shelf<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut shelf = Self::new();
        entries.into_iter().for_each(|(key, value)| drop(shelf.insert(key, value)));
        shelf
    }
}

impl<K, V> IntoIterator for Shelf<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a Shelf<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl<'a, K, V> IntoIterator for &'a mut Shelf<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = Map<slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Shelf<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for Shelf<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("an entry that is asked for so is there")
    }
}

impl<K: Serialize, V: Serialize> Serialize for Shelf<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Shelf<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
    type Value = Shelf<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shelf<K, V>, A::Error> {
        let mut shelf = Shelf::new();
        while let Some((key, value)) = entries.next_entry()? {
            shelf.insert(key, value);
        }
        Ok(shelf)
    }
}

// === impl Entry ===

impl<'a, K: Ord, V> Entry<'a, K, V> {
    /// The value that is there, or the one that is made now.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        let Self { shelf, key, place } = self;
        let place = place.unwrap_or_else(|free| {
            shelf.put(free, key, make());
            free
        });
        &mut shelf.entries[place].1
    }

    /// The value that is there, or this one.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value that is there, or an empty one.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What can be done to a map.
    #[derive(Clone, Debug)]
    enum Deed {
        Insert(u8, u8),
        Remove(u8),
        Count(u8),
        PopFirst,
        RetainOdd,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            6 => (0..24_u8, any::<u8>()).prop_map(|(key, value)| Deed::Insert(key, value)),
            3 => (0..24_u8).prop_map(Deed::Remove),
            3 => (0..24_u8).prop_map(Deed::Count),
            1 => Just(Deed::PopFirst),
            1 => Just(Deed::RetainOdd),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_done_to_it_it_is_what_a_tree_would_be(deeds in prop::collection::vec(deed(), 0..60), from in 0..24_u8, to in 0..24_u8) {
            let (mut shelf, mut tree) = (Shelf::new(), BTreeMap::new());
            for deed in deeds {
                match deed {
                    Deed::Insert(key, value) => prop_assert_eq!(shelf.insert(key, value), tree.insert(key, value)),
                    Deed::Remove(key) => prop_assert_eq!(shelf.remove(&key), tree.remove(&key)),
                    Deed::Count(key) => {
                        let (kept, known) = (shelf.entry(key).or_default(), tree.entry(key).or_default());
                        (*kept, *known) = (kept.wrapping_add(1), known.wrapping_add(1));
                    }
                    Deed::PopFirst => prop_assert_eq!(shelf.pop_first(), tree.pop_first()),
                    Deed::RetainOdd => {
                        shelf.retain(|key, _| key % 2 == 1);
                        tree.retain(|key, _| key % 2 == 1);
                    }
                }
            }
            prop_assert!(shelf.iter().eq(tree.iter()));
            prop_assert!(shelf.range(from..).eq(tree.range(from..)));
            prop_assert!(from > to || shelf.range(from..=to).eq(tree.range(from..=to)));
            prop_assert_eq!(shelf.get(&from), tree.get(&from));
            prop_assert_eq!((shelf.first_key_value(), shelf.last_key_value()), (tree.first_key_value(), tree.last_key_value()));
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            ciborium::into_writer(&shelf, &mut ours).expect("plain values");
            ciborium::into_writer(&tree, &mut theirs).expect("plain values");
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(ciborium::from_reader::<Shelf<u8, u8>, _>(ours.as_slice()).expect("as it was written"), shelf);
        }
    }

    #[test]
    fn a_few_entries_take_no_more_room_than_they_need() {
        let mut shelf = Shelf::new();
        for key in 0..EXACT_MAX {
            shelf.insert(key, [0_u8; 100]);
            assert_eq!(shelf.entries.capacity(), key + 1);
        }
        assert!((0..EXACT_MAX).all(|key| shelf.remove(&key).is_some()));
        assert!(shelf.entries.capacity() < 4, "{} places for none", shelf.entries.capacity());
    }
}
