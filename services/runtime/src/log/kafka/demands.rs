//! What Reeve demands of a topic and its brokers, each with the reason.
//!
//! Most of it is no fault of anybody's: a topic that was made by hand has its cluster's defaults, and with those Reeve seems
//! to work until a leader falls or a producer dies.

use std::collections::BTreeMap;

use super::settings::{RECORD_BYTES_MAX, SESSION_TIMEOUT, TRANSACTION_TIMEOUT};

/// How many partitions a topic may have.
pub const PARTITIONS_MAX: u32 = 1_024;
/// How long records are kept on a topic that Reeve makes, and offsets by the brokers, at least: a week, so that a room that
/// is down over a long weekend finds where it was.
pub const RETENTION_MS: i64 = 7 * 24 * 3_600 * 1_000;
const RETENTION_MINUTES: i64 = RETENTION_MS / 60_000;
/// So many copies, and a broker may fall while another is being restarted.
pub const REPLICAS_WANTED: u32 = 3;
/// How often brokers look for transactions whose time is over, at most: readers wait for each (PITFALLS P22).
const SWEEP_MS_MAX: i64 = 1_000;
/// The longest transaction that anybody's producer may ask for: readers wait so long if it dies (PITFALLS P22).
const TRANSACTION_MS_MAX: i64 = 15_000;

/// Names and values, as a broker tells them.
pub type Settings = BTreeMap<String, String>;

/// A topic as it stands, and the brokers that hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its partitions.
    pub partitions: u32,
    /// Copies of the partition that has fewest.
    pub replicas: u32,
    /// Copies that are not behind, of the partition that has fewest.
    pub in_sync: u32,
    /// How far behind a copy may be, in milliseconds, for a Reeve of this configuration (`kafka.replication_lag_ms`).
    pub lag_allowed_ms: i64,
    /// Settings of the topic.
    pub topic: Settings,
    /// Settings of each broker by its number, or why they are not told.
    pub brokers: BTreeMap<i32, Result<Settings, String>>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Reeve breaks a promise with it, or does not start.
    Wrong,
    /// Reeve works, until something else fails.
    Risky,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// Where: `topic`, or `broker` and its number.
    pub place: String,
    /// Which setting.
    pub setting: &'static str,
    /// What it is.
    pub is: String,
    /// What it should be.
    pub wanted: String,
    /// Why.
    pub because: &'static str,
}

/// One demand: of which settings, what of their value, and why.
struct Demand {
    weight: Weight,
    setting: &'static str,
    wants: Wants,
    because: &'static str,
}

