//! Disks that are full, may not be written, or give back something else than was written.

use std::path::Path;

use runtime::log::Log;
use runtime::log::LogError;
use torture::dice::{Dice, RngExt, dice, tenth_or_whole};
use torture::facts::lived;
use torture::ground::{bar, copy, eventually, folder, say};
use torture::places::SmallDisk;
use torture::program::{Up, reeve, reeve_after, run, up, up_of};
use torture::proof::{Folder, Read};
use torture::publisher::Publisher;
use wire::Event;

/// Facts of one request, and requests at once.
const BATCH: usize = 40;
const SENDERS: usize = 4;
/// How a process ends that cannot write.
const CANNOT_WRITE: i32 = 73;
/// How it ends on a log that is damaged, and on one that has lost records.
const STORAGE_FAILS: i32 = 74;
const RECORDS_LOST: i32 = 65;

#[test]
fn a_full_disk_ends_reeve_by_its_code_and_with_room_again_nothing_that_was_accepted_is_lost() {
    let Some(disk) = SmallDisk::of(14) else { return };
    let data = disk.path().join("data");
    let answers = fill(&mut up(&data), "a disk that is full");
    is_full_still(&data, &answers.facts);
    disk.grow_to(400);
    go_on(&data, answers);
}

#[test]
fn a_file_that_may_not_grow_is_told_like_a_full_disk() {
    let data = folder();
    // In blocks of 512 bytes. What the limit would do by itself is to end the program without a word.
    let limited = reeve_after("trap '' XFSZ; ulimit -f 14000", &[]);
    let answers = fill(&mut up_of(limited, data.path()), "a file that may not grow");
    go_on(data.path(), answers);
}

#[test]
fn a_folder_that_may_not_be_written_or_is_none_is_refused_by_its_code() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let in_the_way = run(&mut up(&file.path().join("data")));
    assert_eq!(in_the_way.code, Some(CANNOT_WRITE), "{}", in_the_way.said);
    assert!(in_the_way.said.contains("RV0009"), "{}", in_the_way.said);

    let Some(disk) = SmallDisk::of(64) else { return };
    let data = disk.path().join("data");
    for is_new in [true, false] {
        disk.read_only(true);
        for mut command in [up(&data), publishing(&data)] {
            let ended = run(&mut command);
            assert_eq!(ended.code, Some(CANNOT_WRITE), "new: {is_new}, {command:?}: {}", ended.said);
            assert!(ended.said.contains("RV0009") && !ended.said.contains("panicked"), "{}", ended.said);
        }
        disk.read_only(false);
        let up = Up::start(&mut up(&data));
        up.interrupt();
        assert_eq!(up.end().code, Some(0), "it may be written again");
    }
}

#[test]
fn a_log_that_was_altered_is_refused_with_its_code_or_unharmed_and_never_anything_else() {
    let (mut dice, scratch) = (dice(), folder());
    let cases = tenth_or_whole(300, 3_000);
    let bar = bar("alterations", 2 * cases as u64);
    for ended in [LastEnd::InOrder, LastEnd::Killed] {
        let (data, facts) = lived_through(&mut dice, ended);
        // What a start makes of it is what it has to be: the last write of a killed program may be there or not.
        let sound = scratch.path().join("sound");
        copy_log(data.path(), &sound);
        let expected = Folder::at(&sound).read();
        let mut outcomes = Outcomes::default();
        for _ in 0..cases {
            let altered = scratch.path().join("altered");
            copy_log(data.path(), &altered);
            let how = alter(&altered, &mut dice);
            outcomes.add(&how, &altered, &expected, &facts, &mut dice);
            std::fs::remove_dir_all(&altered).expect("it is ours");
            bar.inc(1);
        }
        let Outcomes { unharmed, damaged, lost, for_the_program } = outcomes;
        say(&format!(
            "{ended:?}: {cases} alterations of a log of {}: {damaged} refused by RV0003, {lost} by RV0019, {unharmed} did no harm",
            expected.len()
        ));
        assert!(unharmed > 0 && damaged > 0, "the dice met pages in use, and others");
        for (how, code) in for_the_program {
            the_program_says_the_same(data.path(), &scratch.path().join("altered"), how, code);
        }
    }
    bar.finish_and_clear();
}

/// How the program ended that wrote a log.
#[derive(Clone, Copy, Debug)]
enum LastEnd {
    InOrder,
    Killed,
}

