//! Something that one process at a time does for a whole topic, such as putting it into the archive.
//!
//! A lease is a consumer group on the topic: whoever the group gives its first partition to holds the lease. It reads nothing.
//! What only a holder may do it announces first, as an offset that it commits in a transaction under its live membership: a
//! holder that was taken for dead, and wakes, is refused by the log (rule 2 of the design), and whoever comes after it reads what
//! was announced and finishes it. So a step is done by the one who announced it or by its successor, in the same way.

use std::sync::Arc;

use thiserror::Error;
use wire::{Offset, Partition};

use crate::errors::{Code, Coded};
use crate::facts::{Fact, LeaseMoved};
use crate::log::{CommitError, Consumer, Log, LogError, Membership, Polled, Producer, Transaction};

/// Whoever the group gives this one holds the lease.
const DECIDES: Partition = Partition(0);
/// News of the group that are heard at once; more wait for the next question.
const NEWS_MAX: usize = 16;

/// One who holds a lease, or waits for it.
pub struct Lease {
    name: &'static str,
    log: Arc<dyn Log>,
    transactional_id: String,
    consumer: Box<dyn Consumer>,
    /// While it is held.
    term: Option<Term>,
    terms: u64,
    /// Made when something is announced first, and anew after every failure.
    producer: Option<Box<dyn Producer>>,
}

/// A time for which one holds the lease without a break. What a holder knew in another term may have changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(u64);

/// Why something could not be announced.
#[derive(Debug, Error)]
pub enum AnnounceError {
    /// The lease is another's, or about to be: nothing was announced, and nothing may be done.
    #[error("the lease is another's, or about to be")]
    NotHeld,
    /// It was not announced, or nobody can say whether it was; announcing it again is right in both cases.
    #[error("it cannot be announced")]
    Commit(#[source] CommitError),
    /// The log does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
}

// === impl Lease ===

impl Lease {
    /// Waits in line for the lease `name` of the log's topic, as instance `ordinal` of those who do.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached.
    pub fn wait(log: Arc<dyn Log>, name: &'static str, ordinal: u32) -> Result<Self, LogError> {
        let group = format!("reeve.{name}");
        let consumer = log.consumer(&group, &format!("{group}-{ordinal}"))?;
        Ok(Self { name, log, transactional_id: format!("{group}-{ordinal}"), consumer, term: None, terms: 0, producer: None })
    }

    /// In which term it is held, as far as the log has said; absent while it is not. To be asked a few times a second: it is how
    /// the group is heard, too.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be reached.
    pub fn held(&mut self) -> Result<Option<Term>, LogError> {
        for _ in 0..NEWS_MAX {
            match self.consumer.poll(0)? {
                Polled::Assigned(partitions) if partitions.contains(&DECIDES) => {
                    self.terms += 1;
                    self.term = Some(Term(self.terms));
                    LeaseMoved { lease: self.name, held: true }.emit();
                }
                Polled::Revoked(partitions) if partitions.contains(&DECIDES) => {
                    self.term = None;
                    LeaseMoved { lease: self.name, held: false }.emit();
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
                Polled::Nothing | Polled::Records(..) => break,
            }
        }
        Ok(self.term.filter(|_| self.live().is_some()))
    }

    /// What was announced last of a partition, by this holder or one before it.
    ///
    /// # Errors
    /// [`LogError::OffsetPending`] while an announcement of somebody before it is undecided.
    pub fn announced(&mut self, partition: Partition) -> Result<Option<Offset>, LogError> {
        self.consumer.committed(partition)
    }

    /// Announces what is about to be done in a partition, up to an offset.
    ///
    /// # Errors
    /// [`AnnounceError`]: then it may not be done.
    pub fn announce(&mut self, partition: Partition, up_to: Offset) -> Result<(), AnnounceError> {
        let membership = Some(self.live().ok_or(AnnounceError::NotHeld)?);
        let mut producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.log.producer(&self.transactional_id)?,
        };
        match producer.commit(Transaction { records: Vec::new(), offsets: vec![(partition, up_to)], membership }) {
            Ok(_) => {
                self.producer = Some(producer);
                Ok(())
            }
            // The producer is dropped: whatever it left is decided when the next one is made.
            Err(CommitError::Fenced { .. }) => Err(AnnounceError::NotHeld),
            Err(error) => Err(AnnounceError::Commit(error)),
        }
    }

    fn live(&self) -> Option<Membership> {
        self.term.and_then(|_| self.consumer.membership())
    }
}

impl Coded for AnnounceError {
    fn code(&self) -> Code {
        match self {
            Self::NotHeld => Code::Fenced,
            Self::Commit(error) => error.code(),
            Self::Log(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::{MemoryLog, MemoryOptions};

    #[test]
    fn one_of_two_holds_it_and_the_other_once_the_first_has_gone() {
        let log = log();
        let (mut one, mut other) = (lease(&log, 0), lease(&log, 1));
        settle(&mut [&mut one, &mut other]);
        let first_holds = holds(&mut one);
        assert_ne!(first_holds, holds(&mut other));
        let (holder, mut next) = if first_holds { (one, other) } else { (other, one) };
        drop(holder);
        settle(&mut [&mut next]);
        assert!(holds(&mut next));
    }

    #[test]
    fn what_a_holder_announced_is_read_by_the_next_and_one_that_was_taken_for_dead_announces_nothing() {
        let log = log();
        let mut zombie = lease(&log, 0);
        settle(&mut [&mut zombie]);
        zombie.announce(Partition(2), Offset(7)).expect("it holds the lease");
        log.expire("reeve.test", "reeve.test-0");
        let mut next = lease(&log, 1);
        settle(&mut [&mut next]);
        assert!(holds(&mut next));
        assert!(matches!(zombie.announce(Partition(2), Offset(9)), Err(AnnounceError::NotHeld)), "it has not even heard of it");
        assert_eq!(next.announced(Partition(2)).expect("told"), Some(Offset(7)));
        assert_eq!(next.announced(Partition(1)).expect("told"), None);
    }

    #[test]
    fn who_loses_it_and_has_it_back_is_in_another_term() {
        let log = log();
        let mut lease = lease(&log, 0);
        settle(&mut [&mut lease]);
        let term = lease.held().expect("the log is there").expect("it is held");
        log.rebalance("reeve.test");
        settle(&mut [&mut lease]);
        let again = lease.held().expect("the log is there").expect("it is held");
        assert_ne!(term, again);
    }

    #[test]
    fn who_waits_announces_nothing() {
        let log = log();
        let (mut one, mut other) = (lease(&log, 0), lease(&log, 1));
        settle(&mut [&mut one, &mut other]);
        let waiting = if holds(&mut one) { &mut other } else { &mut one };
        assert!(matches!(waiting.announce(Partition(0), Offset(1)), Err(AnnounceError::NotHeld)));
    }

    fn log() -> Arc<MemoryLog> {
        MemoryLog::new(MemoryOptions { partitions: 3, ..MemoryOptions::default() })
    }

    fn lease(log: &Arc<MemoryLog>, ordinal: u32) -> Lease {
        Lease::wait(Arc::clone(log) as Arc<dyn Log>, "test", ordinal).expect("the log is there")
    }

    fn holds(lease: &mut Lease) -> bool {
        lease.held().expect("the log is there").is_some()
    }

    /// Lets everybody hear the group until it is settled: each lets go, then each is told of its share.
    fn settle(leases: &mut [&mut Lease]) {
        for _ in 0..4 {
            for lease in &mut *leases {
                holds(lease);
            }
        }
    }
}
