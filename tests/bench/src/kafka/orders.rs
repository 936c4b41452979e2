//! A harm's way to its rollback order, against a record that is only handed on. B7 of the proofs.

use std::sync::Arc;
use std::time::Duration;

use incident::Incident;
use kit::{Teller, facts};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use runtime::Shutdown;
use runtime::log::contract::fixtures::{restore, to, transaction, until};
use runtime::log::kafka::{KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Log, Polled};
use runtime::pump::PumpOptions;
use runtime::room::{RoomHandle, spawn};
use wire::{Event, Kind, Offset, Partition, RawRecord};

use super::{Kafka, PART, PARTITIONS, PATIENCE, WAIT_MAX, addressed, new_topic, reader};
use crate::Failure;
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;
use crate::whole::{ms, percentile};

/// Harms of a round: so many that a 99th percentile is not the longest; and those before them, while clients find their brokers.
const HARMS: usize = 300;
const HARMS_BEFORE: usize = 10;

/// The two rooms between a harm and its order.
struct Rooms {
    log: Arc<KafkaLog>,
    rooms: [RoomHandle; 2],
    end: Shutdown,
    ear: Ear,
}

/// Two clients of which each hands on what it is given, in a transaction, and thinks nothing.
struct Relay {
    log: Arc<KafkaLog>,
    hops: Vec<std::thread::JoinHandle<()>>,
    end: Shutdown,
    ear: Ear,
}

/// A platform that listens to a topic.
struct Ear(BaseConsumer);

// === impl Kafka ===

impl Kafka {
    /// A harm until its rollback order can be read, against a record that two clients hand on without a thought, each in a
    /// transaction. In turn. B7 of the proofs.
    pub(super) fn orders(&self, lines: &mut Lines) -> Result<(), Failure> {
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