enum Wants {
    Exactly(&'static str),
    /// A number, `-1` counting as no limit at all.
    AtLeast(i64),
    AtMost(i64),
    Unlimited,
}

const fn demand(weight: Weight, setting: &'static str, wants: Wants, because: &'static str) -> Demand {
    Demand { weight, setting, wants, because }
}

/// What a topic is made with, whatever the cluster's defaults are, and what one that exists must have.
const OF_TOPIC: &[Demand] = &[
    demand(
        Weight::Wrong,
        "message.timestamp.type",
        Wants::Exactly("LogAppendTime"),
        "the log's time is the only one that rooms judge by; a publisher's own may lie, and old dates fall to retention at once",
    ),
    demand(Weight::Wrong, "cleanup.policy", Wants::Exactly("delete"), "compaction removes every fact of an agent but its last"),
    demand(
        Weight::Wrong,
        "max.message.bytes",
        Wants::AtLeast(RECORD_BYTES_MAX as i64),
        "a fact as large as the wire allows would be refused after it was taken",
    ),
    demand(
        Weight::Wrong,
        "unclean.leader.election.enable",
        Wants::Exactly("false"),
        "a replica that was behind would take away what was acknowledged",
    ),
    demand(
        Weight::Risky,
        "retention.ms",
        Wants::AtLeast(RETENTION_MS),
        "a room that is down for longer has to be rebuilt from the archive",
    ),
    demand(
        Weight::Risky,
        "retention.bytes",
        Wants::Unlimited,
        "a flood would shorten the time for which records are kept, just when they are needed",
    ),
    demand(
        Weight::Risky,
        "compression.type",
        Wants::Exactly("producer"),
        "brokers would pack every batch anew, at their cost, under the one that was sent",
    ),
];

const OF_BROKER: &[Demand] = &[
    demand(
        Weight::Wrong,
        "group.max.session.timeout.ms",
        Wants::AtLeast(SESSION_TIMEOUT.as_millis() as i64),
        "the members of rooms ask for so long a session, and are refused a longer one than this",
    ),
    demand(
        Weight::Wrong,
        "group.min.session.timeout.ms",
        Wants::AtMost(SESSION_TIMEOUT.as_millis() as i64),
        "the members of rooms ask for so short a session, and are refused a shorter one than this",
    ),
    demand(
        Weight::Risky,
        "transaction.max.timeout.ms",
        Wants::AtMost(TRANSACTION_MS_MAX),
        "a producer of somebody else's that dies within a transaction holds every room's reading for so long",
    ),
    demand(
        Weight::Risky,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Wants::AtMost(SWEEP_MS_MAX),
        "when a room dies within a transaction, its successors wait for so long beyond the transaction's own time",
    ),
    demand(
        Weight::Risky,
        "offsets.retention.minutes",
        Wants::AtLeast(RETENTION_MINUTES),
        "a room that is down for longer has lost its place, and decides from the beginning of the topic",
    ),
];

/// Wrong before risky, the topic before its brokers.
pub fn findings(standing: &Standing) -> Vec<Finding> {
    let mut found = of_shape(standing);
    found.extend(OF_TOPIC.iter().filter_map(|demand| demand.broken("topic", &standing.topic)));
    for (number, told) in &standing.brokers {
        let place = format!("broker {number}");
        match told {
            Ok(settings) => {
                found.extend(OF_BROKER.iter().filter_map(|demand| demand.broken(&place, settings)));
                found.extend(transactions_allowed(&place, settings));
                found.extend(copies_allowed(&place, settings, standing));
            }
            Err(reason) => found.push(Finding {
                weight: Weight::Risky,
                place,
                setting: "all of them",
                is: format!("not told: {reason}"),
                wanted: "the right to describe configs of the cluster".to_owned(),
                because: "nobody knows whether the limits on transactions and sessions are as Reeve needs them",
            }),
        }
    }
    found.sort_by_key(|finding| finding.weight);
    found
}

/// What a topic of so many copies is made with.
pub fn settings_of_new(replicas: u32) -> Settings {
    let settings = OF_TOPIC.iter().map(|demand| (demand.setting.to_owned(), demand.wants.value()));
    settings.chain([(IN_SYNC.to_owned(), in_sync_wanted(replicas).to_string())]).collect()
}

const IN_SYNC: &str = "min.insync.replicas";

/// How many copies must hold a record before it is acknowledged: two, so that one may be lost, where one may be missing.
fn in_sync_wanted(replicas: u32) -> u32 {
    if replicas >= REPLICAS_WANTED { 2 } else { 1 }
}

/// Partitions and copies.
fn of_shape(standing: &Standing) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |weight, setting, is: String, wanted: String, because| {
        found.push(Finding { weight, place: "topic".to_owned(), setting, is, wanted, because });
    };
    let Standing { partitions, replicas, .. } = *standing;
    if partitions > PARTITIONS_MAX {
        let wanted = format!("at most {PARTITIONS_MAX}");
        find(Weight::Wrong, "partitions", partitions.to_string(), wanted, "a broadcast is copied to each, in one transaction");
    }
    if partitions == 1 {
        let because = "a topic's partitions cannot become more later without moving agents, and one allows one instance of a room";
        find(Weight::Risky, "partitions", "1".to_owned(), "2 or more".to_owned(), because);
    }
    if replicas < REPLICAS_WANTED {
        let wanted = format!("{REPLICAS_WANTED} or more");
        find(Weight::Risky, "replicas", replicas.to_string(), wanted, "a disk that is lost takes acknowledged records with it");
    }
    if standing.in_sync < replicas {
        let (is, wanted) = (format!("{} in sync", standing.in_sync), format!("all {replicas}"));
        find(Weight::Risky, "replicas", is, wanted, "brokers are down or behind: the next one that falls may stop all that is written");
    }
    let told = standing.topic.get(IN_SYNC).and_then(|value| value.parse::<u32>().ok());
    let wanted = in_sync_wanted(replicas);
    match told {
        Some(in_sync) if in_sync > 1 && in_sync >= replicas => {
            let because = "no broker can be restarted without stopping all that is written";
            find(Weight::Risky, IN_SYNC, in_sync.to_string(), format!("less than the {replicas} replicas"), because);
        }
        Some(in_sync) if in_sync >= wanted => {}
        told => {
            let because = "what only one broker holds is acknowledged, and gone when that one is";
            find(Weight::Wrong, IN_SYNC, shown(told.map(|told| told.to_string())), wanted.to_string(), because);
        }
    }
    found
}

