//! Parquet to rows. A file may be anything: what is wrong with it is said, and nothing of it is believed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{Type, TypePtr};
use wire::{Offset, RawRecord, StoredRecord, Timestamp};

use super::columns::{RECORD_COLUMNS, SCHEMA, Told};
use super::writing::{FORMAT, footer};
use super::{FILE_BYTES_MAX, Segment, Totals};
use crate::archive::name::SegmentName;

/// Most rows that a file may say it has: an archiver writes far fewer.
const ROWS_MAX: i64 = 500_000;
/// Most bytes that its columns may say they have once they are decompressed.
const COLUMN_BYTES_MAX: i64 = 512 << 20;

/// A file's rows and what it says of them.
pub(super) struct Found {
    pub(super) segment: Segment,
    pub(super) told: Vec<Told>,
    pub(super) created_by: String,
}

pub(super) fn decode(name: &SegmentName, bytes: &Bytes) -> Result<Found, String> {
    // The library was made for files that somebody meant well with: where it stops by a panic, the file is no better.
    catch_unwind(AssertUnwindSafe(|| read(name, bytes))).unwrap_or_else(|_| Err("the Parquet library cannot make sense of it".to_owned()))
}

fn read(name: &SegmentName, bytes: &Bytes) -> Result<Found, String> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes; a segment has {FILE_BYTES_MAX} at most", bytes.len()));
    }
    let file = SerializedFileReader::new(bytes.clone()).map_err(|error| error.to_string())?;
    let metadata = file.metadata().file_metadata();
    if !is_kin(metadata.schema())? {
        return Err("its schema is another".to_owned());
    }
    // Nothing is decoded before it is known how much it says it is.
    let covered = name.last.0.saturating_sub(name.first.0).saturating_add(1);
    if !(1..=ROWS_MAX.min(covered)).contains(&metadata.num_rows()) || file.num_row_groups() != 1 {
        return Err(format!("it says that it has {} rows in {} groups", metadata.num_rows(), file.num_row_groups()));
    }
    let sizes = file.metadata().row_group(0).columns().iter().map(|column| column.uncompressed_size());
    let size = sizes.fold(0_i64, |sum, size| if size < 0 { i64::MAX } else { sum.saturating_add(size) });
    if size > COLUMN_BYTES_MAX {
        return Err(format!("it says that its columns have {size} bytes; {COLUMN_BYTES_MAX} is the most"));
    }
    let rows = usize::try_from(metadata.num_rows()).map_err(|error| error.to_string())?;
    let says: BTreeMap<&str, &str> = metadata
        .key_value_metadata()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.key.as_str(), entry.value.as_deref()?)))
        .collect();
    let says = |key: &str| says.get(key).copied().ok_or_else(|| format!("its footer has no {key}"));
    if says("reeve.format")? != FORMAT {
        return Err(format!("its format is {}, this build reads {FORMAT}", says("reeve.format")?));
    }
    let total = |key: &str| says(key)?.parse::<u64>().map_err(|error| format!("{key}: {error}"));
    let group = file.get_row_group(0).map_err(|error| error.to_string())?;
    let rows = Rows::read(&*group, rows)?;
    let (topic, partition) = (name.topic.as_str(), name.partition);
    if rows.topics.iter().any(|found| found.data() != topic.as_bytes()) || rows.partitions.iter().any(|found| *found as u32 != partition.0)
    {
        return Err("it holds a record of another topic or partition".to_owned());
    }
    let totals = Totals { stored: total("reeve.stored_total")?, refused: total("reeve.refused_total")? };
    let sha256 = says("reeve.sha256")?.to_owned();
    let (records, refusals, told) = rows.records(name)?;
    let segment = Segment { name: name.clone(), records, refusals, sha256, totals };
    // Everything else that the footer says is a function of these.
    for (key, expected) in footer(&segment) {
        if says(key)? != expected {
            return Err(format!("its footer says {key} {}, it is {expected}", says(key)?));
        }
    }
    Ok(Found { segment, told, created_by: metadata.created_by().unwrap_or_default().to_owned() })
}

/// Whether a file has the columns of this build, or those of one that knew fewer or knows more of them.
fn is_kin(schema: &Type) -> Result<bool, String> {
    let ours = parse_message_type(SCHEMA).map_err(|error| error.to_string())?;
    let (ours, theirs) = (ours.get_fields(), schema.get_fields());
    let is_plain = |field: &TypePtr| field.is_primitive() && field.is_optional();
    let more = theirs.iter().skip(ours.len()).all(is_plain);
    Ok(theirs.len() >= RECORD_COLUMNS && ours.iter().zip(theirs).all(|(our, their)| our == their) && more)
}

/// The columns of a row group, as they are.
struct Rows {
    topics: Vec<ByteArray>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    appended: Vec<i64>,
    keys: Vec<Option<ByteArray>>,
    headers: Vec<Vec<(ByteArray, ByteArray)>>,
    values: Vec<ByteArray>,
    kinds: Vec<Option<ByteArray>>,
    sources: Vec<Option<ByteArray>>,
    ids: Vec<Option<ByteArray>>,
    times: Vec<Option<i64>>,
    subjects: Vec<Option<ByteArray>>,
    refusals: Vec<Option<ByteArray>>,
}

// === impl Rows ===

