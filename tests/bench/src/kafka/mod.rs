//! What reading, deciding and committing cost on Apache Kafka, each beside a client that does no more than that.
//!
//! The one place of the benchmarks that speaks to Kafka's client itself: what others would write by hand.

mod live;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use incident::Incident;
use kit::{Teller, facts};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use runtime::Shutdown;
use runtime::errors::{Coded, Fate};
use runtime::log::contract::fixtures::{restore, to, transaction, until};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log, Polled};
use runtime::pump::{Pump, PumpOptions};
use runtime::room::{RoomHandle, spawn};
use torture::kafka::{KafkaTopic, PARTITIONS, beside_a_broker};
use wire::{Event, Kind, Offset, Partition, RawRecord};

use crate::Failure;
use crate::recorded::by_another;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;
use crate::whole::{ms, percentile};

/// The name of this part.
pub(crate) const PART: &str = "kafka";

/// How often the facts are published, by other agents each time: a topic that is read in an instant cannot be timed.
const COPIES: usize = 4;
/// Transactions of a round, ours and those of the Rust client as it comes, which are dear.
const CYCLES: usize = 60;
const CYCLES_OF_THE_CLIENT: usize = 10;
/// Harms of a round: so many that a 99th percentile is not the longest; and those before them, while clients find their brokers.
const HARMS: usize = 300;
const HARMS_BEFORE: usize = 10;
/// The longest that anybody waits for the brokers at once.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic to read, which the incident room has decided on already: each round reads what is there and adds nothing.
pub(crate) struct Kafka {
    topic: KafkaTopic,
    /// Groups and producers of each round are others.
    rounds: Cell<u32>,
}

// === impl Kafka ===

impl Kafka {
    /// Publishes the facts to a topic of its own, and lets the room decide on them.
    pub(crate) fn begin(events: &[Event]) -> Result<Self, Failure> {
        let kafka = Self { topic: new_topic()?, rounds: Cell::new(0) };
        let log = KafkaLog::open(kafka.topic.options().clone())?;
        for copy in 0..COPIES {
            for batch in events.chunks(wire::limits::BATCH_EVENTS_MAX) {
                log.append(addressed(batch.iter().map(|event| by_another(event, copy))))?;
            }
        }
        kafka.decided()?;
        Ok(kafka)
    }

