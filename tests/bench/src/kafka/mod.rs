//! What reading, deciding and committing cost on Apache Kafka, each beside a client that does no more than that.
//!
//! The one place of the benchmarks that speaks to Kafka's client itself: what others would write by hand.

mod against;
mod live;
mod once;
mod orders;
mod ordinary;
mod steady;
mod turned;

use std::cell::Cell;
use std::time::Duration;

use kit::facts;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use runtime::log::contract::fixtures::{restore, to, transaction};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log};
use torture::kafka::{KafkaTopic, PARTITIONS, beside_a_broker};
use wire::{Event, RawRecord, Timestamp};

use self::turned::Turned;
use crate::Failure;
use crate::recorded::by_another;
use crate::rooms::sessions;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;
use crate::whole::{ms, percentile};

/// The name of this part.
pub(crate) const PART: &str = "kafka";

/// How often the facts are published, by other agents each time: a topic that is read in an instant cannot be timed.
const COPIES: usize = 4;
/// Agents of a fleet: a tenth of those that are weighed without a broker, for all they say is published first.
const AGENTS: usize = 10_000;
/// Of so many one does harm, which is decided on.
const HARM_EVERY_AGENTS: usize = 10;
/// Transactions of a round, ours and those of the Rust client as it comes, which are dear.
const CYCLES: usize = 60;
const CYCLES_OF_THE_CLIENT: usize = 10;
/// The longest that anybody waits for the brokers at once.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic to read, which the incident room has decided on already: each round reads what is there and adds nothing.
pub(crate) struct Kafka {
    topic: KafkaTopic,
    /// One session of each of [`AGENTS`], after one another: what a room that is ready is given at once.
    fleet: Vec<Event>,
    /// Groups and producers of each round are others.
    rounds: Cell<u32>,
}

/// Broker, Java and client, by their versions: as far as whoever started the broker says.
#[expect(clippy::disallowed_methods, reason = "whoever starts the broker tells what it is")]
pub(crate) fn versions() -> String {
    let broker = std::env::var("KAFKA_VERSIONS").unwrap_or_else(|_| "a Kafka of unknown version".to_owned());
    format!("{broker}, librdkafka {}. ", rdkafka::util::get_rdkafka_version().1)
}

// === impl Kafka ===

impl Kafka {
    /// Publishes the facts to a topic of its own, and lets the room decide on them.
    pub(crate) fn begin(facts: &[Event], events: &[Event]) -> Result<Self, Failure> {
        let kafka = Self { topic: new_topic()?, fleet: fleet(facts), rounds: Cell::new(0) };
        let log = KafkaLog::open(kafka.topic.options().clone())?;
        (0..COPIES).try_for_each(|copy| publish(&log, events, |event, _| by_another(event, copy)))?;
        kafka.decided()?;
        Ok(kafka)
    }

    /// One round of everything.
    pub(crate) fn round(&self, events: &[Event], lines: &mut Lines) -> Result<(), Failure> {
        self.reading(lines)?;
        self.against(events, lines)?;
        self.once(lines)?;
        self.cycles(lines)?;
        self.orders(lines)
    }

    fn options(&self, topic: &KafkaTopic) -> KafkaOptions {
        self.rounds.set(self.rounds.get() + 1);
        KafkaOptions { namespace: format!("bench-{}.", self.rounds.get()), ..topic.options().clone() }
    }

    /// The incident room against a loop that adds up lengths, over the same topic: B1 of the proofs.
    fn reading(&self, lines: &mut Lines) -> Result<(), Failure> {
        let watch = Watch::begin();
        let records = bare(&self.topic)?;
        let bare_cpu_s = watch.cpu_s();
        let watch = Watch::begin();
        let folded = self.decided()?;
        let room_cpu_s = watch.cpu_s();
        // It says how far it has come, and hears that, too.
        if folded < records {
            return Err(Failure(format!("the room read {folded} records and the loop {records}")));
        }
        let rate = |records: usize, cpu_s: f64| Sample { cpu_s, value: records as f64 / cpu_s };
        let (room, bare) = (rate(folded, room_cpu_s), rate(records, bare_cpu_s));
        let ratio = Sample { cpu_s: bare_cpu_s + room_cpu_s, value: room.value / bare.value };
        lines.note(PART, "incident: from its topic to its end", "events per CPU second", None, room);
        lines.note(PART, "a loop over BaseConsumer that adds up lengths", "events per CPU second", None, bare);
        lines.note(PART, "incident over the bare loop", "x", Some(Goal::AtLeast(0.9)), ratio);
        Ok(())
    }

    /// Reads the topic to its end as a new group of the incident room, and decides what is owed. The records that it passed.
    fn decided(&self) -> Result<usize, Failure> {
        let mut room = Turned::on(KafkaLog::open(self.options(&self.topic))?);
        room.until_restored()?;
        Ok(room.passed)
    }

    /// A transaction of one record and one offset, back to back: as the Rust client has it, and ours. B10 of the proofs.
    fn cycles(&self, lines: &mut Lines) -> Result<(), Failure> {
        let began = Watch::begin();
        let topic = new_topic()?;
        let (theirs, ours) = (self.cycle_of_the_client(&topic)?, self.cycle_of_ours(&topic)?);
        let sample = |value| Sample { cpu_s: began.cpu_s(), value };
        lines.note(PART, "a transaction, p50", "ms", None, sample(ours));
        lines.note(PART, "a transaction as the Rust client comes, p50", "ms", None, sample(theirs));
        lines.note(PART, "the client's over ours", "x", Some(Goal::AtLeast(30.0)), sample(theirs / ours));
        Ok(())
    }

