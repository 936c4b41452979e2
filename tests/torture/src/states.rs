//! The states of rooms: as snapshots hold them, and as their log makes them.

use std::path::{Path, PathBuf};

use machine::{Fold, Machine, Unreadable};
use runtime::snapshots::{SnapshotPlace, decode};
use wire::{Offset, Partition, Record};

use crate::ground::files;
use crate::proof::Read;

/// Whatever is to be done with every room of the house.
#[macro_export]
macro_rules! of_every_room {
    ($done:ident($($argument:expr),*)) => {{
        $done::<incident::Incident>($($argument),*);
        $done::<rollback::Rollback>($($argument),*);
        $done::<capacity::Capacity>($($argument),*);
        $done::<audit::Audit>($($argument),*);
        $done::<escalation::Escalation>($($argument),*);
    }};
}

/// A room's state after everything before `position` of a log.
pub fn folded<M: Machine>(log: &Read, partition: Partition, position: Offset) -> Fold<M> {
    let mut fold = Fold::<M>::new(partition);
    let partitions = log.0.len() as u32;
    for stored in log.0[partition.0 as usize].iter().take_while(|stored| stored.offset < position) {
        match Record::read_placed(stored, partitions) {
            Ok(record) if Fold::<M>::reads(record.body.kind()) => drop(fold.fold(&record)),
            Err(refusal) if refusal.blames_the_record() => {
                fold.refuse(&Unreadable { topic: "agent-events", stored, refusal: &refusal });
            }
            Ok(_) | Err(_) => fold.skip(stored.offset, stored.appended),
        }
    }
    fold
}

/// Snapshots of one partition of a room, newest first.
pub fn snapshots<M: Machine>(folder: &Path, partition: Partition) -> Vec<(Offset, PathBuf)> {
    let there = folder.join(M::SERVICE).join(partition.to_string());
    let position = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".snapshot")?.parse().ok().map(Offset);
    let mut found: Vec<_> = files(&there).into_iter().filter_map(|(path, _)| Some((position(&path)?, path))).collect();
    found.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    found
}

/// The newest snapshot of every partition of a room is what its log makes of it.
pub fn are_the_logs<M: Machine>(folder: &Path, log: &Read) {
    for partition in (0..log.0.len() as u32).map(Partition) {
        let snapshots = snapshots::<M>(&folder.join("snapshots"), partition);
        let (position, path) = snapshots.first().unwrap_or_else(|| panic!("{} has a snapshot of {partition}", M::SERVICE));
        let place = SnapshotPlace { service: M::SERVICE, partition, position: *position };
        let bytes = std::fs::read(path).expect("it is there");
        let fold = decode::<M>(&place, &bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            *position >= Offset(log.0[partition.0 as usize].len() as i64 - 8),
            "{} of {partition} is of the last start",
            path.display()
        );
        assert!(fold == folded::<M>(log, partition, *position), "{} is not what the log makes of {partition}", path.display());
    }
}
