//! A transaction that nobody ends holds up everybody who reads what is committed, until the broker undoes it (PITFALLS P22). A
//! room says so while it lasts, and goes on afterwards.

use std::time::Duration;

use kit::proxy::{Request, proxy};
use runtime::log::contract::PARTITIONS;
use runtime::log::contract::fixtures::{ids, join, transaction, until};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log};
use runtime::metrics;
use runtime::pump::{Pump, PumpOptions};
use wire::{Event, Kind, Offset, Partition};

use super::OnKafka;
use super::desk::{Desk, agent, decisions, fact, harm};

/// Longer than the transaction lasts (5 s), so that it is the broker that ends it; and less than twice as long, so that what is told
/// while it is held is told in time.
const HELD: Duration = Duration::from_millis(7_500);
const P0: Partition = Partition(0);
const METRIC: &str = "reeve_consumer_stalled_seconds{partition=\"0\",room=\"desk\"}";

#[test]
fn a_transaction_that_hangs_is_told_by_the_metric_while_it_hangs_and_then_the_room_goes_on() {
    if !super::is_there() {
        return;
    }
    let Some((proxy, address)) = proxy() else { return };
    let on_kafka = OnKafka::new();
    let log = &on_kafka.log;
    let mut room = Pump::<Desk>::new(log.clone(), PumpOptions::default());
    until("the room is not restored", || room.step().ok().filter(|step| step.restored && step.idle));

    let through = KafkaOptions { brokers: address.clone(), ..on_kafka.options.clone() };
    let through = until("nobody comes through the proxy", || KafkaLog::open(through.clone()).ok());
    let member = join(&**log, "others", "stranger");
    let mut stranger = through.producer("stranger").expect("the broker is there");
    let client = format!("{}stranger", on_kafka.options.namespace);
    proxy.hold(&client, Request::EndTxn, HELD);
    let mut looker = join(&**log, "lookers", "looker");
    let hanging = transaction(&*member, vec![harmful(1)], &[]);
    std::thread::scope(|scope| {
        let commit = scope.spawn(move || stranger.commit(hanging));
        until("the transaction does not stand there", || {
            let extent = looker.extent(P0).expect("the broker is there");
            (extent.high_watermark > Offset(0)).then_some(())
        });
        // What everybody may read, behind what nobody may.
        log.append(vec![harmful(2)]).expect("the broker is there");
        until("the room says nothing of a transaction that hangs", || {
            let _ = room.step();
            let status = room.status();
            let of_first = status.partitions.iter().find(|status| status.partition == P0)?;
            (of_first.stalled_s >= 1.0 && of_first.lag > 0 && told() >= 1.0).then_some(())
        });
        assert!(log.is_undecided(P0).expect("the broker is there"), "what stands behind it cannot be read yet");
        assert!(!proxy.has_delivered(&client), "nobody had ended it by then");
        let committed = commit.join().expect("it does not panic");
        assert!(committed.is_err(), "it hung for longer than it may: {committed:?}");
    });
    until("the room does not go on", || {
        let _ = room.step();
        let lag = room.status().partitions.iter().map(|status| status.lag).max();
        (lag == Some(0) && told() == 0.0).then_some(())
    });
    until("nothing is decided", || log.is_undecided(P0).is_ok_and(|is_undecided| !is_undecided).then_some(()));
    let incidents = decisions(&**log).into_iter().filter(|record| record.body.kind() == Kind::IncidentOpened);
    let causes: Vec<_> = incidents.map(|record| record.event.causation).collect();
    // Who heard nothing of its commit may have committed all the same.
    let stand = ids(&**log, 0).into_iter().filter(|id| id.starts_with("fact-"));
    let stand: Vec<_> = stand.map(|id| Some(id.as_str().into())).collect();
    assert!(stand.contains(&Some("fact-2".into())), "{stand:?}");
    assert_eq!(causes, stand, "what was undone is not decided on, what stands is, once");
}

fn harmful(nth: u64) -> Addressed {
    let event = Event { key: agent(P0, PARTITIONS), ..fact(nth, 0, "none", harm("tests")) };
    Addressed { partition: P0, record: event.to_raw() }
}

/// What the metric says of the first partition.
fn told() -> f64 {
    let text = metrics::text();
    let line = text.lines().find_map(|line| line.strip_prefix(METRIC)).unwrap_or_else(|| panic!("there is no {METRIC} in {text}"));
    line.trim().parse().expect("a number")
}
