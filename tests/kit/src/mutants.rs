//! Records that somebody made wrong, by accident or on purpose. Every mutant follows from a seed and its number, and says
//! what must become of it where that is known.

mod spans;
mod value;
mod whole;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wire::{Event, Kind, Offset, Partition, RawRecord, StoredRecord, Timestamp, codec};

use self::spans::Span;
pub use self::value::varint;

/// What must become of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is read, for what was changed matters to nobody.
    Read,
    /// It is refused with this code.
    Refused(&'static str),
    /// It is read, or refused with this code.
    ReadOr(&'static str),
    /// It is refused, with whatever code.
    NotRead,
    /// It is read or refused.
    Either,
}

/// A record that is wrong, or as good as wrong.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Which one of its maker's.
    pub number: u64,
    /// What was done to it.
    pub mutation: &'static str,
    /// The record.
    pub stored: StoredRecord,
    /// What must become of it.
    pub expected: Expected,
}

/// Makes mutants of records that are well.
pub struct Mutator {
    seed: u64,
    partitions: u32,
    wells: Vec<Well>,
}

/// A record that is well, and where its value is what.
struct Well {
    stored: StoredRecord,
    kind: Kind,
    spans: Vec<Span>,
    /// Whether its schema is today's: of an older one a field may be broken that nobody reads any more.
    is_todays: bool,
}

/// A mutant while it is made.
struct Making<'a> {
    rng: ChaCha8Rng,
    raw: RawRecord,
    /// Its headers, in place of those of `raw`.
    headers: Vec<(String, Bytes)>,
    partition: Partition,
    partitions: u32,
    well: &'a Well,
    /// Another record that is well.
    other: &'a Well,
}

/// Does something to a record. `None` where the record has nothing of the kind.
type Mutation = (&'static str, fn(&mut Making<'_>) -> Option<Expected>);

// === impl Mutator ===

impl Mutator {
    /// A maker of mutants of these records on a topic that has so many `partitions`.
    ///
    /// # Panics
    /// When one of the records cannot be read.
    pub fn new(seed: u64, partitions: u32, wells: Vec<RawRecord>) -> Self {
        Self { seed, partitions, wells: wells.into_iter().map(|raw| Well::new(raw, partitions)).collect() }
    }

    /// How many records there are to make mutants of.
    pub fn wells(&self) -> usize {
        self.wells.len()
    }

    /// The record of this number that mutants are made of.
    pub fn well(&self, number: usize) -> &StoredRecord {
        &self.wells[number].stored
    }

    /// The mutant of this number: every mutation comes to every record.
    pub fn mutant(&self, number: u64) -> Mutant {
        let mutations = (value::MUTATIONS.len() + whole::MUTATIONS.len()) as u64;
        self.mutant_of(((number / mutations) % self.wells.len() as u64) as usize, number)
    }

    /// The mutant of this number, made of the record of another.
    pub fn mutant_of(&self, well: usize, number: u64) -> Mutant {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ number.rotate_left(32));
        let (well, other) = (&self.wells[well], &self.wells[rng.random_range(0..self.wells.len())]);
        let StoredRecord { partition, raw, .. } = well.stored.clone();
        let headers = headers_of(&raw);
        let mut making = Making { rng, raw, headers, partition, partitions: self.partitions, well, other };
        let all = value::MUTATIONS.len() + whole::MUTATIONS.len();
        let chosen = (number % all as u64) as usize;
        let (mutation, mutate) = value::MUTATIONS.iter().chain(whole::MUTATIONS).nth(chosen).expect("it is one of them");
        let expected = mutate(&mut making);
        let expected = expected.unwrap_or_else(|| value::flip_bits(&mut making));
        let raw = RawRecord { headers: making.headers.into_iter().collect(), ..making.raw };
        let stored = StoredRecord { partition: making.partition, raw, ..well.stored.clone() };
        Mutant { number, mutation, stored, expected }
    }
}

// === impl Well ===

impl Well {
    fn new(raw: RawRecord, partitions: u32) -> Self {
        let event = Event::from_raw(&raw).expect("what mutants are made of is well");
        let kind = event.body.kind();
        let schema = codec::schema_of(&raw.value).expect("its schema is known");
        let spans = spans::of(schema, &raw.value, codec::FRAMING_BYTES);
        let is_todays = raw.value[..codec::FRAMING_BYTES] == codec::framing_of(kind);
        let stored = StoredRecord { partition: event.partition(partitions), offset: Offset(0), appended: Timestamp(0), raw };
        Self { stored, kind, spans, is_todays }
    }

    /// Whether it lies where its key belongs, or anywhere.
    fn has_a_home(&self) -> bool {
        !self.kind.is_decision() && !self.kind.is_broadcast()
    }
}

// === impl Making ===

impl Making<'_> {
    /// Refused with this code, unless the schema is an older one.
    fn refused(&self, code: &'static str) -> Option<Expected> {
        Some(if self.well.is_todays { Expected::Refused(code) } else { Expected::Either })
    }

    /// Writes `new` over a stretch of the value.
    fn splice(&mut self, range: std::ops::Range<usize>, new: &[u8]) {
        let mut value = self.raw.value.to_vec();
        value.splice(range, new.iter().copied());
        self.raw.value = value.into();
    }

    /// Changes the value in place.
    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>, &mut ChaCha8Rng)) {
        let mut value = self.raw.value.to_vec();
        change(&mut value, &mut self.rng);
        self.raw.value = value.into();
    }

    /// One of these, by chance.
    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    /// The text of a header, where it has one of this name.
    fn header(&mut self, name: &str) -> Option<&mut Bytes> {
        self.headers.iter_mut().find(|(known, _)| known == name).map(|(_, text)| text)
    }
}

fn headers_of(raw: &RawRecord) -> Vec<(String, Bytes)> {
    raw.headers.iter().map(|(name, value)| (name.to_owned(), raw.headers.share(value))).collect()
}
