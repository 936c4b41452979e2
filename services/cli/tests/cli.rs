//! The command as a script meets it: arguments, exit codes, and what is said where, on the embedded log of a folder.

mod command;
mod replay;

use serde_json::{Value, json};
use tempfile::TempDir;

use command::{Folder, NO_INPUT, REFUSED, TRY_AGAIN, UNAVAILABLE, USAGE, reeve, said, session, text, told};

// === the command line ===

#[test]
fn help_names_every_verb_and_every_exit_code() {
    let help = said(&reeve(&["--help"], 0));
    let verbs = ["up", "fleet", "publish", "import", "kpis", "tail", "status", "explain", "baseline", "mode", "incident", "quarantine"];
    let codes = ["64", "65", "66", "69", "70", "73", "74", "75", "77", "78"];
    for word in verbs.into_iter().chain(["replay", "automation", "rollback", "policy", "keys", "topics", "migrate", "runbook"]).chain(codes)
    {
        assert!(help.contains(word), "`{word}` is not in\n{help}");
    }
}

#[test]
fn every_verb_shows_examples() {
    let verbs = [
        &["up"][..],
        &["fleet"],
        &["publish"],
        &["import"],
        &["kpis"],
        &["tail"],
        &["status"],
        &["explain"],
        &["replay"],
        &["audit", "check"],
        &["runbook"],
        &["keys", "add"],
        &["keys", "list"],
        &["keys", "revoke"],
        &["baseline", "set"],
        &["mode", "set"],
        &["incident", "ack"],
        &["incident", "note"],
        &["incident", "resolve"],
        &["quarantine", "lift"],
        &["automation", "set"],
        &["rollback", "accept"],
        &["policy", "check"],
        &["policy", "adopt"],
        &["policy", "try"],
        &["policy", "show"],
        &["topics", "create"],
        &["topics", "check"],
        &["topics", "grow"],
        &["migrate"],
    ];
    for verb in verbs {
        let help = said(&reeve(&[verb, &["--help"]].concat(), 0));
        assert!(help.contains("Example"), "no example in\n{help}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for arguments in [&["nonsense"][..], &["tail", "--kind", "nonsense"], &["mode", "set", "a", "loud", "--author", "x", "--reason", "y"]] {
        reeve(arguments, USAGE);
    }
    let unsigned = reeve(&["mode", "set", "a", "reduced", "--reason", "y"], USAGE);
    assert!(told(&unsigned).contains("--author"), "{}", told(&unsigned));
    reeve(&["baseline", "set", "a", "v1", "--author", " ", "--reason", "y"], USAGE);
    for arguments in [["tail", "--from", "nonsense"], ["tail", "--limit", "0"], ["tail", "--limit", "many"]] {
        reeve(&arguments, USAGE);
    }
}

#[test]
fn a_gateway_without_keys_listens_on_loopback_only() {
    let folder = TempDir::new().expect("a folder");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.7:4780"] {
        let refused = reeve(&["up", "--listen", address, "--data", text(folder.path())], USAGE);
        assert!(told(&refused).starts_with("error RV0001: listen.address is "), "{}", told(&refused));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "nothing was opened");
}

#[test]
fn every_error_code_has_a_page_to_read() {
    for line in said(&reeve(&["runbook"], 0)).lines() {
        let code = line.split_whitespace().next().expect("a code begins the line");
        assert!(said(&reeve(&["runbook", code], 0)).contains("What to do"), "{code}");
    }
    reeve(&["runbook", "RV9999"], REFUSED);
}

#[test]
fn the_configuration_is_shown_with_its_origins_and_every_fault_at_once() {
    let shown = said(&reeve(&["up", "--print-config", "--partitions", "7"], 0));
    assert!(shown.contains("partitions = 7 # --partitions"), "{shown}");
    let faulty = reeve(&["up", "--partitions", "many", "--listen", "nowhere"], USAGE);
    let told = told(&faulty);
    assert!(told.contains("log.partitions") && told.contains("--listen: `listen.address`") && told.contains("RV0001"), "{told}");
}

#[test]
fn where_no_reeve_answers_it_is_said_with_69() {
    let output = reeve(&["status", "--url", "http://127.0.0.1:1"], UNAVAILABLE);
    assert!(told(&output).starts_with("error RV0016: no Reeve answers at http://127.0.0.1:1"), "{}", told(&output));
    reeve(&["status", "--url", "ftp://127.0.0.1"], USAGE);
}

// === topics ===

#[test]
fn a_topic_is_looked_at_on_brokers_that_answer_only() {
    let output = reeve(&["topics", "check", "--brokers", "127.0.0.1:1"], UNAVAILABLE);
    assert!(told(&output).contains("error RV0010: "), "{}", told(&output));
    let faulty = reeve(&["topics", "create", "--brokers", "nowhere", "--topic", "a topic"], USAGE);
    assert!(told(&faulty).contains("--brokers: `kafka.brokers`") && told(&faulty).contains("--topic: `log.topic`"), "{}", told(&faulty));
    reeve(&["topics", "create", "--brokers", "127.0.0.1:1", "--partitions", "0"], USAGE);
    reeve(&["topics", "create", "--brokers", "127.0.0.1:1", "--partitions", "1025"], USAGE);
}

