//! Readers see what stands, in order, once, and are told the truth about the rest.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use wire::{Offset, Partition, StoredRecord, Timestamp};

use super::super::merge::{Cursor, Merged};
use super::super::{Log, LogError, Polled};
use super::fixtures::{START, append, drain, fact, ids_of, join, next_records, to, transaction, until};
use super::{PARTITIONS, Subject};

/// Offsets begin at 0, without a gap where there were no transactions.
///
/// # Panics
/// When the promise is broken, as everywhere here.
pub fn a_partition_is_read_in_the_order_it_was_appended(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 1, &["a", "b"]);
    append(&*log, 2, &["other"]);
    append(&*log, 1, &["c"]);
    let (records, positions) = drain(&mut *join(&*log, "rooms", "a"));
    let of_one: Vec<StoredRecord> = records.iter().filter(|record| record.partition == Partition(1)).cloned().collect();
    assert_eq!(ids_of(&of_one), ["a", "b", "c"]);
    assert_eq!(of_one.iter().map(|record| record.offset.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(positions.contains(&(Partition(1), Offset(3))), "{positions:?}");
    assert_eq!(log.read(Partition(1), Offset(0), 10).expect("the log is read"), of_one);
    assert_eq!(log.end(Partition(1)).expect("the partition exists"), Offset(3));
}

/// Whoever did not restore reads nothing, and nobody reads before the log's start.
pub fn nothing_is_handed_out_before_a_seek(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 0, &["a"]);
    let mut consumer = log.consumer("rooms", "a").expect("the log is reached");
    assert_eq!(consumer.membership(), None);
    let told = until("nothing was assigned", || Some(consumer.poll(10).expect("the log is read")).filter(|told| *told != Polled::Nothing));
    assert_eq!(told, Polled::Assigned((0..PARTITIONS).map(Partition).collect()));
    assert!(consumer.membership().is_some());
    assert_eq!(consumer.poll(10).expect("the log is read"), Polled::Nothing);
    assert_eq!(consumer.committed(Partition(0)).expect("nothing is pending"), None);
    let gone = consumer.seek(Partition(0), Offset::BEFORE_ALL);
    assert!(matches!(gone, Err(LogError::OffsetGone { start: Offset(0), .. })), "{gone:?}");
    consumer.seek(Partition(0), Offset(0)).expect("the start can be read");
    assert!(matches!(next_records(&mut *consumer, 10), (Partition(0), records, Offset(1)) if records.len() == 1));
}

/// Neither a poll nor a read does.
pub fn a_poll_hands_out_no_more_than_it_was_asked_for(subject: &mut impl Subject) {
    let log = subject.log();
    append(&*log, 0, &["a", "b", "c"]);
    let mut consumer = join(&*log, "rooms", "a");
    let (mut places, mut next) = (Vec::new(), Offset(0));
    while next < Offset(3) {
        let (_, records, after) = next_records(&mut *consumer, 2);
        assert!(records.len() <= 2, "{records:?}");
        places.extend(records.iter().map(|record| record.offset.0));
        next = after;
    }
    assert_eq!(places, [0, 1, 2]);
    assert_eq!(log.read(Partition(0), Offset(1), 1).expect("the log is read").len(), 1);
}

/// Of two partitions with a backlog, both come round: once both are there, neither is served twice in a row.
pub fn no_partition_starves_another(subject: &mut impl Subject) {
    const BACKLOG: usize = 12;
    let log = subject.log();
    for partition in [0, 1] {
        log.append((0..BACKLOG).map(|nth| to(partition, fact(&format!("{partition}-{nth}"), "x"))).collect()).expect("new facts");
    }
    let mut consumer = join(&*log, "rooms", "a");
    let served: Vec<u32> = (0..2 * BACKLOG).map(|_| next_records(&mut *consumer, 1).0.0).collect();
    let both = (0..2).map(|partition| served.iter().position(|served| *served == partition).expect("each was served")).max();
    let backlog = served[both.expect("there are two")..].iter().collect::<Vec<_>>();
    let turns = backlog.windows(2).take_while(|turn| turn[0] != turn[1]).count();
    let rest: std::collections::BTreeSet<&&u32> = backlog[turns + 1..].iter().collect();
    assert!(rest.len() <= 1, "one goes first for ever: {served:?}");
}

