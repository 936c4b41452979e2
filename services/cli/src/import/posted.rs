//! An import to a Reeve that runs somewhere: the wall clock rules, so old facts are outside every window, and pairs
//! and key figures count them all the same.

use indicatif::ProgressBar;
use serde_json::Value;

use super::Report;
use super::facts::Fact;
use crate::fact;
use crate::failure::Failure;
use crate::target::{Rejected, Target};

/// Facts of one request.
const BATCH_FACTS_MAX: usize = 200;
/// Bytes of texts in one request, estimated before JSON escapes them: well below what a gateway takes.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// Publishes `facts` in their order, a batch a request.
///
/// # Errors
/// When a fact is refused, unless `skip_bad`: then it alone is left out. When Reeve cannot be reached.
pub(super) async fn to(target: &Target, facts: &[Fact], skip_bad: bool, bar: &ProgressBar, report: &mut Report) -> Result<(), Failure> {
    let mut rest = facts;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_length(rest));
        publish(target, batch, skip_bad, report).await?;
        bar.inc(batch.len() as u64);
        rest = later;
    }
    Ok(())
}

/// Publishes a batch, once more without what was refused in it.
async fn publish(target: &Target, batch: &[Fact], skip_bad: bool, report: &mut Report) -> Result<(), Failure> {
    let mut batch: Vec<&Fact> = batch.iter().collect();
    loop {
        let events: Vec<Value> = batch.iter().map(|fact| fact::structured(&fact.event)).collect();
        match target.publish(&events).await {
            Ok(published) => {
                report.added += published.new;
                report.repeated += published.repeated;
                return Ok(());
            }
            Err(Rejected::Failed(failure)) => return Err(failure),
            Err(Rejected::Faults(faults)) => {
                let before = batch.len();
                let mut faults: Vec<_> = faults.into_iter().filter(|(position, _)| *position < before).collect();
                faults.sort();
                faults.dedup_by_key(|(position, _)| *position);
                if faults.is_empty() {
                    return Err(Failure::internal("a batch was refused, and no fact of it named"));
                }
                for (position, reason) in &faults {
                    let fact = batch[*position];
                    report.leave_out(fact.place.fault(None, format!("{} is refused: {reason}", fact.event.body.kind())), skip_bad)?;
                }
                faults.iter().rev().for_each(|(position, _)| {
                    batch.remove(*position);
                });
                if batch.is_empty() {
                    return Ok(());
                }
            }
        }
    }
}

/// How many of the next facts fit into a request: one at least.
fn batch_length(facts: &[Fact]) -> usize {
    let mut bytes = 0;
    let fits = |fact: &&Fact| {
        bytes += fact.event.to_raw().size();
        bytes <= BATCH_BYTES_MAX
    };
    facts.iter().take(BATCH_FACTS_MAX).take_while(fits).count().max(1)
}
