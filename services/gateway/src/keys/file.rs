//! The file of the keys: a line that says the format and the SHA-256 of all that follows, then a key a line.
//!
//! A file that is torn, changed by hand or written by others is refused whole: a gateway that cannot tell who may pass
//! lets nobody pass. The digest finds accidents; whoever may write the file can write its digest too, which is why a
//! file that others may write, own or replace is refused as well.
//!
//! Whoever changes the file, root among them, leaves it to whom it belonged: a gateway must still be able to read it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use runtime::Code;
use runtime::errors::Coded;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::Timestamp;

use super::{KEYS_MAX, Key, KeyId, hex};

/// The file in the folder of the log.
const FILE: &str = "keys.jsonl";
/// Held by whoever changes the file.
const LOCK: &str = "keys.lock";
/// Bytes of a file: more is not one that was written here.
const BYTES_MAX: u64 = 8 << 20;
/// The only format so far.
const FORMAT: u32 = 1;
/// Whoever else may write the file, or the folder, could let himself in.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Files of a folder with this bit are replaced by their owners alone.
const STICKY: u32 = 0o1000;
/// Of a folder that is made for the keys.
const FOLDER_MODE: u32 = 0o755;
const ROOT: u32 = 0;

/// The keys that are kept in a folder.
#[derive(Clone, Debug)]
pub struct KeysFile {
    path: PathBuf,
}

/// Why the keys cannot be read or written.
#[derive(Debug)]
pub enum KeysError {
    /// The file is there and cannot be trusted.
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be written.
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There are as many keys as there may be, and each is still good.
    TooMany,
    /// No key has this id.
    Unknown(KeyId),
}

/// To whom a file or a folder belongs, and who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    sha256: String,
}

// === impl KeysFile ===

impl KeysFile {
    /// The file of the keys in the folder of a log. It need not exist.
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every key, in the order in which they were made; `None` where there is no file.
    ///
    /// # Errors
    /// [`KeysError::Refused`].
    pub fn read(&self) -> Result<Option<Vec<Key>>, KeysError> {
        match self.bytes() {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => parse(&bytes).map(Some).map_err(|reason| self.refused(reason)),
            Err(reason) => Err(self.refused(reason)),
        }
    }

    /// Keeps one more key. Where [`KEYS_MAX`] are kept, the one that was made first of those no longer good makes room.
    ///
    /// # Errors
    /// [`KeysError`]; the file is then as it was.
    pub fn add(&self, key: Key, now: Timestamp) -> Result<(), KeysError> {
        self.change(|keys| {
            if keys.len() >= KEYS_MAX {
                let gone = keys.iter().position(|key| !key.is_good(now)).ok_or(KeysError::TooMany)?;
                keys.remove(gone);
            }
            keys.push(key);
            Ok(())
        })
    }

    /// Takes a key's rights away; one that was revoked before keeps its time.
    ///
    /// # Errors
    /// [`KeysError`]; the file is then as it was.
    pub fn revoke(&self, id: &KeyId, now: Timestamp) -> Result<Key, KeysError> {
        self.change(|keys| {
            let key = keys.iter_mut().find(|key| key.id == *id).ok_or_else(|| KeysError::Unknown(id.clone()))?;
            key.revoked_at.get_or_insert(now);
            Ok(key.clone())
        })
    }

