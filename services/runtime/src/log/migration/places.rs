//! Where the newest records of each old partition stand on the new ones: by which the `asof` of a decision is counted anew.

use std::collections::VecDeque;

use wire::{Offset, Partition};

/// Places that are remembered, of all partitions together. A decision knew the log as it stood a moment before; that of a room
/// that was behind may be older than the oldest of them.
const PLACES_MAX: usize = 4_000_000;

/// By old partition, in order of offsets.
pub(super) struct Places {
    of: Vec<OfOne>,
    per_partition: usize,
    /// Decisions that were asked for a place that is forgotten.
    pub(super) vague: u64,
}

/// One old partition.
#[derive(Default)]
struct OfOne {
    placed: VecDeque<Placed>,
    /// The last record that is forgotten.
    forgotten: Option<Offset>,
}

struct Placed {
    /// The record on its old partition.
    offset: Offset,
    /// Its new partition, and the last record there before it.
    to: Partition,
    before: Offset,
}

// === impl Places ===

impl Places {
    pub(super) fn new(partitions: u32) -> Self {
        Self::with_room_for(partitions, PLACES_MAX)
    }

    fn with_room_for(partitions: u32, places: usize) -> Self {
        let of = (0..partitions).map(|_| OfOne::default()).collect();
        Self { of, per_partition: (places / partitions.max(1) as usize).max(1), vague: 0 }
    }

    /// A record went to `to`, where `before` was the last one.
    pub(super) fn note(&mut self, from: Partition, offset: Offset, to: Partition, before: Offset) {
        let of = &mut self.of[from.0 as usize];
        if of.placed.len() >= self.per_partition {
            of.forgotten = of.placed.pop_front().map(|placed| placed.offset);
        }
        of.placed.push_back(Placed { offset, to, before });
    }

    /// What `asof` of the old partition `from` is on the new partition `to`: the last record there before the first one of `from`
    /// that comes after `asof`. While there is none, it is the `last` one.
    pub(super) fn last_known(&mut self, from: Partition, asof: Offset, to: Partition, last: Offset) -> Offset {
        let of = &self.of[from.0 as usize];
        self.vague += u64::from(of.forgotten.is_some_and(|forgotten| asof < forgotten));
        let first = of.placed.partition_point(|placed| placed.offset <= asof);
        of.placed.range(first..).find(|placed| placed.to == to).map_or(last, |placed| placed.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition(0);
    const Q: Partition = Partition(1);

    #[test]
    fn what_a_room_knew_ends_before_the_first_record_that_it_had_not_seen() {
        let mut places = Places::new(2);
        // Partition 3 gets, in this order: 5 of P, 9 of Q, 6 of P, 7 of P.
        let to = Partition(3);
        [(P, 5, -1), (Q, 9, 0), (P, 6, 1), (P, 7, 2)]
            .into_iter()
            .for_each(|(from, offset, before)| places.note(from, Offset(offset), to, Offset(before)));
        let asof = |places: &mut Places, from, asof| places.last_known(from, Offset(asof), to, Offset(3)).0;
        assert_eq!([4, 5, 6, 7].map(|knew| asof(&mut places, P, knew)), [-1, 1, 2, 3]);
        assert_eq!([8, 9].map(|knew| asof(&mut places, Q, knew)), [0, 3]);
        assert_eq!(places.last_known(P, Offset(4), Partition(2), Offset(8)), Offset(8), "nothing went to that one");
        assert_eq!(places.vague, 0);
    }

    #[test]
    fn a_place_that_is_forgotten_is_told_and_never_guessed_to_be_earlier() {
        let mut places = Places::with_room_for(1, 2);
        (0..4).for_each(|offset| places.note(P, Offset(offset), P, Offset(offset - 1)));
        assert_eq!(places.last_known(P, Offset(0), P, Offset(3)), Offset(1), "the oldest that is remembered is 2");
        assert_eq!(places.vague, 1);
        assert_eq!(places.last_known(P, Offset(1), P, Offset(3)), Offset(1));
        assert_eq!(places.vague, 1, "1 is forgotten, and all after it is known");
    }
}
