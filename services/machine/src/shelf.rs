//! A map that is small as long as it holds little: a sorted list first, a tree once there is more.
//!
//! A node of [`BTreeMap`] has places for eleven entries, and its first one takes them all. An agent has one version or two,
//! one session under way, no incident: as trees they are most of its memory. The face is that of the tree, as far as the
//! rooms use it, and so is the form in a snapshot.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::iter::Map;
use std::marker::PhantomData;
use std::ops::{Bound, Index, RangeBounds};
use std::{slice, vec};

use either::Either::{self, Left, Right};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to so many entries a list has no room to spare; beyond, it doubles, so that adding stays cheap.
const EXACT_MAX: usize = 8;
/// Entries of a list. To add one moves those behind it: more stand in a tree.
const LIST_MAX: usize = 32;
/// A tree of so few entries becomes a list again. It lies below the other, so that one entry more or less moves nothing.
const TREE_MIN: usize = 16;

/// Entries in the order of their keys. A set is one whose values are `()`.
#[derive(Clone)]
pub struct Shelf<K, V> {
    entries: Entries<K, V>,
}

#[derive(Clone)]
enum Entries<K, V> {
    List(Vec<(K, V)>),
    #[expect(clippy::box_collection, reason = "in a box, so that a shelf is no larger for what few of them are")]
    Tree(Box<BTreeMap<K, V>>),
}

/// The place of a key, taken or free.
pub struct Entry<'a, K, V> {
    shelf: &'a mut Shelf<K, V>,
    key: K,
}

// === impl Shelf ===

impl<K: Ord, V> Shelf<K, V> {
    /// An empty one, which takes no memory.
    pub const fn new() -> Self {
        Self { entries: Entries::List(Vec::new()) }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match &self.entries {
            Entries::List(list) => place(list, key).ok().map(|place| &list[place].1),
            Entries::Tree(tree) => tree.get(key),
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match &mut self.entries {
            Entries::List(list) => place(list, key).ok().map(|place| &mut list[place].1),
            Entries::Tree(tree) => tree.get_mut(key),
        }
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Sets the value of a key; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.make_room(&key);
        match &mut self.entries {
            Entries::List(list) => match place(list, &key) {
                Ok(place) => Some(std::mem::replace(&mut list[place].1, value)),
                Err(free) => {
                    put(list, free, key, value);
                    None
                }
            },
            Entries::Tree(tree) => tree.insert(key, value),
        }
    }

    /// Takes a key away.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let removed = match &mut self.entries {
            Entries::List(list) => place(list, key).ok().map(|place| list.remove(place).1),
            Entries::Tree(tree) => tree.remove(key),
        };
        self.give_back();
        removed
    }

    /// The place of a key, to be filled if it is free.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        Entry { shelf: self, key }
    }

    /// Takes the first entry away.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let first = match &mut self.entries {
            Entries::List(list) => (!list.is_empty()).then(|| list.remove(0)),
            Entries::Tree(tree) => tree.pop_first(),
        };
        self.give_back();
        first
    }

    /// Keeps the entries that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        match &mut self.entries {
            Entries::List(list) => list.retain_mut(|(key, value)| keep(key, value)),
            Entries::Tree(tree) => tree.retain(|key, value| keep(key, value)),
        }
        self.give_back();
    }

    /// Takes all entries away.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The entries whose keys lie in a range, which must not end before it starts.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        let list = match &self.entries {
            Entries::Tree(tree) => return Right(tree.range(range)),
            Entries::List(list) => list,
        };
        let first = match range.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(start) => list.partition_point(|(key, _)| key < start),
            Bound::Excluded(start) => list.partition_point(|(key, _)| key <= start),
        };
        let end = match range.end_bound() {
            Bound::Unbounded => list.len(),
            Bound::Included(end) => list.partition_point(|(key, _)| key <= end),
            Bound::Excluded(end) => list.partition_point(|(key, _)| key < end),
        };
        Left(list[first..end].iter().map(both))
    }

    /// A list that is full becomes a tree before a key comes that it does not have.
    fn make_room(&mut self, key: &K) {
        if let Entries::List(list) = &mut self.entries
            && list.len() == LIST_MAX
            && place(list, key).is_err()
        {
            self.entries = Entries::Tree(Box::new(std::mem::take(list).into_iter().collect()));
        }
    }

    /// What is small again takes little memory again.
    fn give_back(&mut self) {
        match &mut self.entries {
            Entries::List(list) if list.len() < EXACT_MAX || list.capacity() >= 4 * list.len() => list.shrink_to_fit(),
            Entries::Tree(tree) if tree.len() <= TREE_MIN => {
                self.entries = Entries::List(std::mem::take(tree.as_mut()).into_iter().collect());
            }
            _ => {}
        }
    }
}

impl<K, V> Shelf<K, V> {
    /// Entries.
    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::List(list) => list.len(),
            Entries::Tree(tree) => tree.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first entry.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// The last entry.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next_back()
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        self.into_iter()
    }

    /// All entries, in order, their values to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.into_iter()
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// All values, in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.iter_mut().map(|(_, value)| value)
    }
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { entries: Entries::List(Vec::new()) }
    }
}

