//! API keys: who may say and hear what. A key is limited to agents, to kinds of records, to rights and to a rate.
//!
//! A secret is 256 random bits, shown once and kept as its SHA-256 alone. A slow, salted hash would protect what people
//! can guess; nobody guesses 256 bits, so one fast hash suffices, and a request costs no more than it.

mod file;
mod ring;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wire::kinds::Class;
use wire::{Kind, Timestamp, limits};

pub use self::file::{KeysError, KeysFile};
pub use self::ring::{Keys, LOOK_EVERY};

pub(crate) use self::ring::{Held, Ring, wall_clock};

/// Keys of one Reeve, those that were revoked or have expired among them: what bounds the labels and the limiters of keys.
pub const KEYS_MAX: usize = 256;
/// Agents, people, and kinds, that one key may be limited to.
pub const LIMITS_MAX: usize = 64;
/// Events and requests a second that a key may make unless it was told otherwise.
pub const RATE_PER_S: NonZeroU32 = NonZeroU32::new(1_000).expect("it is not zero");

/// What every key begins with, so that one that was leaked is found by searching for it.
const PREFIX: &str = "rvk_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
/// Bytes of a key's name.
const NAME_BYTES_MAX: usize = 64;

/// A key as it is kept: everything but its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What it is called in lists, log lines and counters.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no longer taken.
    pub expires_at: Option<Timestamp>,
    /// Since when it is no longer taken.
    pub revoked_at: Option<Timestamp>,
    /// SHA-256 of the whole text that is sent.
    digest: SecretDigest,
}

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Agents that it may speak for and hear of; empty: every one.
    pub agents: Vec<NamePattern>,
    /// People in whose name it may speak; empty: everybody where `agents` is empty, and nobody where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<NamePattern>,
    /// Kinds that it may say and hear; empty: every one.
    pub kinds: Vec<KindPattern>,
    /// What it may do with them.
    pub may: BTreeSet<Right>,
    /// Events published, and other requests, a second.
    pub rate_per_s: NonZeroU32,
}

/// The name of a key: it is no secret, and never anybody's text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KeyId(String);

/// What is sent with each request, `rvk_<id>_<secret>`. It is printed once and kept nowhere.
#[derive(Clone)]
pub struct Secret(String);

/// An agent or a person, or all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// Every one whose name begins so.
    Prefix(String),
}

/// A kind, or a class of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindPattern {
    /// This one.
    Kind(Kind),
    /// Every one of a class.
    Class(Class),
}

/// What may be done at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Publish facts.
    Publish,
    /// Read the log, orders and how agents stand.
    Read,
    /// Read the counters of the whole process, which are not divided by agents.
    Metrics,
}

#[derive(Clone, Debug, PartialEq)]
struct SecretDigest([u8; 32]);

/// How a presented key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Expired,
    Revoked,
}

// === impl Key ===

impl Key {
    /// A new key and its secret.
    ///
    /// # Errors
    /// Every fault of its name and scope; or the system's, when it has no randomness to give.
    pub fn mint(name: &str, scope: Scope, now: Timestamp, expires_at: Option<Timestamp>) -> Result<(Self, Secret), Vec<String>> {
        let faults =
            [name_fault(name), scope.fault(), expires_at.filter(|at| *at <= now).map(|at| format!("it would expire at {at}, before now"))];
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let (id, secret) = random().map_err(|error| vec![format!("the system gives no randomness: {error}")])?;
        let digest = secret.digest();
        Ok((Self { id, name: name.to_owned(), scope, created_at: now, expires_at, revoked_at: None, digest }, secret))
    }

    /// Whether this key is the one that was sent. Takes as long for every wrong secret.
    pub(crate) fn is(&self, presented: &Secret) -> bool {
        self.digest.0.ct_eq(&presented.digest().0).into()
    }

    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        match self {
            _ if self.revoked_at.is_some() => Standing::Revoked,
            _ if self.expires_at.is_some_and(|at| at <= now) => Standing::Expired,
            _ => Standing::Good,
        }
    }

    /// Whether it is taken at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.standing(now) == Standing::Good
    }
}

