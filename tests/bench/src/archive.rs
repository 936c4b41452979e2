//! What the archive costs, against the floor of the same Parquet calls on columns that are ready: the door to the library.

use std::sync::{Arc, Mutex};

use audit::archive::{ArchiveError, Archiver, Created, Digest, Limits, Listing, Segment, SegmentName, Shelf};
use bytes::Bytes;
use cpu_time::ThreadTime;
use parquet::basic::{Compression, Type as Physical, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use runtime::log::Log;

use crate::Failure;
use crate::table::{Goal, Lines, Sample};

/// The name of this part.
pub(crate) const PART: &str = "audit";

/// Columns of one segment, as the writer takes them.
struct Ready {
    schema: Arc<Type>,
    columns: Vec<Column>,
}

enum Column {
    Bytes(Levels<ByteArrayType>),
    Whole(Levels<Int32Type>),
    Long(Levels<Int64Type>),
}

struct Levels<T: DataType> {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<T::T>,
}

/// An archive in memory: what a disk costs is no part of this.
#[derive(Default)]
struct Memory(Mutex<Vec<(SegmentName, Vec<u8>)>>);

/// One round: the whole log through the archiver, then the same columns through the library alone, then the digest of the
/// same rows: an archive that can be proven hashes what it writes, whoever writes it.
pub(crate) fn round(log: &Arc<dyn Log>, lines: &mut Lines) -> Result<(), Failure> {
    let shelf = Arc::new(Memory::default());
    let began = ThreadTime::now();
    let mut archiver = Archiver::open(Arc::clone(log), Arc::clone(&shelf) as Arc<dyn Shelf>, Limits::of_age(i64::MAX))?;
    archiver.flush(&|| true, &|| true)?;
    let whole_s = began.elapsed().as_secs_f64();

    let segments = std::mem::take(&mut *shelf.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let ready = segments.iter().map(|(_, bytes)| Ready::of(Bytes::copy_from_slice(bytes))).collect::<ParquetResult<Vec<_>>>()?;
    let rows: i64 = segments.iter().map(|(name, _)| name.last.0 - name.first.0 + 1).sum();
    let began = ThreadTime::now();
    let written = ready.iter().map(|ready| ready.write().map(|file| file.len())).sum::<ParquetResult<usize>>()?;
    let floor_s = began.elapsed().as_secs_f64();
    let rows_of = |(name, bytes): &(SegmentName, Vec<u8>)| Segment::decode(name, &Bytes::copy_from_slice(bytes));
    let decoded = segments.iter().map(rows_of).collect::<Result<Vec<_>, _>>()?;
    let began = ThreadTime::now();
    let digests: Vec<String> = decoded.iter().map(digest).collect();
    let digest_s = began.elapsed().as_secs_f64();
    if decoded.iter().zip(&digests).any(|(segment, digest)| segment.sha256 != *digest) {
        return Err(Failure("the floor hashed other rows than the archive".to_owned()));
    }
    let stored: usize = segments.iter().map(|(_, bytes)| bytes.len()).sum();
    if written.abs_diff(stored) > stored / 20 {
        return Err(Failure(format!("the floor wrote {written} bytes where the archive has {stored}: they are no longer the same calls")));
    }

    let pace = |cpu_s: f64| Sample { cpu_s, value: rows as f64 / cpu_s };
    lines.note(PART, "archive: log to segment", "rows per CPU second", None, pace(whole_s));
    lines.note(PART, "the same Parquet calls on ready columns", "rows per CPU second", None, pace(floor_s));
    lines.note(PART, "these calls and the digest of the rows", "rows per CPU second", None, pace(floor_s + digest_s));
    let ratio = |floor_s: f64| Sample { cpu_s: whole_s + floor_s, value: floor_s / whole_s };
    lines.note(PART, "archive over these calls", "x", Some(Goal::AtLeast(0.85)), ratio(floor_s));
    lines.note(PART, "archive over these calls and the digest", "x", None, ratio(floor_s + digest_s));
    Ok(())
}

fn digest(segment: &Segment) -> String {
    let mut digest = Digest::new(&segment.name.topic, segment.name.partition);
    segment.records.iter().for_each(|record| digest.add(record));
    digest.hex()
}

// === impl Ready ===

impl Ready {
    /// The columns of a segment's file.
    fn of(file: Bytes) -> ParquetResult<Self> {
        let file = SerializedFileReader::new(file)?;
        let descriptor = file.metadata().file_metadata().schema_descr_ptr();
        let group = file.get_row_group(0)?;
        let read = |index: usize| match descriptor.column(index).physical_type() {
            Physical::INT32 => Levels::read(&*group, index).map(Column::Whole),
            Physical::INT64 => Levels::read(&*group, index).map(Column::Long),
            _ => Levels::read(&*group, index).map(Column::Bytes),
        };
        let columns = (0..descriptor.num_columns()).map(read).collect::<ParquetResult<_>>()?;
        Ok(Self { schema: descriptor.root_schema_ptr(), columns })
    }

    fn write(&self) -> ParquetResult<Vec<u8>> {
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .build();
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&self.schema), Arc::new(properties))?;
        let mut group = writer.next_row_group()?;
        for column in &self.columns {
            match column {
                Column::Bytes(levels) => levels.write(&mut group)?,
                Column::Whole(levels) => levels.write(&mut group)?,
                Column::Long(levels) => levels.write(&mut group)?,
            }
        }
        group.close()?;
        writer.into_inner()
    }
}

impl<T: DataType> Levels<T> {
    fn read(group: &dyn RowGroupReader, index: usize) -> ParquetResult<Self> {
        let mut reader = get_typed_column_reader::<T>(group.get_column_reader(index)?);
        let mut levels = Self { definitions: Vec::new(), repetitions: Vec::new(), values: Vec::new() };
        loop {
            let (records, ..) =
                reader.read_records(usize::MAX >> 1, Some(&mut levels.definitions), Some(&mut levels.repetitions), &mut levels.values)?;
            if records == 0 {
                return Ok(levels);
            }
        }
    }

    fn write(&self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> ParquetResult<()> {
        let missing = || ParquetError::General("the schema has fewer columns than were read".to_owned());
        let mut column = group.next_column()?.ok_or_else(missing)?;
        column.typed::<T>().write_batch(&self.values, told(&self.definitions), told(&self.repetitions))?;
        column.close()
    }
}

/// Levels of a column that has any.
fn told(levels: &[i16]) -> Option<&[i16]> {
    (!levels.is_empty()).then_some(levels)
}

// === impl Memory ===

impl Shelf for Memory {
    fn list(&self) -> Result<Listing, ArchiveError> {
        Ok(Listing::default())
    }

    fn beside(&self, _: &SegmentName) -> Result<Vec<SegmentName>, ArchiveError> {
        Ok(Vec::new())
    }

    fn read(&self, name: &SegmentName) -> Result<Bytes, ArchiveError> {
        Err(ArchiveError::Store { reason: format!("{name} is not read back") })
    }

    fn create(&self, name: &SegmentName, bytes: Vec<u8>) -> Result<Created, ArchiveError> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((name.clone(), bytes));
        Ok(Created::New)
    }
}
