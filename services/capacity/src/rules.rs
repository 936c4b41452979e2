//! The arithmetic: windows of event time, and a line through the past with what may be expected of its future.

use serde::{Deserialize, Serialize};
use wire::Timestamp;

/// How long after its end a window still takes facts of its time.
pub const LATENESS_S: i64 = 120;

/// One-sided confidence of either end of an interval: both together hold nine of ten.
const ONE_SIDED_Z: f64 = 1.644_853_626_951_472_2;

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// `minute`
    Minute,
    /// `hour`
    Hour,
    /// `day`, of UTC
    Day,
}

/// A line by ordinary least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Points that it rests on.
    pub n: usize,
    /// How much it rises from one minute to the next.
    pub slope: f64,
    mean_x: f64,
    mean_y: f64,
    sxx: f64,
    /// Variance of the points around the line.
    variance: f64,
}

/// What is expected, with the interval that holds it nine times in ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The middle.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

// === impl Resolution ===

impl Resolution {
    /// From the finest.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Length in seconds.
    pub fn length_s(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The window that `time` lies in, counted from the epoch.
    pub fn index(self, time: Timestamp) -> i64 {
        time.0.div_euclid(self.length_s() * 1_000_000)
    }

    /// Start of a window.
    pub fn start(self, index: i64) -> Timestamp {
        Timestamp(0).plus_s(index.saturating_mul(self.length_s()))
    }

    /// End of a window, which is the start of the next.
    pub fn end(self, index: i64) -> Timestamp {
        self.start(index.saturating_add(1))
    }

    /// When a window takes no more facts.
    pub fn closes_at(self, index: i64) -> Timestamp {
        self.end(index).plus_s(LATENESS_S)
    }
}

// === impl Line ===

impl Line {
    /// The line through points of (minute, value); `None` of fewer than three minutes, around which nothing could vary.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let (mean_x, mean_y) = (sum(points, |(x, _)| x) / n, sum(points, |(_, y)| y) / n);
        let sxx = sum(points, |(x, _)| (x - mean_x).powi(2));
        if sxx <= 0.0 {
            return None;
        }
        let slope = sum(points, |(x, y)| (x - mean_x) * (y - mean_y)) / sxx;
        let residuals = sum(points, |(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2));
        Some(Self { n: points.len(), slope, mean_x, mean_y, sxx, variance: residuals / (n - 2.0) })
    }

    /// Its value at a minute.
    pub fn at(&self, x: f64) -> f64 {
        self.mean_y + self.slope * (x - self.mean_x)
    }

    /// What the sum of `count` further values from minute `first` on will be: of one, what that minute will be.
    ///
    /// The sum of k values around their mean place x has the variance s² (k + k² (1/n + (x - mean)² / Sxx)): theirs, and
    /// that of the line. The interval is Student's with n - 2 degrees of freedom (Draper and Smith, *Applied Regression
    /// Analysis*, 3rd ed. 1998, ch. 3). It takes the minutes for independent; where one resembles the next, it is too
    /// narrow.
    pub fn sum_from(&self, first: f64, count: f64) -> Expected {
        let x = first + (count - 1.0) / 2.0;
        let value = count * self.at(x);
        let of_line = 1.0 / self.n as f64 + (x - self.mean_x).powi(2) / self.sxx;
        let half = student_95(self.n as f64 - 2.0) * (self.variance * (count + count * count * of_line)).sqrt();
        Expected { value, low: value - half, high: value + half }
    }
}

// === impl Expected ===

impl Expected {
    /// The same with `base` on top; nothing is used back, so that neither end lies below it.
    #[must_use]
    pub fn on_top_of(self, base: f64) -> Self {
        let above = |value: f64| (base + value).max(base);
        Self { value: above(self.value), low: above(self.low), high: above(self.high) }
    }
}

/// The 95th percentile of Student's distribution, by its expansion around the normal one (Abramowitz and Stegun,
/// *Handbook of Mathematical Functions*, 26.7.5): to four digits from 8 degrees of freedom on.
pub fn student_95(degrees: f64) -> f64 {
    let z = ONE_SIDED_Z;
    let (z3, z5, z7, z9) = (z.powi(3), z.powi(5), z.powi(7), z.powi(9));
    let g1 = (z3 + z) / 4.0;
    let g2 = (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0;
    let g3 = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0;
    let g4 = (79.0 * z9 + 776.0 * z7 + 1_482.0 * z5 - 1_920.0 * z3 - 945.0 * z) / 92_160.0;
    z + g1 / degrees + g2 / degrees.powi(2) + g3 / degrees.powi(3) + g4 / degrees.powi(4)
}

fn sum(points: &[(f64, f64)], of: impl Fn((f64, f64)) -> f64) -> f64 {
    points.iter().map(|point| of(*point)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_times_before_the_epoch_are_whole_too() {
        assert_eq!(Resolution::Minute.index(Timestamp(-1)), -1);
        assert_eq!(Resolution::Minute.start(-1), Timestamp(-60_000_000));
        assert_eq!(Resolution::Hour.closes_at(0), Timestamp(3_720_000_000));
    }

    #[test]
    fn student_s_percentiles_are_those_of_the_tables() {
        for (degrees, table) in [(8.0, 1.859_548), (10.0, 1.812_461), (20.0, 1.724_718), (30.0, 1.697_261), (58.0, 1.671_553)] {
            assert!((student_95(degrees) - table).abs() < 5e-5, "{degrees}: {}", student_95(degrees));
        }
    }

    /// x = 1..5, y = 2, 4, 5, 4, 5 by hand: slope 0.6, intercept 2.2, residual variance 0.8.
    #[test]
    fn a_small_line_is_the_one_computed_by_hand() {
        let line = Line::through(&[(1.0, 2.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)]).expect("five points");
        assert!((line.slope - 0.6).abs() < 1e-12 && (line.at(0.0) - 2.2).abs() < 1e-12 && (line.variance - 0.8).abs() < 1e-12);
        let one = line.sum_from(6.0, 1.0);
        let half = student_95(3.0) * (0.8_f64 * (1.0 + 0.2 + 9.0 / 10.0)).sqrt();
        assert!((one.value - 5.8).abs() < 1e-12 && (one.high - one.value - half).abs() < 1e-12);
        let two = line.sum_from(6.0, 2.0);
        assert!((two.value - (5.8 + 6.4)).abs() < 1e-12);
        assert!(two.high - two.value > 2.0_f64.sqrt() * half, "what the line does not know adds up, too");
    }

    #[test]
    fn two_minutes_are_no_line() {
        assert_eq!(Line::through(&[(1.0, 2.0), (2.0, 4.0)]), None);
        assert_eq!(Line::through(&[(1.0, 2.0), (1.0, 4.0), (1.0, 5.0)]), None);
    }
}
