//! What was measured, line by line: for people, for scripts, and as a page.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// What a figure shall reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// This much at least.
    AtLeast(f64),
    /// This much at most.
    AtMost(f64),
}

/// One figure of one round, or of the only one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU seconds that it took, of all threads that took part.
    pub(crate) cpu_s: f64,
    /// The figure.
    pub(crate) value: f64,
}

/// A figure with all its rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// The part that it belongs to.
    pub(crate) part: &'static str,
    /// What is measured.
    pub(crate) what: String,
    /// In what.
    pub(crate) unit: &'static str,
    /// What it shall reach; absent: it is there to compare with.
    pub(crate) goal: Option<Goal>,
    cpu_s: Vec<f64>,
    values: Vec<f64>,
}

/// Everything measured, in the order in which it was first told.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

// === impl Goal ===

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
        }
    }

    fn told(self) -> String {
        match self {
            Self::AtLeast(goal) => format!(">= {}", number(goal)),
            Self::AtMost(goal) => format!("<= {}", number(goal)),
        }
    }
}

// === impl Lines ===

impl Lines {
    /// Adds a round to the line of this name.
    pub(crate) fn note(&mut self, part: &'static str, what: &str, unit: &'static str, goal: Option<Goal>, sample: Sample) {
        let place = self.0.iter().position(|line| line.part == part && line.what == what);
        let place = place.unwrap_or_else(|| {
            self.0.push(Line { part, what: what.to_owned(), unit, goal, cpu_s: Vec::new(), values: Vec::new() });
            self.0.len() - 1
        });
        self.0[place].cpu_s.push(sample.cpu_s);
        self.0[place].values.push(sample.value);
    }

    /// The lines of one part.
    pub(crate) fn of(&self, part: &str) -> Vec<&Line> {
        self.0.iter().filter(|line| line.part == part).collect()
    }

    /// All of them, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let lines: Vec<_> = self.0.iter().map(Line::json).collect();
        lines.into()
    }

    /// The table that a terminal shows.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(HEADER);
        self.0.iter().for_each(|line| {
            table.add_row(line.cells());
        });
        for column in [1, 2, 3, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

const HEADER: [&str; 7] = ["what", "CPU s", "median", "least .. most", "unit", "goal", "met"];

/// Lines as a table in Markdown.
pub(crate) fn markdown(lines: &[&Line]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut page = row(&HEADER.map(str::to_owned));
    page.push_str("| --- | ---: | ---: | ---: | --- | ---: | --- |\n");
    lines.iter().for_each(|line| page.push_str(&row(&line.cells())));
    page
}

// === impl Line ===

impl Line {
    /// The middle of its rounds.
    pub(crate) fn median(&self) -> f64 {
        median(&self.values)
    }

    fn cells(&self) -> [String; 7] {
        let spread = match (self.values.iter().copied().reduce(f64::min), self.values.iter().copied().reduce(f64::max)) {
            (Some(least), Some(most)) if self.values.len() > 1 => format!("{} .. {}", number(least), number(most)),
            _ => "once".to_owned(),
        };
        let met = self.goal.map_or("", |goal| if goal.met(self.median()) { "yes" } else { "no" });
        [
            self.what.clone(),
            format!("{:.3}", median(&self.cpu_s)),
            number(self.median()),
            spread,
            self.unit.to_owned(),
            self.goal.map(Goal::told).unwrap_or_default(),
            met.to_owned(),
        ]
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "part": self.part, "what": self.what, "unit": self.unit, "goal": self.goal,
            "cpu_s": median(&self.cpu_s), "median": self.median(), "rounds": self.values,
        })
    }
}

/// The middle one, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 1 => sorted[middle],
        (_, middle) => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// As many digits as a reader needs: thousands grouped, small numbers with three figures.
fn number(value: f64) -> String {
    if value.abs() < 1_000.0 {
        let digits = if value.abs() >= 100.0 || value == value.trunc() { 0 } else { 2 };
        return format!("{value:.digits$}");
    }
    let whole = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 { format!("-{grouped}") } else { grouped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_the_digits_that_somebody_reads() {
        assert_eq!([0.0, 0.853, 12.0, 999.4, 1_000.0, 1_234_567.8].map(number), ["0", "0.85", "12", "999", "1,000", "1,234,568"]);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
    }

    #[test]
    fn a_goal_is_met_on_its_own_side_only() {
        assert!(Goal::AtLeast(5.0).met(5.0) && !Goal::AtLeast(5.0).met(4.9));
        assert!(Goal::AtMost(1.3).met(1.3) && !Goal::AtMost(1.3).met(1.31));
    }
}
