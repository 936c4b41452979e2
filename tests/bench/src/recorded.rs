//! The mix of kinds that everything is measured over: recorded sessions of real agents, lived through by every room, so
//! that decisions and watermarks lie among the facts as they do on a log. Without recordings, generated lives.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kit::house::House;
use kit::lives::agent_life;
use kit::room::room;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use runtime::log::Log;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use wire::{Event, Offset, Partition, Record, StoredRecord};

use crate::Failure;

/// The recordings, in the folder of recorded data.
const SET: &str = "tau2_bench";
/// Records read at once.
const PAGE_RECORDS: usize = 1_000;
/// Generated lives, where there are no recordings: about as many records as those give.
const LIVES: i64 = 400;
/// Between the beginnings of two generated lives.
const LIFE_S: i64 = 90 * 86_400;

/// A log, in memory.
pub(crate) struct Recorded {
    /// Where its records come from, in words.
    pub(crate) origin: String,
    /// Its records, by partition.
    pub(crate) partitions: Vec<Vec<StoredRecord>>,
}

// === impl Recorded ===

impl Recorded {
    /// The log that an import left in `folder`; or one that is imported now; or, without recordings, a generated one.
    pub(crate) fn get(folder: Option<&Path>) -> Result<Self, Failure> {
        if let Some(folder) = folder {
            return Self::read(folder, &format!("the log in {}", folder.display()));
        }
        let files = recordings();
        if files.is_empty() {
            return Ok(Self::generated());
        }
        let folder = tempfile::tempdir()?;
        import(&files, folder.path())?;
        Self::read(folder.path(), &format!("{} files of recorded sessions ({SET}), lived through by every room", files.len()))
    }

    /// Every record, partition by partition.
    pub(crate) fn records(&self) -> impl Iterator<Item = &StoredRecord> {
        self.partitions.iter().flatten()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }

    /// What platforms and people said in it, in order of its time.
    pub(crate) fn facts(&self) -> Result<Vec<Event>, Failure> {
        let mut facts: Vec<Record> = self.records().map(Record::read).collect::<Result<_, _>>()?;
        facts.retain(|record| !record.body.kind().is_reeves_own() && !record.body.kind().is_broadcast());
        facts.sort_by_key(|record| (record.appended, record.partition, record.offset));
        Ok(facts.into_iter().map(|record| record.event).collect())
    }

    fn read(folder: &Path, origin: &str) -> Result<Self, Failure> {
        let options = EmbeddedOptions { topic: "agent-events".to_owned(), partitions: 4, clock: Clock::Wall };
        let log = EmbeddedLog::open(folder, options)?;
        let partitions = (0..log.partitions()).map(|partition| whole(&*log, Partition(partition))).collect::<Result<_, _>>()?;
        Ok(Self { origin: origin.to_owned(), partitions })
    }

    fn generated() -> Self {
        let mut runner = TestRunner::deterministic();
        let mut house = House::new(&vec![
            room::<incident::Incident>,
            room::<rollback::Rollback>,
            room::<capacity::Capacity>,
            room::<escalation::Escalation>,
        ]);
        for life in 0..LIVES {
            let tree = agent_life().new_tree(&mut runner).expect("a life has no condition that could fail");
            for (time, mut event) in tree.current() {
                event.key = format!("{}-{}", event.key, life % 40).into();
                event.id = format!("{}-{life}", event.id).into();
                event.time = event.time.map(|time| time.plus_s(life * LIFE_S));
                house.tell(time.plus_s(life * LIFE_S).max(house.now()), event);
            }
        }
        let stored = |record: &Record| StoredRecord {
            partition: record.partition,
            offset: record.offset,
            appended: record.appended,
            raw: record.to_raw(),
        };
        let origin = "generated lives, because there are no recordings (REEVE_SHARED_DATA names their folder)".to_owned();
        Self { origin, partitions: vec![house.log().iter().map(stored).collect()] }
    }
}

/// The same said of another agent by another platform, one of many of this number.
pub(crate) fn by_another(fact: &Event, nth: usize) -> Event {
    Event { key: format!("{}-{nth}", fact.key).into(), source: format!("{}-{nth}", fact.source).into(), ..fact.clone() }
}

/// Everything that lies on a partition.
pub(crate) fn whole(log: &dyn Log, partition: Partition) -> Result<Vec<StoredRecord>, Failure> {
    let mut records: Vec<StoredRecord> = Vec::new();
    loop {
        let page = log.read(partition, records.last().map_or(Offset(0), |last| last.offset.next()), PAGE_RECORDS)?;
        if page.is_empty() {
            return Ok(records);
        }
        records.extend(page);
    }
}

fn recordings() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("REEVE_SHARED_DATA").map_or_else(beside, PathBuf::from).join(SET);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "gz")).collect();
    files.sort();
    files
}

/// Lets the `reeve` that was built beside this program live through recordings.
fn import(files: &[PathBuf], folder: &Path) -> Result<(), Failure> {
    let reeve = std::env::current_exe()?.with_file_name("reeve");
    let done = Command::new(&reeve).arg("import").args(files).arg("--data").arg(folder).stdout(Stdio::null()).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(format!("{} import ended with {status}", reeve.display()))),
        Err(error) => Err(Failure(format!("cannot run {}, which `make bench` builds: {error}", reeve.display()))),
    }
}
