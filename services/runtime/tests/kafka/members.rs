//! Members of a group: when they are ones, by which rule they share, and one who would share by another rule than the others.

use std::sync::mpsc::channel;
use std::time::Duration;

use kit::{Teller, facts};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::topic_partition_list::Offset as At;
use runtime::log::contract::PARTITIONS;
use runtime::log::contract::fixtures::{Member, join, restore, share, until};
use runtime::log::kafka::{Assignment, GroupProtocol, KafkaLog, KafkaOptions};
use runtime::log::{Addressed, Consumer, Log, LogError, Polled};
use wire::{Body, Kind, Offset, Partition, RawRecord, StoredRecord, codec};

use super::{BehindProxy, OnKafka};

#[test]
fn members_that_let_go_of_everything_share_every_partition_in_the_end() {
    if !super::is_there() {
        return;
    }
    let options = KafkaOptions { assignment: Assignment::Range, ..OnKafka::new().options };
    let log = until("the topic cannot be opened", || KafkaLog::open(options.clone()).ok());
    let (mut first, mut second) = (Member::join(&*log, "g", "first"), Member::join(&*log, "g", "second"));
    share(&mut first, &mut second);
}

/// Longer than one that was replaced takes from one look to the next.
const STAYS_OUT: Duration = Duration::from_millis(2_500);
/// Longer than a session (8 s), and then longer than from one heartbeat to the next (2 s).
const SESSION: Duration = Duration::from_secs(9);
const HEARTBEAT: Duration = Duration::from_secs(3);

#[test]
fn a_member_that_was_replaced_stays_out_while_its_namesake_is_there_and_comes_back_when_that_one_has_gone() {
    if !super::is_there() {
        return;
    }
    let on_kafka = OnKafka::new();
    let mut older = Member::join(&*on_kafka.log, "g", "one");
    until("the older one has no share", || gets_a_share(&mut older));
    let mut newer = Member::join(&*on_kafka.log, "g", "one");
    until("the newer one has no share", || gets_a_share(&mut newer));
    until("the older one does not hear of it", || {
        older.hear();
        older.held.is_empty().then_some(())
    });
    for _ in 0..25 {
        std::thread::sleep(STAYS_OUT / 25);
        assert_eq!((older.hear(), older.consumer.membership()), (Polled::Nothing, None), "it looks, and does not join");
        newer.hear();
    }
    assert!(newer.consumer.is_member() && newer.held.len() == PARTITIONS as usize, "nobody took its place");
    drop(newer);
    until("the older one does not come back", || gets_a_share(&mut older));
}

/// The coordinator knows it all the time, and so refuses one that says that it is there without saying who it is.
#[test]
fn a_busy_member_whose_coordinator_was_gone_for_a_session_comes_back_by_itself() {
    let Some(BehindProxy { on_kafka, proxy }) = BehindProxy::new() else { return };
    let mut member = Member::join(&*on_kafka.log, "g", "busy");
    until("it has no share", || gets_a_share(&mut member));
    proxy.deny("busy");
    std::thread::sleep(SESSION);
    proxy.deny_no_longer("busy");
    std::thread::sleep(HEARTBEAT);
    until("it does not hear that its session has passed", || {
        member.hear();
        member.held.is_empty().then_some(())
    });
    until("it does not come back", || gets_a_share(&mut member));
}

fn gets_a_share(member: &mut Member) -> Option<()> {
    member.hear();
    (member.held.len() == PARTITIONS as usize && member.consumer.is_member()).then_some(())
}

#[test]
fn of_a_record_whose_kind_is_passed_a_member_is_told_place_date_and_kind_and_of_every_other_one_the_whole() {
    if !super::is_there() {
        return;
    }
    let on_kafka = OnKafka::new();
    let mut platform = Teller::new("agent-7");
    let facts: [Body; 2] = [facts::deployed("v1").into(), facts::harm(true).into()];
    let said = facts.map(|said| platform.tell(on_kafka.log.now(), Some("s"), said).to_raw());
    let unreadable = RawRecord { value: "no record".into(), ..RawRecord::default() };
    let records = [said[0].clone(), said[1].clone(), unreadable.clone()];
    let addressed = records.map(|record| Addressed { partition: Partition(0), record });
    on_kafka.log.append(addressed.to_vec()).expect("the broker is there");
    let whole = on_kafka.log.read(Partition(0), Offset(0), 10).expect("the broker is there");
    let mut member = on_kafka.log.consumer("g", "first").expect("the broker is there");
    member.pass_over(|kind| kind == Kind::VersionDeployed);
    restore(&mut *member);
    let mut read = Vec::new();
    until("not all was read", || {
        if let Polled::Records(_, records, _) = member.poll(10).expect("the broker is there") {
            read.extend(records);
        }
        (read.len() == 3).then_some(())
    });
    let places = |records: &[StoredRecord]| -> Vec<_> { records.iter().map(|record| (record.offset, record.appended)).collect() };
    assert_eq!(places(&read), places(&whole));
    let framing = codec::framing_of(Kind::VersionDeployed).to_vec();
    assert_eq!(read[0].raw, RawRecord { value: framing.into(), ..RawRecord::default() });
    assert_eq!((&read[1].raw, &read[2].raw), (&said[1], &unreadable));
}

