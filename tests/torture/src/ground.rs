//! Time, folders, waiting, and a voice that the test harness does not swallow.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long a test waits for what must come: it is the end of a failing test, not the pace of a passing one.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The moment from which a test's patience is measured.
#[expect(clippy::disallowed_methods, reason = "a test that waits for another program measures how long")]
pub fn moment() -> Instant {
    Instant::now()
}

/// Says something to whoever watches.
pub fn say(text: &str) {
    // Nobody to tell it to is no reason to fail.
    let _ = writeln!(std::io::stderr(), "torture: {text}");
}

/// How many programs want a processor, over one, five and fifteen minutes (proc(5), loadavg).
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map_or_else(|_| "unknown".to_owned(), |told| told.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// A bar for what takes a while, on a terminal.
pub fn bar(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").expect("the template is a good one");
    ProgressBar::new(length).with_style(style).with_message(what)
}

/// Returns what `look` finds, once it finds something.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = moment();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Returns what `look` finds, once it finds something instead of how much is left. Patience begins anew whenever less is left than
/// ever was.
pub fn eventually_nearer<T>(what: &str, mut look: impl FnMut() -> Result<T, u64>) -> T {
    let (mut begun, mut least) = (moment(), u64::MAX);
    loop {
        match look() {
            Ok(found) => return found,
            Err(left) if left < least => (begun, least) = (moment(), left),
            Err(left) => assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}, and {left} are left"),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// An address on loopback at which nobody listens.
pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it listens").to_string()
}

/// A folder that is gone with the test.
///
/// In memory, where the system has a place there and `TMPDIR` names no other: what a killed program leaves behind is the
/// same, and most of a life is waiting for the disk.
pub fn folder() -> tempfile::TempDir {
    let in_memory = std::env::var_os("TMPDIR").is_none().then(|| tempfile::tempdir_in("/dev/shm").ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a folder for the test"))
}

/// Every file below a folder with its length, in order. One that vanishes meanwhile is left out.
pub fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(it) if it.is_dir() => folders.push(entry.path()),
                Ok(it) => found.push((entry.path(), it.len())),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// Copies a folder and everything in it.
pub fn copy(from: &Path, to: &Path) {
    for (file, _) in files(from) {
        let there = to.join(file.strip_prefix(from).expect("it lies below the folder"));
        std::fs::create_dir_all(there.parent().expect("it lies in a folder")).expect("the test's folder is writable");
        std::fs::copy(&file, there).expect("the test's folder is writable");
    }
}
