//! What a run shows: a bar while it lasts, and a table of what struck and what was decided.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use crate::verdict::Tally;

/// A bar over `total` steps of `what`; without a terminal it draws nothing.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{msg} [{bar:32}] {human_pos} of {human_len}, {eta} left").expect("the template is well formed");
    let bar = ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// How often each fault really struck, in how many seeds, and how often each kind was decided.
pub fn counts(tally: &Tally) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["FAULT", "STRUCK", "IN SEEDS"]);
    for (fault, count) in &tally.faults {
        let seeds = tally.seeds_struck.get(fault).copied().unwrap_or(0);
        table.add_row([(*fault).to_owned(), count.to_string(), seeds.to_string()]);
    }
    let mut decisions = Table::new();
    decisions.load_style(presets::NOTHING).set_header(["DECISION", "COUNT"]);
    for (kind, count) in &tally.decisions {
        decisions.add_row([kind.to_string(), count.to_string()]);
    }
    format!("{}\n\n{}", table.trim_fmt(), decisions.trim_fmt())
}
