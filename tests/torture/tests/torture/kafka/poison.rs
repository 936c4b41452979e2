//! Of ten records one cannot be read. Rooms pass over it at the price of a record, and the audit room names each.

use std::collections::BTreeSet;
use std::sync::Arc;

use incident::Incident;
use kit::mutants::Mutator;
use machine::Machine;
use runtime::log::contract::fixtures::restore_from_offsets;
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log, Polled, Transaction};
use runtime::pump::{Pump, PumpOptions};
use torture::dice::{dice, seed, tenth_or_whole};
use torture::facts::lived;
use torture::ground::{eventually, load, moment, say};
use torture::kafka::{KafkaTopic, PARTITIONS, beside_a_broker};
use torture::program::cpu_s;
use wire::{Body, Event, Offset, Partition, Record, RecordRefused, StoredRecord, Timestamp};

use super::addressed;

/// One record in so many is poison.
const POISON_EVERY: usize = 10;
/// Records of one transaction.
const BATCH: usize = 500;
/// Mutants that are tried for one that cannot be read.
const TRIES_MAX: u64 = 1_000;
/// The part of its throughput, in hundredths, that a room may lose to the poison. A few short rounds beside whatever else runs say
/// less than many long ones: there it is what nobody could call chance.
const LOSS_PERCENT_MAX: usize = 20;
const LOSS_PERCENT_OF_FEW_ROUNDS_MAX: usize = 50;

#[test]
fn one_record_in_ten_that_cannot_be_read_costs_little_and_each_is_refused_once_by_its_place() {
    let Some([clean, poisoned]) = beside_a_broker().and_then(|clean| Some([clean, beside_a_broker()?])) else { return };
    let facts = lived(&mut dice(), tenth_or_whole(20_000, 100_000));
    publish(&clean, facts.iter().map(addressed).collect());
    let poison = publish_poisoned(&poisoned, &facts);
    // What the room decides stands there after the first reading: only the later ones read the same.
    let _ = (read::<Incident>(&clean, 0), read::<Incident>(&poisoned, 0));
    let rounds = tenth_or_whole(5, 11);
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        // They take turns in who goes first.
        let order = if round % 2 == 0 { [&clean, &poisoned] } else { [&poisoned, &clean] };
        let took = order.map(|topic| read::<Incident>(topic, round));
        let [of_clean, of_poisoned] = if round % 2 == 0 { took } else { [took[1], took[0]] };
        ratios.push(of_poisoned / of_clean);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    read::<audit::Audit>(&poisoned, 0);
    let refusals = refusals(&poisoned);
    is_each_refused_once(&poison, &refusals);
    say(&format!(
        "{} of {} records cannot be read (seed {}): the room takes {ratio:.2} times the processor's time for all ({:.2} to {:.2}, load \
         {}), in {} refusals",
        poison.len(),
        facts.len(),
        seed(),
        ratios[0],
        ratios[ratios.len() - 1],
        load(),
        refusals.len()
    ));
    let loss_max = tenth_or_whole(LOSS_PERCENT_OF_FEW_ROUNDS_MAX, LOSS_PERCENT_MAX);
    assert!(ratio <= 100.0 / (100 - loss_max) as f64, "a room takes {ratio:.2} times as long with poison");
}

/// Puts records on the topic as they are, whatever they are: a gateway would refuse some. Where each stands.
fn publish(topic: &KafkaTopic, records: Vec<Addressed>) -> Vec<(Partition, Offset)> {
    let log = KafkaLog::open(topic.options().clone()).expect("the topic is there");
    let mut member = log.consumer("publishers", "publisher").expect("the broker is there");
    let all = eventually("an assignment", || match member.poll(1) {
        Ok(Polled::Assigned(partitions)) => Some(partitions),
        _ => None,
    });
    restore_from_offsets(&mut *member, &all);
    let mut producer = eventually("a producer", || log.producer("publisher").ok());
    let mut places = Vec::with_capacity(records.len());
    for batch in records.chunks(BATCH) {
        let transaction = Transaction { records: batch.to_vec(), offsets: Vec::new(), membership: member.membership() };
        let offsets = producer.commit(transaction).expect("nobody takes its place");
        places.extend(batch.iter().map(|addressed| addressed.partition).zip(offsets));
    }
    places
}

