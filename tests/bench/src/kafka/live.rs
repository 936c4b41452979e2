//! How much a whole house bears while it keeps up: every room, the archive, the broker and a platform that publishes share the
//! processors of one machine. B13 of the proofs.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use runtime::config::LogConfig;
use runtime::log::kafka::KafkaOptions;
use torture::kafka::KafkaTopic;
use wire::{Event, RawRecord, Timestamp};

use super::{Kafka, PART, PARTITIONS, bare, headers, new_topic};
use crate::Failure;
use crate::house::House;
use crate::recorded::by_another;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;

/// Facts per second that are tried, one after the other, until one is not held.
const PACES: [usize; 12] = [5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000, 75_000, 100_000, 150_000];
/// How long each is tried. A pace that builds up a backlog of a twentieth shows it within this.
const TRIAL: Duration = Duration::from_secs(20);
/// How long the last one that was held has to be held in the end.
const HOLD: Duration = Duration::from_secs(60);
/// How often a pace is tried before it counts as one that is not held.
const TRIES: usize = 2;
/// No fact may wait longer for any room.
const LAG_MAX: Duration = Duration::from_secs(1);
/// Consumers that only read what the house read.
const READERS: usize = 5;
/// How often the platform publishes what is due, and the rooms are looked at.
const TICK: Duration = Duration::from_millis(10);

/// A pace that was held, or not.
struct Trial {
    /// The longest that a fact waited for a room, so far as it was looked.
    lag: Duration,
    cpu_s: f64,
}

/// A platform that publishes as one does with an ordinary client, made before so that its own work is little.
struct Platform {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

// === impl Kafka ===

impl Kafka {
    /// The pace that a house keeps up with, against five consumers that only read.
    pub(crate) fn live(&self, facts: &[Event], lines: &mut Lines) -> Result<(), Failure> {
        let mut held = None;
        for pace in PACES {
            if self.held(facts, pace, TRIAL)?.is_none() {
                break;
            }
            held = Some(pace);
        }
        // What was held for a while is not held for long, maybe.
        let slower = PACES.into_iter().rev().filter(|pace| held.is_some_and(|held| *pace <= held));
        for pace in slower {
            if let Some((topic, trial)) = self.held(facts, pace, HOLD)? {
                let (pace, read) = (pace as f64, self.only_read(&topic)?);
                let sample = |value| Sample { cpu_s: trial.cpu_s, value };
                let what = "five services, archive, broker and platform, no fact later than 1 s";
                lines.note(PART, what, "facts per second", Some(Goal::AtLeast(50_000.0)), sample(pace));
                lines.note(PART, "the longest that a fact waited there", "ms", None, sample(trial.lag.as_secs_f64() * 1e3));
                let fact_us = trial.cpu_s * 1e6 / (pace * HOLD.as_secs_f64());
                lines.note(PART, "what a fact took there, without the broker", "CPU us", None, sample(fact_us));
                lines.note(PART, "five loops over that topic, from begin to end", "records per second", None, sample(read));
                lines.note(PART, "the house over the five loops", "x", Some(Goal::AtLeast(0.5)), sample(pace / read));
                return Ok(());
            }
        }
        Err(Failure(format!("the house did not even keep up with {} facts per second", PACES[0])))
    }

    /// A trial in which a pace was held, and its topic. One that failed is made once more: what else a machine does may have failed it.
    fn held(&self, facts: &[Event], pace: usize, length: Duration) -> Result<Option<(KafkaTopic, Trial)>, Failure> {
        for _ in 0..TRIES {
            let topic = new_topic()?;
            let trial = self.trial(&topic, facts, pace, length)?;
            if trial.lag <= LAG_MAX {
                return Ok(Some((topic, trial)));
            }
        }
        Ok(None)
    }

    /// A house of its own on a topic of its own that hears so many facts per second for so long.
    fn trial(&self, topic: &KafkaTopic, facts: &[Event], pace: usize, length: Duration) -> Result<Trial, Failure> {
        let options = self.options(topic);
        let platform = Platform::begin(&options)?;
        let house = House::on(LogConfig::Kafka(options))?;
        let records = made(facts, pace, pace * length.as_secs() as usize, house.log.now());
        let watch = Watch::begin();
        let mut published: Vec<(Duration, usize)> = Vec::new();
        let mut lag = Duration::ZERO;
        let mut sent = 0;
        loop {
            let now = watch.wall();
            let due = ((now.as_secs_f64() * pace as f64) as usize).min(records.len());
            records[sent..due].iter().try_for_each(|record| platform.publish(record))?;
            sent = due;
            published.push((now, sent));
            // The first fact that the slowest room has not passed was published at that tick.
            let passed = house.facts_passed();
            let waits = published.partition_point(|(_, sent)| *sent <= passed);
            lag = lag.max(published.get(waits).map_or(Duration::ZERO, |(at, _)| watch.wall().saturating_sub(*at)));
            if lag > LAG_MAX || (sent == records.len() && passed >= sent) {
                break;
            }
            std::thread::sleep(TICK.saturating_sub(watch.wall().saturating_sub(now)));
        }
        let cpu_s = watch.cpu_s();
        house.close()?;
        Ok(Trial { lag, cpu_s })
    }

    /// How many records of a topic so many loops read per second, all at once, of which each reads all of it.
    fn only_read(&self, topic: &KafkaTopic) -> Result<f64, Failure> {
        let watch = Watch::begin();
        let read = std::thread::scope(|scope| {
            let loops: Vec<_> = (0..READERS).map(|_| scope.spawn(|| bare(topic))).collect();
            loops.into_iter().map(|read| read.join().expect("a loop does not panic")).collect::<Result<Vec<usize>, Failure>>()
        })?;
        Ok(read[0] as f64 / watch.wall().as_secs_f64())
    }
}

/// So many records, made of these facts by ever new agents, each dated when it is to be published.
fn made(facts: &[Event], pace: usize, count: usize, begin: Timestamp) -> Vec<RawRecord> {
    let record = |(nth, fact): (usize, &Event)| {
        let time = Some(Timestamp(begin.0 + (nth * 1_000_000 / pace) as i64));
        Event { time, ..by_another(fact, nth / facts.len()) }.to_raw()
    };
    facts.iter().cycle().take(count).enumerate().map(record).collect()
}

// === impl Platform ===

impl Platform {
    fn begin(options: &KafkaOptions) -> Result<Self, Failure> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.brokers).set("linger.ms", "5").set("enable.idempotence", "true");
        config.set("queue.buffering.max.messages", "2000000").set("queue.buffering.max.kbytes", "2000000");
        Ok(Self { producer: config.create()?, topic: options.topic.clone() })
    }

    fn publish(&self, record: &RawRecord) -> Result<(), Failure> {
        let key = record.key.as_deref().unwrap_or_default();
        let partition = wire::partitioner::partition_of(key, PARTITIONS).0 as i32;
        let mut told = BaseRecord::to(&self.topic).partition(partition).key(key).payload(&record.value[..]).headers(headers(record));
        loop {
            match self.producer.send(told) {
                // It is later than it should be, and its lag tells of it.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => told = back,
                sent => return sent.map_err(|(error, _)| error.into()),
            }
            std::thread::sleep(TICK);
        }
    }
}
