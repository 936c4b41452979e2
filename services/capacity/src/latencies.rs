//! Latencies of a window as a sketch, and the one door to the library that keeps it.
//!
//! DDSketch (Masson, Rim and Lee, *DDSketch: A fast and fully-mergeable quantile sketch with relative-error guarantees*,
//! PVLDB 12, 2019): every quantile is within 1 % of a value that was told, however windows are merged. Values lie between
//! a microsecond and the door's limit of seven days, which is fewer than the 2,048 bins that a sketch may have: it never
//! gives up accuracy for room.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sketches_ddsketch::{Config, DDSketch};

/// What is quicker than this, in milliseconds, counts as no time at all.
const SHORTEST_MS: f64 = 1e-3;
/// What is longer than this, the door does not let in.
const LONGEST_MS: f64 = 7.0 * 86_400_000.0;

/// The latencies of one window.
#[derive(Clone, Default)]
pub(crate) enum Latencies {
    /// None was told.
    #[default]
    None,
    /// Being written to.
    Open(Box<DDSketch>),
    /// Put away: a tenth of the room, and slow to write to.
    Packed(Box<[u8]>),
}

// === impl Latencies ===

impl Latencies {
    /// Adds a latency in milliseconds. What is no duration is not one.
    pub(crate) fn add(&mut self, latency_ms: f64) {
        if (0.0..=LONGEST_MS).contains(&latency_ms) {
            self.open().add(if latency_ms < SHORTEST_MS { 0.0 } else { latency_ms });
        }
    }

    /// Adds all of another window's.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Some(other) = other.sketch() else { return };
        // The same accuracy on both sides, always: the library refuses nothing else.
        let _ = self.open().merge(&other);
    }

    /// Puts it away until it is written to again.
    pub(crate) fn pack(&mut self) {
        if let Self::Open(_) = self {
            *self = Self::Packed(self.bytes().into());
        }
    }

    /// Latencies told.
    pub(crate) fn count(&self) -> u64 {
        self.sketch().map_or(0, |sketch| sketch.count() as u64)
    }

    /// Quantiles, each within 1 % of a value that was told; `None` where no latency was told. None lies beyond what was told: a middle of
    /// the last bin may, and the door would refuse it.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Option<f64>; N] {
        let sketch = self.sketch();
        shares.map(|share| {
            let sketch = sketch.as_ref()?;
            Some(sketch.quantile(share).ok()??.max(sketch.min()?).min(sketch.max()?))
        })
    }

    fn open(&mut self) -> &mut DDSketch {
        if !matches!(self, Self::Open(_)) {
            *self = Self::Open(Box::new(self.sketch().unwrap_or_else(|| DDSketch::new(Config::defaults()))));
        }
        match self {
            Self::Open(sketch) => sketch,
            _ => unreachable!("it was opened in the line before"),
        }
    }

    fn sketch(&self) -> Option<DDSketch> {
        match self {
            Self::None => None,
            Self::Open(sketch) => Some((**sketch).clone()),
            Self::Packed(bytes) => DDSketch::from_java_bytes(bytes).ok(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Open(sketch) => sketch.to_java_bytes(),
            Self::Packed(bytes) => bytes.to_vec(),
        }
    }
}

impl PartialEq for Latencies {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} latencies", self.count())
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes())
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Latencies;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a sketch")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Latencies, E> {
        if bytes.is_empty() {
            return Ok(Latencies::None);
        }
        // Read once here, so that a snapshot that lies is refused and not taken for a window without latencies.
        DDSketch::from_java_bytes(bytes).map_err(E::custom)?;
        Ok(Latencies::Packed(bytes.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Latencies, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Relative error of a quantile.
    const ACCURACY: f64 = 0.01;

    fn of(values: &[f64]) -> Latencies {
        let mut latencies = Latencies::default();
        values.iter().for_each(|value| latencies.add(*value));
        latencies
    }

    /// The value at the rank that the sketch means, by sorting.
    fn exact(values: &[f64], share: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[(share * (sorted.len() - 1) as f64) as usize]
    }

    /// From a microsecond to seven days, spread over every order of magnitude, and none at all.
    fn latencies() -> impl Strategy<Value = Vec<f64>> {
        let one = prop_oneof![9 => (-3.0..8.78_f64).prop_map(|power| 10.0_f64.powf(power)), 1 => Just(0.0)];
        prop::collection::vec(one, 1..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_quantile_is_within_a_hundredth_of_the_sorted_one(values in latencies()) {
            let sketched = of(&values);
            prop_assert_eq!(sketched.count(), values.len() as u64);
            for share in [0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] {
                let [found] = sketched.quantiles([share]);
                let (found, sorted) = (found.expect("some were told"), exact(&values, share));
                prop_assert!((found - sorted).abs() <= ACCURACY * 1.000_001 * sorted, "{}: {} instead of {}", share, found, sorted);
            }
        }

        #[test]
        fn merged_packed_and_stored_it_is_what_it_would_have_been_in_one(values in latencies(), cut in 0.0..1.0_f64) {
            let cut = (cut * values.len() as f64) as usize;
            let (mut merged, mut later) = (of(&values[..cut]), of(&values[cut..]));
            merged.pack();
            later.pack();
            merged.merge(&later);
            let mut stored = Vec::new();
            ciborium::into_writer(&merged, &mut stored).expect("a vector takes every write");
            let read: Latencies = ciborium::from_reader(stored.as_slice()).expect("as it was written");
            prop_assert_eq!(&read, &merged);
            let shares = [0.5, 0.95, 0.99];
            prop_assert_eq!(read.quantiles(shares), of(&values).quantiles(shares));
        }
    }

    #[test]
    fn what_is_no_duration_is_not_counted() {
        assert_eq!(of(&[f64::NAN, f64::INFINITY, -1.0, 1e12]), Latencies::None);
        assert_eq!(of(&[0.0, 1e-9]).count(), 2);
    }

    #[test]
    fn a_sketch_that_is_none_is_refused() {
        let mut stored = Vec::new();
        ciborium::into_writer(&ciborium::Value::Bytes(vec![1, 2, 3]), &mut stored).expect("a vector takes every write");
        assert!(ciborium::from_reader::<Latencies, _>(stored.as_slice()).is_err());
    }
}
