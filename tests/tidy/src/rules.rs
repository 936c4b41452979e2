//! The rules: what is found, what to use instead, and why.

use std::fmt;

use crate::tree::SourceFile;

/// Lines that a file may have before it holds more than one idea.
const FILE_LINES_MAX: usize = 600;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where.
    pub path: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What stands there.
    pub found: String,
    /// What to use.
    pub instead: String,
    /// Why.
    pub because: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: found {}, use {}, because {}", self.path, self.line, self.found, self.instead, self.because)
    }
}

/// A dependency and the places that may name it.
struct Door {
    name: &'static str,
    doors: &'static [&'static str],
}

/// Every outside dependency whose API could change or leak has one door.
const DOORS: &[Door] = &[
    Door { name: "apache_avro", doors: &["services/wire/src/codec.rs", "services/wire/tests/"] },
    Door { name: "backoff", doors: &["services/runtime/src/retry.rs"] },
    Door { name: "redb", doors: &["services/runtime/src/log/embedded", "services/runtime/tests/log/"] },
    Door { name: "object_store", doors: &["services/runtime/src/snapshots", "services/audit/src/archive/store"] },
    Door {
        name: "prometheus",
        doors: &["services/runtime/src/metrics", "services/gateway/src/metrics", "services/gateway/tests/", "services/audit/src/metrics"],
    },
    Door { name: "flate2", doors: &["services/cli/src/import/", "tests/real/"] },
    Door { name: "sketches_ddsketch", doors: &["services/capacity/src/latencies.rs"] },
    Door { name: "parquet", doors: &["services/audit/src/archive/segment"] },
    Door { name: "governor", doors: &["services/gateway/src/admission.rs"] },
    Door { name: "utoipa", doors: &["services/gateway/src/openapi"] },
    Door { name: "comfy_table", doors: &["services/cli/src/output", "tests/seasons/src/report.rs"] },
    Door { name: "cel", doors: &["services/escalation/src/routes"] },
    Door { name: "vader_sentiment", doors: &["services/escalation/src/sentiment.rs"] },
];

/// What no machine may do, as text that stands for it.
const IMPURE: &[(&str, &str)] = &[
    ("SystemTime", "the time of the record or of the frontier"),
    ("Instant::", "the time of the record or of the frontier"),
    (".await", "a pure function"),
    ("async fn", "a pure function"),
    ("std::env", "the policy on the log"),
    ("HashMap", "BTreeMap"),
    ("HashSet", "BTreeSet"),
    ("println!", "a Standing line"),
    ("rand::", "an id derived from the opener"),
];

/// Crates whose code decides, and must decide alike whenever it is asked.
const PURE: &[&str] = &[
    "services/machine/src/",
    "services/incident/src/",
    "services/rollback/src/",
    "services/escalation/src/",
    "services/capacity/src/",
    "services/audit/src/machine",
    "services/audit/src/rules",
    "services/audit/src/policy",
];

/// Every breach in `files`, in order.
pub fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in files {
        lengths(file, &mut found);
        doors(file, &mut found);
        purity(file, &mut found);
        leftovers(file, &mut found);
    }
    rooms_have_pages(files, &mut found);
    found
}

fn lengths(file: &SourceFile, found: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    if file.path.ends_with(".rs") && lines > FILE_LINES_MAX {
        found.push(Finding {
            path: file.path.clone(),
            line: 0,
            found: format!("{lines} lines"),
            instead: format!("files of at most {FILE_LINES_MAX}"),
            because: "a file has one idea",
        });
    }
}

fn doors(file: &SourceFile, found: &mut Vec<Finding>) {
    if !file.path.ends_with(".rs") || file.path.starts_with("tests/tidy/") {
        return;
    }
    for door in DOORS.iter().filter(|door| !door.doors.iter().any(|path| file.path.starts_with(path))) {
        for (number, line) in code_lines(file) {
            if line.contains(&format!("{}::", door.name)) || line.contains(&format!("use {};", door.name)) {
                found.push(Finding {
                    path: file.path.clone(),
                    line: number,
                    found: format!("`{}`", door.name),
                    instead: door.doors.join(" or "),
                    because: "every outside dependency has one door",
                });
            }
        }
    }
}

fn purity(file: &SourceFile, found: &mut Vec<Finding>) {
    let may_be_impure = file.path.ends_with("/main.rs") || file.path.contains("/src/tests/");
    if may_be_impure || !PURE.iter().any(|folder| file.path.starts_with(folder)) {
        return;
    }
    for (number, line) in code_lines(file) {
        for (text, instead) in IMPURE.iter().filter(|(text, _)| line.contains(text)) {
            found.push(Finding {
                path: file.path.clone(),
                line: number,
                found: format!("`{text}`"),
                instead: (*instead).to_owned(),
                because: "a replay next year must decide as it did then",
            });
        }
    }
}

fn leftovers(file: &SourceFile, found: &mut Vec<Finding>) {
    if !file.path.ends_with(".rs") || file.path.starts_with("tests/tidy/") {
        return;
    }
    for (number, line) in code_lines(file) {
        for text in ["todo!(", "unimplemented!(", "dbg!(", "#[ignore]", "FIXME", "TODO"].iter().filter(|text| line.contains(*text)) {
            found.push(Finding {
                path: file.path.clone(),
                line: number,
                found: format!("`{text}`"),
                instead: "the thing itself".to_owned(),
                because: "main is the product at every commit",
            });
        }
    }
}

/// Every service has a README, and a deciding room the files that make knowing one knowing all.
fn rooms_have_pages(files: &[SourceFile], found: &mut Vec<Finding>) {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let services: Vec<&str> = files.iter().filter_map(|file| file.path.strip_prefix("services/")?.strip_suffix("/Cargo.toml")).collect();
    let mut demand = |path: String, because: &'static str| {
        if !has(&path) {
            found.push(Finding { path: path.clone(), line: 0, found: "nothing".to_owned(), instead: path, because });
        }
    };
    for service in services {
        demand(format!("services/{service}/README.md"), "every service says on one page what it promises");
        if has(&format!("services/{service}/src/machine.rs")) {
            for name in ["lib", "rules", "policy", "main"] {
                demand(format!("services/{service}/src/{name}.rs"), "knowing one deciding room is knowing all");
            }
        }
    }
}

/// Lines of code with their numbers: comments and documentation may name what code may not.
fn code_lines(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}