impl Rows {
    fn read(group: &dyn RowGroupReader, rows: usize) -> Result<Self, String> {
        Ok(Self {
            topics: required::<ByteArrayType>(group, 0, rows)?,
            partitions: required::<Int32Type>(group, 1, rows)?,
            offsets: required::<Int64Type>(group, 2, rows)?,
            appended: required::<Int64Type>(group, 3, rows)?,
            keys: optional::<ByteArrayType>(group, 4, rows)?,
            headers: pairs(lists(group, 5, rows)?, lists(group, 6, rows)?)?,
            values: required::<ByteArrayType>(group, 7, rows)?,
            kinds: optional::<ByteArrayType>(group, 8, rows)?,
            sources: optional::<ByteArrayType>(group, 9, rows)?,
            ids: optional::<ByteArrayType>(group, 10, rows)?,
            times: optional::<Int64Type>(group, 11, rows)?,
            subjects: optional::<ByteArrayType>(group, 12, rows)?,
            refusals: optional::<ByteArrayType>(group, 13, rows)?,
        })
    }

    #[expect(clippy::type_complexity, reason = "three columns of one table")]
    fn records(self, name: &SegmentName) -> Result<(Vec<StoredRecord>, Vec<Option<String>>, Vec<Told>), String> {
        let rows = self.offsets.len();
        let (mut records, mut refusals, mut told) = (Vec::with_capacity(rows), Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (row, headers) in self.headers.into_iter().enumerate() {
            let headers = headers.iter().map(|(name, value)| Ok((text(name)?, value.data()))).collect::<Result<Vec<_>, String>>()?;
            let raw = RawRecord::joined(self.keys[row].as_ref().map(ByteArray::data), headers, self.values[row].data());
            let (offset, appended) = (Offset(self.offsets[row]), Timestamp(self.appended[row]));
            records.push(StoredRecord { partition: name.partition, offset, appended, raw });
            refusals.push(self.refusals[row].as_ref().map(text).transpose()?);
            told.push(Told {
                kind: self.kinds[row].as_ref().map(said).transpose()?,
                source: self.sources[row].as_ref().map(said).transpose()?,
                id: self.ids[row].as_ref().map(said).transpose()?,
                time: self.times[row],
                subject: self.subjects[row].as_ref().map(said).transpose()?,
            });
        }
        Ok((records, refusals, told))
    }
}

/// A column as it lies in the file: levels and the values that are there.
struct Column<T> {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<T>,
}

fn column<T: DataType>(group: &dyn RowGroupReader, index: usize, rows: usize) -> Result<Column<T::T>, String> {
    let reader = group.get_column_reader(index).map_err(|error| error.to_string())?;
    let mut reader = get_typed_column_reader::<T>(reader);
    let mut column = Column { definitions: Vec::new(), repetitions: Vec::new(), values: Vec::new() };
    let mut read = 0;
    while read < rows {
        let (records, ..) = reader
            .read_records(rows - read, Some(&mut column.definitions), Some(&mut column.repetitions), &mut column.values)
            .map_err(|error| error.to_string())?;
        if records == 0 {
            return Err(format!("column {index} ends after {read} of {rows} rows"));
        }
        read += records;
    }
    Ok(column)
}

fn required<T: DataType>(group: &dyn RowGroupReader, index: usize, rows: usize) -> Result<Vec<T::T>, String> {
    let values = column::<T>(group, index, rows)?.values;
    if values.len() == rows { Ok(values) } else { Err(format!("column {index} has {} values for {rows} rows", values.len())) }
}

fn optional<T: DataType>(group: &dyn RowGroupReader, index: usize, rows: usize) -> Result<Vec<Option<T::T>>, String> {
    if index >= group.num_columns() {
        // A build wrote it that did not have this column yet.
        return Ok(vec![None; rows]);
    }
    let Column { definitions, values, .. } = column::<T>(group, index, rows)?;
    let mut values = values.into_iter();
    let filled: Vec<Option<T::T>> = definitions.iter().map(|defined| if *defined > 0 { values.next() } else { None }).collect();
    if filled.len() == rows { Ok(filled) } else { Err(format!("column {index} has {} levels for {rows} rows", filled.len())) }
}

fn lists(group: &dyn RowGroupReader, index: usize, rows: usize) -> Result<Vec<Vec<ByteArray>>, String> {
    let Column { definitions, repetitions, values } = column::<ByteArrayType>(group, index, rows)?;
    let mut values = values.into_iter();
    let mut lists: Vec<Vec<ByteArray>> = Vec::with_capacity(rows);
    for (defined, repeated) in definitions.iter().zip(&repetitions) {
        if *repeated == 0 {
            lists.push(Vec::new());
        }
        if *defined > 0 {
            let (Some(list), Some(value)) = (lists.last_mut(), values.next()) else { return Err(format!("column {index} is no list")) };
            list.push(value);
        }
    }
    if lists.len() == rows { Ok(lists) } else { Err(format!("column {index} has {} lists for {rows} rows", lists.len())) }
}

fn pairs(names: Vec<Vec<ByteArray>>, values: Vec<Vec<ByteArray>>) -> Result<Vec<Vec<(ByteArray, ByteArray)>>, String> {
    let pair = |(names, values): (Vec<ByteArray>, Vec<ByteArray>)| {
        let whole = names.len() == values.len();
        whole.then(|| names.into_iter().zip(values).collect()).ok_or_else(|| "a header has no value".to_owned())
    };
    names.into_iter().zip(values).map(pair).collect()
}

fn said(bytes: &ByteArray) -> Result<Bytes, String> {
    text(bytes).map(Bytes::from)
}

fn text(bytes: &ByteArray) -> Result<String, String> {
    bytes.as_utf8().map(str::to_owned).map_err(|error| error.to_string())
}
