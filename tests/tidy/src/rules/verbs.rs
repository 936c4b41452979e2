//! Every test program is run by a verb: one that nobody calls holds nothing.

use super::Finding;
use crate::tree::SourceFile;

const VERBS: &str = "Makefile";

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let Some(verbs) = files.iter().find(|file| file.path == VERBS) else { return };
    let words: Vec<&str> = verbs.text.split_whitespace().collect();
    let runs = |program: &str| words.windows(2).any(|pair| pair == ["--test", program]);
    for (file, program) in files.iter().filter_map(|file| Some((file, program(&file.path)?))) {
        if !runs(program) {
            let instead = format!("`--test {program}` in a verb of the {VERBS}");
            found.push(file.finding(0, "a test program that no verb runs".to_owned(), &instead, "a test that nobody calls holds nothing"));
        }
    }
}

/// The test program that begins in this file: `pump` of `services/runtime/tests/pump.rs`, `kafka` of
/// `services/runtime/tests/kafka/main.rs`.
fn program(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    let (_, _, tests, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    match (tests, parts.next(), parts.next()) {
        ("tests", None, None) => name.strip_suffix(".rs"),
        ("tests", Some("main.rs"), None) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_that_no_verb_runs_is_found() {
        let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let files = [
            file(VERBS, "test:\n\tcargo test --test pump --test log-of-all\n"),
            file("services/runtime/tests/pump.rs", ""),
            file("services/runtime/tests/log.rs", ""),
            file("services/runtime/tests/kafka/main.rs", ""),
            file("services/runtime/tests/kafka/broker.rs", ""),
            file("services/runtime/src/tests.rs", ""),
        ];
        let mut found = Vec::new();
        check(&files, &mut found);
        let found: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(found, ["services/runtime/tests/log.rs", "services/runtime/tests/kafka/main.rs"]);
    }
}
