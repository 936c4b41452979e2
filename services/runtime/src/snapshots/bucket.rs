//! A bucket of S3, or of a store that speaks as S3 does.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, Result, RetryConfig};

/// Times that a request is sent again where the store answers that it fails, or hangs up.
const RETRIES_MAX: usize = 2;
/// First and longest wait before a request is sent again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The bucket, each object below `prefix`. Of the `environment` those variables count that begin with `AWS_` and are known:
/// AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ALLOW_HTTP and others. Without a
/// key in it, it is asked for where the machine or its cluster gives one out. Nothing is asked of the bucket yet.
pub(super) fn open(
    bucket: &str,
    prefix: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    request_within: Duration,
) -> Result<Arc<dyn ObjectStore>> {
    let (init_backoff, max_backoff) = BACKOFF;
    let backoff = BackoffConfig { init_backoff, max_backoff, base: 2.0 };
    let mut builder = AmazonS3Builder::new()
        .with_retry(RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: request_within })
        // One by one: not every store that speaks as S3 does knows how to remove many at once.
        .with_disable_bulk_delete(true)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), format!("{}ms", request_within.as_millis()));
    for (name, value) in environment.into_iter().filter(|(name, _)| name.starts_with("AWS_")) {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder.with_bucket_name(bucket).build()?;
    Ok(if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) })
}
