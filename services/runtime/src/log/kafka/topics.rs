//! Makes the topic that Reeve lives on, and looks at one that is there.

use std::collections::BTreeMap;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

use super::demands::{Settings, Standing, settings_of_new};
use super::heard::Quiet;
use super::oauth::Tokens;
use super::{ANSWER_WITHIN, KafkaOptions, not_made, unavailable};
use crate::log::LogError;

type Admin = AdminClient<DefaultClientContext>;

/// Makes the topic, with what Reeve demands of it. Whether it was not there before.
///
/// # Errors
/// [`LogError::Unavailable`] when the brokers do not answer or refuse it.
pub async fn create(options: &KafkaOptions, partitions: u32, replicas: u32) -> Result<bool, LogError> {
    // Who is not let in hears so of the one who asks first.
    brokers(options)?;
    let tokens = Tokens::of(options);
    let admin = tokens.authenticate(Admin::from_config(&options.client()).map_err(not_made)?)?;
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let topic = NewTopic::new(&options.topic, count(partitions), TopicReplication::Fixed(count(replicas)));
    let settings = settings_of_new(replicas);
    let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
    let told = admin.create_topics(&[topic], &patience()).await.map_err(unavailable)?;
    match told.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((topic, code))) => Err(unavailable(format!("topic {topic} cannot be made: {code}"))),
        None => Err(unavailable("no answer about the topic")),
    }
}

/// How many brokers the cluster has now.
///
/// # Errors
/// [`LogError::Unavailable`] when none of them answers.
pub fn brokers(options: &KafkaOptions) -> Result<u32, LogError> {
    let metadata = metadata(options)?;
    Ok(u32::try_from(metadata.brokers().len()).unwrap_or(u32::MAX))
}

/// The broker that leads each partition of the topic, by its number; -1 where there is none now.
///
/// # Errors
/// [`LogError::Unavailable`] when none of them answers.
pub fn leaders(options: &KafkaOptions) -> Result<Vec<i32>, LogError> {
    let metadata = metadata(options)?;
    let mut leaders: Vec<(i32, i32)> =
        metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| (partition.id(), partition.leader())).collect();
    leaders.sort_unstable();
    Ok(leaders.into_iter().map(|(_, leader)| leader).collect())
}

/// The topic as it stands; `None` where there is none.
///
/// # Errors
/// [`LogError::Unavailable`] when the brokers do not answer, or do not tell of the topic.
pub async fn look(options: &KafkaOptions) -> Result<Option<Standing>, LogError> {
    let metadata = metadata(options)?;
    let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    if partitions.is_empty() {
        return Ok(None);
    }
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let replicas = partitions.iter().map(|partition| count(partition.replicas().len())).min().unwrap_or(0);
    let in_sync = partitions.iter().map(|partition| count(partition.isr().len())).min().unwrap_or(0);
    let tokens = Tokens::of(options);
    let admin = tokens.authenticate(Admin::from_config(&options.client()).map_err(not_made)?)?;
    let topic = settings(&admin, &ResourceSpecifier::Topic(&options.topic)).await?;
    let topic = topic.map_err(|reason| unavailable(format!("the settings of {} are not told: {reason}", options.topic)))?;
    let mut brokers = BTreeMap::new();
    // One by one: each broker is asked about itself.
    for broker in metadata.brokers() {
        brokers.insert(broker.id(), settings(&admin, &ResourceSpecifier::Broker(broker.id())).await?);
    }
    let lag_allowed_ms = i64::try_from(options.replication_lag_max.as_millis()).unwrap_or(i64::MAX);
    Ok(Some(Standing { partitions: count(partitions.len()), replicas, in_sync, lag_allowed_ms, topic, brokers }))
}