/// One alteration of a file.
#[derive(Clone, Copy, Debug)]
enum Alteration {
    /// One bit is another.
    Bit { at: usize, bit: u8 },
    /// The rest of a page was never written.
    Torn { page: usize, from: usize },
    /// A page holds what another one does.
    Misplaced { page: usize, other: usize },
    /// The file ends early.
    Cut { length: usize },
    /// One bit of the note beside the file is another: no reason to refuse a log that is in order.
    Note { at: usize, bit: u8 },
}

const PAGE_BYTES: usize = 4_096;
/// Alterations of each outcome that the whole program is shown.
const SHOWN_TO_THE_PROGRAM: usize = 3;

#[derive(Default)]
struct Outcomes {
    unharmed: usize,
    damaged: usize,
    lost: usize,
    /// Alterations, and how the program has to end on them; absent: it has to come up.
    for_the_program: Vec<(Alteration, Option<i32>)>,
}

// === impl Outcomes ===

impl Outcomes {
    /// Opens an altered log: it is refused by a code, or it is the log that it was.
    fn add(&mut self, how: &Alteration, folder: &Path, expected: &Read, facts: &[Event], dice: &mut Dice) {
        let (count, code) = match Folder::at(folder).try_read() {
            Err(error) if matches!(how, Alteration::Note { .. }) => panic!("{how:?}: a note is no reason to refuse: {error}"),
            Err(LogError::Storage { .. }) => (&mut self.damaged, Some(STORAGE_FAILS)),
            Err(LogError::RecordsLost { .. }) => (&mut self.lost, Some(RECORDS_LOST)),
            Err(other) => panic!("{how:?} is refused as {other:?}"),
            Ok(read) => {
                assert!(read == *expected, "{how:?} made another log, and nobody was told");
                knows_its_facts(folder, facts, dice, how);
                (&mut self.unharmed, None)
            }
        };
        *count += 1;
        if self.for_the_program.iter().filter(|(_, known)| *known == code).count() < SHOWN_TO_THE_PROGRAM {
            self.for_the_program.push((*how, code));
        }
    }
}

/// Whatever stands on a log is known to it when it is told again.
fn knows_its_facts(folder: &Path, facts: &[Event], dice: &mut Dice, how: &Alteration) {
    let log = Folder::at(folder).open().expect("it was opened before");
    let fact = &facts[dice.random_range(0..facts.len())];
    if fact.body.kind().is_broadcast() {
        return;
    }
    let addressed = runtime::log::Addressed { partition: fact.partition(log.partitions()), record: fact.to_raw() };
    let told = log.append(vec![addressed]).unwrap_or_else(|error| panic!("{how:?}: {} is refused: {error}", fact.id));
    assert!(told[0].repeated, "{how:?}: {} stands there and was taken for a new one", fact.id);
}

fn the_program_says_the_same(data: &Path, altered: &Path, how: Alteration, code: Option<i32>) {
    copy(data, altered);
    apply(altered, how);
    let mut program = Up::begin(&mut up(altered));
    if program.comes_up() {
        program.interrupt();
        let ended = program.end();
        assert_eq!((ended.code, code), (Some(0), None), "{how:?}: {}", ended.said);
        Folder::at(altered).archive_is_whole();
    } else {
        let ended = program.end();
        assert_eq!(ended.code, code, "{how:?}: {}", ended.said);
        assert!(ended.said.contains("RV00"), "{how:?}: {}", ended.said);
    }
    std::fs::remove_dir_all(altered).expect("it is ours");
}

/// A folder in which a Reeve has lived, and facts that it was told and answered.
fn lived_through(dice: &mut Dice, ended: LastEnd) -> (tempfile::TempDir, Vec<Event>) {
    let (data, facts) = (folder(), lived(dice, 1_500));
    let up = Up::start(&mut up(data.path()));
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    publisher.find(Some(&up.url));
    publisher.grant_all();
    publisher.join();
    match ended {
        LastEnd::InOrder => {
            up.settle();
            up.interrupt();
            assert_eq!(up.end().code, Some(0));
        }
        LastEnd::Killed => drop(up.kill()),
    }
    (data, facts)
}

/// The file and the note beside it.
fn copy_log(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the test's folder is writable");
    for name in ["log.redb", "log.ends"] {
        std::fs::copy(from.join(name), to.join(name)).expect("the test's folder is writable");
    }
}

