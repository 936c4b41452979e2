//! One partition, entry by entry, as a broker keeps it: markers and undone records take offsets like any other.

use std::collections::BTreeSet;

use wire::{Offset, Partition, RawRecord, StoredRecord, Timestamp};

/// A partition's entries, from offset 0 without a gap.
#[derive(Default)]
pub(super) struct Shelf {
    entries: Vec<Entry>,
    /// Records of transactions that are undecided. The first of them is where reading committed ends.
    open: BTreeSet<Offset>,
    stall: Option<Stall>,
    hidden: Option<Hidden>,
}

struct Entry {
    appended: Timestamp,
    what: What,
}

enum What {
    Committed(RawRecord),
    /// Of a transaction that is undecided.
    Open(RawRecord),
    /// Of a transaction that was aborted.
    Undone,
    /// The end of a transaction.
    Marker,
}

/// The read-committed end stands still although what is behind it was decided.
struct Stall {
    end: Offset,
    polls_left: u32,
}

/// What comes from here on waits for its copies: it is dated, and nobody can see it.
struct Hidden {
    from: Offset,
    since: Timestamp,
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn append(&mut self, now: Timestamp, raw: RawRecord) -> Offset {
        self.push(now, What::Committed(raw))
    }

    /// Appends a record that nobody reads before its transaction is decided.
    pub(super) fn append_open(&mut self, now: Timestamp, raw: RawRecord) -> Offset {
        let offset = self.push(now, What::Open(raw));
        self.open.insert(offset);
        offset
    }

    /// Decides a record that was appended open.
    pub(super) fn decide(&mut self, offset: Offset, committed: bool) {
        self.open.remove(&offset);
        let Some(entry) = self.entries.get_mut(offset.0 as usize) else { return };
        entry.what = match std::mem::replace(&mut entry.what, What::Undone) {
            What::Open(raw) if committed => What::Committed(raw),
            What::Open(_) => What::Undone,
            decided => decided,
        };
    }

    /// Appends the marker that ends a transaction.
    pub(super) fn mark(&mut self, now: Timestamp) -> Offset {
        self.push(now, What::Marker)
    }

    /// The offset after everything that can be seen, undecided records and markers included.
    pub(super) fn high_watermark(&self) -> Offset {
        self.hidden.as_ref().map_or(self.next(), |hidden| hidden.from)
    }

    /// The offset of what comes next.
    pub(super) fn next(&self) -> Offset {
        Offset(self.entries.len() as i64)
    }

    /// From now on what comes waits for its copies; whether it did not before.
    pub(super) fn hide(&mut self, now: Timestamp) -> bool {
        let begins = self.hidden.is_none();
        if begins {
            self.hidden = Some(Hidden { from: self.next(), since: now });
        }
        begins
    }

    /// Copies have caught up with everything.
    pub(super) fn replicate(&mut self) {
        self.hidden = None;
    }

    /// No record waits for longer than this.
    pub(super) fn replicate_by(&mut self, now: Timestamp, lag_us: i64) {
        if self.hidden.as_ref().is_some_and(|hidden| now.since_us(hidden.since) > lag_us) {
            self.hidden = None;
        }
    }

    /// The date of the last entry, if there is one.
    pub(super) fn last_dated(&self) -> Option<Timestamp> {
        self.entries.last().map(|entry| entry.appended)
    }

    /// Where reading committed ends: at the first undecided record, or earlier while stalled.
    pub(super) fn stable_end(&self) -> Offset {
        let undecided = self.open.first().copied().map_or(self.high_watermark(), |open| open.min(self.high_watermark()));
        self.stall.as_ref().map_or(undecided, |stall| undecided.min(stall.end))
    }

    /// The offset after the last record that reading committed hands out.
    pub(super) fn readable_end(&self) -> Offset {
        let mut end = self.stable_end();
        while end > Offset(0) && !self.is_committed(end.previous()) {
            end = end.previous();
        }
        end
    }

    /// Committed records from `from` to before `end`, and the position after them.
    ///
    /// The position after a record stays before the marker that follows it, and passes it only when nothing else is
    /// left, as a broker's clients do.
    pub(super) fn read(&self, partition: Partition, from: Offset, end: Offset, max: usize) -> (Vec<StoredRecord>, Offset) {
        let (from, end) = (from.max(Offset(0)), end.min(self.stable_end()));
        if from >= end {
            return (Vec::new(), from);
        }
        let reached = self.entries[from.0 as usize..end.0 as usize].iter().zip(from.0..);
        let committed = reached.filter_map(|(entry, offset)| match &entry.what {
            What::Committed(raw) => Some(StoredRecord { partition, offset: Offset(offset), appended: entry.appended, raw: raw.clone() }),
            What::Open(_) | What::Undone | What::Marker => None,
        });
        let records: Vec<StoredRecord> = committed.take(max).collect();
        let next = match records.last() {
            Some(last) => last.offset.next(),
            None if max == 0 => from,
            None => end,
        };
        (records, next)
    }

    /// Keeps the read-committed end where it is for so many polls.
    pub(super) fn stall(&mut self, polls: u32) {
        self.stall = Some(Stall { end: self.stable_end(), polls_left: polls });
    }

    /// Whether it is stalled, counted down by the poll that asks.
    pub(super) fn still_stalled(&mut self) -> bool {
        if let Some(stall) = &mut self.stall {
            stall.polls_left = stall.polls_left.saturating_sub(1);
            if stall.polls_left == 0 {
                self.stall = None;
            }
        }
        self.stall.is_some()
    }

    pub(super) fn end_stall(&mut self) {
        self.stall = None;
    }

    fn is_committed(&self, offset: Offset) -> bool {
        matches!(self.entries.get(offset.0 as usize), Some(Entry { what: What::Committed(_), .. }))
    }

    fn push(&mut self, appended: Timestamp, what: What) -> Offset {
        let offset = self.next();
        self.entries.push(Entry { appended, what });
        offset
    }
}
