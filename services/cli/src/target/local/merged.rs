//! All partitions of a log as one sequence, by append time, then partition, then offset.

use std::collections::VecDeque;
use std::sync::Arc;

use runtime::log::{Log, LogError};
use wire::{Offset, Partition, StoredRecord};

/// Records of one partition read at once.
const PAGE_RECORDS: usize = 256;

/// Every record up to the ends that the log had when this began.
pub struct Merged<L: ?Sized> {
    log: Arc<L>,
    parts: Vec<Part>,
    failed: bool,
}

struct Part {
    partition: Partition,
    page: VecDeque<StoredRecord>,
    next: Offset,
    end: Offset,
}

// === impl Merged ===

impl<L: Log + ?Sized> Merged<L> {
    /// The records of `log`, from the beginning.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn new(log: Arc<L>) -> Result<Self, LogError> {
        let part = |partition| Ok(Part { partition, page: VecDeque::new(), next: Offset(0), end: log.end(partition)? });
        let parts = (0..log.partitions()).map(Partition).map(part).collect::<Result<_, LogError>>()?;
        Ok(Self { log, parts, failed: false })
    }

    fn take(&mut self) -> Result<Option<StoredRecord>, LogError> {
        for part in &mut self.parts {
            if part.page.is_empty() && part.next < part.end {
                part.page = self.log.read(part.partition, part.next, PAGE_RECORDS)?.into();
                part.next = part.page.back().map_or(part.end, |last| last.offset.next());
            }
        }
        let earliest = |part: &&mut Part| part.page.front().map(|first| (first.appended, first.partition, first.offset));
        let part = self.parts.iter_mut().filter(|part| !part.page.is_empty()).min_by_key(earliest);
        Ok(part.and_then(|part| part.page.pop_front()))
    }
}

impl<L: Log + ?Sized> Iterator for Merged<L> {
    type Item = Result<StoredRecord, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let taken = self.take();
        self.failed = taken.is_err();
        taken.transpose()
    }
}