// === publish and tail ===

#[test]
fn what_is_published_is_told_as_structured_cloudevents_with_their_place() {
    let folder = Folder::with(&session("s-1", true));
    let told = folder.json_lines(&["tail", "--json"]);
    assert_eq!(told.len(), 3);
    assert_eq!(told[1]["type"], "io.reeve.outcome.reported.v1");
    assert_eq!(told[1]["data"], json!({"success": true, "handled_by": "agent"}));
    assert_eq!((&told[1]["topic"], &told[1]["offset"]), (&json!("agent-events"), &json!(1)));
    assert!(told[1]["partition"].is_u64() && told[1]["recordedtime"].is_string(), "{}", told[1]);
}

#[test]
fn filters_let_through_what_they_name() {
    let folder = Folder::with(&[session("s-1", true), session("s-2", false)].concat());
    let count = |filter: &[&str]| folder.json_lines(&[&["tail", "--json"], filter].concat()).len();
    assert_eq!(count(&["--kind", "outcome.reported"]), 2);
    assert_eq!(count(&["--kind", "outcome.reported,session.ended", "--session", "s-2"]), 2);
    assert_eq!(count(&["--agent", "telecom", "--limit", "4"]), 4);
    assert_eq!(count(&["--agent", "nobody"]), 0);
}

#[test]
fn a_cursor_goes_on_after_its_record() {
    let folder = Folder::with(&[session("s-1", true), session("s-2", false)].concat());
    let all = folder.json_lines(&["tail", "--json"]);
    let cursor = all[3]["cursor"].as_str().expect("every record has one").to_owned();
    assert_eq!(folder.json_lines(&["tail", "--json", "--from", &cursor]), all[4..]);
    folder.run(&["tail", "--from", "nonsense"], USAGE);
}

#[test]
fn what_is_published_again_adds_nothing() {
    let folder = Folder::with(&session("s-1", true));
    let again = folder.publish(&session("s-1", true), 0);
    assert!(said(&again).starts_with("0 events are new on the log, 3 were there already"), "{}", said(&again));
    assert_eq!(folder.json_lines(&["tail", "--json"]).len(), 3);
}

#[test]
fn every_faulty_line_is_listed_with_its_number_and_nothing_is_sent() {
    let folder = Folder::new();
    let mut lines = session("s-1", true);
    lines.insert(1, json!({"specversion": "1.0"}).to_string());
    lines.push("no JSON".to_owned());
    let refused = folder.publish(&lines, REFUSED);
    let told = told(&refused);
    assert!(told.contains("line 2: ") && told.contains("line 5: ") && told.contains("error RV0017: "), "{told}");
    assert!(!told.contains("line 1: ") && !told.contains("line 3: "), "{told}");
    folder.run(&["tail"], NO_INPUT);
}

#[test]
fn an_id_that_names_another_event_is_told_with_its_line() {
    let folder = Folder::with(&session("s-1", true));
    let refused = folder.publish(&[session("s-9", true), session("s-1", false)].concat(), REFUSED);
    assert!(told(&refused).contains("line 5: "), "{}", told(&refused));
    assert_eq!(folder.json_lines(&["tail", "--json"]).len(), 3);
}

#[test]
fn nobody_speaks_for_a_room_through_publish() {
    let decision = json!({"specversion": "1.0", "id": "1", "source": "/reeve/rollback", "type": "io.reeve.room.watermark.v1",
                          "partitionkey": "rollback", "data": {}});
    Folder::new().publish(&[decision.to_string()], REFUSED);
}

#[test]
fn a_file_or_a_folder_that_is_not_there_ends_with_66() {
    let folder = TempDir::new().expect("a folder");
    let missing = folder.path().join("missing");
    reeve(&["publish", text(&missing)], NO_INPUT);
    reeve(&["tail", "--data", text(&missing)], NO_INPUT);
    assert!(!missing.exists(), "reading begins no log");
}

#[test]
fn a_folder_that_holds_no_log_is_left_alone() {
    let folder = Folder::new();
    for verb in [&["tail"][..], &["status"], &["kpis"], &["explain", "x"]] {
        let refused = folder.run(verb, NO_INPUT);
        assert!(told(&refused).contains("it holds no log.redb"), "{}", told(&refused));
    }
    assert_eq!(std::fs::read_dir(folder.0.path()).expect("it is there").count(), 0, "reading begins no log");
}

#[test]
fn a_log_without_records_is_no_fault() {
    let folder = Folder::with(&[]);
    assert_eq!(said(&folder.run(&["tail"], 0)), "");
    assert!(said(&folder.run(&["status"], 0)).starts_with("no agent is known yet: publish facts with `"));
    assert!(said(&folder.run(&["kpis"], 0)).contains("no session was imported yet"));
}

