//! The headers of a record, in order and packed into one piece of memory: a record is copied, shared and dropped as a whole.
//!
//! ```text
//! name     its place in [`NAMES`] + 1 as a varint; or 0, its length as a varint, its bytes
//! value    its length as a varint, its bytes
//! ```
//! Varints are LEB128. The embedded log stores headers in this form.

use std::fmt;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde::{Deserialize, Deserializer};

/// The names that every publisher uses. Only ever added to, at the end: what is stored counts on their places.
pub const NAMES: &[&str] = &[
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "content-type",
    "ce_time",
    "ce_subject",
    "ce_causationid",
    "ce_hops",
    "ce_tenant",
    "traceparent",
];

/// Names and values. A name may come twice.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Bytes);

/// Every header in turn.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a [u8]);

/// A name as it is packed.
#[derive(Clone, Copy)]
enum Name<'a> {
    /// One of [`NAMES`].
    Known(&'static str),
    Own(&'a str),
}

// === impl Headers ===

impl Headers {
    /// The first `count` headers of a packed form, which are cut off from `packed`; `None` when there are not so many.
    pub fn cut_off(count: usize, packed: &mut Bytes) -> Option<Self> {
        let mut rest = &packed[..];
        // Whatever the count claims, this ends with the bytes.
        for _ in 0..count {
            cut(&mut rest)?;
        }
        let length = packed.len() - rest.len();
        Some(Self(packed.split_to(length)))
    }

    /// Takes what [`Headers::pack`] made, and nothing else.
    pub(crate) fn of_packed(packed: Bytes) -> Self {
        Self(packed)
    }

    /// Appends the packed form of one header.
    pub(crate) fn pack(name: &str, value: &[u8], into: &mut Vec<u8>) {
        match NAMES.iter().position(|known| *known == name) {
            Some(place) => write_varint(into, place + 1),
            None => {
                write_varint(into, 0);
                write_varint(into, name.len());
                into.extend_from_slice(name.as_bytes());
            }
        }
        write_varint(into, value.len());
        into.extend_from_slice(value);
    }

    /// The packed form.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// How many there are, counted.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of the first header of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in order, without a copy of either.
    pub fn shared(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let name = |name| match name {
            Name::Known(name) => Bytes::from_static(name.as_bytes()),
            Name::Own(name) => self.0.slice_ref(name.as_bytes()),
        };
        let mut rest = &self.0[..];
        std::iter::from_fn(move || cut(&mut rest)).map(move |(known, value)| (name(known), self.share(value)))
    }

    /// A value of these headers, without a copy.
    ///
    /// # Panics
    /// When `value` is not one of theirs.
    pub fn share(&self, value: &[u8]) -> Bytes {
        self.0.slice_ref(value)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut packed = Vec::new();
        headers.into_iter().for_each(|(name, value)| Self::pack(name.as_ref(), value.as_ref(), &mut packed));
        Self(packed.into())
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for Headers {
    fn from(headers: [(N, V); COUNT]) -> Self {
        headers.into_iter().collect()
    }
}

/// What is added is added at the end, by a copy of all.
impl<N: AsRef<str>, V: AsRef<[u8]>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, headers: I) {
        let mut packed = self.0.to_vec();
        headers.into_iter().for_each(|(name, value)| Self::pack(name.as_ref(), value.as_ref(), &mut packed));
        self.0 = packed.into();
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shared()).finish()
    }
}

/// In a history, headers are a list of names and values.
impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|(name, value)| list.serialize_element(&(name, self.share(value))))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<(String, Bytes)>::deserialize(deserializer).map(Self::from_iter)
    }
}

// === impl Iter ===

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // What cannot be cut off was never packed: all that is left is the end.
        let (name, value) = cut(&mut self.0)?;
        let (Name::Known(name) | Name::Own(name)) = name;
        Some((name, value))
    }
}

/// Cuts off the first header of a packed form, if there is one.
fn cut<'a>(rest: &mut &'a [u8]) -> Option<(Name<'a>, &'a [u8])> {
    let name = match read_varint(rest)? {
        0 => Name::Own(std::str::from_utf8(read_bytes(rest)?).ok()?),
        place => Name::Known(NAMES.get(place - 1)?),
    };
    Some((name, read_bytes(rest)?))
}

fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = read_varint(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// Reads a varint and moves behind it; `None` where there is none, or none that a `usize` holds.
pub fn read_varint(rest: &mut &[u8]) -> Option<usize> {
    // Nearly every length here is of one byte.
    if let Some((byte @ 0..0x80, after)) = rest.split_first() {
        *rest = after;
        return Some(usize::from(*byte));
    }
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends a varint.
pub fn write_varint(into: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: [(&str, &[u8]); 3] = [("ce_id", b"1"), ("x-own", &[0xff; 300]), ("ce_id", b"")];

    #[test]
    fn headers_are_told_as_they_were_given_in_order_and_twice_where_they_came_twice() {
        let mut headers = Headers::from(THREE);
        assert_eq!(headers.iter().collect::<Vec<_>>(), THREE);
        assert_eq!((headers.len(), headers.get("ce_id"), headers.get("ce_source")), (3, Some(&b"1"[..]), None));
        let shared: Vec<(Bytes, Bytes)> = headers.shared().collect();
        assert_eq!(shared, THREE.map(|(name, value)| (Bytes::from_static(name.as_bytes()), Bytes::from_static(value))));
        headers.extend([("traceparent", "t")]);
        assert_eq!(headers.iter().last(), Some(("traceparent", &b"t"[..])));
        assert!(Headers::default().is_empty() && Headers::default().iter().next().is_none());
    }

    #[test]
    fn what_is_cut_off_is_so_many_headers_and_leaves_the_rest_and_no_part_of_a_header_is_one() {
        let packed = [Headers::from(THREE).packed(), b"value"].concat();
        let mut rest = Bytes::from(packed.clone());
        assert_eq!((Headers::cut_off(3, &mut rest), &rest[..]), (Some(Headers::from(THREE)), &b"value"[..]));
        let short = Headers::from(THREE).packed().len() - 1;
        assert_eq!(Headers::cut_off(3, &mut Bytes::from(packed).slice(..short)), None);
        for bad in [&[0, 1, 0xff, 0][..], &[NAMES.len() as u8 + 1, 0], &[1, 5], &[0x80; 12]] {
            assert_eq!(Headers::cut_off(1, &mut Bytes::copy_from_slice(bad)), None, "{bad:?}");
            assert_eq!(Headers::cut_off(usize::MAX, &mut Bytes::copy_from_slice(bad)), None);
        }
    }

    #[test]
    fn a_history_holds_headers_as_names_and_values() {
        let headers = Headers::from([("ce_id", "1"), ("own", "2")]);
        let (mut bytes, mut list) = (Vec::new(), Vec::new());
        ciborium::into_writer(&headers, &mut bytes).expect("a vector takes every write");
        ciborium::into_writer(&vec![("ce_id", Bytes::from("1")), ("own", Bytes::from("2"))], &mut list)
            .expect("a vector takes every write");
        assert_eq!(bytes, list);
        assert_eq!(ciborium::from_reader::<Headers, _>(&bytes[..]).expect("what was written"), headers);
    }
}
