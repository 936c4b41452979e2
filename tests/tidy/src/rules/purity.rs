//! What no machine may do, as text that stands for it.

use super::Finding;
use crate::tree::SourceFile;

const IMPURE: &[(&str, &str)] = &[
    ("SystemTime", "the time of the record or of the frontier"),
    ("Instant::", "the time of the record or of the frontier"),
    (".await", "a pure function"),
    ("async fn", "a pure function"),
    ("std::env", "the policy on the log"),
    ("HashMap", "BTreeMap"),
    ("HashSet", "BTreeSet"),
    ("println!", "a Standing line"),
    ("rand::", "an id derived from the opener"),
];

/// Places whose code decides, and must decide alike whenever it is asked.
const PURE: &[&str] = &[
    "services/machine/src/",
    "services/incident/src/",
    "services/rollback/src/",
    "services/escalation/src/",
    "services/capacity/src/",
    "services/audit/src/machine",
    "services/audit/src/rules",
    "services/audit/src/policy",
];

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let may_be_impure = |file: &SourceFile| file.path.ends_with("/main.rs") || file.path.contains("/src/tests/");
    let pure = files.iter().filter(|file| PURE.iter().any(|place| file.path.starts_with(place)) && !may_be_impure(file));
    for (file, number, line) in pure.flat_map(SourceFile::code_lines) {
        for (text, instead) in IMPURE.iter().filter(|(text, _)| line.contains(text)) {
            found.push(file.finding(number, format!("`{text}`"), instead, "a replay next year must decide as it did then"));
        }
    }
}
