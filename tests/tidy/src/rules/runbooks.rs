//! Every number that an operator can see has a page, every page has a number, and no other number is told.

use std::collections::BTreeSet;

use super::Finding;
use crate::tree::SourceFile;

/// Where numbers are declared.
const CODES: &str = "services/runtime/src/errors.rs";
const FOLDER: &str = "deploy/runbooks/";
const SECTIONS: &[&str] = &["## What", "## Why", "## What to do"];
/// A number that is none, for tests.
const NEVER: &str = "RV9999";

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let declared: BTreeSet<&str> =
        files.iter().filter(|file| file.path == CODES).flat_map(SourceFile::code_lines).filter_map(|(_, _, line)| declared(line)).collect();
    for file in files.iter().filter(|file| !file.path.starts_with("tests/tidy/")) {
        for (number, line) in file.text.lines().enumerate() {
            for code in codes(line).filter(|code| *code != NEVER && !declared.contains(code)) {
                found.push(file.finding(number + 1, format!("`{code}`"), &format!("a number of {CODES}"), "a number leads to its page"));
            }
        }
    }
    for code in &declared {
        let path = format!("{FOLDER}{code}.md");
        match files.iter().find(|file| file.path == path) {
            None => found.push(Finding {
                path: path.clone(),
                line: 0,
                found: "nothing".to_owned(),
                instead: path,
                because: "every number has a page",
            }),
            Some(page) => {
                for section in SECTIONS.iter().filter(|section| !page.text.lines().any(|line| line == **section)) {
                    found.push(page.finding(0, format!("no `{section}`"), section, "a page says what, why and what to do"));
                }
            }
        }
    }
    for page in files.iter().filter(|file| file.path.starts_with(FOLDER)) {
        let code = page.path.trim_start_matches(FOLDER).trim_end_matches(".md");
        if !declared.contains(code) {
            found.push(page.finding(0, format!("a page of `{code}`"), &format!("a number of {CODES}"), "every page has its number"));
        }
    }
}

/// The number that a line of the table declares: `BadConfig, RV0001, Refuse, 64, "..."`.
fn declared(line: &str) -> Option<&str> {
    let mut cells = line.trim().split(", ");
    let (_name, code) = (cells.next()?, cells.next()?);
    (cells.count() >= 3 && codes(code).next() == Some(code)).then_some(code)
}

/// Every number in a line.
fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("RV").filter_map(|(at, _)| line.get(at..at + 6)).filter(|code| code[2..].bytes().all(|byte| byte.is_ascii_digit()))
}
