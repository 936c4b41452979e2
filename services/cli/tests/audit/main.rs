//! The archive as a script and a foreign reader meet it: `reeve up` writes it, `reeve audit check` proves it, and DuckDB
//! finds in it what was published.

mod foreign;
mod house;

use std::time::Duration;

use serde_json::{Value, json};

use self::house::{House, NO_INPUT, REFUSED, TRY_AGAIN, codes};

/// How often `reeve up` is killed on one folder.
const KILLS: u64 = 6;

#[test]
fn an_empty_archive_beside_a_log_with_records_fails_the_check() {
    let house = House::new();
    house.publish(12);
    let (report, told) = house.check(REFUSED);
    assert_eq!(codes(&report), ["RV0034"], "{report}");
    assert!(
        told.contains("error RV0034: the archive is not whole") && told.contains(" records on the log - 0 stored - 0 refused = "),
        "{told}"
    );
    let missing: i64 = report["partitions"].as_array().expect("a list").iter().filter_map(|one| one["difference"].as_i64()).sum();
    assert_eq!(missing, 12);
    assert!(!house.archive().exists(), "a check makes nothing");
}

#[test]
fn what_was_drained_is_in_the_archive() {
    let house = House::new();
    house.publish(40);
    house.up().interrupt();
    let (report, _) = house.check(0);
    assert_eq!((&report["whole"], &report["findings"]), (&json!(true), &json!([])));
    let sum = |field: &str| report["partitions"].as_array().expect("a list").iter().filter_map(|one| one[field].as_i64()).sum::<i64>();
    assert!(sum("on_log") > 40, "the rooms said something, too: {report}");
    assert_eq!((sum("stored"), sum("refused"), sum("difference")), (sum("on_log"), 0, 0));
    let table = house.told(&["audit", "check"], 0);
    assert!(table.contains("the archive is whole: "), "{table}");
    // A later `up` goes on where the archive ends.
    house.publish_as("later", 5);
    house.check(REFUSED);
    house.up().interrupt();
    house.check(0);
}

#[test]
fn what_nobody_can_read_is_archived_and_named_on_the_log() {
    let house = House::new();
    house.publish(10);
    let garbled = house.garble(7);
    house.up().interrupt();
    let (report, _) = house.check(0);
    let sum = |field: &str| report["partitions"].as_array().expect("a list").iter().filter_map(|one| one[field].as_i64()).sum::<i64>();
    assert_eq!((sum("refused"), sum("told")), (garbled.len() as i64, garbled.len() as i64), "{report}");
    let mut named: Vec<(i64, i64, String)> = house
        .json_lines(&["tail", "--json", "--kind", "record.refused"])
        .iter()
        .map(|event| &event["data"])
        .map(|data| (data["partition"].as_i64().expect("a number"), data["offset"].as_i64().expect("a number"), data["code"].to_string()))
        .collect();
    named.sort();
    assert_eq!(named, garbled);
    // Killed or not, nothing is named twice.
    house.up().interrupt();
    assert_eq!(house.json_lines(&["tail", "--json", "--kind", "record.refused"]).len(), garbled.len());
}

#[test]
fn a_killed_reeve_loses_and_repeats_no_row() {
    let house = House::new();
    for kill in 0..KILLS {
        house.publish_as(&format!("life-{kill}"), 150);
        house.garble_as(&format!("noise-{kill}"), 3);
        house.up().kill_after(Duration::from_millis(40 + 170 * kill));
        let (report, _) = house.check_any();
        let partial = codes(&report).iter().all(|code| code == "RV0034");
        assert!(partial, "after kill {kill} the archive may be behind, and nothing else: {report}");
    }
    house.up().interrupt();
    let (report, _) = house.check(0);
    let sum = |field: &str| report["partitions"].as_array().expect("a list").iter().filter_map(|one| one[field].as_i64()).sum::<i64>();
    assert_eq!(sum("refused"), 3 * KILLS as i64);
    assert_eq!(sum("told"), sum("refused"));
}

