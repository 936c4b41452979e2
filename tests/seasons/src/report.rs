//! What was measured, as a table, as JSON, and as a section of a file that others write to as well.

use comfy_table::{Table, TableStyle, presets};
use serde::Serialize;
use wire::Level;

use crate::counts::{Rate, quantile};
use crate::drops::{Noticed, Where};
use crate::healthy::Tally;

/// The name of its section on the page of figures.
pub const SECTION: &str = "seasons";

/// How soon somebody noticed a drop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Sessions of the agent on an average day.
    pub traffic: String,
    /// What went wrong.
    pub drop: String,
    /// The room or a rule, with its threshold where it has one.
    pub who: String,
    /// Share of healthy deployments that it called bad.
    pub false_alarms: f64,
    /// Lives.
    pub lives: usize,
    /// Lives in which it noticed.
    pub noticed: usize,
    /// Sessions since the first bad one: half of the lives, and 95 of 100. `None`: it never noticed so many.
    pub sessions: [Option<f64>; 2],
    /// Minutes likewise.
    pub minutes: [Option<f64>; 2],
    /// Minutes of half of the lives over those of the room's P2, where it cries wolf no more often than the room may.
    pub times_first: Option<f64>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Healthy years.
    pub tally: Option<Tally>,
    /// Drops.
    pub rows: Vec<Row>,
}

// === impl Row ===

impl Row {
    /// What came of these lives, as `of` says when it was noticed.
    pub fn of(
        (traffic, drop, who): (&str, String, String),
        false_alarms: f64,
        lives: &[Noticed],
        of: impl Fn(&Noticed) -> Option<(u64, f64)>,
    ) -> Self {
        let came: Vec<(u64, f64)> = lives.iter().filter_map(of).collect();
        let sessions: Vec<f64> = came.iter().map(|(sessions, _)| *sessions as f64).collect();
        let minutes: Vec<f64> = came.iter().map(|(_, seconds)| seconds / 60.0).collect();
        let both = |values: &[f64]| [0.5, 0.95].map(|share| quantile(values, lives.len(), share));
        Self {
            traffic: traffic.to_owned(),
            drop,
            who,
            false_alarms,
            lives: lives.len(),
            noticed: came.len(),
            sessions: both(&sessions),
            minutes: both(&minutes),
            times_first: None,
        }
    }

    /// Its minutes over another's, of half of the lives; `None` where one of both never noticed so many.
    pub fn over(&self, other: &Self) -> Option<f64> {
        Some(self.minutes[0]? / other.minutes[0]?)
    }
}

/// What went wrong, in words.
pub fn drop_in_words(begins: Where, points: f64) -> String {
    let begins = if begins == Where::Deployment { "new version" } else { "mid-life" };
    format!("{begins}, -{:.0} points", points * 100.0)
}

// === impl Report ===

impl Report {
    /// As text. In Markdown where it is for a file.
    pub fn text(&self, markdown: bool) -> String {
        let preset = if markdown { presets::ASCII_MARKDOWN } else { presets::UTF8_FULL_CONDENSED };
        let mut text = String::new();
        if let Some(tally) = &self.tally {
            text += &format!(
                "{:.0} agent-years, {} sessions, {} records, {} deployments; {} rollbacks and {} modes ordered.\n\n{}\n\n",
                tally.agent_years,
                tally.sessions,
                tally.records,
                tally.deployments,
                tally.rollbacks,
                tally.modes,
                healthy(tally, preset)
            );
        }
        if !self.rows.is_empty() {
            text += &format!("{}\n", drops(&self.rows, preset));
        }
        text
    }

    /// As a section of a page.
    pub fn section(&self) -> String {
        format!("## False alarms and detection\n\n{}", self.text(true))
    }
}

fn healthy(tally: &Tally, preset: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(preset).set_header(["false alarms", "count", "per agent-year", "95 % interval"]);
    let mut row = |what: String, events: u64| {
        let rate = Rate::of(events, tally.agent_years);
        table.add_row([what, events.to_string(), format!("{:.4}", rate.rate), format!("{:.4} to {:.4}", rate.low, rate.high)]);
    };
    for level in [Level::P1, Level::P2, Level::P3] {
        row(format!("incidents, {}", level.as_str()), tally.incidents_of(level));
    }
    tally.told.iter().for_each(|((level, rule), events)| row(format!("told: {level} {rule}"), *events));
    table
}

fn drops(rows: &[Row], preset: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(preset).set_header([
        "sessions/day",
        "drop",
        "who",
        "false alarms per deployment",
        "noticed",
        "sessions p50",
        "p95",
        "minutes p50",
        "p95",
        "x the room's",
    ]);
    let number = |value: Option<f64>| value.map_or_else(|| "never".to_owned(), |value| format!("{value:.0}"));
    for row in rows {
        table.add_row([
            row.traffic.clone(),
            row.drop.clone(),
            row.who.clone(),
            format!("{:.2} %", row.false_alarms * 100.0),
            format!("{} of {}", row.noticed, row.lives),
            number(row.sessions[0]),
            number(row.sessions[1]),
            number(row.minutes[0]),
            number(row.minutes[1]),
            row.times_first.map_or_else(|| "-".to_owned(), |times| format!("{times:.1}")),
        ]);
    }
    table
}
