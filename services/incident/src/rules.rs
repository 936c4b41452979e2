//! Predicates and arithmetic of the room: no state, no policy, no words.

use serde::{Deserialize, Serialize};

/// How fast an error budget burns: the bad share of `n` facts, as a multiple of the share that the objective allows.
///
/// 1.0 uses the budget up exactly at the end of its period. `None` where nothing can be said: no facts, or an
/// objective that allows no bad fact at all.
pub fn burn_rate(bad: u64, n: u64, objective: f64) -> Option<f64> {
    let allowed = 1.0 - objective;
    (n > 0 && allowed > 0.0).then(|| bad as f64 / n as f64 / allowed)
}

/// The fastest that a budget can burn: every fact bad. A row with a higher factor can never fire.
pub fn burn_rate_max(objective: f64) -> f64 {
    1.0 / (1.0 - objective)
}

/// Whether `bad` of `n` exceed an allowed share by so many standard deviations of a count that keeps to it.
pub fn exceeds(bad: u64, n: u64, allowed: f64, margin_sd: f64) -> bool {
    let expected = n as f64 * allowed;
    bad as f64 >= expected + margin_sd * (expected * (1.0 - allowed)).sqrt()
}

/// Natural logarithm of the evidence that a version loses more often than it wins, over discordant pairs.
///
/// Under "neither is better" each discordant pair is a fair coin. The bet against it is spread evenly over every
/// chance of losing from ½ to 1: `e = 2 ∫ 2^(L+W) q^L (1-q)^W dq` over q from ½ to 1, which is
/// `[L! W! / (L+W+1)!] · Σ_{j<=L} C(L+W+1, j)`. It is a test martingale (at most one where the version is better), so
/// by Ville's inequality it ever reaches 1/α with a chance of at most α, however often one looks. The construction is
/// the mixture of Robbins (1970) over a one-sided prior; see the README.
///
/// Divided by its first term the sum is `1 + L/(W+2) + L(L-1)/((W+2)(W+3)) + …`, which needs no factorials; it is
/// rescaled on the way, so that thousands of losses overflow nothing.
pub fn ln_evidence(lost: u64, won: u64) -> f64 {
    const RESCALE_ABOVE: f64 = 1e200;
    const NEGLIGIBLE: f64 = 1e-18;
    let (mut term, mut sum, mut ln_scale) = (1.0_f64, 1.0_f64, 0.0_f64);
    for step in 0..lost {
        let ratio = (lost - step) as f64 / (won + 2 + step) as f64;
        term *= ratio;
        sum += term;
        if ratio < 1.0 && term < sum * NEGLIGIBLE {
            break;
        }
        if sum > RESCALE_ABOVE {
            term /= RESCALE_ABOVE;
            sum /= RESCALE_ABOVE;
            ln_scale += RESCALE_ABOVE.ln();
        }
    }
    ln_scale + sum.ln() - (won as f64 + 1.0).ln()
}

/// The evidence itself, at most the largest number that a float holds.
pub fn evidence(lost: u64, won: u64) -> f64 {
    ln_evidence(lost, won).exp().min(f64::MAX)
}

/// Whether the evidence can have reached `threshold`, for the cost of two logarithms.
///
/// No mixture exceeds its best single bet: `e <= 2 · max_q 2^(L+W) q^L (1-q)^W`, with the maximum at q = L / (L+W).
pub fn evidence_may_reach(lost: u64, won: u64, threshold: f64) -> bool {
    if lost <= won {
        return threshold <= 2.0;
    }
    let n = (lost + won) as f64;
    let share_ln = |count: u64| if count == 0 { 0.0 } else { count as f64 * (count as f64 / n).ln() };
    std::f64::consts::LN_2 * (n + 1.0) + share_ln(lost) + share_ln(won) >= threshold.ln()
}

/// What an observation adds to the evidence of drift: a line over values that are clipped to a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line(f32, f32, f32, f32);

impl Line {
    fn new(low: f64, high: f64, slope: f64, offset: f64) -> Self {
        Self(low as f32, high as f32, slope as f32, offset as f32)
    }

    /// What an observation of `value` adds.
    pub fn at(self, value: f64) -> f64 {
        let Self(low, high, slope, offset) = self;
        f64::from(slope) * value.clamp(f64::from(low), f64::from(high)) + f64::from(offset)
    }
}

/// Amounts are told apart in steps of a tenth.
const STEP: f64 = 1.1;

