//! How much a key may ask for: a bucket that fills by the key's rate, and out of which every request and event takes one.
//!
//! A bucket holds a second's worth, and never less than a full batch, so that every batch that the gateway takes can
//! pass at some time. There are as many buckets as keys, and no more: what comes without a valid key has none. Without
//! keys there are none at all: then only this machine can ask, and what the log bears is the limit.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use wire::limits;

/// The clock of the buckets.
#[derive(Clone, Debug)]
pub struct Pace(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Time since a moment.
    Since(Instant),
    /// Nanoseconds that somebody let pass.
    Told(Arc<AtomicU64>),
}

/// What one key may still ask for.
pub(crate) struct Bucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, Pace, NoOpMiddleware<Duration>>,
    pace: Pace,
    /// How long it takes until one has come back.
    each: Duration,
}

/// Why a bucket does not give what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// It will have enough after this time.
    For(Duration),
    /// It never holds so much.
    Ever,
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn new(rate_per_s: NonZeroU32, pace: &Pace) -> Self {
        let full_batch = NonZeroU32::new(limits::BATCH_EVENTS_MAX as u32).expect("a batch has events");
        let quota = Quota::per_second(rate_per_s).allow_burst(rate_per_s.max(full_batch));
        Self { limiter: RateLimiter::direct_with_clock(quota, pace.clone()), pace: pace.clone(), each: quota.replenish_interval() }
    }

    /// How long it takes until `count` have come back.
    pub(crate) fn time_for(&self, count: u32) -> Duration {
        self.each * count
    }

    /// Takes `count`, or nothing.
    ///
    /// # Errors
    /// [`Short`], when there is not enough.
    pub(crate) fn take(&self, count: NonZeroU32) -> Result<(), Short> {
        match self.limiter.check_n(count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Short::For(until.wait_time_from(self.pace.now()))),
            Err(_) => Err(Short::Ever),
        }
    }
}

// === impl Pace ===

impl Default for Pace {
    #[allow(clippy::disallowed_methods, reason = "the gateway is the edge: here it is measured how fast requests come")]
    fn default() -> Self {
        Self(Source::Since(Instant::now()))
    }
}

impl Pace {
    /// A clock that stands still until it is told that time passed.
    pub fn standing_still() -> Self {
        Self(Source::Told(Arc::default()))
    }

    /// Lets time pass, for every clone; the clock of the machine goes by itself.
    pub fn pass(&self, time: Duration) {
        if let Source::Told(nanoseconds) = &self.0 {
            nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

impl Clock for Pace {
    type Instant = Duration;

    fn now(&self) -> Duration {
        match &self.0 {
            Source::Since(begun) => begun.elapsed(),
            Source::Told(nanoseconds) => Duration::from_nanos(nanoseconds.load(Ordering::SeqCst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_says_for_how_long_it_is_short() {
        let pace = Pace::standing_still();
        let bucket = Bucket::new(count(2_000), &pace);
        assert_eq!(bucket.take(count(2_000)), Ok(()));
        assert_eq!(bucket.take(count(500)), Err(Short::For(Duration::from_millis(250))));
        pace.pass(Duration::from_millis(249));
        assert!(bucket.take(count(500)).is_err());
        pace.pass(Duration::from_millis(1));
        assert_eq!(bucket.take(count(500)), Ok(()));
    }

    #[test]
    fn a_slow_key_may_send_a_full_batch_and_then_waits_for_all_of_it() {
        let pace = Pace::standing_still();
        let bucket = Bucket::new(count(1), &pace);
        assert_eq!(bucket.take(count(1_000)), Ok(()));
        assert_eq!(bucket.take(count(1)), Err(Short::For(Duration::from_secs(1))));
        assert_eq!(bucket.take(count(1_000)), Err(Short::For(Duration::from_secs(1_000))));
        assert_eq!(bucket.take(count(1_001)), Err(Short::Ever));
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let pace = Pace::standing_still();
        let bucket = Bucket::new(count(1_000), &pace);
        assert_eq!(bucket.take(count(999)), Ok(()));
        for _ in 0..10 {
            assert!(bucket.take(count(2)).is_err());
        }
        assert_eq!(bucket.take(count(1)), Ok(()));
    }

    fn count(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).expect("not zero")
    }
}
