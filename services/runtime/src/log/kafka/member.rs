//! A member of a group, and the reader of what the group gives it.
//!
//! Two handles, because they want opposite things. The *member* is subscribed, hears of rebalances and lends its
//! generation to transactions; it reads nothing. The *reader* is in no group: partitions are assigned to it by hand, at
//! the offset that a restore found, and fetched in batches (which a subscribed consumer cannot be, PITFALLS P10).
//!
//! Everything happens in [`Consumer::poll`], on the room's own thread, between its transactions: a partition that is
//! taken away is given up there, when nothing of it is under way.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::bindings::rd_kafka_resp_err_t as RespErr;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::Offset as At;
use rdkafka::{ClientContext, TopicPartitionList};
use wire::{Kind, Offset, Partition, StoredRecord};

use super::heard::{Heard, Quiet};
use super::native::{self, Authenticated, FetchQueue, Fetched};
use super::patience::Patience;
use super::settings::GroupProtocol;
use super::statistics::Measured;
use super::{Inner, not_made, unavailable};
use crate::log::{Consumer, Extent, LogError, Membership, Polled, locked, no_partition};

/// Messages that are taken from librdkafka at once, while fewer wait here.
const BATCH_MAX: usize = 512;
/// Events of the group that one poll hears: news, statistics, lines of the log.
const EVENTS_PER_POLL: usize = 8;
/// Why a group lets nobody in who shares by another rule than its members.
const OTHERWISE_AGREED: &str = "the group's members share partitions by another rule: all need the same `kafka.assignment` and \
    `kafka.group_protocol`, and a group changes it when its last member has left";
/// How long a question to the brokers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a member that leaves waits for the group to take its partitions back, and how often it looks.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);
/// How often one that was replaced looks whether its place is free again.
const LOOK_FOR_NAMESAKE_EVERY: Duration = Duration::from_secs(1);
/// For how long it is enough to have known where the partitions end, or that this is a member.
const GOOD_FOR: Duration = Duration::from_millis(100);

/// One member of a group.
pub(super) struct Reader {
    inner: Arc<Inner>,
    group: String,
    name: String,
    /// Dropped before the reader that it belongs to.
    queue: FetchQueue,
    reader: Authenticated<BaseConsumer<Quiet>>,
    member: Authenticated<BaseConsumer<News>>,
    /// What the group gave this member and has not taken back.
    held: BTreeSet<Partition>,
    /// Set while another instance has its place, until when it need not look whether that one has gone.
    replaced: Option<Patience>,
    /// What the group called it when it was last known to be a member.
    known_as: RefCell<String>,
    ahead: Ahead,
    /// Where each partition that is read began when it was sought.
    starts: BTreeMap<Partition, Offset>,
    ends: Option<Ends>,
    /// Until when it is enough to have known that it is a member.
    known_member: Cell<Option<Patience>>,
}

/// What the group said and the room was not told yet.
#[derive(Default)]
pub(super) struct News {
    /// Whether the members of its group let go of everything before anything is shared anew.
    is_eager: bool,
    /// Whether it was told of a share since it joined, and be it an empty one.
    is_told: AtomicBool,
    said: Mutex<VecDeque<Polled>>,
    /// Assignments and revocations that were followed.
    rebalances: AtomicU64,
    heard: Heard,
    measured: Measured,
}

/// What was fetched and not yet handed out, per partition in order.
#[derive(Default)]
struct Ahead {
    partitions: BTreeMap<Partition, Fetching>,
    /// The partition that was served last: the next one goes first, so that none starves.
    served: Partition,
}

/// One partition.
struct Fetching {
    pieces: VecDeque<Piece>,
    /// The offset after the last piece: what is fetched next.
    next: Offset,
}

enum Piece {
    Record(StoredRecord),
    End(Offset),
}

/// Where the partitions ended a moment ago.
struct Ends {
    good: Patience,
    extents: BTreeMap<Partition, Extent>,
}

// === impl Reader ===