/// Threads append while the clock moves on, and an observer keeps asking. Whatever it was told about the high watermark
/// and the time must hold of every record that came later.
pub fn nobody_undercuts_the_time_that_an_extent_told(subject: &mut impl Subject) {
    const THREADS: usize = 4;
    const APPENDS: usize = 40;
    let log = subject.log();
    let mut observer = join(&*log, "observers", "o");
    let (clock, done) = (AtomicI64::new(START.0), AtomicBool::new(false));
    let subject: &_ = subject;
    let told = std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..THREADS).map(|thread| appender(subject.log(), thread, APPENDS)).collect();
        let appenders: Vec<_> = appenders.into_iter().map(|appender| scope.spawn(appender)).collect();
        let observer = scope.spawn(|| {
            let mut told = Vec::new();
            while !done.load(Ordering::SeqCst) {
                told.extend((0..PARTITIONS).map(|p| (Partition(p), observer.extent(Partition(p)).expect("the log is reached"))));
                std::thread::yield_now();
            }
            told
        });
        while !appenders.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            subject.set_now(Timestamp(clock.fetch_add(1, Ordering::SeqCst)));
        }
        done.store(true, Ordering::SeqCst);
        observer.join().expect("the observer does not panic")
    });
    let stored: Vec<Vec<StoredRecord>> =
        (0..PARTITIONS).map(|p| log.read(Partition(p), Offset(0), THREADS * APPENDS).expect("the log is read")).collect();
    assert_eq!(stored.iter().map(Vec::len).sum::<usize>(), THREADS * APPENDS);
    for (partition, extent) in told {
        let mut later = stored[partition.0 as usize].iter().filter(|record| record.offset >= extent.high_watermark);
        assert!(later.all(|record| record.appended >= extent.quiet_until), "{extent:?} of partition {partition} was undercut");
    }
}

/// Whatever can be read later is dated at most [`Log::clock_skew_us`] before what could be read earlier, on whatever partition,
/// appended or committed.
pub fn nothing_is_dated_further_back_than_clocks_differ(subject: &mut impl Subject) {
    const RECORDS: i64 = 60;
    let log = subject.log();
    let member = join(&*log, "rooms", "a");
    let mut producer = log.producer("a").expect("the log is reached");
    let mut latest = Timestamp::MIN;
    for nth in 0..RECORDS {
        subject.set_now(Timestamp(START.0 + nth));
        let (partition, id) = (nth as u32 % PARTITIONS, nth.to_string());
        let offset = if nth % 4 == 3 {
            let decided = transaction(&*member, vec![to(partition, fact(&id, &id))], &[]);
            producer.commit(decided).expect("nobody takes its place")[0]
        } else {
            log.append(vec![to(partition, fact(&id, &id))]).expect("a new fact")[0].offset
        };
        let read = until("what was appended cannot be read", || log.read(Partition(partition), offset, 1).expect("the log is read").pop());
        assert!(read.appended.0 >= latest.0.saturating_sub(log.clock_skew_us()), "{} comes after {latest}", read.appended);
        latest = latest.max(read.appended);
    }
}

/// Who waits for more than there was is woken when it comes; who waits for less is not kept.
pub fn a_waiting_reader_is_woken_by_an_append(subject: &mut impl Subject) {
    const LONG: Duration = Duration::from_secs(60);
    let log = subject.log();
    append(&*log, 0, &["a"]);
    let seen = log.wait(0, LONG);
    assert_eq!(log.wait(seen, Duration::ZERO), seen, "nothing happened since");
    let subject: &_ = subject;
    let log_of_appender = subject.log();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(seen, LONG));
        scope.spawn(move || append(&*log_of_appender, 0, &["b"]));
        assert!(waiting.join().expect("the reader does not panic") > seen);
    });
}