#[test]
fn what_is_changed_cut_short_or_deleted_is_named_with_its_code() {
    let house = House::new();
    house.publish(60);
    house.up().interrupt();
    let segments = house.segments();
    let whole = std::fs::read(&segments[0]).expect("readable");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [&changed[..], &whole[..whole.len() - 1], &whole[..10], &[]] {
        std::fs::write(&segments[0], bytes).expect("written");
        let (report, told) = house.check(REFUSED);
        assert_eq!(codes(&report), ["RV0032", "RV0034"], "{report}");
        assert!(told.contains("runbook RV0032"), "{told}");
    }
    std::fs::remove_file(&segments[0]).expect("deleted");
    let (report, _) = house.check(REFUSED);
    assert!(codes(&report).contains(&"RV0034".to_owned()), "{report}");
    std::fs::write(&segments[0], &whole).expect("written");
    house.check(0);
}

#[test]
fn reeve_refuses_to_go_on_with_an_archive_of_another_log() {
    let (house, other) = (House::new(), House::new());
    house.publish(20);
    house.up().interrupt();
    other.publish(5);
    let refused = other.told(&["up", "--listen", "127.0.0.1:0", "--config", other.config(&house.archive())], REFUSED);
    assert!(refused.contains("error RV0033: "), "{refused}");
    assert_eq!(other.log().len(), 5, "a start that is refused says nothing on the log");
}

#[test]
fn the_check_knows_the_folders_as_up_does_and_says_which_it_looked_at() {
    let (house, elsewhere) = (House::new(), House::new());
    house.publish(10);
    let archive = elsewhere.archive();
    let config = house.config(&archive);
    house.up_with(&["--config", config]).interrupt();
    assert!(!house.archive().exists() && archive.exists());
    let folders = (house.folder().to_str(), archive.to_str());
    let looked_at = |report: &Value| assert_eq!((report["log"].as_str(), report["archive"].as_str()), folders, "{report}");
    looked_at(&house.check_with(&["--config", config], &[], 0));
    let (log, archive) = (folders.0.expect("a plain name"), folders.1.expect("a plain name"));
    looked_at(&house.check_with(&[], &[("REEVE_ARCHIVE_PATH", archive)], 0));
    looked_at(&House::check_by_variables(&[("REEVE_LOG_PATH", log), ("REEVE_ARCHIVE_PATH", archive)], 0));
    let report = house.check_with(&[], &[], REFUSED);
    assert_eq!((codes(&report), report["archive"].as_str()), (vec!["RV0034".to_owned()], house.archive().to_str()));
    let told = house.told(&["audit", "check", "--archive", archive], 0);
    assert!(told.contains(&format!("log      {log}\n")) && told.contains(&format!("archive  {archive}\n")), "{told}");
}

#[test]
fn where_there_is_no_log_or_it_is_held_the_check_says_so() {
    let house = House::new();
    house.told(&["audit", "check"], NO_INPUT);
    house.publish(1);
    let up = house.up();
    assert!(house.told(&["audit", "check"], TRY_AGAIN).contains("error RV0002: "));
    let metrics = up.get("/metrics");
    for name in
        ["reeve_audit_records_on_log", "reeve_audit_records_stored_total", "reeve_audit_records_refused_total", "reeve_audit_lag_records"]
    {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    up.interrupt();
}

#[test]
fn duckdb_finds_in_the_archive_what_is_on_the_log() {
    let Some(reader) = foreign::Reader::prepared() else { return };
    let house = House::new();
    house.publish(80);
    house.garble(9);
    house.up().interrupt();
    house.publish_as("later", 15);
    house.up().interrupt();
    house.check(0);
    let log = house.log();
    let archived = reader.rows(&house.archive());
    assert_eq!(archived.len(), log.len());
    assert_eq!(log.len(), house.json_lines(&["tail", "--json"]).len(), "and as many as the command tells");
    for (row, record) in archived.iter().zip(&log) {
        assert_eq!(*row, foreign::as_read(record));
    }
    let ids: Vec<&Value> = archived.iter().map(|row| &row["id"]).collect();
    assert!((0..80).all(|number| ids.contains(&&json!(format!("fact-{number}")))), "every fact that was published is there");
    assert_eq!(reader.digests_that_differ(&house.archive()), 0, "the digest can be computed by others");
}
