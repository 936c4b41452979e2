//! Places in the program at which a test may end it without a word, as a machine does that loses its power.
//!
//! `REEVE_FAILPOINT=commit.after:3` ends the process when it gets to that place for the third time. Builds with debug assertions
//! have them; a release build has none, and refuses the variable like any other that it does not know.

/// Names the variable that orders a failpoint.
pub const VARIABLE: &str = "REEVE_FAILPOINT";

macro_rules! failpoints {
    ($($(#[$doc:meta])+ $name:ident, $text:literal;)+) => {
        /// A place at which the process may end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Failpoint {$($(#[$doc])+ $name,)+}

        impl Failpoint {
            /// All of them: in the order in which a transaction passes them, then of snapshots and archive.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// How a test calls it.
            pub fn name(self) -> &'static str {
                match self {$(Self::$name => $text,)+}
            }
        }
    };
}

failpoints! {
    /// No transaction is open.
    BeginBefore, "begin.before";
    /// One is, at the client: the broker has not heard of it.
    BeginAfter, "begin.after";
    /// Before a record is handed to the client.
    ProduceBefore, "produce.before";
    /// The client has it, and may have sent it.
    ProduceAfter, "produce.after";
    /// The records may have arrived, the offsets are not sent.
    OffsetsBefore, "offsets.before";
    /// The coordinator has the offsets; the commit is not sent.
    CommitBefore, "commit.before";
    /// The commit was answered; the room has not heard of it.
    CommitAfter, "commit.after";
    /// Before a snapshot is written to its store.
    SnapshotBefore, "snapshot.before";
    /// The snapshot has its name; older ones are still there.
    SnapshotAfter, "snapshot.after";
    /// Where a segment of the archive ends is announced; the segment is not put.
    ArchiveBefore, "archive.before";
    /// It is put; the archiver has not noted it.
    ArchiveAfter, "archive.after";
}

/// Ends the process here, if that was ordered.
#[inline]
pub fn pass(place: Failpoint) {
    #[cfg(debug_assertions)]
    ordered::pass(place);
    #[cfg(not(debug_assertions))]
    let _ = place;
}

/// The variable that orders one, where this build has any.
pub fn variable() -> Option<&'static str> {
    cfg!(debug_assertions).then_some(VARIABLE)
}

#[cfg(debug_assertions)]
mod ordered {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Failpoint, VARIABLE};

    /// Which one, and how often it is passed before it strikes.
    struct Order {
        place: Failpoint,
        left: AtomicU64,
    }

    static ORDER: LazyLock<Option<Order>> = LazyLock::new(read);

    pub(super) fn pass(place: Failpoint) {
        let Some(order) = ORDER.as_ref().filter(|order| order.place == place) else { return };
        if order.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Neither destructors nor handlers run.
            std::process::abort();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test orders it, of a build that is for tests")]
    fn read() -> Option<Order> {
        let text = std::env::var(VARIABLE).ok()?;
        let ordered = parsed(&text);
        assert!(ordered.is_some(), "{VARIABLE} is `{text}`, which is no place:times");
        ordered.map(|(place, times)| Order { place, left: AtomicU64::new(times) })
    }

    pub(super) fn parsed(text: &str) -> Option<(Failpoint, u64)> {
        let (name, times) = text.split_once(':')?;
        let place = Failpoint::ALL.iter().copied().find(|place| place.name() == name)?;
        times.parse().ok().filter(|times| *times > 0).map(|times| (place, times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failpoint_is_ordered_by_its_name_and_how_often_it_is_passed() {
        for place in Failpoint::ALL {
            assert_eq!(ordered::parsed(&format!("{}:7", place.name())), Some((*place, 7)));
        }
        for wrong in ["commit.after", "commit.after:0", "commit.after:x", "nowhere:1"] {
            assert_eq!(ordered::parsed(wrong), None, "{wrong}");
        }
    }
}