impl Reader {
    pub(super) fn join(inner: Arc<Inner>, group: &str, member: &str) -> Result<Self, LogError> {
        let options = &inner.options;
        let mut reader = BaseConsumer::from_config_and_context(&options.reader(group, member), Quiet::default()).map_err(not_made)?;
        let changed = Arc::clone(&inner.changed);
        reader.set_nonempty_callback(move || changed.happened());
        let reader = inner.tokens.authenticate(reader)?;
        let joined = join(&inner, group, member)?;
        let queue = FetchQueue::of(&reader).ok_or_else(|| unavailable("a consumer without a queue"))?;
        let (held, ahead) = (BTreeSet::new(), Ahead::default());
        let starts = BTreeMap::new();
        Ok(Self {
            inner,
            group: group.to_owned(),
            name: member.to_owned(),
            queue,
            reader,
            member: joined,
            held,
            replaced: None,
            known_as: RefCell::default(),
            ahead,
            starts,
            ends: None,
            known_member: Cell::default(),
        })
    }

    /// What the group has to say, one thing at a time.
    fn news(&mut self) -> Result<Option<Polled>, LogError> {
        for _ in 0..EVENTS_PER_POLL {
            // Brokers that do not answer are told of by who asks them, and whatever the member itself reads is not for us.
            match self.member.poll(Duration::ZERO) {
                Some(Err(KafkaError::MessageConsumptionFatal(_))) => {
                    self.replaced = Some(Patience::of(Duration::ZERO));
                    let lost: Vec<Partition> = std::mem::take(&mut self.held).into_iter().collect();
                    self.give_up(&lost)?;
                    return Ok((!lost.is_empty()).then_some(Polled::Revoked(lost)));
                }
                // It asks again by itself, and is let in when the last of the others has left.
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::InconsistentGroupProtocol))) => {
                    return Err(unavailable(OTHERWISE_AGREED));
                }
                _ => {}
            }
            let Some(news) = locked(&self.member.context().said).pop_front() else { continue };
            match &news {
                Polled::Assigned(partitions) => self.held.extend(partitions),
                Polled::Revoked(partitions) => {
                    self.held.retain(|partition| !partitions.contains(partition));
                    self.give_up(partitions)?;
                }
                Polled::Nothing | Polled::Records(..) => {}
            }
            return Ok(Some(news));
        }
        Ok(None)
    }

    /// Whether the room knows what the group told. A rebalance may be decided and not yet told: its generation is not for what
    /// the room still believes to hold. And whoever has just joined has a generation before it has a share.
    fn is_settled(&self) -> bool {
        let news = self.member.context();
        let is_told = news.is_told.load(Ordering::SeqCst) && locked(&news.said).is_empty();
        is_told && self.replaced.is_none() && !self.member.assignment_lost()
    }

    /// Joins anew where nobody else has its name. Two instances of one name do not fight for its place: the older one waits until the
    /// newer one has gone. But the brokers also say that somebody has taken it where nobody has. A member whose session has passed,
    /// as where its coordinator was gone for so long, has no name of its own any more until its room hears of that and it joins again,
    /// and librdkafka 2.12 goes on saying that it is there by the name of the instance alone.
    fn come_back(&mut self) -> Result<(), LogError> {
        if self.replaced.is_some_and(|until| !until.is_over()) {
            return Ok(());
        }
        self.replaced = Some(Patience::of(LOOK_FOR_NAMESAKE_EVERY));
        if self.has_namesake() {
            return Ok(());
        }
        let fenced = std::mem::replace(&mut self.member, join(&self.inner, &self.group, &self.name)?);
        self.replaced = None;
        // It has nothing any more that anybody waits for, and may wait for brokers that are gone.
        let leaves = std::thread::Builder::new().name("kafka leaves".to_owned()).spawn(move || leave(&fenced));
        leaves.map(drop).map_err(unavailable)
    }

    /// Whether the group has a member of this name that is somebody else, as far as anybody says.
    fn has_namesake(&self) -> bool {
        // Where the broker places members a newer one takes nobody's place.
        if self.inner.options.group_protocol == GroupProtocol::Consumer {
            return false;
        }
        let group = format!("{}{}", self.inner.options.namespace, self.group);
        let Ok(members) = native::members(&self.inner.onlooker, &group, ANSWER_WITHIN) else { return true };
        members.iter().any(|(client, member)| *client == self.name && *member != *self.known_as.borrow())
    }

    fn known_membership(&self) -> Option<Membership> {
        let membership = native::membership(&self.member)?;
        self.known_as.borrow_mut().clone_from(&membership.member);
        Some(membership)
    }

    /// Stops reading partitions that are no longer this member's.
    fn give_up(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        self.ends = None;
        self.known_member.set(None);
        for partition in partitions {
            if self.ahead.forget(*partition) {
                self.reader.incremental_unassign(&self.place(*partition, At::Invalid)?).map_err(unavailable)?;
            }
        }
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), LogError> {
        for fetched in self.queue.fetch(BATCH_MAX, Duration::ZERO) {
            match fetched {
                Fetched::Record(record) => self.ahead.take(record.partition, Piece::Record(record)),
                Fetched::End(partition, offset) => self.ahead.take(partition, Piece::End(offset)),
                Fetched::Failed(Some(partition), RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    let Some(asked) = self.ahead.partitions.get(&partition).map(|fetching| fetching.next) else { continue };
                    let start = self.inner.extent(partition)?.start;
                    return Err(LogError::OffsetGone { partition, start, asked });
                }
                Fetched::Failed(..) => {}
            }
        }
        Ok(())
    }

    fn place(&self, partition: Partition, at: At) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.inner.options.topic, kafka_partition(partition), at).map_err(unavailable)?;
        Ok(list)
    }
}

