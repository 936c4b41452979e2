//! What must hold of a folder, whatever happened to the programs that wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kit::Rooms;
use kit::room::{TOPIC, room};
use machine::oracle::{self, Breach, Judgement, Objection, Said};
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use runtime::log::{Log, LogError};
use wire::{Event, Kind, Offset, Partition, Record, StoredRecord, Timestamp};

use crate::program::{MARKS, reeve, run};

/// Records read at once.
const PAGE_RECORDS: usize = 1_000;
/// Objections that are told; of more it is only said how many.
const OBJECTIONS_TOLD_MAX: usize = 10;

/// The folder of a Reeve that does not run.
pub struct Folder(PathBuf);

/// Everything on a log, partition by partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Read(pub Vec<Vec<StoredRecord>>);

/// Every room of the house.
pub fn rooms() -> Rooms {
    vec![
        room::<incident::Incident>,
        room::<rollback::Rollback>,
        room::<capacity::Capacity>,
        room::<audit::Audit>,
        room::<escalation::Escalation>,
    ]
}

// === impl Folder ===

impl Folder {
    /// The folder at `path`.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens its log.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<std::sync::Arc<EmbeddedLog>, LogError> {
        EmbeddedLog::open(&self.0, EmbeddedOptions { topic: TOPIC.to_owned(), partitions: 4, clock: Clock::Wall })
    }

    /// Reads its log, which must be whole.
    pub fn read(&self) -> Read {
        self.try_read().expect("the log is whole")
    }

    /// Reads its log.
    ///
    /// # Errors
    /// When it cannot be opened, or not be read to its end.
    pub fn try_read(&self) -> Result<Read, LogError> {
        let log = self.open()?;
        (0..log.partitions()).map(|partition| read_all(&*log, Partition(partition))).collect::<Result<_, _>>().map(Read)
    }

    /// The archive holds the log byte for byte, and nothing else.
    pub fn archive_is_whole(&self) {
        let ended = run(reeve(&["audit", "check", "--data"]).arg(&self.0));
        assert_eq!(ended.code, Some(0), "the archive is the log: {}", ended.said);
    }
}

// === impl Read ===

impl Read {
    /// Every record that can be read.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let partitions = self.0.len() as u32;
        self.0.iter().flatten().filter_map(move |stored| Record::read_placed(stored, partitions).ok())
    }

    /// The offset after the last record of the first partition.
    pub fn end(&self) -> Offset {
        self.0.first().and_then(|records| records.last()).map_or(Offset(0), |record| record.offset.next())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of these facts stands there exactly once, as it was published, and nothing that nobody published.
    pub fn holds_once(&self, facts: &[Event]) {
        assert_eq!(self.holds(facts), 0, "facts stand there more than once");
    }

    /// Each of these facts stands there as it was published, and nothing that nobody published. How many records only say again
    /// what stands before them: two gateways may append the same fact at once, and then every room passes over the second.
    pub fn holds(&self, facts: &[Event]) -> usize {
        let mut found: BTreeMap<(String, String), Vec<Record>> = BTreeMap::new();
        let is_published = |record: &Record| !record.source.as_str().starts_with("/reeve/") && record.source.as_str() != MARKS;
        for record in self.records().filter(is_published) {
            found.entry((record.source.to_string(), record.id.to_string())).or_default().push(record);
        }
        let partitions = self.0.len();
        let (mut missing, mut repeats) = (BTreeSet::new(), 0);
        for fact in facts {
            let copies = if fact.body.kind().is_broadcast() { partitions } else { 1 };
            match found.remove(&(fact.source.to_string(), fact.id.to_string())) {
                None => drop(missing.insert(fact.id.to_string())),
                Some(there) => {
                    assert!(there.len() >= copies, "{} of {} stands on {} partitions", fact.id, fact.source, there.len());
                    repeats += there.len() - copies;
                    there.iter().for_each(|record| assert_eq!(record.event, *fact, "{} is what was published", fact.id));
                }
            }
        }
        assert!(missing.is_empty(), "{} facts that were answered with 202 are gone: {missing:?}", missing.len());
        assert!(found.is_empty(), "there are facts that nobody published: {:?}", found.keys());
        repeats
    }

    /// The oracle has nothing to object, and everything that fell due by `end` is decided.
    pub fn is_just(&self, end: Timestamp) -> Judgement {
        self.is_just_of(&rooms(), end)
    }

    /// The same where these rooms are the only ones.
    pub fn is_just_of(&self, rooms: &Rooms, end: Timestamp) -> Judgement {
        let judgement = oracle::judge(TOPIC, &self.0, rooms, end);
        none(&judgement.objections);
        judgement
    }

    /// The oracle has nothing to object, and what was owed at `time`, by all that stood there then, is decided: of rooms that are
    /// stopped while things fall due, one after the other, nobody can say more.
    pub fn is_just_up_to(&self, time: Timestamp) -> Judgement {
        let mut judgement = oracle::judge(TOPIC, &self.0, &rooms(), time);
        judgement.objections.retain(|objection| !matches!(objection.breach, Breach::StillOwed { .. }));
        none(&judgement.objections);

        let by_then = |partition: &Vec<StoredRecord>| partition.iter().take_while(|record| record.appended <= time).cloned().collect();
        let by_then: Vec<Vec<StoredRecord>> = self.0.iter().map(by_then).collect();
        let mut objections = oracle::judge(TOPIC, &by_then, &rooms(), time).objections;
        let decided: BTreeSet<_> =
            self.records().filter(|record| record.body.kind().is_decision()).map(|record| record.id.clone()).collect();
        // A watermark that comes late says no more than the one after it.
        let is_decided = |said: &Said| decided.contains(&said.id) || said.kind == Kind::RoomWatermark;
        objections.retain(|objection| !matches!(&objection.breach, Breach::StillOwed { said, .. } if is_decided(said)));
        none(&objections);
        judgement
    }
}

fn none(objections: &[Objection]) {
    let told: Vec<_> = objections.iter().take(OBJECTIONS_TOLD_MAX).collect();
    assert!(objections.is_empty(), "{} objections: {told:#?}", objections.len());
}

/// Kinds and how often they were decided, in a line.
pub fn told(by_kind: &BTreeMap<Kind, usize>) -> String {
    by_kind.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}

/// Everything on one partition.
///
/// # Errors
/// When it cannot be read to its end.
pub fn read_all(log: &dyn Log, partition: Partition) -> Result<Vec<StoredRecord>, LogError> {
    let mut records: Vec<StoredRecord> = Vec::new();
    let (mut next, end) = (Offset(0), log.end(partition)?);
    while next < end {
        let page = log.read(partition, next, PAGE_RECORDS)?;
        // Not each offset is a record's: a broker's marks and what was aborted have some, too.
        let last = page.last().unwrap_or_else(|| panic!("partition {partition} ends at {end}, and has nothing from {next} on"));
        next = last.offset.next();
        records.extend(page);
    }
    Ok(records)
}
