//! What a broker is asked that Kafka's client does not ask, in the bytes of Kafka's protocol.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use wire::{Offset, Partition};

const LEAVE_GROUP: (i16, i16) = (13, 3);
const DESCRIBE_PRODUCERS: (i16, i16) = (61, 0);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What stands in the place of an offset where a producer has no transaction open.
const NONE_IS_OPEN: i64 = -1;
/// The group does not know, or no longer, whoever is to leave it.
const UNKNOWN_MEMBER: i16 = 25;

/// What is left of an answer.
struct Answer(std::vec::IntoIter<u8>);

/// Where the transactions begin that are open on a topic, of whichever producer. One broker leads all of its partitions.
///
/// # Panics
/// When the broker does not say.
pub fn open_transactions(broker: &str, topic: &str, partitions: u32) -> Vec<(Partition, Offset)> {
    let mut request = head(DESCRIBE_PRODUCERS);
    // Of a structure nobody adds anything to the end. A compact length is one more than what it counts.
    request.extend([0, 2]);
    request.push(u8::try_from(topic.len() + 1).expect("a short name"));
    request.extend(topic.as_bytes());
    request.push(u8::try_from(partitions + 1).expect("a few"));
    (0..partitions).for_each(|partition| request.extend(partition.to_be_bytes()));
    request.extend([0, 0]);
    let mut answer = ask(broker, &request);
    answer.end_of_structure();
    let _throttled_ms = answer.i32();
    let mut open = Vec::new();
    for _topic in 0..answer.compact_length() {
        answer.compact_text();
        for _partition in 0..answer.compact_length() {
            let (partition, error) = (answer.i32().unsigned_abs(), answer.i16());
            answer.compact_text();
            assert_eq!(error, 0, "it does not say who writes to partition {partition}");
            let producers = answer.compact_length();
            let begins: Vec<i64> = (0..producers).map(|_| answer.transaction_of_producer()).collect();
            open.extend(begins.into_iter().filter(|begin| *begin != NONE_IS_OPEN).map(|begin| (Partition(partition), Offset(begin))));
            answer.end_of_structure();
        }
        answer.end_of_structure();
    }
    open
}

/// Takes a static member out of its group, as whoever needs one less does. Left there, it keeps its share until its session ends.
/// Whether the group still knew it. One broker coordinates the group.
///
/// # Panics
/// When the broker refuses for another reason.
pub fn remove_member(broker: &str, group: &str, instance: &str) -> bool {
    let mut request = head(LEAVE_GROUP);
    request.extend(text(group));
    request.extend(1_i32.to_be_bytes());
    // It is named by its static identity, and not by what the group calls it.
    request.extend(text(""));
    request.extend(text(instance));
    let mut answer = ask(broker, &request);
    let _throttled_ms = answer.i32();
    let of_group = answer.i16();
    let _members = answer.i32();
    answer.text();
    answer.text();
    match (of_group, answer.i16()) {
        (0, 0) => true,
        (0, UNKNOWN_MEMBER) => false,
        refused => panic!("{instance} cannot be taken out of {group}: {refused:?}"),
    }
}

fn head((api, version): (i16, i16)) -> Vec<u8> {
    const CORRELATION: i32 = 7;
    let mut head = [api.to_be_bytes(), version.to_be_bytes()].concat();
    head.extend(CORRELATION.to_be_bytes());
    head.extend(text("tests"));
    head
}

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

/// What it answers, behind the number by which a request is told from others.
fn ask(broker: &str, request: &[u8]) -> Answer {
    let mut broker = TcpStream::connect(broker).expect("it listens");
    broker.set_read_timeout(Some(ANSWER_WITHIN)).expect("a time");
    let size = u32::try_from(request.len()).expect("a short request");
    broker.write_all(&[&size.to_be_bytes()[..], request].concat()).expect("it reads");
    let mut size = [0; 4];
    broker.read_exact(&mut size).expect("it answers");
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    broker.read_exact(&mut answer).expect("it answers to the end");
    let mut answer = Answer(answer.into_iter());
    let _correlation = answer.i32();
    answer
}

// === impl Answer ===

impl Answer {
    fn take<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        std::array::from_fn(|_| self.0.next().expect("the answer is whole"))
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    fn text(&mut self) {
        let length = self.i16();
        self.skip(usize::try_from(length).unwrap_or(0));
    }

    fn compact_text(&mut self) {
        let length = self.compact_length();
        self.skip(length);
    }

    /// Seven bits a byte, the lowest first; nothing counts as none.
    fn compact_length(&mut self) -> usize {
        let (mut length, mut shift) = (0, 0);
        loop {
            let [byte] = self.take();
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return length.saturating_sub(1);
            }
            shift += 7;
        }
    }

    /// Where the transaction of the next producer begins.
    fn transaction_of_producer(&mut self) -> i64 {
        let _id_and_epoch = (self.i64(), self.i32());
        let _last_sequence_and_time = (self.i32(), self.i64());
        let _epoch_of_coordinator = self.i32();
        let begins = self.i64();
        self.end_of_structure();
        begins
    }

    /// Nothing was added to a structure that we would have to know.
    fn end_of_structure(&mut self) {
        assert_eq!(self.take(), [0], "an answer of another version");
    }

    fn skip(&mut self, bytes: usize) {
        self.0.by_ref().take(bytes).for_each(drop);
    }
}
