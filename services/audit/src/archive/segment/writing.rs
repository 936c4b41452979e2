//! Rows to Parquet, column by column: the one door to the library, with `reading`.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{DEFAULT_CREATED_BY, WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use sha2::{Digest as _, Sha256};
use wire::Kind;
use wire::codec::framing_of;

use super::Segment;
use super::columns::{SCHEMA, Told};

/// The version of footer and digest.
pub(super) const FORMAT: &str = "1";

pub(super) fn encode(segment: &Segment) -> Result<Vec<u8>> {
    let told: Vec<Told> = segment.records.iter().map(Told::of).collect();
    written(segment, created_by(), SCHEMA, |group| {
        record_columns(segment, group)?;
        said_columns(&told, &segment.refusals, group)
    })
}

/// What a file says of who wrote it: Reeve, and whatever else its bytes depend on. Of the same writer, the same rows are the
/// same bytes.
pub(super) fn created_by() -> &'static str {
    static WRITER: LazyLock<String> = LazyLock::new(|| {
        let library = DEFAULT_CREATED_BY.replace(" version ", "-");
        let mut kinds = Sha256::new();
        Kind::ALL.iter().for_each(|kind| kinds.update([kind.name().as_bytes(), &framing_of(*kind)].concat()));
        let kinds: String = kinds.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let (version, compressor) = (env!("CARGO_PKG_VERSION"), env!("REEVE_COMPRESSOR"));
        format!("reeve version {version} (build format-{FORMAT} {library} {compressor} kinds-{kinds})")
    });
    &WRITER
}

/// A file of this schema, whose columns `columns` writes.
pub(super) fn written(
    segment: &Segment,
    created_by: &str,
    schema: &str,
    columns: impl FnOnce(&mut Group<'_>) -> Result<()>,
) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by(created_by.to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(parse_message_type(schema)?), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    columns(&mut group)?;
    group.close()?;
    for (key, value) in footer(segment) {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    writer.into_inner()
}

/// What a segment says of itself.
pub(super) fn footer(segment: &Segment) -> Vec<(&'static str, String)> {
    let name = &segment.name;
    vec![
        ("reeve.format", FORMAT.to_owned()),
        ("reeve.topic", name.topic.clone()),
        ("reeve.partition", name.partition.to_string()),
        ("reeve.first_offset", name.first.to_string()),
        ("reeve.last_offset", name.last.to_string()),
        ("reeve.rows", segment.records.len().to_string()),
        ("reeve.refused", segment.counts().refused.to_string()),
        ("reeve.sha256", segment.sha256.clone()),
        ("reeve.stored_total", segment.totals.stored.to_string()),
        ("reeve.refused_total", segment.totals.refused.to_string()),
    ]
}

/// The columns that are the record, in the order of the schema: a writer takes them in no other.
pub(super) fn record_columns(segment: &Segment, group: &mut Group<'_>) -> Result<()> {
    let records = &segment.records;
    let topic = ByteArray::from(segment.name.topic.as_str());
    required::<ByteArrayType>(group, &vec![topic; records.len()])?;
    required::<Int32Type>(group, &vec![segment.name.partition.0 as i32; records.len()])?;
    required::<Int64Type>(group, &of(records, |record| record.offset.0))?;
    required::<Int64Type>(group, &of(records, |record| record.appended.0))?;
    optional::<ByteArrayType>(group, of(records, |record| record.raw.key.clone().map(ByteArray::from)))?;
    headers(segment, group)?;
    required::<ByteArrayType>(group, &of(records, |record| ByteArray::from(record.raw.value.clone())))
}

/// The columns that say something of the record, likewise.
pub(super) fn said_columns(told: &[Told], refusals: &[Option<String>], group: &mut Group<'_>) -> Result<()> {
    let text = |text: &Option<Bytes>| text.clone().map(ByteArray::from);
    optional::<ByteArrayType>(group, of(told, |told| text(&told.kind)))?;
    optional::<ByteArrayType>(group, of(told, |told| text(&told.source)))?;
    optional::<ByteArrayType>(group, of(told, |told| text(&told.id)))?;
    optional::<Int64Type>(group, of(told, |told| told.time))?;
    optional::<ByteArrayType>(group, of(told, |told| text(&told.subject)))?;
    optional::<ByteArrayType>(group, of(refusals, |refusal| refusal.as_deref().map(ByteArray::from)))
}

pub(super) type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// Names and values of headers are two columns of one list: a level of 0 begins a record, and a record without headers
/// has the level at which there is none.
fn headers(segment: &Segment, group: &mut Group<'_>) -> Result<()> {
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for record in &segment.records {
        if record.raw.headers.is_empty() {
            definitions.push(0);
            repetitions.push(0);
        }
        for (index, (name, value)) in record.raw.headers.shared().enumerate() {
            definitions.push(1);
            repetitions.push(i16::from(index > 0));
            names.push(ByteArray::from(name));
            values.push(ByteArray::from(value));
        }
    }
    column::<ByteArrayType>(group, &names, Some(&definitions), Some(&repetitions))?;
    column::<ByteArrayType>(group, &values, Some(&definitions), Some(&repetitions))
}

fn required<T: DataType>(group: &mut Group<'_>, values: &[T::T]) -> Result<()> {
    column::<T>(group, values, None, None)
}

pub(super) fn optional<T: DataType>(group: &mut Group<'_>, values: Vec<Option<T::T>>) -> Result<()> {
    let definitions: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    column::<T>(group, &values, Some(&definitions), None)
}

fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], definitions: Option<&[i16]>, repetitions: Option<&[i16]>) -> Result<()> {
    let missing = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, definitions, repetitions)?;
    column.close()
}

fn of<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
