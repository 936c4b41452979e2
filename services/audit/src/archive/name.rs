//! What a segment is called: a function of the records in it, and of nothing else.

use std::fmt;

use wire::{Offset, Partition, Timestamp};

/// Everything of this archive lies below this.
pub(crate) const VERSION: &str = "v1";
const SUFFIX: &str = ".parquet";

/// The place of a segment: `v1/dt=2026-11-22/topic=agent-events/partition=3/<first>-<last>.parquet`, offsets in twenty
/// digits, so that names sort as offsets do.
///
/// The range is what the segment covers. It begins where the one before ends, also where a log's own markers took
/// offsets between two records: so a range that is missing is always a segment that is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The first offset that it covers.
    pub first: Offset,
    /// The last, which is a record's.
    pub last: Offset,
    /// The day, in UTC, on which its first record was appended.
    pub day: String,
}

// === impl SegmentName ===

impl SegmentName {
    /// The day of a time, as segments are sorted by.
    pub fn day_of(appended: Timestamp) -> String {
        let text = appended.to_string();
        text.split_once('T').map_or(text.clone(), |(day, _)| day.to_owned())
    }

    /// The folder in which every segment lies that begins on the same day in the same partition.
    pub fn folder(&self) -> String {
        format!("{VERSION}/dt={}/topic={}/partition={}", self.day, self.topic, self.partition)
    }

    /// The segment that lies at `path`; `None` where no segment of this archive does.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let [VERSION, day, topic, partition, file] = parts[..] else { return None };
        let (first, last) = file.strip_suffix(SUFFIX)?.split_once('-')?;
        let name = Self {
            topic: topic.strip_prefix("topic=")?.to_owned(),
            partition: Partition(partition.strip_prefix("partition=")?.parse().ok()?),
            first: Offset(first.parse().ok()?),
            last: Offset(last.parse().ok()?),
            day: day.strip_prefix("dt=")?.to_owned(),
        };
        // A name has one form: what is written otherwise was not written here. Nothing could follow the greatest offset.
        (name.to_string() == path && name.first <= name.last && name.last.0 < i64::MAX).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:020}-{:020}{SUFFIX}", self.folder(), self.first.0, self.last.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_has_one_form() {
        let name = SegmentName {
            topic: "agent-events".to_owned(),
            partition: Partition(3),
            first: Offset(0),
            last: Offset(999),
            day: SegmentName::day_of(Timestamp::parse("2026-11-22T23:59:59.999999Z").expect("a time")),
        };
        let path = "v1/dt=2026-11-22/topic=agent-events/partition=3/00000000000000000000-00000000000000000999.parquet";
        assert_eq!(name.to_string(), path);
        assert_eq!(SegmentName::parse(path), Some(name));
        for stray in [
            "v1/dt=2026-11-22/topic=agent-events/partition=3/0-999.parquet",
            "v1/dt=2026-11-22/topic=agent-events/partition=03/00000000000000000000-00000000000000000999.parquet",
            "v1/dt=2026-11-22/topic=agent-events/partition=3/00000000000000000999-00000000000000000000.parquet",
            "v1/dt=2026-11-22/topic=agent-events/00000000000000000000-00000000000000000999.parquet",
            "v2/dt=2026-11-22/topic=agent-events/partition=3/00000000000000000000-00000000000000000999.parquet",
            "v1/dt=2026-11-22/topic=agent-events/partition=3/00000000000000000000-09223372036854775807.parquet",
            "notes.txt",
            "",
        ] {
            assert_eq!(SegmentName::parse(stray), None, "{stray}");
        }
    }
}