fn alter(folder: &Path, dice: &mut Dice) -> Alteration {
    let length = |name: &str| std::fs::metadata(folder.join(name)).expect("it is there").len() as usize;
    let (length, noted) = (length("log.redb"), length("log.ends"));
    let pages = length / PAGE_BYTES;
    let how = match dice.random_range(0..11) {
        0..5 => Alteration::Bit { at: dice.random_range(0..length), bit: dice.random_range(0..8) },
        // The first page says what all others are.
        5 => Alteration::Bit { at: dice.random_range(0..320), bit: dice.random_range(0..8) },
        6 | 7 => Alteration::Torn { page: dice.random_range(0..pages), from: dice.random_range(0..PAGE_BYTES) },
        8 => Alteration::Misplaced { page: dice.random_range(0..pages), other: dice.random_range(0..pages) },
        9 => Alteration::Note { at: dice.random_range(0..noted), bit: dice.random_range(0..8) },
        _ => Alteration::Cut { length: dice.random_range(0..length) },
    };
    apply(folder, how);
    how
}

fn apply(folder: &Path, how: Alteration) {
    let file = folder.join(if matches!(how, Alteration::Note { .. }) { "log.ends" } else { "log.redb" });
    let mut bytes = std::fs::read(&file).expect("it is there");
    match how {
        Alteration::Bit { at, bit } | Alteration::Note { at, bit } => bytes[at] ^= 1 << bit,
        Alteration::Torn { page, from } => bytes[page * PAGE_BYTES + from..(page + 1) * PAGE_BYTES].fill(0),
        Alteration::Misplaced { page, other } => bytes.copy_within(other * PAGE_BYTES..(other + 1) * PAGE_BYTES, page * PAGE_BYTES),
        Alteration::Cut { length } => bytes.truncate(length),
    }
    std::fs::write(file, bytes).expect("the test's folder is writable");
}

/// What was published to a Reeve until its disk took no more, and how much of it was answered.
struct Filled {
    facts: Vec<Event>,
    taken: u64,
}

/// Publishes until the disk takes no more. The program ends by its code, and says so to whoever asks meanwhile.
fn fill(command: &mut std::process::Command, what: &str) -> Filled {
    let facts = lived(&mut dice(), 30_000);
    let publisher = Publisher::begin(&facts, BATCH, SENDERS);
    let mut up = Up::start(command);
    publisher.find(Some(&up.url));
    publisher.grant_all();
    eventually("the end of the disk", || (up.ended() || publisher.is_done()).then_some(()));
    let (taken, answers) = (publisher.acknowledged(), publisher.answers());
    publisher.give_up();
    publisher.join();
    let ended = up.end();
    assert_eq!(ended.code, Some(CANNOT_WRITE), "{what}: {}", ended.said);
    assert!(ended.said.contains("RV0009") && !ended.said.contains("panicked"), "{what}: {}", ended.said);
    assert!(taken > 0 && answers.keys().any(|answer| answer.starts_with("503 ")), "{what}: {taken} facts taken, {answers:?}");
    say(&format!("{what}: {taken} facts taken, then {answers:?}"));
    Filled { facts, taken }
}

/// It ends by its code again: at its start, or, when nothing was left to be written there, as soon as it is told more.
fn is_full_still(data: &Path, facts: &[Event]) {
    let mut up = Up::begin(&mut up(data));
    if up.comes_up() {
        let publisher = Publisher::begin(facts, BATCH, SENDERS);
        publisher.find(Some(&up.url));
        publisher.grant_all();
        eventually("the end of the disk", || (up.ended() || publisher.is_done()).then_some(()));
        publisher.give_up();
        publisher.join();
    }
    let ended = up.end();
    assert_eq!(ended.code, Some(CANNOT_WRITE), "it is still full: {}", ended.said);
}

/// There is room again: everything is published, and everything that was answered before stands as it did.
fn go_on(data: &Path, Filled { facts, taken }: Filled) {
    let up = Up::start(&mut up(data));
    let publisher = Publisher::begin(&facts, 400, SENDERS);
    publisher.find(Some(&up.url));
    publisher.grant_all();
    eventually("the last fact", || publisher.is_done().then_some(()));
    assert!(publisher.repeated() >= taken, "{taken} facts were taken before, {} of them are known", publisher.repeated());
    publisher.join();
    let end = up.settle();
    up.interrupt();
    let ended = up.end();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let log = Folder::at(data).read();
    log.holds_once(&facts);
    log.is_just(end);
    Folder::at(data).archive_is_whole();
}

/// `reeve publish` of nothing into a folder.
fn publishing(data: &Path) -> std::process::Command {
    let mut command = reeve(&["publish", "/dev/null", "--data"]);
    command.arg(data);
    command
}
