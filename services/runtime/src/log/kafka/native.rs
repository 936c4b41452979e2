//! What the Rust client has no word for, said to librdkafka itself: records in batches, the group's metadata by value,
//! a commit that does not wait a tenth of a second, and where all partitions end in one question.
//!
//! The only `unsafe` of the house. Each block says why it is sound; all pointers that are owned here are released by a
//! `Drop` of this file.
#![allow(unsafe_code, reason = "the Kafka door: librdkafka is a C library")]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::admin::AdminClient;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, TopicPartitionList};
use wire::{Kind, Offset, Partition, RawRecord, StoredRecord, Timestamp, codec};

use super::heard::log;
use super::oauth::Token;
use crate::log::{Membership, locked};

/// What comes out of a reader's queue.
pub(super) enum Fetched {
    /// A committed record.
    Record(StoredRecord),
    /// Up to here there is nothing more that may be read now; markers and aborted records count.
    End(Partition, Offset),
    /// A partition, or the whole client if none is named, that cannot be read.
    Failed(Option<Partition>, RDKafkaErrorCode),
}

/// The queue into which a consumer's partitions are fetched.
///
/// To be used for a consumer that is in no group only: a batch call answers a rebalance by giving everything back
/// (`rdkafka.c`, `rd_kafka_poll_cb` without a callback), and one thread at a time may call it.
pub(super) struct FetchQueue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    /// Kinds whose records need no more than their framing.
    passes: fn(Kind) -> bool,
}

/// Where a transaction stands after a call that failed.
#[derive(Debug)]
pub(super) struct TransactionError {
    pub(super) code: RDKafkaErrorCode,
    pub(super) is_fatal: bool,
    pub(super) requires_abort: bool,
    pub(super) reason: String,
}

/// A client to which tokens can be handed from another thread for as long as it lives. It is never taken out of this.
pub(super) struct Authenticated<C> {
    sink: TokenSink,
    client: C,
}

/// Where a client takes its tokens: nowhere once it is gone.
#[derive(Clone)]
pub(super) struct TokenSink(Arc<Mutex<Option<ClientPtr>>>);

struct ClientPtr(NonNull<sys::rd_kafka_t>);

/// A client of whatever kind.
pub(super) trait NativeClient {
    fn ptr(&self) -> *mut sys::rd_kafka_t;
}

/// An answer of librdkafka's that has to be given back.
struct Event(NonNull<sys::rd_kafka_event_t>);

// === impl FetchQueue ===

// SAFETY: a queue may be used from any thread (INTRODUCTION.md, "Threads and callbacks"); `fetch` takes `&mut`, so that
// no two threads are in the batch call.
unsafe impl Send for FetchQueue {}

impl FetchQueue {
    /// The queue of `consumer`, which must outlive it.
    pub(super) fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client is alive while `consumer` is borrowed, and not served yet; the queue is referenced on its own account.
        unsafe {
            sys::rd_kafka_set_logger(consumer.ptr(), Some(log_line));
            let queue = NonNull::new(sys::rd_kafka_queue_get_consumer(consumer.ptr()))?;
            Some(Self { queue, passes: |_| false })
        }
    }

    /// From now on records of these kinds are handed out as their place and framing, without a copy of the rest.
    pub(super) fn pass_over(&mut self, passes: fn(Kind) -> bool) {
        self.passes = passes;
    }

    /// What has arrived, at most `max`, or what arrives within `wait`. Bytes are copied: nothing of librdkafka's is kept.
    pub(super) fn fetch(&mut self, max: usize, wait: Duration) -> Vec<Fetched> {
        let mut handed: Vec<*mut sys::rd_kafka_message_t> = vec![ptr::null_mut(); max];
        // SAFETY: the array has room for `max` pointers, and `&mut self` keeps other threads out.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), millis(wait), handed.as_mut_ptr(), max) };
        handed.truncate(usize::try_from(count).unwrap_or(0));
        let fetched = handed.iter().map(|record| {
            // SAFETY: librdkafka filled this many places with messages that are ours until they are destroyed below.
            unsafe { fetched(*record, self.passes) }
        });
        let fetched = fetched.collect();
        // SAFETY: each message is destroyed once, and nothing refers to it: its bytes were copied.
        handed.iter().for_each(|record| unsafe { sys::rd_kafka_message_destroy(*record) });
        fetched
    }
}

