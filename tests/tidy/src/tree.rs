//! The files of the house, read once.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the house.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/tidy lies two folders below the root").to_path_buf()
}

/// Every Rust file, Cargo manifest, page and script of the house, in order of path.
pub fn sources() -> Vec<SourceFile> {
    let root = root();
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    const SKIPPED: [&str; 4] = ["target", ".git", "data", "golden"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, files);
        } else if is_ours(&name) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.extend(fs::read_to_string(&path).ok().map(|text| SourceFile { path: relative, text }));
        }
    }
}

fn is_ours(name: &str) -> bool {
    [".rs", ".toml", ".md", ".avsc"].iter().any(|ending| name.ends_with(ending)) || matches!(name, "Makefile" | "setup" | "part" | "run")
}
