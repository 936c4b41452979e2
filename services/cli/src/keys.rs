//! `reeve keys`: who may say and hear what over HTTP. The keys lie in the folder of the log; a Reeve that runs on it reads
//! them anew every second.

use std::num::NonZeroU32;
use std::path::PathBuf;

use gateway::keys::{Key, KeyId, KeysFile, KindPattern, LOOK_EVERY, NamePattern, RATE_PER_S, Right, Scope};
use serde_json::{Value, json};
use wire::Timestamp;

use crate::failure::Failure;
use crate::output;
use crate::terminal::{as_called, me};

const EXAMPLES_OF_ADD: &str = "\
Examples:
  reeve keys add --name helpdesk --agent billing --agent 'claims-*' --kind facts --kind decisions
  reeve keys add --name duty --agent billing --person maria --kind words
  reeve keys add --name oncall --may read --expires 90d
  reeve keys add --name prometheus --may metrics --rate 10

The key is printed once, on standard output; only its SHA-256 is kept. With the first key
every request needs one, and `reeve up --listen` may take an address that others reach.";

/// How a table says that a key is not limited, or has nobody to speak for.
const ALL: &str = "all";
const NONE: &str = "none";

/// `reeve keys`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it, once.
    #[command(after_help = EXAMPLES_OF_ADD)]
    Add(Add),
    /// List the keys and what each may do; never a secret.
    #[command(after_help = "Example:\n  reeve keys list --json")]
    List(List),
    /// Take a key's rights away, also while Reeve runs.
    #[command(after_help = "Example:\n  reeve keys revoke 3f9a0c52d7e1")]
    Revoke(Revoke),
}

/// Where the keys are.
#[derive(Debug, clap::Args)]
struct Folder {
    /// Folder of the log, where the keys are kept.
    #[arg(long, value_name = "DIR", env = "REEVE_LOG_PATH", default_value = "./data")]
    data: PathBuf,
}

/// `reeve keys add`
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    folder: Folder,
    /// What people call it.
    #[arg(long)]
    name: String,
    /// An agent that it may speak for and hear of, or a beginning of names and a star; repeated. Without: every agent
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<NamePattern>,
    /// A person in whose name it may speak, or a beginning of names and a star; repeated. Without: everybody, or nobody where --agent is given
    #[arg(long = "person", value_name = "PERSON")]
    people: Vec<NamePattern>,
    /// A kind that it may say and hear, or a class: facts, words, decisions; repeated. Without: every kind
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<KindPattern>,
    /// What it may do: publish, read, metrics; repeated [default: publish and read]
    #[arg(long = "may", value_name = "RIGHT", value_delimiter = ',')]
    may: Vec<Right>,
    /// When it ends: an RFC 3339 time, or a span from now such as 90d, 12h, 30m. Without: never
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Expiry>,
    /// Events published, and other requests, a second; at once never less than a full batch of 1000
    #[arg(long, value_name = "N", default_value_t = RATE_PER_S)]
    rate: NonZeroU32,
    /// Print one JSON object, the key as its `secret`.
    #[arg(long)]
    json: bool,
}

/// `reeve keys list`
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    folder: Folder,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// `reeve keys revoke`
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    folder: Folder,
    /// The key's id, as `list` shows it; never the key itself.
    id: KeyId,
}

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expiry {
    At(Timestamp),
    AfterSeconds(i64),
}

// === impl Keys ===

impl Keys {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run(),
            Self::List(args) => args.run(),
            Self::Revoke(args) => args.run(),
        }
    }
}

// === impl Add ===

impl Add {
    fn run(self) -> Result<(), Failure> {
        let now = now();
        let may = if self.may.is_empty() { vec![Right::Publish, Right::Read] } else { self.may };
        let may = may.into_iter().collect();
        let scope = Scope { agents: self.agents, people: self.people, kinds: self.kinds, may, rate_per_s: self.rate };
        let expires_at = self.expires.map(|expiry| expiry.from(now));
        let (key, secret) = Key::mint(&self.name, scope, now, expires_at).map_err(|faults| {
            let told = faults.into_iter().map(|fault| format!("  - {fault}")).collect();
            Failure::usage("such a key cannot be made").with_lines(told)
        })?;
        self.folder.file().add(key.clone(), now)?;
        if self.json {
            let mut told = shown(&key, now);
            told["secret"] = json!(secret.reveal());
            return output::json_line(&told);
        }
        output::line(secret.reveal())?;
        eprintln!("key {} may {}. It is shown this once: keep it where only its user reads it", key.id, in_words(&key.scope));
        eprintln!(
            "{}",
            as_called(&format!(
                "and send it as REEVE_KEY, or over HTTP as `authorization: Bearer`. `reeve keys revoke {}` ends it.",
                key.id
            ))
        );
        Ok(())
    }
}

