//! A topic of its own on the broker that `REEVE_KAFKA_BROKERS` names.

use std::sync::atomic::{AtomicU32, Ordering};

use kit::broker;
use runtime::log::Log;
use runtime::log::kafka::{KafkaLog, KafkaOptions, topics};
use wire::{Offset, Partition};

use crate::ground::{eventually, say};
use crate::proof::{Read, read_all};

/// Partitions of such a topic.
pub use crate::program::PARTITIONS;

/// Topics of the brokers' own, in the order of [`Leaders`]: who leads a partition there coordinates groups or transactions.
const COORDINATING: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Who leads what: the partitions of the topic, and those by which groups and transactions are coordinated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaders(pub [Vec<i32>; 3]);

/// A topic that nobody else uses.
pub struct KafkaTopic(KafkaOptions);

/// A new topic on the broker; none, loudly, where there is no broker.
pub fn beside_a_broker() -> Option<KafkaTopic> {
    on_brokers(1)
}

/// A new topic with three copies of everything; none, loudly, where there are no three brokers.
pub fn beside_a_cluster() -> Option<KafkaTopic> {
    if std::env::var_os("KAFKA_NODES").is_none_or(|nodes| nodes != "3") {
        say("SKIPPED: KAFKA_NODES=3 was not asked for: what happens when a broker falls is not seen by this test");
        return None;
    }
    on_brokers(3)
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its broker is")]
fn on_brokers(replicas: u32) -> Option<KafkaTopic> {
    let Some(brokers) = std::env::var("REEVE_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty()) else {
        say("SKIPPED: REEVE_KAFKA_BROKERS names no broker: what happens on Kafka is not seen by this test");
        return None;
    };
    Some(KafkaTopic::make(&brokers, replicas))
}

// === impl Leaders ===

impl Leaders {
    /// How many of each are led by another one `then`.
    pub fn moved(&self, then: &Self) -> [usize; 3] {
        std::array::from_fn(|which| self.0[which].iter().zip(&then.0[which]).filter(|(now, then)| now != then).count())
    }
}

// === impl KafkaTopic ===

impl KafkaTopic {
    fn make(brokers: &str, replicas: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("torture-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let options = KafkaOptions::new(brokers, &name);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        eventually("a topic", || runtime.block_on(topics::create(&options, PARTITIONS, replicas)).ok());
        // The controller has made it; the broker hears of it.
        eventually("a topic that can be opened", || KafkaLog::open(options.clone()).ok());
        Self(options)
    }

    /// Some brokers.
    pub fn brokers(&self) -> &str {
        &self.0.brokers
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.topic
    }

    /// How a program reaches it.
    pub fn options(&self) -> &KafkaOptions {
        &self.0
    }

    /// Copies that are not behind, of the partition that has fewest; absent while nobody says.
    pub fn in_sync(&self) -> Option<u32> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(topics::look(&self.0)).ok()?.map(|standing| standing.in_sync)
    }

    /// Who leads now; absent while nobody says, or a partition has no leader.
    pub fn leaders(&self) -> Option<Leaders> {
        let [groups, transactions] = COORDINATING;
        let of = |topic: &str| topics::leaders(&KafkaOptions { topic: topic.to_owned(), ..self.0.clone() }).ok();
        let leaders = [of(self.name())?, of(groups)?, of(transactions)?];
        leaders.iter().flatten().all(|leader| *leader > 0).then_some(Leaders(leaders))
    }

    /// Where the transactions begin that are open on it, of whichever producer.
    pub fn open_transactions(&self) -> Vec<(Partition, Offset)> {
        broker::open_transactions(self.brokers(), self.name(), PARTITIONS)
    }

    /// Every committed record.
    pub fn read(&self) -> Read {
        let log = KafkaLog::open(self.0.clone()).expect("the topic is there");
        let of = |partition| read_all(&*log, Partition(partition)).expect("the topic can be read to its end");
        Read((0..log.partitions()).map(of).collect())
    }
}