impl Drop for FetchQueue {
    fn drop(&mut self) {
        // SAFETY: the reference that `of` took is given back once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// A line of the client's log, for which a queue that is read in batches has no other way out than standard error.
unsafe extern "C" fn log_line(_: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    // SAFETY: librdkafka's own C strings, which live through the call.
    let [facility, line] = unsafe { [facility, line].map(|text| CStr::from_ptr(text).to_string_lossy()) };
    log(level, &facility, &line);
}

/// # Safety
/// `record` is a message that librdkafka handed out and that was not destroyed.
unsafe fn fetched(record: *mut sys::rd_kafka_message_t, passes: fn(Kind) -> bool) -> Fetched {
    // SAFETY: the caller's.
    let seen = unsafe { &*record };
    let partition = u32::try_from(seen.partition).ok().map(Partition);
    match (RDKafkaErrorCode::from(seen.err), partition) {
        (RDKafkaErrorCode::NoError, Some(partition)) => Fetched::Record(StoredRecord {
            partition,
            offset: Offset(seen.offset),
            // SAFETY: the caller's.
            appended: unsafe { appended(record) },
            // SAFETY: the caller's.
            raw: unsafe { raw(record, passes) },
        }),
        (RDKafkaErrorCode::PartitionEOF, Some(partition)) => Fetched::End(partition, Offset(seen.offset)),
        (code, partition) => Fetched::Failed(partition, code),
    }
}

/// # Safety
/// As for [`fetched`].
unsafe fn appended(record: *const sys::rd_kafka_message_t) -> Timestamp {
    let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the caller's; `kind` is written only during the call.
    let time_ms = unsafe { sys::rd_kafka_message_timestamp(record, &raw mut kind) };
    Timestamp(time_ms.saturating_mul(1_000).max(0))
}

/// A copy of a record, in one piece: nothing of it is librdkafka's. Headers are not even looked at where its kind is passed, for to find
/// them is dear (PITFALLS P34).
///
/// # Safety
/// As for [`fetched`].
unsafe fn raw(record: *const sys::rd_kafka_message_t, passes: fn(Kind) -> bool) -> RawRecord {
    // SAFETY: the caller's; lengths are librdkafka's own, and the slices are copied before anything else happens.
    unsafe {
        let seen = &*record;
        let value = bytes(seen.payload, seen.len).unwrap_or_default();
        if codec::kind_of(value).is_some_and(passes) {
            return RawRecord { value: Bytes::copy_from_slice(&value[..codec::FRAMING_BYTES]), ..RawRecord::default() };
        }
        RawRecord::joined(bytes(seen.key, seen.key_len), headers(record), value)
    }
}

/// The headers of a record, which are only to be looked at while it lives.
///
/// # Safety
/// As for [`fetched`], to the end of `'a`.
unsafe fn headers<'a>(record: *const sys::rd_kafka_message_t) -> impl Iterator<Item = (Cow<'a, str>, &'a [u8])> {
    let mut list = ptr::null_mut();
    // SAFETY: the caller's; the list belongs to the message.
    let told = RDKafkaErrorCode::from(unsafe { sys::rd_kafka_message_headers(record, &raw mut list) });
    let nth_header = move |nth| {
        let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the list is the message's; beyond its end the call says so and writes nothing.
        let told = unsafe { sys::rd_kafka_header_get_all(list, nth, &raw mut name, &raw mut value, &raw mut len) };
        (RDKafkaErrorCode::from(told) == RDKafkaErrorCode::NoError)
            // SAFETY: name is a C string and value has `len` bytes, or is null, as long as the message lives.
            .then(|| unsafe { (CStr::from_ptr(name).to_string_lossy(), bytes(value, len).unwrap_or_default()) })
    };
    (0..).take_while(move |_| told == RDKafkaErrorCode::NoError).map_while(nth_header)
}

/// # Safety
/// `bytes` is null, or `len` bytes can be read there to the end of `'a`.
unsafe fn bytes<'a>(bytes: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's.
    (!bytes.is_null()).then(|| unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) })
}

// === membership ===

/// Who this consumer is in its group now. `None` while it has no generation: a broker would take that without fencing.
pub(super) fn membership<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Membership> {
    // SAFETY: the client lives as long as `consumer` is borrowed; the answer is a copy that is destroyed below.
    let metadata = NonNull::new(unsafe { sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) })?;
    // SAFETY: the strings belong to `metadata` and are copied before it is destroyed, which happens once.
    let (group, member, generation) = unsafe {
        let group = text(sys::rd_kafka_consumer_group_metadata_group_id(metadata.as_ptr()));
        let member = text(sys::rd_kafka_consumer_group_metadata_member_id(metadata.as_ptr()));
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata.as_ptr());
        sys::rd_kafka_consumer_group_metadata_destroy(metadata.as_ptr());
        (group, member, generation)
    };
    let generation = u64::try_from(generation).ok()?;
    (!member.is_empty()).then_some(Membership { group, member, generation })
}

