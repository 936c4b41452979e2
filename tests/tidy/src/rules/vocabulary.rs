//! The words of the house: what the page of its architecture says is never said is not what anything is called.

use super::Finding;
use crate::tree::SourceFile;

/// Where the table stands, and under which heading.
const PAGE: &str = "services/ARCHITECTURE.md";
const HEADING: &str = "## Vocabulary";
/// A name of so many words is a sentence, and prose may use every word.
const SENTENCE_WORDS: usize = 5;
const DECLARES: &[&str] = &["fn", "struct", "enum", "trait", "type", "mod", "const", "static", "let"];

/// A word that means something else there.
struct Exception {
    word: &'static str,
    places: &'static [&'static str],
    /// Why, for who reads this.
    _because: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        word: "message",
        places: &["services/wire/src/facts.rs", "services/cli/src/fleet/", "services/cli/src/import/", "tests/real/"],
        _because: "what somebody says in a conversation is a message: the kind is `message.posted`",
    },
    Exception {
        word: "command",
        places: &[
            "services/cli/",
            "services/runtime/src/decide.rs",
            "services/rollback/tests/stories/people.rs",
            "tests/real/",
            "tests/torture/",
            "tests/bench/",
        ],
        _because: "what is typed into a terminal is a command, and so clap and the standard library call it",
    },
    Exception {
        word: "command",
        places: &["services/wire/src/facts.rs"],
        _because: "platforms know orders as commands: the kind is `command.acknowledged`",
    },
    Exception {
        word: "action",
        places: &["services/wire/src/shared.rs", "tests/sim/"],
        _because: "a note of a person has an action, which is no decision; and what the simulator does next is none either",
    },
    Exception {
        word: "pending",
        places: &["services/runtime/src/log/", "services/runtime/src/driver.rs", "services/runtime/tests/"],
        _because: "offsets of an undecided transaction are pending, as Kafka says, and records that were polled: neither is a debt",
    },
    Exception {
        word: "handle",
        places: &["services/runtime/src/room.rs"],
        _because: "a handle is what is held of a room that runs, and folds nothing",
    },
    Exception {
        word: "worker",
        places: &["services/cli/src/lib.rs", "services/runtime/src/log/contract/", "services/runtime/tests/log/"],
        _because: "threads of the asynchronous runtime are its workers, and members of a test's consumer group do some work",
    },
    Exception {
        word: "process",
        places: &["services/runtime/tests/", "services/cli/tests/", "tests/torture/", "tests/real/", "tests/kit/"],
        _because: "what the system runs is a process",
    },
];

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let table: Vec<(String, String)> = files.iter().filter(|file| file.path == PAGE).flat_map(|file| never(&file.text)).collect();
    for file in files.iter().filter(|file| file.is_rust()) {
        let stem = file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
        let declared = file.code_lines().filter_map(|(_, number, line)| Some((number, declared(line)?)));
        for (number, name) in declared.chain([(0, stem)]) {
            for (word, instead) in table.iter().filter(|(word, _)| says(name, word) && !is_excepted(file, word)) {
                found.push(file.finding(number, format!("`{word}` in `{name}`"), instead, "one thing has one word"));
            }
        }
    }
}

/// The words that are never said, each with the one to use instead.
fn never(page: &str) -> Vec<(String, String)> {
    let table = page.split(HEADING).nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")).map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() >= 3 && row[0] != "word" && !row[0].starts_with("---"));
    rows.flat_map(|row| {
        row[2].split(", ").filter(|word| !word.is_empty()).map(|word| (word.replace(' ', "_"), row[0].to_owned())).collect::<Vec<_>>()
    })
    .collect()
}

/// The name that a line declares.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || matches!(*word, "async" | "unsafe" | "const"));
    let (keyword, mut name) = match line.split_whitespace().find(|word| !word.starts_with("pub")) {
        Some("const") if !line.contains("fn ") => ("const", line.split("const ").nth(1)?),
        _ => (words.next()?, words.next()?),
    };
    if name == "mut" {
        name = words.next()?;
    }
    let end = name.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(name.len());
    (DECLARES.contains(&keyword) && end > 0).then(|| &name[..end])
}

/// Whether a name has the word among its own.
fn says(name: &str, word: &str) -> bool {
    let words = words(name);
    if words.len() >= SENTENCE_WORDS {
        return false;
    }
    let wanted: Vec<&str> = word.split('_').collect();
    words.windows(wanted.len()).any(|found| {
        found
            .iter()
            .zip(&wanted)
            .all(|(found, wanted)| found.strip_suffix('s').unwrap_or(found) == wanted.strip_suffix('s').unwrap_or(wanted))
    })
}

/// `aName`, `AName`, `a_name` and `A_NAME` as words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for character in name.chars() {
        if character == '_' || character.is_uppercase() && before.is_lowercase() {
            words.push(String::new());
        }
        if character != '_' {
            words.last_mut().expect("there is one").extend(character.to_lowercase());
        }
        before = character;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_excepted(file: &SourceFile, word: &str) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.word == word && exception.places.iter().any(|place| file.path.starts_with(place)))
}
