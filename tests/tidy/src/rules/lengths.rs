//! A file has one idea, and a function fits a screen.

use super::Finding;
use crate::tree::SourceFile;

/// Lines of code of a file: without blank ones, comments, and the tests at its end.
const FILE_LINES_MAX: usize = 400;
/// Lines of a file that is nothing but tests: a story after the other is still one idea.
const TESTS_LINES_MAX: usize = 500;
/// Lines of a function, from its name to its end.
const FUNCTION_LINES_MAX: usize = 60;

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    for file in files.iter().filter(|file| file.is_rust()) {
        let (lines, max) = (file.product_lines().count(), if file.is_of_tests() { TESTS_LINES_MAX } else { FILE_LINES_MAX });
        if lines > max {
            found.push(file.finding(0, format!("{lines} lines of code"), &format!("files of at most {max}"), "a file has one idea"));
        }
        for (number, name, lines) in functions(file).filter(|(_, _, lines)| *lines > FUNCTION_LINES_MAX) {
            let instead = format!("functions of at most {FUNCTION_LINES_MAX}");
            found.push(file.finding(number, format!("`{name}` of {lines} lines"), &instead, "a function fits a screen"));
        }
    }
}

/// Every function with where it begins and how many lines it has. The formatter sees to it that one ends with a brace as
/// far in as it begins.
fn functions(file: &SourceFile) -> impl Iterator<Item = (usize, &str, usize)> {
    let lines: Vec<&str> = file.text.lines().collect();
    (0..lines.len()).filter_map(move |begin| {
        let (before, after) = lines[begin].split_once("fn ")?;
        let indent = before.len() - before.trim_start().len();
        if !before.trim().split(' ').all(|word| matches!(word, "" | "const" | "async" | "unsafe") || word.starts_with("pub")) {
            return None;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let last = (begin..lines.len()).find(|at| lines[*at] == end || *at == begin && lines[begin].ends_with([';', '}']))?;
        let name = after.split(['(', '<']).next().unwrap_or(after);
        Some((begin + 1, name, last - begin + 1))
    })
}
