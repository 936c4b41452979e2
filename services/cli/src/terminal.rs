//! What depends on the terminal that a person looks at: its width, its colours, and what the command is called there.

use std::io::IsTerminal;
use std::sync::LazyLock;

use clap::CommandFactory;

use crate::Cli;

/// Columns of a table where there is no terminal that has a width.
const COLUMNS_WITHOUT_TERMINAL: usize = 100;
/// Columns below which a line is rather left to the terminal to break.
const COLUMNS_MIN: usize = 40;

/// Columns of the terminal that standard output is; `None` where it is none, or hides its width.
pub(crate) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|columns| *columns >= COLUMNS_MIN)
}

/// Columns that a table may have.
pub(crate) fn columns_of_tables() -> usize {
    columns().unwrap_or(COLUMNS_WITHOUT_TERMINAL)
}

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
pub(crate) fn wants_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|wish| wish.is_empty())
}

/// How this command was called: by its path, where it is not found without one.
pub(crate) fn me() -> &'static str {
    static CALLED: LazyLock<String> = LazyLock::new(|| {
        let called = std::env::args().next().filter(|called| called.contains('/') && !called.contains(char::is_whitespace));
        called.unwrap_or_else(|| "reeve".to_owned())
    });
    &CALLED
}

/// The same text with every command line in it as it can be typed here: `reeve status` becomes `target/debug/reeve status`.
pub(crate) fn as_called(text: &str) -> String {
    renamed(text, me())
}

/// A line for people: on a terminal it is broken between words, and its further lines begin in column `indent`. A script
/// that reads it gets one line.
pub(crate) fn folded(line: &str, indent: usize) -> String {
    columns().map_or_else(|| line.to_owned(), |columns| broken(line, columns, "", &" ".repeat(indent)))
}

/// A text that is broken between words into lines of `columns`, which begin with `first` and then with `rest`. A word
/// that is longer than a line stays whole, so that it can be copied.
pub(crate) fn broken(text: &str, columns: usize, first: &str, rest: &str) -> String {
    let mut told = first.to_owned();
    let (mut column, mut begun) = (first.chars().count(), false);
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && begun && column + 1 + length > columns {
            told.truncate(told.trim_end_matches(' ').len());
            told.push('\n');
            told.push_str(rest);
            column = rest.chars().count();
        } else if index > 0 {
            told.push(' ');
            column += 1;
        }
        told.push_str(word);
        column += length;
        begun |= length > 0;
    }
    told
}

fn renamed(text: &str, me: &str) -> String {
    if me == "reeve" {
        return text.to_owned();
    }
    let parts: Vec<&str> = text.split("reeve ").collect();
    let mut told = parts[0].to_owned();
    for (before, after) in parts.iter().zip(&parts[1..]) {
        let begins_a_word = before.is_empty() || before.ends_with([' ', '`', '\n', '(']);
        let verb = after.split(|char: char| !char.is_ascii_lowercase()).next().unwrap_or_default();
        let is_command = begins_a_word && Cli::command().find_subcommand(verb).is_some();
        told.push_str(if is_command { me } else { "reeve" });
        told.push(' ');
        told.push_str(after);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words_and_goes_on_indented() {
        assert_eq!(broken("12:00:00  one two three", 16, "", "    "), "12:00:00  one\n    two three");
        assert_eq!(broken("short", 16, "", "    "), "short");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_stays_whole() {
        assert_eq!(broken("see 27a29ac2-8811-5577 there", 12, "", "  "), "see\n  27a29ac2-8811-5577\n  there");
        assert_eq!(broken("27a29ac2-8811-5577", 12, "", "  "), "27a29ac2-8811-5577");
    }

    #[test]
    fn a_command_is_named_as_it_was_called_and_the_product_is_not() {
        let told = renamed("`reeve status` says it, reeve up runs it; all that reeve can speak", "target/debug/reeve");
        assert_eq!(told, "`target/debug/reeve status` says it, target/debug/reeve up runs it; all that reeve can speak");
        assert_eq!(renamed("no command", "x/reeve"), "no command");
    }
}
