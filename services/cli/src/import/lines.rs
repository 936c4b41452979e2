//! The lines of a recorded file: JSON objects, one a line, plain or gzipped, and how their fields are read.
//!
//! What a line does not tell is absent, and stays so; what it tells in the wrong shape is a fault that names line and
//! field.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use wire::{Role, Timestamp};

use super::time::Zone;

/// Bytes of one line: a session of a thousand turns with texts of 64 KiB still fits.
pub(super) const LINE_BYTES_MAX: u64 = 128 << 20;

/// Where in the files something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// Index of the turn in the session; absent: the session itself.
    pub turn: Option<i64>,
}

/// Something in a file that cannot be taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// Where.
    pub place: Place,
    /// The field, where it is one.
    pub field: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

/// One line of a file.
pub(super) struct Line {
    /// Where it stands.
    pub place: Place,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The fields of an object of a line, and where they stand.
pub(super) struct Fields<'a> {
    pub place: Place,
    pub fields: &'a Map<String, Value>,
}

/// Reads the lines of a file; blank ones are passed over. A name that ends in `.gz` is read as gzip.
///
/// # Errors
/// When the file cannot be opened. What cannot be read later is told with the line at which it failed.
pub(super) fn of(file: &Path) -> io::Result<impl Iterator<Item = io::Result<Line>>> {
    let opened = File::open(file)?;
    let gzipped = file.extension().is_some_and(|extension| extension == "gz");
    let plain: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(opened)) } else { Box::new(opened) };
    let mut reader = BufReader::new(plain);
    let file = file.to_owned();
    let mut number = 0;
    Ok(std::iter::from_fn(move || {
        loop {
            number += 1;
            let mut bytes = Vec::new();
            match (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
                Err(error) => return Some(Err(io::Error::new(error.kind(), format!("line {number}: {error}")))),
                Ok(0) => return None,
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(Line { place: Place { file: file.clone(), line: number, turn: None }, bytes })),
            }
        }
    }))
}

// === impl Line ===

impl Line {
    /// The object that it holds.
    ///
    /// # Errors
    /// When it holds something else.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Fault> {
        if self.bytes.len() as u64 >= LINE_BYTES_MAX {
            return Err(self.place.fault(None, format!("the line has {LINE_BYTES_MAX} bytes or more")));
        }
        match serde_json::from_slice(&self.bytes) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(self.place.fault(None, "the line is no JSON object")),
            Err(error) => Err(self.place.fault(None, format!("the line is no JSON: {error}"))),
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The field, where it says anything.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<String>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.fault(field, "it is no text")),
        }
    }

    /// A text that names something: an empty one says nothing, and is absent.
    pub(super) fn name(&self, field: &str) -> Result<Option<String>, Fault> {
        Ok(self.text(field)?.filter(|text| !text.is_empty()))
    }

    pub(super) fn required(&self, field: &str) -> Result<String, Fault> {
        self.name(field)?.ok_or_else(|| self.fault(field, "it is missing"))
    }

    /// A name, or a number or boolean as its text: tasks and trials are often numbered.
    pub(super) fn scalar(&self, field: &str) -> Result<Option<String>, Fault> {
        match self.get(field) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(truth)) => Ok(Some(truth.to_string())),
            _ => self.name(field),
        }
    }

    pub(super) fn boolean(&self, field: &str) -> Result<Option<bool>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(_) => Err(self.fault(field, "it is neither true nor false")),
        }
    }

    pub(super) fn number(&self, field: &str) -> Result<Option<f64>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| self.fault(field, "it is no number")),
        }
    }

    /// A whole number; `3.0` is one too.
    pub(super) fn whole(&self, field: &str) -> Result<Option<i64>, Fault> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let Some(value) = self.get(field) else { return Ok(None) };
        let exact = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX).map(|number| number as i64);
        value.as_i64().or(exact).map(Some).ok_or_else(|| self.fault(field, "it is no whole number"))
    }

    pub(super) fn time(&self, field: &str) -> Result<Option<Timestamp>, Fault> {
        let Some(text) = self.name(field)? else { return Ok(None) };
        let time = Timestamp::parse_naive_as_utc(&text).ok_or_else(|| self.fault(field, format!("`{text}` is no ISO 8601 time")))?;
        Ok(Some(time))
    }

    /// A time, which is read in `zone` where it has no offset.
    pub(super) fn time_in(&self, field: &str, zone: Option<&Zone>) -> Result<Option<Timestamp>, Fault> {
        let Some(text) = self.name(field)? else { return Ok(None) };
        Zone::read(zone, &text).map(Some).map_err(|reason| self.fault(field, reason))
    }

    /// The fields of the object in a field that must be there.
    pub(super) fn inside(&self, field: &str) -> Result<Fields<'a>, Fault> {
        self.inside_if_told(field)?.ok_or_else(|| self.fault(field, "it is missing"))
    }

    /// The fields of the object in a field, where it says anything.
    pub(super) fn inside_if_told(&self, field: &str) -> Result<Option<Fields<'a>>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Fields { place: self.place.clone(), fields })),
            Some(_) => Err(self.fault(field, "it is no object")),
        }
    }

    pub(super) fn role(&self, field: &str) -> Result<Option<Role>, Fault> {
        let Some(text) = self.name(field)? else { return Ok(None) };
        let role = serde_json::from_value(Value::String(text.clone()));
        role.map(Some).map_err(|_| self.fault(field, format!("`{text}` is no role")))
    }

    /// Any value, as JSON text; a text is taken as it is.
    pub(super) fn json(&self, field: &str) -> Option<String> {
        self.get(field).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub(super) fn fault(&self, field: &str, reason: impl Into<String>) -> Fault {
        self.place.fault(Some(field), reason)
    }
}

// === impl Place ===

impl Place {
    /// A fault at this place.
    pub(super) fn fault(&self, field: Option<&str>, reason: impl Into<String>) -> Fault {
        Fault { place: self.clone(), field: field.map(str::to_owned), reason: reason.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.line)?;
        self.turn.map_or(Ok(()), |turn| write!(f, ", turn {turn}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(field) = &self.field {
            write!(f, ", field {field}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