/// The step of an amount: everything up to 1 is step 0, and 255 is 36 thousand million.
pub fn bucket(amount: f64) -> u8 {
    if amount > 1.0 { (amount.ln() / STEP.ln()).round().min(255.0) as u8 } else { 0 }
}

/// The amount of a step, or of a mean of steps: then it is a geometric mean.
pub fn amount(step: f64) -> f64 {
    STEP.powf(step)
}

/// What a yes and a no add to the evidence that a share of `yes` of `n` has grown to `odds` times its odds: the
/// logarithms of their likelihood ratios (Page's chart of a proportion).
///
/// A share that was seen is not the one that is: two of either are added to what was seen (Agresti and Coull 1998), and
/// one standard error, so that a lucky baseline makes few alarms.
pub fn share_line(yes: f64, n: f64, odds: f64) -> Line {
    let seen = (yes + 2.0) / (n + 4.0);
    let share = (seen + (seen * (1.0 - seen) / (n + 4.0)).sqrt()).min(0.999);
    let grown = odds * share / (1.0 - share + odds * share);
    let (up, down) = ((grown / share).ln(), ((1.0 - grown) / (1.0 - share)).ln());
    Line::new(0.0, 1.0, up - down, down)
}

/// What a step adds to the evidence that amounts have grown by `shift_sd` standard deviations, from the steps seen first
/// (in order, with how often each was seen).
///
/// Standardised robustly: steps are clipped at three scaled median absolute deviations from the median (Hampel 1974), and
/// the clipped ones have a mean, which is taken one standard error higher than it was seen, and a deviation of at least one
/// step. The increment is that of the exponential family through them, `shift z - psi` with `psi` the logarithm of the mean
/// of `exp(shift z)`, and at least that of the normal one, `shift²/2`; two clipped steps of either end are added to what was
/// seen, since a baseline may have missed what is rare. Skewed and two-peaked amounts keep their run length so.
pub fn amount_line(seen: &[(u8, u32)], shift_sd: f64) -> Line {
    const CLIPPED_AT: f64 = 3.0;
    const MAD_TO_SD: f64 = 1.4826;
    const ADDED: f64 = 2.0;
    let middle = weighted_median(seen.iter().map(|(step, n)| (f64::from(*step), *n)).collect());
    let deviations = seen.iter().map(|(step, n)| ((f64::from(*step) - middle).abs(), *n)).collect();
    let width = CLIPPED_AT * (MAD_TO_SD * weighted_median(deviations)).max(1.0);
    let (low, high) = (middle - width, middle + width);
    let clipped = || {
        let steps = seen.iter().map(|(step, n)| (f64::from(*step).clamp(low, high), f64::from(*n)));
        steps.chain([(low, ADDED), (high, ADDED)])
    };
    let n: f64 = clipped().map(|(_, n)| n).sum();
    let mean = clipped().map(|(step, n)| step * n).sum::<f64>() / n;
    let sd = (clipped().map(|(step, n)| n * (step - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt().max(1.0);
    let mean = mean + sd / (n - 2.0 * ADDED).sqrt();
    let psi = (clipped().map(|(step, n)| n * (shift_sd * (step - mean) / sd).exp()).sum::<f64>() / n).ln().max(shift_sd * shift_sd / 2.0);
    Line::new(low, high, shift_sd / sd, -shift_sd * mean / sd - psi)
}

fn weighted_median(mut values: Vec<(f64, u32)>) -> f64 {
    values.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    let half = values.iter().map(|(_, n)| n).sum::<u32>() / 2;
    let mut before = 0;
    let median = values.iter().find(|(_, n)| {
        before += n;
        before > half
    });
    median.map_or(0.0, |(value, _)| *value)
}

/// Whether a growing count has reached one that is worth a word: 2, 4, 8, and so on.
pub fn is_worth_a_word(count: u64) -> bool {
    count >= 2 && count.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_evidence_has_its_exact_values() {
        close(evidence(12, 0), 8191.0 / 13.0, 1e-12);
        close(evidence(9, 0), 102.3, 1e-12);
        close(evidence(8, 0), 511.0 / 9.0, 1e-12);
        close(evidence(6, 3), 1.009_523_809_523_809_6, 1e-6);
        close(evidence(0, 0), 1.0, 1e-12);
    }

    #[test]
    fn thousands_of_losses_overflow_nothing() {
        // Every pair lost: e = (2^(L+1) - 1) / (L + 1).
        let lost = 30_000_u64;
        close(ln_evidence(lost, 0), (lost as f64 + 1.0) * std::f64::consts::LN_2 - (lost as f64 + 1.0).ln(), 1e-9);
        assert_eq!(evidence(lost, 0), f64::MAX);
    }

    #[test]
    fn one_bad_of_a_hundred_at_99_percent_burns_exactly_at_one() {
        close(burn_rate(1, 100, 0.99).expect("facts"), 1.0, 1e-9);
        assert_eq!(burn_rate(0, 0, 0.99), None, "nothing seen is no rate, and not a fine one");
        assert_eq!(burn_rate(1, 10, 1.0), None);
        assert!(burn_rate_max(0.93) < 14.4 && burn_rate_max(0.9306) > 14.4);
    }

    #[test]
    fn five_bad_of_a_hundred_are_no_more_than_five_percent_for_sure() {
        assert!(!exceeds(5, 100, 0.05, 3.0) && !exceeds(11, 100, 0.05, 3.0));
        assert!(exceeds(12, 100, 0.05, 3.0), "5 and three times the root of 4.75");
    }

    #[test]
    fn amounts_are_told_apart_in_steps_of_a_tenth() {
        assert_eq!([0.0, 0.5, 1.0, 1.1, 1_000.0, f64::MAX].map(bucket), [0, 0, 0, 1, 72, 255]);
        close(amount(72.0), 955.59, 1e-4);
    }

    #[test]
    fn what_is_added_expects_at_most_one_under_the_baseline_and_more_when_it_has_grown() {
        let share = share_line(10.0, 100.0, 3.0);
        let of_share = |chance: f64| chance * share.at(1.0).exp() + (1.0 - chance) * share.at(0.0).exp();
        assert!(of_share(0.1) <= 1.0 && of_share(0.15) < 1.1 && of_share(0.4) > 1.3, "{share:?}");
        assert!(0.4 * share.at(1.0) + 0.6 * share.at(0.0) > 0.0);

        let seen: Vec<(u8, u32)> = vec![(70, 30), (71, 40), (72, 20), (95, 10)];
        let line = amount_line(&seen, 1.0);
        let mean = seen.iter().map(|(step, n)| f64::from(*n) / 100.0 * line.at(f64::from(*step)).exp()).sum::<f64>();
        assert!(mean <= 1.0, "{mean}: a tenth that is ten times as long is part of what is normal");
        assert!(line.at(79.0) > 0.0, "a doubling of everything is not");
        assert_eq!(line.at(255.0), line.at(200.0), "one session adds no more than it may");
    }

    #[test]
    fn counts_worth_a_word_double() {
        let words: Vec<u64> = (0..40).filter(|count| is_worth_a_word(*count)).collect();
        assert_eq!(words, [2, 4, 8, 16, 32]);
    }

    proptest! {
        #[test]
        fn the_evidence_is_what_the_integral_says(lost in 0_u64..60, won in 0_u64..60) {
            close(ln_evidence(lost, won), ln_by_simpson(lost, won), 1e-6);
        }

        #[test]
        fn the_cheap_bound_never_hides_a_crossing(lost in 0_u64..2_000, won in 0_u64..2_000, threshold in 1.0..1e6) {
            prop_assert!(evidence(lost, won) < threshold || evidence_may_reach(lost, won, threshold));
        }

        #[test]
        fn a_fair_coin_gains_nothing_on_average(lost in 0_u64..200, won in 0_u64..200) {
            let next = 0.5 * (evidence(lost + 1, won) + evidence(lost, won + 1));
            prop_assert!((next / evidence(lost, won) - 1.0).abs() < 1e-9);
        }
    }

    /// The integral, by Simpson's rule.
    fn ln_by_simpson(lost: u64, won: u64) -> f64 {
        const STEPS: u32 = 20_000;
        let density = |q: f64| 2.0 * (2.0 * q).powf(lost as f64) * (2.0 * (1.0 - q)).powf(won as f64);
        let width = 0.5 / f64::from(STEPS);
        let weight = |i: u32| {
            if i == 0 || i == STEPS {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        ((0..=STEPS).map(|i| weight(i) * density(0.5 + f64::from(i) * width)).sum::<f64>() * width / 3.0).ln()
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} is not {expected}");
    }
}
