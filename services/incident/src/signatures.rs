//! Kinds of failures that were rare and become frequent.
//!
//! A signature is a digest of what failed and of the class of its error. Calls are counted in blocks: a signature that
//! fails often in one block, and hardly ever failed in all the calls before the last whole one, has become frequent: what
//! began in the midst of the last block is still news. Counts are kept in a
//! Space-Saving sketch (Metwally, Agrawal and El Abbadi, *Efficient computation of frequent and top-k elements in data
//! streams*, ICDT 2005): never too low, and too high by no more than is written down with each.

use machine::columns;
use wire::RecordId;

use crate::policy::Policy;

/// Signatures that a sketch tells apart.
const KEPT_MAX: usize = 32;
/// Signatures that are frequent now and followed at once.
const FREQUENT_MAX: usize = 8;
/// Records kept as evidence per signature of the block.
const EVIDENCE_MAX: usize = 4;

/// The failures of one agent by their kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signatures {
    block: Sketch,
    block_calls: u64,
    /// The last whole block: what begins in its midst must not look like what has always been.
    last: Sketch,
    last_calls: u64,
    /// All calls before it.
    past: Sketch,
    past_calls: u64,
    /// Latched: they became frequent, and no whole block has shown otherwise.
    frequent: Vec<u64>,
}

/// The most frequent of many.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sketch {
    kept: Vec<Counted>,
    /// How often one had to take the place of another.
    overflow: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Counted {
    signature: u64,
    /// At least as often as it came.
    count: u64,
    /// By how much that may be too often.
    error: u64,
    evidence: Vec<RecordId>,
}

/// A signature that has become frequent, or is so still.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frequent {
    /// Failures in this block, at least, and calls in it.
    pub(crate) count: u64,
    pub(crate) calls: u64,
    /// Failures in all calls before the last whole block, at most, and these calls.
    pub(crate) before: u64,
    pub(crate) calls_before: u64,
    pub(crate) evidence: Vec<RecordId>,
}

columns!(Signatures { block, block_calls, last, last_calls, past, past_calls, frequent });
columns!(Sketch { kept, overflow });
columns!(Counted { signature, count, error, evidence });

// === impl Signatures ===

impl Signatures {
    /// A call that told whether it failed, and how if it did.
    pub(crate) fn saw(&mut self, failed: Option<u64>, id: &RecordId, policy: &Policy) -> Option<Frequent> {
        self.block_calls += 1;
        let told = failed.and_then(|signature| self.count(signature, id, policy));
        if self.block_calls >= policy.signature_block {
            self.end_block(policy);
        }
        told
    }

    /// Whether anything is frequent that was rare.
    pub(crate) fn is_firing(&self) -> bool {
        !self.frequent.is_empty()
    }

    /// Calls known before the last whole block: by these it is judged what was rare.
    pub(crate) fn history(&self) -> u64 {
        self.past_calls
    }

    /// Calls that are missing until these are enough: the last block and this one must be whole first.
    pub(crate) fn lacking(&self, policy: &Policy) -> u64 {
        let rest = policy.signature_block.saturating_sub(self.block_calls);
        match policy.signature_history.saturating_sub(self.past_calls) {
            0 => 0,
            short if short <= self.last_calls => rest,
            short => rest + (short - self.last_calls).div_ceil(policy.signature_block) * policy.signature_block,
        }
    }

    /// Signatures told apart, and how often there were too many.
    pub(crate) fn kept(&self) -> (usize, u64) {
        let sketches = [&self.past, &self.last, &self.block];
        let kept = sketches.iter().map(|sketch| sketch.kept.len()).max().unwrap_or(0);
        (kept, sketches.iter().map(|sketch| sketch.overflow).sum())
    }

    /// A person says that it is dealt with: what came until now is known.
    pub(crate) fn begin_anew(&mut self, policy: &Policy) {
        self.end_block(policy);
        self.end_block(policy);
        self.frequent.clear();
    }

    fn count(&mut self, signature: u64, id: &RecordId, policy: &Policy) -> Option<Frequent> {
        let counted = self.block.add(signature, 1, 0);
        let count = counted.count - counted.error;
        if count + EVIDENCE_MAX as u64 >= policy.signature_frequent {
            if counted.evidence.len() == EVIDENCE_MAX {
                counted.evidence.remove(0);
            }
            counted.evidence.push(id.clone());
        }
        let evidence = counted.evidence.clone();
        let before = self.past.at_most(signature);
        let told = Frequent { count, calls: self.block_calls, before, calls_before: self.past_calls, evidence };
        if self.frequent.contains(&signature) {
            return Some(told);
        }
        let was_rare = self.past_calls >= policy.signature_history && before as f64 <= policy.signature_rare * self.past_calls as f64;
        if count < policy.signature_frequent || !was_rare || self.frequent.len() == FREQUENT_MAX {
            return None;
        }
        self.frequent.push(signature);
        Some(told)
    }

    /// The block becomes the last one, and the one before it part of what was before. What is not half as frequent in it as
    /// it must be is frequent no more.
    fn end_block(&mut self, policy: &Policy) {
        let block = std::mem::take(&mut self.block);
        self.frequent.retain(|signature| block.at_most(*signature) * 2 >= policy.signature_frequent);
        let before = std::mem::replace(&mut self.last, block);
        self.past_calls += std::mem::replace(&mut self.last_calls, std::mem::take(&mut self.block_calls));
        self.past.overflow += before.overflow;
        for counted in &before.kept {
            self.past.add(counted.signature, counted.count, counted.error);
        }
    }
}

