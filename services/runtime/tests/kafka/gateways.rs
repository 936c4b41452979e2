//! Two gateways on one topic, each with its own memory of what stands there: a fact has one place, which both tell.

use std::sync::{Arc, Barrier};

use runtime::log::contract::PARTITIONS;
use runtime::log::contract::fixtures::{fact as opaque, ids, to, until};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Addressed, AppendError, Appended, Log};
use runtime::pump::{Pump, PumpOptions};
use wire::{Event, Kind, Offset, Partition};

use super::OnKafka;
use super::desk::{Desk, agent, decisions, fact, harm};

/// Facts that both append at once.
const AT_ONCE: u64 = 30;
const P0: Partition = Partition(0);

/// Two gateways.
fn two() -> (OnKafka, [Arc<KafkaLog>; 2]) {
    let on_kafka = OnKafka::new();
    let another = until("the topic cannot be opened twice", || KafkaLog::open(on_kafka.options.clone()).ok());
    let gateways = [Arc::clone(&on_kafka.log), another];
    (on_kafka, gateways)
}

#[test]
fn a_fact_that_another_gateway_has_appended_is_a_repeat_and_with_another_body_refused() {
    if !super::is_there() {
        return;
    }
    let (_, [one, another]) = two();
    let first = one.append(vec![to(0, opaque("a", "a"))]).expect("a new fact");
    assert_eq!(first, [Appended { offset: Offset(0), repeated: false }]);
    let again = another.append(vec![to(0, opaque("a", "a"))]).expect("a repeat is no error");
    assert_eq!(again, [Appended { offset: Offset(0), repeated: true }], "the second gateway reads what stands before it answers");
    let other = another.append(vec![to(0, opaque("b", "b")), to(0, opaque("a", "otherwise"))]);
    assert!(matches!(&other, Err(AppendError::IdTaken(places)) if *places == [1]), "{other:?}");
    let back = another.append(vec![to(0, opaque("c", "c"))]).expect("a new fact");
    let back_again = one.append(vec![to(0, opaque("c", "c"))]).expect("a repeat is no error");
    assert_eq!((back_again[0].offset, back_again[0].repeated), (back[0].offset, true), "and so does the first");
    let other = one.append(vec![to(0, opaque("c", "otherwise"))]);
    assert!(matches!(&other, Err(AppendError::IdTaken(places)) if *places == [0]), "{other:?}");
    // Whether the first had read what the second appended a moment before is chance: it says so before it answers, and not before
    // it appends.
    let stand = ids(&*one, 0);
    assert!(stand == ["a", "c"] || stand == ["a", "c", "c"], "{stand:?}");
}

#[test]
fn a_fact_that_two_gateways_append_at_once_has_one_place_and_is_decided_on_once() {
    if !super::is_there() {
        return;
    }
    let (on_kafka, gateways) = two();
    let mut twice = 0;
    for nth in 0..AT_ONCE {
        let answers = at_once(&gateways, [harmful(nth, "none"), harmful(nth, "none")]);
        let [one, another] = answers.map(|answer| answer.expect("the same body is no error")[0]);
        assert_eq!(one.offset, another.offset, "both tell where it stands");
        assert!(one.repeated != another.repeated, "one of them was first");
        let stand = ids(&*on_kafka.log, 0).iter().filter(|id| **id == format!("fact-{nth}")).count();
        assert!((1..=2).contains(&stand), "fact-{nth} stands {stand} times");
        twice += stand - 1;
    }
    let mut room = Pump::<Desk>::new(on_kafka.log.clone(), PumpOptions::default());
    until("the room does not come to rest", || {
        let (step, held) = (room.step().ok()?, room.status().partitions);
        // A member that was given nothing yet has nothing to restore.
        let rests = !held.is_empty() && held.iter().all(|status| status.lag == 0 && status.in_flight == 0);
        (step.restored && step.idle && rests).then_some(())
    });
    let incidents = decisions(&*on_kafka.log).into_iter().filter(|record| record.body.kind() == Kind::IncidentOpened).count();
    assert_eq!(incidents as u64, AT_ONCE, "{twice} facts stand twice, and the room passes over the second");
    eprintln!("of {AT_ONCE} facts that two gateways appended at once {twice} stand twice");
}

#[test]
fn of_two_bodies_that_two_gateways_append_at_once_under_one_id_one_is_refused() {
    if !super::is_there() {
        return;
    }
    let (_on_kafka, gateways) = two();
    for nth in 0..AT_ONCE {
        let answers = at_once(&gateways, [harmful(nth, "one"), harmful(nth, "another")]);
        let taken = answers.iter().filter(|answer| matches!(answer, Err(AppendError::IdTaken(places)) if *places == [0])).count();
        let appended = answers.iter().filter(|answer| matches!(answer, Ok(told) if !told[0].repeated)).count();
        assert_eq!((appended, taken), (1, 1), "{answers:?}");
    }
}

/// Each appends its own at the same moment.
fn at_once(gateways: &[Arc<KafkaLog>; 2], records: [Addressed; 2]) -> [Result<Vec<Appended>, AppendError>; 2] {
    let start = Barrier::new(2);
    let [one, another] = records;
    std::thread::scope(|scope| {
        let append = |gateway: &Arc<KafkaLog>, record| {
            let (gateway, start) = (Arc::clone(gateway), &start);
            scope.spawn(move || {
                start.wait();
                gateway.append(vec![record])
            })
        };
        let appends = [append(&gateways[0], one), append(&gateways[1], another)];
        appends.map(|append| append.join().expect("it does not panic"))
    })
}

fn harmful(nth: u64, session: &str) -> Addressed {
    let event = Event { key: agent(P0, PARTITIONS), ..fact(nth, 0, session, harm("tests")) };
    Addressed { partition: P0, record: event.to_raw() }
}
