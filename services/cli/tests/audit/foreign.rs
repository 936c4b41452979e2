//! A reader that shares no line with Reeve: DuckDB, from PyPI, in an environment of its own below the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use wire::{StoredRecord, Timestamp};

const PACKAGE: &str = "duckdb==2.0.1";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/read.py");

/// A Python that has DuckDB.
pub(crate) struct Reader(PathBuf);

// === impl Reader ===

impl Reader {
    /// Installs it where it is not there yet. Without Python there is nobody to ask, which is said.
    pub(crate) fn prepared() -> Option<Self> {
        let python = kit::python::with(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign-reader"), &[PACKAGE]);
        if python.is_none() {
            println!("SKIPPED: there is no python3, so no foreign reader was asked about the archive");
        }
        python.map(Self)
    }

    /// Every row of the archive, partition by partition in order of offsets.
    pub(crate) fn rows(&self, archive: &Path) -> Vec<Value> {
        let output = run(Command::new(&self.0).arg(SCRIPT).arg("rows").arg(archive));
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// Segments whose footer names another SHA-256 than their rows give there.
    pub(crate) fn digests_that_differ(&self, archive: &Path) -> usize {
        let output = run(Command::new(&self.0).arg(SCRIPT).arg("digests").arg(archive));
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
    }
}

/// A record as the reader tells it.
pub(crate) fn as_read(record: &StoredRecord) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let header = |name: &str| record.raw.header(name);
    let headers: Vec<Value> = record.raw.headers.iter().map(|(name, value)| json!([name, hex(value)])).collect();
    json!({
        "topic": "agent-events",
        "partition": record.partition.0,
        "offset": record.offset.0,
        "appended": record.appended.0,
        "key": record.raw.key.as_deref().map(hex),
        "headers": headers,
        "value": hex(&record.raw.value),
        "kind": record.raw.kind().map(wire::Kind::name),
        "source": header("ce_source"),
        "id": header("ce_id"),
        "time": header("ce_time").and_then(Timestamp::parse).map(|time| time.0),
        "subject": header("ce_subject"),
        "refused": wire::Record::read_placed(record, 4).is_err(),
    })
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}