fn name_fault(name: &str) -> Option<String> {
    let fits = !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    (!fits).then(|| format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters"))
}

fn random() -> Result<(KeyId, Secret), getrandom::Error> {
    let mut bytes = [0; ID_BYTES + SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    let (id, secret) = bytes.split_at(ID_BYTES);
    let id = KeyId(hex(id));
    let secret = Secret(format!("{PREFIX}{id}_{}", hex(secret)));
    Ok((id, secret))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// === impl Scope ===

impl Scope {
    /// Every agent and kind, all rights, and a rate.
    pub fn everything(rate_per_s: NonZeroU32) -> Self {
        let may = [Right::Publish, Right::Read, Right::Metrics].into();
        Self { agents: Vec::new(), people: Vec::new(), kinds: Vec::new(), may, rate_per_s }
    }

    /// Whether it covers this agent.
    pub fn covers_agent(&self, agent: &str) -> bool {
        self.agents.is_empty() || self.agents.iter().any(|pattern| pattern.matches(agent))
    }

    /// Whether it may speak in the name of this person. Words give power over every agent that they are about: a key that
    /// is limited to agents and names nobody speaks for nobody.
    pub fn covers_person(&self, person: &str) -> bool {
        match self.people.as_slice() {
            [] => self.agents.is_empty(),
            people => people.iter().any(|pattern| pattern.matches(person)),
        }
    }

    /// Whether it covers this kind.
    pub fn covers_kind(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|pattern| pattern.matches(kind))
    }

    fn fault(&self) -> Option<String> {
        if self.may.is_empty() {
            return Some("a key that may do nothing is of no use".to_owned());
        }
        let too_long = [self.agents.len(), self.people.len(), self.kinds.len()].iter().any(|length| *length > LIMITS_MAX);
        too_long.then(|| format!("a key is limited to at most {LIMITS_MAX} agents, {LIMITS_MAX} people and {LIMITS_MAX} kinds"))
    }
}

// === impl KeyId ===

impl KeyId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_hex(text, ID_BYTES) { Ok(Self(text.to_owned())) } else { Err(format!("a key's id has {} digits from 0 to f", 2 * ID_BYTES)) }
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

// === impl Secret ===

impl Secret {
    /// The text that is sent. Whoever prints it prints it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The id in it.
    pub fn id(&self) -> KeyId {
        KeyId(self.0[PREFIX.len()..PREFIX.len() + 2 * ID_BYTES].to_owned())
    }

    fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl FromStr for Secret {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NotAKey)?;
        if is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES) { Ok(Self(text.to_owned())) } else { Err(NotAKey) }
    }
}

/// A text that does not have the form of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key has the form {PREFIX}<{} digits>_<{} digits>", 2 * ID_BYTES, 2 * SECRET_BYTES)
    }
}

/// Nothing that is printed by mistake shows a secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_***", self.id())
    }
}

// === impl NamePattern ===

impl NamePattern {
    fn matches(&self, found: &str) -> bool {
        match self {
            Self::Exact(name) => name == found,
            Self::Prefix(prefix) => found.starts_with(prefix.as_str()),
        }
    }
}

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        match name {
            "" => Err("a name is needed; a key that is for all of them names none".to_owned()),
            _ if name.contains('*') => Err(format!("`{text}`: a star stands at the end, for names that begin alike")),
            _ if name.len() > limits::AGENT_BYTES_MAX => Err(format!("a name has at most {} bytes", limits::AGENT_BYTES_MAX)),
            _ if is_prefix => Ok(Self::Prefix(name.to_owned())),
            _ => Ok(Self::Exact(name.to_owned())),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

// === impl KindPattern ===

impl KindPattern {
    fn matches(self, kind: Kind) -> bool {
        match self {
            Self::Kind(one) => one == kind,
            Self::Class(class) => class == kind.class(),
        }
    }
}

impl FromStr for KindPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "facts" => Ok(Self::Class(Class::Fact)),
            "words" => Ok(Self::Class(Class::Word)),
            "decisions" => Ok(Self::Class(Class::Decision)),
            name => Kind::from_name(name)
                .map(Self::Kind)
                .ok_or_else(|| format!("`{}` is no kind of record; classes are facts, words and decisions", limits::quote(name))),
        }
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind(kind) => kind.name(),
            Self::Class(Class::Fact) => "facts",
            Self::Class(Class::Word) => "words",
            Self::Class(Class::Decision) => "decisions",
        })
    }
}

// === impl Right ===

impl Right {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Metrics => "metrics",
        }
    }

    /// What it lets do, in words.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Metrics => "read the metrics",
        }
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Publish, Self::Read, Self::Metrics]
            .into_iter()
            .find(|right| right.name() == text)
            .ok_or_else(|| "rights are publish, read and metrics".to_owned())
    }
}

// === as text in the file ===

macro_rules! kept_as_text {
    ($($type:ty)+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

kept_as_text! { NamePattern KindPattern SecretDigest }

impl fmt::Display for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for SecretDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || "a SHA-256 has 64 digits from 0 to f".to_owned();
        if !is_hex(text, 32) {
            return Err(fault());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| fault())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| fault())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests;
