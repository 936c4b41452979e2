//! `reeve up` is killed without a word while facts are published, again and again, in every phase of its life. What is left in
//! the end: every fact once, every decision as the oracle judges it, and the archive as the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use torture::dice::{Dice, RngExt, dice, seed, tenth_or_whole};
use torture::facts;
use torture::ground::{bar, eventually, files, folder, moment, say};
use torture::program::{Up, reeve, run, up};
use torture::proof::{Folder, told};
use torture::publisher::Publisher;
use wire::Event;

/// Facts that may be published in one life, at most: so that the facts last for all lives.
pub(crate) const FACTS_OF_A_LIFE_MAX: u64 = 240;
/// Facts of one request, and requests at once.
pub(crate) const BATCH: usize = 12;
pub(crate) const SENDERS: usize = 6;
/// The longest that a start takes, as far as the dice know: a kill that comes later meets a Reeve that is up.
const START_MAX_MS: u64 = 150;
/// The longest that a drain takes, as far as the dice know.
const DRAIN_MAX_MS: u64 = 120;

/// How long a life goes on in which no snapshot, or no segment, comes.
const CHANGE_PATIENCE: Duration = Duration::from_secs(3);

/// When a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// While the file is checked, the rooms are restored, and nobody has heard of it yet.
    Starting,
    /// While facts are committed, and decisions on them.
    Committing,
    /// Just when a snapshot appears, or the file that will be one.
    Snapshotting,
    /// Just when a segment of the archive appears, or the file that will be one.
    Archiving,
    /// After it was told to end, before it has.
    Draining,
}

const PHASES: [Phase; 5] = [Phase::Starting, Phase::Committing, Phase::Snapshotting, Phase::Archiving, Phase::Draining];

