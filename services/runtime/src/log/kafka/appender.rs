//! Appends of the gateway: each fact once, whatever is sent again, by whichever gateway.
//!
//! Kafka knows no ids, so the topic itself is the judge. What the tail has read already is answered without an append.
//! What is new is appended, and answered only when the tail has come past it: if another gateway's record of the same id
//! stands before it, that one counts, and ours is a repeat, which every room passes over. So two gateways give one answer,
//! and so does one that was started anew, as far back as [`IDS_MAX`](super::tail::IDS_MAX) records of the topic.
//!
//! An append that fails may stand in part: who sends it again is told what stood already.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::ThreadedProducer;
use wire::{Offset, Partition};

use super::lanes::{Lanes, Waiting};
use super::patience::Patience;
use super::publisher::{Deliveries, Reports};
use super::settings::APPEND_TIMEOUT;
use super::tail::Tail;
use super::{Inner, not_made, unavailable};
use crate::log::dedupe::{self, Planned, UniqueKey, unique_key};
use crate::log::{Addressed, AppendError, Appended, LogError, locked, no_partition};

/// Records of appends that wait for the brokers, of all callers together.
const WAITING_MAX: usize = 65_536;
const RETRY_AFTER_MS: u64 = 200;

/// Appends records once.
pub(super) struct Appender {
    partitions: u32,
    lanes: Lanes,
    claims: Claims,
}

/// Ids that are being appended by this process: who has the same one waits.
#[derive(Default)]
struct Claims {
    taken: Mutex<BTreeSet<UniqueKey>>,
    released: Condvar,
}

/// Ids that this append has claimed.
struct Claimed<'a> {
    claims: &'a Claims,
    keys: BTreeSet<UniqueKey>,
}

// === impl Appender ===

impl Appender {
    pub(super) fn new(inner: &Inner) -> Result<Self, LogError> {
        let producer = ThreadedProducer::from_config_and_context(&inner.options.appender(), Reports::default()).map_err(not_made)?;
        let producer = inner.tokens.authenticate(producer)?;
        let lanes = Lanes::new(producer, &inner.options.topic, inner.partitions)?;
        Ok(Self { partitions: inner.partitions, lanes, claims: Claims::default() })
    }

    /// See [`Log::append`](crate::log::Log::append). `ends` is where the partitions ended before: the tail is believed
    /// from there on.
    pub(super) fn append(&self, tail: &Tail, ends: &[(Partition, Offset)], records: Vec<Addressed>) -> Result<Vec<Appended>, AppendError> {
        if let Some(stray) = records.iter().find(|addressed| addressed.partition.0 >= self.partitions) {
            return Err(no_partition(stray.partition).into());
        }
        let until = Patience::of(APPEND_TIMEOUT);
        let keys = records.iter().filter_map(|addressed| unique_key(addressed.partition, &addressed.record)).collect();
        let _claimed = self.claims.claim(keys, until)?;
        reach(tail, ends, until)?;
        let known = dedupe::plan(&records, |key| Ok::<_, LogError>(tail.lookup(key)))?;
        let planned = known.map_err(AppendError::IdTaken)?;
        let records = Arc::new(records);
        let places = self.deliver(&records, &planned, until)?;
        let after: Vec<(Partition, Offset)> =
            records.iter().zip(&places).filter_map(|(addressed, place)| Some((addressed.partition, (*place)?.next()))).collect();
        reach(tail, &after, until)?;
        judge(tail, &planned, &places)
    }

    /// Appends what is new; the place of each of those.
    fn deliver(&self, records: &Arc<Vec<Addressed>>, planned: &[Planned], until: Patience) -> Result<Vec<Option<Offset>>, AppendError> {
        let is_new = |place: &usize| matches!(planned[*place], Planned::New(_));
        let new: Vec<usize> = (0..records.len()).filter(is_new).collect();
        let deliveries = Deliveries::of(new.len());
        let waiting = |(nth, place): (usize, &usize)| {
            let (append, receipt) = (Arc::clone(records), deliveries.receipt(nth));
            Waiting { append, place: *place, receipt }
        };
        self.lanes.put(new.iter().enumerate().map(waiting));
        let told = deliveries.wait(until.left());
        if told.iter().any(Option::is_none) {
            self.lanes.withdraw(&deliveries);
            return Err(unavailable("an append was not answered in time").into());
        }
        let mut places = vec![None; records.len()];
        for (place, told) in new.into_iter().zip(told.into_iter().flatten()) {
            places[place] = Some(told.map_err(|code| unavailable(format!("an append was not taken: {code}")))?);
        }
        Ok(places)
    }
}

/// What the log says of each record, now that it has been read past all of them.
fn judge(tail: &Tail, planned: &[Planned], places: &[Option<Offset>]) -> Result<Vec<Appended>, AppendError> {
    let mut appended: Vec<Appended> = Vec::with_capacity(planned.len());
    let mut taken = Vec::new();
    for (nth, (plan, place)) in planned.iter().zip(places).enumerate() {
        let answer = match (plan, place) {
            (Planned::Stands(offset), _) => Appended { offset: *offset, repeated: true },
            (Planned::SameAs(first), _) => Appended { repeated: true, ..appended[*first] },
            (Planned::New(identity), place) => {
                let offset = place.expect("whatever is new was delivered");
                let first = identity.and_then(|(key, digest)| Some((tail.lookup(&key)?, digest)));
                match first {
                    Some((known, digest)) if known.offset != offset => {
                        if known.digest != digest {
                            taken.push(nth);
                        }
                        Appended { offset: known.offset, repeated: true }
                    }
                    _ => Appended { offset, repeated: false },
                }
            }
        };
        appended.push(answer);
    }
    if taken.is_empty() { Ok(appended) } else { Err(AppendError::IdTaken(taken)) }
}

fn reach(tail: &Tail, ends: &[(Partition, Offset)], until: Patience) -> Result<(), LogError> {
    if tail.reach(ends, until.left()) { Ok(()) } else { Err(unavailable("the topic's end was not read in time")) }
}

// === impl Claims ===

impl Claims {
    /// All of `keys` at once, once nobody has any of them.
    fn claim(&self, keys: BTreeSet<UniqueKey>, until: Patience) -> Result<Claimed<'_>, AppendError> {
        let taken = locked(&self.taken);
        if taken.len() + keys.len() > WAITING_MAX && !taken.is_empty() {
            return Err(AppendError::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        let overlap = |taken: &mut BTreeSet<UniqueKey>| keys.iter().any(|key| taken.contains(key));
        let (mut taken, waited) = self.released.wait_timeout_while(taken, until.left(), overlap).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(AppendError::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        taken.extend(&keys);
        drop(taken);
        Ok(Claimed { claims: self, keys })
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let mut taken = locked(&self.claims.taken);
        for key in &self.keys {
            taken.remove(key);
        }
        drop(taken);
        self.claims.released.notify_all();
    }
}
