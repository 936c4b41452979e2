//! The keys of a gateway that runs: read again and again, so that a key that is revoked is refused without a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use wire::Timestamp;

use super::file::parse;
use super::{Key, KeyId, KeysError, KeysFile, Scope, Secret, Standing};
use crate::admission::{Bucket, Pace};

/// How often a running gateway reads the file of its keys: what was revoked or has expired passes no longer than this.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Events a second of a guest of the house.
const GUEST_RATE_PER_S: NonZeroU32 = NonZeroU32::new(1_000_000).expect("it is not zero");

/// Who may pass, as it stands at each moment. Clones look at the same keys.
#[derive(Clone)]
pub struct Keys {
    ring: watch::Receiver<Arc<Ring>>,
    /// Keys of this process alone, such as that of a simulated fleet in it. They are written nowhere.
    guests: Vec<Arc<Held>>,
    pace: Pace,
}

/// What the file said when it was read last.
pub(crate) enum Ring {
    /// There is none and there was none: nobody is asked.
    Open,
    /// Whoever comes needs one of these.
    Asked(BTreeMap<KeyId, Arc<Held>>),
    /// It cannot be trusted: nobody passes.
    Shut,
}

/// A key and how much of its rate is used up.
pub(crate) struct Held {
    pub(crate) key: Key,
    pub(crate) bucket: Bucket,
}

// === impl Keys ===

impl Keys {
    /// No keys: nobody is asked for one.
    pub fn none() -> Self {
        let (_gone, ring) = watch::channel(Arc::new(Ring::Open));
        Self { ring, guests: Vec::new(), pace: Pace::default() }
    }

    /// The keys in `file`, read anew every `look_every`. Where there is no file nobody is asked for a key until there is one.
    ///
    /// # Errors
    /// [`KeysError::Refused`], when the file is there and cannot be trusted.
    pub fn watch(file: KeysFile, look_every: Duration, pace: Pace) -> Result<Self, KeysError> {
        let mut look = Look { file, pace: pace.clone(), seen: None, good: BTreeSet::new(), known: BTreeMap::new(), was_there: false };
        look.file.read()?;
        let first = look.again().unwrap_or(Ring::Open);
        let (sender, ring) = watch::channel(Arc::new(first));
        let watching = move || {
            while !sender.is_closed() {
                std::thread::sleep(look_every);
                // A value of its own: what is borrowed from the channel cannot be replaced meanwhile.
                let before = Arc::clone(&sender.borrow());
                if let Some(ring) = look.again_from(&before) {
                    sender.send_replace(Arc::new(ring));
                }
            }
        };
        std::thread::Builder::new().name("gateway-keys".to_owned()).spawn(watching).expect("the system gives a thread at start");
        Ok(Self { ring, guests: Vec::new(), pace })
    }

    /// A key for somebody in this process, which lasts as long as the process.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn guest(&mut self, name: &str) -> Result<Secret, Vec<String>> {
        let (key, secret) = Key::mint(name, Scope::everything(GUEST_RATE_PER_S), wall_clock(), None)?;
        self.guests.push(Arc::new(Held::new(key, &self.pace)));
        Ok(secret)
    }

    /// Whether whoever comes needs a key.
    pub fn are_asked_for(&self) -> bool {
        !matches!(**self.ring.borrow(), Ring::Open)
    }

    /// How many keys are good.
    pub fn good(&self) -> usize {
        match &**self.ring.borrow() {
            Ring::Open | Ring::Shut => 0,
            Ring::Asked(keys) => keys.values().filter(|held| held.key.is_good(wall_clock())).count(),
        }
    }

    /// Whether a key of this id is kept, good or not.
    pub fn knows(&self, id: &KeyId) -> bool {
        let in_file = matches!(&**self.ring.borrow(), Ring::Asked(known) if known.contains_key(id));
        in_file || self.guest_of(id).is_some()
    }

    /// What is known at this moment.
    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.borrow())
    }

    /// The key of this id among the guests.
    pub(crate) fn guest_of(&self, id: &KeyId) -> Option<&Arc<Held>> {
        self.guests.iter().find(|held| held.key.id == *id)
    }

    /// Completes once whoever came with `held`, or with nothing, would be refused now.
    pub(crate) async fn ended(&self, held: Option<&Arc<Held>>) {
        if held.is_some_and(|held| self.guest_of(&held.key.id).is_some()) {
            return std::future::pending().await;
        }
        let mut ring = self.ring.clone();
        // Nobody watches any more: what was known last holds.
        if ring.wait_for(|ring| !ring.still_admits(held, wall_clock())).await.is_err() {
            std::future::pending().await
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("asked_for", &self.are_asked_for()).finish_non_exhaustive()
    }
}

