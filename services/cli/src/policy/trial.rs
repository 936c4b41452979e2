//! `reeve policy try`: the recorded log once more under a policy, beside the one in force.
//!
//! The log is folded as it stands, up to the span that is looked at. There two branches leave it, one under the policy
//! in force and one under the proposed policy, both without what the room decided then: its decisions come home on each
//! branch as they are made. Everything else is taken from the log as it stands, the decisions of other rooms and the
//! words of people among it, although they answered to what was decided then.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::StreamExt;
use indicatif::ProgressBar;
use serde::Serialize;
use wire::{Body, Class, Event, Kind, Offset, Partition, PolicyAdopted, Record, Timestamp};

use super::adopted::{self, Adopted};
use super::branch::Branch;
use super::compare::{Comparison, Counts, Difference, Side};
use super::document::{self, Proposed};
use super::recorded::{self, Extent};
use super::told;
use crate::failure::Failure;
use crate::output;
use crate::rooms::AnyFold;
use crate::target::TargetArgs;

const EXAMPLES: &str = "\
Examples:
  reeve policy try incident.toml --last 7d                  on the Reeve that runs here
  reeve policy try incident.toml --last 36h --data ./data   on the log of a folder
  reeve policy try incident.toml --json | jq '.differences[] | select(.how == \"only_proposed\")'

The span is counted back from the last record, in the log's time. What came before
it is folded as it was. In the span the room decides twice, under the policy in
force and under FILE, and its decisions are compared: those with one id, then the
nearest of one kind, agent and session within a day.

What others did stands as it is recorded: a rollback that answered an incident is
there even if the proposed policy would have opened none, and a human who took an
escalation is not heard by one that opens at another record. Read a difference as
where the policies part, not as all that would have followed.

The audit room decides by what nobody can read, and has nothing to try.

It ends with 0 whether decisions differ or not.";

/// The room whose decisions follow from records that are none.
const UNTRIED: &str = <::audit::Audit as machine::Machine>::SERVICE;

/// `reeve policy try`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policy.
    file: PathBuf,
    /// How far back from the last record, such as 90m, 36h, 7d or 2w.
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = span_us)]
    last: i64,
    /// Differences that are listed; --json has all.
    #[arg(long, value_name = "N", default_value_t = 40)]
    rows: usize,
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a trial found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The room.
    pub(super) room: &'static str,
    /// Version of the policy in force.
    pub(super) present: String,
    /// Version of the policy that was tried.
    pub(super) proposed: String,
    /// Start of the span.
    pub(super) from: Option<Timestamp>,
    /// Its end: the last record.
    pub(super) until: Option<Timestamp>,
    /// Records of the span that the room reads, its own decisions apart.
    pub(super) records: u64,
    /// Decisions of the room that the log holds in the span.
    pub(super) recorded: u64,
    /// By kind.
    pub(super) kinds: BTreeMap<&'static str, Counts>,
    /// Every decision that differs, in order of time.
    pub(super) differences: Vec<Difference>,
}

/// What is tried, on which span.
struct Question {
    proposed: Proposed,
    /// The policy in force, where another one was in force at some time of the span: both branches begin with theirs.
    present: Option<PolicyAdopted>,
    from: Timestamp,
    until: Timestamp,
}

/// One partition of the log.
struct Trial {
    partition: Partition,
    fold: Box<dyn AnyFold>,
    /// The next offset of the log.
    next: Offset,
    branches: Option<Branches>,
}

/// The room's mind under both policies.
struct Branches {
    present: Branch,
    proposed: Branch,
}

/// What all partitions found.
#[derive(Default)]
struct Findings {
    comparison: Comparison,
    records: u64,
    recorded: u64,
}

// === impl Args ===

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let proposed = document::read(&self.file)?;
        if proposed.room == UNTRIED {
            return Err(Failure::unknown(format!("the {UNTRIED} room decides by what nobody can read, which a trial does not hear")));
        }
        let target = self.target.open()?;
        let Extent { ends, last } = recorded::extent(&target).await?;
        let all = adopted::all(&target).await?;
        let in_force = adopted::in_force(&all, proposed.room, &proposed.mind).cloned();
        let mut report = Report {
            room: proposed.room,
            present: in_force.as_ref().map_or("default", |adopted| adopted.policy.version.as_str()).to_owned(),
            proposed: proposed.version.clone(),
            from: last.map(|last| Timestamp(last.0.saturating_sub(self.last))),
            until: last,
            records: 0,
            recorded: 0,
            kinds: BTreeMap::new(),
            differences: Vec::new(),
        };
        if let (Some(from), Some(until)) = (report.from, report.until) {
            let question = Question::new(proposed, &all, in_force, from, until);
            let bar = output::bar(ends.iter().map(|end| end.0.unsigned_abs()).sum(), "records");
            let kinds = question.reads();
            let found = question.answer(recorded::records(&target, &kinds).await?, &bar).await?;
            bar.finish_and_clear();
            (report.records, report.recorded) = (found.records, found.recorded);
            (report.kinds, report.differences) = found.comparison.finish();
        }
        if self.json { output::json(&report) } else { told::tell(&report, self.rows) }
    }
}

// === impl Question ===

