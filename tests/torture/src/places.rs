//! Places on small disks, where the system lets us have some.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::ground::say;

/// A small disk of its own, taken away with the test.
pub struct SmallDisk(tempfile::TempDir);

// === impl SmallDisk ===

impl SmallDisk {
    /// A disk of so many MiB; none, loudly, where nobody may mount one.
    pub fn of(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let size = format!("size={mib}m");
        if mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], folder.path()) {
            return Some(Self(folder));
        }
        say("SKIPPED: no disk of its own may be mounted here: what a full or read-only one does is not seen by this test");
        None
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// It has so many MiB from now on.
    pub fn grow_to(&self, mib: u32) {
        assert!(mount(&["-o", &format!("remount,size={mib}m")], self.path()), "who may mount it may mount it anew");
    }

    /// It may be read, and not be written; or both again. Nobody may have a file open on it.
    pub fn read_only(&self, is: bool) {
        let how = if is { "remount,ro" } else { "remount,rw" };
        assert!(mount(&["-o", how], self.path()), "nobody has a file open on it");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still open on it keeps it until it is closed.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(arguments).arg(at).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
