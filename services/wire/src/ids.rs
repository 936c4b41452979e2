//! Newtypes for everything that identifies, orders or dates a record.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! text_id {
    ($(#[$doc:meta] $name:ident)+) => {$(
        #[$doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<Arc<str>> for $name {
            fn from(text: Arc<str>) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_id! {
    /// An agent, as its platform names it: the key of every record about it.
    AgentId
    /// A session of an agent: the CloudEvents `subject` of its facts.
    SessionId
    /// A version of an agent, all five layers together.
    VersionId
    /// A kind of task; sessions are compared within one segment only.
    Segment
    /// An incident: derived from the record that opened it.
    IncidentId
    /// The CloudEvents `id` of a record: the publisher's own for facts, derived for decisions.
    RecordId
    /// The CloudEvents `source` of a record: `/platforms/<platform>/agents/<agent>` or `/reeve/<service>`.
    Source
}

/// A partition of the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u32);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record's place in its partition. `Offset(-1)` stands before the first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// Before every record.
    pub const BEFORE_ALL: Self = Self(-1);

    /// The offset after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The offset before this one.
    pub fn previous(self) -> Self {
        Self(self.0 - 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
///
/// On a record it is the broker's append time; given to a machine it is the partition's frontier. For people and in
/// JSON it is RFC 3339 with microseconds; in Avro and in snapshots it is the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Earlier than every record.
    pub const MIN: Self = Self(i64::MIN);
    /// Later than every deadline.
    pub const MAX: Self = Self(i64::MAX);

    /// This time plus whole seconds, saturating.
    #[must_use]
    pub fn plus_s(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Microseconds from `earlier` to this time, saturating, negative when `earlier` is later.
    pub fn since_us(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Seconds from `earlier` to this time.
    pub fn since_s(self, earlier: Self) -> f64 {
        self.since_us(earlier) as f64 / 1e6
    }

    /// Parses RFC 3339; a time without an offset is refused.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_microsecond()))
    }

    /// Parses RFC 3339 or a naive ISO time, which is taken as UTC.
    pub fn parse_naive_as_utc(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| {
            let naive: jiff::civil::DateTime = text.parse().ok()?;
            let utc = naive.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(Self(utc.timestamp().as_microsecond()))
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format_args!("`{text}` is no RFC 3339 time")))
    }
}
