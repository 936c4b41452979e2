//! A transaction is as quick as the brokers are. Two settings of the client as it comes cost a tenth of a second each time: the
//! Rust client flushes by a poll that takes its whole 100 ms (PITFALLS P1), and a transaction that follows another is tried again
//! only after 100 ms (P5).

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use runtime::log::Log;
use runtime::log::contract::fixtures::{fact, restore, to, transaction};

use super::{OnKafka, is_there};

/// Pairs of which the middle one counts.
const PAIRS: usize = 31;
/// How many times as long as a bare transaction ours may take. With either cause it was more than 30 times.
const RATIO_MAX: f64 = 10.0;
const PATIENCE: Duration = Duration::from_secs(10);

/// The one test that compares times: both were taken in turn in this very run, so that whatever disturbs one disturbs the other.
#[test]
fn transactions_back_to_back_take_no_tenth_of_a_second() {
    if !is_there() {
        return;
    }
    let on_kafka = OnKafka::new();
    let mut consumer = on_kafka.log.consumer("cycles", "cycles").expect("the log is reached");
    restore(&mut *consumer);
    let (mut producer, bare) = (on_kafka.log.producer("cycles").expect("the log is reached"), Bare::new(&on_kafka));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Twice each: the second is the one that follows another.
        for half in 0..2 {
            let id = format!("cycle-{pair}-{half}");
            let next = transaction(&*consumer, vec![to(0, fact(&id, &id))], &[(0, 1)]);
            ours.push(seconds(|| drop(producer.commit(next).expect("nobody disturbs it"))));
        }
        (0..2).for_each(|_| theirs.push(seconds(|| bare.cycle())));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("a transaction takes {:.1} ms, a bare one {:.1} ms", ours * 1e3, theirs * 1e3);
    assert!(ours < RATIO_MAX * theirs, "{:.1} ms against {:.1} ms of a bare one", ours * 1e3, theirs * 1e3);
}

/// A transaction without anything of ours: what is flushed already is not flushed by the Rust client.
struct Bare {
    topic: String,
    consumer: BaseConsumer,
    producer: BaseProducer,
}

// === impl Bare ===

impl Bare {
    fn new(on_kafka: &OnKafka) -> Self {
        let options = &on_kafka.options;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.brokers).set("group.id", format!("{}bare", options.namespace));
        let consumer = config.create().expect("a consumer");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.brokers).set("transactional.id", format!("{}bare", options.namespace));
        config.set("linger.ms", "0").set("retry.backoff.ms", "1").set("retry.backoff.max.ms", "1");
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(PATIENCE).expect("the brokers answer");
        Self { topic: options.topic.clone(), consumer, producer }
    }

    fn cycle(&self) {
        let group = self.consumer.group_metadata().expect("it has a group");
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(&self.topic, 1, Offset::Offset(1)).expect("a place");
        self.producer.begin_transaction().expect("none is open");
        self.producer
            .send(BaseRecord::<str, str>::to(&self.topic).partition(1).payload("bare"))
            .map_err(|(error, _)| error)
            .expect("it fits");
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::ZERO);
        }
        self.producer.send_offsets_to_transaction(&places, &group, PATIENCE).expect("nobody disturbs it");
        self.producer.commit_transaction(PATIENCE).expect("nobody disturbs it");
    }
}

#[expect(clippy::disallowed_methods, reason = "what is compared is real time")]
fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