#[test]
fn a_folder_that_another_program_holds_is_refused_with_its_code() {
    let folder = Folder::new();
    let options = runtime::log::embedded::EmbeddedOptions { topic: "agent-events".to_owned(), partitions: 1, clock: Default::default() };
    let held = runtime::log::embedded::EmbeddedLog::open(folder.0.path(), options).expect("nobody holds it yet");
    let refused = folder.run(&["tail"], TRY_AGAIN);
    assert!(told(&refused).starts_with("error RV0002: "), "{}", told(&refused));
    drop(held);
    folder.run(&["tail"], 0);
}

// === status, explain and the words of people ===

#[test]
fn status_says_what_is_missing_before_anything_could_happen() {
    let folder = Folder::with(&session("s-1", true));
    assert!(said(&folder.run(&["status"], 0)).contains("telecom"));
    let one = said(&folder.run(&["status", "telecom"], 0));
    assert!(one.contains("reeve baseline set telecom "), "{one}");
    folder.run(&["status", "nobody"], REFUSED);
}

#[test]
fn what_is_piped_has_no_colours_and_fits_a_hundred_columns() {
    let folder = Folder::with(&session("s-1", true));
    for verb in [&["status"][..], &["status", "telecom"], &["kpis"]] {
        let piped = said(&folder.run(verb, 0));
        assert!(!piped.contains('\u{1b}'), "{piped}");
        // A command is never broken, so that it can be copied.
        let broken = |line: &&str| !line.contains("reeve ");
        let widest = piped.lines().filter(broken).map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= 100, "{widest} columns in\n{piped}");
    }
}

#[test]
fn a_hint_names_the_command_as_it_was_called() {
    let folder = Folder::with(&session("s-1", true));
    let one = said(&folder.run(&["status", "telecom"], 0));
    let called = format!("{} baseline set telecom ", env!("CARGO_BIN_EXE_reeve"));
    assert!(one.contains(&called), "`{called}` is not in\n{one}");
}

#[test]
fn a_word_about_an_agent_that_nobody_knows_is_taken_and_told() {
    let folder = Folder::with(&session("s-1", true));
    let signed = ["--author", "ines", "--reason", "as agreed"];
    let known = folder.run(&[&["baseline", "set", "telecom", "v1"][..], &signed].concat(), 0);
    assert!(!told(&known).contains("note: "), "{}", told(&known));
    let unknown = folder.run(&[&["baseline", "set", "telekom", "v1"][..], &signed].concat(), 0);
    assert!(told(&unknown).contains("no agent telekom was known before"), "{}", told(&unknown));
}

#[test]
fn the_words_of_people_are_on_the_log_with_author_and_reason() {
    let folder = Folder::with(&session("s-1", true));
    let signed = ["--author", "ines", "--reason", "as agreed"];
    let say = |words: &[&str]| folder.run(&[words, &signed].concat(), 0);
    say(&["baseline", "set", "telecom", "v1"]);
    say(&["mode", "set", "telecom", "human-only"]);
    say(&["automation", "set", "telecom", "propose"]);
    say(&["quarantine", "lift", "telecom", "v2"]);
    let told = folder.json_lines(&["tail", "--json", "--kind", "baseline.declared,mode.set,automation.set,quarantine.lifted"]);
    assert_eq!(told.len(), 4);
    for word in &told {
        assert_eq!((&word["source"], &word["partitionkey"]), (&json!("/people/ines"), &json!("telecom")), "{word}");
        assert_eq!((&word["data"]["author"], &word["data"]["reason"]), (&json!("ines"), &json!("as agreed")), "{word}");
    }
    let all = said(&folder.run(&["status"], 0));
    assert!(all.contains("propose"), "{all}");
}

#[test]
fn a_word_about_what_is_not_there_is_refused() {
    let folder = Folder::with(&session("s-1", true));
    let signed = ["--author", "ines", "--reason", "because"];
    folder.run(&[&["incident", "resolve", "nothing"][..], &signed].concat(), REFUSED);
    folder.run(&[&["rollback", "accept", "nothing"][..], &signed].concat(), REFUSED);
    folder.run(&["incident", "note", "nothing", "--author", "ines"], USAGE);
    assert_eq!(folder.json_lines(&["tail", "--json"]).len(), 3);
}

#[test]
fn a_fact_explains_itself_and_an_unknown_id_is_told() {
    let folder = Folder::with(&session("s-1", true));
    let told = said(&folder.run(&["explain", "s-1-outcome"], 0));
    assert!(told.starts_with("outcome.reported of telecom, session s-1"), "{told}");
    let tree: Value = serde_json::from_str(&said(&folder.run(&["explain", "s-1-outcome", "--json"], 0))).expect("JSON");
    assert_eq!(tree["record"]["data"]["success"], true);
    folder.run(&["explain", "nothing"], REFUSED);
}
