//! Of several archivers one writes, and whoever was about to write when another took its place does no harm.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use runtime::errors::{Code, Coded, Fate};
use runtime::lease::Lease;
use runtime::log::Log;

use super::archive::{ALWAYS, House, LIMITS};
use crate::archive::{ArchiveError, Archiver, Created, Listing, SegmentName, Shelf, StoredShelf};

#[test]
fn one_of_two_writes_and_the_other_once_its_lease_has_ended() {
    let house = House::new();
    let (mut one, mut other) = (leased(&house, 0, house.shelf()), leased(&house, 1, house.shelf()));
    house.publish(0..200);
    let mut written = [0; 2];
    for _ in 0..4 {
        written[0] += one.step(&ALWAYS).expect("a step").written;
        written[1] += other.step(&ALWAYS).expect("a step").written;
    }
    assert!(written.contains(&0) && written.iter().sum::<usize>() > 0, "one alone: {written:?}");
    let (writer, mut waiting) = if written[1] == 0 { (one, other) } else { (other, one) };
    assert_eq!(waiting.flush(&ALWAYS, &ALWAYS), Ok(0), "it leaves nothing to the next start: it is not the one");
    drop(writer);
    house.publish(200..400);
    for _ in 0..4 {
        waiting.step(&ALWAYS).expect("a step");
    }
    waiting.flush(&ALWAYS, &ALWAYS).expect("now it is");
    assert!(house.check().whole, "{:?}", house.check().findings);
}

#[test]
fn whoever_was_stopped_before_it_announced_a_segment_puts_none_once_it_is_woken() {
    let house = House::new();
    let (mut zombie, shelf) = stopped_at(&house, Call::Beside);
    let refused = zombie.flush(&ALWAYS, &ALWAYS).expect_err("another one writes by now");
    assert_eq!((refused.code(), refused.fate()), (Code::Fenced, Fate::Retry));
    assert_eq!(zombie.flush(&ALWAYS, &ALWAYS), Ok(0), "it has heard of it");
    assert!(shelf.struck() && house.check().whole, "{:?}", house.check().findings);
}

#[test]
fn whoever_was_stopped_after_it_announced_a_segment_finds_that_one_put_by_its_successor() {
    let house = House::new();
    let (mut zombie, shelf) = stopped_at(&house, Call::Create);
    assert_eq!(zombie.flush(&ALWAYS, &ALWAYS), Ok(0));
    assert!(shelf.struck() && house.check().whole, "{:?}", house.check().findings);
}

#[test]
fn what_was_announced_for_an_archive_that_is_gone_is_no_reason_to_cut_there() {
    let house = House::new();
    house.publish(0..200);
    leased(&house, 0, house.shelf()).flush(&ALWAYS, &ALWAYS).expect("everything is put down");
    for name in house.shelf().list().expect("it can be listed").segments {
        house.take_away(&name);
    }
    let mut next = leased(&house, 0, house.shelf());
    next.flush(&ALWAYS, &ALWAYS).expect("it is written anew");
    let report = house.check();
    assert!(report.whole, "{:?}", report.findings);
    assert!(report.partitions.iter().all(|one| one.segments > 1), "by the limits: {:?}", report.partitions);
}

/// A call to a shelf at which its user is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// The last look before a segment is announced.
    Beside,
    /// The put of a segment that is announced.
    Create,
}

/// A shelf whose user is stopped at one call, for as long as `meanwhile` takes.
struct Stopping {
    shelf: StoredShelf,
    at: Call,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// An archiver that is about to cut before the limits say so, and will be stopped at the call: its session ends, and another one
/// writes all that is on the log by then.
fn stopped_at(house: &House, at: Call) -> (Archiver, Arc<Stopping>) {
    house.publish(0..9);
    let (log, shelf) = (house.log.clone(), house.shelf());
    let meanwhile = move || {
        assert!(log.expire("reeve.archive", "reeve.archive-0"));
        House::publish_on(&log, 9..40);
        let lease = Lease::wait(log.clone(), "archive", 1).expect("the log is there");
        let mut next = Archiver::under(lease, log, Arc::new(shelf), LIMITS).expect("an archive in order");
        next.flush(&ALWAYS, &ALWAYS).expect("it holds the lease");
    };
    let stopping = Arc::new(Stopping { shelf: house.shelf(), at, meanwhile: Mutex::new(Some(Box::new(meanwhile))) });
    let lease = Lease::wait(house.log.clone(), "archive", 0).expect("the log is there");
    let archiver = Archiver::under(lease, house.log.clone(), stopping.clone(), LIMITS).expect("an archive in order");
    (archiver, stopping)
}

fn leased(house: &House, ordinal: u32, shelf: StoredShelf) -> Archiver {
    let log: Arc<dyn Log> = house.log.clone();
    let lease = Lease::wait(Arc::clone(&log), "archive", ordinal).expect("the log is there");
    Archiver::under(lease, log, Arc::new(shelf), LIMITS).expect("an archive in order")
}

// === impl Stopping ===

impl Stopping {
    fn called(&self, call: Call) {
        let meanwhile = if call == self.at { self.meanwhile.lock().expect("no test panicked").take() } else { None };
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
    }

    fn struck(&self) -> bool {
        self.meanwhile.lock().expect("no test panicked").is_none()
    }
}

impl Shelf for Stopping {
    fn list(&self) -> Result<Listing, ArchiveError> {
        self.shelf.list()
    }

    fn beside(&self, name: &SegmentName) -> Result<Vec<SegmentName>, ArchiveError> {
        let found = self.shelf.beside(name);
        self.called(Call::Beside);
        found
    }

    fn read(&self, name: &SegmentName) -> Result<Bytes, ArchiveError> {
        self.shelf.read(name)
    }

    fn create(&self, name: &SegmentName, bytes: Vec<u8>) -> Result<Created, ArchiveError> {
        self.called(Call::Create);
        self.shelf.create(name, bytes)
    }
}
