//! Tells the archive which compressor it is built with: the library has no name for its version, and the lock file has.

use std::path::PathBuf;

fn main() {
    // Asked for when it runs: this program may have been built in another clone, with the same target directory.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo tells every build script where its package is");
    let lock = PathBuf::from(package).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = std::fs::read_to_string(lock).unwrap_or_default();
    let version = lock.lines().skip_while(|line| *line != "name = \"zstd-sys\"").find_map(|line| line.strip_prefix("version = "));
    println!("cargo::rustc-env=REEVE_COMPRESSOR=zstd-sys-{}", version.map_or("unknown", |version| version.trim_matches('"')));
}