/// Sets something of a topic that exists, and leaves all else of it as it is.
///
/// # Errors
/// [`LogError::Unavailable`] when the brokers do not answer or refuse it.
pub async fn alter(options: &KafkaOptions, changes: &[(&str, &str)]) -> Result<(), LogError> {
    let admin = Admin::from_config(&options.client()).map_err(unavailable)?;
    let topic = ResourceSpecifier::Topic(&options.topic);
    let told = admin.describe_configs([&topic], &patience()).await.map_err(unavailable)?;
    let told = told.into_iter().next().unwrap_or(Err(RDKafkaErrorCode::OperationTimedOut)).map_err(unavailable)?;
    // Whatever is not named goes back to the cluster's default: so all of the topic's own is named again.
    let own = told.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    let mut set: Settings = own.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?))).collect();
    set.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let altered = set.iter().fold(AlterConfig::new(topic), |altered, (name, value)| altered.set(name, value));
    match admin.alter_configs([&altered], &patience()).await.map_err(unavailable)?.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(unavailable(format!("the settings of {} cannot be altered: {code}", options.topic))),
        None => Err(unavailable("no answer about the topic's settings")),
    }
}

/// Refuses a topic whose dates its writers choose: it is filled by a replay that has not come to its end, or was made by hand.
/// Where the brokers do not tell, the topic is taken for good.
///
/// # Errors
/// [`LogError::Unfit`].
pub fn dates_by_itself(options: &KafkaOptions) -> Result<(), LogError> {
    let asked = std::thread::scope(|scope| {
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
            runtime.block_on(async {
                let admin = Admin::from_config(&options.client()).map_err(unavailable)?;
                settings(&admin, &ResourceSpecifier::Topic(&options.topic)).await
            })
        };
        // Whoever opens a log may be within a runtime already, where no other one is allowed.
        scope.spawn(ask).join().unwrap_or_else(|_| Err(unavailable("nobody could ask")))
    });
    let told = match asked {
        Ok(Ok(told)) => told,
        Ok(Err(reason)) => {
            tracing::warn!("nobody knows who dates the records of {}: {reason}", options.topic);
            return Ok(());
        }
        Err(error) => {
            tracing::warn!("nobody knows who dates the records of {}: {error}", options.topic);
            return Ok(());
        }
    };
    match told.get(TIMESTAMP_TYPE).map(String::as_str) {
        Some(BY_WRITERS) => Err(LogError::Unfit {
            reason: format!(
                "{TIMESTAMP_TYPE} of {} is {BY_WRITERS}: either `reeve migrate` has not come to its end, or it was made by hand",
                options.topic
            ),
        }),
        _ => Ok(()),
    }
}

/// The setting that says who dates records, and its values: the brokers, or whoever writes.
pub const TIMESTAMP_TYPE: &str = "message.timestamp.type";
/// Brokers date.
pub const BY_BROKERS: &str = "LogAppendTime";
/// Whoever writes dates.
pub const BY_WRITERS: &str = "CreateTime";

/// What one of them is set to, or why that is not told.
async fn settings(admin: &Admin, of: &ResourceSpecifier<'_>) -> Result<Result<Settings, String>, LogError> {
    let told = admin.describe_configs([of], &patience()).await.map_err(unavailable)?;
    let named = |told: ConfigResource| told.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect();
    let told = told.into_iter().next().unwrap_or(Err(RDKafkaErrorCode::OperationTimedOut));
    Ok(told.map(named).map_err(|code| code.to_string()))
}

/// Asks without making a topic by asking for it, as a producer would.
fn metadata(options: &KafkaOptions) -> Result<Metadata, LogError> {
    let tokens = Tokens::of(options);
    let onlooker = BaseConsumer::from_config_and_context(&options.onlooker(), Quiet::default()).map_err(not_made)?;
    let onlooker = tokens.authenticate(onlooker)?;
    let metadata = onlooker.fetch_metadata(Some(&options.topic), ANSWER_WITHIN);
    metadata.map_err(|error| unavailable(Quiet::explain(&onlooker, &error)))
}

fn patience() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER_WITHIN)).request_timeout(Some(ANSWER_WITHIN))
}
