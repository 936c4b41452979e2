//! An import into a folder: the recording is lived through in its own time, with every room in this program.
//!
//! The importer owns the log's clock. Before facts of a later time are appended, the clock runs from deadline to
//! deadline, and the rooms answer at each until nothing is owed; after the last fact it runs on until nobody has a
//! deadline left. So the rooms decide as they would have, had they been there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;
use machine::WATERMARK_EVERY_S;
use runtime::log::embedded::{Clock, EmbeddedLog, EmbeddedOptions, OwnedClock};
use runtime::log::{Addressed, AppendError, Log, LogError};
use runtime::pump::Step;
use wire::{Body, Kind, Offset, Partition, Role, Timestamp};

use super::Report;
use super::facts::Fact;
use crate::failure::Failure;
use crate::rooms::{self, AnyPump};
use crate::target::{PARTITIONS, TOPIC};

/// Facts of one write.
const BATCH_FACTS_MAX: usize = 200;
/// Seconds that one write spans: nothing that a fact brings about falls due sooner, except what is due at once.
const BATCH_SECONDS_MAX: i64 = WATERMARK_EVERY_S;
/// Steps within which the rooms come to rest at one moment.
const STEPS_MAX: usize = 100_000;
/// Deadlines that may pass between two facts, or after the last. A room that had more would never come to rest.
const DEADLINES_MAX: usize = 1_000_000;
/// Records read at once.
const PAGE_RECORDS: usize = 1_000;

/// Publishes `facts` in their order into the log in `folder`, every room beside them.
///
/// # Errors
/// When a fact is refused, unless `skip_bad`: then it alone is left out. When the folder cannot be held or written.
pub(super) fn through(folder: &Path, facts: &[Fact], skip_bad: bool, bar: &ProgressBar, report: &mut Report) -> Result<(), Failure> {
    let mut house = House::open(folder, facts.first().and_then(|fact| fact.at))?;
    let begun = house.ends()?;
    let mut rest = facts;
    while let Some(first) = rest.first() {
        let due = house.pass_to(first.at)?;
        let (batch, later) = rest.split_at(house.batch_length(rest, due));
        house.append(batch, skip_bad, report)?;
        bar.inc(batch.len() as u64);
        rest = later;
    }
    house.pass_to_the_end()?;
    report.decisions = Some(house.decisions_since(&begun)?);
    Ok(())
}

/// The log, its clock, and the rooms that read it.
struct House {
    log: Arc<EmbeddedLog>,
    clock: Arc<OwnedClock>,
    rooms: Vec<Box<dyn AnyPump>>,
}

// === impl House ===

impl House {
    /// Opens the log in `folder`, or begins one whose clock starts at `first`: at the epoch where nothing is dated.
    fn open(folder: &Path, first: Option<Timestamp>) -> Result<Self, Failure> {
        // The log keeps the latest of this and of what it holds.
        let clock = OwnedClock::starting_at(Timestamp(0));
        let options = EmbeddedOptions { topic: TOPIC.to_owned(), partitions: PARTITIONS, clock: Clock::Owned(Arc::clone(&clock)) };
        let log = EmbeddedLog::open(folder, options)?;
        let rooms = rooms::ALL.iter().filter_map(|room| room.mind).map(|mind| (mind.pump)(log.clone())).collect();
        let house = Self { log, clock, rooms };
        if house.ends()?.iter().all(|end| *end == Offset(0)) {
            house.clock.set(first.unwrap_or(Timestamp(0)));
        }
        Ok(house)
    }

    /// Lets time pass to `time` deadline by deadline, or not at all where it is absent or past. The next deadline.
    fn pass_to(&mut self, time: Option<Timestamp>) -> Result<Option<Timestamp>, Failure> {
        for _ in 0..DEADLINES_MAX {
            let due = self.settle()?;
            let Some(time) = time.filter(|time| *time > self.log.now()) else { return Ok(due) };
            self.clock.set(due.map_or(time, |due| due.min(time)));
        }
        Err(Failure::internal(format!("a room had more than {DEADLINES_MAX} deadlines between two facts")))
    }

    /// Lets time pass until nobody has a deadline left.
    fn pass_to_the_end(&mut self) -> Result<(), Failure> {
        for _ in 0..DEADLINES_MAX {
            match self.settle()? {
                Some(due) => self.clock.set(due),
                None => {
                    self.rooms.iter_mut().try_for_each(|room| room.drain())?;
                    return Ok(());
                }
            }
        }
        Err(Failure::internal(format!("a room had more than {DEADLINES_MAX} deadlines after the last fact")))
    }

