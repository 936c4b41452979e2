//! The embedded log in a folder, opened in this program: the same libraries, without a server.

mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use incident::Incident;
use machine::{Fold, Machine};
use rollback::Rollback;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions};
use runtime::log::merge::Cursor;
use runtime::log::{Addressed, AppendError, Log, LogError};
use serde_json::Value;
use wire::cloudevents::{Door, parse_structured, to_structured};
use wire::{AgentId, Event, Kind, Offset, Partition, Record, StoredRecord};

use self::reading::Reading;
use crate::failure::{Exit, Failure};
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
            let (incident, rollback) = (self.fold::<Incident>(partition)?, self.fold::<Rollback>(partition)?);
            let known: BTreeSet<_> = incident.machine().agents().into_iter().chain(rollback.machine().agents()).collect();
            for known in known.iter().filter(|known| agent.as_ref().is_none_or(|agent| agent == *known)) {
                report.add(known.as_str(), incident.machine().standing(known, incident.appended()));
                report.add(known.as_str(), rollback.machine().standing(known, rollback.appended()));
            }
        }
        Ok(report)
    }

    fn fold<M: Machine>(&self, partition: Partition) -> Result<Fold<M>, LogError> {
        let mut fold = Fold::new(partition);
        let mut next = Offset(0);
        loop {
            let page = self.log.read(partition, next, PAGE_RECORDS)?;
            let Some(last) = page.last() else { return Ok(fold) };
            next = last.offset.next();
            for stored in &page {
                let reads = stored.raw.kind().is_some_and(Fold::<M>::reads);
                match reads.then(|| Record::read(stored)) {
                    Some(Ok(record)) => {
                        fold.fold(&record);
                    }
                    Some(Err(_)) | None => fold.skip(stored.offset, stored.appended),
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
