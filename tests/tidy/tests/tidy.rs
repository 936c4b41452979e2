//! The house is tidy, and the test would notice if it were not.

use tidy::{SourceFile, findings, sources};

#[test]
fn the_house_is_tidy() {
    let found: Vec<String> = findings(&sources()).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_rule_finds_its_breach() {
    let breaches = [
        ("services/gateway/src/lib.rs", "let x = redb::Database::create(path);", "`redb`"),
        ("services/incident/src/machine.rs", "let now = SystemTime::now();", "`SystemTime`"),
        ("services/rollback/src/rules.rs", "use std::collections::HashMap;", "`HashMap`"),
        ("services/cli/src/up.rs", "todo!()", "`todo!(`"),
        ("services/cli/src/long.rs", &"\n".repeat(601), "601 lines"),
        ("services/audit/Cargo.toml", "", "nothing"),
    ];
    for (path, text, found) in breaches {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        let findings = findings(&[file]);
        assert!(findings.iter().any(|finding| finding.found == found), "{path}: {findings:?}");
    }
}
