//! How numbers are put for people.

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// So many of what is named in the singular.
pub(crate) fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A length of time, in the largest unit that it is whole in.
pub(crate) fn span(seconds: i64) -> String {
    let whole = |unit_s| seconds >= unit_s && seconds % unit_s == 0;
    let (unit_s, unit) = match () {
        () if whole(DAY_S) => (DAY_S, "day"),
        () if whole(HOUR_S) => (HOUR_S, "hour"),
        () if whole(60) => (60, "min"),
        () => (1, "s"),
    };
    let n = seconds / unit_s;
    if unit_s < HOUR_S { format!("{n} {unit}") } else { counted(n.unsigned_abs(), unit) }
}

/// A share in percent, with one decimal and as many more as it takes to be within a hundredth of itself.
pub(crate) fn percent(share: f64) -> String {
    const DECIMALS_MAX: usize = 6;
    let percent = share * 100.0;
    let rounded = |decimals: usize| format!("{percent:.decimals$}");
    let near = |text: &String| text.parse::<f64>().is_ok_and(|read| (read - percent).abs() <= percent.abs() / 100.0);
    (1..DECIMALS_MAX).map(rounded).find(near).unwrap_or_else(|| rounded(DECIMALS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_more_are_more() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "harm")), ["0 harms", "1 harm", "2 harms"]);
    }

    #[test]
    fn a_span_is_in_the_unit_that_fits() {
        let spans = [259_200, 86_400, 21_600, 3_600, 5_400, 300, 90].map(span);
        assert_eq!(spans, ["3 days", "1 day", "6 hours", "1 hour", "90 min", "5 min", "90 s"]);
    }

    #[test]
    fn a_small_share_is_not_none() {
        assert_eq!([1.0 - 0.95, 1.0 - 0.999, 1.0 - 0.9999, 0.0025, 0.0].map(percent), ["5.0", "0.1", "0.01", "0.25", "0.0"]);
    }
}
