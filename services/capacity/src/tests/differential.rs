//! Everything that is measured against what sorting and adding give, over generated lives.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::rules::Resolution;

/// Relative error of a quantile.
const ACCURACY: f64 = 0.01;

/// A model call: seconds since the one before it came, by how much its clock differs from the log's, and what it told.
#[derive(Clone, Debug)]
struct Told {
    after_s: i64,
    /// `None`: it told no time.
    behind_s: Option<i64>,
    tokens_in: Option<i64>,
    cents: Option<i64>,
    latency_ms: Option<f64>,
}

/// What a window must say, by adding and sorting.
#[derive(Clone, Debug, Default)]
struct Exact {
    events: i64,
    tokens_in: Option<i64>,
    cents: Option<i64>,
    latencies: Vec<f64>,
    late: i64,
    late_tokens: i64,
}

fn told() -> impl Strategy<Value = Told> {
    let after_s = prop_oneof![8 => 0..40_i64, 2 => 40..200_i64, 1 => 200..40_000_i64];
    let behind_s = prop_oneof![
        6 => (0..170_i64).prop_map(Some),
        2 => (170..8_000_i64).prop_map(Some),
        1 => (8_000..200_000_i64).prop_map(Some),
        1 => (-250..0_i64).prop_map(Some),
        1 => Just(None)
    ];
    let latency_ms = prop::option::weighted(0.8, (0.0..6.0_f64).prop_map(|power| 10.0_f64.powf(power)));
    (after_s, behind_s, prop::option::weighted(0.7, 0..5_000_i64), prop::option::weighted(0.6, 0..100_i64), latency_ms)
        .prop_map(|(after_s, behind_s, tokens_in, cents, latency_ms)| Told { after_s, behind_s, tokens_in, cents, latency_ms })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_window_says_what_adding_and_sorting_give(told in prop::collection::vec(told(), 1..120)) {
        let mut life = Life::new();
        let mut exact: BTreeMap<(Resolution, i64), Exact> = BTreeMap::new();
        let mut arrived_s = 200_000;
        for call in &told {
            arrived_s += call.after_s;
            let happened_s = call.behind_s.map(|behind_s| arrived_s - behind_s);
            let cost_usd = call.cents.map(|cents| cents as f64 / 100.0);
            let body = ModelCalled { tokens_in: call.tokens_in, cost_usd, latency_ms: call.latency_ms, ..super::call() };
            life.arrives(arrived_s, happened_s, "s1", body);
            add(&mut exact, call, arrived_s, happened_s);
        }
        life.house.pass_to_the_end();
        for length in Resolution::ALL {
            let measured = life.measured(length.as_str());
            let of_length = exact.iter().filter(|((of, _), _)| *of == length);
            prop_assert_eq!(measured.len(), of_length.clone().count(), "{:?}", length);
            for (said, ((_, start_s), exact)) in measured.iter().zip(of_length) {
                same(said, *start_s, exact)?;
            }
            let facts: i64 = measured.iter().map(|said| said.events + said.late).sum();
            prop_assert_eq!(facts, told.len() as i64, "no fact is dropped at the length of a {}", length.as_str());
            let tokens: i64 = measured.iter().map(|said| said.tokens_in.unwrap_or(0) + said.late_tokens.unwrap_or(0)).sum();
            prop_assert_eq!(tokens, told.iter().filter_map(|call| call.tokens_in).sum::<i64>());
        }
    }
}

/// Puts a fact where it belongs, as the README says it.
fn add(exact: &mut BTreeMap<(Resolution, i64), Exact>, call: &Told, arrived_s: i64, happened_s: Option<i64>) {
    let dated_s = happened_s.unwrap_or(arrived_s);
    let happened_s = if dated_s.div_euclid(60) > arrived_s.div_euclid(60) { arrived_s } else { dated_s };
    let start = |length: Resolution, seconds: i64| seconds.div_euclid(length.length_s()) * length.length_s();
    for length in Resolution::ALL {
        if start(length, happened_s) + length.length_s() + 120 > arrived_s {
            // It is merged into every longer window, too.
            for around in Resolution::ALL.into_iter().filter(|around| *around >= length) {
                let window = exact.entry((around, start(around, happened_s))).or_default();
                window.events += 1;
                window.tokens_in = sum(window.tokens_in, call.tokens_in);
                window.cents = sum(window.cents, call.cents);
                window.latencies.extend(call.latency_ms);
            }
            break;
        }
        let window = exact.entry((length, start(length, arrived_s))).or_default();
        window.late += 1;
        window.late_tokens += call.tokens_in.unwrap_or(0);
        // A minute in which something came too late is merged into its hour, and the hour into its day.
        for around in Resolution::ALL.into_iter().filter(|around| *around > length) {
            exact.entry((around, start(around, arrived_s))).or_default();
        }
    }
}

fn same(said: &CapacityMeasured, start_s: i64, exact: &Exact) -> Result<(), TestCaseError> {
    prop_assert_eq!(said.from, at(start_s));
    prop_assert_eq!((said.events, said.tokens_in, said.late), (exact.events, exact.tokens_in, exact.late), "{:?}", said);
    prop_assert_eq!(said.late_tokens.unwrap_or(0), exact.late_tokens);
    prop_assert_eq!(said.cost_usd, exact.cents.map(|cents| (cents * 10_000_000) as f64 / 1e9));
    prop_assert_eq!(said.latency_n, Some(exact.latencies.len() as i64));
    let mut sorted = exact.latencies.clone();
    sorted.sort_by(f64::total_cmp);
    for (share, found) in [(0.5, said.latency_p50_ms), (0.95, said.latency_p95_ms), (0.99, said.latency_p99_ms)] {
        let rank = (share * sorted.len().saturating_sub(1) as f64) as usize;
        prop_assert_eq!(found.is_some(), !sorted.is_empty());
        if let Some((found, exact)) = found.zip(sorted.get(rank)) {
            prop_assert!((found - exact).abs() <= ACCURACY * 1.000_001 * exact, "{}: {} instead of {}", share, found, exact);
        }
    }
    Ok(())
}

fn sum(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    if one.is_none() && other.is_none() { None } else { Some(one.unwrap_or(0) + other.unwrap_or(0)) }
}
