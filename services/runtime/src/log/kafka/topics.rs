//! Makes the topic that Reeve lives on.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use super::settings::RECORD_BYTES_MAX;
use super::{ANSWER_WITHIN, KafkaOptions, unavailable};
use crate::log::LogError;

/// Settings that every topic of Reeve's has, whatever the cluster's defaults are: the broker's time is the time (PITFALLS
/// P35), nothing is compacted away, and a record may be as large as the wire allows.
pub const SETTINGS: &[(&str, &str)] =
    &[("message.timestamp.type", "LogAppendTime"), ("cleanup.policy", "delete"), ("max.message.bytes", RECORD_BYTES_MAX)];

/// Makes the topic. Whether it was not there before.
///
/// # Errors
/// [`LogError::Unavailable`] when the brokers do not answer or refuse it.
pub async fn create(options: &KafkaOptions, partitions: u32, replicas: u32) -> Result<bool, LogError> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&options.client()).map_err(unavailable)?;
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let topic = NewTopic::new(&options.topic, count(partitions), TopicReplication::Fixed(count(replicas)));
    let topic = SETTINGS.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_WITHIN)).request_timeout(Some(ANSWER_WITHIN));
    let told = admin.create_topics(&[topic], &options).await.map_err(unavailable)?;
    match told.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((topic, code))) => Err(unavailable(format!("topic {topic} cannot be made: {code}"))),
        None => Err(unavailable("no answer about the topic")),
    }
}