#[test]
fn a_member_whose_next_records_were_removed_is_told_from_where_on_and_where_the_log_begins() {
    if !super::is_there() {
        return;
    }
    // It fetches a record at a time, and no further one before this one was taken.
    let little = ["queued.max.messages.kbytes", "queued.min.messages", "max.partition.fetch.bytes"];
    let settings = little.map(|name| (name.to_owned(), "1".to_owned())).into();
    let options = KafkaOptions { settings, ..OnKafka::new().options };
    let log = until("the topic cannot be opened", || KafkaLog::open(options.clone()).ok());
    let record = || RawRecord { value: vec![7; 4_096].into(), ..RawRecord::default() };
    for _ in 0..20 {
        log.append(vec![Addressed { partition: Partition(0), record: record() }]).expect("the broker is there");
    }
    let mut member = log.consumer("g", "first").expect("the broker is there");
    restore(&mut *member);
    let mut read = until("nothing was read", || match member.poll(1) {
        Ok(Polled::Records(Partition(0), _, next)) => Some(next),
        _ => None,
    });
    remove_before(&options, 0, 19);
    let gone = until("nothing was told", || match member.poll(1) {
        Ok(Polled::Records(Partition(0), _, next)) => {
            read = next;
            None
        }
        told => told.err(),
    });
    // What was fetched before is handed out yet.
    while let Ok(Polled::Records(Partition(0), _, next)) = member.poll(1) {
        read = next;
    }
    assert_eq!(gone, LogError::OffsetGone { partition: Partition(0), start: Offset(19), asked: read });
}

/// As retention does it.
fn remove_before(options: &KafkaOptions, partition: i32, offset: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &options.brokers).create().expect("a client");
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(&options.topic, partition, At::Offset(offset)).expect("a place");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let removed = runtime.block_on(admin.delete_records(&places, &AdminOptions::new())).expect("the broker answers");
    removed.elements().iter().for_each(|place| place.error().expect("it was removed"));
}

/// Members of a group, one more than there are partitions: one of them has nothing to do.
#[test]
fn a_member_is_none_before_it_is_told_of_its_share_and_one_is_one_with_nothing_to_do() {
    if !super::is_there() {
        return;
    }
    for group_protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let options = KafkaOptions { group_protocol, ..OnKafka::new().options };
        let log = until("the topic cannot be opened", || KafkaLog::open(options.clone()).ok());
        let mut alone = Member::join(&*log, "g", "first");
        let told_of_a_share = until("it is no member", || {
            let told = alone.hear();
            alone.consumer.membership().map(|_| told)
        });
        let is_told = group_protocol == GroupProtocol::Consumer || matches!(told_of_a_share, Polled::Assigned(_));
        assert!(is_told, "{group_protocol:?}: it is a member, and was told {told_of_a_share:?}");
        let mut all = vec![alone];
        all.extend((0..PARTITIONS).map(|nth| Member::join(&*log, "g", &format!("more-{nth}"))));
        until("the partitions were not shared by all", || {
            all.iter_mut().for_each(|member| drop(member.hear()));
            let held: usize = all.iter().map(|member| member.held.len()).sum();
            let with_nothing = all.iter().filter(|member| member.held.is_empty()).count();
            let are_members = all.iter().all(|member| member.consumer.membership().is_some());
            (held == PARTITIONS as usize && with_nothing == 1 && are_members).then_some(())
        });
    }
}

/// Whatever its group has on its way to it: it ends, for the room that it is dropped by waits for that. One that comes back
/// within its session is given its share at once, which it has not heard of yet when it leaves again.
#[test]
fn a_member_that_leaves_at_any_moment_of_a_rebalance_ends() {
    const LEAVES: u64 = 16;
    if !super::is_there() {
        return;
    }
    let log = OnKafka::new().log;
    for nth in 0..LEAVES {
        let mut leaver = Member::join(&*log, "g", &format!("leaver-{}", nth % 2));
        until("it has no share", || {
            leaver.hear();
            (!leaver.held.is_empty()).then_some(())
        });
        let mut newcomer = Member::join(&*log, "g", &format!("newcomer-{}", nth % 2));
        for _ in 0..nth * 8 {
            newcomer.hear();
            // Every third is too busy to hear that it shall share.
            if nth % 3 != 0 {
                leaver.hear();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(ends(leaver.consumer), "leaver {nth} does not end");
        assert!(ends(newcomer.consumer), "newcomer {nth} does not end");
    }
}

/// Whether it is dropped in a time that a room may be asked to wait for.
fn ends(consumer: Box<dyn Consumer>) -> bool {
    const WITHIN: Duration = Duration::from_secs(15);
    let (ended, waits) = channel();
    std::thread::spawn(move || {
        drop(consumer);
        ended.send(()).ok();
    });
    waits.recv_timeout(WITHIN).is_ok()
}

#[test]
fn who_would_share_by_another_rule_than_the_others_is_told_which_setting_says_so() {
    if !super::is_there() {
        return;
    }
    let on_kafka = OnKafka::new();
    let _others = join(&*on_kafka.log, "g", "first");
    let options = KafkaOptions { assignment: Assignment::Range, ..on_kafka.options.clone() };
    let log = until("the topic cannot be opened", || KafkaLog::open(options.clone()).ok());
    let mut stranger = log.consumer("g", "second").expect("the broker is there");
    let told = until("it is not told", || stranger.poll(0).err());
    assert!(matches!(&told, LogError::Unavailable { reason } if reason.contains("`kafka.assignment`")), "{told:?}");
}
