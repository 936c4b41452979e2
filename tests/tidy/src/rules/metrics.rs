//! Names of metrics stand in one file of their crate, with a list beside it; every other place names only what is listed.

use std::collections::BTreeSet;

use super::Finding;
use crate::tree::SourceFile;

const PREFIX: &str = "reeve_";
/// Prometheus makes these of a histogram.
const OF_A_HISTOGRAM: &[&str] = &["_bucket", "_sum", "_count"];

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let lists = files.iter().filter(|file| file.path.starts_with("services/") && file.path.ends_with("/metrics.txt"));
    let listed: BTreeSet<&str> = lists.flat_map(|file| file.text.lines()).filter_map(|line| line.split('{').next()).collect();
    for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with("services/") && !file.is_of_tests()) {
        let is_the_place = file.path.ends_with("/src/metrics.rs");
        for (number, line) in file.product_lines().filter(|(_, line)| line.contains(&format!("\"{PREFIX}"))) {
            if !is_the_place {
                found.push(file.finding(
                    number,
                    format!("`{}`", line.trim()),
                    "a name of metrics.rs",
                    "a metric is declared in one place of its crate",
                ));
            }
            for name in names(line).filter(|name| is_the_place && !listed.contains(name)) {
                found.push(file.finding(number, format!("`{name}`"), "a line of metrics.txt", "dashboards and alerts rest on the list"));
            }
        }
    }
    for page in files.iter().filter(|file| file.path.ends_with(".md") || file.path.ends_with(".yml")) {
        for (number, line) in page.text.lines().enumerate() {
            for name in names(line).filter(|name| is_whole(name) && !is_listed(name, &listed)) {
                found.push(page.finding(number + 1, format!("`{name}`"), "a line of a metrics.txt", "a page names what there is"));
            }
        }
    }
}

/// Every name in a line that begins as metrics do.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices(PREFIX).filter(|(at, _)| !line[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_')).map(
        |(at, _)| {
            let rest = &line[at..];
            &rest[..rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_').unwrap_or(rest.len())]
        },
    )
}

/// Whether it names one metric, and not all that begin alike.
fn is_whole(name: &str) -> bool {
    !name.ends_with('_')
}

fn is_listed(name: &str, listed: &BTreeSet<&str>) -> bool {
    listed.contains(name) || OF_A_HISTOGRAM.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|name| listed.contains(name)))
}