/// The wall clock: keys are made and expire by the time of people, never by that of a log.
#[allow(clippy::disallowed_methods, reason = "the gateway is the edge: whether a key has expired is asked of the wall clock")]
pub(crate) fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// The thread that looks.
struct Look {
    file: KeysFile,
    pace: Pace,
    /// What was read last: bytes, nothing, or why not.
    seen: Option<Result<Option<Vec<u8>>, String>>,
    /// Keys that were good then.
    good: BTreeSet<KeyId>,
    /// The keys of the last file that could be trusted.
    known: BTreeMap<KeyId, Arc<Held>>,
    /// Whether there ever was a file: one that vanishes opens no door.
    was_there: bool,
}

// === impl Look ===

impl Look {
    fn again(&mut self) -> Option<Ring> {
        self.again_from(&Ring::Open)
    }

    /// What is to be known from now on, if it is something else.
    fn again_from(&mut self, before: &Ring) -> Option<Ring> {
        let found = self.file.bytes();
        if self.seen.as_ref() != Some(&found) {
            let ring = self.ring(&found);
            self.seen = Some(found);
            self.good = ring.good(wall_clock());
            return Some(ring);
        }
        // A key expires without a change of the file: open streams are told so as well.
        let Ring::Asked(held) = before else { return None };
        let good = before.good(wall_clock());
        if good == self.good {
            return None;
        }
        self.good = good;
        Some(Ring::Asked(held.clone()))
    }

    fn ring(&mut self, found: &Result<Option<Vec<u8>>, String>) -> Ring {
        let keys = match found {
            Ok(Some(bytes)) => parse(bytes),
            Ok(None) if self.was_there => Err("it is gone; the last key's rights end by `reeve keys revoke`".to_owned()),
            Ok(None) => return Ring::Open,
            Err(reason) => Err(reason.clone()),
        };
        self.was_there = true;
        match keys {
            Ok(keys) => {
                self.known = keys.into_iter().map(|key| (key.id.clone(), self.held(key))).collect();
                Ring::Asked(self.known.clone())
            }
            Err(reason) => {
                let path = self.file.path().display();
                tracing::error!(code = "RV0040", %path, "nobody passes: the keys in {path} are refused: {reason}");
                Ring::Shut
            }
        }
    }

    /// A key that was known before keeps what it has used up: a file that is read again is no fresh start, be it after a
    /// time in which it could not be trusted.
    fn held(&self, key: Key) -> Arc<Held> {
        let known = self.known.get(&key.id).filter(|held| held.key == key);
        known.cloned().unwrap_or_else(|| Arc::new(Held::new(key, &self.pace)))
    }
}

// === impl Ring ===

impl Ring {
    fn good(&self, now: Timestamp) -> BTreeSet<KeyId> {
        match self {
            Self::Asked(keys) => keys.values().filter(|held| held.key.is_good(now)).map(|held| held.key.id.clone()).collect(),
            Self::Open | Self::Shut => BTreeSet::new(),
        }
    }

    fn still_admits(&self, held: Option<&Arc<Held>>, now: Timestamp) -> bool {
        match (self, held) {
            (Self::Open, _) => true,
            (Self::Asked(keys), Some(held)) => keys.get(&held.key.id).is_some_and(|known| known.key.standing(now) == Standing::Good),
            (Self::Asked(_), None) | (Self::Shut, _) => false,
        }
    }
}

// === impl Held ===

impl Held {
    fn new(key: Key, pace: &Pace) -> Self {
        let bucket = Bucket::new(key.scope.rate_per_s, pace);
        Self { key, bucket }
    }
}
