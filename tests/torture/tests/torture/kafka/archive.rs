//! Two audit services share one archive: one writes, and the other goes on where it was ended or stopped, also between a segment's
//! announcement and its put.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{append, drain, of_topic};
use crate::killed::corpus;
use runtime::failpoints::{Failpoint, VARIABLE};
use runtime::log::kafka::KafkaLog;
use torture::dice::{RngExt, dice, seed, tenth_or_whole};
use torture::ground::{bar, eventually, folder, free_address, moment, say};
use torture::kafka::{KafkaTopic, beside_a_broker};
use torture::program::{Up, metric, reeve, run, service};

/// Facts that are appended before a writer meets its end, and while it does.
const FACTS: usize = 40;
/// How long a writer goes on before it is killed, at most: a segment is due every second.
const WRITES_MAX_MS: u64 = 1_500;
/// How long a writer waits for its end.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// What a writer meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// It is killed, by chance.
    Killed,
    /// It ends between a segment's announcement and its put, or right after the put.
    At(Failpoint),
    /// It is stopped until another one writes, and woken.
    Stopped,
}

/// What a writer meets, and whether the other one takes its place before it is begun anew.
const ENDS: [(End, bool); 7] = [
    (End::Killed, false),
    (End::At(Failpoint::ArchiveBefore), true),
    (End::At(Failpoint::ArchiveAfter), false),
    (End::Stopped, true),
    (End::At(Failpoint::ArchiveBefore), false),
    (End::Killed, true),
    (End::At(Failpoint::ArchiveAfter), true),
];

#[test]
fn an_archive_that_two_services_share_is_whole_whoever_of_them_is_ended_or_stopped_and_when() {
    let Some(topic) = beside_a_broker() else { return };
    let rounds = tenth_or_whole(ENDS.len(), 10 * ENDS.len());
    let (mut dice, data) = (dice(), folder());
    let log = KafkaLog::open(topic.options().clone()).expect("the topic is there");
    let facts = corpus(&mut dice, rounds * 2 * FACTS);
    let mut untold = facts.chunks(FACTS);
    let mut append_more = || untold.next().map_or(0, |facts| append(&*log, facts));
    let mut seats = [0, 1].map(|seat| Some(begin(&topic, data.path(), seat, None)));
    let (bar, begun) = (bar("writers of an archive", rounds as u64), moment());
    let mut met: BTreeMap<(End, bool), u64> = BTreeMap::new();
    let mut appended = 0;
    for round in 0..rounds {
        let (end, hands_over) = ENDS[round % ENDS.len()];
        let writer = eventually("somebody who writes", || (0..2).find(|seat| writes(seats[*seat].as_ref())));
        appended += append_more();
        let old = seats[writer].take().expect("it writes");
        let stopped = match end {
            End::Killed => {
                std::thread::sleep(Duration::from_millis(dice.random_range(0..WRITES_MAX_MS)));
                old.1.kill();
                None
            }
            End::At(place) => {
                // Alone: the lease may have been about to go to the other one.
                [Some(old), seats[1 - writer].take()].into_iter().flatten().for_each(|(_, up)| drop(up.kill()));
                let (_, ending) = begin(&topic, data.path(), writer, Some(place));
                appended += append_more();
                ends_at(place, ending);
                None
            }
            End::Stopped => {
                old.1.signal("STOP");
                Some(old)
            }
        };
        if hands_over {
            let other = seats[1 - writer].get_or_insert_with(|| begin(&topic, data.path(), 1 - writer, None));
            eventually("another one who writes", || writes(Some(other)).then_some(()));
        }
        stopped.iter().for_each(|(_, up)| up.signal("CONT"));
        seats[writer] = stopped;
        for (seat, up) in seats.iter_mut().enumerate() {
            up.get_or_insert_with(|| begin(&topic, data.path(), seat, None));
        }
        *met.entry((end, hands_over)).or_default() += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    // Who writes ends last: what the other one's room says at its end is archived, too.
    let writer = eventually("somebody who writes", || (0..2).find(|seat| writes(seats[*seat].as_ref())));
    [1 - writer, writer].into_iter().filter_map(|seat| seats[seat].take()).for_each(|(_, up)| drain(up));
    let checked = run(of_topic(&mut reeve(&["audit", "check"]), &topic, data.path()));
    assert_eq!(checked.code, Some(0), "the archive is the topic, the writer's last words included: {}", checked.said);
    let (told, records) = (checked.said, topic.read().len());
    assert!(records >= appended, "{records} of at least {appended}");
    assert!(told.contains(&format!("the archive is whole: {records} records")), "{told}");
    say(&format!("{rounds} writers of one archive in {:.0?} (seed {}), {records} records; met {met:?}", begun.elapsed(), seed()));
}

/// Waits until it has ended at the place.
fn ends_at(place: Failpoint, mut up: Up) {
    let waiting = moment();
    while !up.ended() {
        assert!(waiting.elapsed() < END_PATIENCE, "{} was never passed: {}", place.name(), up.kill().said);
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = up.end();
    assert_eq!(ended.code, None, "{}: it ended by itself: {}", place.name(), ended.said);
}

/// An audit service in one of two seats, and where it answers.
fn begin(topic: &KafkaTopic, data: &Path, seat: usize, ends_at: Option<Failpoint>) -> (String, Up) {
    let address = free_address();
    let mut command = service("audit");
    of_topic(&mut command, topic, data).args(["--listen-address", &address, "--instance-ordinal", &seat.to_string()]);
    command.arg("--snapshots-path").arg(data.join(format!("snapshots-{seat}")));
    if let Some(place) = ends_at {
        command.env(VARIABLE, format!("{}:1", place.name()));
    }
    (format!("http://{address}"), Up::begin(&mut command))
}

fn writes(seat: Option<&(String, Up)>) -> bool {
    seat.is_some_and(|(url, _)| metric(url, "reeve_lease_held{lease=\"archive\"}") == Some(1.0))
}