// === impl List ===

impl List {
    fn run(self) -> Result<(), Failure> {
        let now = now();
        let keys = self.folder.file().read()?;
        if self.json {
            return keys.unwrap_or_default().iter().try_for_each(|key| output::json_line(&shown(key, now)));
        }
        let Some(keys) = keys else {
            return output::line(format!("there are no keys, and nobody is asked for one: {} keys add --name NAME makes the first", me()));
        };
        let mut table = output::table(["id", "name", "state", "agents", "people", "kinds", "may", "rate", "made"]);
        for key in &keys {
            let (agents, kinds) = (list(&key.scope.agents), list(&key.scope.kinds));
            let may: Vec<_> = key.scope.may.iter().map(|right| right.name()).collect();
            let made = output::moment(&key.created_at.to_string());
            table.add_row([
                key.id.to_string(),
                key.name.clone(),
                state(key, now),
                agents,
                people(&key.scope),
                kinds,
                may.join(", "),
                format!("{}/s", key.scope.rate_per_s),
                made,
            ]);
        }
        output::line(table)
    }
}

// === impl Revoke ===

impl Revoke {
    fn run(self) -> Result<(), Failure> {
        let file = self.folder.file();
        let now = now();
        let key = file.revoke(&self.id, now)?;
        output::line(format!("key {} ({}) is revoked; a Reeve that runs refuses it within {} s", key.id, key.name, LOOK_EVERY.as_secs()))?;
        if file.read()?.unwrap_or_default().iter().all(|key| !key.is_good(now)) {
            output::line(format!("no key is good now: nobody passes until {} keys add makes another", me()))?;
        }
        Ok(())
    }
}

// === impl Folder ===

impl Folder {
    fn file(&self) -> KeysFile {
        KeysFile::in_folder(&self.data)
    }
}

// === impl Expiry ===

impl Expiry {
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::AfterSeconds(seconds) => now.plus_s(seconds),
        }
    }
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if let Some(at) = Timestamp::parse(text) {
        return Ok(Expiry::At(at));
    }
    let units = [('d', 86_400), ('h', 3_600), ('m', 60)];
    let span = units.iter().find_map(|(unit, seconds)| Some(text.strip_suffix(*unit)?.parse::<u32>().ok()? as i64 * seconds));
    span.map(Expiry::AfterSeconds).ok_or_else(|| "it is an RFC 3339 time with an offset, or a span such as 90d, 12h, 30m".to_owned())
}

/// A key as it may be shown: never its digest.
fn shown(key: &Key, now: Timestamp) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "good": key.is_good(now),
        "agents": key.scope.agents,
        "people": key.scope.people,
        "kinds": key.scope.kinds,
        "may": key.scope.may,
        "rate_per_s": key.scope.rate_per_s,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    })
}

fn state(key: &Key, now: Timestamp) -> String {
    let second = |time: Timestamp| output::moment(&time.to_string());
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", second(at)),
        (None, Some(at)) if at <= now => format!("expired {}", second(at)),
        (None, Some(at)) => format!("good until {}", second(at)),
        (None, None) => "good".to_owned(),
    }
}

fn in_words(scope: &Scope) -> String {
    let may: Vec<_> = scope.may.iter().map(|right| right.name()).collect();
    let agents = if scope.agents.is_empty() { "every agent".to_owned() } else { list(&scope.agents) };
    let kinds = if scope.kinds.is_empty() { "every kind".to_owned() } else { list(&scope.kinds) };
    let people = match people(scope) {
        all if all == ALL => "everybody".to_owned(),
        none if none == NONE => "nobody".to_owned(),
        named => named,
    };
    format!("{}, for {agents} and {kinds}, in the name of {people}, {} a second", may.join(" and "), scope.rate_per_s)
}

/// In whose name a key speaks.
fn people(scope: &Scope) -> String {
    if scope.people.is_empty() && !scope.agents.is_empty() { NONE.to_owned() } else { list(&scope.people) }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    if items.is_empty() { ALL.to_owned() } else { items.iter().map(T::to_string).collect::<Vec<_>>().join(", ") }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_a_time_or_after_a_span() {
        let now = Timestamp(0);
        assert_eq!(expiry("90d").map(|expiry| expiry.from(now)), Ok(Timestamp(90 * 86_400 * 1_000_000)));
        assert_eq!(expiry("30m").map(|expiry| expiry.from(now)), Ok(Timestamp(30 * 60 * 1_000_000)));
        assert_eq!(expiry("1970-01-01T00:00:01Z").map(|expiry| expiry.from(now)), Ok(Timestamp(1_000_000)));
        for wrong in ["", "d", "90", "90 d", "-1d", "tomorrow", "1970-01-01"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }
}