/// Threads append to all partitions while a merged reader follows. It hands out every record once, per partition without
/// a gap, each batch in order, and what is dated earlier never comes in a later batch.
pub fn all_partitions_are_one_story_while_it_goes_on(subject: &mut impl Subject) {
    const THREADS: usize = 3;
    const APPENDS: usize = 60;
    let log = subject.log();
    let clock = AtomicI64::new(START.0);
    let subject: &_ = subject;
    let batches = std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..THREADS).map(|thread| appender(subject.log(), thread, APPENDS)).collect();
        let appenders: Vec<_> = appenders.into_iter().map(|appender| scope.spawn(appender)).collect();
        let log = subject.log();
        let reader = scope.spawn(move || {
            let mut merged = Merged::new(&*log, Cursor::start());
            let mut batches: Vec<Vec<StoredRecord>> = Vec::new();
            while batches.iter().map(Vec::len).sum::<usize>() < THREADS * APPENDS {
                batches.push(merged.next_batch(17).expect("the log is read"));
            }
            batches
        });
        while !appenders.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            subject.set_now(Timestamp(clock.fetch_add(1, Ordering::SeqCst)));
        }
        reader.join().expect("the reader does not panic")
    });
    assert!(batches.iter().all(|batch| batch.len() <= 17 && batch.is_sorted_by_key(|r| (r.appended, r.partition, r.offset))));
    let story: Vec<StoredRecord> = batches.into_iter().flatten().collect();
    assert!(story.is_sorted_by_key(|record| record.appended), "what is dated earlier came later");
    for partition in (0..PARTITIONS).map(Partition) {
        let told: Vec<StoredRecord> = story.iter().filter(|record| record.partition == partition).cloned().collect();
        assert_eq!(told, log.read(partition, Offset(0), THREADS * APPENDS).expect("the log is read"));
    }
}

/// Any number of readers, each from where the last one stopped, tell the same story as one; and it goes on after its end.
pub fn a_merged_reader_goes_on_from_its_cursor(subject: &mut impl Subject) {
    let log = subject.log();
    for (nth, id) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        subject.set_now(START.plus_s(nth as i64 / 2));
        append(&*log, [2, 0, 1, 0, 2, 1][nth], &[id]);
    }
    let mut whole = Merged::new(&*log, Cursor::start());
    let mut story = Vec::new();
    until("not all was told", || {
        story.extend(ids_of(&whole.next_batch(100).expect("the log is read")));
        (story.len() == 6).then_some(())
    });
    if subject.sets_the_clock() {
        assert_eq!(story, ["b", "a", "d", "c", "f", "e"]);
    } else {
        assert_eq!(story, ["a", "b", "c", "d", "e", "f"]);
    }
    let (mut pieces, mut cursor) = (Vec::new(), String::new());
    for max in [1, 2, 1, 3] {
        let mut merged = Merged::new(&*log, Cursor::parse(&cursor).expect("a cursor that was given out"));
        pieces.extend(ids_of(&merged.next_batch(max).expect("the log is read")));
        cursor = merged.cursor();
    }
    assert_eq!(pieces, story);
    assert_eq!(cursor, whole.cursor());
    assert!(whole.next_batch(100).expect("the log is read").is_empty());
    append(&*log, 0, &["g"]);
    let more =
        until("what came later was not told", || Some(whole.next_batch(100).expect("the log is read")).filter(|more| !more.is_empty()));
    assert_eq!(ids_of(&more), ["g"]);
}

/// Appends facts of its own to all partitions in turn.
fn appender(log: std::sync::Arc<dyn Log>, thread: usize, appends: usize) -> impl FnOnce() + Send {
    move || {
        for round in 0..appends {
            let id = format!("{thread}-{round}");
            log.append(vec![to((round as u32) % PARTITIONS, fact(&id, &id))]).expect("room in the queue");
        }
    }
}