/// A broker that allows less than our transactions take refuses every producer.
fn transactions_allowed(place: &str, settings: &Settings) -> Option<Finding> {
    let because = "the producers of rooms ask for so long a transaction, and are refused";
    let at_least = Wants::AtLeast(TRANSACTION_TIMEOUT.as_millis() as i64);
    demand(Weight::Wrong, "transaction.max.timeout.ms", at_least, because).broken(place, settings)
}

/// A copy that is behind and counts as in sync hides what the leader has dated already: silence is judged that much later.
fn copies_allowed(place: &str, settings: &Settings, standing: &Standing) -> Option<Finding> {
    let because = "what a copy in sync does not have yet nobody can read: a room would take it for silence (kafka.replication_lag_ms)";
    let at_most = Wants::AtMost(standing.lag_allowed_ms);
    if standing.replicas > 1 { demand(Weight::Wrong, COPIES_BEHIND, at_most, because).broken(place, settings) } else { None }
}

const COPIES_BEHIND: &str = "replica.lag.time.max.ms";

fn shown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "not told".to_owned())
}

// === impl Demand ===

impl Demand {
    fn broken(&self, place: &str, settings: &Settings) -> Option<Finding> {
        let is = settings.get(self.setting);
        if is.is_some_and(|is| self.wants.met_by(is)) {
            return None;
        }
        Some(Finding {
            weight: self.weight,
            place: place.to_owned(),
            setting: self.setting,
            is: shown(is.cloned()),
            wanted: self.wants.in_words(),
            because: self.because,
        })
    }
}

// === impl Wants ===

impl Wants {
    fn met_by(&self, value: &str) -> bool {
        let number = value.parse::<i64>().ok();
        match self {
            Self::Exactly(wanted) => value == *wanted,
            Self::AtLeast(least) => number.is_some_and(|number| number >= *least || number == -1),
            Self::AtMost(most) => number.is_some_and(|number| (0..=*most).contains(&number)),
            Self::Unlimited => number == Some(-1),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Exactly(wanted) => (*wanted).to_owned(),
            Self::AtLeast(least) => format!("at least {least}"),
            Self::AtMost(most) => format!("at most {most}"),
            Self::Unlimited => "-1".to_owned(),
        }
    }

