//! The facts folded lately, so that one that is told again is known. Every room keeps one per partition, and of what a
//! snapshot holds it is mostly the largest part: it is written as one run of bytes.

use std::collections::VecDeque;
use std::fmt;

use hashbrown::HashTable;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wire::{DedupeKey, Offset};

/// How far back, in offsets of the partition, a repeated fact is known as repeated. Beyond it, it is a new fact.
pub const WINDOW_OFFSETS: i64 = 10_000;

/// Bytes of one fact in a snapshot: its offset and its key.
const ENTRY_BYTES: usize = 8 + 16;

/// Keys of the facts folded within the last [`WINDOW_OFFSETS`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    order: VecDeque<(Offset, DedupeKey)>,
    /// The same keys, to find one by. They are looked up and never listed, so that their order is nobody's. Each is its
    /// own hash; keys that a publisher has chosen to fall together cost their readers some hundred steps at the most.
    keys: HashTable<DedupeKey>,
}

// === impl Window ===

impl Window {
    /// Whether `key` is new within the window; if so it is remembered.
    pub(crate) fn admit(&mut self, offset: Offset, key: DedupeKey) -> bool {
        while let Some((_, old)) = self.order.pop_front_if(|(oldest, _)| oldest.0 <= offset.0 - WINDOW_OFFSETS) {
            if let Ok(entry) = self.keys.find_entry(hash(&old), |known| *known == old) {
                entry.remove();
            }
        }
        if self.keys.find(hash(&key), |known| *known == key).is_some() {
            return false;
        }
        self.remember(offset, key);
        true
    }

    fn remember(&mut self, offset: Offset, key: DedupeKey) {
        self.order.push_back((offset, key));
        self.keys.insert_unique(hash(&key), key, hash);
    }

    /// Facts that it remembers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.order.len(), self.keys.len());
        self.order.len()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut window = Self::default();
        for entry in bytes.chunks(ENTRY_BYTES) {
            let (offset, key) = entry.split_first_chunk::<8>()?;
            let (offset, key) = (Offset(i64::from_le_bytes(*offset)), DedupeKey(key.try_into().ok()?));
            window.remember(offset, key);
        }
        Some(window)
    }
}

/// What it remembers is what it is.
impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.order.len() * ENTRY_BYTES);
        for (offset, key) in &self.order {
            bytes.extend_from_slice(&offset.0.to_le_bytes());
            bytes.extend_from_slice(&key.0);
        }
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// The first bytes of a key that is a digest.
fn hash(key: &DedupeKey) -> u64 {
    let [first, ..] = key.0.as_chunks::<8>().0 else { return 0 };
    u64::from_le_bytes(*first)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Window;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes, {ENTRY_BYTES} for each fact")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Window, E> {
        Window::of_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Window, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_from_a_snapshot_as_it_was_and_a_torn_one_does_not() {
        let mut window = Window::default();
        for offset in 0..5 {
            assert!(window.admit(Offset(offset), DedupeKey::of("platform", &offset.to_string())));
        }
        let mut bytes = Vec::new();
        ciborium::into_writer(&window, &mut bytes).expect("a vector takes every write");
        assert!(bytes.len() < 5 * ENTRY_BYTES + 4, "{} bytes for five facts", bytes.len());
        let read: Window = ciborium::from_reader(bytes.as_slice()).expect("what was written can be read");
        assert_eq!(read, window);
        let mut torn = Vec::new();
        ciborium::into_writer(&ciborium::Value::Bytes(vec![0; ENTRY_BYTES + 1]), &mut torn).expect("a vector takes every write");
        assert!(ciborium::from_reader::<Window, _>(torn.as_slice()).is_err());
    }
}