    /// One round of everything.
    pub(crate) fn round(&self, lines: &mut Lines) -> Result<(), Failure> {
        self.reading(lines)?;
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
        let log = KafkaLog::open(self.options(&self.topic))?;
        let mut pump = Pump::<Incident>::new(Arc::clone(&log) as Arc<dyn Log>, PumpOptions::default());
        let (begun, mut folded, mut seen) = (Watch::begin(), 0, 0);
        while begun.wall() < PATIENCE {
            match pump.step() {
                Ok(step) => {
                    folded += step.folded;
                    if step.restored && step.idle {
                        return Ok(folded);
                    }
                    if step.idle {
                        seen = log.wait(seen, WAIT_MAX);
                    }
                }
                Err(error) if error.fate() == Fate::Retry => seen = log.wait(seen, WAIT_MAX),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure("the room did not come to the end of the topic".to_owned()))
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

    /// A harm until its rollback order can be read, against a record that two clients hand on without a thought, each in a
    /// transaction. In turn. B7 of the proofs.
    fn orders(&self, lines: &mut Lines) -> Result<(), Failure> {
        let began = Watch::begin();
        let (rooms, relay) = (Rooms::open(self.options(&new_topic()?))?, Relay::begin(self.options(&new_topic()?))?);
        let round = self.rounds.get();
        let agents: Vec<String> = (0..HARMS_BEFORE + HARMS).map(|nth| format!("agent-{round}-{nth}")).collect();
        let mut platforms = agents.iter().map(|agent| rooms.live(agent)).collect::<Result<Vec<Teller>, _>>()?;
        rooms.until_folded()?;
        let (mut orders, mut hops) = (Vec::new(), Vec::new());
        for (nth, (agent, platform)) in agents.iter().zip(&mut platforms).enumerate() {
            let (order, hop) = (ms(rooms.order_for(agent, platform)?), ms(relay.hand_on(nth)?));
            if nth >= HARMS_BEFORE {
                orders.push(order);
                hops.push(hop);
            }
        }
        rooms.close()?;
        relay.close();
        let sample = |value| Sample { cpu_s: began.cpu_s(), value };
        let ratio = |percent| sample(percentile(&orders, percent) / percentile(&hops, percent));
        lines.note(PART, "harm to visible rollback order, p50", "ms", None, sample(percentile(&orders, 50)));
        lines.note(PART, "two empty transactional hops, p50", "ms", None, sample(percentile(&hops, 50)));
        lines.note(PART, "harm to order over two empty hops, p50", "x", Some(Goal::AtMost(1.3)), ratio(50));
        lines.note(PART, "harm to order over two empty hops, p99", "x", Some(Goal::AtMost(2.0)), ratio(99));
        Ok(())
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

/// The two rooms between a harm and its order.
struct Rooms {
    log: Arc<KafkaLog>,
    rooms: [RoomHandle; 2],
    end: Shutdown,
    ear: Ear,
}

// === impl Rooms ===

impl Rooms {
    fn open(options: KafkaOptions) -> Result<Self, Failure> {
        let (ear, log, end) = (Ear::at_the_end(&options)?, KafkaLog::open(options)?, Shutdown::new());
        let of = |room: fn(Arc<dyn Log>, runtime::RoomOptions, Shutdown) -> RoomHandle| {
            room(Arc::clone(&log) as Arc<dyn Log>, PumpOptions::default(), end.clone())
        };
        let rooms = [of(spawn::<Incident>), of(spawn::<rollback::Rollback>)];
        until("the rooms are not ready", || rooms.iter().all(RoomHandle::ready).then_some(()));
        Ok(Self { log, rooms, end, ear })
    }

    /// Publishes what there is to know about an agent before it harms somebody.
    fn live(&self, agent: &str) -> Result<Teller, Failure> {
        let (mut platform, now) = (Teller::new(agent), self.log.now());
        let facts = [
            platform.tell(now, None, facts::deployed("v1")),
            Teller::person("ann", agent).tell(now, None, facts::baseline("v1")),
            platform.tell(now, None, facts::deployed("v2")),
            platform.tell(now, Some("s1"), facts::started("v2", Some("refunds"))),
        ];
        self.log.append(addressed(facts.into_iter()))?;
        Ok(platform)
    }

    /// Waits until both have folded what stands there now.
    fn until_folded(&self) -> Result<(), Failure> {
        let ends: Result<Vec<Offset>, _> = (0..PARTITIONS).map(|partition| self.log.end(Partition(partition))).collect();
        let ends = ends?;
        until("the rooms did not come to the end", || {
            let is_done = |room: &RoomHandle| {
                let held = room.status().pump.partitions;
                held.len() == ends.len() && held.iter().all(|one| one.position >= ends[one.partition.0 as usize])
            };
            self.rooms.iter().all(is_done).then_some(())
        });
        Ok(())
    }

    /// From handing a harm to the log to hearing the order that it brings about.
    fn order_for(&self, agent: &str, platform: &mut Teller) -> Result<Duration, Failure> {
        let harm = platform.tell(self.log.now(), Some("s1"), facts::harm(true));
        let watch = Watch::begin();
        self.log.append(addressed([harm].into_iter()))?;
        self.ear.hear(|key, value| {
            let kind = || RawRecord { value: value.to_vec().into(), ..RawRecord::default() }.kind();
            key == Some(agent.as_bytes()) && kind() == Some(Kind::RollbackOrdered)
        })?;
        Ok(watch.wall())
    }

    fn close(self) -> Result<(), Failure> {
        self.end.request();
        Ok(self.rooms.iter().try_for_each(RoomHandle::join)?)
    }
}

/// Two clients of which each hands on what it is given, in a transaction, and thinks nothing.
struct Relay {
    log: Arc<KafkaLog>,
    hops: Vec<std::thread::JoinHandle<()>>,
    end: Shutdown,
    ear: Ear,
}

// === impl Relay ===

impl Relay {
    fn begin(options: KafkaOptions) -> Result<Self, Failure> {
        let (ear, log, end) = (Ear::at_the_end(&options)?, KafkaLog::open(options)?, Shutdown::new());
        let mut hops = Vec::new();
        for (from, to) in [("given", "handed on"), ("handed on", "arrived")] {
            let mut consumer = log.consumer(from, from)?;
            restore(&mut *consumer);
            let (log, end) = (Arc::clone(&log), end.clone());
            hops.push(std::thread::spawn(move || hand_on(&*log, &mut *consumer, from, to, &end)));
        }
        Ok(Self { log, hops, end, ear })
    }

    /// From giving a record to the log to hearing it at the end.
    fn hand_on(&self, nth: usize) -> Result<Duration, Failure> {
        let given = Teller::new("given").tell(self.log.now(), None, facts::deployed("v1"));
        let given = Event { id: format!("given-{nth}").into(), ..given }.to_raw();
        let watch = Watch::begin();
        self.log.append(vec![Addressed { partition: Partition(0), record: given }])?;
        self.ear.hear(|key, _| key == Some(b"arrived"))?;
        Ok(watch.wall())
    }

    fn close(self) {
        self.end.request();
        for hop in self.hops {
            hop.join().expect("a hop does not panic");
        }
    }
}

fn hand_on(log: &dyn Log, consumer: &mut dyn runtime::log::Consumer, from: &str, to_key: &str, end: &Shutdown) {
    let mut producer = log.producer(from).expect("the brokers answer");
    let mut seen = 0;
    while !end.requested() {
        match consumer.poll(usize::MAX).expect("the brokers answer") {
            Polled::Records(partition, records, next) => {
                let handed = records.into_iter().filter(|record| record.raw.key.as_deref() == Some(from.as_bytes()));
                let handed: Vec<Addressed> = handed
                    .map(|record| to(partition.0, RawRecord { key: Some(to_key.as_bytes().to_vec().into()), ..record.raw }))
                    .collect();
                if !handed.is_empty() {
                    producer.commit(transaction(consumer, handed, &[(partition.0, next.0)])).expect("nobody disturbs it");
                }
            }
            _ => seen = log.wait(seen, WAIT_MAX),
        }
    }
}

/// A platform that listens to a topic.
struct Ear(BaseConsumer);

// === impl Ear ===

impl Ear {
    fn at_the_end(options: &KafkaOptions) -> Result<Self, Failure> {
        let consumer = reader(options, "ear")?;
        let mut places = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let (_, end) = consumer.fetch_watermarks(&options.topic, partition as i32, PATIENCE)?;
            places.add_partition_offset(&options.topic, partition as i32, At::Offset(end))?;
        }
        consumer.assign(&places)?;
        Ok(Self(consumer))
    }

    /// Waits for a record by its key and value.
    fn hear(&self, is_it: impl Fn(Option<&[u8]>, &[u8]) -> bool) -> Result<(), Failure> {
        let begun = Watch::begin();
        while begun.wall() < PATIENCE {
            match self.0.poll(WAIT_MAX) {
                Some(Ok(record)) if is_it(record.key(), record.payload().unwrap_or_default()) => return Ok(()),
                Some(Err(KafkaError::PartitionEOF(_)) | Ok(_)) | None => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Err(Failure("what was waited for did not come".to_owned()))
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

fn addressed(events: impl Iterator<Item = Event>) -> Vec<Addressed> {
    events.map(|event| Addressed { partition: event.partition(PARTITIONS), record: event.to_raw() }).collect()
}
