//! The log on Apache Kafka, held to the contract of all logs on a broker that runs: `make kafka` starts one, and
//! `REEVE_KAFKA_BROKERS` says where. Without it every test here is passed over, and says so.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use kit::broker::remove_member;
use kit::proxy::{Proxy, proxy};
use runtime::log::Log;
use runtime::log::contract::fixtures::{restore, transaction, until};
use runtime::log::contract::{PARTITIONS, Pending, Subject, commits};
use runtime::log::kafka::demands::findings;
use runtime::log::kafka::{KafkaLog, KafkaOptions, topics};
use wire::{Partition, Timestamp};

mod cycle;
#[path = "../desk/mod.rs"]
mod desk;
mod gateways;
mod hanging;
mod holes;
mod measured;
mod members;
mod secure;

mod contract {
    runtime::log_contract!(super::OnKafka::new, super::is_there);
}

#[test]
fn behind_a_proxy_an_offset_is_pending_until_its_transaction_is_decided() {
    if let Some(mut subject) = BehindProxy::new() {
        commits::an_offset_is_pending_until_its_transaction_is_decided(&mut subject);
    }
}

#[test]
fn behind_a_proxy_a_successor_decides_what_its_predecessor_left() {
    if let Some(mut subject) = BehindProxy::new() {
        commits::a_successor_decides_what_its_predecessor_left(&mut subject);
    }
}

#[test]
fn a_topic_that_was_made_here_is_told_as_it_is_and_lacks_nothing_but_copies() {
    if !is_there() {
        return;
    }
    let options = OnKafka::make().options.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let standing = runtime.block_on(topics::look(&options)).expect("the broker answers").expect("the topic is there");
    assert_eq!((standing.partitions, standing.replicas, standing.brokers.len()), (PARTITIONS, 1, 1));
    let found = findings(&standing);
    assert_eq!(found.iter().map(|finding| finding.setting).collect::<Vec<_>>(), ["replicas"], "{found:?}");
    let is_new = runtime.block_on(topics::create(&options, PARTITIONS + 1, 1)).expect("the broker answers");
    assert!(!is_new, "it stays as it is");
    let nowhere = KafkaOptions::new(&options.brokers, "nowhere");
    assert_eq!(runtime.block_on(topics::look(&nowhere)).expect("the broker answers"), None);
    assert_eq!(runtime.block_on(topics::look(&nowhere)).expect("the broker answers"), None, "asking made none");
}

#[test]
fn silence_on_one_copy_is_judged_a_second_late_for_a_broker_may_stand_still_before_it_shows_what_it_has_dated() {
    if !is_there() {
        return;
    }
    let made = OnKafka::new().options;
    for (replication_lag_max, late_us) in [(made.replication_lag_max, 1_000_000), (Duration::from_millis(20), 20_000)] {
        let log = KafkaLog::open(KafkaOptions { replication_lag_max, ..made.clone() }).expect("the topic is there");
        let mut onlooker = log.consumer("onlookers", "a").expect("the broker is there");
        let before = log.now();
        let extent = onlooker.extent(Partition(0)).expect("the broker is there");
        let asked = Timestamp(extent.quiet_until.0 + late_us);
        assert!((before..=log.now()).contains(&asked), "{late_us} us: {asked} is not from {before} on");
    }
}

/// A topic of its own on the broker, with groups and producers of its own.
struct OnKafka {
    options: KafkaOptions,
    log: Arc<KafkaLog>,
}

/// The same, where a commit can be held on its way to the broker.
struct BehindProxy {
    on_kafka: OnKafka,
    proxy: &'static Proxy,
}

// === impl OnKafka ===

impl OnKafka {
    fn new() -> Self {
        static AWAKE: Once = Once::new();
        let on_kafka = Self::make();
        AWAKE.call_once(|| wake(&*on_kafka.log));
        on_kafka
    }

    fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("contract-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let mut options = KafkaOptions::new(&brokers().expect("a test asks first"), &name);
        options.namespace = format!("{name}.");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        until("the broker made no topic", || runtime.block_on(topics::create(&options, PARTITIONS, 1)).ok());
        // The controller has made it; the broker hears of it.
        let log = until("the broker knows of no topic", || KafkaLog::open(options.clone()).ok());
        Self { options, log }
    }
}

/// A broker that was just started makes its own topics when the first group and the first transaction ask for them, and
/// takes longer for it than either may last.
fn wake(log: &dyn Log) {
    let mut consumer = until("nobody can join", || log.consumer("wake", "wake").ok());
    restore(&mut *consumer);
    until("no transaction is committed", || {
        let mut producer = log.producer("wake").ok()?;
        producer.commit(transaction(&*consumer, Vec::new(), &[(0, 1)])).ok()
    });
}

impl Subject for OnKafka {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as Arc<dyn Log>
    }

    fn set_now(&self, _: Timestamp) {}

    fn sets_the_clock(&self) -> bool {
        false
    }

    /// Takes the member's leave at the coordinator, as an administrator would; it hears of it by its next heartbeat.
    fn expire(&self, group: &str, member: &str) {
        let group = format!("{}{group}", self.options.namespace);
        assert!(remove_member(&self.options.brokers, &group, member), "{group} knows no {member}");
    }

    /// What crashes is this process, as far as the broker can tell: nobody closes anything.
    fn crash(&mut self) {
        std::mem::forget(std::mem::replace(&mut self.log, KafkaLog::open(self.options.clone()).expect("the topic is there")));
    }

    /// A broker leaves transactions undecided, but not when a test tells it to: [`BehindProxy`] does.
    fn pending(&self) -> Option<&dyn Pending> {
        None
    }
}

// === impl BehindProxy ===

impl BehindProxy {
    /// None, and says so, where there is no broker or nothing between.
    fn new() -> Option<Self> {
        if !is_there() {
            return None;
        }
        let (proxy, address) = proxy()?;
        let on_kafka = OnKafka::new();
        let through = KafkaOptions { brokers: address.clone(), ..on_kafka.options.clone() };
        let log = until("nobody comes through the proxy", || KafkaLog::open(through.clone()).ok());
        Some(Self { on_kafka: OnKafka { options: on_kafka.options, log }, proxy })
    }

    fn client(&self, transactional_id: &str) -> String {
        format!("{}{transactional_id}", self.on_kafka.options.namespace)
    }
}

impl Subject for BehindProxy {
    fn log(&self) -> Arc<dyn Log> {
        self.on_kafka.log()
    }

    fn set_now(&self, _: Timestamp) {}

    fn sets_the_clock(&self) -> bool {
        false
    }

    fn expire(&self, group: &str, member: &str) {
        self.on_kafka.expire(group, member);
    }

    fn crash(&mut self) {
        self.on_kafka.crash();
    }

    fn pending(&self) -> Option<&dyn Pending> {
        Some(self)
    }
}

impl Pending for BehindProxy {
    fn hold_next_commit(&self, transactional_id: &str) {
        self.proxy.hold_commit(&self.client(transactional_id));
    }

    fn arrive(&self, transactional_id: &str) {
        self.proxy.let_go(&self.client(transactional_id));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its broker is")]
fn brokers() -> Option<String> {
    std::env::var("REEVE_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty())
}

fn is_there() -> bool {
    let is_there = brokers().is_some();
    if !is_there {
        eprintln!("passed over: REEVE_KAFKA_BROKERS names no broker (`make kafka` starts one)");
    }
    is_there
}
