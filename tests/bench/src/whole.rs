//! What the house does as a whole: events per second from a publisher to the last fold, and how long a harm waits for its
//! rollback order against as many bare commits.

use runtime::decide::open_log;
use runtime::log::{Addressed, Log};
use std::sync::Arc;
use std::time::Duration;
use wire::{Event, Kind, Offset, Partition, StoredRecord};

use crate::Failure;
use crate::house::House;
use crate::recorded::by_another;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;
use kit::{Teller, facts};

/// The name of this part.
pub(crate) const PART: &str = "house";

/// Agents that live through the recordings side by side: one alone is too short a log to be timed.
const COPIES: usize = 4;
/// Harms of a round: so many that a 99th percentile is not the longest.
const HARMS: usize = 200;
/// Commits from a harm to its order: the harm's own, the incident's, the order's.
const COMMITS: usize = 3;
/// The longest that a reader waits for the log before it looks again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Waits before an order is given up.
const WAITS_MAX: usize = 100;

/// Everything that is published in a round of [`throughput`].
pub(crate) fn copies(facts: &[Event]) -> Vec<Event> {
    facts.iter().flat_map(|fact| (0..COPIES).map(move |nth| by_another(fact, nth))).collect()
}

/// One round of the whole loop, on a log of its own.
pub(crate) fn throughput(events: &[Event], lines: &mut Lines) -> Result<(), Failure> {
    let house = House::open()?;
    let watch = Watch::begin();
    house.publish(events)?;
    let published_s = watch.wall().as_secs_f64();
    house.until_folded()?;
    let (wall_s, cpu_s) = (watch.wall().as_secs_f64(), watch.cpu_s());
    house.close()?;
    let count = events.len() as f64;
    let sample = |value| Sample { cpu_s, value };
    lines.note(PART, "publisher to last fold, all rooms", "events per second", Some(Goal::AtLeast(30_000.0)), sample(count / wall_s));
    lines.note(PART, "the same by processors", "events per CPU second", None, sample(count / cpu_s));
    lines.note(PART, "the publisher alone", "events per second", None, sample(count / published_s));
    Ok(())
}

/// One round of harms, each against as many bare commits on a log of its own, in turn.
pub(crate) fn harms(lines: &mut Lines) -> Result<(), Failure> {
    let house = House::open()?;
    let folder = tempfile::tempdir()?;
    let bare = open_log(&runtime::config::LogConfig::Embedded {
        path: folder.path().to_owned(),
        topic: "bare".to_owned(),
        partitions: house.log.partitions(),
    })?;
    let began = Watch::begin();
    let (mut orders, mut commits) = (Vec::new(), Vec::new());
    for nth in 0..HARMS {
        let agent = format!("agent-{nth}");
        let mut platform = Teller::new(&agent);
        let now = house.log.now();
        house.publish(&[
            platform.tell(now, None, facts::deployed("v1")),
            Teller::person("ann", &agent).tell(now, None, facts::baseline("v1")),
            platform.tell(now, None, facts::deployed("v2")),
            platform.tell(now, Some("s1"), facts::started("v2", Some("refunds"))),
        ])?;
        house.until_folded()?;
        let harm = platform.tell(now, Some("s1"), facts::harm(true));
        orders.push(ms(order_for(&*house.log, &harm)?));
        commits.push(ms(bare_commits(&bare, &harm, nth)?));
    }
    let cpu_s = began.cpu_s();
    house.close()?;
    let sample = |value| Sample { cpu_s, value };
    let ratio = |percent| sample(percentile(&orders, percent) / percentile(&commits, percent));
    lines.note(PART, "harm to visible rollback order, p50", "ms", None, sample(percentile(&orders, 50)));
    lines.note(PART, "as many bare commits, p50", "ms", None, sample(percentile(&commits, 50)));
    lines.note(PART, "harm to order over bare commits, p50", "x", Some(Goal::AtMost(1.3)), ratio(50));
    lines.note(PART, "harm to order over bare commits, p99", "x", Some(Goal::AtMost(2.0)), ratio(99));
    Ok(())
}

/// From handing a harm to the log to reading the order that it brings about.
fn order_for(log: &dyn Log, harm: &Event) -> Result<Duration, Failure> {
    let partition = harm.partition(log.partitions());
    let from = log.end(partition)?;
    let ordered = |record: &StoredRecord| {
        record.raw.kind() == Some(Kind::RollbackOrdered) && record.raw.key.as_deref() == Some(harm.key.as_str().as_bytes())
    };
    let mut seen = log.wait(0, Duration::ZERO);
    let watch = Watch::begin();
    log.append(vec![Addressed { partition, record: harm.to_raw() }])?;
    for _ in 0..WAITS_MAX {
        if log.read(partition, from, 100)?.iter().any(ordered) {
            return Ok(watch.wall());
        }
        seen = log.wait(seen, WAIT_MAX);
    }
    Err(Failure(format!("no rollback of {} was ordered", harm.key)))
}

/// As many commits of one record as lie between a harm and its order, each read when it is there.
fn bare_commits(log: &Arc<dyn Log>, harm: &Event, nth: usize) -> Result<Duration, Failure> {
    let watch = Watch::begin();
    for commit in 0..COMMITS {
        let record = Event { id: format!("bare-{nth}-{commit}").into(), ..harm.clone() }.to_raw();
        let appended = log.append(vec![Addressed { partition: Partition(0), record }])?;
        let at = appended.first().map_or(Offset(0), |appended| appended.offset);
        log.read(Partition(0), at, 1)?;
    }
    Ok(watch.wall())
}

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The value that so many of a hundred do not pass, by rank.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}
