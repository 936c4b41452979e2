//! Five times more is published than the disk takes.

use std::collections::BTreeMap;

use torture::dice::tenth_or_whole;
use torture::ground::{folder, say};
use torture::overload::{Options, measure};
use torture::program::{Up, up};
use torture::proof::{Folder, told};
use wire::Kind;

/// What Reeve may have in memory beyond what it had before: 80 requests with their bodies, and the pages that the store keeps.
const MEMORY_MORE_MAX: u64 = 160 << 20;

#[test]
fn a_flood_is_told_to_come_again_and_nothing_that_was_accepted_is_lost() {
    let folder = folder();
    let options = Options { seconds: tenth_or_whole(6, 60), flush_ms: 150, times: 5, harms: 7 };
    let (report, end) = measure(folder.path(), options);
    let megabytes = |bytes: u64| bytes >> 20;
    say(&format!(
        "{} facts a second on a disk that takes {}: {} accepted, {} told to come again; {} MiB in memory before, {} MiB at most; \
         a P1 harm was answered by an order after {:?} ms unloaded and {:?} ms overloaded: x{:.2} at the median, x{:.2} at the longest",
        report.published_per_s,
        report.disk_per_s,
        report.accepted,
        report.refused,
        megabytes(report.memory_before),
        megabytes(report.memory_max),
        report.unloaded_ms,
        report.overloaded_ms,
        report.p50_ratio,
        report.max_ratio,
    ));
    assert!(report.wrong.is_empty(), "every answer is 202, or 429 or 503 with Retry-After and a problem: {:#?}", report.wrong);
    assert!(report.refused > report.accepted as u64, "it was a flood: {report:?}");
    assert!(report.memory_max < report.memory_before + MEMORY_MORE_MAX, "{} MiB", megabytes(report.memory_max));

    let data = Folder::at(&folder.path().join("data"));
    let log = data.read();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    log.records().for_each(|record| *found.entry(record.id.to_string()).or_default() += 1);
    let not_once: Vec<_> = report.ids.iter().filter(|id| found.get(*id) != Some(&1)).collect();
    assert!(not_once.is_empty(), "{} of what was accepted does not stand there once: {not_once:?}", not_once.len());
    let judgement = log.is_just(end);
    let orders = judgement.by_kind.get(&Kind::RollbackOrdered).copied().unwrap_or(0);
    assert_eq!(orders, options.harms * 2, "every harm was answered once: {:?}", judgement.by_kind);
    // A drain leaves what a slow disk does not take in its time to the archive of the next start.
    let up = Up::start(&mut up(data.path()));
    up.settle();
    up.interrupt();
    assert_eq!(up.end().code, Some(0));
    data.archive_is_whole();
    say(&format!("{} records, {}", log.len(), told(&judgement.by_kind)));
}
