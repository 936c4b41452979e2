//! Exact sums of US dollars: a cost is the shortest decimal that its double stands for, as it was written down.

/// Digits after the point that a sum keeps.
const DIGITS: usize = 18;
/// 10^18: what one dollar is in the sum's unit.
const ONE: i128 = 1_000_000_000_000_000_000;
/// 10^12: what a millionth of a dollar is in the sum's unit.
const MILLIONTH: i128 = ONE / 1_000_000;

/// A sum of dollars, exact to [`DIGITS`] digits after the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dollars(i128);

// === impl Dollars ===

impl Dollars {
    /// The cost that a double stands for. The log admits no infinities and no NaN; they would count as nothing.
    pub(super) fn of(cost: f64) -> Self {
        // Without an exponent, and with the fewest digits that tell this double from its neighbours.
        let text = format!("{}", cost.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(DIGITS).collect();
        let units = |digits: &str| digits.parse::<i128>().unwrap_or(0);
        let sum = units(whole).saturating_mul(ONE).saturating_add(units(&fraction));
        Self(if cost.is_sign_negative() { -sum } else { sum })
    }

    /// Adds another sum.
    pub(super) fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// Rounded to millionths of a dollar, half to even.
    pub(super) fn rounded(self) -> f64 {
        let (floor, rest) = (self.0.div_euclid(MILLIONTH), self.0.rem_euclid(MILLIONTH));
        let up = rest * 2 > MILLIONTH || rest * 2 == MILLIONTH && floor % 2 != 0;
        (floor + i128::from(up)) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_that_of_the_decimals_and_not_of_the_doubles() {
        let sum = |costs: &[f64]| {
            let mut sum = Dollars::default();
            costs.iter().for_each(|cost| sum.add(Dollars::of(*cost)));
            sum
        };
        assert_eq!(sum(&[0.1; 10]), Dollars(ONE));
        assert_eq!(sum(&[0.0003816, 1e-7, 12.5]), Dollars(ONE / 10_000_000 * 125_003_817));
        assert_eq!(sum(&[0.1, 0.2, 0.3, -0.3, -0.2, -0.1]), Dollars(0));
    }

    #[test]
    fn halves_of_a_millionth_go_to_the_even_side() {
        assert_eq!(Dollars::of(0.0000005).rounded(), 0.0);
        assert_eq!(Dollars::of(0.0000015).rounded(), 0.000002);
        assert_eq!(Dollars::of(14.4432475).rounded(), 14.443248);
    }
}
