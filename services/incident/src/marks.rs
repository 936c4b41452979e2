//! How the sessions of a version turned out, in the order in which they started, at two bits each.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Sessions of one version in one segment that are compared; with evidence this far without a decision there is no
/// difference worth one. Later ones are counted nowhere.
pub(crate) const MARKS_MAX: usize = 1 << 15;

/// How one session turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It never said: it keeps its place and is evidence of nothing.
    Absent,
    /// As it should.
    Good,
    /// Not as it should.
    Bad,
}

/// A sequence of marks, bounded by [`MARKS_MAX`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marks {
    /// Four marks a byte, the first in the lowest bits; the places after the last hold [`NONE`].
    packed: Vec<u8>,
    len: usize,
}

const NONE: u8 = 0b11;

// === impl Marks ===

impl Marks {
    /// Adds a mark and returns its place; `None` when the sequence is full.
    pub(crate) fn push(&mut self, mark: Mark) -> Option<usize> {
        if self.len == MARKS_MAX {
            return None;
        }
        let place = self.len;
        if place.is_multiple_of(4) {
            self.packed.push(u8::MAX);
        }
        let shift = place % 4 * 2;
        let byte = self.packed.last_mut().expect("a place always has its byte");
        *byte = *byte & !(NONE << shift) | code(mark) << shift;
        self.len += 1;
        Some(place)
    }

    /// The mark at `place`.
    pub(crate) fn get(&self, place: usize) -> Option<Mark> {
        let byte = self.packed.get(place / 4)?;
        mark_of(byte >> (place % 4 * 2) & NONE)
    }

    /// Makes every session one that never said.
    pub(crate) fn erase(&mut self) {
        let len = std::mem::take(&mut self.len);
        self.packed.clear();
        for _ in 0..len {
            self.push(Mark::Absent);
        }
    }

    /// Sessions marked.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the sequence.
    pub(crate) fn size(&self) -> usize {
        self.packed.len()
    }
}

fn code(mark: Mark) -> u8 {
    match mark {
        Mark::Absent => 0b00,
        Mark::Good => 0b01,
        Mark::Bad => 0b10,
    }
}

fn mark_of(code: u8) -> Option<Mark> {
    match code {
        0b00 => Some(Mark::Absent),
        0b01 => Some(Mark::Good),
        0b10 => Some(Mark::Bad),
        _ => None,
    }
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.packed)
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packed: Vec<u8> = deserializer.deserialize_byte_buf(Bytes)?;
        let mut marks = Self { len: packed.len().saturating_mul(4), packed };
        while marks.len > 0 && marks.get(marks.len - 1).is_none() {
            marks.len -= 1;
        }
        if marks.len > MARKS_MAX || marks.packed.len() != marks.len.div_ceil(4) {
            return Err(D::Error::custom("no sequence of marks"));
        }
        Ok(marks)
    }
}

struct Bytes;

impl<'de> serde::de::Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}
