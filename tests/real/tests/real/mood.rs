//! How well the scorer of texts agrees with people: sentences that about twenty people rated each.

use escalation::sentiment::score;
use serde_json::Value;

use crate::ground::say;
use crate::recordings;

#[test]
fn the_scorer_agrees_with_raters_as_well_as_the_reference_implementation_does() {
    // What the reference implementation (vaderSentiment 3.3.2) reaches on the same files.
    for (file, reference) in [("amazonReviewSnippets", 0.590), ("nytEditorialSnippets", 0.503)] {
        let Some(path) = recordings::foreign(&format!("vader_groundtruth/{file}.jsonl.gz")) else { return };
        let rated: Vec<(f64, f64)> = recordings::lines(&path).iter().filter_map(both).collect();
        let reached = correlation(&rated);
        say(&format!("{file}: {} sentences, r = {reached:.4} with the raters' mean; the reference reaches {reference}", rated.len()));
        assert!((reached - reference).abs() < 0.002, "{file}: {reached} instead of {reference}");
    }
}

/// The score and the mean of the raters.
fn both(sentence: &Value) -> Option<(f64, f64)> {
    Some((score(sentence["text"].as_str()?, Some("en"))?, sentence["mean_valence"].as_f64()?))
}

/// Pearson's r.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (left, right) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let together = sum(&|pair| (pair.0 - left) * (pair.1 - right));
    let (alone, beside) = (sum(&|pair| (pair.0 - left).powi(2)), sum(&|pair| (pair.1 - right).powi(2)));
    together / (alone * beside).sqrt()
}
