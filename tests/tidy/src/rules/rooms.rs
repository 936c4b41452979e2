//! Every service has a page, and a deciding room has the files and the proofs that make knowing one knowing all.

use super::Finding;
use crate::tree::SourceFile;

/// What the page of a deciding room says, and how one finds it there.
const SECTIONS: &[(&str, &str)] = &[
    ("its promise", "**Promise.**"),
    ("what it reads", "**Reads"),
    ("what it writes", "**Writes"),
    ("its laws", "Laws of its own"),
    ("its bounds", "## Bounds"),
    ("its policy", "## Policy"),
    ("its metrics", "Metrics"),
    ("its runbooks", "unbooks"),
];

/// Where every deciding room is named, and what for.
const PLACES: &[(&str, &str, &str)] = &[
    ("tests/laws/tests/laws.rs", "machine_laws!(", "every deciding room obeys the eight laws"),
    ("tests/sim/src/seats.rs", "Room::of::<", "every deciding room is in the simulation"),
    ("services/cli/src/rooms.rs", "deciding::<", "every deciding room is in `reeve up`"),
];

pub(super) fn check(files: &[SourceFile], found: &mut Vec<Finding>) {
    let file = |path: &str| files.iter().find(|file| file.path == path);
    let services = files.iter().filter_map(|file| file.path.strip_prefix("services/")?.strip_suffix("/Cargo.toml"));
    for service in services {
        let page = format!("services/{service}/README.md");
        demand(files, &page, "every service says on one page what it promises", found);
        if file(&format!("services/{service}/src/machine.rs")).is_none() {
            continue;
        }
        for name in ["lib", "rules", "policy", "main"] {
            demand(files, &format!("services/{service}/src/{name}.rs"), "knowing one deciding room is knowing all", found);
        }
        if let Some(page) = file(&page) {
            for (what, text) in SECTIONS.iter().filter(|(_, text)| !page.text.contains(text)) {
                found.push(page.finding(
                    0,
                    format!("a page without {what}"),
                    &format!("`{text}`"),
                    "the pages of all rooms answer the same questions",
                ));
            }
        }
        for (path, before, because) in PLACES {
            let named = format!("{before}{}", type_of(service));
            match file(path) {
                Some(place) if place.text.contains(&named) => {}
                Some(place) => found.push(place.finding(0, format!("no room `{service}`"), &format!("`{named}`"), because)),
                None => demand(files, path, because, found),
            }
        }
    }
}

fn demand(files: &[SourceFile], path: &str, because: &'static str, found: &mut Vec<Finding>) {
    if !files.iter().any(|file| file.path == path) {
        let path = path.to_owned();
        found.push(Finding { path: path.clone(), line: 0, found: "nothing".to_owned(), instead: path, because });
    }
}

/// The machine of a service: `Incident` of `incident`.
fn type_of(service: &str) -> String {
    let (first, rest) = service.split_at(1);
    first.to_uppercase() + rest
}
