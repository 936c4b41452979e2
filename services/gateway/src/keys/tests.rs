//! What a key is, and when the file of the keys is believed.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::TempDir;

use super::file::{Ownership, file_fault};
use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

#[test]
fn only_the_very_text_that_was_printed_is_the_key() {
    let (key, secret) = mint("a");
    let text = secret.reveal();
    assert!(key.is(&text.parse().expect("a key")));
    let last = if text.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &text[..text.len() - 1]);
    assert!(!key.is(&forged.parse().expect("of the form of a key")));
    // The id is a part of what is hashed: another key's id opens nothing.
    let (other, _) = mint("b");
    let borrowed = text.replace(key.id.as_str(), other.id.as_str());
    assert!(!key.is(&borrowed.parse().expect("of the form of a key")));
}

#[test]
fn what_does_not_have_the_form_of_a_key_is_none() {
    let (_, secret) = mint("a");
    let text = secret.reveal();
    let wrong = ["", "rvk_", &text[1..], &text[..text.len() - 1], &text.to_uppercase(), &format!("{text}0"), &text.replacen('_', "-", 1)];
    for wrong in wrong {
        assert_eq!(wrong.parse::<Secret>().map(drop), Err(NotAKey), "{wrong}");
    }
}

#[test]
fn what_is_printed_or_kept_never_holds_the_secret() {
    let (key, secret) = mint("a");
    let bare = secret.reveal().rsplit('_').next().expect("its last part");
    for told in [format!("{secret:?}"), format!("{key:?}"), serde_json::to_string(&key).expect("JSON")] {
        assert!(!told.contains(bare), "{told}");
    }
}

#[test]
fn a_key_covers_the_agents_and_kinds_that_it_is_limited_to() {
    let scope = Scope {
        agents: vec!["billing".parse().expect("a name"), "claims-*".parse().expect("a beginning")],
        kinds: vec!["facts".parse().expect("a class"), "mode.ordered".parse().expect("a kind")],
        ..Scope::everything(RATE_PER_S)
    };
    let agents = ["billing", "billing2", "claims-", "claims-eu", "claims", "Billing", ""];
    assert_eq!(agents.map(|agent| scope.covers_agent(agent)), [true, false, true, true, false, false, false]);
    let kinds = [Kind::HarmReported, Kind::ModeOrdered, Kind::RollbackOrdered, Kind::ModeSet];
    assert_eq!(kinds.map(|kind| scope.covers_kind(kind)), [true, true, false, false]);
    for wrong in ["", "*", "a*b", "*a", "a**"] {
        assert!(wrong.parse::<NamePattern>().is_err(), "{wrong}");
    }
    assert!("Facts".parse::<KindPattern>().is_err() && "io.reeve.mode.set.v1".parse::<KindPattern>().is_err());
}

#[test]
fn every_fault_of_a_new_key_is_told_at_once() {
    let nothing = Scope { may: BTreeSet::new(), ..Scope::everything(RATE_PER_S) };
    let faults = Key::mint("\n", nothing, NOW, Some(NOW)).expect_err("three faults");
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn keys_are_kept_as_they_were_made_and_a_revoked_one_stays_listed() {
    let (folder, file) = folder();
    let (first, _) = mint("first");
    let (second, _) = mint("second");
    assert_eq!(file.read().expect("no fault"), None);
    file.add(first.clone(), NOW).expect("added");
    file.add(second.clone(), NOW).expect("added");
    assert_eq!(file.read().expect("no fault"), Some(vec![first.clone(), second.clone()]));
    let revoked = file.revoke(&first.id, NOW).expect("revoked");
    assert_eq!(revoked.revoked_at, Some(NOW));
    file.revoke(&first.id, NOW.plus_s(9)).expect("revoked before");
    assert_eq!(file.read().expect("no fault"), Some(vec![revoked, second]));
    let (unknown, _) = mint("unknown");
    assert!(matches!(file.revoke(&unknown.id, NOW), Err(KeysError::Unknown(_))));
    let mode = std::fs::metadata(file.path()).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left.len(), 2, "the keys and their lock: {left:?}");
}

#[test]
fn wherever_the_file_is_torn_or_changed_it_is_refused_whole() {
    let (_folder, file) = folder();
    file.add(mint("first").0, NOW).expect("added");
    file.add(mint("second").0, NOW).expect("added");
    let whole = std::fs::read(file.path()).expect("readable");
    for end in 0..whole.len() {
        std::fs::write(file.path(), &whole[..end]).expect("written");
        assert!(matches!(file.read(), Err(KeysError::Refused { .. })), "torn at {end}");
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        std::fs::write(file.path(), &changed).expect("written");
        assert!(matches!(file.read(), Err(KeysError::Refused { .. })), "changed at {place}");
    }
    // Nor is it written over: what was there is for a person to look at.
    assert!(matches!(file.add(mint("third").0, NOW), Err(KeysError::Refused { .. })));
    std::fs::write(file.path(), &whole).expect("written");
    assert_eq!(file.read().expect("no fault").map(|keys| keys.len()), Some(2));
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let (_folder, file) = folder();
    file.add(mint("first").0, NOW).expect("added");
    for (mode, is_refused) in [(0o600, false), (0o640, false), (0o644, false), (0o620, true), (0o602, true), (0o666, true)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("ours");
        assert_eq!(file.read().is_err(), is_refused, "{mode:o}");
    }
}