// === impl Sketch ===

impl Sketch {
    /// Counts `count` more, of which `error` may be too many. Where there is no room the rarest gives way, and leaves its
    /// count behind as error.
    fn add(&mut self, signature: u64, count: u64, error: u64) -> &mut Counted {
        let known = self.kept.iter().position(|counted| counted.signature == signature);
        let place = known.unwrap_or_else(|| {
            let mut before = 0;
            if self.kept.len() == KEPT_MAX {
                let rarest = (0..KEPT_MAX).min_by_key(|place| self.kept[*place].count).unwrap_or(0);
                before = self.kept.remove(rarest).count;
                self.overflow += 1;
            }
            self.kept.push(Counted { signature, count: before, error: before, evidence: Vec::new() });
            self.kept.len() - 1
        });
        let counted = &mut self.kept[place];
        counted.count += count;
        counted.error += error;
        counted
    }

    /// How often a signature came at most: what is not kept came no more often than the rarest that is.
    fn at_most(&self, signature: u64) -> u64 {
        let known = self.kept.iter().find(|counted| counted.signature == signature).map(|counted| counted.count);
        let rarest = || if self.kept.len() < KEPT_MAX { 0 } else { self.kept.iter().map(|counted| counted.count).min().unwrap_or(0) };
        known.unwrap_or_else(rarest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_was_rare_and_comes_ten_times_in_a_block_has_become_frequent() {
        let mut signatures = known(1_200, |call| (call == 500).then_some(1));
        let told: Vec<u64> = (0..30).filter_map(|_| saw(&mut signatures, Some(1))).map(|told| told.count).collect();
        assert_eq!(told, (10..=30).collect::<Vec<u64>>());
        assert!(signatures.is_firing());
    }

    #[test]
    fn nothing_is_rare_before_a_thousand_calls_are_known() {
        let mut signatures = known(1_000, |_| None);
        assert_eq!(signatures.lacking(&Policy::default()), 200, "the last block is not judged by");
        (0..199).for_each(|_| assert_eq!(saw(&mut signatures, Some(1)), None));
        assert_eq!(signatures.lacking(&Policy::default()), 1);
    }

    #[test]
    fn a_failure_that_begins_in_the_midst_of_a_block_is_told_wherever_it_begins() {
        for begun in 0..200 {
            let mut signatures = known(1_200 + begun, |_| None);
            let told = (0..200).find_map(|call| saw(&mut signatures, (call % 10 == 0).then_some(1)));
            let again = (0..200).find_map(|call| saw(&mut signatures, (call % 10 == 0).then_some(1)));
            let told = told.or(again).expect("a tenth of all calls, where none was");
            assert_eq!((told.count, told.before), (10, 0), "begun after {begun} calls of a block");
        }
    }

    #[test]
    fn a_failure_that_was_always_frequent_is_no_news() {
        let mut signatures = known(2_000, |call| (call % 15 == 0).then_some(1));
        (0..150).for_each(|_| assert_eq!(saw(&mut signatures, Some(1)), None));
    }

    #[test]
    fn it_is_over_when_a_whole_block_shows_it_and_not_before() {
        let mut signatures = known(1_200, |_| None);
        (0..10).for_each(|_| drop(saw(&mut signatures, Some(1))));
        (0..190).for_each(|_| drop(saw(&mut signatures, None)));
        (0..199).for_each(|_| drop(saw(&mut signatures, None)));
        assert!(signatures.is_firing());
        saw(&mut signatures, None);
        assert!(!signatures.is_firing());
    }

    #[test]
    fn ten_thousand_kinds_of_failures_take_no_more_room_and_are_counted() {
        let mut signatures = known(1_200, |_| None);
        (0..10_000).for_each(|call| assert_eq!(saw(&mut signatures, Some(1_000 + call)), None, "each came once"));
        let (kept, overflow) = signatures.kept();
        assert!(kept == KEPT_MAX && overflow > 9_000, "{kept} kept, {overflow} too many");
    }

    #[test]
    fn a_sketch_is_never_too_low_and_too_high_by_no_more_than_it_says() {
        let mut sketch = Sketch::default();
        let mut truth = std::collections::BTreeMap::new();
        for step in 0..20_000_u64 {
            let signature = (step * step * 7 + step) % (1 + step % 97);
            *truth.entry(signature).or_insert(0_u64) += 1;
            sketch.add(signature, 1, 0);
        }
        assert!(truth.len() > KEPT_MAX);
        for (signature, count) in &truth {
            assert!(sketch.at_most(*signature) >= *count, "{signature} came {count} times");
        }
        for counted in &sketch.kept {
            let came = truth[&counted.signature];
            assert!(counted.count - counted.error <= came, "{counted:?} came {came} times");
        }
    }

    fn saw(signatures: &mut Signatures, failed: Option<u64>) -> Option<Frequent> {
        signatures.saw(failed, &"call".into(), &Policy::default())
    }

    fn known(calls: u64, failed: impl Fn(u64) -> Option<u64>) -> Signatures {
        let mut signatures = Signatures::default();
        (0..calls).for_each(|call| drop(saw(&mut signatures, failed(call))));
        signatures
    }
}