    /// Lets the rooms answer until nothing is owed at this moment. The next deadline.
    fn settle(&mut self) -> Result<Option<Timestamp>, Failure> {
        for _ in 0..STEPS_MAX {
            let steps: Vec<Step> = self.rooms.iter_mut().map(|room| room.step()).collect::<Result<_, _>>()?;
            if steps.iter().all(|step| step.idle && step.restored) {
                return Ok(steps.iter().filter_map(|step| step.next_due).min());
            }
        }
        Err(Failure::internal(format!("the rooms did not come to rest within {STEPS_MAX} steps")))
    }

    /// How many of the next facts stand before the next deadline, before whatever the first of them may bring about,
    /// and up to the first that a room may answer at once.
    fn batch_length(&self, facts: &[Fact], due: Option<Timestamp>) -> usize {
        let first = self.date(&facts[0]);
        let fits = |fact: &&Fact| {
            let date = self.date(fact);
            due.is_none_or(|due| date < due) && date <= first.plus_s(BATCH_SECONDS_MAX)
        };
        let fitting = facts.iter().take(BATCH_FACTS_MAX).take_while(fits).count().max(1);
        facts[..fitting].iter().position(may_be_answered).map_or(fitting, |answered| answered + 1)
    }

    /// When the log appends a fact: in its own time, unless the log is further already.
    fn date(&self, fact: &Fact) -> Timestamp {
        fact.at.map_or(self.log.now(), |at| at.max(self.log.now()))
    }

    /// Appends facts, each at its own date.
    fn append(&mut self, batch: &[Fact], skip_bad: bool, report: &mut Report) -> Result<(), Failure> {
        let partitions = self.log.partitions();
        let mut batch: Vec<&Fact> = batch.iter().collect();
        loop {
            let dated = |fact: &&Fact| {
                let addressed = Addressed { partition: fact.event.partition(partitions), record: fact.event.to_raw() };
                (self.date(fact), addressed)
            };
            let last = batch.iter().map(|fact| self.date(fact)).max().unwrap_or(self.log.now());
            match self.log.append_dated(batch.iter().map(dated).collect()) {
                Ok(appended) => {
                    let repeated = appended.iter().filter(|appended| appended.repeated).count();
                    report.repeated += repeated;
                    report.added += appended.len() - repeated;
                    self.clock.set(last);
                    return Ok(());
                }
                Err(AppendError::IdTaken(positions)) => {
                    for position in &positions {
                        report.leave_out(taken(batch[*position]), skip_bad)?;
                    }
                    positions.iter().rev().for_each(|position| {
                        batch.remove(*position);
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn ends(&self) -> Result<Vec<Offset>, LogError> {
        (0..self.log.partitions()).map(|partition| self.log.end(Partition(partition))).collect()
    }

    /// What the rooms decided since the partitions ended there, by kind; how far they have come is no news.
    fn decisions_since(&self, begun: &[Offset]) -> Result<BTreeMap<String, usize>, LogError> {
        let mut decisions = BTreeMap::new();
        for (partition, begun) in (0..).map(Partition).zip(begun) {
            let mut next = *begun;
            loop {
                let page = self.log.read(partition, next, PAGE_RECORDS)?;
                let Some(last) = page.last() else { break };
                next = last.offset.next();
                for kind in page.iter().filter_map(|stored| stored.raw.kind()) {
                    if kind.is_decision() && kind != Kind::RoomWatermark {
                        *decisions.entry(kind.name().to_owned()).or_default() += 1;
                    }
                }
            }
        }
        Ok(decisions)
    }
}

/// Whether a room may decide something at this very fact: then nothing that happened later stands before the decision.
fn may_be_answered(fact: &Fact) -> bool {
    match &fact.event.body {
        Body::OutcomeReported(_) => true,
        Body::SessionEnded(_) => !fact.quiet,
        Body::ToolReturned(returned) => returned.failed == Some(true),
        Body::ModelCalled(called) => called.failed == Some(true),
        // What a customer says may call for a human, and so may a call made once too often or a decision in doubt.
        Body::MessagePosted(posted) => posted.role == Role::User,
        Body::ToolCalled(called) => called.by == Role::Agent,
        Body::DecisionMade(made) => made.confidence.is_some(),
        Body::HarmReported(_) | Body::FindingReported(_) => true,
        _ => false,
    }
}

fn taken(fact: &Fact) -> super::Fault {
    fact.place.fault(None, format!("the log holds this {} with another content", fact.event.body.kind()))
}