    /// The value that meets it.
    fn value(&self) -> String {
        match self {
            Self::Exactly(wanted) => (*wanted).to_owned(),
            Self::AtLeast(bound) | Self::AtMost(bound) => bound.to_string(),
            Self::Unlimited => "-1".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_reeve_made_on_brokers_as_it_wants_them_is_in_order() {
        assert_eq!(findings(&in_order()), []);
    }

    #[test]
    fn every_demand_of_a_topic_is_looked_at_and_says_why() {
        let spoilt = [
            ("message.timestamp.type", "CreateTime", Weight::Wrong),
            ("cleanup.policy", "compact,delete", Weight::Wrong),
            ("max.message.bytes", "1048588", Weight::Wrong),
            ("unclean.leader.election.enable", "true", Weight::Wrong),
            ("min.insync.replicas", "1", Weight::Wrong),
            ("min.insync.replicas", "3", Weight::Risky),
            ("retention.ms", "3600000", Weight::Risky),
            ("retention.bytes", "1000000000", Weight::Risky),
            ("compression.type", "gzip", Weight::Risky),
        ];
        for (name, value, weight) in spoilt {
            let mut standing = in_order();
            standing.topic.insert(name.to_owned(), value.to_owned());
            let [finding] = &findings(&standing)[..] else { panic!("{name}={value}: {:?}", findings(&standing)) };
            assert_eq!((finding.setting, finding.is.as_str(), finding.weight), (name, value, weight));
        }
        assert!(OF_TOPIC.iter().all(|demand| spoilt.iter().any(|(name, ..)| *name == demand.setting)), "one was not spoilt");
    }

    #[test]
    fn every_demand_of_a_broker_is_looked_at_and_says_which_one_it_is() {
        let spoilt = [
            ("group.max.session.timeout.ms", "6000", Weight::Wrong),
            ("group.min.session.timeout.ms", "10000", Weight::Wrong),
            ("transaction.max.timeout.ms", "900000", Weight::Risky),
            ("transaction.max.timeout.ms", "1000", Weight::Wrong),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000", Weight::Risky),
            ("offsets.retention.minutes", "60", Weight::Risky),
            ("replica.lag.time.max.ms", "30001", Weight::Wrong),
        ];
        for (name, value, weight) in spoilt {
            let mut standing = in_order();
            let second = standing.brokers.get_mut(&2).expect("it is there").as_mut().expect("it tells");
            second.insert(name.to_owned(), value.to_owned());
            let [finding] = &findings(&standing)[..] else { panic!("{name}={value}: {:?}", findings(&standing)) };
            assert_eq!((finding.place.as_str(), finding.setting, finding.weight), ("broker 2", name, weight));
        }
        assert!(OF_BROKER.iter().all(|demand| spoilt.iter().any(|(name, ..)| *name == demand.setting)), "one was not spoilt");
    }

    #[test]
    fn what_is_not_told_is_not_taken_for_good() {
        let mut standing = in_order();
        standing.topic.remove("retention.ms");
        standing.brokers.insert(3, Err("not authorized".to_owned()));
        let found = findings(&standing);
        let told: Vec<_> = found.iter().map(|finding| (finding.place.as_str(), finding.is.as_str())).collect();
        assert_eq!(told, [("topic", "not told"), ("broker 3", "not told: not authorized")]);
    }

    #[test]
    fn a_copy_that_is_behind_is_told() {
        let found = findings(&Standing { in_sync: 2, ..in_order() });
        assert_eq!(found.iter().map(|finding| finding.is.as_str()).collect::<Vec<_>>(), ["2 in sync"]);
    }

    #[test]
    fn one_copy_on_one_partition_is_risky_and_no_more() {
        let standing = Standing { partitions: 1, replicas: 1, in_sync: 1, topic: settings_of_new(1), ..in_order() };
        let found = findings(&standing);
        assert_eq!(found.iter().map(|finding| finding.setting).collect::<Vec<_>>(), ["partitions", "replicas"]);
        assert!(found.iter().all(|finding| finding.weight == Weight::Risky), "{found:?}");
    }

    #[test]
    fn a_copy_may_be_as_far_behind_as_silence_is_judged_later_where_there_is_one() {
        let places = |standing: &Standing| findings(standing).into_iter().map(|finding| finding.place).collect::<Vec<_>>();
        let impatient = Standing { lag_allowed_ms: 29_999, ..in_order() };
        assert_eq!(places(&impatient), ["broker 1", "broker 2", "broker 3"]);
        let alone = Standing { replicas: 1, in_sync: 1, topic: settings_of_new(1), ..impatient };
        assert_eq!(places(&alone), ["topic"], "of its only copy nobody is behind");
    }

    fn in_order() -> Standing {
        let mut broker: Settings = OF_BROKER.iter().map(|demand| (demand.setting.to_owned(), demand.wants.value())).collect();
        broker.insert(COPIES_BEHIND.to_owned(), "30000".to_owned());
        let brokers = (1..=3).map(|number| (number, Ok(broker.clone()))).collect();
        Standing { partitions: 8, replicas: 3, in_sync: 3, lag_allowed_ms: 30_000, topic: settings_of_new(3), brokers }
    }
}
