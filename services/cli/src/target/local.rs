//! The embedded log in a folder, opened in this program: the same libraries, without a server.

mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use machine::Unreadable;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use runtime::log::merge::Cursor;
use runtime::log::{Addressed, AppendError, Log, LogError};
use serde_json::Value;
use wire::cloudevents::{Door, parse_structured, to_structured};
use wire::{AgentId, Event, Kind, Offset, Partition, Record, StoredRecord};

use self::reading::Reading;
use crate::failure::{Exit, Failure};
use crate::rooms::{self, AnyFold};
use crate::standing::Report;
use crate::target::{Events, Filter, Published, Rejected};

/// Name of the topic, wherever nobody chose another.
pub const TOPIC: &str = "agent-events";
/// Partitions of a log that is begun here.
pub const PARTITIONS: u32 = 4;
/// The file of a log in its folder. Whoever only reads begins none, least of all in a folder that was named by mistake.
const LOG_FILE: &str = "log.redb";
/// Records read from the log at once.
const PAGE_RECORDS: usize = 512;

/// An embedded log that nobody else holds.
pub struct Local {
    folder: PathBuf,
    log: Arc<EmbeddedLog>,
}

// === impl Local ===

impl Local {
    /// Opens the log in `folder`.
    ///
    /// # Errors
    /// When there is none, another program holds it, or it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        if !folder.join(LOG_FILE).exists() {
            let why = if folder.is_dir() { format!("it holds no {LOG_FILE}") } else { "the folder does not exist".to_owned() };
            return Err(Failure::new(Exit::NoInput, format!("there is no log in {}: {why}", folder.display())));
        }
        Self::open_or_begin(folder)
    }

    /// Opens the log in `folder`, or begins one there.
    ///
    /// # Errors
    /// When another program holds it, or it cannot be read or written.
    pub fn open_or_begin(folder: &Path) -> Result<Self, Failure> {
        let options = EmbeddedOptions { topic: TOPIC.to_owned(), partitions: PARTITIONS, clock: Clock::Wall };
        Ok(Self { folder: folder.to_owned(), log: EmbeddedLog::open(folder, options)? })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log.
    pub fn log(&self) -> &dyn Log {
        &*self.log
    }

    /// The records that the filter lets through.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn events(&self, filter: &Filter) -> Result<Events, Failure> {
        if filter.follow {
            return Err(Failure::usage("a folder that is opened here cannot be followed: nobody else can write to it"));
        }
        let from = Cursor::parse(filter.from.as_deref().unwrap_or_default()).map_err(|error| Failure::usage(error.to_string()))?;
        let sieve = Sieve::new(filter);
        let topic = self.log.topic().to_owned();
        let events = Reading::new(self.log.clone(), from).filter_map(move |read| match read {
            Ok((stored, cursor)) => sieve.admits(&stored).then(|| Ok(to_structured(&stored, &topic, Some(&cursor)))),
            Err(error) => Some(Err(Failure::from(error))),
        });
        Ok(stream::iter(events.take(filter.limit.unwrap_or(usize::MAX))).boxed())
    }

    /// Appends structured CloudEvents, all or none.
    ///
    /// # Errors
    /// [`Rejected`].
    pub fn publish(&self, events: &[Value]) -> Result<Published, Rejected> {
        let mut faults = Vec::new();
        let mut records = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            match parse_structured(event.to_string().as_bytes(), Door::Public) {
                Ok(event) => records.extend(self.addressed(&event).map(|record| (index, record))),
                Err(refusals) => faults.extend(refusals.iter().map(|refusal| (index, refusal.to_string()))),
            }
        }
        if !faults.is_empty() {
            return Err(Rejected::Faults(faults));
        }
        let (indices, records): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        match self.log.append(records) {
            Ok(appended) => {
                let mut fresh = vec![false; events.len()];
                indices.iter().zip(&appended).for_each(|(index, appended)| fresh[*index] |= !appended.repeated);
                let new = fresh.iter().filter(|fresh| **fresh).count();
                Ok(Published { new, repeated: events.len() - new })
            }
            Err(AppendError::IdTaken(positions)) => {
                let taken = "its source and id stand on the log with another body";
                Err(Rejected::Faults(positions.iter().map(|position| (indices[*position], taken.to_owned())).collect()))
            }
            Err(error) => Err(Rejected::Failed(error.into())),
        }
    }

    /// How one agent stands, or all of them, by folding the log; as of the last record of each partition.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn standing(&self, agent: Option<&str>) -> Result<Report, Failure> {
        let agent = agent.map(AgentId::from);
        let mut report = Report::default();
        for partition in (0..self.log.partitions()).map(Partition) {
            // An agent's whole life lies on one partition.
            if agent.as_ref().is_some_and(|agent| home(agent, self.log.partitions()) != partition) {
                continue;
            }
            let folds = self.folds(partition)?;
            let known: BTreeSet<_> = folds.iter().flat_map(|fold| fold.agents()).collect();
            for known in known.iter().filter(|known| agent.as_ref().is_none_or(|agent| agent == *known)) {
                folds.iter().for_each(|fold| report.add(known.as_str(), fold.standing(known, fold.appended())));
            }
        }
        Ok(report)
    }

    /// Where each partition ends.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn ends(&self) -> Result<Vec<Offset>, Failure> {
        let ends = (0..self.log.partitions()).map(|partition| self.log.end(Partition(partition)));
        Ok(ends.collect::<Result<_, _>>()?)
    }

    /// A partition as every room that thinks has folded it.
    fn folds(&self, partition: Partition) -> Result<Vec<Box<dyn AnyFold>>, LogError> {
        let mut folds: Vec<_> = rooms::ALL.iter().filter_map(|room| room.mind).map(|mind| (mind.fold)(partition)).collect();
        let mut next = Offset(0);
        loop {
            let page = self.log.read(partition, next, PAGE_RECORDS)?;
            let Some(last) = page.last() else { return Ok(folds) };
            next = last.offset.next();
            for stored in &page {
                let kind = stored.raw.kind();
                let read = Record::read_placed(stored, self.log.partitions());
                for fold in &mut folds {
                    match &read {
                        Ok(record) if fold.reads(record.body.kind()) => drop(fold.fold(record)),
                        // What is framed as nothing known every room looks at, to say what is wrong with it.
                        Err(refusal) if refusal.blames_the_record() && kind.is_none_or(|kind| fold.reads(kind)) => {
                            fold.refuse(&Unreadable { topic: self.log.topic(), stored, refusal });
                        }
                        _ => fold.skip(stored.offset, stored.appended),
                    }
                }
            }
        }
    }

    /// Where an event goes: its key's partition, or all of them.
    fn addressed(&self, event: &Event) -> impl Iterator<Item = Addressed> + use<> {
        let partitions = self.log.partitions();
        let to =
            if event.body.kind().is_broadcast() { 0..partitions } else { event.partition(partitions).0..event.partition(partitions).0 + 1 };
        let record = event.to_raw();
        to.map(move |partition| Addressed { partition: Partition(partition), record: record.clone() })
    }
}

fn home(agent: &AgentId, partitions: u32) -> Partition {
    wire::partitioner::partition_of(agent.as_str().as_bytes(), partitions)
}

/// A filter as it is held against stored bytes: nothing of a value is read to judge it.
struct Sieve {
    kinds: Vec<Kind>,
    agent: Option<String>,
    session: Option<String>,
    id: Option<String>,
}

// === impl Sieve ===

impl Sieve {
    fn new(filter: &Filter) -> Self {
        Self {
            kinds: filter.kinds.iter().filter_map(|kind| Kind::from_name(kind)).collect(),
            agent: filter.agent.clone(),
            session: filter.session.clone(),
            id: filter.id.clone(),
        }
    }

    fn admits(&self, stored: &StoredRecord) -> bool {
        let raw = &stored.raw;
        let header = |wanted: &Option<String>, name| wanted.as_deref().is_none_or(|wanted| raw.header(name) == Some(wanted));
        (self.kinds.is_empty() || raw.kind().is_some_and(|kind| self.kinds.contains(&kind)))
            && self.agent.as_deref().is_none_or(|agent| raw.key.as_deref() == Some(agent.as_bytes()))
            && header(&self.session, "ce_subject")
            && header(&self.id, "ce_id")
    }
}