impl Consumer for Reader {
    fn poll(&mut self, max: usize) -> Result<Polled, LogError> {
        if self.replaced.is_some() {
            self.come_back()?;
            return Ok(Polled::Nothing);
        }
        if let Some(news) = self.news()? {
            return Ok(news);
        }
        if max == 0 {
            return Ok(Polled::Nothing);
        }
        // Before it runs dry, so that a partition whose records come later has its turn.
        if self.ahead.len() < BATCH_MAX {
            self.fetch()?;
        }
        self.ahead.next(max, |record| self.inner.registry.as_ref().map_or(Ok(()), |registry| registry.translate(&mut record.raw)))
    }

    fn pass_over(&mut self, passes: fn(Kind) -> bool) {
        self.queue.pass_over(passes);
    }

    fn seek(&mut self, partition: Partition, to: Offset) -> Result<(), LogError> {
        if !self.held.contains(&partition) {
            // It was just taken away.
            return Ok(());
        }
        let extent = self.inner.extent(partition)?;
        if to < extent.start {
            return Err(LogError::OffsetGone { partition, start: extent.start, asked: to });
        }
        if self.ahead.forget(partition) {
            self.reader.incremental_unassign(&self.place(partition, At::Invalid)?).map_err(unavailable)?;
        }
        self.reader.incremental_assign(&self.place(partition, At::Offset(to.0))?).map_err(unavailable)?;
        self.ahead.begin(partition, to);
        self.starts.insert(partition, extent.start);
        Ok(())
    }

    fn committed(&mut self, partition: Partition) -> Result<Option<Offset>, LogError> {
        let asked = self.place(partition, At::Invalid)?;
        let told = match self.member.committed_offsets(asked, ANSWER_WITHIN) {
            // A read-committed group asks for a stable offset, and the client asks again as long as there is none.
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::UnstableOffsetCommit)) => {
                return Err(LogError::OffsetPending { partition });
            }
            told => told.map_err(unavailable)?,
        };
        let place = told.find_partition(&self.inner.options.topic, kafka_partition(partition)).ok_or_else(|| no_partition(partition))?;
        match place.error() {
            Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnstableOffsetCommit)) => Err(LogError::OffsetPending { partition }),
            Err(error) => Err(unavailable(error)),
            Ok(()) => Ok(match place.offset() {
                At::Offset(offset) => Some(Offset(offset)),
                _ => None,
            }),
        }
    }

    fn extent(&mut self, partition: Partition) -> Result<Extent, LogError> {
        self.inner.extent(partition)
    }

    fn recent_extent(&mut self, partition: Partition) -> Result<Extent, LogError> {
        let known = self.ends.as_ref().filter(|ends| !ends.good.is_over());
        if let Some(extent) = known.and_then(|ends| ends.extents.get(&partition)) {
            return Ok(*extent);
        }
        let (good, quiet_until) = (Patience::of(GOOD_FOR), self.inner.quiet_until());
        let partitions: Vec<Partition> = self.held.iter().copied().collect();
        let ends = self.inner.high_watermarks(&partitions)?;
        let extent = |(partition, high_watermark)| {
            let start = self.starts.get(&partition).copied().unwrap_or_default();
            (partition, Extent { start, high_watermark, quiet_until })
        };
        let extents: BTreeMap<Partition, Extent> = ends.into_iter().map(extent).collect();
        let told = extents.get(&partition).copied().ok_or_else(|| no_partition(partition));
        self.ends = Some(Ends { good, extents });
        told
    }

    fn membership(&self) -> Option<Membership> {
        self.is_settled().then(|| self.known_membership()).flatten()
    }

    /// Twice in every step of a room, and each true answer is a question to the client's own thread, which wakes for it.
    fn is_member(&self) -> bool {
        let is_known = self.known_member.get().is_some_and(|until| !until.is_over());
        let is_member = self.is_settled() && (is_known || self.known_membership().is_some());
        if !is_member {
            self.known_member.set(None);
        } else if !is_known {
            self.known_member.set(Some(Patience::of(GOOD_FOR)));
        }
        is_member
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        leave(&self.member);
    }
}

