//! The rules: what is found, what to use instead, and why.

mod doors;
mod lengths;
mod metrics;
mod pages;
mod purity;
mod rooms;
mod runbooks;
mod verbs;
mod vocabulary;

use std::fmt;

use crate::tree::SourceFile;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where.
    pub path: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What stands there.
    pub found: String,
    /// What to use.
    pub instead: String,
    /// Why.
    pub because: &'static str,
}

/// A rule: looks at the whole house and adds what it finds.
type Rule = fn(&[SourceFile], &mut Vec<Finding>);

const RULES: &[Rule] = &[
    doors::check,
    purity::check,
    lengths::check,
    vocabulary::check,
    rooms::check,
    runbooks::check,
    metrics::check,
    pages::check,
    verbs::check,
    leftovers,
];

/// What is left over from work that was not finished.
const LEFTOVERS: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore]", "FIXME", "TODO"];

/// Every breach in `files`, rule by rule.
pub fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut found = Vec::new();
    RULES.iter().for_each(|rule| rule(files, &mut found));
    found
}

fn leftovers(files: &[SourceFile], found: &mut Vec<Finding>) {
    for (file, number, line) in files.iter().filter(|file| file.is_rust()).flat_map(SourceFile::code_lines) {
        for text in LEFTOVERS.iter().filter(|text| line.contains(*text)) {
            found.push(file.finding(number, format!("`{text}`"), "the thing itself", "main is the product at every commit"));
        }
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: found {}, use {}, because {}", self.path, self.line, self.found, self.instead, self.because)
    }
}
