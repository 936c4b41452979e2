//! The one door to Avro: single-object framing (`C3 01`, CRC-64-AVRO fingerprint) around a value of a known schema.
//!
//! Values of today's schemas go straight between bytes and Rust types. A value of an older schema (`schemas/history/`)
//! is first translated into today's, field by field, with the defaults that today's schema gives.

use std::io::{self, Read};
use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder, RabinFingerprintHeader};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::RecordSchema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kinds::{Body, BodyBuilder, BodyVisitor, Kind};
use crate::limits;
use crate::refusal::Refusal;
use crate::registered::registered;

/// Bytes of the framing: marker and fingerprint.
pub const FRAMING_BYTES: usize = 10;
const MARKER: [u8; 2] = [0xc3, 0x01];
/// Types that have a name and nothing else.
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Schemas that records on some log were written with and that are no longer today's, oldest first:
/// `(Kind::SessionStarted, include_str!("../../../schemas/history/session.started.v1.avsc"))`.
pub const HISTORY: &[(Kind, &str)] = &[
    (Kind::CapacityMeasured, include_str!("../../../schemas/history/capacity.measured.v1.avsc")),
    (Kind::CapacityForecast, include_str!("../../../schemas/history/capacity.forecast.v1.avsc")),
    (Kind::CapacityWarned, include_str!("../../../schemas/history/capacity.warned.v1.avsc")),
    (Kind::RecordRefused, include_str!("../../../schemas/history/record.refused.v1.avsc")),
    (Kind::EscalationRaised, include_str!("../../../schemas/history/escalation.raised.v1.avsc")),
    (Kind::IncidentOpened, include_str!("../../../schemas/history/incident.opened.v1.avsc")),
    (Kind::IncidentAggravated, include_str!("../../../schemas/history/incident.aggravated.v1.avsc")),
];

/// Frames and encodes a value with today's schema of its kind.
pub fn encode(body: &Body) -> Vec<u8> {
    let schema = codec().today(body.kind());
    body.visit(Encode(schema))
}

/// Reads a framed value.
///
/// # Errors
/// [`Refusal::UnknownFraming`], [`Refusal::UnregisteredSchema`], [`Refusal::UnknownSchema`], [`Refusal::Undecodable`] or
/// [`Refusal::TrailingBytes`].
pub fn decode(value: &[u8]) -> Result<Body, Refusal> {
    codec().decode(value)
}

/// The kind of a framed value by its first ten bytes: as cheap as a look into a small table.
pub fn kind_of(value: &[u8]) -> Option<Kind> {
    codec().known(value).map(|known| known.kind)
}

/// The schema that a framed value was written with, today's or one of [`HISTORY`].
pub fn schema_of(value: &[u8]) -> Option<&'static str> {
    codec().known(value).map(|known| known.text)
}

/// The framing of today's schema of `kind`.
pub fn framing_of(kind: Kind) -> [u8; FRAMING_BYTES] {
    codec().today(kind).framing
}

/// The framing of the single objects that are written with a schema, as text, whosever it is.
///
/// # Errors
/// Why the text is no Avro schema that stands by itself.
pub fn framing_of_schema(text: &str) -> Result<[u8; FRAMING_BYTES], String> {
    Schema::parse_str(text).map(|schema| framing(&schema)).map_err(|error| error.to_string())
}

/// The full name of the record that a kind's schema describes, such as `io.reeve.events.SessionStarted`.
pub fn full_name_of(kind: Kind) -> String {
    let name = codec().today(kind).schema.name().expect("the value of a kind is a record");
    name.fullname(None)
}

/// Whether a value is framed as a single object, of whatever schema.
pub fn is_single_object(value: &[u8]) -> bool {
    value.len() >= FRAMING_BYTES && value.starts_with(&MARKER)
}

/// Whether every value written with one schema can be read with another, both as text.
///
/// # Errors
/// Which field stands in the way, with its path, and why.
pub fn can_read(writer: &str, reader: &str) -> Result<(), String> {
    let parse = |text| Schema::parse_str(text).map_err(|error| format!("no schema: {error}"));
    match (parse(writer)?, parse(reader)?) {
        (Schema::Record(writer), Schema::Record(reader)) => fields_can_read(&writer, &reader, ""),
        _ => Err("the value of a kind is a record".to_owned()),
    }
}