fn join(inner: &Inner, group: &str, member: &str) -> Result<Authenticated<BaseConsumer<News>>, LogError> {
    let options = &inner.options;
    // Of an empty share that a broker gave it a member is not told.
    let is_told = AtomicBool::new(options.group_protocol == GroupProtocol::Consumer);
    let news = News { is_eager: options.assignment.is_eager(), is_told, ..News::default() };
    let mut joined = BaseConsumer::from_config_and_context(&options.member(group, member), news).map_err(not_made)?;
    let changed = Arc::clone(&inner.changed);
    joined.set_nonempty_callback(move || changed.happened());
    let joined = inner.tokens.authenticate(joined)?;
    joined.subscribe(&[&options.topic]).map_err(unavailable)?;
    Ok(joined)
}

/// Gives everything back while the member is still served, and hears all that the group had to say by then. Left to the closing of
/// the client, an assignment is taken for a revocation and ends its group, and the revocation behind it is answered to nobody, and
/// waits for ever. Once unsubscribed the group says nothing new.
fn leave(member: &BaseConsumer<News>) {
    member.unsubscribe();
    let until = Patience::of(LEAVE_WITHIN);
    while !until.is_over() {
        let before = member.context().rebalances.load(Ordering::SeqCst);
        let said = member.poll(LOOK_UP_EVERY).is_some();
        let is_quiet = !said && member.context().rebalances.load(Ordering::SeqCst) == before;
        if is_quiet && member.assignment().is_ok_and(|assigned| assigned.count() == 0) {
            return;
        }
    }
}

// === impl News ===

impl ClientContext for News {
    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.note(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.measured.tell(&statistics);
    }
}

impl ConsumerContext for News {
    /// Runs inside [`Reader::poll`], so that nothing of the room's is under way. What is assigned is paused at once: it is
    /// the reader who reads it, from where the room says.
    fn rebalance(&self, member: &BaseConsumer<Self>, told: RespErr, partitions: &mut TopicPartitionList) {
        self.rebalances.fetch_add(1, Ordering::SeqCst);
        let share = our_partitions(partitions);
        let news = if told == RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.is_told.store(true, Ordering::SeqCst);
            // A place that needs no question to the group: nothing is read from there.
            partitions.set_all_offsets(At::End).ok();
            let assigned = if self.is_eager { member.assign(partitions) } else { member.incremental_assign(partitions) };
            assigned.and_then(|()| member.pause(partitions)).map(|()| Polled::Assigned(share))
        } else {
            let let_go = if self.is_eager { member.unassign() } else { member.incremental_unassign(partitions) };
            let_go.map(|()| Polled::Revoked(share))
        };
        match news {
            Ok(Polled::Assigned(share) | Polled::Revoked(share)) if share.is_empty() => {}
            Ok(news) => locked(&self.said).push_back(news),
            Err(error) => tracing::warn!(code = "RV0010", "a rebalance could not be followed: {error}"),
        }
    }
}

// === impl Ahead ===

impl Ahead {
    fn len(&self) -> usize {
        self.partitions.values().map(|fetching| fetching.pieces.len()).sum()
    }

