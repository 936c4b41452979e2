//! The newest records, in memory. Every room, the archive and whoever follows the log read a record soon after it was
//! written; from the file each of them would look it up, check and take it apart anew.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use wire::{Offset, Partition, StoredRecord};

use super::frame;

/// Bytes of records that are kept, over all partitions.
pub(super) const BYTES_MAX: usize = 16 << 20;
/// Bytes of records after which a read stops: as many records as it may take could be too many for memory.
pub(super) const READ_BYTES_MAX: usize = 8 << 20;

/// The newest records of each partition.
pub(super) struct Tail {
    bytes_max: usize,
    state: RwLock<State>,
}

/// A record as the file holds it, and its place.
pub(super) struct Framed {
    pub(super) partition: Partition,
    pub(super) offset: Offset,
    pub(super) frame: Vec<u8>,
}

#[derive(Default)]
struct State {
    /// By partition, without a gap.
    partitions: Vec<VecDeque<StoredRecord>>,
    /// Partition and bytes of every record kept, oldest write first.
    written: VecDeque<(Partition, usize)>,
    bytes: usize,
}

// === impl Tail ===

impl Tail {
    /// An empty tail of a log with so many partitions, that keeps at most so many bytes.
    pub(super) fn new(partitions: u32, bytes_max: usize) -> Self {
        let partitions = (0..partitions).map(|_| VecDeque::new()).collect();
        Self { bytes_max, state: RwLock::new(State { partitions, ..State::default() }) }
    }

    /// Keeps records that stand in the file since a moment ago, in the order of their offsets.
    pub(super) fn keep(&self, records: Vec<Framed>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        records.into_iter().for_each(|record| state.keep(record));
        state.shrink_to(self.bytes_max);
    }

    /// Records of a partition from `from` to before `end`, as the file would tell them; none if it has to be asked.
    pub(super) fn read(&self, partition: Partition, from: Offset, end: Offset, max: usize) -> Option<Vec<StoredRecord>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let kept = state.partitions.get(partition.0 as usize)?;
        let first = usize::try_from(from.0 - kept.front()?.offset.0).ok()?;
        let last = usize::try_from(end.0 - from.0).ok()?.min(max) + first;
        if last > kept.len() {
            return None;
        }
        let mut bytes = 0;
        let fits = |record: &&StoredRecord| {
            let is_first_too_much = bytes >= READ_BYTES_MAX;
            bytes += record.raw.size();
            !is_first_too_much
        };
        Some(kept.range(first..last).take_while(fits).cloned().collect())
    }
}

// === impl State ===

impl State {
    fn keep(&mut self, record: Framed) {
        let Framed { partition, offset, frame } = record;
        let bytes = frame.len();
        let Some(kept) = self.partitions.get_mut(partition.0 as usize) else { return };
        let follows = kept.back().is_none_or(|last| last.offset.next() == offset);
        // A record that cannot be taken apart, or that leaves a gap, ends what this partition's readers find here.
        match frame::parse(partition, offset, frame.into()).filter(|_| follows) {
            Some(stored) => {
                kept.push_back(stored);
                self.written.push_back((partition, bytes));
                self.bytes += bytes;
            }
            None => self.forget(partition),
        }
    }

    fn shrink_to(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max
            && let Some((partition, bytes)) = self.written.pop_front()
        {
            self.partitions[partition.0 as usize].pop_front();
            self.bytes -= bytes;
        }
    }

    fn forget(&mut self, partition: Partition) {
        self.partitions[partition.0 as usize].clear();
        self.written.retain(|(known, _)| *known != partition);
        self.bytes = self.written.iter().map(|(_, bytes)| bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use wire::{RawRecord, Timestamp};

    use super::*;

    #[test]
    fn it_tells_what_was_kept_and_nothing_that_it_does_not_know() {
        let tail = Tail::new(2, 1 << 10);
        tail.keep((0..5).map(|offset| framed(1, offset, 10)).collect());
        assert_eq!(offsets(tail.read(Partition(1), Offset(1), Offset(5), 3)), Some(vec![1, 2, 3]));
        assert_eq!(offsets(tail.read(Partition(1), Offset(3), Offset(5), 9)), Some(vec![3, 4]));
        assert_eq!(tail.read(Partition(1), Offset(3), Offset(6), 9), None, "the log is longer than what was kept");
        assert_eq!(tail.read(Partition(0), Offset(0), Offset(1), 9), None);
        assert_eq!(tail.read(Partition(2), Offset(0), Offset(1), 9), None);
    }

    #[test]
    fn it_keeps_the_newest_records_that_fit_whichever_partition_they_are_of() {
        let tail = Tail::new(2, 1_000);
        for offset in 0..20 {
            tail.keep(vec![framed(0, offset, 80), framed(1, offset, 80)]);
        }
        let kept: Vec<i64> = (0..20).filter(|from| tail.read(Partition(0), Offset(*from), Offset(20), 99).is_some()).collect();
        assert!(!kept.is_empty() && kept[0] > 10, "{kept:?}");
        assert_eq!(kept.last(), Some(&19));
        let state = tail.state.read().expect("nobody panicked");
        assert!(state.bytes <= 1_000 && state.written.len() == state.partitions.iter().map(VecDeque::len).sum::<usize>());
    }

    #[test]
    fn a_gap_ends_what_lies_before_it() {
        let tail = Tail::new(1, 1 << 10);
        tail.keep(vec![framed(0, 0, 1), framed(0, 2, 1)]);
        assert_eq!(tail.read(Partition(0), Offset(0), Offset(1), 9), None);
        tail.keep(vec![framed(0, 3, 1)]);
        assert_eq!(offsets(tail.read(Partition(0), Offset(3), Offset(4), 9)), Some(vec![3]));
    }

    fn framed(partition: u32, offset: i64, bytes: usize) -> Framed {
        let (partition, offset) = (Partition(partition), Offset(offset));
        let raw = RawRecord { value: vec![7; bytes].into(), ..RawRecord::default() };
        Framed { partition, offset, frame: frame::write(partition, offset, Timestamp(1), &raw) }
    }

    fn offsets(read: Option<Vec<StoredRecord>>) -> Option<Vec<i64>> {
        read.map(|records| records.iter().map(|record| record.offset.0).collect())
    }
}