/// The members of a group whose members share by themselves, each as what it calls itself and what the group calls it. Every broker is
/// asked for the group, and its coordinator for them.
///
/// # Errors
/// Nobody who knows has answered.
pub(super) fn members<C: ConsumerContext>(
    asker: &BaseConsumer<C>,
    group: &str,
    wait: Duration,
) -> Result<Vec<(String, String)>, RDKafkaErrorCode> {
    let group = c_string(group);
    let mut told: *const sys::rd_kafka_group_list = ptr::null();
    // SAFETY: the name lives to the end of the function; what is told is destroyed below.
    let answered = unsafe { sys::rd_kafka_list_groups(asker.client().native_ptr(), group.as_ptr(), &raw mut told, millis(wait)) };
    let is_partial = answered == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTIAL;
    let Some(list) = NonNull::new(told.cast_mut()) else { return Err(answered.into()) };
    // SAFETY: the list is whole until it is destroyed, once, when everything was copied.
    let found = unsafe {
        let groups = slice(list.as_ref().groups, list.as_ref().group_cnt);
        let found = groups.first().map(|group| {
            let members = slice(group.members, group.member_cnt).iter();
            (group.err, members.map(|member| (text(member.client_id), text(member.member_id))).collect())
        });
        sys::rd_kafka_group_list_destroy(list.as_ptr());
        found
    };
    match found {
        Some((sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, members)) => Ok(members),
        Some((error, _)) => Err(error.into()),
        // Whoever did not answer may be its coordinator.
        None if is_partial => Err(answered.into()),
        None => Ok(Vec::new()),
    }
}

/// # Safety
/// `text` is null, or a string that ends.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller's.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// # Safety
/// `first` is null, or the first of so many to the end of `'a`.
unsafe fn slice<'a, T>(first: *const T, count: c_int) -> &'a [T] {
    // SAFETY: the caller's.
    if first.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(first, usize::try_from(count).unwrap_or(0)) } }
}

// === transactions ===

/// Adds consumer offsets to the transaction that is open, as the member that `membership` names.
pub(super) fn send_offsets<C: ProducerContext>(
    producer: &ThreadedProducer<C>,
    offsets: &TopicPartitionList,
    membership: &Membership,
    wait: Duration,
) -> Result<(), TransactionError> {
    let (group, member) = (c_string(&membership.group), c_string(&membership.member));
    let generation = i32::try_from(membership.generation).unwrap_or(i32::MAX);
    // SAFETY: the strings live to the end of the function; what is made is destroyed below.
    let metadata =
        unsafe { sys::rd_kafka_consumer_group_metadata_new_with_genid(group.as_ptr(), generation, member.as_ptr(), ptr::null()) };
    // SAFETY: producer and offsets are borrowed, metadata lives through the call and is destroyed once.
    unsafe {
        let told = sys::rd_kafka_send_offsets_to_transaction(producer.client().native_ptr(), offsets.ptr(), metadata, millis(wait));
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        taken(told)
    }
}

/// Commits the transaction that is open. The Rust client would flush first, by a poll that always takes its 100 ms; the
/// thread that serves the delivery reports makes that needless (PITFALLS P1).
pub(super) fn commit<C: ProducerContext>(producer: &ThreadedProducer<C>, wait: Duration) -> Result<(), TransactionError> {
    // SAFETY: the producer is borrowed, and its own thread serves the queue that the call waits for.
    unsafe { taken(sys::rd_kafka_commit_transaction(producer.client().native_ptr(), millis(wait))) }
}

/// # Safety
/// `error` is null or an error that librdkafka gave and that nobody destroyed.
unsafe fn taken(error: *mut sys::rd_kafka_error_t) -> Result<(), TransactionError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's; the error is destroyed once, after everything was copied.
    unsafe {
        let told = TransactionError {
            code: sys::rd_kafka_error_code(error).into(),
            is_fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            reason: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
        };
        sys::rd_kafka_error_destroy(error);
        Err(told)
    }
}

// === ends ===

