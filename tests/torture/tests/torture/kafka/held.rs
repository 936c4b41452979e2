//! Requests of a whole `reeve up` that arrive after their room has given up (the hole that Jepsen found in Kafka's transactions,
//! 2024): it reaches its broker through a proxy that holds them, of several rooms at once, while facts are published.
//!
//! Which transactions were committed that nobody heard of, and which were not, no test can say beforehand. What must hold is the
//! same for both: in the end each decision stands there once, as it was owed, whoever told it.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::proxy::{Proxy, Request, proxy};
use torture::dice::{dice, seed, tenth_or_whole};
use torture::ground::{bar, eventually, folder, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::{Up, metric};
use torture::proof::told;
use torture::publisher::Publisher;

use super::{drain, on_brokers};
use crate::killed::{BATCH, SENDERS, corpus};

/// Rooms that decide on facts, and so have a transaction that writes whenever facts come. Each has another request held.
const ROOMS: [&str; Request::ALL.len()] = ["incident", "rollback", "escalation"];
/// Longer than a room waits for its broker (5 s, and 4 s for a record), and than a transaction lasts (5 s).
const HELD: Duration = Duration::from_millis(6_500);
/// Facts that may be published from one look at the rooms to the next, and in one round.
const FACTS_OF_A_LOOK: u64 = 6;
const FACTS_OF_A_ROUND: u64 = 2_400;
/// What becomes of a transaction of which its room heard no success.
const GIVEN_UP: [&str; 3] = ["aborted", "fenced", "unknown"];

#[test]
fn requests_of_a_reeve_that_arrive_after_its_rooms_gave_up_tear_repeat_and_lose_nothing() {
    let Some(topic) = beside_a_broker() else { return };
    let Some((proxy, address)) = proxy() else {
        say("SKIPPED: KAFKA_PROXIED names no listener behind a proxy: what late requests do to a whole Reeve is not seen by this test");
        return;
    };
    let rounds = tenth_or_whole(3_u64, 30);
    let data = folder();
    let facts = corpus(&mut dice(), (rounds * FACTS_OF_A_ROUND) as usize);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let up = Up::start(&mut on_brokers(address, &topic, data.path()));
    publisher.find(Some(&up.url));
    let (bar, begun) = (bar("rounds of held requests", rounds), moment());
    for round in 0..rounds {
        hold(proxy, &topic, round as usize, &publisher);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let taken = begun.elapsed();
    // Nobody is begun anew: those that gave up are those that go on.
    publisher.grant_all();
    publisher.join();
    let caught_up = up.catch_up();
    let given_up = ROOMS.map(|room| given_up(&up, room));
    drain(up);

    let held = ROOMS.map(|room| proxy.delivered(&client(&topic, room)));
    for (room, (held, given_up)) in ROOMS.iter().zip(held.iter().zip(given_up)) {
        let held: u64 = held.values().sum();
        assert!(given_up >= held, "{room} gave up {given_up} transactions, and {held} of its requests were held until it had");
    }
    let by_request = by_request(&held);
    assert_eq!(by_request, Request::ALL.map(|request| (request, rounds)).into(), "each of them was held in each round");
    let log = topic.read();
    log.holds_once(&facts);
    let judgement = log.is_just_up_to(caught_up);
    say(&format!(
        "held for {HELD:?} each and then delivered in {taken:.0?} (seed {}): {by_request:?} of {ROOMS:?}, which gave up {given_up:?} \
         transactions; {} facts; {} decisions: {}",
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

/// One request of each room is held at the same time, each of another sort, and all of them arrive in the end.
fn hold(proxy: &Proxy, topic: &KafkaTopic, round: usize, publisher: &Publisher) {
    let clients = ROOMS.map(|room| client(topic, room));
    for (nth, client) in clients.iter().enumerate() {
        proxy.hold(client, Request::ALL[(nth + round) % Request::ALL.len()], HELD);
    }
    let mut left = FACTS_OF_A_ROUND;
    eventually("what was held arrives", || {
        // Facts go on coming while requests are held: whoever holds up a partition holds up decisions on them.
        let granted = left.min(FACTS_OF_A_LOOK);
        publisher.grant(granted);
        left -= granted;
        clients.iter().all(|client| proxy.has_delivered(client)).then_some(())
    });
}

/// The name under which a room writes.
fn client(topic: &KafkaTopic, room: &str) -> String {
    format!("{}.reeve.{room}.0", topic.name())
}

/// Transactions of a room of which it heard no success.
fn given_up(up: &Up, room: &str) -> u64 {
    let count = |outcome| metric(&up.url, &format!("reeve_transactions_total{{outcome=\"{outcome}\",room=\"{room}\"}}"));
    GIVEN_UP.iter().filter_map(count).sum::<f64>() as u64
}

fn by_request(held: &[BTreeMap<Request, u64>]) -> BTreeMap<Request, u64> {
    let mut by_request: BTreeMap<Request, u64> = BTreeMap::new();
    for (request, count) in held.iter().flatten() {
        *by_request.entry(*request).or_default() += count;
    }
    by_request
}
