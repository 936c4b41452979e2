//! What an overload costs a P1: a harm's time to its order while five times more is published than the disk takes.

use torture::overload::{Options, Report, measure as overloaded};

use crate::Failure;
use crate::table::{Goal, Lines, Sample};

/// The name of this part.
pub(crate) const PART: &str = "overload";
/// A minute, on a disk whose every flush takes 150 ms longer; fifteen harms before it and as many during it.
const OPTIONS: Options = Options { seconds: 60, flush_ms: 150, times: 5, harms: 15 };

/// Runs the whole command on a slow disk, once.
pub(crate) fn measure(lines: &mut Lines) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (report, _) = overloaded(folder.path(), OPTIONS);
    if let Some(wrong) = report.wrong.first() {
        return Err(Failure(format!("something was answered wrongly under overload: {wrong}")));
    }
    let Report { disk_per_s, published_per_s, unloaded_ms, overloaded_ms, memory_before, memory_max, .. } = report;
    // What the processors do meanwhile is the command's, not ours.
    let mut note = |what: &str, unit, goal, value: f64| lines.note(PART, what, unit, goal, Sample { cpu_s: 0.0, value });
    let middle = |ms: &[u64]| ms[ms.len() / 2] as f64;
    note("what the slow disk takes", "facts per second", None, disk_per_s as f64);
    note("published", "facts per second", None, published_per_s as f64);
    note("P1 harm to its order, unloaded, p50", "ms", None, middle(&unloaded_ms));
    note("P1 harm to its order, overloaded, p50", "ms", None, middle(&overloaded_ms));
    note("overloaded over unloaded, p50", "x", Some(Goal::AtMost(3.0)), report.p50_ratio);
    note("overloaded over unloaded, longest of fifteen", "x", None, report.max_ratio);
    note("memory before", "MiB", None, (memory_before >> 20) as f64);
    note("memory at its most", "MiB", None, (memory_max >> 20) as f64);
    Ok(())
}
