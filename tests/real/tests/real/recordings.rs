//! The recordings, where they are, and what can be done to them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::ground::say;

/// Sets of recorded sessions whose key figures are known.
const SETS: [&str; 2] = ["tau2_bench", "tau_bench"];

/// A file of recorded sessions.
pub(crate) struct Recording {
    /// Set and file, as the known key figures name it.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its key figures.
    pub(crate) figures: Value,
}

/// Every recording, or nothing, loudly, where the recordings are not.
pub(crate) fn all() -> Vec<Recording> {
    let folder = folder();
    let Ok(known) = std::fs::read_to_string(folder.join("expected_kpis.json")) else {
        say(&format!("SKIPPED: no recordings in {}; REEVE_SHARED_DATA names another folder", folder.display()));
        return Vec::new();
    };
    let known: BTreeMap<String, Value> = serde_json::from_str(&known).expect("the known key figures are JSON");
    let mut all = Vec::new();
    for set in SETS {
        let entries = std::fs::read_dir(folder.join(set)).expect("every set is there");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
        paths.sort();
        for path in paths {
            let file = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            let name = format!("{set}/{file}");
            let figures = known.get(&name).unwrap_or_else(|| panic!("no key figures are known of {name}")).clone();
            all.push(Recording { name, path, figures });
        }
    }
    assert_eq!(all.len(), known.len(), "every file whose key figures are known is there");
    all
}

/// A file of another make, or nothing, loudly, where the recordings are not.
pub(crate) fn foreign(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    if path.is_file() {
        return Some(path);
    }
    say(&format!("SKIPPED: there is no {}; REEVE_SHARED_DATA names another folder", path.display()));
    None
}

/// The recording of this name, if there are recordings.
pub(crate) fn named(name: &str) -> Option<Recording> {
    all().into_iter().find(|recording| recording.name == name)
}

/// Its sessions.
pub(crate) fn sessions(recording: &Recording) -> Vec<Value> {
    lines(&recording.path)
}

/// The lines of a gzipped file.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).expect("the recording is there"))).lines();
    lines.map(|line| serde_json::from_str(&line.expect("the recording is whole")).expect("every line is JSON")).collect()
}

/// Where the recordings are, if they are.
fn folder() -> PathBuf {
    std::env::var_os("REEVE_SHARED_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from)
}

/// Writes lines as a gzipped file.
pub(crate) fn write(path: &Path, sessions: &[Value]) {
    let mut file = GzEncoder::new(std::fs::File::create(path).expect("the test's folder is writable"), Compression::fast());
    sessions.iter().for_each(|session| writeln!(file, "{session}").expect("the test's folder is writable"));
    file.finish().expect("the test's folder is writable");
}

/// The same items in another order, the same at every run (Fisher and Yates, driven by SplitMix64).
pub(crate) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        items.swap(last, ((mixed ^ (mixed >> 31)) % (last as u64 + 1)) as usize);
    }
}
