//! Whether a replay is whole: both topics are read anew, and every life on the one is held against the same life on the other.
//!
//! A life is what stands about one agent, in order: of each record its date, key, headers and value, all but the `asof` of a
//! decision. A broadcast belongs to the life of each new partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wire::{Body, Kind, Offset, Partition, StoredRecord, codec};

use super::sorting::{self, Left, Sorted};
use super::{MigrationError, ends};
use crate::log::{Log, LogError};

/// Lives that are named where they differ; of more it is only told how many.
const DIFFERENCES_MAX: usize = 20;
/// Records read at once.
const PAGE_RECORDS: usize = 1_000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Records by kind, on the old topic and on the new one. A broadcast counts once for each of its copies.
    pub kinds: BTreeMap<String, (u64, u64)>,
    /// Records of the old topic that stay behind.
    pub left: BTreeMap<Left, u64>,
    /// Agents that anything stands about.
    pub agents: u64,
    /// Lives that are not the same.
    pub differing: u64,
    /// The first of those.
    pub differences: Vec<Difference>,
}

/// A life that is not the same on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The agent, or the partition whose broadcasts they are.
    pub of: String,
    /// Records on the old topic, and on the new one.
    pub records: (u64, u64),
}

/// Whose life it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Agent(Bytes),
    Broadcasts(Partition),
    /// Of records that have no business there: they lie elsewhere than their key belongs, or should have stayed behind.
    Nobodys(Partition),
}

/// A life, told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    records: u64,
    digest: [u8; 32],
}

type Lives = BTreeMap<Whose, Life>;

/// Compares the old topic, from `starts` up to `cut`, with all of the new one. `progress` hears of offsets that were passed.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare(
    from: &dyn Log,
    (starts, cut): (&[Offset], &[Offset]),
    to: &dyn Log,
    progress: &mut dyn FnMut(u64),
) -> Result<Comparison, MigrationError> {
    let (before, after) = (from.partitions(), to.partitions());
    let mut found = Comparison::default();
    let (mut told, mut here) = (Lives::new(), Lives::new());
    for (partition, (start, end)) in (0..).map(Partition).zip(starts.iter().zip(cut)) {
        each(from, partition, *start..*end, progress, &mut |stored| found.tell(&mut told, stored, before, after))?;
    }
    for (partition, end) in (0..).map(Partition).zip(ends(to)?) {
        each(to, partition, Offset(0)..end, progress, &mut |stored| {
            found.hear(&mut here, stored, after);
            Ok(())
        })?;
    }
    found.agents = told.keys().filter(|whose| matches!(whose, Whose::Agent(_))).count() as u64;
    found.hold_against(&told, &here);
    Ok(found)
}

fn each(
    log: &dyn Log,
    partition: Partition,
    range: std::ops::Range<Offset>,
    progress: &mut dyn FnMut(u64),
    take: &mut dyn FnMut(&StoredRecord) -> Result<(), MigrationError>,
) -> Result<(), MigrationError> {
    let mut next = range.start;
    while next < range.end {
        let page = log.read(partition, next, PAGE_RECORDS)?;
        let Some(last) = page.last() else {
            return Err(
                LogError::RecordsLost { reason: format!("{partition} ends at {}, and has nothing from {next} on", range.end) }.into()
            );
        };
        let reached = last.offset.next().min(range.end);
        page.iter().filter(|stored| stored.offset < range.end).try_for_each(&mut *take)?;
        progress((reached.0 - next.0).unsigned_abs());
        next = reached;
    }
    Ok(())
}

// === impl Comparison ===

impl Comparison {
    /// Whether everything that was to be told again was, and nothing else.
    pub fn is_whole(&self) -> bool {
        self.differing == 0
    }

    /// A record of the old topic, and whose life it should be in on the new one.
    fn tell(&mut self, lives: &mut Lives, stored: &StoredRecord, before: u32, after: u32) -> Result<(), MigrationError> {
        match sorting::sort(stored, before, after)? {
            Sorted::Left(why) => *self.left.entry(why).or_default() += 1,
            Sorted::Kept { kind, to } => {
                self.kinds.entry(name(kind)).or_default().0 += 1;
                for partition in to {
                    live(lives, whose(kind, stored, partition), stored, &stored.raw.value);
                }
            }
            Sorted::Decided { to, body } => {
                let kind = Some(body.kind());
                self.kinds.entry(name(kind)).or_default().0 += 1;
                live(lives, whose(kind, stored, to), stored, &without_asof(*body));
            }
        }
        Ok(())
    }

    /// A record of the new topic, which should be sorted to the very partition that it stands on.
    fn hear(&mut self, lives: &mut Lives, stored: &StoredRecord, after: u32) {
        let (kind, whose, value) = match sorting::sort(stored, after, after) {
            Ok(Sorted::Kept { kind, to }) if to.contains(&stored.partition) => {
                (kind, whose(kind, stored, stored.partition), stored.raw.value.clone())
            }
            Ok(Sorted::Decided { to, body }) if to == stored.partition && knew_before(&body, stored.offset) => {
                let kind = Some(body.kind());
                (kind, whose(kind, stored, to), without_asof(*body))
            }
            _ => (stored.raw.kind(), Whose::Nobodys(stored.partition), stored.raw.value.clone()),
        };
        self.kinds.entry(name(kind)).or_default().1 += 1;
        live(lives, whose, stored, &value);
    }

    fn hold_against(&mut self, told: &Lives, here: &Lives) {
        let only_here = here.keys().filter(|whose| !told.contains_key(whose));
        for whose in told.keys().chain(only_here) {
            let lives = [told, here].map(|lives| lives.get(whose).copied().unwrap_or_default());
            if lives[0] != lives[1] {
                self.differing += 1;
                if self.differences.len() < DIFFERENCES_MAX {
                    self.differences.push(Difference { of: whose.in_words(), records: (lives[0].records, lives[1].records) });
                }
            }
        }
    }
}

fn live(lives: &mut Lives, whose: Whose, stored: &StoredRecord, value: &[u8]) {
    let life = lives.entry(whose).or_default();
    let mut hash = Sha256::new();
    hash.update(life.digest);
    hash.update(stored.appended.0.to_le_bytes());
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(stored.raw.key.as_deref().unwrap_or_default());
    for (header, text) in &stored.raw.headers {
        part(header.as_bytes());
        part(text);
    }
    part(value);
    *life = Life { records: life.records + 1, digest: hash.finalize().into() };
}

fn whose(kind: Option<Kind>, stored: &StoredRecord, to: Partition) -> Whose {
    match kind {
        Some(kind) if kind.is_broadcast() => Whose::Broadcasts(to),
        _ => Whose::Agent(stored.raw.key.clone().unwrap_or_default()),
    }
}

/// A decision's value as it is on both topics.
fn without_asof(mut body: Body) -> Bytes {
    if let Some(basis) = body.basis_mut() {
        basis.asof = Offset::BEFORE_ALL;
    }
    codec::encode(&body).into()
}

fn knew_before(body: &Body, offset: Offset) -> bool {
    body.basis().is_none_or(|basis| basis.asof < offset)
}

fn name(kind: Option<Kind>) -> String {
    kind.map_or_else(|| "unknown".to_owned(), |kind| kind.name().to_owned())
}

// === impl Whose ===

impl Whose {
    fn in_words(&self) -> String {
        match self {
            Self::Agent(key) => format!("agent {}", String::from_utf8_lossy(key)),
            Self::Broadcasts(partition) => format!("broadcasts of partition {partition}"),
            Self::Nobodys(partition) => format!("records that do not belong on partition {partition}"),
        }
    }
}