/// The high watermarks of partitions, transactions in flight included, in one question to each broker. Each partition of
/// `ends` stands at [`rdkafka::Offset::End`].
pub(super) fn high_watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    ends: &TopicPartitionList,
    wait: Duration,
) -> Result<Vec<(Partition, Offset)>, RDKafkaErrorCode> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer` is borrowed. Options and queue are destroyed once, the event by its
    // `Drop`; librdkafka copies the list.
    unsafe {
        let queue = sys::rd_kafka_queue_new(client);
        let options = sys::rd_kafka_AdminOptions_new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS);
        let uncommitted = sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED;
        let set = taken(sys::rd_kafka_AdminOptions_set_isolation_level(options, uncommitted));
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(wait), ptr::null_mut(), 0);
        sys::rd_kafka_ListOffsets(client, ends.ptr(), options, queue);
        let event = NonNull::new(sys::rd_kafka_queue_poll(queue, millis(wait))).map(Event);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        set.map_err(|error| error.code)?;
        event.ok_or(RDKafkaErrorCode::OperationTimedOut)?.ends()
    }
}

// === impl Event ===

impl Event {
    fn ends(&self) -> Result<Vec<(Partition, Offset)>, RDKafkaErrorCode> {
        // SAFETY: the event is alive; everything that is read belongs to it and is copied.
        unsafe {
            let code = RDKafkaErrorCode::from(sys::rd_kafka_event_error(self.0.as_ptr()));
            let result = sys::rd_kafka_event_ListOffsets_result(self.0.as_ptr());
            if code != RDKafkaErrorCode::NoError || result.is_null() {
                return Err(code);
            }
            let mut count = 0;
            let infos = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            let told = |nth| {
                let told = &*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(nth));
                match RDKafkaErrorCode::from(told.err) {
                    RDKafkaErrorCode::NoError => Ok((Partition(u32::try_from(told.partition).unwrap_or(0)), Offset(told.offset))),
                    code => Err(code),
                }
            };
            (0..count).map(told).collect()
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event was handed to us and is destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

// === tokens ===

impl<C: ConsumerContext> NativeClient for BaseConsumer<C> {
    fn ptr(&self) -> *mut sys::rd_kafka_t {
        self.client().native_ptr()
    }
}

impl<C: ProducerContext> NativeClient for ThreadedProducer<C> {
    fn ptr(&self) -> *mut sys::rd_kafka_t {
        self.client().native_ptr()
    }
}

impl<C: ClientContext> NativeClient for AdminClient<C> {
    fn ptr(&self) -> *mut sys::rd_kafka_t {
        self.inner().native_ptr()
    }
}

// SAFETY: librdkafka's client may be used from any thread (INTRODUCTION.md, "Threads and callbacks").
unsafe impl Send for ClientPtr {}

impl<C: NativeClient> Authenticated<C> {
    pub(super) fn new(client: C) -> Self {
        let sink = TokenSink(Arc::new(Mutex::new(NonNull::new(client.ptr()).map(ClientPtr))));
        Self { sink, client }
    }

    pub(super) fn sink(&self) -> TokenSink {
        self.sink.clone()
    }
}

impl<C> Deref for Authenticated<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.client
    }
}

impl<C> Drop for Authenticated<C> {
    /// Runs before the client's own: nobody hands it anything from here on.
    fn drop(&mut self) {
        *locked(&self.sink.0) = None;
    }
}

impl TokenSink {
    pub(super) fn is_alive(&self) -> bool {
        locked(&self.0).is_some()
    }

    /// Gives the client a token for its next connections. One that is gone needs none.
    pub(super) fn hand(&self, token: &Token) -> Result<(), String> {
        let client = locked(&self.0);
        let Some(ClientPtr(client)) = &*client else { return Ok(()) };
        let (text, subject) = (c_string(&token.text), c_string(&token.subject));
        let mut reason = [0; 256];
        // SAFETY: the client lives while its pointer stands here, and the lock is held; strings are copied, `reason` ends with a zero.
        unsafe {
            let (told, room, ends_ms, none) = (reason.as_mut_ptr(), reason.len(), token.ends.0 / 1_000, ptr::null_mut());
            let code = sys::rd_kafka_oauthbearer_set_token(client.as_ptr(), text.as_ptr(), ends_ms, subject.as_ptr(), none, 0, told, room);
            match RDKafkaErrorCode::from(code) {
                RDKafkaErrorCode::NoError => Ok(()),
                _ => Err(CStr::from_ptr(reason.as_ptr()).to_string_lossy().into_owned()),
            }
        }
    }
}

/// Names of topics, groups and members hold no zero byte: the configuration refuses one.
fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).expect("zero bytes were taken out")
}

fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}
