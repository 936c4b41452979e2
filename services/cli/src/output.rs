//! What a command prints: lines, tables for people, JSON for scripts, bars on long work.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::terminal;

/// How often a bar is drawn anew.
const BAR_EVERY: Duration = Duration::from_millis(120);

/// Prints a line on standard output.
///
/// # Errors
/// When the reader went away: the command ends quietly.
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// Prints one JSON value on one line.
///
/// # Errors
/// As [`line`].
pub fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).map_err(|error| Failure::internal(format!("cannot write JSON: {error}")))?)
}

/// Prints one JSON value, indented.
///
/// # Errors
/// As [`line`].
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value).map_err(|error| Failure::internal(format!("cannot write JSON: {error}")))?)
}

/// An empty table with these columns, no wider than the terminal.
pub fn table<const N: usize>(columns: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(columns);
    table.set_width(u16::try_from(terminal::columns_of_tables()).unwrap_or(u16::MAX));
    table
}

/// A bar over `total` steps of `what`; without a terminal it draws nothing.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:32}] {human_pos} of {human_len}, {pace} a second, {eta} left")
        .expect("the template is well formed")
        .with_key("pace", |state: &ProgressState, told: &mut dyn std::fmt::Write| {
            // A bar that cannot be drawn is no reason to stop.
            let _ = write!(told, "{:.0}", state.per_sec());
        })
        .progress_chars("=> ");
    let bar = ProgressBar::new(total).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(BAR_EVERY);
    bar
}

/// A text of a JSON value at `pointer`; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// So many of something: `1 session`, `2 sessions`.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// An RFC 3339 time to the millisecond, always as long: what a line of a list begins with.
pub fn moment(rfc3339: &str) -> String {
    let Some((second, rest)) = rfc3339.split_at_checked(19) else { return rfc3339.to_owned() };
    let digits: String = rest.strip_prefix('.').unwrap_or_default().chars().take_while(char::is_ascii_digit).take(3).collect();
    format!("{second}.{digits:0<3}Z")
}

/// The time of day, to the second, of an RFC 3339 time: what a terminal line begins with.
pub fn time_of_day(rfc3339: &str) -> &str {
    rfc3339.get(11..19).unwrap_or(rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_length() {
        assert_eq!(moment("2026-11-22T09:38:15.506471Z"), "2026-11-22T09:38:15.506Z");
        assert_eq!(moment("2026-11-22T09:38:15Z"), "2026-11-22T09:38:15.000Z");
        assert_eq!(moment("2026-11-22T09:38:15.5Z"), "2026-11-22T09:38:15.500Z");
        assert_eq!(moment("no time"), "no time");
    }
}
