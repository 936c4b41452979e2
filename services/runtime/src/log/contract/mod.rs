//! What every log promises, as tests that are written once. An implementation brings a [`Subject`] and calls
//! [`log_contract!`](crate::log_contract) in a test crate; each promise becomes one test there.

pub mod appends;
pub mod commits;
pub mod crashes;
pub mod fixtures;
pub mod groups;
pub mod reading;

use std::sync::Arc;

use wire::Timestamp;

use super::Log;

/// Partitions of the topic that a subject brings.
pub const PARTITIONS: u32 = 3;

/// A log under test, with what a test must be able to do to it.
pub trait Subject {
    /// The log as it is open now.
    fn log(&self) -> Arc<dyn Log>;

    /// Moves the log's clock, which stood at [`fixtures::START`] when the log was made; nothing on a log that
    /// [has its own](Self::sets_the_clock).
    fn set_now(&self, now: Timestamp);

    /// Whether the clock is the test's: a broker's is its own.
    fn sets_the_clock(&self) -> bool {
        true
    }

    /// Ends a member's session, as a coordinator does that hears nothing of it.
    fn expire(&self, group: &str, member: &str);

    /// Everybody who used the log is gone between two calls, nothing was closed, and the log is opened again.
    fn crash(&mut self);

    /// How a transaction is left undecided; `None` for a log on which that cannot happen.
    fn pending(&self) -> Option<&dyn Pending>;
}

/// Transactions that stay undecided although their producer heard an answer.
pub trait Pending {
    /// The next commit under this transactional id is heard to be unknown, and arrives only when it is let.
    fn hold_next_commit(&self, transactional_id: &str);

    /// The commit that was held arrives.
    fn arrive(&self, transactional_id: &str);
}

/// One test for each promise: `log_contract!(|| MySubject::new())`. The expression makes a new, empty subject. With a second
/// one, which answers whether there is a log to test, each test is passed over, and says so, where there is none.
#[macro_export]
macro_rules! log_contract {
    ($subject:expr) => {
        $crate::log_contract! { $subject, || true }
    };
    ($subject:expr, $is_there:expr) => {
        $crate::log_contract! { @tests $subject, $is_there;
            appends: a_repeat_adds_nothing_and_says_where_the_first_stands
            appends: an_id_with_another_body_is_refused_with_every_place_and_nothing_is_appended
            appends: a_repeat_within_one_append_is_one_record
            appends: a_broadcast_is_one_record_on_each_partition
            appends: an_append_cannot_take_the_id_of_a_decision
            appends: a_record_as_large_as_the_wire_allows_stands
            appends: an_append_to_a_partition_that_does_not_exist_adds_nothing
            appends: append_times_follow_the_clock_and_never_fall
            appends: every_one_of_many_appenders_is_answered_for_its_own
            reading: a_partition_is_read_in_the_order_it_was_appended
            reading: nothing_is_handed_out_before_a_seek
            reading: a_poll_hands_out_no_more_than_it_was_asked_for
            reading: no_partition_starves_another
            reading: nobody_undercuts_the_time_that_an_extent_told
            reading: nothing_is_dated_further_back_than_clocks_differ
            reading: a_waiting_reader_is_woken_by_an_append
            reading: all_partitions_are_one_story_while_it_goes_on
            reading: a_merged_reader_goes_on_from_its_cursor
            commits: records_and_offsets_are_committed_together
            commits: a_commit_without_membership_is_refused
            commits: a_commit_of_an_expired_member_is_fenced
            commits: a_commit_of_an_older_generation_is_fenced
            commits: an_older_producer_is_fenced_and_leaves_nothing
            commits: a_commit_with_one_stray_record_commits_nothing
            commits: an_offset_is_pending_until_its_transaction_is_decided
            commits: a_successor_decides_what_its_predecessor_left
            groups: a_partition_is_revoked_before_another_member_has_it
            groups: two_live_members_read_nothing_twice
            groups: a_dropped_consumer_leaves_its_group
            groups: a_namesake_takes_the_place_of_the_older_instance
            groups: an_expired_member_comes_back_by_itself
            groups: groups_know_nothing_of_each_others_offsets
            crashes: after_a_crash_everything_that_was_answered_stands
            crashes: a_room_resumes_where_its_last_commit_left_it
            crashes: a_producer_of_before_the_crash_is_fenced_by_its_successor
        }
    };
    (@tests $subject:expr, $is_there:expr; $($module:ident: $promise:ident)+) => {$(
        #[test]
        fn $promise() {
            let is_there: fn() -> bool = $is_there;
            if is_there() {
                $crate::log::contract::$module::$promise(&mut $subject());
            }
        }
    )+};
}
