//! Predicates and arithmetic of the room: no state, no policy, no words.

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