    /// A partition is fetched from here on.
    fn begin(&mut self, partition: Partition, next: Offset) {
        self.partitions.insert(partition, Fetching { pieces: VecDeque::new(), next });
    }

    fn take(&mut self, partition: Partition, piece: Piece) {
        // What was fetched before the reader let go of a partition is nobody's.
        if let Some(fetching) = self.partitions.get_mut(&partition) {
            fetching.next = match &piece {
                Piece::Record(record) => record.offset.next(),
                Piece::End(offset) => *offset,
            };
            fetching.pieces.push_back(piece);
        }
    }

    /// Whether it was read at all.
    fn forget(&mut self, partition: Partition) -> bool {
        self.partitions.remove(&partition).is_some()
    }

    /// What one partition has, at most `max` records, the one that was served longest ago first. A record that cannot be made
    /// `ready` stays where it is, and so does what lies behind it.
    fn next(&mut self, max: usize, ready: impl Fn(&mut StoredRecord) -> Result<(), LogError>) -> Result<Polled, LogError> {
        let after = self.partitions.range((Bound::Excluded(self.served), Bound::Unbounded));
        let all = after.chain(self.partitions.range(..=self.served));
        let Some(partition) = all.filter(|(_, fetching)| !fetching.pieces.is_empty()).map(|(partition, _)| *partition).next() else {
            return Ok(Polled::Nothing);
        };
        self.served = partition;
        let pieces = &mut self.partitions.get_mut(&partition).expect("it was just found").pieces;
        let (mut records, mut next) = (Vec::new(), None);
        while records.len() < max {
            match pieces.pop_front() {
                Some(Piece::Record(mut record)) => {
                    if let Err(error) = ready(&mut record) {
                        pieces.push_front(Piece::Record(record));
                        return next.map(|next| Polled::Records(partition, records, next)).ok_or(error);
                    }
                    next = Some(record.offset.next());
                    records.push(record);
                }
                Some(Piece::End(offset)) => next = Some(offset),
                None => break,
            }
        }
        Ok(next.map_or(Polled::Nothing, |next| Polled::Records(partition, records, next)))
    }
}

fn our_partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let mut partitions: Vec<Partition> =
        list.elements().iter().filter_map(|place| u32::try_from(place.partition()).ok()).map(Partition).collect();
    partitions.sort_unstable();
    partitions
}

pub(super) fn kafka_partition(partition: Partition) -> i32 {
    i32::try_from(partition.0).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use wire::{RawRecord, SchemaId, Timestamp};

    use super::*;

    #[test]
    fn a_record_that_is_not_ready_holds_its_partition_and_no_other_and_nothing_of_it_is_lost() {
        let mut ahead = Ahead::default();
        for partition in [0, 1].map(Partition) {
            ahead.begin(partition, Offset(0));
            for offset in (0..4).map(Offset) {
                let record = StoredRecord { partition, offset, appended: Timestamp(0), raw: RawRecord::default() };
                ahead.take(partition, Piece::Record(record));
            }
            ahead.take(partition, Piece::End(Offset(6)));
        }
        let silent = Cell::new(true);
        let ready = |record: &mut StoredRecord| match silent.get() && (record.partition, record.offset) == (Partition(1), Offset(2)) {
            true => Err(LogError::RegistrySilent { id: SchemaId::Number(7), reason: "nobody answers".to_owned() }),
            false => Ok(()),
        };
        let handed = |polled: Polled| match polled {
            Polled::Records(partition, records, next) => (partition.0, records.iter().map(|it| it.offset.0).collect::<Vec<_>>(), next.0),
            other => panic!("{other:?}"),
        };
        let mut next = |max| ahead.next(max, ready).map(handed);
        assert_eq!(next(10), Ok((1, vec![0, 1], 2)));
        assert_eq!(next(2), Ok((0, vec![0, 1], 2)));
        assert!(matches!(next(10), Err(LogError::RegistrySilent { id: SchemaId::Number(7), .. })));
        assert_eq!(next(10), Ok((0, vec![2, 3], 6)), "the other partition has its turn");
        assert!(matches!(next(10), Err(LogError::RegistrySilent { id: SchemaId::Number(7), .. })));
        silent.set(false);
        assert_eq!(next(10), Ok((1, vec![2, 3], 6)));
    }
}