#[test]
fn a_reeve_that_is_killed_in_every_phase_of_an_import_loses_repeats_and_alters_nothing() {
    let kills = tenth_or_whole(50, 500);
    let (mut dice, data) = (dice(), folder());
    let facts = corpus(&mut dice, kills * FACTS_OF_A_LIFE_MAX as usize / 2);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let (bar, begun) = (bar("kills", kills as u64), moment());
    let mut struck: BTreeMap<Phase, u64> = BTreeMap::new();
    for kill in 0..kills {
        let phase = PHASES[kill % PHASES.len()];
        if live_and_die(data.path(), phase, &publisher, &mut dice) {
            *struck.entry(phase).or_default() += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let taken = begun.elapsed();
    assert!(PHASES.iter().all(|phase| struck.contains_key(phase)), "a phase was never met: {struck:?}");
    let answers_lost = publisher.repeated();
    let end = last_life(&mut up(data.path()), publisher, Up::settle);

    let log = Folder::at(data.path()).read();
    log.holds_once(&facts);
    let judgement = log.is_just(end);
    Folder::at(data.path()).archive_is_whole();
    assert!(judgement.decisions > kills, "the rooms decided on what was published: {:?}", judgement.by_kind);
    say(&format!(
        "{kills} kills in {taken:.0?} (seed {}), met in {struck:?}; {} facts, of {answers_lost} the first answer was lost; {} decisions: {}",
        seed(),
        facts.len(),
        judgement.decisions,
        told(&judgement.by_kind),
    ));
}

#[test]
fn an_import_that_is_told_again_after_every_kill_is_whole_in_the_end() {
    let Some(recording) = facts::recording() else { return };
    let kills = tenth_or_whole(4_u32, 40);
    let (mut dice, data) = (dice(), folder());
    let whole = undisturbed(&recording);
    let (mut killed, mut completed) = (0, 0);
    let end = loop {
        let up = Up::start(&mut up(data.path()));
        let mut import = reeve(&["import", "--json", "--url", &up.url]);
        import.arg(&recording);
        if killed < kills {
            let importing = std::thread::spawn(move || run(&mut import).code);
            // A little further each time: what stands already is told again, and quicker than it was taken.
            let furthest = whole * (killed + 1) / (kills + 1);
            std::thread::sleep(furthest.mul_f64(dice.random_range(0.5..1.0)));
            up.kill();
            completed += u32::from(importing.join().expect("it was started") == Some(0));
            killed += 1;
            continue;
        }
        let ended = run(&mut import);
        assert_eq!(ended.code, Some(0), "nobody killed this one: {}", ended.said);
        let end = up.settle();
        up.interrupt();
        assert_eq!(up.end().code, Some(0));
        break end;
    };
    assert!(completed < kills, "every kill came after the last fact: an undisturbed import takes {whole:?}");
    let log = Folder::at(data.path()).read();
    log.holds_once(&facts::recorded());
    let judgement = log.is_just(end);
    Folder::at(data.path()).archive_is_whole();
    say(&format!(
        "{kills} imports lost their Reeve, {completed} of them after their last fact; {} records, {}",
        log.len(),
        told(&judgement.by_kind)
    ));
}

/// Recorded sessions and generated lives, mixed as they would come.
pub(crate) fn corpus(dice: &mut Dice, count: usize) -> Vec<Event> {
    let recorded = facts::recorded();
    let lived = facts::lived(dice, count);
    let mut facts = Vec::with_capacity(lived.len() + recorded.len());
    let (mut lived, mut recorded) = (lived.into_iter(), recorded.into_iter());
    loop {
        let (one, other) = (lived.by_ref().take(20), recorded.by_ref().take(10));
        let before = facts.len();
        facts.extend(one.chain(other));
        if facts.len() == before {
            return facts;
        }
    }
}

/// One life, and whether its end met the phase that it was meant for.
fn live_and_die(data: &Path, phase: Phase, publisher: &Publisher, dice: &mut Dice) -> bool {
    let mut up = Up::begin(&mut up(data));
    if phase == Phase::Starting {
        // Nothing can be counted before anybody is heard: chance alone says how far it gets.
        std::thread::sleep(Duration::from_millis(dice.random_range(0..START_MAX_MS)));
        return !up.kill().said.contains(" is up at ");
    }
    assert!(up.comes_up(), "it did not come up: {}", up.end().said);
    let (start, snapshots, segments) = (publisher.acknowledged(), files(&data.join("snapshots")), files(&data.join("archive")));
    publisher.find(Some(&up.url));
    publisher.grant(FACTS_OF_A_LIFE_MAX.saturating_sub(dice.random_range(0..FACTS_OF_A_LIFE_MAX / 2)));
    let met = match phase {
        Phase::Starting => unreachable!("its life has ended"),
        Phase::Committing => published(publisher, start + dice.random_range(1..FACTS_OF_A_LIFE_MAX / 3)),
        Phase::Snapshotting => changed(&data.join("snapshots"), &snapshots),
        Phase::Archiving => changed(&data.join("archive"), &segments),
        Phase::Draining => {
            let met = published(publisher, start + dice.random_range(1..FACTS_OF_A_LIFE_MAX / 3));
            up.interrupt();
            std::thread::sleep(Duration::from_millis(dice.random_range(0..DRAIN_MAX_MS)));
            met && !up.ended()
        }
    };
    let ended = up.kill();
    publisher.find(None);
    assert!(!ended.said.contains("panicked"), "{}", ended.said);
    assert!(!ended.said.contains("RV00"), "nothing was wrong with it: {}", ended.said);
    met
}

/// Waits until so many facts were answered; whether there were so many left.
pub(crate) fn published(publisher: &Publisher, facts: u64) -> bool {
    eventually("facts", || (publisher.acknowledged() >= facts || publisher.is_done()).then_some(()));
    !publisher.is_done()
}

/// Waits until a file below the folder appears or grows; whether one did. Of few facts no partition has enough for a snapshot.
fn changed(folder: &Path, before: &[(PathBuf, u64)]) -> bool {
    let begun = moment();
    while begun.elapsed() < CHANGE_PATIENCE {
        if files(folder) != before {
            return true;
        }
        // What is written in between is written in the same breath.
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// The last life: everything is published, decided and archived. The time of which `wait` knows that.
pub(crate) fn last_life(command: &mut Command, publisher: Publisher, wait: fn(&Up) -> wire::Timestamp) -> wire::Timestamp {
    let up = Up::start(command);
    publisher.find(Some(&up.url));
    publisher.grant_all();
    publisher.join();
    let end = wait(&up);
    up.interrupt();
    let ended = up.end();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    end
}

/// How long the import takes that nobody disturbs.
fn undisturbed(recording: &Path) -> Duration {
    let data = folder();
    let up = Up::start(&mut up(data.path()));
    let mut import = reeve(&["import", "--json", "--url", &up.url]);
    let begun = moment();
    let ended = run(import.arg(recording));
    let taken = begun.elapsed();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    up.kill();
    taken
}
