//! The house is tidy, and the test would notice if it were not.

use tidy::{SourceFile, findings, sources};

/// Files with path and text; and where what is found in them.
type Breach<'a> = (&'a [(&'a str, &'a str)], &'a str, usize, &'a str);

#[test]
fn the_house_is_tidy() {
    let found: Vec<String> = findings(&sources()).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_rules_look_at_the_whole_house() {
    let files = sources();
    let has = |path: &str| files.iter().any(|file| file.path == path);
    for path in ["README.md", "Makefile", "services/ARCHITECTURE.md", "services/incident/src/machine.rs", "services/gateway/metrics.txt"] {
        assert!(has(path), "{path}");
    }
    assert!(files.iter().filter(|file| file.path.starts_with("deploy/runbooks/")).count() > 20);
}

/// Each is a house in which one thing is wrong, by which rule it is found, and where.
#[test]
fn every_rule_finds_its_breach() {
    const MACHINE: (&str, &str) = ("services/audit/src/machine.rs", "");
    const MANIFEST: (&str, &str) = ("services/audit/Cargo.toml", "");
    const WORDS: (&str, &str) = (
        "services/ARCHITECTURE.md",
        "## Vocabulary\n\n| word | means | never |\n| --- | --- | --- |\n| driver | one | handler, current time |\n\n## Next\n",
    );
    const CODES: (&str, &str) = ("services/runtime/src/errors.rs", "    BadConfig, RV0001, Refuse, 64, \"refused\";\n");
    let long_file = "let x = 1;\n".repeat(401);
    let long_tests = "let x = 1;\n".repeat(501);
    let long_function = format!("    pub(crate) async fn long<T>(x: T) {{\n{}    }}\n", "        let x = 1;\n".repeat(60));
    let breaches: &[Breach<'_>] = &[
        (&[("services/gateway/src/lib.rs", "\nlet x = redb::Database::create(path);")], "services/gateway/src/lib.rs", 2, "`redb`"),
        (&[("services/incident/src/machine.rs", "let now = SystemTime::now();")], "services/incident/src/machine.rs", 1, "`SystemTime`"),
        (&[("services/rollback/src/rules.rs", "use std::collections::HashMap;")], "services/rollback/src/rules.rs", 1, "`HashMap`"),
        (&[("services/cli/src/up.rs", "todo!()")], "services/cli/src/up.rs", 1, "`todo!(`"),
        (&[("services/cli/src/long.rs", &long_file)], "services/cli/src/long.rs", 0, "401 lines of code"),
        (&[("services/cli/src/tests/long.rs", &long_tests)], "services/cli/src/tests/long.rs", 0, "501 lines of code"),
        (&[("services/cli/src/long.rs", &long_function)], "services/cli/src/long.rs", 1, "`long` of 62 lines"),
        (&[WORDS, ("services/cli/src/up.rs", "struct RoomHandlers;")], "services/cli/src/up.rs", 1, "`handler` in `RoomHandlers`"),
        (
            &[WORDS, ("services/cli/src/up.rs", "let mut a_current_time = 1;")],
            "services/cli/src/up.rs",
            1,
            "`current_time` in `a_current_time`",
        ),
        (&[WORDS, ("services/cli/src/up.rs", "pub(crate) const HANDLER: u8 = 1;")], "services/cli/src/up.rs", 1, "`handler` in `HANDLER`"),
        (&[WORDS, ("services/cli/src/up.rs", "pub const fn handler() {}")], "services/cli/src/up.rs", 1, "`handler` in `handler`"),
        (&[WORDS, ("services/cli/src/handler.rs", "")], "services/cli/src/handler.rs", 0, "`handler` in `handler`"),
        (&[MANIFEST], "services/audit/README.md", 0, "nothing"),
        (&[MANIFEST, MACHINE], "services/audit/src/policy.rs", 0, "nothing"),
        (&[MANIFEST, MACHINE], "tests/laws/tests/laws.rs", 0, "nothing"),
        (&[MANIFEST, MACHINE, ("services/audit/README.md", "**Promise.**")], "services/audit/README.md", 0, "a page without its bounds"),
        (&[MANIFEST, MACHINE, ("tests/laws/tests/laws.rs", "machine_laws!(Other")], "tests/laws/tests/laws.rs", 0, "no room `audit`"),
        (&[MANIFEST, MACHINE, ("tests/sim/src/seats.rs", "Room::of::<Other>")], "tests/sim/src/seats.rs", 0, "no room `audit`"),
        (&[MANIFEST, MACHINE, ("services/cli/src/rooms.rs", "deciding::<Other>")], "services/cli/src/rooms.rs", 0, "no room `audit`"),
        (&[CODES], "deploy/runbooks/RV0001.md", 0, "nothing"),
        (&[CODES, ("deploy/runbooks/RV0001.md", "## What\n## Why\n")], "deploy/runbooks/RV0001.md", 0, "no `## What to do`"),
        (&[CODES, ("deploy/runbooks/RV0002.md", "")], "deploy/runbooks/RV0002.md", 0, "a page of `RV0002`"),
        (&[CODES, ("README.md", "see\nRV0003")], "README.md", 2, "`RV0003`"),
        (&[("services/cli/src/up.rs", "count(\"reeve_x_total\")")], "services/cli/src/up.rs", 1, "`count(\"reeve_x_total\")`"),
        (&[("services/cli/src/metrics.rs", "const X: &str = \"reeve_x_total\";")], "services/cli/src/metrics.rs", 1, "`reeve_x_total`"),
        (&[("services/cli/metrics.txt", "reeve_x_total{a}\n"), ("README.md", "`reeve_x_total`, `reeve_y`")], "README.md", 1, "`reeve_y`"),
        (&[("services/README.md", "[here](../schemas/x.md#there)")], "services/README.md", 1, "a link to `../schemas/x.md#there`"),
        (&[("Makefile", "run: build ## run\n"), ("README.md", "`make run` or `make walk`")], "README.md", 1, "`make walk`"),
        (&[("Makefile", "run: build ## run\n"), ("README.md", "```\nmake walk\n```")], "README.md", 2, "`make walk`"),
        (&[("deploy/setup", "cd /home/me")], "deploy/setup", 1, "`/home/`"),
    ];
    for (files, path, line, wrong) in breaches {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
        let all = findings(&files);
        let is_it = |finding: &&tidy::Finding| finding.path == *path && finding.line == *line && finding.found == *wrong;
        assert!(all.iter().any(|finding| is_it(&finding)), "{path}:{line} {wrong} is not among {all:#?}");
    }
}

/// What looks like a breach and is none.
#[test]
fn what_is_in_order_is_left_alone() {
    let page = "## Vocabulary\n\n| word | means | never |\n| --- | --- | --- |\n| driver | one | handler |\n| record | one | message |\n";
    let good: &[(&str, &str)] = &[
        ("services/ARCHITECTURE.md", page),
        ("Makefile", "run: build ## run\n"),
        (
            "README.md",
            "`make run`, `make`, [here](services/ARCHITECTURE.md#vocabulary), [there](https://example.org), [room](services/wire)",
        ),
        ("services/wire/src/facts.rs", "pub struct MessagePosted;"),
        ("services/runtime/src/pump.rs", "// A handler is what this is not: see redb::Database.\nfn one_who_calls_it_a_handler() {}\n"),
        (
            "services/cli/src/short.rs",
            &format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "let x = 1;\n".repeat(400), "let y = 1;\n".repeat(400)),
        ),
    ];
    let files: Vec<_> = good.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
    assert_eq!(findings(&files), []);
}
