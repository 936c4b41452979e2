//! A log written down: JSON lines that people can read and a program can fold, bytes and all.
//!
//! The first line says what it is a history of. Every further line is a record as a structured CloudEvent, as `reeve
//! tail --json` prints it, in order of append; its own bytes stand beside that as the extension `raw` (the record's CBOR,
//! in base64), because a decision is judged by its bytes.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use wire::cloudevents::to_structured;
use wire::{Offset, Partition, RawRecord, StoredRecord, Timestamp};

/// Version of this format.
const FORMAT: u32 = 1;
/// Partitions of a history: as many as any log has, so that a torn number makes no million of rooms.
const PARTITIONS_MAX: u32 = 4_096;

/// What a history is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Version of the format.
    pub history: u32,
    /// Name of the topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// A time after every deadline, if the log was followed so far: then nothing may be owed at its end.
    pub end: Option<Timestamp>,
    /// Where it comes from, for people.
    pub origin: String,
    /// What is known to be wrong with it.
    #[serde(default)]
    pub complaints: Vec<String>,
    /// What was done to bring it about, in order.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// A log, whole, and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// What it is.
    pub about: About,
    /// Its records, in order of append.
    pub records: Vec<StoredRecord>,
}

/// Why a history cannot be read.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The file fails.
    #[error("line {line} cannot be read")]
    Io {
        /// Which line.
        line: usize,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// It is empty.
    #[error("it is empty: the first line of a history says what it is of")]
    Empty,
    /// A line says something else than it should.
    #[error("line {line}, field {field}: {reason}")]
    Line {
        /// Which line.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

// === impl About ===

impl About {
    /// About a topic of so many partitions.
    pub fn new(topic: &str, partitions: u32, origin: impl Into<String>) -> Self {
        Self {
            history: FORMAT,
            topic: topic.to_owned(),
            partitions,
            end: None,
            origin: origin.into(),
            complaints: Vec::new(),
            actions: Vec::new(),
        }
    }
}

// === impl History ===

impl History {
    /// A history of these records, which are put into their order of append. Within a partition that is the order of offsets,
    /// also where brokers' clocks differ and dates step back: there a record counts as dated like the latest before it.
    pub fn new(about: About, mut records: Vec<StoredRecord>) -> Self {
        records.sort_by_key(|record| (record.partition, record.offset));
        let mut latest: BTreeMap<Partition, Timestamp> = BTreeMap::new();
        let dated = records.into_iter().map(|record| {
            let latest = latest.entry(record.partition).or_insert(record.appended);
            *latest = record.appended.max(*latest);
            (*latest, record)
        });
        let mut dated: Vec<(Timestamp, StoredRecord)> = dated.collect();
        dated.sort_by_key(|(date, record)| (*date, record.partition, record.offset));
        Self { about, records: dated.into_iter().map(|(_, record)| record).collect() }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, &self.about)?;
        writeln!(out)?;
        for stored in &self.records {
            let mut event = to_structured(stored, &self.about.topic, None);
            event["raw"] = BASE64_STANDARD.encode(cbor(&stored.raw)).into();
            serde_json::to_writer(&mut out, &event)?;
            writeln!(out)?;
        }
        out.flush()
    }

    /// Reads one that was written down.
    ///
    /// # Errors
    /// [`HistoryError`], with the line and the field that cannot be believed.
    pub fn read(lines: impl BufRead) -> Result<Self, HistoryError> {
        let mut lines =
            lines.lines().zip(1..).map(|(text, line)| text.map(|text| (line, text)).map_err(|source| HistoryError::Io { line, source }));
        let (_, first) = lines.next().transpose()?.ok_or(HistoryError::Empty)?;
        let about: About = serde_json::from_str(&first).map_err(|error| wrong(1, "history", error))?;
        if about.history != FORMAT {
            return Err(wrong(1, "history", format!("it is of format {}, this Reeve reads {FORMAT}", about.history)));
        }
        if !(1..=PARTITIONS_MAX).contains(&about.partitions) {
            return Err(wrong(1, "partitions", format!("{} is not from 1 to {PARTITIONS_MAX}", about.partitions)));
        }
        let mut ends = vec![Offset::BEFORE_ALL; about.partitions as usize];
        let mut records = Vec::new();
        for line in lines {
            let (line, text) = line?;
            let stored = record(line, &text)?;
            let end = ends
                .get_mut(stored.partition.0 as usize)
                .ok_or_else(|| wrong(line, "partition", format!("there are {}, this one is {}", about.partitions, stored.partition)))?;
            if stored.offset <= *end {
                return Err(wrong(line, "offset", format!("{} follows {end} on partition {}", stored.offset, stored.partition)));
            }
            *end = stored.offset;
            records.push(stored);
        }
        Ok(Self { about, records })
    }
}

fn record(line: usize, text: &str) -> Result<StoredRecord, HistoryError> {
    let event: Value = serde_json::from_str(text).map_err(|error| wrong(line, "record", error))?;
    let told = |field: &'static str| event.get(field).and_then(Value::as_str).ok_or_else(|| wrong(line, field, "it is missing"));
    let whole = |field: &'static str| event.get(field).and_then(Value::as_i64).ok_or_else(|| wrong(line, field, "it is no whole number"));
    let partition = u32::try_from(whole("partition")?).map_err(|error| wrong(line, "partition", error))?;
    let appended = Timestamp::parse(told("recordedtime")?).ok_or_else(|| wrong(line, "recordedtime", "it is no RFC 3339 time"))?;
    let bytes = BASE64_STANDARD.decode(told("raw")?).map_err(|error| wrong(line, "raw", error))?;
    let raw: RawRecord = ciborium::from_reader(bytes.as_slice()).map_err(|error| wrong(line, "raw", error))?;
    Ok(StoredRecord { partition: Partition(partition), offset: Offset(whole("offset")?), appended, raw })
}

fn cbor(raw: &RawRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(raw, &mut bytes).expect("a vector takes every write");
    bytes
}

fn wrong(line: usize, field: &'static str, reason: impl ToString) -> HistoryError {
    HistoryError::Line { line, field, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_as_it_was_written_bytes_and_all() {
        let history = two_records();
        assert_eq!(History::read(written(&history).as_bytes()).expect("what was written can be read"), history);
    }

    #[test]
    fn records_of_a_partition_keep_their_order_where_dates_step_back() {
        let History { about, records } = two_records();
        let at =
            |offset: i64, second: i64| StoredRecord { offset: Offset(offset), appended: Timestamp(0).plus_s(second), ..records[0].clone() };
        let beside = StoredRecord { appended: Timestamp(0).plus_s(2), ..records[1].clone() };
        let history = History::new(about, vec![at(5, 3), beside, at(4, 1), at(6, 2)]);
        let order: Vec<_> = history.records.iter().map(|record| (record.partition.0, record.offset.0)).collect();
        let other = (records[1].partition.0, records[1].offset.0);
        assert_eq!(order, [(records[0].partition.0, 4), other, (records[0].partition.0, 5), (records[0].partition.0, 6)]);
        assert_eq!(History::read(written(&history).as_bytes()).expect("it is whole"), history);
    }

    #[test]
    fn what_cannot_be_believed_is_told_with_line_and_field() {
        let whole = written(&two_records());
        let told = |text: String| History::read(text.as_bytes()).expect_err("it is damaged").to_string();
        assert_eq!(told(String::new()), "it is empty: the first line of a history says what it is of");
        assert!(told(whole.replace("\"history\":1", "\"history\":2")).starts_with("line 1, field history: it is of format 2"));
        assert!(told(whole.replace("\"partitions\":2", "\"partitions\":1")).starts_with("line 3, field partition: there are 1"));
        assert!(told(whole.replace("\"offset\":4", "\"offset\":\"x\"")).starts_with("line 2, field offset: it is no whole number"));
        assert!(told(whole.replace("\"raw\":\"", "\"raw\":\"?")).starts_with("line 2, field raw:"));
        let second = whole.lines().nth(1).expect("a record");
        assert!(told(format!("{whole}{second}\n")).starts_with("line 4, field offset: 4 follows 4 on partition 0"));
        let cut = whole[..whole.len() - 30].to_owned();
        assert!(told(cut).starts_with("line 3, field record:"));
    }

    fn two_records() -> History {
        let raw = RawRecord { key: None, headers: [("ce_id", b"\xff\x00")].into(), value: "no record".into() };
        let record = |partition, offset| StoredRecord {
            partition: Partition(partition),
            offset: Offset(offset),
            appended: Timestamp(7),
            raw: raw.clone(),
        };
        let about = About { end: Some(Timestamp(9)), complaints: vec!["lost".to_owned()], ..About::new("t", 2, "seed 1") };
        History::new(about, vec![record(1, 0), record(0, 4)])
    }

    fn written(history: &History) -> String {
        let mut bytes = Vec::new();
        history.write(&mut bytes).expect("a vector takes every write");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }
}
