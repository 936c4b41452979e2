//! What reading a value costs, bytes to Rust type: our path, and those of the libraries. Headers and limits are no part of
//! it; the driver's figures hold them.

use std::collections::BTreeMap;
use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use cpu_time::ThreadTime;
use machine::Fold;
use wire::codec::{self, FRAMING_BYTES};
use wire::*;

use crate::Failure;
use crate::recorded::Recorded;
use crate::table::{Goal, Lines, Sample};

/// The name of this part.
pub(crate) const PART: &str = "decode";
/// Passes over the values in a round.
const PASSES: usize = 3;

/// Whether a room reads a kind.
type Reads = fn(Kind) -> bool;

/// Rooms, and the kinds that each reads. What it does not read it passes by the framing, as no library does by itself.
const ROOMS: [(&str, Reads); 4] = [
    ("incident", Fold::<incident::Incident>::reads),
    ("rollback", Fold::<rollback::Rollback>::reads),
    ("capacity", Fold::<capacity::Capacity>::reads),
    ("escalation", Fold::<escalation::Escalation>::reads),
];

/// The values of a log, and every reader of them.
pub(crate) struct Decoding<'a> {
    values: Vec<(Kind, &'a [u8])>,
    /// Values that one of the paths cannot read, and that no figure holds therefore.
    pub(crate) left_out: usize,
    avro: BTreeMap<Kind, GenericDatumReader<'static>>,
    fast: BTreeMap<Kind, serde_avro_fast::Schema>,
}

/// Calls a generic function with the Rust type of a kind.
macro_rules! typed {
    ($kind:expr, $read:ident($($argument:expr),*)) => {
        typed!($kind, $read($($argument),*), SessionStarted MessagePosted ModelCalled ToolCalled ToolReturned DecisionMade OutcomeReported
            HarmReported FindingReported SessionEnded VersionDeployed CommandAcknowledged PlatformHeartbeat DoorOpened IncidentNoted
            EscalationClaimed EscalationReturned PolicyAdopted BaselineDeclared ModeSet QuarantineLifted AutomationSet
            AccountabilityAssigned RollbackAccepted IncidentOpened IncidentAggravated IncidentEased IncidentResolved ModeOrdered
            RollbackProposed RollbackOrdered RollbackVerified RollbackFailed VersionProven EscalationRaised EscalationOverdue
            EscalationClosed CapacityMeasured CapacityForecast CapacityWarned RecordRefused RoomWatermark)
    };
    ($kind:expr, $read:ident $arguments:tt, $($name:ident)+) => {
        match $kind {$(Kind::$name => typed!(@ $read, $name, $arguments),)+}
    };
    (@ $read:ident, $name:ident, ($($argument:expr),*)) => {
        $read::<$name>($($argument),*).is_ok()
    };
}

// === impl Decoding ===

impl<'a> Decoding<'a> {
    /// The values of a log that every path reads. The way through a `Value` takes times for text, as JSON has them.
    pub(crate) fn new(recorded: &'a Recorded) -> Result<Self, Failure> {
        let known = |record: &'a StoredRecord| Some((record.raw.kind()?, record.raw.value.as_ref()));
        let avro: BTreeMap<_, _> = Kind::ALL.iter().map(|kind| Ok((*kind, reader(*kind)?))).collect::<Result<_, Failure>>()?;
        let fast = Kind::ALL.iter().map(|kind| Ok((*kind, kind.schema_text().parse()?)));
        let fast: BTreeMap<_, _> = fast.collect::<Result<_, serde_avro_fast::schema::SchemaError>>()?;
        let readable = |(kind, value): &(Kind, &[u8])| {
            let value = &value[FRAMING_BYTES..];
            typed!(*kind, by_value(&avro[kind], value)) && typed!(*kind, by_fast(&fast[kind], value))
        };
        let (values, left_out): (Vec<_>, Vec<_>) = recorded.records().filter_map(known).partition(readable);
        Ok(Self { values, left_out: left_out.len(), avro, fast })
    }

    /// One round of every path, one after the other.
    pub(crate) fn round(&self, lines: &mut Lines) {
        let ours = self.pass(|_, value| codec::decode(value).is_ok());
        let theirs = self.pass(|kind, value| typed!(kind, by_value(&self.avro[&kind], &value[FRAMING_BYTES..])));
        let dynamic = self.pass(|kind, value| self.avro[&kind].read_value(&mut &value[FRAMING_BYTES..]).map(black_box).is_ok());
        let fast = self.pass(|kind, value| typed!(kind, by_fast(&self.fast[&kind], &value[FRAMING_BYTES..])));
        let pace = |cpu_s: f64| Sample { cpu_s, value: (PASSES * self.values.len()) as f64 / cpu_s };
        let unit = "values per CPU second";
        lines.note(PART, "ours: bytes to Rust type", unit, None, pace(ours));
        lines.note(PART, "apache-avro: bytes to Value to Rust type", unit, None, pace(theirs));
        lines.note(PART, "apache-avro: bytes to Value alone", unit, None, pace(dynamic));
        lines.note(PART, "serde_avro_fast: bytes to Rust type", unit, None, pace(fast));
        let ratio = |other: f64| Sample { cpu_s: ours + other, value: other / ours };
        lines.note(PART, "ours over apache-avro's Value path", "x", Some(Goal::AtLeast(5.0)), ratio(theirs));
        for (room, reads) in ROOMS {
            let kept = self.pass(|_, value| codec::kind_of(value).is_some_and(|kind| !reads(kind) || codec::decode(value).is_ok()));
            let ratio = Sample { cpu_s: kept + theirs, value: theirs / kept };
            lines.note(PART, &format!("{room}: what it reads, over the Value path of all"), "x", None, ratio);
        }
        lines.note(PART, "ours over apache-avro's Value alone", "x", None, ratio(dynamic));
        lines.note(PART, "ours over serde_avro_fast", "x", None, ratio(fast));
    }

    /// CPU seconds of some passes over all values.
    fn pass(&self, read: impl Fn(Kind, &[u8]) -> bool) -> f64 {
        let began = ThreadTime::now();
        for _ in 0..PASSES {
            let read = self.values.iter().filter(|(kind, value)| read(*kind, value)).count();
            assert_eq!(read, self.values.len(), "every value of the log is read");
        }
        began.elapsed().as_secs_f64()
    }
}

/// apache-avro's reader of a kind's values.
pub(crate) fn reader(kind: Kind) -> Result<GenericDatumReader<'static>, Failure> {
    let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(kind.schema_text())?));
    Ok(GenericDatumReader::builder(schema).build()?)
}

fn by_value<T: serde::de::DeserializeOwned>(reader: &GenericDatumReader<'_>, mut bytes: &[u8]) -> Result<(), apache_avro::Error> {
    let value = reader.read_value(&mut bytes)?;
    black_box(apache_avro::from_value::<T>(&value)?);
    Ok(())
}

fn by_fast<T: serde::de::DeserializeOwned>(schema: &serde_avro_fast::Schema, bytes: &[u8]) -> Result<(), serde_avro_fast::de::DeError> {
    black_box(serde_avro_fast::from_datum_slice::<T>(bytes, schema)?);
    Ok(())
}
