//! The files of the house, read once.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rules::Finding;

/// A text file of the house.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

// === impl SourceFile ===

impl SourceFile {
    /// Whether it is Rust, and not of this crate: the rules themselves name what they forbid.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs") && !self.path.starts_with("tests/tidy/")
    }

    /// Whether nothing but tests stands in it.
    pub(crate) fn is_of_tests(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Lines of code with their numbers: comments and documentation may name what code may not.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (&Self, usize, &str)> {
        let lines = self.text.lines().enumerate().map(move |(index, line)| (self, index + 1, line));
        lines.filter(|(_, _, line)| !line.trim_start().starts_with("//"))
    }

    /// Lines of code that are neither blank nor of the tests at the end.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins_tests = |at: &usize| lines[*at] == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|line| line.ends_with('{'));
        let end = (0..lines.len()).find(begins_tests).unwrap_or(lines.len());
        self.code_lines().map(|(_, number, line)| (number, line)).filter(move |(number, line)| *number <= end && !line.trim().is_empty())
    }

    pub(crate) fn finding(&self, line: usize, found: String, instead: &str, because: &'static str) -> Finding {
        Finding { path: self.path.clone(), line, found, instead: instead.to_owned(), because }
    }
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/tidy lies two folders below the root").to_path_buf()
}

/// Every Rust file, Cargo manifest, page and script of the house, in order of path.
pub fn sources() -> Vec<SourceFile> {
    let root = root();
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    const SKIPPED: [&str; 4] = ["target", ".git", "data", "golden"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, files);
        } else if is_ours(&name) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.extend(fs::read_to_string(&path).ok().map(|text| SourceFile { path: relative, text }));
        }
    }
}

fn is_ours(name: &str) -> bool {
    [".rs", ".toml", ".md", ".avsc", ".txt", ".py", ".yml", ".c"].iter().any(|ending| name.ends_with(ending))
        || matches!(name, "Makefile" | "setup" | "part" | "run")
}
