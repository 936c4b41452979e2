//! API keys as an operator meets them: made, listed and revoked by the command, asked for by a `reeve up` that runs.

#[path = "house/mod.rs"]
mod house;

use serde_json::Value;
use tempfile::TempDir;

use crate::house::{Up, reeve, said, text, told};

const USAGE: i32 = 64;
const NO_INPUT: i32 = 66;
const NOT_ALLOWED: i32 = 77;
const NOT_TRUSTED: i32 = 78;

#[test]
fn a_key_is_printed_once_and_never_again() {
    let folder = TempDir::new().expect("a folder");
    let run = |arguments: &[&str], exit| reeve(&[arguments, &["--data", text(folder.path())]].concat(), &[], exit);
    assert!(said(&run(&["keys", "list"], 0)).starts_with("there are no keys"));
    let limits = ["--agent", "billing", "--agent", "claims-*", "--person", "maria", "--kind", "facts,decisions"];
    let made = run(&[&["keys", "add", "--name", "helpdesk"], &limits[..]].concat(), 0);
    assert!(told(&made).contains("in the name of maria"), "{}", told(&made));
    let secret = said(&made).trim().to_owned();
    assert_eq!((secret.lines().count(), secret.len()), (1, 81), "{secret}");
    let id = secret.split('_').nth(1).expect("an id").to_owned();
    assert!(told(&made).contains(&id) && !told(&made).contains(&secret), "{}", told(&made));
    let json: Value = serde_json::from_str(&said(&run(&["keys", "list", "--json"], 0))).expect("one key, one line");
    assert_eq!(json["id"], *id);
    assert_eq!(json["agents"], serde_json::json!(["billing", "claims-*"]));
    assert_eq!(json["people"], serde_json::json!(["maria"]));
    assert_eq!((&json["may"], &json["rate_per_s"], &json["good"]), (&serde_json::json!(["publish", "read"]), &1_000.into(), &true.into()));
    run(&["keys", "revoke", &id], 0);
    let list = said(&run(&["keys", "list"], 0));
    assert!(list.contains("revoked") && list.contains("claims-*"), "{list}");
    let bare = secret.rsplit('_').next().expect("its last part");
    let kept = std::fs::read_to_string(folder.path().join("keys.jsonl")).expect("the keys");
    for shown in [kept, list, json.to_string()] {
        assert!(!shown.contains(bare), "{shown}");
    }
}

#[test]
fn what_cannot_be_a_key_is_refused_with_its_fault() {
    let folder = TempDir::new().expect("a folder");
    let run = |arguments: &[&str], exit| reeve(&[arguments, &["--data", text(folder.path())]].concat(), &[], exit);
    for wrong in [
        &["--name", ""][..],
        &["--name", "a", "--agent", "*"],
        &["--name", "a", "--person", "*"],
        &["--name", "a", "--kind", "everything"],
        &["--name", "a", "--may", "destroy"],
        &["--name", "a", "--expires", "soon"],
        &["--name", "a", "--expires", "2001-01-01T00:00:00Z"],
        &["--name", "a", "--rate", "0"],
    ] {
        run(&[&["keys", "add"], wrong].concat(), USAGE);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "nothing was kept");
    run(&["keys", "revoke", "nonsense"], USAGE);
    let unknown = run(&["keys", "revoke", "0123456789ab"], NOT_ALLOWED);
    assert!(told(&unknown).starts_with("error RV0041: there is no key 0123456789ab"), "{}", told(&unknown));
}

#[test]
fn a_torn_file_of_keys_lets_nobody_start_a_gateway() {
    let folder = TempDir::new().expect("a folder");
    reeve(&["keys", "add", "--name", "a", "--data", text(folder.path())], &[], 0);
    let file = folder.path().join("keys.jsonl");
    let whole = std::fs::read(&file).expect("the keys");
    std::fs::write(&file, &whole[..whole.len() - 9]).expect("written");
    for verb in [&["up", "--listen", "127.0.0.1:0"][..], &["keys", "list"], &["keys", "add", "--name", "b"]] {
        let refused = reeve(&[verb, &["--data", text(folder.path())]].concat(), &[], NOT_TRUSTED);
        assert!(told(&refused).starts_with("error RV0040: the keys in "), "{}", told(&refused));
    }
    assert!(!folder.path().join("log.redb").exists(), "nothing was opened");
}

