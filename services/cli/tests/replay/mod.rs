//! Histories as `reeve replay` meets them: whole, with a decision that nobody owed, with one that is lost, and damaged.

use incident::Incident;
use machine::Fold;
use runtime::log::history::{About, History};
use serde_json::Value;
use tempfile::TempDir;
use wire::{Event, HarmReported, Offset, Partition, Record, StoredRecord, Timestamp};

use crate::command::{NO_INPUT, REFUSED, USAGE, reeve, said, text, told};

const START: Timestamp = Timestamp(1_767_225_600_000_000);

#[test]
fn a_history_is_stepped_through_record_by_record() {
    let file = File::of(&harmed());
    let all = said(&reeve(&["replay", file.path()], 0));
    let lines: Vec<&str> = all.lines().collect();
    let at = |needle: &str| lines.iter().position(|line| line.contains(needle)).unwrap_or_else(|| panic!("`{needle}` is not in\n{all}"));
    let (harm, owes, opened, settled) = (at("harm.reported"), at("owes        incident   incident.opened"), at("#2"), at("settled"));
    assert!(harm < owes && owes < opened && opened < settled, "{all}");
    assert!(all.contains("the oracle objects to none of 1 decision"), "{all}");

    let before = said(&reeve(&["replay", file.path(), "--until", "1"], 0));
    assert!(!before.contains("#2") && before.contains("after record 1 of 2"), "{before}");
    let owed = before.split("owed there").nth(1).unwrap_or_else(|| panic!("nothing is owed in\n{before}"));
    assert!(owed.contains("incident.opened"), "{before}");
}

#[test]
fn a_script_reads_each_step_and_the_standings_at_its_end() {
    let file = File::of(&harmed());
    let lines = json(&said(&reeve(&["replay", file.path(), "--json"], 0)));
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["record"], &lines[0]["event"]["type"]), (&1.into(), &"io.reeve.harm.reported.v1".into()));
    let owes =
        lines[0]["moves"].as_array().expect("a list").iter().any(|moved| moved["how"] == "owes" && moved["kind"] == "incident.opened");
    assert!(owes, "{}", lines[0]);
    let settled =
        lines[1]["moves"].as_array().expect("a list").iter().any(|moved| moved["how"] == "settled" && moved["room"] == "incident");
    assert!(settled, "{}", lines[1]);
    let agents = lines[2]["agents"].as_array().expect("a list");
    assert_eq!((agents.len(), &agents[0]["agent"]), (1, &"billing".into()));
}

#[test]
fn a_decision_with_other_numbers_is_objected_to_field_by_field() {
    let mut history = harmed();
    let mut event = Event::from_raw(&history.records[1].raw).expect("it was just written");
    event.body.basis_mut().expect("a decision").rule = "no such rule".to_owned();
    history.records[1].raw = event.to_raw();
    let file = File::of(&history);
    let output = reeve(&["replay", file.path()], REFUSED);
    let all = said(&output);
    for word in ["OBJECTION   incident room, different at 0/1", "as of offset 0", "basis.rule", "no such rule"] {
        assert!(all.contains(word), "`{word}` is not in\n{all}");
    }
    assert!(told(&output).contains("the oracle objects"), "{}", told(&output));
    let first = json(&said(&reeve(&["replay", file.path(), "--until", "1", "--json"], 0)));
    assert_eq!(first[1]["objections"], Value::Array(Vec::new()));
}

#[test]
fn a_lost_decision_is_told_at_the_end_of_a_history_that_was_followed_so_far() {
    let mut history = harmed();
    history.records.truncate(1);
    reeve(&["replay", File::of(&history).path()], 0);
    history.about.end = Some(START.plus_s(1));
    let all = said(&reeve(&["replay", File::of(&history).path()], REFUSED));
    assert!(all.contains("incident room, still_owed at 0/0") && all.contains("stands nowhere"), "{all}");
}

#[test]
fn a_damaged_history_is_refused_by_line_and_field() {
    let whole = File::of(&harmed());
    let text = std::fs::read_to_string(&whole.file).expect("it was just written");
    std::fs::write(&whole.file, &text[..text.len() - 40]).expect("the folder of a test can be written");
    assert!(told(&reeve(&["replay", whole.path()], REFUSED)).contains("line 3, field record:"));
    std::fs::write(&whole.file, text.replace("\"offset\":1", "\"offset\":0")).expect("the folder of a test can be written");
    assert!(told(&reeve(&["replay", whole.path()], REFUSED)).contains("line 3, field offset: 0 follows 0 on partition 0"));
    std::fs::write(&whole.file, "").expect("the folder of a test can be written");
    assert!(told(&reeve(&["replay", whole.path()], REFUSED)).contains("it is empty"));
}

#[test]
fn a_wrong_question_ends_with_its_own_code() {
    let file = File::of(&harmed());
    reeve(&["replay"], USAGE);
    reeve(&["replay", "/no/such/history.jsonl"], NO_INPUT);
    reeve(&["replay", file.path(), "--data", "."], USAGE);
    assert!(told(&reeve(&["replay", file.path(), "--room", "kitchen"], USAGE)).contains("the rooms are incident"));
}

/// A harm and the incident that it opened, as the incident room decides.
fn harmed() -> History {
    let harm = HarmReported { category: "wrong_refund".to_owned(), confirmed: true, description: None, reporter: None, version: None };
    let event = Event {
        key: "billing".into(),
        source: "/platforms/tests/agents/billing".into(),
        id: "harm-1".into(),
        time: Some(START),
        subject: None,
        causation: None,
        hops: 0,
        tenant: None,
        traceparent: None,
        body: harm.into(),
    };
    let stored =
        |offset, event: &Event| StoredRecord { partition: Partition(0), offset: Offset(offset), appended: START, raw: event.to_raw() };
    let mut records = vec![stored(0, &event)];
    let mut fold = Fold::<Incident>::new(Partition(0));
    fold.fold(&Record { partition: Partition(0), offset: Offset(0), appended: START, event });
    let owed = fold.owed(START);
    assert_eq!(owed.len(), 1, "{owed:?}");
    records.push(stored(1, &owed[0].to_event("incident")));
    History::new(About::new("agent-events", 1, "a test"), records)
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// A history in a folder of its own.
struct File {
    _folder: TempDir,
    file: std::path::PathBuf,
}

// === impl File ===

impl File {
    fn of(history: &History) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("history.jsonl");
        history.write(std::fs::File::create(&file).expect("the folder of a test can be written")).expect("it can be written");
        Self { _folder: folder, file }
    }

    fn path(&self) -> &str {
        text(&self.file)
    }
}
