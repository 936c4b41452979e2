//! The one door to Avro: single-object framing (`C3 01`, CRC-64-AVRO fingerprint) around a value of a known schema.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder, RabinFingerprintHeader};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kinds::{Body, BodyBuilder, BodyVisitor, Kind};
use crate::limits;
use crate::refusal::Refusal;

/// Bytes of the framing: marker and fingerprint.
pub const FRAMING_BYTES: usize = 10;
const MARKER: [u8; 2] = [0xc3, 0x01];

/// Frames and encodes a value with today's schema of its kind.
pub fn encode(body: &Body) -> Vec<u8> {
    let schema = &codec().writers[&body.kind()];
    body.visit(Encode(schema))
}

/// Reads a framed value.
///
/// # Errors
/// [`Refusal::UnknownFraming`], [`Refusal::UnknownSchema`], [`Refusal::Undecodable`] or [`Refusal::TrailingBytes`].
pub fn decode(value: &[u8]) -> Result<Body, Refusal> {
    let (framing, datum) = value.split_at_checked(FRAMING_BYTES).ok_or(Refusal::UnknownFraming)?;
    if framing[..2] != MARKER {
        return Err(Refusal::UnknownFraming);
    }
    let schema = codec().readers.get(framing).ok_or_else(|| Refusal::UnknownSchema { fingerprint: hex(&framing[2..]) })?;
    let mut rest = datum;
    let body = Body::build(schema.kind, Decode { schema, rest: &mut rest })
        .map_err(|reason| Refusal::Undecodable { kind: schema.kind.name().to_owned(), reason })?;
    match rest.len() {
        0 => Ok(body),
        found => Err(Refusal::TrailingBytes { found: found as u64 }),
    }
}

/// The kind of a framed value by its first ten bytes: as cheap as a look into a small table.
pub fn kind_of(value: &[u8]) -> Option<Kind> {
    codec().readers.get(value.get(..FRAMING_BYTES)?).map(|schema| schema.kind)
}

/// The framing of today's schema of `kind`.
pub fn framing_of(kind: Kind) -> [u8; FRAMING_BYTES] {
    codec().writers[&kind].framing
}

/// A schema that values are written or read with.
struct Known {
    kind: Kind,
    framing: [u8; FRAMING_BYTES],
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

struct Codec {
    writers: BTreeMap<Kind, Known>,
    readers: BTreeMap<[u8; FRAMING_BYTES], Known>,
}

struct Encode<'a>(&'a Known);

struct Decode<'a, 'b> {
    schema: &'a Known,
    rest: &'a mut &'b [u8],
}

// === impl Codec ===

fn codec() -> &'static Codec {
    static CODEC: OnceLock<Codec> = OnceLock::new();
    CODEC.get_or_init(|| {
        apache_avro::util::max_allocation_bytes(limits::VALUE_BYTES_MAX);
        let known = |kind: &Kind| Known::parse(*kind, kind.schema_text());
        Codec {
            writers: Kind::ALL.iter().map(|kind| (*kind, known(kind))).collect(),
            readers: Kind::ALL.iter().map(known).map(|schema| (schema.framing, schema)).collect(),
        }
    })
}

impl Known {
    fn parse(kind: Kind, text: &str) -> Self {
        // Leaked once per kind for the life of the process: readers and writers borrow their schema.
        let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(text).expect("every schema in schemas/ parses")));
        let framing = RabinFingerprintHeader::from_schema(schema).build_header();
        Self {
            kind,
            framing: framing.try_into().expect("the framing has ten bytes"),
            writer: GenericDatumWriter::builder(schema).build().expect("every schema in schemas/ resolves"),
            reader: GenericDatumReader::builder(schema).build().expect("every schema in schemas/ resolves"),
        }
    }
}

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionStarted, Timestamp};

    #[test]
    fn a_value_comes_back_as_it_went() {
        let body = Body::from(SessionStarted {
            version: Some("ft:gpt/1".into()),
            segment: None,
            channel: Some("chat".to_owned()),
            environment: None,
        });
        let bytes = encode(&body);
        assert_eq!(kind_of(&bytes), Some(Kind::SessionStarted));
        assert_eq!(decode(&bytes), Ok(body));
    }

    #[test]
    fn times_are_microseconds_in_avro_and_rfc_3339_in_json() {
        assert_eq!(serde_json::to_string(&Timestamp(1_500_000)).expect("json"), "\"1970-01-01T00:00:01.500000Z\"");
    }
}