    fn cycle_of_ours(&self, topic: &KafkaTopic) -> Result<f64, Failure> {
        let log = KafkaLog::open(self.options(topic))?;
        let mut consumer = log.consumer("cycles", "cycles")?;
        restore(&mut *consumer);
        let mut producer = log.producer("cycles")?;
        let mut took = Vec::new();
        for nth in 0..CYCLES {
            let cycle = transaction(&*consumer, vec![to(0, RawRecord::default())], &[(0, nth as i64)]);
            let watch = Watch::begin();
            producer.commit(cycle)?;
            took.push(ms(watch.wall()));
        }
        Ok(percentile(&took, 50))
    }

    fn cycle_of_the_client(&self, topic: &KafkaTopic) -> Result<f64, Failure> {
        let options = self.options(topic);
        let consumer = reader(&options, "client")?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.brokers).set("transactional.id", format!("{}client", options.namespace));
        // Brokers that are set up for Reeve allow no transaction of a minute, as the client has it.
        config.set("transaction.timeout.ms", "5000");
        let producer: BaseProducer = config.create()?;
        producer.init_transactions(PATIENCE)?;
        let group = consumer.group_metadata().ok_or_else(|| Failure("a consumer without a group".to_owned()))?;
        let mut took = Vec::new();
        for nth in 0..CYCLES_OF_THE_CLIENT {
            let mut places = TopicPartitionList::new();
            places.add_partition_offset(topic.name(), 0, At::Offset(nth as i64))?;
            let watch = Watch::begin();
            producer.begin_transaction()?;
            producer.send(BaseRecord::<str, str>::to(topic.name()).partition(0).payload("")).map_err(|(error, _)| error)?;
            producer.send_offsets_to_transaction(&places, &group, PATIENCE)?;
            producer.commit_transaction(PATIENCE)?;
            took.push(ms(watch.wall()));
        }
        Ok(percentile(&took, 50))
    }
}

/// The records that a client without any thought reads.
fn bare(topic: &KafkaTopic) -> Result<usize, Failure> {
    let consumer = reader(topic.options(), "bare")?;
    let mut places = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        places.add_partition_offset(topic.name(), partition as i32, At::Beginning)?;
    }
    consumer.assign(&places)?;
    let (begun, mut records, mut bytes, mut ended) = (Watch::begin(), 0, 0, 0);
    while ended < PARTITIONS && begun.wall() < PATIENCE {
        match consumer.poll(WAIT_MAX) {
            Some(Ok(record)) => {
                records += 1;
                bytes += record.payload_len();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    match bytes {
        0 => Err(Failure("there was nothing to read".to_owned())),
        _ if ended < PARTITIONS => Err(Failure("the loop did not come to the end of the topic".to_owned())),
        _ => Ok(records),
    }
}

fn new_topic() -> Result<KafkaTopic, Failure> {
    beside_a_broker().ok_or_else(|| Failure("REEVE_KAFKA_BROKERS names no broker: `make bench-kafka` starts one".to_owned()))
}

/// A consumer as anybody makes one, of committed records.
fn reader(options: &KafkaOptions, group: &str) -> Result<BaseConsumer, Failure> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.brokers).set("group.id", format!("{}{group}", options.namespace));
    config.set("isolation.level", "read_committed").set("enable.partition.eof", "true").set("enable.auto.commit", "false");
    Ok(config.create()?)
}

fn fleet(facts: &[Event]) -> Vec<Event> {
    let sessions = sessions(facts);
    let of = |(nth, session): (usize, &Vec<&Event>)| -> Vec<Event> {
        let mut told: Vec<Event> = session.iter().map(|fact| by_another(fact, nth)).collect();
        if nth % HARM_EVERY_AGENTS == 0
            && let Some(last) = told.last_mut()
        {
            last.body = facts::harm(true).into();
        }
        told
    };
    sessions.iter().cycle().take(AGENTS).enumerate().flat_map(of).collect()
}

/// Publishes these facts with what is made of each, once the time is known at which it is published.
fn publish(log: &KafkaLog, events: &[Event], made: impl Fn(&Event, Timestamp) -> Event) -> Result<(), Failure> {
    for batch in events.chunks(wire::limits::BATCH_EVENTS_MAX) {
        let now = log.now();
        log.append(addressed(batch.iter().map(|event| made(event, now))))?;
    }
    Ok(())
}

/// A fact that happens as it is published: what is long past tells a room less.
fn dated(fact: &Event, now: Timestamp) -> Event {
    Event { time: Some(now), ..fact.clone() }
}

/// A record's headers, for the client's own producers.
fn headers(record: &RawRecord) -> OwnedHeaders {
    let all = OwnedHeaders::new_with_capacity(record.headers.len());
    record.headers.iter().fold(all, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

fn addressed(events: impl Iterator<Item = Event>) -> Vec<Addressed> {
    events.map(|event| Addressed { partition: event.partition(PARTITIONS), record: event.to_raw() }).collect()
}