/// A schema that values are written or read with.
struct Known {
    kind: Kind,
    text: &'static str,
    framing: [u8; FRAMING_BYTES],
    schema: &'static Schema,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
    /// Whether `reader` translates into today's schema.
    is_old: bool,
}

struct Codec {
    /// Today's schemas, by kind.
    today: Vec<Known>,
    /// Every schema that is read.
    readers: Vec<Known>,
    /// The fingerprints of `readers` as numbers, in order, each with its place there: every record is looked up here, mostly to be
    /// passed unread. Where Avro's and the one that values were framed by before differ, a schema has both.
    fingerprints: Vec<(u64, usize)>,
}

struct Encode<'a>(&'a Known);

struct Decode<'a, 'b> {
    schema: &'a Known,
    rest: &'a mut &'b [u8],
}

/// Bytes that remember whether somebody wanted more of them than there were.
struct Strict<'a, 'b> {
    rest: &'a mut &'b [u8],
    ran_out: bool,
}

// === impl Codec ===

fn codec() -> &'static Codec {
    static CODEC: OnceLock<Codec> = OnceLock::new();
    CODEC.get_or_init(|| Codec::new(HISTORY))
}

impl Codec {
    fn new(history: &[(Kind, &'static str)]) -> Self {
        // Set once for the process: a length in a value never allocates more than the value may have.
        apache_avro::util::max_allocation_bytes(limits::VALUE_BYTES_MAX);
        let today = |kind: &Kind| Known::new(*kind, parse(kind.schema_text()), kind.schema_text());
        let old = |(kind, text): &(Kind, &'static str)| Known::new_old(*kind, text);
        let readers: Vec<Known> = history.iter().map(old).chain(Kind::ALL.iter().map(today)).collect();
        let of_each = |(place, known): (usize, &Known)| {
            let framings = [known.framing, framing_by_the_library(known.schema)];
            framings.map(|framing| (fingerprint(&framing).expect("a framing has one"), place))
        };
        let mut fingerprints: Vec<(u64, usize)> = readers.iter().enumerate().flat_map(of_each).collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Self { today: Kind::ALL.iter().map(today).collect(), readers, fingerprints }
    }

    fn today(&self, kind: Kind) -> &Known {
        &self.today[kind as usize]
    }

    fn known(&self, value: &[u8]) -> Option<&Known> {
        let fingerprint = fingerprint(value)?;
        let nth = self.fingerprints.binary_search_by_key(&fingerprint, |(known, _)| *known).ok()?;
        Some(&self.readers[self.fingerprints[nth].1])
    }

    fn decode(&self, value: &[u8]) -> Result<Body, Refusal> {
        if let Some((id, _)) = registered(value) {
            return Err(Refusal::UnregisteredSchema { id });
        }
        let (framing, mut rest) = value.split_at_checked(FRAMING_BYTES).ok_or(Refusal::UnknownFraming)?;
        if !is_single_object(framing) {
            return Err(Refusal::UnknownFraming);
        }
        let schema = self.known(framing).ok_or_else(|| Refusal::UnknownSchema { fingerprint: hex(&framing[2..]) })?;
        let body =
            if schema.is_old { self.decode_old(schema, &mut rest) } else { Body::build(schema.kind, Decode { schema, rest: &mut rest }) };
        let body = body.map_err(|reason| Refusal::Undecodable { kind: schema.kind.name().to_owned(), reason: limits::quote(&reason) })?;
        match rest.len() {
            0 => Ok(body),
            found => Err(Refusal::TrailingBytes { found: found as u64 }),
        }
    }

    /// Old bytes to a value of today's schema, to today's bytes, to the Rust type: slow, but the Rust type is read in
    /// one way only.
    fn decode_old(&self, schema: &Known, rest: &mut &[u8]) -> Result<Body, String> {
        let mut strict = Strict { rest, ran_out: false };
        let value = schema.reader.read_value(&mut strict).map_err(|error| error.to_string())?;
        // The library takes the end of the bytes for null where it reads a text, a union or a boolean.
        if strict.ran_out {
            return Err("it ends too early".to_owned());
        }
        let today = self.today(schema.kind);
        let bytes = today.writer.write_value_to_vec(value).map_err(|error| error.to_string())?;
        Body::build(schema.kind, Decode { schema: today, rest: &mut bytes.as_slice() })
    }
}

// === impl Known ===

impl Known {
    fn new(kind: Kind, schema: &'static Schema, text: &'static str) -> Self {
        let reader = GenericDatumReader::builder(schema).build().expect("every schema in schemas/ resolves");
        Self::with_reader(kind, schema, text, reader, false)
    }

    fn new_old(kind: Kind, text: &'static str) -> Self {
        let schema = parse(text);
        let today = parse(kind.schema_text());
        let reader = GenericDatumReader::builder(schema).reader_schema(today).build().expect("every schema in schemas/ resolves");
        Self::with_reader(kind, schema, text, reader, true)
    }

    fn with_reader(kind: Kind, schema: &'static Schema, text: &'static str, reader: GenericDatumReader<'static>, is_old: bool) -> Self {
        let framing = framing(schema);
        let writer = GenericDatumWriter::builder(schema).build().expect("every schema in schemas/ resolves");
        Self { kind, text, framing, schema, writer, reader, is_old }
    }
}

/// By the fingerprint that Avro's specification gives the schema's parsing canonical form, in which the type of a field with a
/// logical type is as simple as that of any other. The library leaves `{"type":"long"}` there (apache-avro 0.22), which no text
/// of a canonical form holds otherwise: its names and symbols have no braces.
fn framing(schema: &Schema) -> [u8; FRAMING_BYTES] {
    let simple = |canonical: String, name: &&str| canonical.replace(&format!(r#"{{"type":"{name}"}}"#), &format!(r#""{name}""#));
    let canonical = PRIMITIVES.iter().fold(schema.canonical_form(), simple);
    framing_by_the_library(&Schema::parse_str(&canonical).expect("the canonical form of a schema is one"))
}

fn framing_by_the_library(schema: &Schema) -> [u8; FRAMING_BYTES] {
    RabinFingerprintHeader::from_schema(schema).build_header().try_into().expect("the framing has ten bytes")
}

fn parse(text: &str) -> &'static Schema {
    // Leaked a few times per kind, for the life of the process: readers and writers borrow their schema.
    Box::leak(Box::new(Schema::parse_str(text).expect("every schema in schemas/ parses")))
}

// === impl Encode, Decode, Strict ===

impl BodyVisitor for Encode<'_> {
    type Output = Vec<u8>;

    fn visit<T: Serialize>(self, value: &T) -> Vec<u8> {
        let mut bytes = self.0.framing.to_vec();
        self.0.writer.write_ser(&mut bytes, value).expect("the Rust type of a kind has its schema's fields");
        bytes
    }
}

impl BodyBuilder for Decode<'_, '_> {
    type Error = String;

    fn build<T: DeserializeOwned>(self) -> Result<T, String> {
        self.schema.reader.read_deser(self.rest).map_err(|error| error.to_string())
    }
}

impl Read for Strict<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest.read(buffer)?;
        self.ran_out |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

// === the evolution of schemas ===

/// Asked field by field, for asked about the whole record the library says neither which field it is nor that a union
/// of null and something else has become partly unreadable.
fn fields_can_read(writer: &RecordSchema, reader: &RecordSchema, path: &str) -> Result<(), String> {
    for field in &reader.fields {
        let path = format!("{path}{}", field.name);
        let names: Vec<&String> = std::iter::once(&field.name).chain(&field.aliases).collect();
        let Some(written) = names.iter().find_map(|name| writer.fields.iter().find(|field| field.name == **name)) else {
            match &field.default {
                Some(_) => continue,
                None => return Err(format!("field `{path}` is not in what was written and has no default")),
            }
        };
        if let (Schema::Record(written), Schema::Record(read)) = (&written.schema, &field.schema) {
            fields_can_read(written, read, &format!("{path}."))?;
            continue;
        }
        match SchemaCompatibility::can_read(&written.schema, &field.schema) {
            Ok(Compatibility::Full) => {}
            Ok(Compatibility::Partial) => return Err(format!("field `{path}` cannot hold everything that was written")),
            Err(error) => return Err(format!("field `{path}`: {}", limits::quote(&error.to_string()))),
        }
    }
    Ok(())
}

/// The fingerprint of a framed value, if it is framed as the single objects of Avro are.
fn fingerprint(value: &[u8]) -> Option<u64> {
    let (framing, _) = value.split_first_chunk::<FRAMING_BYTES>()?;
    let (marker, fingerprint) = framing.split_first_chunk::<2>()?;
    (*marker == MARKER).then(|| fingerprint.try_into().map(u64::from_le_bytes).ok())?
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