/// The same facts, but that each tenth is a mutant of itself that cannot be read. Where those stand.
fn publish_poisoned(topic: &KafkaTopic, facts: &[Event]) -> BTreeSet<(Partition, Offset)> {
    let records: Vec<Addressed> = facts.iter().map(addressed).collect();
    let mutator = Mutator::new(seed(), PARTITIONS, records.iter().map(|addressed| addressed.record.clone()).collect());
    let mut next = 0;
    let records = records.into_iter().enumerate().map(|(nth, addressed)| {
        if nth % POISON_EVERY != 0 {
            return addressed;
        }
        let tried = (next..next + TRIES_MAX).map(|number| mutator.mutant_of(nth, number));
        // Some are well but lie on a partition that is not theirs: here they would lie where they belong.
        let mut tried = tried.filter(|mutant| mutant.stored.partition == addressed.partition);
        let mutant = tried.find(|mutant| is_unreadable(&mutant.stored)).expect("most mutants cannot be read");
        next = mutant.number + 1;
        Addressed { record: mutant.stored.raw, ..addressed }
    });
    let places = publish(topic, records.collect());
    places.into_iter().step_by(POISON_EVERY).collect()
}

/// Whether the record itself is at fault: what is merely of a kind that nobody knows yet is refused by nobody.
fn is_unreadable(stored: &StoredRecord) -> bool {
    let small = stored.raw.value.len() + stored.raw.key.as_ref().map_or(0, |key| key.len()) < wire::limits::VALUE_BYTES_MAX;
    small && Record::read_placed(stored, PARTITIONS).is_err_and(|refusal| refusal.blames_the_record())
}

/// Lets the room of `M` read the topic from its beginning to its end, as a group of its own: the seconds of the processor that
/// this process spends on it.
fn read<M: Machine>(topic: &KafkaTopic, round: usize) -> f64 {
    let options = KafkaOptions { namespace: format!("{}.{}.{round}.", topic.name(), M::SERVICE), ..topic.options().clone() };
    let log: Arc<dyn Log> = KafkaLog::open(options).expect("the topic is there");
    let begun = cpu_s(std::process::id());
    let mut pump = Pump::<M>::new(Arc::clone(&log), PumpOptions::default());
    let (mut seen, begun_at) = (0, moment());
    loop {
        let step = pump.step().expect("the broker is there");
        if step.idle && step.restored {
            let rests = |status: &runtime::pump::PartitionStatus| status.lag == 0 && status.in_flight == 0;
            let owes = step.next_due.is_some_and(|due| due == Timestamp::MIN);
            if !owes && pump.status().partitions.iter().all(rests) {
                break;
            }
        }
        if step.idle {
            assert!(begun_at.elapsed() < torture::ground::PATIENCE, "it does not come to rest: {:?}", pump.status());
            seen = log.wait(seen, std::time::Duration::from_millis(20));
        }
    }
    cpu_s(std::process::id()) - begun
}

/// What the audit room said, in order.
fn refusals(topic: &KafkaTopic) -> Vec<RecordRefused> {
    let read = topic.read();
    let refusals = read.records().filter_map(|record| match record.event.body {
        Body::RecordRefused(refused) => Some(refused),
        _ => None,
    });
    refusals.collect()
}

/// Each by its own place, or in a run that says how many it is about.
fn is_each_refused_once(poison: &BTreeSet<(Partition, Offset)>, refusals: &[RecordRefused]) {
    let mut left = poison.clone();
    for refused in refusals {
        let partition = Partition(u32::try_from(refused.partition).expect("a partition"));
        let run = (partition, Offset(refused.offset))..=(partition, Offset(refused.last_offset.unwrap_or(refused.offset)));
        let told: Vec<_> = left.range(run).copied().collect();
        assert_eq!(told.len() as i64, refused.records.unwrap_or(1), "a place is refused twice, or none that is poison: {refused:?}");
        left.retain(|place| !told.contains(place));
    }
    assert!(left.is_empty(), "{} of {} were not refused: {left:?}", left.len(), poison.len());
}
