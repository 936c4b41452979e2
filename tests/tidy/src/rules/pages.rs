//! Pages lead where they say: links resolve, verbs exist, and no page or file names a place that only one machine has.

use std::collections::BTreeSet;

use super::Finding;
use crate::tree::SourceFile;

/// Beginnings of paths that other machines do not have.
const PLACES_OF_ONE_MACHINE: &[&str] = &["/work/", "/root", "/home/", "/tmp/"];
/// Texts in which such a beginning is meant.
const MEANT: &[&str] = &["/tmp/reeve"];

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let makefile = files.iter().filter(|file| file.path == "Makefile");
    let verbs: BTreeSet<&str> = makefile.flat_map(|file| file.text.lines()).filter_map(verb).collect();
    for file in files.iter().filter(|file| !file.path.starts_with("tests/tidy/")) {
        for (number, line) in file.text.lines().enumerate() {
            for place in PLACES_OF_ONE_MACHINE.iter().filter(|place| names_place(line, place)) {
                found.push(file.finding(
                    number + 1,
                    format!("`{place}`"),
                    "a path from the root of the house",
                    "another machine does not have it",
                ));
            }
            if !file.path.ends_with(".md") {
                continue;
            }
            for link in links(line).filter(|link| !resolves(files, &file.path, link)) {
                found.push(file.finding(number + 1, format!("a link to `{link}`"), "one that resolves", "a page leads where it says"));
            }
            for verb in said_verbs(line).filter(|verb| !verbs.is_empty() && !verbs.contains(verb)) {
                found.push(file.finding(number + 1, format!("`make {verb}`"), "a verb of the Makefile", "what a page says to type works"));
            }
        }
    }
}

fn names_place(line: &str, place: &str) -> bool {
    let names = |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-}".contains(before));
    !MEANT.iter().any(|meant| line.contains(meant)) && line.match_indices(place).any(|(at, _)| names(at))
}

/// A verb that a line of the Makefile declares.
fn verb(line: &str) -> Option<&str> {
    let (verb, _) = line.split_once(": ").or_else(|| line.split_once(":"))?;
    (!verb.is_empty() && verb.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')).then_some(verb)
}

/// Verbs that a page says to type.
fn said_verbs(line: &str) -> impl Iterator<Item = &str> {
    let in_code = line.match_indices("`make ").map(|(at, mark)| &line[at + mark.len()..]);
    let in_block = line.strip_prefix("make ").into_iter();
    in_code
        .chain(in_block)
        .map(|rest| &rest[..rest.find(|character: char| !character.is_ascii_lowercase() && character != '-').unwrap_or(rest.len())])
        .filter(|verb| !verb.is_empty())
}

/// Targets of links to other files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](")
        .filter_map(|(at, mark)| line[at + mark.len()..].split(')').next())
        .filter(|link| !link.contains("://") && !link.starts_with('#') && !link.contains(' '))
}

/// Whether a link of a page leads to a file or a folder of the house.
fn resolves(files: &[SourceFile], page: &str, link: &str) -> bool {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for step in link.split('#').next().unwrap_or_default().split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    let path = path.join("/");
    files.iter().any(|file| file.path == path || path.is_empty() || file.path.starts_with(&format!("{path}/")))
}
