//! Requests of a transaction that arrive after their client has given up (the hole that Jepsen found in Kafka's transactions,
//! 2024): whatever was told to whoever committed, each transaction stands whole and once, or not at all.
//!
//! What the client cannot do: once a commit was not answered, nobody can ask whether it will still arrive, and an abort may
//! overtake it. What closes the hole: a producer that heard no success is never used again. Its successor of the same id
//! registers, which ends the older epoch at the broker; whatever of that epoch arrives later is refused there. Only then does
//! the successor look at what stands, and tells what does not stand anew.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::proxy::{Proxy, Request, proxy};
use runtime::log::contract::PARTITIONS;
use runtime::log::contract::fixtures::{drain, fact, join, restore_from_offsets, to, transaction, until};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Consumer, Log, Transaction};
use wire::{Offset, Partition};

use super::OnKafka;

/// Longer than a transaction lasts (5 s), so that the broker has ended it before the request comes.
const HELD: Duration = Duration::from_millis(6_500);
/// Rounds at once: each waits most of its time.
const AT_ONCE: usize = 10;

#[test]
fn a_commit_that_arrives_after_its_client_gave_up_tears_repeats_and_loses_nothing() {
    rounds(Request::EndTxn);
}

#[test]
fn records_that_arrive_after_their_client_gave_up_are_not_torn_repeated_or_lost() {
    rounds(Request::Produce);
}

#[test]
fn a_partition_that_joins_a_transaction_after_its_client_gave_up_tears_repeats_and_loses_nothing() {
    rounds(Request::AddPartitionsToTxn);
}

/// 30 rounds of each in `make test`, 300 in `make torture`.
#[expect(clippy::disallowed_methods, reason = "a test is told how long it may take")]
fn rounds(request: Request) {
    if !super::is_there() {
        return;
    }
    let Some(proxy) = proxy() else { return };
    let rounds = if std::env::var("REEVE_TORTURE").is_ok_and(|wish| wish == "full") { 300 } else { 30 };
    let on_kafka = OnKafka::make();
    let through = KafkaOptions { brokers: proxy.1.clone(), ..on_kafka.options.clone() };
    let through = until("nobody comes through the proxy", || KafkaLog::open(through.clone()).ok());
    let names: Vec<String> = (0..rounds).map(|round| format!("hole-{round}")).collect();
    for some in names.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            for name in some {
                scope.spawn(|| round(&on_kafka, &through, &proxy.0, request, name));
            }
        });
    }
    judge(&*on_kafka.log, &names);
}

/// One transaction of two records on two partitions whose request is held, and what a room does next.
fn round(on_kafka: &OnKafka, through: &KafkaLog, proxy: &Proxy, request: Request, name: &str) {
    let (log, client) = (&*on_kafka.log, format!("{}{name}", on_kafka.options.namespace));
    let mut member = join(log, name, name);
    let mut producer = through.producer(name).expect("the broker is there");
    proxy.hold(&client, request, HELD);
    let told = producer.commit(decided(&*member, name));
    assert!(told.is_err(), "{request:?} was held for longer than a transaction lasts: {told:?}");
    drop(producer);
    // As a room does: another producer first, then a look at what stands, and what does not stand is told anew.
    until("the successor commits nothing", || {
        let mut successor = until("no successor registers", || through.producer(name).ok());
        let stands = stands(&mut *member, name);
        (stands || successor.commit(decided(&*member, name)).is_ok()).then_some(())
    });
    until("what was held has not arrived", || proxy.has_delivered(&client).then_some(()));
}

fn decided(consumer: &dyn Consumer, name: &str) -> Transaction {
    let records = vec![to(0, fact(name, "decided")), to(1, fact(name, "decided"))];
    // Whoever looks reads from the beginning.
    transaction(consumer, records, &[(0, 0), (1, 0)])
}

/// Whether it stands, up to the high watermark: behind another transaction that is still open, what was committed is hidden.
fn stands(member: &mut dyn Consumer, name: &str) -> bool {
    restore_from_offsets(member, &(0..PARTITIONS).map(Partition).collect::<Vec<_>>());
    drain(member).0.iter().any(|record| record.raw.header("ce_id") == Some(name))
}

/// Every name stands once on each of its two partitions, and nothing else stands.
fn judge(log: &dyn Log, names: &[String]) {
    let standing = standing(log);
    for name in names {
        assert_eq!(standing.get(name), Some(&[1, 1]), "{name}: whole and once");
    }
    assert_eq!(standing.len(), names.len(), "{:?}", standing.keys());
}

/// How often each record stands on the first two partitions.
fn standing(log: &dyn Log) -> BTreeMap<String, [usize; 2]> {
    let mut standing: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for partition in 0..2 {
        let records = log.read(Partition(partition), Offset(0), usize::MAX).expect("the broker is there");
        for record in records {
            let id = record.raw.header("ce_id").unwrap_or_default().to_owned();
            standing.entry(id).or_default()[partition as usize] += 1;
        }
    }
    standing
}
