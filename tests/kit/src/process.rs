//! What this process takes of its machine, as Linux tells it.

use std::fs;

/// Bytes of memory that are resident; `None` where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?.trim();
    kibibytes.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// Files and sockets that are open; `None` where the system does not say.
pub fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}