    /// The bytes of the file, if others cannot have written them.
    pub(super) fn bytes(&self) -> Result<Option<Vec<u8>>, String> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            // Where a file stands in the folder's place there are no keys either; what that means is for the log to say.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let found = file.metadata().map_err(|error| error.to_string())?;
        let folder = self.folder_ownership().map_err(|error| error.to_string())?;
        if let Some(reason) = self.folder_fault(folder).or_else(|| file_fault(Ownership::of(&found), folder, me())) {
            return Err(reason);
        }
        if found.len() > BYTES_MAX {
            return Err(format!("it has {} bytes, a file of keys has at most {BYTES_MAX}", found.len()));
        }
        let mut bytes = Vec::with_capacity(found.len() as usize);
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Some(bytes))
    }

    /// Reads, changes and replaces the file, while nobody else does.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Key>) -> Result<T, KeysError>) -> Result<T, KeysError> {
        let cannot = |source| KeysError::CannotWrite { path: self.path.clone(), source };
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(self.folder()).map_err(cannot)?;
        let folder = self.folder_ownership().map_err(cannot)?;
        if let Some(reason) = self.folder_fault(folder) {
            return Err(self.refused(reason));
        }
        let owner = self.owner(folder).map_err(cannot)?;
        let lock = self.lock(owner)?;
        // Let go when the file is closed, by whatever way this function is left.
        lock.lock().map_err(cannot)?;
        let mut keys = self.read()?.unwrap_or_default();
        let changed = change(&mut keys)?;
        self.replace(owner, &keys).map_err(cannot)?;
        Ok(changed)
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn folder_ownership(&self) -> io::Result<Ownership> {
        std::fs::metadata(self.folder()).map(|found| Ownership::of(&found))
    }

    /// Who may write a folder can put another file into the place of any.
    fn folder_fault(&self, folder: Ownership) -> Option<String> {
        let is_open = folder.mode & WRITABLE_BY_OTHERS != 0 && folder.mode & STICKY == 0;
        let path = self.folder().display();
        is_open.then(|| format!("others than its owner may write the folder {path} (mode {:o}), and so replace the file", folder.mode))
    }

    /// To whom the file belongs, or will: who runs the gateway owns the folder.
    fn owner(&self, folder: Ownership) -> io::Result<Ownership> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(Ownership::of(&found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder),
            Err(error) => Err(error),
        }
    }

    /// Opens the lock; one that is made here belongs to `owner`. One that is there keeps its owner: it may be a link to
    /// somebody else's file.
    fn lock(&self, owner: Ownership) -> Result<File, KeysError> {
        let path = self.folder().join(LOCK);
        let opened = match OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path) {
            Ok(made) => leave_to(&made, owner).map(|()| made).inspect_err(|_| drop(std::fs::remove_file(&path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => OpenOptions::new().write(true).open(&path),
            Err(error) => Err(error),
        };
        opened.map_err(|source| KeysError::CannotWrite { path, source })
    }

    /// Whoever reads meanwhile, or after a crash, sees the old file or the new one, never a part.
    fn replace(&self, owner: Ownership, keys: &[Key]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        // One that a crash left behind may have another mode.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        leave_to(&file, owner)?;
        file.write_all(&written(keys)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        File::open(self.folder())?.sync_all()
    }

    fn refused(&self, reason: String) -> KeysError {
        KeysError::Refused { path: self.path.clone(), reason }
    }
}

/// Gives a file that was made here to its owner, who else could not read it.
fn leave_to(file: &File, owner: Ownership) -> io::Result<()> {
    if Ownership::of(&file.metadata()?).uid == owner.uid {
        return Ok(());
    }
    fchown(file, Some(owner.uid), Some(owner.gid)).map_err(|error| {
        io::Error::new(error.kind(), format!("it must belong to user {}, who alone or root can make it: {error}", owner.uid))
    })
}

/// Why a file is none to be believed by a process of user `me`.
///
/// Root believes the owner of the folder as well: that is who runs the gateway, and may replace the file anyway.
pub(super) fn file_fault(file: Ownership, folder: Ownership, me: Option<u32>) -> Option<String> {
    let Ownership { uid, mode, .. } = file;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Some(format!("others than its owner may write it (mode {mode:o}): whoever can could let himself in"));
    }
    let me = me.unwrap_or(folder.uid);
    let is_ours = uid == ROOT || uid == me || me == ROOT && uid == folder.uid;
    (!is_ours).then(|| format!("it belongs to user {uid}, and Reeve runs as user {me}: whoever owns it could let himself in"))
}

/// Whose process this is; nothing where the system has no `/proc` that says it.
fn me() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|found| found.uid())
}

fn written(keys: &[Key]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    for key in keys {
        serde_json::to_writer(&mut body, key)?;
        body.push(b'\n');
    }
    let head = Head { format: FORMAT, sha256: hex(&Sha256::digest(&body)) };
    let mut bytes = serde_json::to_vec(&head)?;
    bytes.push(b'\n');
    bytes.append(&mut body);
    Ok(bytes)
}

/// The keys in the bytes of a file, or what is wrong with them.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head: Head = serde_json::from_slice(head).map_err(|error| format!("its first line cannot be read: {error}"))?;
    if head.format != FORMAT {
        return Err(format!("it has format {}, this version reads {FORMAT}", head.format));
    }
    if head.sha256 != hex(&Sha256::digest(body)) {
        return Err("its keys are not those that its first line was written for: it is torn, or was altered".to_owned());
    }
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let keys: Vec<Key> =
        lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(|error| format!("a key cannot be read: {error}"))?;
    if keys.len() > KEYS_MAX {
        return Err(format!("it has {} keys, at most {KEYS_MAX} are kept", keys.len()));
    }
    Ok(keys)
}

// === impl Ownership ===

impl Ownership {
    pub(super) fn of(found: &Metadata) -> Self {
        Self { uid: found.uid(), gid: found.gid(), mode: found.mode() & 0o7777 }
    }
}

// === impl KeysError ===

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { path, reason } => write!(f, "the keys in {} are refused: {reason}", path.display()),
            Self::CannotWrite { path, .. } => write!(f, "cannot write the keys in {}", path.display()),
            Self::TooMany => write!(f, "{KEYS_MAX} keys are kept and all are good: revoke one first"),
            Self::Unknown(id) => write!(f, "there is no key {id}"),
        }
    }
}

impl std::error::Error for KeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::CannotWrite { source, .. } => Some(source),
            Self::Refused { .. } | Self::TooMany | Self::Unknown(_) => None,
        }
    }
}

impl Coded for KeysError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } => Code::KeysRefused,
            Self::CannotWrite { .. } => Code::CannotWrite,
            Self::TooMany | Self::Unknown(_) => Code::KeyUnusable,
        }
    }
}