#[test]
fn a_running_reeve_asks_for_the_first_key_and_refuses_a_revoked_one_without_a_restart() {
    let up = Up::start(&["--fleet", "healthy", "--agents", "1"]);
    let status = |variables: &[(&str, &str)], exit| reeve(&["status", "--url", &up.url], variables, exit);
    status(&[], 0);
    let secret = up.add_key(&["--name", "oncall"]);
    up.until("the key is asked for", || house::exit_of(&["status", "--url", &up.url], &[]) == NOT_ALLOWED);
    let refused = status(&[], NOT_ALLOWED);
    assert!(told(&refused).starts_with("error RV0041: Reeve answers 401 Unauthorized: a key is needed"), "{}", told(&refused));
    status(&[("REEVE_KEY", &secret)], 0);
    let file = up.folder.path().join("oncall.key");
    std::fs::write(&file, format!("{secret}\n")).expect("written");
    reeve(&["status", "--url", &up.url, "--key", text(&file)], &[], 0);
    let on_the_line = reeve(&["status", "--url", &up.url, "--key", &secret], &[], USAGE);
    assert!(!told(&on_the_line).contains(&secret), "{}", told(&on_the_line));
    reeve(&["status", "--url", &up.url, "--key", "nowhere"], &[], NO_INPUT);
    // The fleet in the same program has a key of its own: it goes on to publish.
    let count =
        || said(&reeve(&["tail", "--url", &up.url, "--kind", "session.started", "--json"], &[("REEVE_KEY", &secret)], 0)).lines().count();
    let before = count();
    up.until("the fleet goes on", || count() > before);
    reeve(&["keys", "revoke", secret.split('_').nth(1).expect("an id"), "--data", text(up.folder.path())], &[], 0);
    up.until("the key is refused", || house::exit_of(&["status", "--url", &up.url], &[("REEVE_KEY", &secret)]) == NOT_ALLOWED);
}

#[test]
fn how_the_rooms_stand_is_told_to_who_shows_a_good_key() {
    let up = Up::start(&[]);
    let secret = up.add_key(&["--name", "oncall"]);
    up.until("the key is asked for", || house::exit_of(&["status", "--url", &up.url], &[]) == NOT_ALLOWED);
    let rooms = |secret: &str| {
        let answer = house::get(&up.url, "/readyz", secret);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str::<Value>(body).expect("JSON")["rooms"].as_array().map(Vec::len)
    };
    assert!(rooms(&secret).is_some_and(|rooms| rooms > 0));
    assert_eq!(rooms("rvk_none"), None);
}

#[test]
fn an_agent_that_nobody_knows_is_a_problem_that_need_not_be_asked_for_again() {
    let up = Up::start(&[]);
    let secret = up.add_key(&["--name", "oncall"]);
    up.until("the key is asked for", || house::exit_of(&["status", "--url", &up.url], &[]) == NOT_ALLOWED);
    let answer = house::get(&up.url, "/v1/status/nobody", &secret).to_lowercase();
    assert!(answer.starts_with("http/1.1 404 "), "{answer}");
    assert!(answer.contains("urn:reeve:problem:not_found") && answer.contains("there is nothing here"), "{answer}");
    assert!(!answer.contains("retry-after"), "{answer}");
}

#[test]
fn a_key_of_one_agent_reads_the_status_of_that_agent_alone() {
    let up = Up::start(&["--fleet", "healthy", "--agents", "2"]);
    let all = up.add_key(&["--name", "all"]);
    let billing = up.add_key(&["--name", "billing", "--agent", "billing"]);
    let agents = |secret: &str| {
        let report = said(&reeve(&["status", "--json", "--url", &up.url], &[("REEVE_KEY", secret)], 0));
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let known: Vec<_> = report["agents"].as_array().expect("agents").iter().map(|agent| agent["agent"].clone()).collect();
        ["billing", "claims"].map(|agent| known.contains(&agent.into()))
    };
    // Until the first key is read everybody hears everything.
    up.until("a key is asked for", || house::exit_of(&["status", "--url", &up.url], &[]) == NOT_ALLOWED);
    up.until("the key is known", || house::exit_of(&["status", "--url", &up.url], &[("REEVE_KEY", &billing)]) == 0);
    up.until("both agents are known", || agents(&all) == [true, true]);
    assert_eq!(agents(&billing), [true, false]);
    for agent in ["claims", "nobody"] {
        let refused = reeve(&["status", agent, "--url", &up.url], &[("REEVE_KEY", &billing)], NOT_ALLOWED);
        assert!(told(&refused).contains(&format!("this key has no rights over agent `{agent}`")), "{}", told(&refused));
    }
}

#[test]
fn with_a_good_key_the_gateway_may_listen_where_others_reach_it() {
    let folder = TempDir::new().expect("a folder");
    let up = ["up", "--listen", "0.0.0.0:0", "--data", text(folder.path())];
    let refused = reeve(&up, &[], USAGE);
    assert!(told(&refused).contains("there is no good API key"), "{}", told(&refused));
    let made = reeve(&["keys", "add", "--name", "a", "--data", text(folder.path())], &[], 0);
    let started = Up::start_in(folder, &["--listen", "0.0.0.0:0"]);
    let here = started.url.replace("0.0.0.0", "127.0.0.1");
    reeve(&["status", "--url", &here], &[], NOT_ALLOWED);
    reeve(&["status", "--url", &here], &[("REEVE_KEY", said(&made).trim())], 0);
}