#[test]
fn a_file_is_believed_that_belongs_to_who_runs_reeve_or_to_root() {
    const ME: u32 = 1_000;
    let of = |uid| Ownership { uid, gid: uid, mode: 0o600 };
    let believed = |file: u32, folder: u32, me: u32| file_fault(of(file), of(folder), Some(me)).is_none();
    assert!(believed(ME, ME, ME) && believed(0, ME, ME) && believed(0, 0, 0));
    assert!(!believed(1_001, ME, ME) && !believed(1_001, 1_001, ME) && !believed(1_001, 0, 0));
    // `sudo reeve keys list` on the folder of who runs the gateway.
    assert!(believed(ME, ME, 0));
    assert!(file_fault(of(1_001), of(ME), None).is_some_and(|reason| reason.contains("user 1001")), "no /proc says who runs it");
}

#[test]
fn a_folder_in_which_others_may_replace_the_file_is_refused_and_named() {
    let (folder, file) = folder();
    file.add(mint("first").0, NOW).expect("added");
    for (mode, is_refused) in [(0o700, false), (0o755, false), (0o1777, false), (0o775, true), (0o777, true), (0o2775, true)] {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).expect("ours");
        let read = file.read();
        assert_eq!(read.is_err(), is_refused, "{mode:o}");
        assert_eq!(file.add(mint("another").0, NOW).is_err(), is_refused, "{mode:o}");
        let named = read.err().is_none_or(|error| error.to_string().contains(&folder.path().display().to_string()));
        assert!(named, "{mode:o}");
    }
}

#[test]
fn what_root_adds_or_revokes_still_belongs_to_who_runs_the_gateway() {
    const GATEWAY: u32 = 12_345;
    let (folder, file) = folder();
    if std::os::unix::fs::chown(folder.path(), Some(GATEWAY), Some(GATEWAY)).is_err() {
        println!("SKIPPED: only root can do for another user");
        return;
    }
    let (key, _) = mint("first");
    let belong = || ["keys.jsonl", "keys.lock"].map(|name| std::fs::metadata(folder.path().join(name)).expect("it is there").uid());
    file.add(key.clone(), NOW).expect("added");
    assert_eq!(belong(), [GATEWAY; 2], "of the folder");
    file.revoke(&key.id, NOW).expect("revoked");
    assert_eq!(belong(), [GATEWAY; 2]);
    std::os::unix::fs::chown(file.path(), Some(GATEWAY + 1), None).expect("ours");
    assert!(file.read().expect_err("nobody knows him").to_string().contains("user 12346"));
}

#[test]
fn a_key_from_before_people_were_named_is_read_and_written_as_it_was() {
    let (key, _) = mint("first");
    let before = serde_json::to_value(&key).expect("JSON");
    assert!(before["scope"].get("people").is_none(), "{before}");
    assert_eq!(serde_json::from_value::<Key>(before).expect("a key"), key);
    let of = |agents: &[&str], people: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().expect("a name")).collect();
        let scope = Scope { agents: names(agents), people: names(people), ..Scope::everything(RATE_PER_S) };
        ["maria", "mario", "ines"].map(|person| scope.covers_person(person))
    };
    assert_eq!(of(&[], &[]), [true; 3]);
    assert_eq!(of(&["billing"], &[]), [false; 3]);
    assert_eq!(of(&["billing"], &["maria"]), [true, false, false]);
    assert_eq!(of(&[], &["mar*"]), [true, true, false]);
}

#[test]
fn a_format_of_another_version_and_a_field_that_nobody_knows_are_refused() {
    let (_folder, file) = folder();
    file.add(mint("first").0, NOW).expect("added");
    let text = std::fs::read_to_string(file.path()).expect("readable");
    let later = text.replacen("\"format\":1", "\"format\":2", 1);
    std::fs::write(file.path(), later).expect("written");
    assert!(file.read().expect_err("refused").to_string().contains("format 2"));
    let (_, body) = text.split_once('\n').expect("two parts");
    let body = body.replacen("\"name\":", "\"limit\":1,\"name\":", 1);
    let head = format!("{{\"format\":1,\"sha256\":\"{}\"}}\n", hex(&Sha256::digest(body.as_bytes())));
    std::fs::write(file.path(), head + &body).expect("written");
    assert!(file.read().expect_err("refused").to_string().contains("unknown field"));
}

#[test]
fn there_is_room_for_so_many_keys_and_the_oldest_that_is_no_longer_good_makes_room() {
    let (_folder, file) = folder();
    let (first, _) = mint("first");
    file.add(first.clone(), NOW).expect("added");
    let rest: Vec<_> = (1..KEYS_MAX).map(|_| mint("another").0).collect();
    let mut all = vec![first.clone()];
    all.extend(rest);
    write_all(&file, &all);
    assert!(matches!(file.add(mint("one more").0, NOW), Err(KeysError::TooMany)));
    file.revoke(&first.id, NOW).expect("revoked");
    file.add(mint("one more").0, NOW).expect("there is room");
    let kept = file.read().expect("no fault").expect("keys");
    assert_eq!(kept.len(), KEYS_MAX);
    assert!(kept.iter().all(|key| key.id != first.id));
}

fn mint(name: &str) -> (Key, Secret) {
    Key::mint(name, Scope::everything(RATE_PER_S), NOW, None).expect("a key")
}

fn folder() -> (TempDir, KeysFile) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = KeysFile::in_folder(folder.path());
    (folder, file)
}

/// As many files as keys would be synced to the disk otherwise.
fn write_all(file: &KeysFile, keys: &[Key]) {
    let body: String = keys.iter().map(|key| serde_json::to_string(key).expect("JSON") + "\n").collect();
    let head = format!("{{\"format\":1,\"sha256\":\"{}\"}}\n", hex(&Sha256::digest(body.as_bytes())));
    write(file.path(), &(head + &body));
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path).expect("a file").write_all(text.as_bytes()).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("ours");
}