/// Two hold the same whatever holds it.
impl<K: PartialEq, V: PartialEq> PartialEq for Shelf<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Shelf<K, V> {}

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
    type IntoIter = Either<vec::IntoIter<(K, V)>, btree_map::IntoIter<K, V>>;

    fn into_iter(self) -> Self::IntoIter {
        match self.entries {
            Entries::List(list) => Left(list.into_iter()),
            Entries::Tree(tree) => Right((*tree).into_iter()),
        }
    }
}

/// The entries of a list, as a tree tells its own.
type Listed<'a, K, V> = Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;
type ListedMut<'a, K, V> = Map<slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

impl<'a, K, V> IntoIterator for &'a Shelf<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Either<Listed<'a, K, V>, btree_map::Iter<'a, K, V>>;

    fn into_iter(self) -> Self::IntoIter {
        match &self.entries {
            Entries::List(list) => Left(list.iter().map(both)),
            Entries::Tree(tree) => Right(tree.iter()),
        }
    }
}

impl<'a, K, V> IntoIterator for &'a mut Shelf<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = Either<ListedMut<'a, K, V>, btree_map::IterMut<'a, K, V>>;

    fn into_iter(self) -> Self::IntoIter {
        match &mut self.entries {
            Entries::List(list) => Left(list.iter_mut().map(|(key, value)| (&*key, value))),
            Entries::Tree(tree) => Right(tree.iter_mut()),
        }
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
        deserializer.deserialize_map(Stored(PhantomData))
    }
}

struct Stored<K, V>(PhantomData<(K, V)>);

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Stored<K, V> {
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
        let Self { shelf, key } = self;
        shelf.make_room(&key);
        match &mut shelf.entries {
            Entries::List(list) => {
                let place = place(list, &key).unwrap_or_else(|free| {
                    put(list, free, key, make());
                    free
                });
                &mut list[place].1
            }
            Entries::Tree(tree) => tree.entry(key).or_insert_with(make),
        }
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

/// Where a key stands in a list, or would.
fn place<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized>(list: &[(K, V)], key: &Q) -> Result<usize, usize> {
    // The newest key is asked for most, and new ones come at the end.
    match list.last().map(|(last, _)| last.borrow().cmp(key)) {
        None | Some(std::cmp::Ordering::Less) => Err(list.len()),
        Some(std::cmp::Ordering::Equal) => Ok(list.len() - 1),
        Some(std::cmp::Ordering::Greater) => list.binary_search_by(|(known, _)| known.borrow().cmp(key)),
    }
}

fn put<K, V>(list: &mut Vec<(K, V)>, place: usize, key: K, value: V) {
    if list.len() == list.capacity() && list.len() < EXACT_MAX {
        list.reserve_exact(1);
    }
    list.insert(place, (key, value));
}

fn both<K, V>((key, value): &(K, V)) -> (&K, &V) {
    (key, value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What can be done to a map.
    #[derive(Clone, Debug)]
    enum Deed {
        Insert(u8, u8),
        Remove(u8),
        Count(u8),
        PopFirst,
        Thin(u8),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            9 => (0..64_u8, any::<u8>()).prop_map(|(key, value)| Deed::Insert(key, value)),
            3 => (0..64_u8).prop_map(Deed::Remove),
            3 => (0..64_u8).prop_map(Deed::Count),
            1 => Just(Deed::PopFirst),
            1 => (2..6_u8).prop_map(Deed::Thin),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_done_to_it_it_is_what_a_tree_would_be(deeds in prop::collection::vec(deed(), 0..200), from in 0..64_u8, to in 0..64_u8) {
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
                    Deed::Thin(by) => {
                        shelf.retain(|key, _| !key.is_multiple_of(by));
                        tree.retain(|key, _| !key.is_multiple_of(by));
                    }
                }
            }
            prop_assert!(shelf.iter().eq(tree.iter()));
            prop_assert!(shelf.iter_mut().eq(tree.iter_mut()));
            prop_assert!(shelf.clone().into_iter().eq(tree.clone()));
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
            assert_eq!(room(&shelf), Some(key + 1));
        }
        for key in 0..EXACT_MAX {
            assert!(shelf.remove(&key).is_some());
            assert_eq!(room(&shelf), Some(EXACT_MAX - 1 - key));
        }
    }

    #[test]
    fn many_entries_are_a_tree_and_few_that_are_left_a_list() {
        let mut shelf: Shelf<usize, ()> = (0..LIST_MAX).map(|key| (key, ())).collect();
        assert!(room(&shelf).is_some());
        shelf.insert(0, ());
        assert!(room(&shelf).is_some(), "a key that is there needs no room");
        shelf.insert(LIST_MAX, ());
        assert!(room(&shelf).is_none());
        while shelf.len() > TREE_MIN {
            assert!(room(&shelf).is_none());
            shelf.pop_first();
        }
        assert_eq!(room(&shelf), Some(TREE_MIN));
        assert_eq!(shelf, shelf.keys().map(|key| (*key, ())).collect());
    }

    /// Places of a list; `None`: it is a tree.
    fn room<K, V>(shelf: &Shelf<K, V>) -> Option<usize> {
        match &shelf.entries {
            Entries::List(list) => Some(list.capacity()),
            Entries::Tree(_) => None,
        }
    }
}