impl Question {
    fn new(proposed: Proposed, all: &[Adopted], in_force: Option<Adopted>, from: Timestamp, until: Timestamp) -> Self {
        let changed = all.iter().any(|adopted| adopted.policy.room == proposed.room && adopted.at >= from);
        let present = changed.then(|| match in_force {
            Some(adopted) => adopted.policy,
            None => PolicyAdopted { version: "default".to_owned(), document: "{}".to_owned(), ..proposed.adopted("-", "-") },
        });
        Self { proposed, present, from, until }
    }

    /// The kinds that the room reads.
    fn reads(&self) -> Vec<Kind> {
        let fold = (self.proposed.mind.fold)(Partition(0));
        Kind::ALL.iter().copied().filter(|kind| fold.reads(*kind)).collect()
    }

    async fn answer(
        &self,
        mut records: impl futures::Stream<Item = Result<Record, Failure>> + Unpin,
        bar: &ProgressBar,
    ) -> Result<Findings, Failure> {
        let mut found = Findings::default();
        let mut trials = BTreeMap::<Partition, Trial>::new();
        while let Some(record) = records.next().await.transpose()? {
            // What was appended while we read belongs to the next trial.
            if record.appended > self.until {
                continue;
            }
            let trial = trials.entry(record.partition).or_insert_with(|| Trial::new(self, record.partition));
            bar.inc(record.offset.next().0.saturating_sub(trial.next.0).unsigned_abs());
            trial.take(self, &record, &mut found)?;
        }
        trials.into_values().try_for_each(|trial| trial.finish(self, &mut found))?;
        Ok(found)
    }

    fn is_own(&self, event: &Event) -> bool {
        event.body.kind().class() == Class::Decision && event.source.as_str().strip_prefix("/reeve/") == Some(self.proposed.room)
    }
}

// === impl Trial ===

impl Trial {
    fn new(question: &Question, partition: Partition) -> Self {
        Self { partition, fold: (question.proposed.mind.fold)(partition), next: Offset(0), branches: None }
    }

    fn take(&mut self, question: &Question, record: &Record, found: &mut Findings) -> Result<(), Failure> {
        if record.appended >= question.from && self.branches.is_none() {
            self.branch(question, found)?;
        }
        self.next = record.offset.next();
        // A fact that was published twice is folded once, on the branches as on the log.
        let is_new = self.fold.fold(record);
        let Some(branches) = self.branches.as_mut().filter(|_| is_new) else { return Ok(()) };
        if question.is_own(record) {
            found.recorded += u64::from(record.body.kind() != Kind::RoomWatermark);
            return Ok(());
        }
        match &record.body {
            // Each branch goes by its own policy throughout.
            Body::PolicyAdopted(adopted) if adopted.room == question.proposed.room => Ok(()),
            _ => {
                found.records += 1;
                found.take(Side::Present, branches.present.fold(record)?)?;
                found.take(Side::Proposed, branches.proposed.fold(record)?)
            }
        }
    }

    /// Two branches leave the log here.
    fn branch(&mut self, question: &Question, found: &mut Findings) -> Result<(), Failure> {
        let begin = || Branch::new(question.proposed.room, self.partition, self.fold.machine(), self.next, self.fold.appended());
        let (mut present, mut proposed) = (begin(), begin());
        if let Some(policy) = &question.present {
            found.take(Side::Present, present.adopt(policy.clone(), question.from)?)?;
        }
        let policy = question.proposed.adopted("-", "-");
        found.take(Side::Proposed, proposed.adopt(policy, question.from)?)?;
        self.branches = Some(Branches { present, proposed });
        Ok(())
    }

    /// Lets time pass to the end of the span.
    fn finish(mut self, question: &Question, found: &mut Findings) -> Result<(), Failure> {
        if self.branches.is_none() {
            self.branch(question, found)?;
        }
        let Some(Branches { mut present, mut proposed }) = self.branches else { return Ok(()) };
        found.take(Side::Present, present.pass_to(question.until)?)?;
        found.take(Side::Proposed, proposed.pass_to(question.until)?)
    }
}

// === impl Findings ===

impl Findings {
    fn take(&mut self, side: Side, said: Vec<Event>) -> Result<(), Failure> {
        said.iter().try_for_each(|event| self.comparison.take(side, event))
    }
}

/// A span such as `7d` or `1h30m`, in microseconds. A day has 24 hours.
fn span_us(text: &str) -> Result<i64, String> {
    let span: jiff::Span = text.parse().map_err(|_| "a span is a number with a unit, such as 90m, 36h, 7d or 2w".to_owned())?;
    let span_us = span.total((jiff::Unit::Microsecond, jiff::SpanRelativeTo::days_are_24_hours()));
    match span_us {
        Ok(span_us) if span_us > 0.0 => Ok(span_us as i64),
        _ => Err("a span is more than nothing, and has no months or years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_what_is_none_is_refused() {
        assert_eq!(span_us("90m"), Ok(90 * 60 * 1_000_000));
        assert_eq!((span_us("7d"), span_us("2w")), (Ok(7 * 86_400 * 1_000_000), Ok(14 * 86_400 * 1_000_000)));
        for wrong in ["", "7", "0d", "-3h", "2 months", "soon"] {
            assert!(span_us(wrong).is_err(), "{wrong}");
        }
    }
}
