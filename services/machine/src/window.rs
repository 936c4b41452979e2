//! The facts folded lately, so that one that is told again is known. Every room keeps one per partition, and of what a
//! snapshot holds it is mostly the largest part: it is written as one run of bytes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wire::{DedupeKey, Offset};

/// How far back, in offsets of the partition, a repeated fact is known as repeated. Beyond it, it is a new fact.
pub const WINDOW_OFFSETS: i64 = 10_000;

/// Bytes of one fact in a snapshot: its offset and its key.
const ENTRY_BYTES: usize = 8 + 16;

/// Keys of the facts folded within the last [`WINDOW_OFFSETS`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    order: VecDeque<(Offset, DedupeKey)>,
    /// The same facts by their keys.
    offset_of: BTreeMap<DedupeKey, Offset>,
}

// === impl Window ===

impl Window {
    /// Whether `key` is new within the window; if so it is remembered.
    pub(crate) fn admit(&mut self, offset: Offset, key: DedupeKey) -> bool {
        while let Some((oldest, old)) = self.order.front().filter(|(oldest, _)| oldest.0 <= offset.0 - WINDOW_OFFSETS).copied() {
            self.order.pop_front();
            if self.offset_of.get(&old) == Some(&oldest) {
                self.offset_of.remove(&old);
            }
        }
        if self.offset_of.contains_key(&key) {
            return false;
        }
        self.offset_of.insert(key, offset);
        self.order.push_back((offset, key));
        true
    }

    /// Facts that it remembers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.order.len(), self.offset_of.len());
        self.order.len()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut window = Self::default();
        for entry in bytes.chunks(ENTRY_BYTES) {
            let (offset, key) = entry.split_first_chunk::<8>()?;
            let (offset, key) = (Offset(i64::from_le_bytes(*offset)), DedupeKey(key.try_into().ok()?));
            window.order.push_back((offset, key));
            window.offset_of.insert(key, offset);
        }
        Some(window)
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
