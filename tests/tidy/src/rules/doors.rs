//! Every outside dependency whose API could change or leak has one door.

use super::Finding;
use crate::tree::SourceFile;

/// A dependency and the places that may name it.
struct Door {
    name: &'static str,
    doors: &'static [&'static str],
}

/// A service as one writes it without Reeve, to compare with.
const ORDINARY: &str = "tests/bench/src/kafka/ordinary.rs";

const DOORS: &[Door] = &[
    Door { name: "apache_avro", doors: &["services/wire/src/codec.rs", "services/wire/tests/", "tests/bench/src/decode.rs", ORDINARY] },
    Door { name: "backoff", doors: &["services/runtime/src/retry.rs"] },
    Door { name: "redb", doors: &["services/runtime/src/log/embedded", "services/runtime/tests/log/"] },
    Door { name: "rdkafka", doors: &["services/runtime/src/log/kafka", "services/runtime/tests/kafka/", "tests/bench/src/kafka/"] },
    Door { name: "schema_registry_converter", doors: &["services/runtime/src/log/kafka/registry.rs"] },
    Door { name: "object_store", doors: &["services/runtime/src/snapshots", "services/audit/src/archive/store"] },
    Door {
        name: "prometheus",
        doors: &["services/runtime/src/metrics", "services/gateway/src/metrics", "services/gateway/tests/", "services/audit/src/metrics"],
    },
    Door { name: "flate2", doors: &["services/cli/src/import/", "tests/real/"] },
    Door { name: "sketches_ddsketch", doors: &["services/capacity/src/latencies.rs"] },
    Door { name: "parquet", doors: &["services/audit/src/archive/segment", "tests/bench/src/archive.rs"] },
    Door { name: "governor", doors: &["services/gateway/src/admission.rs"] },
    Door { name: "utoipa", doors: &["services/gateway/src/openapi"] },
    Door {
        name: "comfy_table",
        doors: &["services/cli/src/output", "tests/seasons/src/report.rs", "tests/sim/src/told.rs", "tests/bench/src/table.rs"],
    },
    Door { name: "hashbrown", doors: &["services/machine/src/window.rs"] },
    Door { name: "mimalloc", doors: &["services/runtime/src/lib.rs"] },
    Door { name: "either", doors: &["services/machine/src/shelf.rs"] },
    Door { name: "aho_corasick", doors: &["services/escalation/src/topics.rs"] },
    Door { name: "cel", doors: &["services/escalation/src/routes", ORDINARY] },
    Door { name: "vader_sentiment", doors: &["services/escalation/src/sentiment.rs"] },
];

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    for (file, number, line) in files.iter().filter(|file| file.is_rust()).flat_map(SourceFile::code_lines) {
        let shut = DOORS.iter().filter(|door| !door.doors.iter().any(|path| file.path.starts_with(path)));
        for door in shut.filter(|door| line.contains(&format!("{}::", door.name)) || line.contains(&format!("use {};", door.name))) {
            found.push(file.finding(number, format!("`{}`", door.name), &door.doors.join(" or "), "every outside dependency has one door"));
        }
    }
}
