//! One encoded record per kind and schema in `schemas/golden/`: what was written once is read for ever.
//!
//! `UPDATE=1` adds the records of schemas that have none. Those that are there are never written again.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::{Body, Class, Kind, codec};

use crate::sample;

/// A golden record, as its file holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    pub(crate) kind: Kind,
    framed_hex: String,
    value: Value,
    #[serde(skip)]
    file: String,
}

// === impl Golden ===

impl Golden {
    pub(crate) fn framed(&self) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&self.framed_hex[at..at + 2], 16);
        (0..self.framed_hex.len()).step_by(2).map(|at| byte(at).unwrap_or_else(|_| panic!("{}: no hexadecimal", self.file))).collect()
    }
}

/// Every golden record, in the order of its file's name, missing ones added first where that is wished.
pub(crate) fn all() -> Vec<Golden> {
    static ADDED: Once = Once::new();
    if std::env::var_os("UPDATE").is_some() {
        ADDED.call_once(add_missing);
    }
    stored()
}

#[test]
fn every_golden_record_is_read_by_todays_reader() {
    for golden in all() {
        let Golden { kind, file, value, .. } = &golden;
        let body = codec::decode(&golden.framed()).unwrap_or_else(|refusal| panic!("{file}: {refusal}"));
        assert_eq!(body.kind(), *kind, "{file}");
        let expected = Body::deserialize_as(*kind, value).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(body, expected, "{file}");
        let read = serde_json::to_value(&body).expect("json");
        for (name, member) in value.as_object().expect("a value is an object") {
            assert_eq!(&read[name], member, "{file}: field `{name}`");
        }
    }
}

#[test]
fn every_kind_has_a_golden_record_of_its_present_schema() {
    let framings: Vec<Vec<u8>> = all().iter().map(|golden| golden.framed()[..codec::FRAMING_BYTES].to_vec()).collect();
    for kind in Kind::ALL {
        let present = codec::framing_of(*kind);
        assert!(framings.iter().any(|framing| *framing == present), "{kind} has no golden record: UPDATE=1 adds it");
    }
}

#[test]
fn what_a_golden_record_was_written_with_is_still_compatible() {
    for golden in all() {
        let Golden { kind, file, .. } = &golden;
        let written = codec::schema_of(&golden.framed())
            .unwrap_or_else(|| panic!("{file}: its schema is gone; keep the old one in schemas/history/ and list it in codec::HISTORY"));
        let today = kind.schema_text();
        codec::can_read(written, today).unwrap_or_else(|reason| panic!("{file} cannot be read any more: {reason}"));
        // Facts also go the other way: a platform may be upgraded before the rooms that read it.
        if kind.class() != Class::Decision {
            codec::can_read(today, written).unwrap_or_else(|reason| panic!("{kind} cannot be read by older readers: {reason}"));
        }
    }
}

#[test]
fn every_schema_in_the_history_is_listed() {
    let kept: Vec<PathBuf> = fs::read_dir(folder("history"))
        .expect("schemas/history is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "avsc"))
        .collect();
    for path in &kept {
        let text = fs::read_to_string(path).expect("it can be read");
        assert!(codec::HISTORY.iter().any(|(_, known)| *known == text), "{} is not listed in codec::HISTORY", path.display());
    }
    assert_eq!(kept.len(), codec::HISTORY.len());
}

fn stored() -> Vec<Golden> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder("golden"))
        .expect("schemas/golden is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files.into_iter().map(read).collect()
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(name)
}

fn read(path: PathBuf) -> Golden {
    let text = fs::read_to_string(&path).expect("it can be read");
    let golden: Golden = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Golden { file: path.display().to_string(), ..golden }
}

fn add_missing() {
    let known = stored();
    for kind in Kind::ALL {
        let of_kind: Vec<&Golden> = known.iter().filter(|golden| golden.kind == *kind).collect();
        if of_kind.iter().any(|golden| golden.framed()[..codec::FRAMING_BYTES] == codec::framing_of(*kind)) {
            continue;
        }
        let framed = codec::encode(&sample::body(*kind));
        let framed_hex = framed.iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = Golden { kind: *kind, framed_hex, value: sample::of(*kind), file: String::new() };
        let path = folder("golden").join(format!("{kind}.v{}.json", of_kind.len() + 1));
        let mut file = File::create_new(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        writeln!(file, "{}", serde_json::to_string_pretty(&golden).expect("json")).expect("it can be written");
    }
}
